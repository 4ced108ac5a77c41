// What a story plays with: a centre, a commune, and phones in folders of their own.

package vn.toso.tests

import java.nio.file.Path
import java.security.SecureRandom
import kotlin.io.path.createDirectories
import kotlin.time.Duration.Companion.seconds
import uniffi.toso.BackgroundEnd
import uniffi.toso.BackgroundSync
import uniffi.toso.NewTeam
import uniffi.toso.Receipt
import uniffi.toso.TeamEdit
import uniffi.toso.TosoClient
import uniffi.toso.TosoConfig

/** A story's world. */
class Scene(val folder: Path, val centre: Centre, val commune: String) : AutoCloseable {
    private val open = mutableListOf<AutoCloseable>()

    /** A phone that has not joined. */
    suspend fun newPhone(name: String): TosoClient = openPhone(name, keyOf(name))

    /** A phone that has joined as recorder of the story's commune, while it had a network. */
    suspend fun phone(name: String, centre: Centre = this.centre): TosoClient =
        newPhone(name).also { it.enrol(centre.invite(commune)) }

    /** Opens a phone's folder, with a key that may be the wrong one. */
    suspend fun openPhone(name: String, key: ByteArray): TosoClient {
        val home = home(name).createDirectories()
        return closeLater(TosoClient.open(TosoConfig(home.toString(), key, "Điện thoại thử"), null))
    }

    /** The folder that a phone's library has. */
    fun home(name: String): Path = folder.resolve(name)

    /** The key that a phone keeps for itself. */
    fun keyOf(name: String): ByteArray = keys.getOrPut(name, ::randomKey)

    private val keys = mutableMapOf<String, ByteArray>()

    /** A second centre, for stories that kill it. */
    fun anotherCentre(): Centre = closeLater(Centre.start(folder.resolve("another-centre").createDirectories()))

    /** Closes something with the story, the last first. */
    fun <T : AutoCloseable> closeLater(what: T): T = what.also(open::add)

    override fun close() = open.asReversed().forEach { it.close() }
}

/** What an app's keystore would make. */
fun randomKey() = ByteArray(32).also { SecureRandom().nextBytes(it) }

/** The hamlet's team, with a number of households. */
suspend fun TosoClient.record(hamlet: String, households: UInt): String =
    addTeam(NewTeam(hamlet = hamlet, edits = listOf(TeamEdit.HouseholdsCovered(households))))

/** One bounded sync that must do all there is to do. */
suspend fun TosoClient.sync(): BackgroundSync {
    val done = runBackgroundSync(30.seconds.inWholeMilliseconds.toULong())
    check(done.end is BackgroundEnd.Done) { "sync did not end well: ${done.end}" }
    return done
}

/** Syncs until the centre has counted a team. */
suspend fun TosoClient.syncUntilCounted(team: String) = eventually("the centre counts $team") {
    sync()
    team(team).receipt == Receipt.COUNTED
}

/** A number of the centre's report. */
fun Centre.counted(what: String, commune: String): Int {
    val report = report(commune)
    val number = Regex("\"$what\": (\\d+)").find(report) ?: error("the report has no $what: $report")
    return number.groupValues[1].toInt()
}
