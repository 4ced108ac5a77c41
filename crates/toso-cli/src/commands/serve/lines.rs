//! The server's log lines on their way to stderr: nobody waits for them, and nothing but a line can be lost.
//!
//! Who reads a log goes away: a shipper restarts, an ssh session ends, the disk is full. A write to stderr then fails, or
//! never ends since a pipe is full that nobody empties. So one thread writes, everybody else only puts a line into a
//! queue with a bound, and what cannot be written is dropped and counted. Once there is a reader again, it is told how
//! much is missing.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Bytes of lines that may wait: some 5,000 lines of 200 B, a second of a rush in which every request is logged.
pub(super) const QUEUE_BYTES_MAX: usize = 1 << 20;

/// Makes the line that tells how many were lost.
pub(super) type Missing = fn(u64) -> String;

/// Where lines go. Clones share the queue.
#[derive(Clone)]
pub(super) struct Lines(Arc<Queue>);

struct Queue {
    state: Mutex<State>,
    /// There is a line to write.
    more: Condvar,
    /// Everything was written, or lost.
    done: Condvar,
    /// Lines that were lost.
    lost: Arc<AtomicU64>,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    writing: bool,
}

impl Lines {
    /// Starts the thread. `lost` counts what never came to the sink.
    pub(super) fn start(sink: impl Write + Send + 'static, missing: Missing, lost: Arc<AtomicU64>) -> io::Result<Self> {
        let queue = Arc::new(Queue { state: Mutex::default(), more: Condvar::new(), done: Condvar::new(), lost });
        let of_thread = Arc::clone(&queue);
        std::thread::Builder::new().name("toso-lines".to_owned()).spawn(move || of_thread.work(sink, missing))?;
        Ok(Self(queue))
    }

    /// Puts a line, with its end, into the queue, unless that is full.
    pub(super) fn push(&self, line: Vec<u8>) {
        let mut state = self.0.state.lock();
        if state.bytes + line.len() > QUEUE_BYTES_MAX {
            self.0.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.bytes += line.len();
        state.lines.push_back(line);
        drop(state);
        self.0.more.notify_one();
    }

    /// Waits until everything was written or lost, but no longer than this.
    pub(super) fn finish(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut state = self.0.state.lock();
        while state.writing || !state.lines.is_empty() {
            if self.0.done.wait_until(&mut state, until).timed_out() {
                return;
            }
        }
    }
}

/// What the log library writes to: each write is a whole line.
impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Queue {
    fn work(&self, mut sink: impl Write, missing: Missing) {
        // Lines known to be missing by the reader, and whether the last write may have left half a line.
        let (mut told, mut torn) = (0, false);
        loop {
            let mut line = self.next();
            let lost = self.lost.load(Ordering::Relaxed);
            if lost > told {
                line.splice(0..0, format!("{}\n", missing(lost - told)).into_bytes());
            }
            if torn {
                line.insert(0, b'\n');
            }
            torn = sink.write_all(&line).and_then(|()| sink.flush()).is_err();
            if torn {
                self.lost.fetch_add(1, Ordering::Relaxed);
            } else {
                told = lost;
            }
            self.written();
        }
    }

    fn next(&self) -> Vec<u8> {
        let mut state = self.state.lock();
        loop {
            if let Some(line) = state.lines.pop_front() {
                state.bytes -= line.len();
                state.writing = true;
                return line;
            }
            self.more.wait(&mut state);
        }
    }

    fn written(&self) {
        self.state.lock().writing = false;
        self.done.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const TIME: Duration = Duration::from_secs(20);

    /// A reader that comes and goes.
    #[derive(Clone, Default)]
    struct Reader(Arc<Mutex<(bool, Vec<u8>)>>);

    impl Reader {
        fn is_there(&self, there: bool) {
            self.0.lock().0 = there;
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().1.clone()).unwrap()
        }
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut state = self.0.lock();
            if !state.0 {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            state.1.extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn missing(lines: u64) -> String {
        format!("{lines} missing")
    }

    #[test]
    fn a_reader_that_comes_back_is_told_what_is_missing() {
        let (reader, lost) = (Reader::default(), Arc::new(AtomicU64::new(0)));
        let lines = Lines::start(reader.clone(), missing, Arc::clone(&lost)).unwrap();
        reader.is_there(true);
        lines.push(b"one\n".to_vec());
        lines.finish(TIME);
        reader.is_there(false);
        lines.push(b"two\n".to_vec());
        lines.push(b"three\n".to_vec());
        lines.finish(TIME);
        reader.is_there(true);
        lines.push(b"four\n".to_vec());
        lines.push(b"five\n".to_vec());
        lines.finish(TIME);
        assert_eq!((reader.text().as_str(), lost.load(Ordering::Relaxed)), ("one\n\n2 missing\nfour\nfive\n", 2));
    }

    /// A pipe that nobody empties: the write does not end.
    struct Stuck(mpsc::Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// At the limit nothing is lost, one line past it is; and nobody waits.
    #[test]
    fn a_reader_that_stands_still_costs_lines_and_nobody_waits_for_it() {
        let (release, held) = mpsc::channel();
        let lost = Arc::new(AtomicU64::new(0));
        let lines = Lines::start(Stuck(held), missing, Arc::clone(&lost)).unwrap();
        lines.push(b"taken by the thread\n".to_vec());
        // The thread has it once it is not in the queue any more.
        while !lines.0.state.lock().lines.is_empty() {
            std::thread::yield_now();
        }
        let line = vec![b'x'; 1024];
        for _ in 0..QUEUE_BYTES_MAX / line.len() {
            lines.push(line.clone());
        }
        assert_eq!(lost.load(Ordering::Relaxed), 0);
        lines.push(b"x".to_vec());
        assert_eq!(lost.load(Ordering::Relaxed), 1);
        lines.finish(Duration::from_millis(1));
        drop(release);
        lines.finish(TIME);
        let state = lines.0.state.lock();
        assert!(state.lines.is_empty() && !state.writing);
    }
}
