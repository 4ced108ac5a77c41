// swift-tools-version: 5.9
// The mobile library as a Swift package, with a sample of what an app builds on it. `cargo xtask ios` makes the two parts that are not in
// git: `Binaries/TosoFFI.xcframework`, the library itself, and `Sources/Toso`, its Swift sources.

import PackageDescription

let package = Package(
    name: "Toso",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [
        .library(name: "Toso", targets: ["Toso"]),
        .library(name: "TosoField", targets: ["TosoField"]),
    ],
    targets: [
        .binaryTarget(name: "TosoFFI", path: "Binaries/TosoFFI.xcframework"),
        .target(
            name: "Toso",
            dependencies: ["TosoFFI"],
            linkerSettings: [.linkedFramework("Security"), .linkedFramework("SystemConfiguration")]
        ),
        .target(name: "TosoField", dependencies: ["Toso"]),
        .testTarget(name: "TosoFieldTests", dependencies: ["TosoField"]),
    ]
)
