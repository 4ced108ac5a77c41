//! Every metric by name, in one place. `GET /metrics` prints them as Prometheus text. None carries personal data: labels
//! are codes, routes and statuses, never ids or names.
//!
//! | name | kind | meaning |
//! | --- | --- | --- |
//! | `toso_sessions` | gauge | sync sessions open now |
//! | `toso_sessions_opened_total` | counter | sync sessions accepted, over WebSocket and POST |
//! | `toso_sessions_shed_total` | counter | upgrades refused since all places were taken |
//! | `toso_hellos_signed_total` | counter | HELLOs by token and signature: first contacts, and a device's every few days |
//! | `toso_frames_received_total`, `toso_frames_sent_total` | counter | frames |
//! | `toso_frames_unknown_total` | counter | frames of newer phones, passed over |
//! | `toso_bytes_received_total`, `toso_bytes_sent_total` | counter | bytes of frames, HELLO of the upgrade included |
//! | `toso_pushes_total`, `toso_acks_total` | counter | pushes handed to the log; acknowledgements sent |
//! | `toso_refusals_total{kind,code}` | counter | NACKs, GOODBYEs and challenges by code; sessions shed; connections ended (`kind="connection"`) |
//! | `toso_appended_chunks_total` | counter | new chunks in the log |
//! | `toso_append_failures_total` | counter | batches that could not be stored |
//! | `toso_append_seconds` | histogram | one append, fsync included |
//! | `toso_append_batches` | histogram | batches that shared an fsync |
//! | `toso_storage_syncs_total` | counter | syncs of the disk by the log and its records, the opening's included |
//! | `toso_log_sequence`, `toso_counted_sequence` | gauge | end of the log; counted position |
//! | `toso_fold_lag_entries` | gauge | entries of the log, decisions among them, from the counted position to the last chunk; 0 while the views load |
//! | `toso_views_loading` | gauge | 1 while a start reads the stored views: what is counted is not known until then |
//! | `toso_returned_chunks_total` | counter | chunks that devices gave back after the log had lost them |
//! | `toso_documents_newer` | gauge | documents of kinds that only a newer version knows: kept, not counted |
//! | `toso_quarantined_chunks_total` | counter | chunks that a document could not take |
//! | `toso_review_open` | gauge | changes that wait for an officer's decision |
//! | `toso_review_held_total` | counter | changes answered as held, repetitions included |
//! | `toso_review_accepted_total`, `toso_review_returned_total` | counter | decisions |
//! | `toso_http_requests_total{route,status}` | counter | REST requests |
//! | `toso_clock_behind` | gauge | 1 while the server's clock lies before a time that has passed: nobody is invited or enrolled |
//! | `toso_log_lines_lost_total` | counter | lines of the log that nobody read or that could not be written |
//! | `toso_resident_bytes` | gauge | the process's resident memory |

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use toso_core::id::Sequence;
use toso_sync::server::RefusalKind;

/// Labels of `toso_refusals_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RefusalLabels {
    /// `nack`, `goodbye`, `challenge`, `shed` or `connection`.
    pub kind: &'static str,
    /// The code's name.
    pub code: String,
}

/// Labels of `toso_http_requests_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct HttpLabels {
    /// The route's pattern, never the path.
    pub route: String,
    /// The answer's status.
    pub status: u16,
}

/// Why the server ended a connection that gave it nothing to answer, as `toso_refusals_total` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionRefusal {
    /// All places were taken, and it had kept the server waiting the longest.
    CrowdedOut,
    /// The head of its request did not come in time.
    SlowHead,
    /// It speaks no HTTP, or its head is too large.
    NotHttp,
    /// It took nothing of an answer for too long.
    Unread,
    /// What came is no WebSocket, or a message over the limit.
    NotWebSocket,
    /// Neither a whole message nor an answer to a ping came in time.
    Silent,
}

impl ConnectionRefusal {
    const fn word(self) -> &'static str {
        match self {
            Self::CrowdedOut => "crowded_out",
            Self::SlowHead => "slow_head",
            Self::NotHttp => "not_http",
            Self::Unread => "unread",
            Self::NotWebSocket => "not_web_socket",
            Self::Silent => "silent",
        }
    }
}

/// The server's metrics.
#[derive(Debug)]
#[expect(missing_docs, reason = "the table above documents each by its name")]
pub struct Metrics {
    registry: Registry,
    pub sessions: Gauge,
    pub sessions_opened: Counter,
    pub sessions_shed: Counter,
    pub hellos_signed: Counter,
    pub frames_received: Counter,
    pub frames_unknown: Counter,
    pub frames_sent: Counter,
    pub bytes_received: Counter,
    pub bytes_sent: Counter,
    pub pushes: Counter,
    pub acks: Counter,
    pub refusals: Family<RefusalLabels, Counter>,
    pub appended_chunks: Counter,
    pub append_failures: Counter,
    pub append_seconds: Histogram,
    pub append_batches: Histogram,
    pub storage_syncs: Counter,
    pub log_sequence: Gauge<u64, AtomicU64>,
    pub counted_sequence: Gauge<u64, AtomicU64>,
    pub fold_lag_entries: Gauge<u64, AtomicU64>,
    pub views_loading: Gauge<u64, AtomicU64>,
    pub documents_newer: Gauge<u64, AtomicU64>,
    pub quarantined_chunks: Counter,
    /// See the table.
    pub returned_chunks: Counter,
    pub review_open: Gauge<u64, AtomicU64>,
    pub review_held: Counter,
    pub review_accepted: Counter,
    pub review_returned: Counter,
    pub http_requests: Family<HttpLabels, Counter>,
    pub clock_behind: Gauge<u64, AtomicU64>,
    pub log_lines_lost: Counter,
    pub resident_bytes: Gauge<u64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("toso"),
            sessions: Gauge::default(),
            sessions_opened: Counter::default(),
            sessions_shed: Counter::default(),
            hellos_signed: Counter::default(),
            frames_received: Counter::default(),
            frames_unknown: Counter::default(),
            frames_sent: Counter::default(),
            bytes_received: Counter::default(),
            bytes_sent: Counter::default(),
            pushes: Counter::default(),
            acks: Counter::default(),
            refusals: Family::default(),
            appended_chunks: Counter::default(),
            append_failures: Counter::default(),
            // 0.25 ms to 4 s: from a fast NVMe's fsync to a disk in trouble.
            append_seconds: Histogram::new(exponential_buckets(0.000_25, 2.0, 15)),
            append_batches: Histogram::new(exponential_buckets(1.0, 2.0, 10)),
            storage_syncs: Counter::default(),
            log_sequence: Gauge::default(),
            counted_sequence: Gauge::default(),
            fold_lag_entries: Gauge::default(),
            views_loading: Gauge::default(),
            documents_newer: Gauge::default(),
            quarantined_chunks: Counter::default(),
            returned_chunks: Counter::default(),
            review_open: Gauge::default(),
            review_held: Counter::default(),
            review_accepted: Counter::default(),
            review_returned: Counter::default(),
            http_requests: Family::default(),
            clock_behind: Gauge::default(),
            log_lines_lost: Counter::default(),
            resident_bytes: Gauge::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("sessions", "Sync sessions open now", self.sessions.clone());
        r.register("sessions_opened", "Sync sessions accepted", self.sessions_opened.clone());
        r.register("sessions_shed", "Upgrades refused, all places taken", self.sessions_shed.clone());
        r.register("hellos_signed", "HELLOs by token and signature", self.hellos_signed.clone());
        r.register("frames_received", "Frames received", self.frames_received.clone());
        r.register("frames_unknown", "Frames of newer phones, passed over", self.frames_unknown.clone());
        r.register("frames_sent", "Frames sent", self.frames_sent.clone());
        r.register("bytes_received", "Bytes of frames received", self.bytes_received.clone());
        r.register("bytes_sent", "Bytes of frames sent", self.bytes_sent.clone());
        r.register("pushes", "Pushes handed to the log", self.pushes.clone());
        r.register("acks", "Acknowledgements sent", self.acks.clone());
        r.register("refusals", "Refusals by kind and code", self.refusals.clone());
        r.register("appended_chunks", "New chunks in the log", self.appended_chunks.clone());
        r.register("append_failures", "Batches that could not be stored", self.append_failures.clone());
        r.register("append_seconds", "One append, fsync included", self.append_seconds.clone());
        r.register("append_batches", "Batches that shared an fsync", self.append_batches.clone());
        r.register("storage_syncs", "Syncs of the disk", self.storage_syncs.clone());
        r.register("log_sequence", "End of the log", self.log_sequence.clone());
        r.register("counted_sequence", "Counted position", self.counted_sequence.clone());
        r.register("fold_lag_entries", "Entries not counted yet", self.fold_lag_entries.clone());
        r.register("views_loading", "The stored views are being read", self.views_loading.clone());
        r.register("returned_chunks", "Chunks given back after the log lost them", self.returned_chunks.clone());
        r.register("documents_newer", "Documents of kinds to come", self.documents_newer.clone());
        r.register("quarantined_chunks", "Chunks no document could take", self.quarantined_chunks.clone());
        r.register("review_open", "Changes that wait for an officer", self.review_open.clone());
        r.register("review_held", "Changes answered as held", self.review_held.clone());
        r.register("review_accepted", "Held changes accepted", self.review_accepted.clone());
        r.register("review_returned", "Held changes returned", self.review_returned.clone());
        r.register("http_requests", "REST requests by route and status", self.http_requests.clone());
        r.register("clock_behind", "The server's clock is wrong", self.clock_behind.clone());
        r.register("log_lines_lost", "Lines of the log that were lost", self.log_lines_lost.clone());
        r.register("resident_bytes", "Resident memory of the process", self.resident_bytes.clone());
    }

    /// Notes how far the log goes and how far it is counted; `None` while the stored views are read.
    pub fn counted(&self, last: Sequence, counted: Option<Sequence>) {
        self.log_sequence.set(last.0);
        self.views_loading.set(u64::from(counted.is_none()));
        let counted = counted.map(|counted| counted.0);
        self.counted_sequence.set(counted.unwrap_or_default());
        self.fold_lag_entries.set(counted.map_or(0, |counted| last.0.saturating_sub(counted)));
    }

    /// Counts a refusal.
    pub fn refused(&self, refusal: RefusalKind) {
        let (kind, code) = match refusal {
            RefusalKind::Nack(code) => ("nack", snake(&format!("{code:?}"))),
            RefusalKind::Goodbye(code) => ("goodbye", snake(&format!("{code:?}"))),
            RefusalKind::Challenge => ("challenge", "challenge".to_owned()),
            RefusalKind::Shed => ("shed", "shed".to_owned()),
        };
        self.refusals.get_or_create(&RefusalLabels { kind, code }).inc();
    }

    /// Counts a connection that was ended.
    pub fn refused_connection(&self, refusal: ConnectionRefusal) {
        let labels = RefusalLabels { kind: "connection", code: refusal.word().to_owned() };
        self.refusals.get_or_create(&labels).inc();
    }

    /// All metrics as Prometheus (OpenMetrics) text.
    pub fn to_text(&self) -> String {
        self.resident_bytes.set(resident_bytes().unwrap_or_default());
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// `OutOfScope` as `out_of_scope`.
fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// The process's resident memory, where the system tells (Linux).
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use toso_wire::NackCode;

    use super::*;

    /// The whole log was called the lag while the views were read, and the alarm rang at every start.
    #[test]
    fn what_is_not_counted_is_not_known_while_the_views_load() {
        let metrics = Metrics::default();
        let shown = |text: &str| {
            let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
            ["toso_log_sequence ", "toso_counted_sequence ", "toso_fold_lag_entries ", "toso_views_loading "].map(line)
        };
        metrics.counted(Sequence(9_000), None);
        assert_eq!(shown(&metrics.to_text()), [9_000_u64, 0, 0, 1].map(Some));
        metrics.counted(Sequence(9_000), Some(Sequence(8_990)));
        assert_eq!(shown(&metrics.to_text()), [9_000, 8_990, 10, 0].map(Some));
        metrics.counted(Sequence(9_000), Some(Sequence(9_000)));
        assert_eq!(shown(&metrics.to_text()), [9_000, 9_000, 0, 0].map(Some));
    }

    #[test]
    fn the_text_names_every_metric_and_counts_refusals_by_code() {
        let metrics = Metrics::default();
        metrics.refused(RefusalKind::Nack(NackCode::OutOfScope));
        metrics.refused(RefusalKind::Nack(NackCode::OutOfScope));
        metrics.appended_chunks.inc_by(7);
        metrics.http_requests.get_or_create(&HttpLabels { route: "/healthz".to_owned(), status: 200 }).inc();
        let text = metrics.to_text();
        assert!(text.contains(r#"toso_refusals_total{kind="nack",code="out_of_scope"} 2"#), "{text}");
        assert!(text.contains("toso_appended_chunks_total 7"), "{text}");
        for documented in include_str!("metrics.rs").lines().filter(|line| line.starts_with("//! | `")) {
            for name in documented.split('`').filter(|part| part.starts_with("toso_")) {
                let family = name.split('{').next().unwrap().trim_end_matches("_total");
                assert!(text.contains(&format!("# TYPE {family} ")), "{family} is documented, not printed");
            }
        }
    }
}
