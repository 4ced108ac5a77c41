//! Links the look at stdout that comes before Rust's runtime (`c/stdout.c`), where there are such descriptors.

fn main() {
    println!("cargo:rerun-if-changed=c/stdout.c");
    if std::env::var_os("CARGO_CFG_UNIX").is_none() {
        return;
    }
    for object in cc::Build::new().file("c/stdout.c").compile_intermediates() {
        println!("cargo:rustc-link-arg-bins={}", object.display());
    }
}
