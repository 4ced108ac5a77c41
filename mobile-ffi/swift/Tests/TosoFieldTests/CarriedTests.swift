// Phones that help each other where no server is in reach.

import Foundation
import Toso
import XCTest

final class CarriedTests: StoryCase {
    func testABundleReachesTheCentreAndTheReceiptComesBack() async throws {
        let (a, b) = (try await scene.phone("a"), try await scene.phone("b"))
        let team = try await a.record("Thôn Xa", 9)
        let bundle: SealedBundle = try await a.makeBundle()
        XCTAssertEqual(bundle.batches, 1)
        XCTAssertNil(bundle.bytes.range(of: Data("Thôn Xa".utf8)), "a bundle cannot be read on the way")
        let cut = try await refusal("a bundle that was cut") { _ = try await b.openBundle(bytes: bundle.bytes.dropLast()) }
        guard case .BadBundle = cut else { return XCTFail("\(cut)") }
        let taken = try await b.openBundle(bytes: bundle.bytes)
        XCTAssertEqual(taken.batches, 1)
        XCTAssertEqual(try b.team(id: team).householdsCovered, 9, "the carrying phone shows it, too")
        try await b.sync()
        try await eventually("the centre counts what was carried") {
            try self.scene.centre.counted("teams", self.scene.commune) == 1
        }
        try await b.sync()
        XCTAssertEqual(try a.team(id: team).receipt, .saved)
        _ = try await a.openBundle(bytes: try await b.makeBundle().bytes)
        XCTAssertNotEqual(try a.team(id: team).receipt, .saved)
        // A carrier's word empties no outbox: when A meets the centre itself, it asks.
        XCTAssertEqual(try a.status().unsent, 1)
        try await a.syncUntilCounted(team)
        XCTAssertEqual(try a.status().unsent, 0)
    }

    func testTwoPhonesMeetAndGiveEachOtherWhatWaits() async throws {
        let (a, b) = (try await scene.phone("a"), try await scene.phone("b"))
        let teams = [try await a.record("Thôn A", 1), try await b.record("Thôn B", 2)]
        let (calling, called) = (try await a.meet(side: .caller), try await b.meet(side: .called))
        var (toCalled, toCalling) = (calling.start(), called.start())
        var (oneEnded, otherEnded) = (false, false)
        while !(oneEnded && otherEnded) {
            guard !toCalled.isEmpty || !toCalling.isEmpty else { return XCTFail("both wait for the other") }
            for bytes in toCalled {
                let step = try await called.receive(bytes: bytes)
                toCalling += step.send
                otherEnded = step.ended
            }
            toCalled = []
            for bytes in toCalling {
                let step = try await calling.receive(bytes: bytes)
                toCalled += step.send
                oneEnded = step.ended
            }
            toCalling = []
        }
        try calling.closed()
        try called.closed()
        XCTAssertEqual(try calling.report().peer, try b.status().device)
        XCTAssertEqual(try calling.report().given, 1)
        XCTAssertEqual(try called.report().given, 1)
        for phone in [a, b] { XCTAssertEqual(Set(try phone.teams().map(\.id)), Set(teams)) }
    }

    func testAStrangerAtTheOtherEndIsAnErrorAndWhatWasThereStays() async throws {
        let phone = try await scene.phone("a")
        let team = try await phone.record("Thôn A", 1)
        let session = try await phone.meet(side: .caller)
        _ = session.start()
        let stranger = try await refusal("a stranger") {
            let answer = String(repeating: "HTTP/1.1 400 Bad Request\r\n\r\n", count: 9000)
            _ = try await session.receive(bytes: Data(answer.utf8))
        }
        guard case .BadBundle = stranger else { return XCTFail("\(stranger)") }
        let cut = try await phone.meet(side: .caller)
        let early = try await refusal("a pipe that broke") { try cut.closed() }
        guard case .Offline = early else { return XCTFail("\(early)") }
        XCTAssertEqual(try phone.team(id: team).householdsCovered, 1)
        XCTAssertEqual(try phone.status().unsent, 1)
    }
}
