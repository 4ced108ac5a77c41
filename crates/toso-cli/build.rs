//! Links what comes before Rust's runtime (`c/before_main.c`), where there are such descriptors.

fn main() {
    println!("cargo:rerun-if-changed=c/before_main.c");
    if std::env::var_os("CARGO_CFG_UNIX").is_none() {
        return;
    }
    for object in cc::Build::new().file("c/before_main.c").compile_intermediates() {
        println!("cargo:rustc-link-arg-bins={}", object.display());
    }
}
