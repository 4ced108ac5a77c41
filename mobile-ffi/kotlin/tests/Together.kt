// Two phones without a network, the same hamlet, and what happens when they meet at the centre.

package vn.toso.tests

import java.util.concurrent.CopyOnWriteArrayList
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch
import uniffi.toso.CommuneEdit
import uniffi.toso.Finding
import uniffi.toso.Language
import uniffi.toso.MemberEdit
import uniffi.toso.NetworkKind
import uniffi.toso.NewMember
import uniffi.toso.NewTeam
import uniffi.toso.Role
import uniffi.toso.TeamEdit
import uniffi.toso.TosoEvent
import uniffi.toso.TosoException
import uniffi.toso.TosoObserver
import uniffi.toso.errorText
import uniffi.toso.readInvite
import vn.toso.sample.events

val togetherStories = listOf(
    Story("two phones record one hamlet offline: one team, both members, the clash shown and settled") {
        val (a, b) = phone("a") to phone("b")
        listOf(a, b).forEach { it.networkChanged(NetworkKind.NONE) }

        // Offline. One writes "Thôn 01", the other "thôn 1": it is the same hamlet.
        val team = a.record("Thôn 01", 120u)
        assertEquals(team, b.record("thôn 1", 135u))
        a.addMember(NewMember(team, "Nguyễn Văn Thử", listOf(MemberEdit.Role(Role.LEADER))))
        b.addMember(NewMember(team, "Trần Thị Mẫu", listOf(MemberEdit.Phone("0912 000 001"))))
        assertEquals(listOf("Nguyễn Văn Thử"), a.members(team).map { it.fullName })

        // A bar of signal.
        a.sync()
        b.sync()
        a.sync()
        for (phone in listOf(a, b)) {
            assertEquals(setOf("Nguyễn Văn Thử", "Trần Thị Mẫu"), phone.members(team).map { it.fullName }.toSet())
            assertEquals(2, phone.members(team).size)
            val clash = phone.conflicts().single { it.field == "households_covered" }
            assertEquals(setOf("120", "135"), clash.values.map { it.value }.toSet())
            assertEquals(1, clash.values.count { it.shown })
        }

        // One tap settles it everywhere.
        a.resolve(team, "households_covered", "135")
        a.sync()
        b.sync()
        for (phone in listOf(a, b)) {
            assertTrue(phone.conflicts().none { it.field == "households_covered" })
            assertEquals(135L, phone.team(team).householdsCovered)
        }
        a.syncUntilCounted(team)
        assertEquals(1, centre.counted("teams", commune))
        assertEquals(2, centre.counted("members", commune))
        assertEquals(1uL, a.totals()?.teams)
        assertEquals(2uL, a.totals()?.members)
    },

    Story("observers hear of the other phone's work, of the clash and of the count; a closed one hears nothing more") {
        val (a, b) = phone("a") to phone("b")
        val team = a.record("Thôn 2", 10u)
        a.sync()
        b.sync()
        val (kept, closed) = Notes() to Notes()
        val (first, second) = a.observe(kept) to a.observe(closed)

        b.editTeam(team, listOf(TeamEdit.Note("của máy B")))
        b.sync()
        a.sync()
        eventually("both observers hear of the team") { listOf(kept, closed).all { it.heardOf(team) } }
        second.cancel()
        // A call that was under way may still come. It knows nothing of what is recorded from here on.
        val afterCancel = a.record("Thôn 3", 1u)
        a.editTeam(team, listOf(TeamEdit.HouseholdsCovered(11u)))
        b.editTeam(team, listOf(TeamEdit.HouseholdsCovered(12u)))
        b.sync()
        a.syncUntilCounted(team)
        eventually("the clash is told") { kept.events.any { it is TosoEvent.Conflicts && team in it.ids } }
        eventually("the count is told") { kept.events.any { it is TosoEvent.Receipts } }
        eventually("sync is told") { kept.events.any { it is TosoEvent.Sync } }
        eventually("the team after the end is told to the other one") { kept.heardOf(afterCancel) }
        assertTrue(closed.events.none { it is TosoEvent.Conflicts || it.names(afterCancel) }, "a cancelled observer was called: ${closed.events}")

        // Closing is as good as cancelling: nobody who holds the object can forget one of the two.
        val witness = Notes()
        val third = a.observe(witness)
        first.close()
        second.close()
        val afterClose = a.record("Thôn 4", 1u)
        a.syncUntilCounted(afterClose)
        eventually("the team after the end is told to the one that is left") { witness.heardOf(afterClose) }
        third.close()
        for (ended in listOf(kept, closed)) {
            assertTrue(ended.events.none { it.names(afterClose) }, "a closed observer was called: ${ended.events}")
        }
    },

    Story("an observer that throws does no harm, to itself or to the app") {
        val phone = phone("a")
        val calls = CopyOnWriteArrayList<TosoEvent>()
        val subscription = phone.observe(
            object : TosoObserver {
                override fun onEvent(event: TosoEvent) {
                    calls += event
                    error("an app's fault")
                }
            },
        )
        val first = phone.record("Thôn 1", 1u)
        eventually("the first is told") { calls.any { it is TosoEvent.Documents && first in it.ids } }
        val second = phone.record("Thôn 2", 2u)
        eventually("the second is told, too") { calls.any { it is TosoEvent.Documents && second in it.ids } }
        subscription.close()
    },

    Story("events as a flow: ending the collection ends the observing") {
        val phone = phone("a")
        val seen = CopyOnWriteArrayList<TosoEvent>()
        coroutineScope {
            val collecting = launch { phone.events().collect { seen += it } }
            eventually("the flow says that everything is to be read") { seen.isNotEmpty() }
            val team = phone.record("Thôn 1", 1u)
            eventually("the flow has the team") { seen.any { it is TosoEvent.Documents && team in it.ids } }
            collecting.cancel()
            collecting.join()
            val witness = Notes()
            phone.observe(witness).use {
                val after = phone.record("Thôn 2", 2u)
                eventually("the team after the end is told to another one") { witness.heardOf(after) }
                phone.sync()
                assertTrue(seen.none { it.names(after) }, "a flow that nobody collects goes on: $seen")
            }
        }
        val begun = phone.events().first()
        assertTrue(begun is TosoEvent.Documents && begun.all, "what comes first says that everything is to be read anew: $begun")
    },

    Story("what people type is found without its marks, and what breaks a rule is refused at its field, in their language") {
        val phone = phone("a")
        val team = phone.record("Thôn Đồng Tâm", 5u)
        phone.addMember(NewMember(team, "Nguyễn Văn Thử"))
        assertEquals("Nguyễn Văn Thử", phone.search("nguyen van thu").single().name)
        assertEquals(team, phone.search("dong tam").single().id)
        assertTrue(phone.units("ba dinh").any { it.name == "Phường Ba Đình" })
        assertTrue(phone.unitsBelow(null).size == 34)

        val wrong = assertFailsWith<TosoException.Invalid> { phone.editTeam(team, listOf(TeamEdit.ZaloLink("not a link"))) }
        assertEquals("zalo_link", wrong.field)
        val (vietnamese, english) = errorText(wrong, Language.VIETNAMESE) to errorText(wrong, Language.ENGLISH)
        assertTrue(vietnamese.isNotBlank() && english.isNotBlank() && vietnamese != english, "$vietnamese / $english")
        // What an app shows that hands the error on; the dump is for developers.
        assertTrue(wrong.message in listOf(vietnamese, english), wrong.message)
        assertTrue("ErrorInfo" in wrong.toString(), wrong.toString())
        val exists = assertFailsWith<TosoException.TeamExists> { phone.addTeam(NewTeam(hamlet = "thôn đồng tâm")) }
        assertEquals(team, exists.id)
        val elsewhere = phone("b").record("Thôn Chưa Biết", 1u)
        assertFailsWith<TosoException.NotFound> { phone.team(elsewhere) }
        assertEquals("id", assertFailsWith<TosoException.Invalid> { phone.team("no id") }.field)

        phone.editCommune(listOf(CommuneEdit.AddHamlet("Thôn Khác")))
        assertTrue(phone.findings().any { it is Finding.UnknownHamlet && it.team == team })
        assertTrue(phone.findings().any { it is Finding.NoLeader && it.team == team })
        val written = phone.history(team).flatMap { save -> save.changes.map { it.field } }
        assertEquals(setOf("households_covered", "hamlet", "level"), written.toSet())
    },

    Story("joining: the invite says what it is for, works once, and a phone that has not joined is told so") {
        val invite = centre.invite(commune)
        val read = readInvite(invite)
        assertEquals(centre.url, read.server)
        assertEquals("2022/$commune", read.unit.unit)
        assertEquals("recorder", read.role)

        val phone = newPhone("a")
        assertFailsWith<TosoException.NotEnrolled> { phone.record("Thôn 1", 1u) }
        assertEquals(null, phone.status().unit)
        assertEquals("2022/$commune", phone.enrol(invite).unit)
        assertEquals("recorder", phone.status().role)
        phone.enrol(invite)
        assertFailsWith<TosoException.BadInvite> { newPhone("b").enrol(invite) }
        assertFailsWith<TosoException.BadInvite> { readInvite("https://example.vn/not-an-invite") }
    },
)

/** An observer that writes everything down. */
class Notes : TosoObserver {
    val events = CopyOnWriteArrayList<TosoEvent>()

    override fun onEvent(event: TosoEvent) {
        events += event
    }

    fun heardOf(document: String) = events.any { it is TosoEvent.Documents && document in it.ids }
}

/** True when the event is about a document. */
fun TosoEvent.names(document: String): Boolean = when (this) {
    is TosoEvent.Documents -> document in ids
    is TosoEvent.Conflicts -> document in ids
    is TosoEvent.Wiped -> document in ids
    is TosoEvent.Sync, is TosoEvent.SyncRight, is TosoEvent.Receipts, is TosoEvent.Held, is TosoEvent.Names -> false
}
