//! The tests in Kotlin: the generated bindings and what app developers would write, compiled by the real compiler and run on
//! the JVM.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::built::Built;
use super::tool::{Lack, answer, first_number, on_path};
use super::{Language, Trouble, must, page, workshop};
use crate::tree::Tree;

/// The oldest Java that the compiler and the tests run on.
const JAVA_MIN: u32 = 17;
/// What Android's tools take, and every Java above.
const JVM_TARGET: &str = "11";
/// Half the processor's time for so short a life: only the quick one of Java's compilers, and a collector without threads. The heap is
/// for a generated file of more than ten thousand lines.
const COMPILER_JVM: [&str; 3] = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx1g"];
/// The compiler for machines that have none, pinned with its hash.
const TOOLS: &str = "mobile-ffi/kotlin/tools";
const UNDONE: &str = "the mobile library's tests in Kotlin";
/// What the blocks on the page for app developers have before them.
const PAGE_HEAD: &str = "package vn.toso.page; import uniffi.toso.*";

/// The tools.
pub(crate) struct Kotlin {
    /// Folder with `lib/kotlin-compiler.jar`.
    home: PathBuf,
    jna: Jna,
}

/// How Java calls C.
struct Jna {
    jar: PathBuf,
    /// Where its own native part is, when that is neither in the jar nor in the system's place.
    natives: Option<PathBuf>,
}

impl Kotlin {
    /// Finds the tools, or fetches what can be fetched.
    pub(crate) fn find(tree: &Tree) -> Result<Self, Lack> {
        java()?;
        Ok(Self { home: compiler(tree)?, jna: jna(tree)? })
    }

    fn library(&self, name: &str) -> PathBuf {
        self.home.join("lib").join(format!("{name}.jar"))
    }

    fn runtime(&self) -> Vec<PathBuf> {
        let mut jars = vec![self.jna.jar.clone()];
        jars.extend(["kotlin-stdlib", "kotlin-test", "kotlinx-coroutines-core-jvm"].map(|name| self.library(name)));
        jars
    }

    /// Compiles folders of sources into a jar; they may use coroutines, JNA and kotlin-test. A warning is an error.
    pub(crate) fn compile(&self, sources: &[&Path], jar: &Path) -> Result<(), String> {
        let mut command = Command::new("java");
        command.args(COMPILER_JVM).arg("-cp").arg(self.library("kotlin-preloader"));
        command.arg("org.jetbrains.kotlin.preloading.Preloader").arg("-cp").arg(self.library("kotlin-compiler"));
        command.arg("org.jetbrains.kotlin.cli.jvm.K2JVMCompiler").arg("-kotlin-home").arg(&self.home);
        command.args(["-no-reflect", "-no-stdlib", "-jvm-target", JVM_TARGET, "-Werror"]);
        command.arg("-classpath").arg(joined(&self.runtime())).arg("-d").arg(jar).args(sources);
        must(&mut command, "the Kotlin compiler")
    }

    /// The command that runs a class.
    fn run(&self, class: &str, jar: PathBuf, library: &Path) -> Result<Command, String> {
        let folder = library.parent().ok_or("the library is in no folder")?;
        let mut path = self.runtime();
        path.push(jar);
        let mut command = Command::new("java");
        command.arg("-ea").arg(property("jna.library.path", folder));
        if let Some(natives) = &self.jna.natives {
            command.arg("-Djna.nosys=false").arg(property("java.library.path", natives));
        }
        command.arg("-cp").arg(joined(&path)).arg(class);
        Ok(command)
    }
}

pub(super) fn test(tree: &Tree, built: &Built, sources: &Path) -> Result<(), Trouble> {
    let kotlin = Kotlin::find(tree)?;
    let folder = workshop(tree).join("kotlin");
    std::fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let jar = folder.join("tests.jar");
    let (sample, tests) = (tree.root.join("mobile-ffi/kotlin/sample"), tree.root.join("mobile-ffi/kotlin/tests"));
    let page = folder.join("Page.kt");
    std::fs::write(&page, page::source(tree, Language::Kotlin, PAGE_HEAD)?)
        .map_err(|error| format!("cannot write {}: {error}", page.display()))?;
    // In one go: starting the compiler costs more than our sources do.
    kotlin.compile(&[sources, &sample, &tests, &page], &jar)?;
    let mut command = kotlin.run("vn.toso.tests.MainKt", jar, &built.library)?;
    // One story's observer throws on purpose.
    command.env("TOSO_BINARY", &built.server).env("RUST_BACKTRACE", "0");
    must(&mut command, "the tests in Kotlin")?;
    Ok(())
}

fn java() -> Result<(), Lack> {
    let version = answer("java", &["-version"]).as_deref().and_then(first_number);
    match version {
        Some(version) if version >= JAVA_MIN => Ok(()),
        _ => Err(Lack {
            what: format!("java ({JAVA_MIN} or newer)"),
            undone: UNDONE,
            remedy: format!(
                "apt install openjdk-{JAVA_MIN}-jre-headless (Debian, Ubuntu), brew install openjdk (macOS)"
            ),
        }),
    }
}

/// `KOTLIN_HOME`, or the home of the `kotlinc` in `PATH`, or the pinned one, fetched once.
fn compiler(tree: &Tree) -> Result<PathBuf, Lack> {
    let named = std::env::var_os("KOTLIN_HOME").map(PathBuf::from);
    let installed = on_path("kotlinc").and_then(|kotlinc| Some(kotlinc.parent()?.parent()?.to_owned()));
    let present = named.into_iter().chain(installed).find(|home| is_home(home));
    present.map_or_else(|| fetched_compiler(tree), Ok)
}

fn is_home(home: &Path) -> bool {
    ["kotlin-compiler.jar", "kotlin-preloader.jar", "kotlin-test.jar", "kotlinx-coroutines-core-jvm.jar"]
        .iter()
        .all(|jar| home.join("lib").join(jar).is_file())
}

fn fetched_compiler(tree: &Tree) -> Result<PathBuf, Lack> {
    let pinned = tree.root.join(TOOLS);
    let folder = workshop(tree).join("kotlin-tools");
    let home = folder.join("node_modules/kotlin-compiler");
    let lock = |folder: &Path| std::fs::read(folder.join("package-lock.json")).ok();
    let stamp = folder.join("installed");
    if stamp.is_file() && is_home(&home) && lock(&folder) == lock(&pinned) {
        return Ok(home);
    }
    let fetch = || -> Option<()> {
        std::fs::create_dir_all(&folder).ok()?;
        // Absent until the whole is there, so that a fetch that was cut short is made again.
        let _ = std::fs::remove_file(&stamp);
        for file in ["package.json", "package-lock.json"] {
            std::fs::copy(pinned.join(file), folder.join(file)).ok()?;
        }
        println!("mobile: kotlin: fetching the compiler (94 MB, once)");
        let mut npm = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
        npm.current_dir(&folder).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).stdout(Stdio::null());
        let fetched = npm.status().is_ok_and(|status| status.success()) && is_home(&home);
        fetched.then(|| std::fs::write(&stamp, "").ok()).flatten()
    };
    fetch().map(|()| home).ok_or_else(|| Lack {
        what: "the Kotlin compiler".into(),
        undone: UNDONE,
        remedy: format!(
            "install kotlinc (kotlinlang.org) and put it in PATH or name its folder in KOTLIN_HOME; or install npm, which \
             fetches the one pinned in {TOOLS}"
        ),
    })
}

/// `TOSO_JNA_JAR`, or Debian's package: installed, or unpacked here without being installed.
fn jna(tree: &Tree) -> Result<Jna, Lack> {
    let named = std::env::var_os("TOSO_JNA_JAR").map(PathBuf::from);
    let installed = PathBuf::from("/usr/share/java/jna.jar");
    if let Some(jar) = named.into_iter().chain([installed]).find(|jar| jar.is_file()) {
        return Ok(Jna { jar, natives: None });
    }
    let folder = workshop(tree).join("jna");
    unpacked_jna(&folder).or_else(|| {
        unpack_jna(&folder)?;
        unpacked_jna(&folder)
    })
    .ok_or_else(|| Lack {
        what: "JNA".into(),
        undone: UNDONE,
        remedy: "apt install libjna-java (Debian, Ubuntu); elsewhere download net.java.dev.jna:jna from Maven Central and \
                 name the jar in TOSO_JNA_JAR"
            .into(),
    })
}

fn unpacked_jna(folder: &Path) -> Option<Jna> {
    let jar = folder.join("usr/share/java/jna.jar");
    let natives =
        std::fs::read_dir(folder.join("usr/lib")).ok()?.find_map(|entry| Some(entry.ok()?.path().join("jni")))?;
    (jar.is_file() && natives.is_dir()).then_some(Jna { jar, natives: Some(natives) })
}

/// Has apt fetch the two packages, which checks their signatures, and unpacks them, for which nobody needs to be root.
fn unpack_jna(folder: &Path) -> Option<()> {
    let packages = folder.join("packages");
    std::fs::create_dir_all(&packages).ok()?;
    println!("mobile: kotlin: fetching JNA");
    let quiet = |command: &mut Command| {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let names = ["libjna-java", "libjna-jni"];
    if !quiet(Command::new("apt-get").current_dir(&packages).arg("download").args(names)) {
        // The machine's own lists may be absent; these are ours.
        let lists = folder.join("lists");
        std::fs::create_dir_all(lists.join("partial")).ok()?;
        let mut option = OsString::from("Dir::State::Lists=");
        option.push(&lists);
        let apt = || {
            let mut command = Command::new("apt-get");
            command.current_dir(&packages).arg("-o").arg(&option).args([
                "-o",
                "Dir::Cache::pkgcache=",
                "-o",
                "Dir::Cache::srcpkgcache=",
            ]);
            command
        };
        let fetched = quiet(apt().arg("update")) && quiet(apt().arg("download").args(names));
        fetched.then_some(())?;
    }
    for entry in std::fs::read_dir(&packages).ok()? {
        let package = entry.ok()?.path();
        quiet(Command::new("dpkg-deb").arg("--extract").arg(package).arg(folder)).then_some(())?;
    }
    Some(())
}

fn property(name: &str, value: &Path) -> OsString {
    let mut property = OsString::from(format!("-D{name}="));
    property.push(value);
    property
}

/// A class path. Paths with the separator in them cannot be written down, and come out as they are, for Java to complain of.
fn joined(jars: &[PathBuf]) -> OsString {
    std::env::join_paths(jars).unwrap_or_else(|_| jars.iter().flat_map(|jar| [jar.as_os_str(), ":".as_ref()]).collect())
}
