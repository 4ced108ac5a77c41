// Background work, bad networks, cancelled tasks, and what a killed process keeps.

import Foundation
import Toso
import TosoField
import XCTest

/// How soon a cancelled call is back on a machine that has nothing else to do is printed; this is for one that has. Without a
/// signal the calls below would wait for a minute.
private let backWithin: Duration = .seconds(10)

final class SyncingTests: StoryCase {
    func testBackgroundSyncSaysWhatItDidAndKeepsItsDeadline() async throws {
        let centre = try scene.centreOfItsOwn()
        let phone = try await scene.phone("a")
        let team = try await phone.record("Thôn 1", 1)
        let (done, next) = try await phone.syncInBackground(atMost: .seconds(20))
        XCTAssertEqual(done.end, .done)
        XCTAssertEqual(next, .wait)
        XCTAssertEqual(done.sent, 1)
        XCTAssertGreaterThan(done.bytesUp, 0)

        _ = try await phone.editTeam(id: team, edits: [.note(text: "chưa gửi")])
        centre.stall()
        let (late, again) = try await phone.syncInBackground(atMost: .milliseconds(1500))
        XCTAssertEqual(late.end, .deadline)
        XCTAssertEqual(again, .tryAgain)
        centre.end(by: SIGKILL)
        let (failed, _) = try await phone.syncInBackground(atMost: .seconds(20))
        guard case .failed(.Offline) = failed.end else { return XCTFail("\(failed.end)") }
        XCTAssertEqual(try phone.status().unsent, 1, "what was not sent waits")
        XCTAssertEqual(try phone.team(id: team).note, "chưa gửi")
    }

    /// What `expirationHandler` needs, for each call that waits for a network.
    func testACancelledTaskIsBackAtOnceAndLosesNothing() async throws {
        let centre = try scene.centreOfItsOwn()
        let phone = try await scene.phone("a")
        let newcomer = try await scene.openPhone("b")
        let invite = try centre.invite(scene.commune)
        let team = try await phone.record("Thôn 5", 1)
        centre.stall()

        let syncing = Task { try await phone.syncInBackground(atMost: .seconds(60)) }
        try await Task.sleep(for: .milliseconds(300))
        let ended = try await cancel(syncing)
        XCTAssertLessThan(ended.took, backWithin)
        XCTAssertEqual(try ended.result.get().done.end, .stopped)
        XCTAssertEqual(try ended.result.get().next, .tryAgain)

        let fetching = Task { try await phone.fetchBundleKey() }
        let joining = Task { try await newcomer.enrol(invite: invite) }
        try await Task.sleep(for: .milliseconds(100))
        for (outcome, took) in [try await cancel(fetching).asError, try await cancel(joining).asError] {
            XCTAssertLessThan(took, backWithin)
            XCTAssertTrue(outcome is CancellationError, "\(String(describing: outcome))")
        }

        centre.wake()
        try await phone.syncUntilCounted(team)
        try await newcomer.enrol(invite: invite)
        XCTAssertEqual(try newcomer.status().unit?.unit, "2022/\(scene.commune)")
    }

    func testATaskThatIsCancelledBeforeItBeginsExchangesNothing() async throws {
        let phone = try await scene.phone("a")
        _ = try await phone.record("Thôn 1", 1)
        let work = Task {
            while !Task.isCancelled { await Task.yield() }
            return try await phone.runBackgroundSync(atMost: .seconds(30))
        }
        work.cancel()
        let end = try await work.value.end
        XCTAssertEqual(end, .stopped)
        XCTAssertEqual(try phone.status().unsent, 1)
        try await phone.sync()
    }

    func testASignalMayBeStoppedBeforeItsCallAndLetGoDuringIt() async throws {
        let (phone, newcomer) = (try await scene.phone("a"), try await scene.openPhone("b"))
        let invite = try scene.centre.invite(scene.commune)
        _ = try await phone.record("Thôn 1", 1)
        let stopped = StopSignal()
        stopped.stop()
        let end = try await phone.runBackgroundSync(deadlineMs: 60_000, stop: stopped).end
        XCTAssertEqual(end, .stopped)
        let errors = [
            try await refusal("a key") { try await phone.fetchBundleKey(unit: nil, stop: stopped) },
            try await refusal("an invite") { _ = try await newcomer.enrol(invite: invite, stop: stopped) },
        ]
        for error in errors { guard case .Stopped = error else { return XCTFail("\(error)") } }
        XCTAssertEqual(try phone.status().unsent, 1)
        let done = try await phone.runBackgroundSync(deadlineMs: 30_000, stop: StopSignal()).end
        XCTAssertEqual(done, .done)
    }

    func testTimesOfAnySizeTrapNowhere() async throws {
        let phone = try await scene.phone("a")
        for time in [Duration.seconds(-5), .zero, .nanoseconds(1)] {
            let end = try await phone.runBackgroundSync(atMost: time).end
            XCTAssertEqual(end, .deadline, "\(time)")
        }
        for time in [Duration.seconds(Int64.max), .seconds(1e15)] {
            let end = try await phone.runBackgroundSync(atMost: time).end
            XCTAssertEqual(end, .done, "\(time)")
        }
    }

    func testLiveSyncFollowsTheApp() async throws {
        let (a, b) = (try await scene.phone("a"), try await scene.phone("b"))
        for phone in [a, b] { try phone.startSync() }
        try await eventually("both are in touch") { try a.syncState() == .upToDate && b.syncState() == .upToDate }
        let team = try await a.record("Thôn 1", 1)
        try await eventually("the other phone has it, with nobody asking") { try b.teams().contains { $0.id == team } }
        try b.appBackgrounded()
        XCTAssertEqual(try b.syncState(), .stopped)
        _ = try await a.editTeam(id: team, edits: [.householdsCovered(households: 7)])
        try await eventually("the centre has it") { try a.status().unsent == 0 }
        XCTAssertEqual(try b.team(id: team).householdsCovered, 1)
        try b.appForegrounded()
        try await eventually("it catches up") { try b.team(id: team).householdsCovered == 7 }
    }

    func testAProcessThatIsKilledInMidEditKeepsEverySaveThatHadReturned() async throws {
        let joined = try await scene.phone("a")
        joined.shutdown()
        let child = Process(), said = Pipe()
        child.executableURL = Self.beside("EditUntilKilled")
        child.arguments = [scene.home("a").path, scene.key("a").map { String(format: "%02x", $0) }.joined()]
        child.standardOutput = said
        try child.run()
        var text = ""
        while text.components(separatedBy: "\n").count < 12 {
            let more = said.fileHandleForReading.availableData
            guard !more.isEmpty else { return XCTFail("the child ended by itself: \(text)") }
            text += String(decoding: more, as: UTF8.self)
        }
        kill(child.processIdentifier, SIGKILL)
        text += String(decoding: said.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        child.waitUntilExit()
        let saved = text.components(separatedBy: "\n").dropLast().map { $0.replacingOccurrences(of: "saved ", with: "") }

        let phone = try await scene.openPhone("a")
        let here = Set(try phone.teams().map(\.id))
        XCTAssertEqual(saved.filter { !here.contains($0) }, [], "saves that had returned are gone")
        XCTAssertLessThanOrEqual(here.count, saved.count + 1, "at most the one under way besides")
        try await phone.syncUntilCounted(try XCTUnwrap(saved.last))
        XCTAssertEqual(try scene.centre.counted("teams", scene.commune), here.count)
    }

    /// A program that Swift starts inherits a mask that holds SIGTERM back.
    func testAServerThatSwiftStartsEndsWhenItIsAsked() async throws {
        let centre = try scene.centreOfItsOwn()
        centre.end(by: SIGTERM)
        XCTAssertFalse(centre.isRunning)
    }

    /// Cancels a task; gives how it ended, and how long that took.
    private func cancel<Value>(_ task: Task<Value, Error>) async throws -> Ended<Value> {
        let begun = ContinuousClock.now
        task.cancel()
        let result = await task.result
        let took = ContinuousClock.now - begun
        print("swift: cancelled, back after \(took)")
        return Ended(result: result, took: took)
    }

    /// A program that was built beside the tests.
    private static func beside(_ name: String) -> URL {
        URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().appendingPathComponent(name)
    }
}

/// How a cancelled task ended.
private struct Ended<Value: Sendable>: Sendable {
    let result: Result<Value, Error>
    let took: Duration

    var asError: (Error?, Duration) {
        if case .failure(let error) = result { (error, took) } else { (nil, took) }
    }
}
