// The sample's model, which an app could take over, played without a screen; and what a scheduler does next.

import Foundation
import Toso
import TosoField
import XCTest

final class ModelTests: StoryCase {
    func testTheCommunesScreen() async throws {
        let phone = try await scene.phone("a")
        let model = await CommuneModel(toso: phone, language: .vietnamese)
        await model.addTeam(hamlet: "Thôn 3")
        try await eventually("the team is shown") { await model.teams.map(\.title) == ["Thôn 3"] }
        let saved = await model.teams.first?.receipt
        XCTAssertEqual(saved, .saved)
        await model.appear()
        try await eventually("it syncs by itself, and the centre counts") {
            let (sync, receipt, counted) = await (model.sync, model.teams.first?.receipt, model.counted?.teams)
            return sync == .upToDate && receipt == .counted && counted == 1
        }
        await model.addTeam(hamlet: "thôn 03")
        let (opened, first, notice) = await (model.openInstead, model.teams.first?.id, model.notice)
        XCTAssertEqual(opened, first, "the hamlet has a team: offer that one")
        XCTAssertTrue((notice ?? "").contains { "ăâđêôơưáàảãạếềểễệốồổỗộ".contains($0) }, "in Vietnamese: \(notice ?? "")")
        await model.disappear()
        try await eventually("behind another app it is silent") { await model.sync == .stopped }
    }

    func testEachEndHasItsNextStep() {
        let info = ErrorInfo(key: "key", args: [:], detail: "detail")
        XCTAssertEqual(next(after: .done), .wait)
        XCTAssertEqual(next(after: .deadline), .tryAgain)
        XCTAssertEqual(next(after: .stopped), .tryAgain)
        XCTAssertEqual(next(after: .failed(error: .Offline(info: info))), .tryAgain)
        XCTAssertEqual(next(after: .failed(error: .NotEnrolled(info: info))), .wait)
        XCTAssertEqual(next(after: .failed(error: .NotAllowed(info: info))), .tellPerson)
    }

    func testTimesAreDatesAndDurations() async throws {
        let phone = try await scene.phone("a")
        XCTAssertGreaterThan(try XCTUnwrap(phone.status().tokenEnds), Date())
        let info = ErrorInfo(key: "key", args: [:], detail: "detail")
        XCTAssertEqual(TosoError.ServerBusy(info: info, retryAfterMs: 1500).retryAfter, .milliseconds(1500))
        XCTAssertGreaterThan(try XCTUnwrap(TosoError.ServerBusy(info: info, retryAfterMs: .max).retryAfter), .seconds(1e15))
        XCTAssertNil(TosoError.Offline(info: info).retryAfter)
    }

    /// What an app shows when it hands an error on, whichever error it is.
    func testErrorsSpeakToPeople() async throws {
        let phone = try await scene.phone("a")
        let team = try await phone.record("Thôn 1", 1)
        let newcomer = try await scene.openPhone("b")
        let errors = [
            try await refusal("a record before joining") { _ = try await newcomer.record("Thôn 1", 1) },
            try await refusal("a second team") { _ = try await phone.record("thôn 01", 1) },
            try await refusal("no link") { _ = try await phone.editTeam(id: team, edits: [.zaloLink(link: "not a link")]) },
            try await refusal("no id") { _ = try phone.team(id: "no id") },
            try await refusal("no invite") { _ = try readInvite(invite: "https://example.vn/") },
        ]
        for error in errors {
            let texts = [errorText(error: error, language: .vietnamese), errorText(error: error, language: .english)]
            XCTAssertTrue(texts.contains(error.localizedDescription), error.localizedDescription)
            XCTAssertNotEqual(texts[0], texts[1])
            XCTAssertFalse(error.localizedDescription.contains("ErrorInfo"), error.localizedDescription)
            print("swift: \(texts[0]) / \(texts[1])")
        }
    }
}
