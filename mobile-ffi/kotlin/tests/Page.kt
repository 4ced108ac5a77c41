// The code of the page for app developers, `docs/mobile.md`, played. `cargo xtask mobile` compiles it beside these tests.

package vn.toso.tests

import kotlin.io.path.createDirectories
import kotlin.test.assertEquals
import kotlin.test.assertIs
import kotlinx.coroutines.async
import kotlinx.coroutines.coroutineScope
import uniffi.toso.BackgroundEnd
import vn.toso.page.SyncWithAButton
import vn.toso.page.firstDay

val pageStories = listOf(
    Story("the page's first day reaches the centre, and the second opens the team that is there") {
        val (folder, key, invite) = Triple(home("a").createDirectories().toString(), keyOf("a"), centre.invite(commune))
        val team = firstDay(folder, key, invite, "Thôn 1")
        assertEquals(team, firstDay(folder, key, invite, "thôn 01"))
        eventually("the centre counts it") { centre.counted("teams", commune) == 1 && centre.counted("members", commune) == 2 }
    },

    Story("the page's sync ends when its button is tapped") {
        val centre = anotherCentre()
        val phone = phone("a", centre)
        centre.stall()
        val sync = SyncWithAButton(phone)
        coroutineScope {
            val running = async { sync.run() }
            sync.buttonTapped()
            assertIs<BackgroundEnd.Stopped>(running.await())
        }
        sync.buttonTapped()
        centre.wake()
    },
)
