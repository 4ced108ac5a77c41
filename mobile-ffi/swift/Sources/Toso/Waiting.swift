// Calls that wait for a network, cancelled as Swift cancels: whoever cancels the task has the thread back at once.
//
// The generated calls do not hear of a task's cancellation. Each takes a `StopSignal`, and the ones here hand it over: without
// one, an expired background task would hold its app until the network answers, and iOS ends such an app.

import Foundation

extension TosoClient {
    /// Joins by an invite: the text of the scanned QR code. A cancelled task gets `CancellationError`; scanning the same invite
    /// again does no harm.
    @discardableResult
    public func enrol(invite: String) async throws -> AdminUnit {
        try await cancellable { stop in try await self.enrol(invite: invite, stop: stop) }
    }

    /// Asks the server for the key of a unit's bundles, this device's own when none is said. A cancelled task gets
    /// `CancellationError`.
    public func fetchBundleKey(unit: String? = nil) async throws {
        try await cancellable { stop in try await self.fetchBundleKey(unit: unit, stop: stop) }
    }

    /// Exchanges everything there is once, for at most so long. A cancelled task gets an end of its own, `.stopped`, and what was
    /// exchanged until then is kept on both sides.
    public func runBackgroundSync(atMost time: Duration) async throws -> BackgroundSync {
        try await cancellable { stop in try await self.runBackgroundSync(deadlineMs: time.wholeMilliseconds, stop: stop) }
    }
}

/// Runs a call that a cancelled task ends.
private func cancellable<Value: Sendable>(_ call: (StopSignal) async throws -> Value) async throws -> Value {
    let stop = StopSignal()
    do {
        return try await withTaskCancellationHandler {
            try await call(stop)
        } onCancel: {
            // It holds the task's own lock: nothing that waits may be called from here.
            stop.stop()
        }
    } catch TosoError.Stopped {
        throw CancellationError()
    }
}
