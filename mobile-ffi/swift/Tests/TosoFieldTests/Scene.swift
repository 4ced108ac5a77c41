// What a story plays with: a centre that all share, a commune of its own, and phones in folders of their own.

import Foundation
import Toso
import XCTest

/// One story's world. Everything of it is closed and gone when the story ends.
final class Scene {
    let commune: String
    let folder: URL
    private var keys: [String: Data] = [:]
    private var open: [TosoClient] = []
    private var ownCentre: Centre?

    private static let root = FileManager.default.temporaryDirectory.appendingPathComponent("toso-swift-\(UUID().uuidString)")
    private static let shared = Result { try Centre(in: root) }
    private static let communes = Communes()

    init() throws {
        commune = Self.communes.next()
        folder = Self.root.appendingPathComponent(commune)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    func close() {
        open.reversed().forEach { $0.shutdown() }
        ownCentre = nil
        try? FileManager.default.removeItem(at: folder)
    }

    /// The centre: the one that all share, or this story's own once it has asked for one.
    var centre: Centre {
        get throws { try ownCentre ?? Self.shared.get() }
    }

    /// A centre for this story alone, that it may stop.
    func centreOfItsOwn() throws -> Centre {
        let centre = try Centre(in: folder.appendingPathComponent("own"))
        ownCentre = centre
        return centre
    }

    func home(_ name: String) -> URL { folder.appendingPathComponent(name) }

    /// The key that a phone keeps for itself.
    func key(_ name: String) -> Data {
        let key = keys[name] ?? randomKey()
        keys[name] = key
        return key
    }

    /// Opens a phone's folder, with its own key unless another is given.
    func openPhone(_ name: String, key: Data? = nil, log: LogSink? = nil) async throws -> TosoClient {
        let config = TosoConfig(folder: home(name).path, key: key ?? self.key(name), deviceName: "Điện thoại thử")
        let phone = try await TosoClient.open(config: config, log: log)
        open.append(phone)
        return phone
    }

    /// A phone that has joined as recorder of the story's commune, while it had a network.
    func phone(_ name: String) async throws -> TosoClient {
        let phone = try await openPhone(name)
        try await phone.enrol(invite: centre.invite(commune))
        return phone
    }
}

/// Communes of the list of 2022, one for each story, so that stories do not see each other.
private final class Communes: @unchecked Sendable {
    private let lock = NSLock()
    private var left = [
        "00103", "00106", "00109", "00112", "00115", "00118", "00121", "00124", "00127", "00130", "00133", "00136", "00139", "00142",
        "00145", "00148", "00151", "00154", "00157", "00160", "00163", "00166", "00167", "00169", "00172", "00175", "00178", "00181",
        "00187", "00190", "00193", "00196", "00199", "00202", "00205", "00208",
    ]

    func next() -> String {
        lock.withLock {
            precondition(!left.isEmpty, "more stories than communes: add some")
            return left.removeFirst()
        }
    }
}

func randomKey() -> Data { Data((0..<32).map { _ in UInt8.random(in: 0...255) }) }

extension TosoClient {
    /// The hamlet's team, with a number of households.
    func record(_ hamlet: String, _ households: UInt32) async throws -> String {
        try await addTeam(team: NewTeam(hamlet: hamlet, edits: [.householdsCovered(households: households)]))
    }

    /// One bounded sync that must do all there is to do.
    @discardableResult
    func sync() async throws -> BackgroundSync {
        let done = try await runBackgroundSync(atMost: .seconds(30))
        guard done.end == .done else { throw Failed(what: "sync did not end well: \(done.end)") }
        return done
    }

    /// Syncs until the centre has counted a team.
    func syncUntilCounted(_ team: String) async throws {
        try await eventually("the centre counts \(team)") {
            try await self.sync()
            return try self.team(id: team).receipt == .counted
        }
    }
}

/// Waits for something that happens by itself.
func eventually(_ what: String, _ holds: () async throws -> Bool) async throws {
    let begun = Date()
    while try await !holds() {
        guard Date().timeIntervalSince(begun) < 30 else { throw Failed(what: "it did not happen: \(what)") }
        try await Task.sleep(for: .milliseconds(20))
    }
}

/// An observer that writes everything down.
final class Notes: TosoObserver, @unchecked Sendable {
    private let lock = NSLock()
    private var written: [TosoEvent] = []
    private let atEnd: @Sendable () -> Void

    init(atEnd: @escaping @Sendable () -> Void = {}) { self.atEnd = atEnd }

    deinit { atEnd() }

    var events: [TosoEvent] { lock.withLock { written } }

    func onEvent(event: TosoEvent) { lock.withLock { written.append(event) } }

    func heardOf(_ document: String) -> Bool {
        events.contains { event in
            if case .documents(let ids, _) = event { return ids.contains(document) }
            return false
        }
    }
}

/// A number that several threads count with.
final class Counter: @unchecked Sendable {
    private let lock = NSLock()
    private var value = 0

    var count: Int { lock.withLock { value } }

    func add(_ step: Int) { lock.withLock { value += step } }
}

/// A story's test case: a scene before, and nothing left after.
class StoryCase: XCTestCase {
    private(set) var scene: Scene!

    override func setUp() async throws { scene = try Scene() }

    override func tearDown() async throws {
        scene.close()
        scene = nil
    }
}

/// Runs what must fail with the library's error, and gives that.
func refusal(_ what: String, _ call: () async throws -> Void) async throws -> TosoError {
    do {
        try await call()
    } catch let error as TosoError {
        return error
    }
    throw Failed(what: "it was not refused: \(what)")
}
