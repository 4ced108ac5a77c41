// Two phones without a network, the same hamlet, and what happens when they meet at the centre.

import Foundation
import Toso
import TosoField
import XCTest

final class TogetherTests: StoryCase {
    func testTwoPhonesRecordOneHamletAndTheClashIsSettled() async throws {
        let (a, b) = (try await scene.phone("a"), try await scene.phone("b"))
        for phone in [a, b] { try phone.networkChanged(kind: .none) }
        let team = try await a.record("Thôn 01", 120)
        let same = try await b.record("thôn 1", 135)
        XCTAssertEqual(team, same)
        _ = try await a.addMember(member: NewMember(team: team, fullName: "Nguyễn Văn Thử", edits: [.role(role: .leader)]))
        _ = try await b.addMember(member: NewMember(team: team, fullName: "Trần Thị Mẫu"))

        for phone in [a, b, a] { try await phone.sync() }
        for phone in [a, b] {
            XCTAssertEqual(Set(try phone.members(team: team).compactMap(\.fullName)), ["Nguyễn Văn Thử", "Trần Thị Mẫu"])
            // One hamlet written two ways is no question to ask a person.
            let clash = try XCTUnwrap(try phone.conflicts().first)
            XCTAssertEqual(try phone.conflicts().map(\.field), ["households_covered"])
            XCTAssertEqual(Set(clash.values.map(\.value)), ["120", "135"])
            XCTAssertEqual(clash.values.filter(\.shown).count, 1)
        }

        try await a.resolve(id: team, field: "households_covered", value: "135")
        for phone in [a, b] { try await phone.sync() }
        for phone in [a, b] {
            XCTAssertEqual(try phone.conflicts(), [])
            XCTAssertEqual(try phone.team(id: team).householdsCovered, 135)
        }
        try await a.syncUntilCounted(team)
        XCTAssertEqual(try scene.centre.counted("teams", scene.commune), 1)
        XCTAssertEqual(try scene.centre.counted("members", scene.commune), 2)
        XCTAssertEqual(try a.totals()?.members, 2)
    }

    func testObserversHearAndAClosedOneHearsNothingMore() async throws {
        let (a, b) = (try await scene.phone("a"), try await scene.phone("b"))
        let team = try await a.record("Thôn 2", 10)
        for phone in [a, b] { try await phone.sync() }
        let (kept, closed) = (Notes(), Notes())
        let (first, second) = (try a.observe(observer: kept), try a.observe(observer: closed))
        _ = try await b.editTeam(id: team, edits: [.note(text: "của máy B")])
        for phone in [b, a] { try await phone.sync() }
        try await eventually("both observers hear of the team") { kept.heardOf(team) && closed.heardOf(team) }
        second.cancel()
        // A call that was under way may still come. It knows nothing of what is recorded from here on.
        let after = try await a.record("Thôn 3", 1)
        _ = try await a.editTeam(id: team, edits: [.householdsCovered(households: 11)])
        _ = try await b.editTeam(id: team, edits: [.householdsCovered(households: 12)])
        try await b.sync()
        try await a.syncUntilCounted(team)
        try await eventually("the clash, the count and sync are told") {
            let told = kept.events
            return told.contains(where: { if case .conflicts(let ids) = $0 { ids.contains(team) } else { false } })
                && told.contains(.receipts)
                && told.contains(where: { if case .sync = $0 { true } else { false } })
        }
        try await eventually("the team after the end is told to the other one") { kept.heardOf(after) }
        for event in closed.events {
            if case .conflicts = event { XCTFail("a closed observer was called: \(event)") }
            if case .documents(let ids, _) = event, ids.contains(after) { XCTFail("a closed observer was called: \(event)") }
        }
        first.cancel()
    }

    func testObserversAreLetGo() async throws {
        let phone = try await scene.phone("a")
        let gone = Counter()
        do {
            let notes = Notes(atEnd: { gone.add(1) })
            let handle = try phone.observe(observer: notes)
            let team = try await phone.record("Thôn 7", 1)
            try await eventually("it hears") { notes.heardOf(team) }
            handle.cancel()
        }
        try await eventually("a cancelled one is let go") { gone.count == 1 }
        let kept = try phone.observe(observer: Notes(atEnd: { gone.add(1) }))
        phone.shutdown()
        try await eventually("all are let go with the folder") { gone.count == 2 }
        kept.cancel()
    }

    func testEventsAsASequenceEndWithTheirReader() async throws {
        let phone = try await scene.phone("a")
        let events = try phone.events()
        let heard = Notes()
        let reading = Task {
            for await event in events { heard.onEvent(event: event) }
        }
        let team = try await phone.record("Thôn 3", 1)
        try await eventually("the reader hears of the team") { heard.heardOf(team) }
        XCTAssertEqual(heard.events.first, .documents(ids: [], all: true), "everything is to be read first")
        reading.cancel()
        await reading.value

        let witness = Notes()
        let handle = try phone.observe(observer: witness)
        let after = try await phone.record("Thôn 4", 1)
        try await eventually("the team after the end is told to another one") { witness.heardOf(after) }
        XCTAssertFalse(heard.heardOf(after), "a sequence that nobody reads goes on: \(heard.events)")
        handle.cancel()
    }

    func testTwoHundredEditsAtOnce() async throws {
        let phone = try await scene.phone("a")
        let team = try await phone.record("Bản Thử", 1)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for households in UInt32(2)..<202 {
                group.addTask { _ = try await phone.editTeam(id: team, edits: [.householdsCovered(households: households)]) }
            }
            try await group.waitForAll()
        }
        try await phone.syncUntilCounted(team)
        XCTAssertEqual(try phone.history(id: team).count, 201)
    }

    func testJoiningSaysWhatAnInviteIsForAndWorksOnce() async throws {
        let invite = try scene.centre.invite(scene.commune)
        let read = try readInvite(invite: invite)
        XCTAssertEqual(read.server, try scene.centre.url)
        XCTAssertEqual(read.role, "recorder")
        XCTAssertGreaterThan(read.expiresAt, Date())
        let phone = try await scene.openPhone("a")
        let early = try await refusal("a record before joining") { _ = try await phone.record("Thôn 1", 1) }
        guard case .NotEnrolled = early else { return XCTFail("\(early)") }
        let unit = try await phone.enrol(invite: invite)
        XCTAssertEqual(unit.unit, "2022/\(scene.commune)")
        try await phone.enrol(invite: invite)
        let other = try await scene.openPhone("b")
        let used = try await refusal("an invite of another phone") { try await other.enrol(invite: invite) }
        guard case .BadInvite = used else { return XCTFail("\(used)") }
    }

    func testAHamletsSecondTeamNamesTheFirst() async throws {
        let phone = try await scene.phone("a")
        let team = try await phone.record("Xóm Thử", 1)
        let exists = try await refusal("a second team") { _ = try await phone.record("xóm thử", 2) }
        guard case .TeamExists(_, let id) = exists else { return XCTFail("\(exists)") }
        XCTAssertEqual(id, team)
    }
}
