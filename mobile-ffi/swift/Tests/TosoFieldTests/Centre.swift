// The real server, as a process of its own, and the officer's commands around it. TOSO_BINARY names the program.

import Foundation
import XCTest

/// A running `toso serve`. It ends with this object, and with the tests' process at the latest, since it watches its input.
final class Centre: @unchecked Sendable {
    let url: String
    private let data: URL
    private let process: Process
    private let input: Pipe

    init(in folder: URL) throws {
        data = folder.appendingPathComponent("centre")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let log = folder.appendingPathComponent("server.log")
        try Data().write(to: log)
        (process, input) = (Process(), Pipe())
        let said = Pipe()
        process.executableURL = try Self.program()
        process.arguments = ["serve", "--data", data.path, "--listen", "127.0.0.1:0", "--stop-with-stdin"]
        process.standardInput = input
        process.standardOutput = said
        process.standardError = try FileHandle(forWritingTo: log)
        try process.run()
        var line = ""
        while !line.contains("\n") {
            let more = said.fileHandleForReading.availableData
            guard !more.isEmpty else {
                throw Failed(what: "the server did not start: \((try? String(contentsOf: log, encoding: .utf8)) ?? "")")
            }
            line += String(decoding: more, as: UTF8.self)
        }
        url = line.trimmingCharacters(in: .whitespacesAndNewlines).components(separatedBy: " ").last ?? ""
    }

    deinit {
        end(by: SIGKILL)
    }

    /// A one-time invite for a recorder of a commune of the list of 2022: what a QR code would hold.
    func invite(_ commune: String) throws -> String {
        try toso(["invite"] + officer + ["--list", "2022", "--unit", commune, "--role", "recorder"])
    }

    /// Shuts a device out.
    func revoke(_ device: String) throws {
        _ = try toso(["device", "revoke"] + officer + ["--device", device])
    }

    /// Moves a device to another commune of the list of 2022.
    func move(_ device: String, to commune: String) throws {
        _ = try toso(["device", "move"] + officer + ["--device", device, "--to-list", "2022", "--to-unit", commune])
    }

    /// A number of the centre's report on a commune.
    func counted(_ what: String, _ commune: String) throws -> Int {
        let token = data.appendingPathComponent("admin.token").path
        let place = ["--list", "2022", "--unit", commune, "--format", "json"]
        let report = try toso(["report", "--server", url, "--token-file", token] + place)
        let values = try JSONSerialization.jsonObject(with: Data(report.utf8)) as? [String: Any]
        return try XCTUnwrap(values?[what] as? Int, "the report has no \(what): \(report)")
    }

    /// It no longer answers, and its connections stay open: a mast that is there and carries nothing.
    func stall() { kill(process.processIdentifier, SIGSTOP) }

    /// It answers again.
    func wake() { kill(process.processIdentifier, SIGCONT) }

    /// Sends a signal and waits for the end.
    func end(by signal: Int32) {
        guard process.isRunning else { return }
        kill(process.processIdentifier, SIGCONT)
        kill(process.processIdentifier, signal)
        process.waitUntilExit()
    }

    var isRunning: Bool { process.isRunning }

    private var officer: [String] {
        ["--server", url, "--admin-token-file", data.appendingPathComponent("admin.token").path]
    }

    private static func program() throws -> URL {
        guard let path = ProcessInfo.processInfo.environment["TOSO_BINARY"] else {
            throw Failed(what: "TOSO_BINARY must name the toso binary; `cargo xtask mobile swift` sets it")
        }
        return URL(fileURLWithPath: path)
    }

    /// Runs a command of the `toso` binary and gives what it prints.
    private func toso(_ arguments: [String]) throws -> String {
        let (command, said, complained) = (Process(), Pipe(), Pipe())
        command.executableURL = try Self.program()
        command.arguments = arguments
        command.standardOutput = said
        command.standardError = complained
        try command.run()
        let text = String(decoding: said.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        let errors = String(decoding: complained.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        command.waitUntilExit()
        guard command.terminationStatus == 0 else { throw Failed(what: "toso \(arguments[0]): \(errors)") }
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

/// Something around a story went wrong.
struct Failed: Error, CustomStringConvertible {
    let what: String
    var description: String { what }
}
