// A small runner: one story is one test, with a folder, phones and a commune of its own.

package vn.toso.tests

import java.nio.file.Files
import java.nio.file.Path
import kotlin.time.Duration.Companion.seconds
import kotlin.time.TimeSource
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.delay
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout

/** What people do with phones and the centre, and what they must see. */
class Story(val name: String, val play: suspend Scene.() -> Unit)

/** How long a story may take before it counts as stuck. */
private val STORY_MAX = 90.seconds

/** How long something may take that happens by itself. */
private val PATIENCE = 30.seconds

/** Plays stories one after the other; gives the exit code. */
fun play(stories: List<Story>): Int {
    check(stories.size <= COMMUNES.size) { "${stories.size} stories and ${COMMUNES.size} communes: add some, or the last are never played" }
    val root = Files.createTempDirectory("toso-kotlin")
    val failed = mutableListOf<String>()
    try {
        Centre.start(root.resolve("centre").also(Files::createDirectories)).use { centre ->
            stories.zip(COMMUNES).forEach { (story, commune) ->
                val begun = TimeSource.Monotonic.markNow()
                val scene = Scene(root.resolve(commune).also(Files::createDirectories), centre, commune)
                val outcome = runCatching {
                    runBlocking(Dispatchers.Default) { withTimeout(STORY_MAX) { story.play(scene) } }
                }
                scene.close()
                val took = "%.1f s".format(begun.elapsedNow().inWholeMilliseconds / 1000.0)
                outcome.fold(
                    { println("kotlin: ok      ${story.name} ($took)") },
                    {
                        println("kotlin: FAILED  ${story.name} ($took)")
                        it.printStackTrace()
                        failed += story.name
                    },
                )
            }
        }
    } finally {
        root.toFile().deleteRecursively()
    }
    println("kotlin: ${stories.size - failed.size} passed, ${failed.size} failed")
    return if (failed.isEmpty()) 0 else 1
}

/** Communes of the list of 2022, one for each story, so that stories do not see each other. */
private val COMMUNES = listOf(
    "00001", "00004", "00006", "00007", "00008", "00013", "00016", "00019", "00022", "00025",
    "00028", "00031", "00034", "00037", "00040", "00043", "00046", "00049", "00052", "00055",
    "00058", "00061", "00064", "00067", "00070", "00073", "00076", "00079", "00082", "00085",
)

/** Waits for something that happens by itself. */
suspend fun eventually(what: String, condition: suspend () -> Boolean) {
    val begun = TimeSource.Monotonic.markNow()
    while (!condition()) {
        check(begun.elapsedNow() < PATIENCE) { "it did not happen within $PATIENCE: $what" }
        delay(20)
    }
}
