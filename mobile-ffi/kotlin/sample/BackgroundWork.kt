// One bounded sync, and what a scheduler should do next: all that a WorkManager worker needs to know.

package vn.toso.sample

import kotlin.time.Duration
import uniffi.toso.BackgroundEnd
import uniffi.toso.BackgroundSync
import uniffi.toso.TosoClient
import uniffi.toso.TosoException

/** What a scheduler should do after a background sync. */
enum class Next {
    /** Nothing: the next regular run is early enough. */
    WAIT,

    /** Try again, with the scheduler's own back-off. */
    TRY_AGAIN,

    /** Trying again is useless until a person acts: show a notification that opens the app. */
    TELL_PERSON,
}

/** Syncs once, for at most `time`. */
suspend fun TosoClient.syncInBackground(time: Duration): Pair<BackgroundSync, Next> {
    val done = runBackgroundSync(time.inWholeMilliseconds.toULong())
    return done to nextAfter(done.end)
}

/** What follows from how a background sync ended. */
fun nextAfter(end: BackgroundEnd): Next = when (end) {
    is BackgroundEnd.Done -> Next.WAIT
    is BackgroundEnd.Deadline, is BackgroundEnd.Stopped -> Next.TRY_AGAIN
    is BackgroundEnd.Failed -> when (end.error) {
        is TosoException.Offline, is TosoException.ServerBusy, is TosoException.Storage, is TosoException.Internal -> Next.TRY_AGAIN
        // The person has not joined yet, or has just left the app that was shut down: nothing to tell.
        is TosoException.NotEnrolled, is TosoException.Closed -> Next.WAIT
        else -> Next.TELL_PERSON
    }
}
