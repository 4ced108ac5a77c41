// The code of the page for app developers, `docs/mobile.md`, played. `cargo xtask mobile` puts it beside these tests, on Linux only: on a
// Mac the package is built as it is in git.

#if os(Linux)

import Foundation
import Toso
import XCTest

/// What the page takes from the sample, which has it where the Keychain is.
struct StoreKey {
    func load() throws -> Data { Data(repeating: 7, count: 32) }
}

final class PageTests: StoryCase {
    func testTheFirstDayReachesTheCentreAndTheSecondOpensTheTeamThatIsThere() async throws {
        let (folder, key, invite) = (scene.home("a").path, scene.key("a"), try scene.centre.invite(scene.commune))
        let team = try await firstDay(folder: folder, key: key, invite: invite, hamlet: "Thôn 1")
        let same = try await firstDay(folder: folder, key: key, invite: invite, hamlet: "thôn 01")
        XCTAssertEqual(team, same)
        try await eventually("the centre counts it") {
            let (centre, commune) = (try self.scene.centre, self.scene.commune)
            return try centre.counted("teams", commune) == 1 && centre.counted("members", commune) == 2
        }
    }

    func testTheSyncEndsWhenItsButtonIsTapped() async throws {
        let centre = try scene.centreOfItsOwn()
        let phone = try await scene.phone("a")
        centre.stall()
        let sync = SyncWithAButton(toso: phone)
        let running = Task { try await sync.run() }
        sync.buttonTapped()
        let end = try await running.value
        XCTAssertEqual(end, .stopped)
    }
}

#endif
