// One bounded sync for BGTaskScheduler, and what to do next.

import Foundation
import Toso

/// What to do after a background sync.
public enum Next: Equatable {
    /// Nothing: the next regular run is early enough.
    case wait
    /// Try again soon.
    case tryAgain
    /// Trying again is useless until a person acts: show a notification that opens the app.
    case tellPerson
}

extension Toso {
    /// Syncs once, for at most so many seconds.
    public func syncInBackground(seconds: TimeInterval) async throws -> (done: BackgroundSync, next: Next) {
        let done = try await runBackgroundSync(deadlineMs: UInt64(seconds * 1000))
        return (done, next(after: done.end))
    }
}

/// What follows from how a background sync ended.
public func next(after end: BackgroundEnd) -> Next {
    switch end {
    case .done:
        return .wait
    case .deadline:
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
