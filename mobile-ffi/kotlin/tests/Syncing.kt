// Background work, bad networks, and what a killed process keeps.

package vn.toso.tests

import java.net.InetAddress
import java.net.ServerSocket
import java.net.URI
import java.util.concurrent.TimeUnit
import kotlin.io.path.Path
import kotlin.io.path.readText
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlin.time.measureTime
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext
import uniffi.toso.BackgroundEnd
import uniffi.toso.NetworkKind
import uniffi.toso.Receipt
import uniffi.toso.StopSignal
import uniffi.toso.SyncState
import uniffi.toso.TeamEdit
import uniffi.toso.TosoClient
import uniffi.toso.TosoConfig
import uniffi.toso.TosoException
import vn.toso.sample.Next
import vn.toso.sample.syncInBackground

val syncStories = listOf(
    Story("background sync says what it did; with a network that swallows everything it ends at its deadline; without one at once") {
        val centre = anotherCentre()
        val phone = phone("a", centre)
        val team = phone.record("Thôn 1", 1u)
        val (done, next) = phone.syncInBackground(20.seconds)
        assertIs<BackgroundEnd.Done>(done.end)
        assertEquals(Next.WAIT, next)
        assertEquals(1uL, done.sent)
        assertTrue(done.bytesUp > 0u && done.bytesDown > 0u)
        assertTrue(phone.team(team).receipt >= Receipt.RECEIVED)

        phone.editTeam(team, listOf(TeamEdit.Note("chưa gửi")))
        val port = URI(centre.url).port
        centre.close()
        BlackHole(port).use {
            val (late, again) = phone.syncInBackground(1500.milliseconds)
            assertIs<BackgroundEnd.Deadline>(late.end)
            assertEquals(Next.TRY_AGAIN, again)
        }
        val (failed, later) = phone.syncInBackground(20.seconds)
        val end = assertIs<BackgroundEnd.Failed>(failed.end)
        assertIs<TosoException.Offline>(end.error)
        assertEquals(Next.TRY_AGAIN, later)
        assertEquals(1u, phone.status().unsent, "what was not sent waits")
        assertEquals("chưa gửi", phone.team(team).note)
    },

    Story("cancelling a coroutine ends the sync it waits for, and takes no edit back") {
        val centre = anotherCentre()
        val phone = phone("a", centre)
        val port = URI(centre.url).port
        centre.close()
        BlackHole(port).use { hole ->
            coroutineScope {
                val syncing = async { phone.runBackgroundSync(60_000u) }
                eventually("it has dialled") { hole.taken > 0 }
                val took = measureTime { syncing.cancelAndJoin() }
                assertTrue(took < 10.seconds, "cancelling took $took")
                assertFailsWith<CancellationException> { syncing.await() }
            }
        }
        // The library is as usable as before.
        coroutineScope {
            val saving = launch { phone.record("Thôn 1", 1u) }
            delay(1)
            saving.cancelAndJoin()
        }
        eventually("a save that had begun is there, or one that had not can be made") {
            phone.teams().isNotEmpty() || runCatching { phone.record("Thôn 1", 1u) }.isSuccess
        }
        assertEquals(1, phone.teams().size)
    },

    Story("whatever waits for a network is back at once when it is cancelled or stopped, and loses nothing") {
        val centre = anotherCentre()
        val phone = phone("a", centre)
        val newcomer = newPhone("b")
        val invite = centre.invite(commune)
        val team = phone.record("Thôn 5", 1u)
        centre.stall()
        coroutineScope {
            val calls = listOf<suspend () -> Any>({ phone.runBackgroundSync(60_000u) }, { phone.fetchBundleKey() }, { newcomer.enrol(invite) })
            for (call in calls) {
                val waiting = async { call() }
                delay(300)
                val took = measureTime { waiting.cancelAndJoin() }
                println("kotlin: cancelled, back after $took")
                // Without, it would wait for a minute.
                assertTrue(took < 10.seconds, "cancelling took $took")
            }
            val stop = StopSignal()
            val stopped = async { phone.runBackgroundSync(60_000u, stop) }
            val refused = async { runCatching { newcomer.enrol(invite, stop) } }
            delay(300)
            stop.stop()
            assertIs<BackgroundEnd.Stopped>(stopped.await().end)
            assertIs<TosoException.Stopped>(refused.await().exceptionOrNull())
        }
        centre.wake()
        newcomer.enrol(invite)
        phone.syncUntilCounted(team)
    },

    Story("a signal that was closed before it is handed over counts as stopped; one that is closed later leaves its call alone") {
        val phone = phone("a")
        val newcomer = newPhone("b")
        val invite = centre.invite(commune)
        phone.record("Thôn 1", 1u)
        repeat(20) {
            val closed = StopSignal().apply { close() }
            assertIs<BackgroundEnd.Stopped>(phone.runBackgroundSync(60_000u, closed).end)
            assertFailsWith<TosoException.Stopped> { phone.fetchBundleKey(stop = closed) }
            assertFailsWith<TosoException.Stopped> { newcomer.enrol(invite, closed) }
            assertFailsWith<IllegalStateException> { closed.stop() }
        }
        assertEquals(1u, phone.status().unsent)
        coroutineScope {
            val stop = StopSignal()
            // Until it suspends for the first time: the signal is handed over.
            val running = async(start = CoroutineStart.UNDISPATCHED) { phone.runBackgroundSync(30_000u, stop).end }
            stop.close()
            assertIs<BackgroundEnd.Done>(running.await())
        }
        newcomer.enrol(invite)
        // A call that threw in the midst of its arguments would have left a handle behind, and the folder open.
        phone.close()
        assertEquals(1, newPhone("a").teams().size)
    },

    Story("live sync follows the app: in front it is up to date by itself, behind it is silent") {
        val (a, b) = phone("a") to phone("b")
        a.startSync()
        b.startSync()
        eventually("both are in touch") { listOf(a, b).all { it.syncState() is SyncState.UpToDate } }
        val team = a.record("Thôn 1", 1u)
        eventually("the other phone has it, with nobody asking") { b.teams().any { it.id == team } }

        b.appBackgrounded()
        assertIs<SyncState.Stopped>(b.syncState())
        a.editTeam(team, listOf(TeamEdit.HouseholdsCovered(7u)))
        eventually("the centre has it") { a.status().unsent == 0u }
        assertEquals(1L, b.team(team).householdsCovered)
        b.appForegrounded()
        eventually("it catches up") { b.team(team).householdsCovered == 7L }

        a.networkChanged(NetworkKind.NONE)
        eventually("it knows that it is offline") { a.syncState() is SyncState.Offline }
        a.editTeam(team, listOf(TeamEdit.HouseholdsCovered(8u)))
        assertEquals(1u, a.status().unsent)
        a.networkChanged(NetworkKind.CELLULAR)
        eventually("it dials when there is a network") { a.status().unsent == 0u }
        a.stopSync()
        assertIs<SyncState.Stopped>(a.syncState())
    },

    Story("a process that is killed in mid-edit keeps every save that had returned, and the centre gets each once") {
        newPhone("a").run { enrol(centre.invite(commune)); shutdown() }
        val saved = editInAChild(home("a").toString(), keyOf("a"), saves = 12)
        val phone = openPhone("a", keyOf("a"))
        val here = phone.teams().map { it.id }
        assertEquals(saved, saved.filter { it in here }, "saves that had returned are gone")
        assertTrue(here.size in saved.size..saved.size + 1, "at most the one under way besides: ${here.size}")
        phone.syncUntilCounted(saved.last())
        assertEquals(here.size, centre.counted("teams", commune))
    },

    Story("what was shut down lets go of the folder and of its threads, and answers that it is closed") {
        // A thread that was waited for is still listed for a moment.
        eventually("the threads of the stories before are gone") { libraryThreads() == 0 }
        val phone = phone("a")
        val team = phone.record("Thôn 1", 1u)
        phone.startSync()
        phone.observe(Notes())
        eventually("it is in touch") { phone.syncState() is SyncState.UpToDate }
        assertTrue(libraryThreads() > 0)
        assertFailsWith<TosoException.InUse> { openPhone("a", keyOf("a")) }
        phone.shutdown()
        eventually("its threads are gone") { libraryThreads() == 0 }
        assertFailsWith<TosoException.Closed> { phone.teams() }
        assertFailsWith<TosoException.Closed> { phone.editTeam(team, listOf(TeamEdit.Note("x"))) }
        assertFailsWith<TosoException.Closed> { phone.sync() }
        phone.shutdown()
        assertEquals(1L, openPhone("a", keyOf("a")).team(team).householdsCovered)
    },
)

/** A port that takes connections and never answers: what a captive portal or a dying 2G cell looks like. */
class BlackHole(port: Int) : AutoCloseable {
    private val socket = ServerSocket(port, 50, InetAddress.getByName("127.0.0.1"))

    @Volatile
    var taken = 0
        private set

    private val thread = Thread {
        runCatching {
            while (true) {
                // Kept open on purpose.
                socket.accept()
                taken++
            }
        }
    }.apply { isDaemon = true; start() }

    override fun close() {
        socket.close()
        thread.join()
    }
}

/** Threads of this process that are the library's. */
fun libraryThreads(): Int {
    val tasks = Path("/proc/self/task").toFile().listFiles().orEmpty()
    return tasks.count { task -> runCatching { task.resolve("comm").readText().trim() }.getOrNull() == "toso" }
}

const val EDIT_UNTIL_KILLED = "edit-until-killed"

/** Lets another process record teams and kills it, as the system kills an app, once it has said that so many are saved. Gives their ids. */
private suspend fun editInAChild(folder: String, key: ByteArray, saves: Int): List<String> = withContext(Dispatchers.IO) {
    val java = Path(System.getProperty("java.home"), "bin", "java").toString()
    val properties = System.getProperties().stringPropertyNames()
        .filter { it.startsWith("jna.") || it == "java.library.path" }
        .map { "-D$it=${System.getProperty(it)}" }
    val command = listOf(java) + properties + listOf("-cp", System.getProperty("java.class.path"), "vn.toso.tests.MainKt") +
        listOf(EDIT_UNTIL_KILLED, folder, key.joinToString("") { "%02x".format(it) })
    val child = ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start()
    try {
        val lines = child.inputStream.bufferedReader()
        val saved = generateSequence { lines.readLine() }.filter { it.startsWith("saved ") }.take(saves).toList()
        // SIGKILL, while the next save is under way; by the handle, which leaves what it has written to be read.
        child.toHandle().destroyForcibly()
        check(child.waitFor(10, TimeUnit.SECONDS)) { "the child does not die" }
        check(child.exitValue() == 128 + 9) { "the child ended by itself: ${child.exitValue()}" }
        // What it had said until then counts, too.
        (saved + lines.lineSequence().filter { it.startsWith("saved ") && it.length == saved.first().length })
            .map { it.removePrefix("saved ") }
    } finally {
        child.destroyForcibly()
    }
}

/** The child: records one team after the other and says which are saved. */
fun editUntilKilled(arguments: List<String>) = runBlocking {
    val (folder, key) = arguments
    val toso = TosoClient.open(TosoConfig(folder, key.chunked(2).map { it.toInt(16).toByte() }.toByteArray(), ""), null)
    var number = 0
    while (true) {
        number++
        val id = toso.record("Thôn $number", number.toUInt())
        println("saved $id")
    }
}
