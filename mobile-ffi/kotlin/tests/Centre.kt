// The real server, as a process of its own, and the officer's commands around it.

package vn.toso.tests

import java.nio.file.Path
import java.util.concurrent.TimeUnit
import kotlin.io.path.readText

/** A running `toso serve`, killed when closed. */
class Centre private constructor(private val process: Process, private val data: Path, val url: String) : AutoCloseable {
    /** A one-time invite for a recorder of a commune of the list of 2022: what a QR code would hold. */
    fun invite(commune: String): String =
        toso("invite", "--server", url, "--admin-token-file", adminTokenFile, "--list", "2022", "--unit", commune, "--role", "recorder")

    /** Shuts a device out. */
    fun revoke(device: String) {
        toso("device", "revoke", "--server", url, "--admin-token-file", adminTokenFile, "--device", device)
    }

    /** Teams and members that the centre counts in a commune. */
    fun report(commune: String): String =
        toso("report", "--server", url, "--token-file", adminTokenFile, "--list", "2022", "--unit", commune, "--format", "json")

    private val adminTokenFile get() = data.resolve("admin.token").toString()

    /** It no longer answers, and its connections stay open: a mast that is there and carries nothing. */
    fun stall() = signal("STOP")

    /** It answers again. */
    fun wake() = signal("CONT")

    private fun signal(name: String) {
        check(ProcessBuilder("kill", "-$name", process.pid().toString()).start().waitFor() == 0) { "no $name for the server" }
    }

    override fun close() {
        process.destroyForcibly().waitFor()
    }

    companion object {
        private val binary: String = System.getenv("TOSO_BINARY") ?: error("TOSO_BINARY must name the toso binary; `cargo xtask mobile` sets it")
        private const val PATIENCE_SECONDS = 60L

        /** Starts one on a free port of this machine. */
        fun start(data: Path): Centre {
            val command = listOf(binary, "serve", "--data", data.toString(), "--listen", "127.0.0.1:0", "--stop-with-stdin")
            val log = data.resolveSibling("server.log").toFile()
            val process = ProcessBuilder(command).redirectError(log).start()
            val lines = process.inputStream.bufferedReader()
            val url = generateSequence { lines.readLine() }.firstOrNull { it.startsWith("listening on ") }
                ?: error("the server did not start:\n${log.readText()}")
            return Centre(process, data, url.removePrefix("listening on "))
        }

        /** Runs a command of the `toso` binary and gives what it prints. */
        private fun toso(vararg arguments: String): String {
            val errors = kotlin.io.path.createTempFile("toso", ".err")
            try {
                val process = ProcessBuilder(binary, *arguments).redirectError(errors.toFile()).start()
                val output = process.inputStream.bufferedReader().readText()
                check(process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)) { "toso ${arguments.first()} does not end" }
                check(process.exitValue() == 0) { "toso ${arguments.joinToString(" ")}: ${errors.readText()}" }
                return output.trim()
            } finally {
                errors.toFile().delete()
            }
        }
    }
}
