// The library's observers as an asynchronous sequence.

import Foundation
import Toso

extension TosoClient {
    /// What happens in the library, for as long as the sequence is read.
    ///
    /// The first event says that everything is to be read anew: whoever reads on every event misses nothing that happened before.
    /// A slow reader is not waited for; at most 64 events wait for it, and then the oldest are dropped, so an event must be
    /// taken as a reason to read, never as the news itself.
    public func events() throws -> AsyncStream<TosoEvent> {
        let (stream, continuation) = AsyncStream.makeStream(of: TosoEvent.self, bufferingPolicy: .bufferingNewest(64))
        let subscription = try observe(observer: Forwarding(continuation))
        continuation.yield(.documents(ids: [], all: true))
        continuation.onTermination = { _ in subscription.cancel() }
        return stream
    }
}

/// Hands every event on.
private final class Forwarding: TosoObserver, Sendable {
    private let continuation: AsyncStream<TosoEvent>.Continuation

    init(_ continuation: AsyncStream<TosoEvent>.Continuation) {
        self.continuation = continuation
    }

    func onEvent(event: TosoEvent) {
        continuation.yield(event)
    }
}
