//! The app's log sink.
//!
//! Lines come from anywhere, also from places that hold a lock, so nothing calls the app from there: a line goes into a
//! bounded queue, and a task of the runtime hands it over. What does not fit is counted and told. Lines carry no personal
//! data.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once, Weak};

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Event, Level, Metadata, Subscriber};

use crate::callbacks::Callbacks;

/// Lines that wait for a slow sink; at about 100 B each, 25 KB.
const QUEUE_LINES: usize = 256;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, uniffi::Enum)]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something is not as it should be.
    Warn,
    /// What happens.
    Info,
    /// For developers.
    Debug,
}

/// Where the library's log lines go, given by the app. Called on a thread of the library's, one line at a time, never while
/// a lock is held; what it throws is ignored.
#[uniffi::export(foreign)]
pub trait LogSink: Send + Sync {
    /// Takes a line, without a line's end.
    fn log(&self, level: LogLevel, target: String, line: String);
}

/// A line on its way.
#[derive(Debug)]
struct Line {
    level: LogLevel,
    target: &'static str,
    text: String,
}

/// The queue in front of a sink.
#[derive(Debug)]
pub(crate) struct LogQueue {
    lines: mpsc::Sender<Line>,
    lost: AtomicU64,
}

/// The queues of all open objects: log lines belong to the process.
static QUEUES: Mutex<Vec<Weak<LogQueue>>> = Mutex::new(Vec::new());
static INSTALLED: Once = Once::new();

impl LogQueue {
    /// Begins to hand lines to a sink, until the queue is dropped.
    pub(crate) fn start(sink: Arc<dyn LogSink>, callbacks: Callbacks) -> Arc<Self> {
        INSTALLED.call_once(|| {
            // Somebody in this process may have set another: then that one has the lines.
            let _ = tracing::subscriber::set_global_default(Forward);
        });
        let (lines, mut waiting) = mpsc::channel::<Line>(QUEUE_LINES);
        let queue = Arc::new(Self { lines, lost: AtomicU64::new(0) });
        let weak = Arc::downgrade(&queue);
        let runtime = callbacks.runtime().clone();
        runtime.spawn(async move {
            while let Some(line) = waiting.recv().await {
                let lost = weak.upgrade().map_or(0, |queue| queue.lost.swap(0, Ordering::Relaxed));
                let sink = Arc::clone(&sink);
                callbacks.run(move || hand_over(sink.as_ref(), line, lost)).await;
            }
        });
        let mut queues = QUEUES.lock();
        queues.retain(|queue| queue.strong_count() > 0);
        queues.push(Arc::downgrade(&queue));
        queue
    }
}

/// Not by [`crate::callbacks::call_app`], whose own line about a sink that fails would come back here.
fn hand_over(sink: &dyn LogSink, line: Line, lost: u64) {
    if lost > 0 {
        let text = format!("{lost} lines before this one were lost: the sink was too slow");
        sink.log(LogLevel::Warn, module_path!().to_owned(), text);
    }
    sink.log(line.level, line.target.to_owned(), line.text);
}

/// Hands this project's own lines to the queues.
struct Forward;

impl Subscriber for Forward {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO && metadata.target().starts_with("toso")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let level = match *event.metadata().level() {
            Level::ERROR => LogLevel::Error,
            Level::WARN => LogLevel::Warn,
            Level::INFO => LogLevel::Info,
            _ => LogLevel::Debug,
        };
        let queues: Vec<Arc<LogQueue>> = QUEUES.lock().iter().filter_map(Weak::upgrade).collect();
        for queue in queues {
            let line = Line { level, target: event.metadata().target(), text: text.0.clone() };
            if queue.lines.try_send(line).is_err() {
                queue.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// `message name=value …`.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let blank = if self.0.is_empty() { "" } else { " " };
        // Writing into a text cannot fail.
        let _ = if field.name() == "message" {
            write!(self.0, "{blank}{value:?}")
        } else {
            write!(self.0, "{blank}{}={value:?}", field.name())
        };
    }
}
