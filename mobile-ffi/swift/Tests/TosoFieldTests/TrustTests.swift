// Keys, what lies on the disk, devices that are shut out or moved, and what the log says of people.

import Foundation
import Toso
import XCTest

final class TrustTests: StoryCase {
    func testAWrongKeyOpensNothingAndNothingReadableLiesInTheFolder() async throws {
        let phone = try await scene.phone("a")
        let team = try await phone.record("Thôn Kín Đáo", 1)
        let edits = [MemberEdit.phone(phone: "0912 000 001")]
        _ = try await phone.addMember(member: NewMember(team: team, fullName: "Nguyễn Văn Thử", edits: edits))
        phone.shutdown()
        let closed = try await refusal("a call after the end") { _ = try phone.teams() }
        guard case .Closed = closed else { return XCTFail("\(closed)") }
        for wrong in [randomKey(), Data(repeating: 0, count: 31)] {
            let refused = try await refusal("a wrong key") { _ = try await self.scene.openPhone("a", key: wrong) }
            guard case .WrongKey = refused else { return XCTFail("\(refused)") }
        }
        let files = FileManager.default.enumerator(at: scene.home("a"), includingPropertiesForKeys: nil)
        let disk = (files?.allObjects ?? []).compactMap { ($0 as? URL).flatMap { try? Data(contentsOf: $0) } }.reduce(Data(), +)
        XCTAssertGreaterThan(disk.count, 1000, "there is something to search")
        for secret in ["Nguyễn Văn Thử", "Kín Đáo", "912000001", try scene.centre.url] {
            XCTAssertNil(disk.range(of: Data(secret.utf8)), "\(secret) can be read in the folder")
        }
        let again = try await scene.openPhone("a")
        XCTAssertEqual(try again.members(team: team).count, 1)
    }

    func testTheKeyCanBeRotated() async throws {
        let phone = try await scene.phone("a")
        let team = try await phone.record("Thôn 1", 3)
        let new = randomKey()
        try await phone.rotateKey(oldKey: scene.key("a"), newKey: new)
        phone.shutdown()
        let refused = try await refusal("the old key") { _ = try await self.scene.openPhone("a") }
        guard case .WrongKey = refused else { return XCTFail("\(refused)") }
        let again = try await scene.openPhone("a", key: new)
        XCTAssertEqual(try again.team(id: team).householdsCovered, 3)
    }

    func testARevokedDeviceForgetsEverythingAndAPersonIsTold() async throws {
        let phone = try await scene.phone("a")
        _ = try await phone.record("Thôn 1", 1)
        try await phone.sync()
        let notes = Notes()
        let handle = try phone.observe(observer: notes)
        try scene.centre.revoke(phone.status().device)
        let done = try await phone.runBackgroundSync(atMost: .seconds(20))
        guard case .failed(.NotAllowed) = done.end else { return XCTFail("\(done.end)") }
        try await eventually("the app is told that nothing is left") {
            notes.events.contains { if case .wiped(_, everything: true) = $0 { true } else { false } }
        }
        XCTAssertEqual(try phone.teams(), [])
        handle.cancel()
    }

    func testAMovedDeviceGoesOnInItsNewUnit() async throws {
        let phone = try await scene.phone("a")
        let team = try await phone.record("Thôn 1", 1)
        try await phone.syncUntilCounted(team)
        try scene.centre.move(phone.status().device, to: "00184")
        try await eventually("it has heard") {
            _ = try await phone.runBackgroundSync(atMost: .seconds(20))
            return try phone.status().unit?.unit == "2022/00184"
        }
        XCTAssertEqual(try phone.teams(), [], "what belongs to the commune it left is gone")
        let new = try await phone.record("Thôn Mới", 2)
        try await phone.syncUntilCounted(new)
        XCTAssertEqual(try scene.centre.counted("teams", "00184"), 1)
    }

    func testTheLogHoldsNoPerson() async throws {
        let log = Lines()
        let phone = try await scene.openPhone("a", log: log)
        try await phone.enrol(invite: scene.centre.invite(scene.commune))
        let team = try await phone.record("Thôn Bí Mật", 1)
        let edits = [MemberEdit.phone(phone: "0912 000 001")]
        _ = try await phone.addMember(member: NewMember(team: team, fullName: "Nguyễn Văn Kín", edits: edits))
        try await phone.sync()
        phone.shutdown()
        XCTAssertFalse(log.text.isEmpty)
        for secret in ["Kín", "0912", "912000001", "Bí Mật"] { XCTAssertFalse(log.text.contains(secret), secret) }
    }
}

private final class Lines: LogSink, @unchecked Sendable {
    private let lock = NSLock()
    private var lines: [String] = []

    var text: String { lock.withLock { lines.joined(separator: "\n") } }

    func log(level: LogLevel, target: String, line: String) { lock.withLock { lines.append(line) } }
}
