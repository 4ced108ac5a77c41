// The tests of the mobile library in Kotlin, as an app developer would write them: on the JVM, against the real library and the real
// server. `cargo xtask mobile kotlin` compiles and runs them.

package vn.toso.tests

import kotlin.system.exitProcess

fun main(arguments: Array<String>) {
    if (arguments.firstOrNull() == EDIT_UNTIL_KILLED) {
        editUntilKilled(arguments.drop(1))
    } else {
        exitProcess(play(togetherStories + syncStories + trustStories + carriedStories + textStories + modelStories + pageStories))
    }
}
