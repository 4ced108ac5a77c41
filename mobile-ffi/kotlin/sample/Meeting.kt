// A meeting of two phones over a pair of streams: what a Bluetooth socket, Wi-Fi Direct and a hotspot all give.

package vn.toso.sample

import java.io.IOException
import java.io.InputStream
import java.io.OutputStream
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.withContext
import uniffi.toso.MeetingSide
import uniffi.toso.PeerReport
import uniffi.toso.PeerSession
import uniffi.toso.TosoClient

private const val PIECE_BYTES = 16 * 1024

/**
 * Meets the phone at the other end and returns what was given and taken. The caller closes the pipe afterwards, which also ends a
 * meeting that hangs; cancelling alone does not wake a thread that reads.
 *
 * @throws uniffi.toso.TosoException.BadBundle when the other side is no phone of this register.
 * @throws uniffi.toso.TosoException.Offline when the pipe broke before both were done. What was taken before stays, and a further
 * meeting goes on from there.
 */
suspend fun TosoClient.meetOver(side: MeetingSide, input: InputStream, output: OutputStream): PeerReport =
    meet(side).use { session ->
        withContext(Dispatchers.IO) {
            try {
                session.talk(input, output)
            } catch (_: IOException) {
                // The pipe's end, whatever its reason: the session knows whether that was too early.
            }
            session.closed()
            session.report()
        }
    }

/** Moves the bytes until both sides are done or the pipe ends. */
private suspend fun PeerSession.talk(input: InputStream, output: OutputStream) {
    fun send(pieces: List<ByteArray>) {
        pieces.forEach(output::write)
        output.flush()
    }
    send(start())
    val piece = ByteArray(PIECE_BYTES)
    var ended = false
    while (!ended) {
        val length = input.read(piece)
        if (length < 0) return
        val step = receive(piece.copyOf(length))
        send(step.send)
        ended = step.ended
    }
}
