// The sample's view model, which an Android app could take over, played without a screen.

package vn.toso.tests

import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.cancelAndJoin
import uniffi.toso.BackgroundEnd
import uniffi.toso.ErrorInfo
import uniffi.toso.Language
import uniffi.toso.Receipt
import uniffi.toso.Role
import uniffi.toso.SyncState
import uniffi.toso.TeamEdit
import uniffi.toso.TosoException
import uniffi.toso.errorText
import uniffi.toso.languageOfThisPhone
import uniffi.toso.readInvite
import vn.toso.sample.CommuneState
import vn.toso.sample.CommuneViewModel
import vn.toso.sample.Next
import vn.toso.sample.nextAfter

val modelStories = listOf(
    Story("the commune's screen: a team from typed to counted, a clash settled by one tap, a mistake told in Vietnamese") {
        val (toso, other) = phone("a") to phone("b")
        val life = Job()
        val model = CommuneViewModel(toso, CoroutineScope(life + Dispatchers.Default))
        // The very state that was waited for: the next one may be there already.
        suspend fun screen(what: String, wanted: (CommuneState) -> Boolean): CommuneState {
            var seen = model.state.value
            eventually(what) { seen = model.state.value; wanted(seen) }
            return seen
        }

        model.addTeam("Thôn 1", listOf(TeamEdit.HouseholdsCovered(20u)))
        val row = screen("the team is shown, saved here") { it.teams.size == 1 }.teams.single()
        assertEquals(Receipt.SAVED, row.receipt)
        assertEquals("Thôn 1", row.title)
        model.addMember(row.id, "Trần Thị Mẫu", Role.LEADER)
        screen("the member is counted in the row") { it.teams.single().members == 1 }

        model.shown()
        screen("it syncs by itself, and the centre counts") {
            it.sync is SyncState.UpToDate && it.teams.single().receipt == Receipt.COUNTED && it.counted?.members == 1uL
        }
        model.hidden()
        screen("behind another app it is silent") { it.sync is SyncState.Stopped }

        model.editTeam(row.id, listOf(TeamEdit.HouseholdsCovered(21u)))
        other.sync()
        other.editTeam(row.id, listOf(TeamEdit.HouseholdsCovered(22u)))
        other.sync()
        model.shown()
        val clash = screen("the clash is on the row") { it.teams.single().conflicts.isNotEmpty() }.teams.single().conflicts.single()
        model.settle(clash, "22")
        screen("one tap settles it") { it.teams.single().conflicts.isEmpty() }
        assertEquals(22L, toso.team(row.id).householdsCovered)

        model.addTeam("thôn 01")
        assertEquals(row.id, screen("the hamlet has a team: offer that one") { it.openInstead != null }.openInstead)
        model.noticeSeen()
        model.addMember(row.id, " ", Role.MEMBER)
        val notice = screen("a nameless member is a notice") { it.notice != null }.notice.orEmpty()
        assertTrue(notice.any { it in "ăâđêôơưáàảãạếềểễệốồổỗộ" }, "in Vietnamese: $notice")

        model.search("tran thi mau")
        assertEquals("Trần Thị Mẫu", screen("the search finds her without her marks") { it.found?.size == 1 }.found?.single()?.name)
        model.search("")
        screen("the search ends") { it.found == null }

        life.cancelAndJoin()
        val last = model.state.value
        toso.editTeam(row.id, listOf(TeamEdit.HouseholdsCovered(23u)))
        toso.sync()
        assertEquals(last, model.state.value, "a model whose scope has ended is at rest")
    },

    Story("a revoked device's screen says so") {
        val toso = phone("a")
        val life = Job()
        val model = CommuneViewModel(toso, CoroutineScope(life + Dispatchers.Default))
        model.addTeam("Thôn 1")
        eventually("the team is there") { model.state.value.teams.size == 1 }
        model.shown()
        eventually("it is in touch") { model.state.value.sync is SyncState.UpToDate }
        centre.revoke(toso.status().device)
        model.hidden()
        model.shown()
        eventually("everything is gone, and the screen knows") { model.state.value.run { wiped && teams.isEmpty() } }
        eventually("a person must act") { (model.state.value.sync as? SyncState.Failed)?.needsAPerson == true }
        life.cancelAndJoin()
    },

    Story("an error that an app hands on speaks to people, in both languages, whichever error it is") {
        val phone = phone("a")
        val team = phone.record("Thôn 1", 1u)
        val newcomer = newPhone("b")
        val errors = listOf(
            assertFailsWith<TosoException.NotEnrolled> { newcomer.record("Thôn 1", 1u) },
            assertFailsWith<TosoException.TeamExists> { phone.record("thôn 01", 1u) },
            assertFailsWith<TosoException.Invalid> { phone.editTeam(team, listOf(TeamEdit.ZaloLink("not a link"))) },
            assertFailsWith<TosoException.Invalid> { phone.team("no id") },
            assertFailsWith<TosoException.BadInvite> { readInvite("https://example.vn/") },
        )
        for (error in errors) {
            val (vietnamese, english) = errorText(error, Language.VIETNAMESE) to errorText(error, Language.ENGLISH)
            println("kotlin: $vietnamese / $english")
            assertEquals(errorText(error, languageOfThisPhone()), error.message)
            assertTrue(vietnamese != english && "ErrorInfo" !in vietnamese + english)
            assertTrue("ErrorInfo" in error.toString(), "the debug form has the fields: $error")
        }
    },

    Story("what a scheduler does after each end of a background sync") {
        val info = ErrorInfo("key", emptyMap(), "detail")
        assertEquals(Next.WAIT, nextAfter(BackgroundEnd.Done))
        assertEquals(Next.TRY_AGAIN, nextAfter(BackgroundEnd.Deadline))
        assertEquals(Next.TRY_AGAIN, nextAfter(BackgroundEnd.Stopped))
        val expected = mapOf(
            TosoException.Offline(info) to Next.TRY_AGAIN,
            TosoException.ServerBusy(info, 1000u) to Next.TRY_AGAIN,
            TosoException.NotEnrolled(info) to Next.WAIT,
            TosoException.NotAllowed(info) to Next.TELL_PERSON,
            TosoException.UpdateNeeded(info) to Next.TELL_PERSON,
        )
        expected.forEach { (error, next) -> assertEquals(next, nextAfter(BackgroundEnd.Failed(error)), "$error") }
    },
)
