// swift-tools-version: 6.0
// The mobile library as a Swift package, with a sample of what an app builds on it.
//
// `cargo xtask ios` makes the two parts that are not in git: `Binaries/TosoFFI.xcframework`, the library itself, and the sources in
// `Sources/Toso/Generated`. On Linux `cargo xtask mobile swift` puts the generated sources and the C module there, and the library
// is the one that cargo has built: TOSO_LIBRARY_DIR names its folder.

import Foundation
import PackageDescription

#if os(Linux)
let library = ProcessInfo.processInfo.environment["TOSO_LIBRARY_DIR"] ?? "../../target/debug"
let ofThePlatform: [Target] = [
    .systemLibrary(name: "tosoFFI", path: "Sources/tosoFFI"),
    .target(
        name: "Toso",
        dependencies: ["tosoFFI"],
        linkerSettings: [.unsafeFlags(["-L", library, "-ltoso_ffi", "-Xlinker", "-rpath", "-Xlinker", library])]
    ),
    .target(name: "Combine"),
    .target(name: "TosoField", dependencies: ["Toso", "Combine"]),
    .executableTarget(name: "EditUntilKilled", dependencies: ["Toso"]),
]
#else
let ofThePlatform: [Target] = [
    .binaryTarget(name: "TosoFFI", path: "Binaries/TosoFFI.xcframework"),
    .target(
        name: "Toso",
        dependencies: ["TosoFFI"],
        linkerSettings: [.linkedFramework("Security"), .linkedFramework("SystemConfiguration")]
    ),
    .target(name: "TosoField", dependencies: ["Toso"]),
]
#endif

// The language mode that the stories are compiled in: 6 unless TOSO_SWIFT_MODE says 5.
let mode: SwiftLanguageMode = ProcessInfo.processInfo.environment["TOSO_SWIFT_MODE"] == "5" ? .v5 : .v6

let package = Package(
    name: "Toso",
    // `Duration` is there from these on.
    platforms: [.iOS(.v16), .macOS(.v13)],
    products: [
        .library(name: "Toso", targets: ["Toso"]),
        .library(name: "TosoField", targets: ["TosoField"]),
    ],
    targets: ofThePlatform + [.testTarget(name: "TosoFieldTests", dependencies: ["Toso", "TosoField"])],
    swiftLanguageModes: [mode]
)
