// One bounded sync for BGTaskScheduler, and what to do next.

import Foundation
import Toso

/// What to do after a background sync.
public enum Next: Equatable, Sendable {
    /// Nothing: the next regular run is early enough.
    case wait
    /// Try again soon.
    case tryAgain
    /// Trying again is useless until a person acts: show a notification that opens the app.
    case tellPerson
}

extension TosoClient {
    /// Syncs once, for at most so long. Cancel the task that waits for it when the system's time is over: it is back at once.
    public func syncInBackground(atMost time: Duration) async throws -> (done: BackgroundSync, next: Next) {
        let done = try await runBackgroundSync(atMost: time)
        return (done, next(after: done.end))
    }
}

/// What follows from how a background sync ended.
public func next(after end: BackgroundEnd) -> Next {
    switch end {
    case .done:
        return .wait
    case .deadline, .stopped:
        return .tryAgain
    case .failed(let error):
        switch error {
        case .Offline, .ServerBusy, .Storage, .Internal:
            return .tryAgain
        case .NotEnrolled, .Closed:
            return .wait
        default:
            return .tellPerson
        }
    }
}
