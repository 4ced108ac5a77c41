// Keys, what lies on the disk, and devices that are shut out.

package vn.toso.tests

import java.io.File
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.test.assertTrue
import uniffi.toso.BackgroundEnd
import uniffi.toso.MemberEdit
import uniffi.toso.NewMember
import uniffi.toso.TosoEvent
import uniffi.toso.TosoException
import vn.toso.sample.Next
import vn.toso.sample.syncInBackground
import kotlin.time.Duration.Companion.seconds

val trustStories = listOf(
    Story("the wrong key opens nothing and breaks nothing; nothing readable lies in the folder") {
        val phone = phone("a")
        val team = phone.record("Thôn Kín Đáo", 1u)
        phone.addMember(NewMember(team, "Nguyễn Văn Thử", listOf(MemberEdit.Phone("0912 000 001"))))
        phone.sync()
        phone.shutdown()

        assertFailsWith<TosoException.WrongKey> { openPhone("a", randomKey()) }
        assertFailsWith<TosoException.WrongKey> { openPhone("a", ByteArray(16)) }

        val onDisk = home("a").toFile().walk().filter(File::isFile).map { it.readBytes() }.toList()
        assertTrue(onDisk.sumOf { it.size } > 1000, "there is something to search")
        for (secret in listOf("Nguyễn Văn Thử", "Kín Đáo", "912000001", "0912 000 001", centre.url)) {
            assertTrue(onDisk.none { it.holds(secret.encodeToByteArray()) }, "$secret can be read in the folder")
        }
        assertEquals("Nguyễn Văn Thử", openPhone("a", keyOf("a")).members(team).single().fullName)
    },

    Story("after the key is rotated the new one opens the folder and the old one no longer does") {
        val phone = phone("a")
        val team = phone.record("Thôn 1", 3u)
        val (old, new) = keyOf("a") to randomKey()
        assertFailsWith<TosoException.WrongKey> { phone.rotateKey(randomKey(), new) }
        phone.rotateKey(old, new)
        phone.record("Thôn 2", 4u)
        phone.shutdown()
        assertFailsWith<TosoException.WrongKey> { openPhone("a", old) }
        val again = openPhone("a", new)
        assertEquals(3L, again.team(team).householdsCovered)
        assertEquals(2, again.teams().size)
        again.sync()
    },

    Story("a revoked device learns it at its next contact, forgets everything, and a person is told") {
        val (a, b) = phone("a") to phone("b")
        val team = a.record("Thôn 1", 1u)
        a.sync()
        b.sync()
        assertEquals(team, b.teams().single().id)
        val notes = Notes()
        // Kept: what the collector of garbage takes hears nothing more.
        val subscription = b.observe(notes)

        centre.revoke(b.status().device)
        val (done, next) = b.syncInBackground(20.seconds)
        val end = assertIs<BackgroundEnd.Failed>(done.end)
        assertIs<TosoException.NotAllowed>(end.error)
        assertEquals(Next.TELL_PERSON, next)
        eventually("the app is told that nothing is left") { notes.events.any { it is TosoEvent.Wiped && it.everything } }
        assertEquals(emptyList(), b.teams())
        assertEquals(1, a.teams().size, "the other phone keeps its own")
        a.sync()
        subscription.close()
    },
)

/** True when the bytes contain others in a row. */
private fun ByteArray.holds(wanted: ByteArray): Boolean =
    (0..size - wanted.size).any { start -> wanted.indices.all { this[start + it] == wanted[it] } }
