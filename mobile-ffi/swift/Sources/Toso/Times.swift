// Times as Swift has them. The generated records count milliseconds.

import Foundation

extension Duration {
    /// Whole milliseconds: none for a negative time, the most there are for one that does not fit.
    var wholeMilliseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let whole = UInt64(seconds).multipliedReportingOverflow(by: 1000)
        let all = whole.partialValue.addingReportingOverflow(UInt64(attoseconds / 1_000_000_000_000_000))
        return whole.overflow || all.overflow ? .max : all.partialValue
    }
}

extension ConflictValue {
    /// When it was written, by the writer's clock.
    public var at: Date { Date(milliseconds: atMs) }
}

extension HistoryEntry {
    /// When it was saved, by the writer's clock.
    public var at: Date { Date(milliseconds: atMs) }
}

extension Totals {
    /// When the centre had counted so far, by the server's clock.
    public var at: Date { Date(milliseconds: atMs) }
}

extension Invite {
    /// When it ends.
    public var expiresAt: Date { Date(milliseconds: expiresAtMs) }
}

extension Status {
    /// When this phone's right to sync ends, by the server's clock, unless a sync renews it before.
    public var tokenEnds: Date? { tokenEndsMs.map(Date.init(milliseconds:)) }
}

extension TosoEvent {
    /// When this phone's right to sync ends, by the server's clock, of the event that tells of it.
    public var rightEnds: Date? {
        if case .syncRight(_, let endsMs) = self { Date(milliseconds: endsMs) } else { nil }
    }
}

extension TosoError {
    /// How long a busy server asks to be left alone.
    public var retryAfter: Duration? {
        if case .ServerBusy(_, let retryAfterMs) = self { .milliseconds(retryAfterMs) } else { nil }
    }
}

extension Date {
    fileprivate init(milliseconds: Int64) {
        self.init(timeIntervalSince1970: Double(milliseconds) / 1000)
    }
}
