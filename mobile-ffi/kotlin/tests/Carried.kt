// Phones that help each other where no server is in reach.

package vn.toso.tests

import java.net.InetAddress
import java.net.ServerSocket
import java.net.Socket
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.test.assertTrue
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.withContext
import uniffi.toso.MeetingSide
import uniffi.toso.PeerReport
import uniffi.toso.Receipt
import uniffi.toso.TosoClient
import uniffi.toso.TosoException
import vn.toso.sample.meetOver

val carriedStories = listOf(
    Story("a bundle goes from phone A by phone B to the centre, is counted, and the receipt comes back at A") {
        val (a, b) = phone("a") to phone("b")
        val team = a.record("Thôn Xa", 9u)
        val bundle = a.makeBundle()
        assertEquals(1u, bundle.batches)
        assertTrue(bundle.bytes.decodeToString().contains("Thôn Xa").not(), "a bundle cannot be read on the way")

        val taken = b.openBundle(bundle.bytes)
        assertEquals(1u, taken.batches)
        assertEquals(9L, b.team(team).householdsCovered, "the carrying phone shows it, too")
        assertEquals(0u, b.openBundle(bundle.bytes).batches, "opening it again changes nothing")
        b.sync()
        eventually("the centre counts what was carried, and the carrier hears it") { b.sync(); b.totals()?.teams == 1uL }
        assertEquals(1, centre.counted("teams", commune))

        // No network at A, ever: the receipt comes with a bundle from B.
        assertEquals(Receipt.SAVED, a.team(team).receipt)
        a.openBundle(b.makeBundle().bytes)
        assertTrue(a.team(team).receipt >= Receipt.RECEIVED, "${a.team(team).receipt}")
        assertEquals(1uL, a.totals()?.teams)
        // A carrier's word empties no outbox: when A meets the centre itself, it asks.
        assertEquals(1u, a.status().unsent)
        a.syncUntilCounted(team)
        assertEquals(0u, a.status().unsent)
        assertEquals(1, centre.counted("teams", commune), "what came twice counts once")
    },

    Story("a bundle that was altered, cut off or made for others is refused with a reason") {
        val (a, b) = phone("a") to phone("b")
        a.record("Thôn 1", 1u)
        val bundle = a.makeBundle().bytes
        val altered = bundle.copyOf().also { it[it.size / 2] = (it[it.size / 2] + 1).toByte() }
        for (bad in listOf(altered, bundle.copyOf(bundle.size / 2), ByteArray(0), "Zalo".encodeToByteArray())) {
            assertFailsWith<TosoException.BadBundle> { b.openBundle(bad) }
        }
        assertEquals(emptyList(), b.teams())
        b.openBundle(bundle)
        assertEquals(1, b.teams().size)
    },

    Story("two phones meet over a real socket and give each other what waits; one of them syncs for both") {
        val (a, b) = phone("a") to phone("b")
        val (ofA, ofB) = a.record("Thôn A", 1u) to b.record("Thôn B", 2u)
        val (reportA, reportB) = meet(a, b)
        assertEquals(b.status().device, reportA.peer)
        assertEquals(a.status().device, reportB.peer)
        assertEquals(listOf(1u, 1u), listOf(reportA.given, reportB.given))
        for (phone in listOf(a, b)) {
            assertEquals(setOf(ofA, ofB), phone.teams().map { it.id }.toSet())
        }
        b.sync()
        eventually("both are counted") { centre.counted("teams", commune) == 2 }
        b.sync()
        meet(a, b)
        assertTrue(a.team(ofA).receipt >= Receipt.RECEIVED)
    },

    Story("a stranger at the other end, and a pipe that breaks, are errors; what was there stays") {
        val a = phone("a")
        val team = a.record("Thôn A", 1u)
        ServerSocket(0, 1, InetAddress.getLoopbackAddress()).use { listening ->
            coroutineScope {
                val meeting = async(Dispatchers.IO) { runCatching { call(listening, a) } }
                withContext(Dispatchers.IO) {
                    listening.accept().use { stranger ->
                        // The phone hangs up in the midst of it.
                        runCatching { stranger.getOutputStream().write("HTTP/1.1 400 Bad Request\r\n\r\n".repeat(9000).encodeToByteArray()) }
                        assertIs<TosoException.BadBundle>(meeting.await().exceptionOrNull())
                    }
                }
                val cut = async(Dispatchers.IO) { runCatching { call(listening, a) } }
                withContext(Dispatchers.IO) { listening.accept().close() }
                assertIs<TosoException.Offline>(cut.await().exceptionOrNull())
            }
        }
        assertEquals(1L, a.team(team).householdsCovered)
        assertEquals(1u, a.status().unsent)
    },
)

/** Lets two phones meet over a socket of this machine. */
private suspend fun meet(caller: TosoClient, called: TosoClient): Pair<PeerReport, PeerReport> = coroutineScope {
    ServerSocket(0, 1, InetAddress.getLoopbackAddress()).use { listening ->
        val there = async(Dispatchers.IO) {
            listening.accept().use { called.meetOver(MeetingSide.CALLED, it.getInputStream(), it.getOutputStream()) }
        }
        val here = withContext(Dispatchers.IO) { call(listening, caller) }
        here to there.await()
    }
}

private suspend fun call(listening: ServerSocket, caller: TosoClient): PeerReport =
    Socket(listening.inetAddress, listening.localPort).use { caller.meetOver(MeetingSide.CALLER, it.getInputStream(), it.getOutputStream()) }
