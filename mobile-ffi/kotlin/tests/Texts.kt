// Texts that are cut in the middle of an emoji, as an app's limit for a field cuts them. The story: the call threw in the midst of
// lowering its arguments, and its object could never be freed again.

package vn.toso.tests

import kotlin.io.path.createDirectories
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue
import uniffi.toso.CommuneEdit
import uniffi.toso.ConsentMethod
import uniffi.toso.ErrorInfo
import uniffi.toso.Language
import uniffi.toso.MemberEdit
import uniffi.toso.NewMember
import uniffi.toso.NewTeam
import uniffi.toso.TeamEdit
import uniffi.toso.TosoClient
import uniffi.toso.TosoConfig
import uniffi.toso.TosoEvent
import uniffi.toso.TosoException
import uniffi.toso.TosoObserver
import uniffi.toso.checkPersonName
import uniffi.toso.convertedText
import uniffi.toso.errorText
import uniffi.toso.hamletKey
import uniffi.toso.message
import uniffi.toso.readInvite

/** What is left of an emoji: its first half, its second, both in the wrong order, one before a whole emoji. */
private val HALVES = listOf("\uD83D", "\uDE00", "\uDE00\uD83D", "\uD83D\uD83D\uDE00")

/** A call that must be refused, and at which field. */
private class Refused(val field: String, val make: suspend () -> Any?)

/** Opens what no story closes by itself. */
private suspend fun open(config: TosoConfig): TosoClient = TosoClient.open(config, null)

val textStories = listOf(
    Story("half an emoji is refused at its field, finds nothing, and the phone is freed all the same") {
        val phone = phone("a")
        val team = phone.record("Thôn 1", 1u)
        val member = phone.addMember(NewMember(team, "Nguyễn Văn Thử"))
        for (half in HALVES) {
            val cut = "Thử $half"
            val refused = listOf(
                Refused("hamlet") { phone.addTeam(NewTeam(hamlet = cut)) },
                Refused("hamlet") { phone.editTeam(team, listOf(TeamEdit.HouseholdsCovered(2u), TeamEdit.Hamlet(cut))) },
                Refused("local_name") { phone.editTeam(team, listOf(TeamEdit.LocalName(cut))) },
                Refused("zalo_link") { phone.editTeam(team, listOf(TeamEdit.ZaloLink("https://zalo.me/g/$half"))) },
                Refused("note") { phone.editTeam(team, listOf(TeamEdit.Note("họp tổ\n$half"))) },
                Refused("decision_date") { phone.editTeam(team, listOf(TeamEdit.DecisionDate(cut))) },
                Refused("full_name") { phone.addMember(NewMember(team, cut)) },
                Refused("full_name") { phone.editMember(member, listOf(MemberEdit.FullName(cut))) },
                Refused("phone") { phone.editMember(member, listOf(MemberEdit.Phone("0912 000 001$half"))) },
                Refused("consent/text_version") {
                    phone.editMember(member, listOf(MemberEdit.Consent(ConsentMethod.entries.first(), "24/11/2026", cut)))
                },
                Refused("hamlets/name") { phone.editCommune(listOf(CommuneEdit.AddHamlet(cut))) },
                Refused("unit") { phone.editCommune(listOf(CommuneEdit.AddHamlet("Thôn 2")), cut) },
                Refused("unit") { phone.unitsBelow(cut) },
                Refused("id") { phone.team(cut) },
                Refused("id") { phone.history(cut) },
                Refused("id") { phone.members(cut) },
                Refused("id") { phone.editTeam(cut, listOf()) },
                Refused("id") { phone.merge(team, cut) },
                Refused("id") { phone.fetchDeviceNames(listOf(cut)) },
                Refused("full_name") { checkPersonName(cut) },
            )
            for (call in refused) {
                val wrong = assertFailsWith<TosoException.Invalid>("${call.field} takes half an emoji") { call.make() }
                assertEquals(call.field, wrong.field)
            }
            val wrong = assertFailsWith<TosoException.Invalid> { checkPersonName(cut) }
            assertEquals(2, Language.entries.map { errorText(wrong, it) }.filter { "5" in it }.toSet().size, "it says which letter")
            assertFailsWith<TosoException> { phone.resolve(team, "note", cut) }
            assertFailsWith<TosoException> { phone.resolve(team, cut, "1") }
            assertFailsWith<TosoException.BadInvite> { phone.enrol(cut) }
            assertFailsWith<TosoException.BadInvite> { readInvite(cut) }
            for (found in listOf(phone.search("$half"), phone.units("$half"))) assertEquals(emptyList<Any>(), found)
            // Nothing to refuse: what is passed is shown or compared, not saved.
            assertTrue("\uFFFD" in errorText(TosoException.Invalid(ErrorInfo(cut, mapOf(cut to cut), cut), cut), Language.ENGLISH))
            assertTrue("\uFFFD" in message(cut, mapOf(cut to cut), Language.ENGLISH))
            convertedText(cut)
            hamletKey(cut)
        }
        assertEquals("Nguyễn Văn Thử", phone.members(team).single().fullName)
        phone.editTeam(team, listOf(TeamEdit.Note("cả 😀 lẫn chữ")))
        assertEquals("cả 😀 lẫn chữ", phone.team(team).note)

        phone.close()
        // Of a leaked handle the folder would stay open until the process ends.
        val again = newPhone("a")
        assertEquals(1L, again.team(team).householdsCovered)
    },

    Story("half an emoji in what the object is made of, or in what an observer throws, leaves nothing behind") {
        val cut = "Máy của Thử \uD83D"
        val home = home("a").createDirectories()
        val key = keyOf("a")
        repeat(2) {
            val folder = assertFailsWith<TosoException.Invalid> { open(TosoConfig("$home\uD83D", key, "")) }
            assertEquals("folder", folder.field)
        }
        assertEquals(listOf("a"), home.parent.toFile().list()?.toList(), "no folder by another name")

        // The folder of a phone that is named so can be opened; joining under the name is refused.
        open(TosoConfig(home.toString(), key, cut)).use { phone ->
            val refused = assertFailsWith<TosoException.Invalid> { phone.enrol(centre.invite(commune)) }
            assertEquals("device_name", refused.field)
        }
        val phone = phone("a")
        val told = Notes()
        val subscription = phone.observe(
            object : TosoObserver {
                override fun onEvent(event: TosoEvent) {
                    told.onEvent(event)
                    error(cut)
                }
            },
        )
        for (hamlet in listOf("Thôn 1", "Thôn 2")) {
            val team = phone.record(hamlet, 1u)
            eventually("$hamlet is told") { told.heardOf(team) }
        }
        subscription.close()
        phone.close()
        assertEquals(2, newPhone("a").teams().size)
    },
)
