//! What happened, as text: a running hash over all of it, and the last lines for the person who reads them.

use std::collections::VecDeque;

/// Lines kept for the report of a failing seed.
const TAIL_LINES: usize = 60;

/// A trace.
#[derive(Debug, Default)]
pub(super) struct Trace {
    hasher: blake3::Hasher,
    tail: VecDeque<String>,
    print: bool,
}

impl Trace {
    /// A trace; `print` shows every line as it happens.
    pub(super) fn new(print: bool) -> Self {
        Self { print, ..Self::default() }
    }

    /// Notes a line at a virtual time.
    pub(super) fn note(&mut self, at_ms: u64, text: &str) {
        let line = format!("{:>9.3} {text}", at_ms as f64 / 1000.0);
        self.hasher.update(line.as_bytes()).update(b"\n");
        if self.print {
            println!("{line}");
        }
        if self.tail.len() >= TAIL_LINES {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }

    /// Takes bytes into the hash that would only clutter the lines.
    pub(super) fn absorb(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// The hash of everything so far.
    pub(super) fn hash(&self) -> String {
        self.hasher.finalize().to_hex()[..16].to_owned()
    }

    /// The last lines.
    pub(super) fn tail(&self) -> Vec<String> {
        self.tail.iter().cloned().collect()
    }
}
