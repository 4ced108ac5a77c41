//! Makes the file, part by part.

use std::io::Write;

use toso_core::change::Entry;
use toso_core::id::Sequence;

use super::line::{Json, JsonEnd};
use super::{Contents, ENTRY_TEXT_BYTES, ExportError, Header, RUN_TEXT_BYTES_MAX, Run, base64_bytes};
use crate::change_log::{Log, Logged};

/// Entries and bytes of one part: what a caller holds in memory, three times at most (entries, text, compressed text).
const PART_ITEMS_MAX: usize = 1024;
const PART_BYTES_MAX: usize = 256 * 1024;

/// Writes a consistent cut: all entries up to the header's last sequence. Writes may go on meanwhile.
pub struct Exporter {
    header: Header,
    stage: Stage,
    hasher: blake3::Hasher,
    /// The run that the next entry may still belong to.
    open: Option<(Run, usize)>,
    contents: Contents,
}

enum Stage {
    Header,
    Log(Sequence),
    End,
    Done,
}

impl Exporter {
    /// Begins; nothing is read yet.
    pub fn new(header: Header) -> Self {
        let contents = Contents { header: header.clone(), runs: 0, entries: 0, commands: 0, records: 0 };
        Self { header, stage: Stage::Header, hasher: blake3::Hasher::new(), open: None, contents }
    }

    /// The next whole lines; `None` after the end line. Always of the same store.
    pub fn part(&mut self, log: &dyn Log) -> Result<Option<Vec<u8>>, ExportError> {
        let mut text = Vec::new();
        while text.is_empty() {
            self.stage = match std::mem::replace(&mut self.stage, Stage::Done) {
                Stage::Header => {
                    let header = self.header.to_json();
                    self.put(&mut text, &header);
                    Stage::Log(Sequence::ZERO)
                }
                Stage::Log(after) => self.entries(log, after, &mut text)?,
                Stage::End => {
                    let end = Json::End(JsonEnd {
                        runs: self.contents.runs,
                        entries: self.contents.entries,
                        commands: self.contents.commands,
                        records: 0,
                        blake3: self.hasher.finalize().to_hex().to_string(),
                    });
                    self.put(&mut text, &end);
                    Stage::Done
                }
                Stage::Done => return Ok(None),
            };
        }
        Ok(Some(text))
    }

    /// Writes everything that is left.
    pub fn write_to(mut self, log: &dyn Log, out: &mut dyn Write) -> Result<Contents, ExportError> {
        while let Some(part) = self.part(log)? {
            out.write_all(&part).map_err(|error| self.failed(&error))?;
        }
        Ok(self.contents)
    }

    /// What has been written so far.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    fn failed(&self, error: &std::io::Error) -> ExportError {
        let line = 1 + self.contents.runs + self.contents.commands;
        if error.kind() == std::io::ErrorKind::StorageFull {
            let (operation, path) = ("writing the export", format!("line {line} of the new file"));
            return crate::StoreError::Full { operation, path }.into();
        }
        ExportError::Io { operation: "writing the export", line, detail: error.to_string() }
    }

    fn entries(&mut self, log: &dyn Log, mut after: Sequence, text: &mut Vec<u8>) -> Result<Stage, ExportError> {
        let end = self.header.last;
        if after < end {
            let before = after;
            for entry in log.tail(after, PART_ITEMS_MAX, PART_BYTES_MAX)? {
                if entry.sequence() > end {
                    break;
                }
                after = entry.sequence();
                match entry {
                    Logged::Change(entry) => {
                        self.contents.entries += 1;
                        self.entry(entry, text);
                    }
                    Logged::Command(command) => {
                        self.close(text);
                        self.contents.commands += 1;
                        self.put(text, &command.to_json());
                    }
                }
            }
            if after > before {
                return Ok(Stage::Log(after));
            }
            return Err(ExportError::Damaged {
                line: 1 + self.contents.runs + self.contents.commands,
                detail: format!("the log has nothing after sequence {}, and should end at {}", after.0, end.0),
            });
        }
        self.close(text);
        Ok(Stage::End)
    }

    fn entry(&mut self, entry: Entry, text: &mut Vec<u8>) {
        let bytes = base64_bytes(entry.change.bytes().len()) + ENTRY_TEXT_BYTES;
        if let Some((run, filled)) = &mut self.open {
            let same = (run.scope, run.author, run.received_at) == (entry.scope, entry.author, entry.received_at);
            if same && *filled < RUN_TEXT_BYTES_MAX {
                *filled += bytes;
                run.items.push(entry.change);
                return;
            }
        }
        self.close(text);
        let Entry { sequence, scope, author, received_at, change } = entry;
        self.open = Some((Run { first: sequence, scope, author, received_at, items: vec![change] }, bytes));
    }

    fn close(&mut self, text: &mut Vec<u8>) {
        if let Some((run, _)) = self.open.take() {
            self.contents.runs += 1;
            self.put(text, &run.to_json());
        }
    }

    fn put(&mut self, text: &mut Vec<u8>, json: &Json) {
        let start = text.len();
        // Plain structs of texts and numbers always encode, and a vector takes everything.
        let _ = serde_json::to_writer(&mut *text, json);
        text.push(b'\n');
        self.hasher.update(text.get(start..).unwrap_or_default());
    }
}

impl std::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exporter").field("contents", &self.contents).finish_non_exhaustive()
    }
}

/// Makes parts smaller: one zstd frame with a checksum over all of them.
pub struct Compressor(zstd::stream::write::Encoder<'static, Vec<u8>>);

/// zstd's default level: 4:1 on changes in base64, at several times the speed of the log.
const COMPRESSION_LEVEL: i32 = 3;

impl Compressor {
    /// A new frame.
    pub fn new() -> std::io::Result<Self> {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), COMPRESSION_LEVEL)?;
        encoder.include_checksum(true)?;
        Ok(Self(encoder))
    }

    /// Takes a part; gives what of the frame is ready, perhaps nothing.
    pub fn push(&mut self, part: &[u8]) -> std::io::Result<Vec<u8>> {
        self.0.write_all(part)?;
        Ok(std::mem::take(self.0.get_mut()))
    }

    /// The end of the frame.
    pub fn finish(self) -> std::io::Result<Vec<u8>> {
        self.0.finish()
    }
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Compressor")
    }
}
