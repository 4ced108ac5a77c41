//! `cargo xtask android`: the library for every ABI and its Kotlin classes in an AAR, with sources and a POM beside it, laid out
//! as a Maven repository that an app's build can name.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{PROFILE, copy, fresh_folder, lacking_targets, make_folder, ndk, require, size, write};
use crate::cargo::{cargo, forget_outer_cargo};
use crate::mobile::{self, Kotlin, Lack, Language, Profile, answer, must, workshop};
use crate::tree::Tree;

/// ABIs with their Rust targets: all that Android has. Cheap phones are still 32-bit; the last two are emulators and Chromebooks.
const ABIS: [(&str, &str); 4] = [
    ("arm64-v8a", "aarch64-linux-android"),
    ("armeabi-v7a", "armv7-linux-androideabi"),
    ("x86_64", "x86_64-linux-android"),
    ("x86", "i686-linux-android"),
];
/// Android 7.0: the oldest that the NDK's own tools and JNA are tried on.
pub(super) const API_LEVEL_MIN: u32 = 24;
/// Phones with Android 15 and later may have pages of 16 KiB, and load nothing that is aligned for less.
const PAGE_FLAGS: &str = "-C link-arg=-Wl,-z,max-page-size=16384";
const GROUP: &str = "vn.toso";
const ARTIFACT: &str = "toso";
/// The versions that the POM asks for.
const JNA: &str = "5.18.1";
const COROUTINES: &str = "1.10.2";
const UNDONE: &str = "the AAR";

/// What R8 must keep: JNA finds fields and methods by their names.
const KEEP: &str = "\
-dontwarn java.awt.**
-keep class com.sun.jna.** { *; }
-keep class * extends com.sun.jna.* { *; }
-keep class uniffi.** { *; }
";

/// Makes it.
pub(crate) fn run() -> Result<(), String> {
    let tree = Tree::open()?;
    let kotlin = Kotlin::find(&tree);
    let mut lacks = lacks();
    let kotlin = kotlin.map_err(|lack| lacks.push(lack)).ok();
    require(&lacks, UNDONE)?;
    let kotlin = kotlin.ok_or("the Kotlin compiler is gone")?;

    let folder = workshop(&tree).join("android");
    fresh_folder(&folder)?;
    let libraries = folder.join("jni");
    let mut build = Command::new(cargo());
    forget_outer_cargo(&mut build);
    build
        .current_dir(&tree.root)
        .args(["ndk", "--platform", &API_LEVEL_MIN.to_string(), "--output-dir"])
        .arg(&libraries);
    for (abi, target) in ABIS {
        build.args(["--target", abi]);
        let variable = format!("CARGO_TARGET_{}_RUSTFLAGS", target.to_uppercase().replace('-', "_"));
        build.env(variable, PAGE_FLAGS);
    }
    build.args(["build", "--profile", PROFILE, "--package", mobile::LIBRARY_PACKAGE]);
    must(&mut build, "cargo ndk")?;

    let sources = mobile::sources(&tree, Profile::Debug, Language::Kotlin)?;
    let aar = pack(&tree, &kotlin, &sources, &folder)?;
    for (abi, _) in ABIS {
        let library = libraries.join(abi).join(format!("lib{}.so", mobile::LIBRARY_NAME));
        println!("{abi}: {}", size(&library)?);
    }
    println!("{}: {}", aar.display(), size(&aar)?);
    Ok(())
}

fn lacks() -> Vec<Lack> {
    let mut lacks = Vec::new();
    if answer(cargo(), &["ndk", "--version"]).is_none() {
        lacks.push(Lack {
            what: "cargo-ndk".into(),
            undone: UNDONE,
            remedy: "cargo install cargo-ndk --locked".into(),
        });
    }
    if ndk().is_none() {
        lacks.push(Lack {
            what: "the Android NDK (r27 or newer)".into(),
            undone: UNDONE,
            remedy:
                "install it in Android Studio (SDK Manager, SDK Tools, NDK) and name its folder in ANDROID_NDK_HOME"
                    .into(),
        });
    }
    lacks.extend(lacking_targets(&ABIS.map(|(_, target)| target), UNDONE));
    if answer("jar", &["--version"]).is_none() {
        lacks.push(Lack {
            what: "jar".into(),
            undone: UNDONE,
            remedy: "install a JDK of version 17 or newer; a JRE is not enough".into(),
        });
    }
    lacks
}

/// Packs `FOLDER/jni` and the Kotlin sources into an AAR, its sources and a POM, below `FOLDER/maven`; gives the AAR.
fn pack(tree: &Tree, kotlin: &Kotlin, sources: &Path, folder: &Path) -> Result<PathBuf, String> {
    let version = version(tree)?;
    let content = folder.join("aar");
    fresh_folder(&content)?;
    write(&content.join("AndroidManifest.xml"), &manifest())?;
    write(&content.join("R.txt"), "")?;
    write(&content.join("proguard.txt"), KEEP)?;
    for (abi, _) in ABIS {
        let (from, to) = (folder.join("jni").join(abi), content.join("jni").join(abi));
        make_folder(&to)?;
        let library = format!("lib{}.so", mobile::LIBRARY_NAME);
        copy(&from.join(&library), &to.join(&library))?;
    }
    kotlin.compile(&[sources], &content.join("classes.jar"))?;

    let published = folder.join("maven").join(GROUP.replace('.', "/")).join(ARTIFACT).join(&version);
    make_folder(&published)?;
    let file = |ending: &str| published.join(format!("{ARTIFACT}-{version}{ending}"));
    let aar = file(".aar");
    zip(&content, &aar)?;
    zip(sources, &file("-sources.jar"))?;
    write(&file(".pom"), &pom(&version))?;
    Ok(aar)
}

fn version(tree: &Tree) -> Result<String, String> {
    let package = tree.metadata.packages.iter().find(|package| package.name.as_str() == mobile::LIBRARY_PACKAGE);
    package.map(|package| package.version.to_string()).ok_or_else(|| format!("there is no {}", mobile::LIBRARY_PACKAGE))
}

fn zip(folder: &Path, file: &Path) -> Result<(), String> {
    let mut command = Command::new("jar");
    command.args(["--create", "--no-manifest", "--file"]).arg(file).arg("-C").arg(folder).arg(".");
    must(&mut command, "jar")
}

/// The one permission the library needs by itself; `docs/mobile.md` has those of an app.
fn manifest() -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <manifest xmlns:android=\"http://schemas.android.com/apk/res/android\" package=\"{GROUP}\">\n    \
         <uses-sdk android:minSdkVersion=\"{API_LEVEL_MIN}\" />\n    \
         <uses-permission android:name=\"android.permission.INTERNET\" />\n\
         </manifest>\n"
    )
}

fn pom(version: &str) -> String {
    let dependency = |group: &str, artifact: &str, version: &str, kind: &str| {
        format!(
            "    <dependency>\n      <groupId>{group}</groupId>\n      <artifactId>{artifact}</artifactId>\n      \
             <version>{version}</version>\n      <type>{kind}</type>\n      <scope>compile</scope>\n    </dependency>\n"
        )
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  \
         <modelVersion>4.0.0</modelVersion>\n  <groupId>{GROUP}</groupId>\n  <artifactId>{ARTIFACT}</artifactId>\n  \
         <version>{version}</version>\n  <packaging>aar</packaging>\n  <dependencies>\n{}{}  </dependencies>\n</project>\n",
        dependency("net.java.dev.jna", "jna", JNA, "aar"),
        dependency("org.jetbrains.kotlinx", "kotlinx-coroutines-core", COROUTINES, "jar"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of elements still open at the end; every closing one must close the last opened.
    fn open_elements(xml: &str) -> Vec<&str> {
        let mut open = Vec::new();
        for tag in xml.split('<').skip(1) {
            let tag = tag.split('>').next().unwrap_or_default();
            let name = tag.split_whitespace().next().unwrap_or_default();
            if let Some(name) = name.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name), "{xml}");
            } else if !tag.ends_with('/') && !tag.ends_with('?') {
                open.push(name);
            }
        }
        open
    }

    #[test]
    fn the_pom_names_what_the_classes_need() {
        let pom = pom("1.2.3");
        assert!(open_elements(&pom).is_empty(), "{pom}");
        for text in
            ["<version>1.2.3</version>", "<packaging>aar</packaging>", "<artifactId>jna</artifactId>", "coroutines"]
        {
            assert!(pom.contains(text), "{text}: {pom}");
        }
    }

    #[test]
    fn the_manifest_asks_for_the_network_and_nothing_else() {
        let manifest = manifest();
        assert!(open_elements(&manifest).is_empty(), "{manifest}");
        assert_eq!(manifest.matches("uses-permission").count(), 1, "{manifest}");
        assert!(manifest.contains("minSdkVersion=\"24\""), "{manifest}");
    }
}
