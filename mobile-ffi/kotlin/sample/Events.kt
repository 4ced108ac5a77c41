// The library's observers as a flow, which is what coroutines like to collect.

package vn.toso.sample

import kotlinx.coroutines.channels.awaitClose
import kotlinx.coroutines.channels.trySendBlocking
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.callbackFlow
import uniffi.toso.TosoClient
import uniffi.toso.TosoEvent
import uniffi.toso.TosoObserver

/**
 * What happens in the library, for as long as the flow is collected.
 *
 * The first event says that everything is to be read anew: whoever reads on every event misses nothing that happened before. A slow
 * collector makes the library wait, and it then tells what happened meanwhile together; nothing piles up.
 */
fun TosoClient.events(): Flow<TosoEvent> = callbackFlow {
    val subscription = observe(
        object : TosoObserver {
            override fun onEvent(event: TosoEvent) {
                trySendBlocking(event)
            }
        },
    )
    send(TosoEvent.Documents(ids = emptyList(), all = true))
    awaitClose {
        subscription.cancel()
        subscription.close()
    }
}
