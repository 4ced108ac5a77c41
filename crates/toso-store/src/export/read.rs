//! Reads the file back: line by line, in bounded memory, believing nothing.

use std::io::{BufRead, BufReader, Read};

use toso_core::id::Sequence;

use super::line::{EXPORT_NAME, Json, JsonEnd, JsonOpening};
use super::{Contents, EXPORT_FORMAT, ExportError, Header, LINE_BYTES_MAX, Line, Run, TableRecord};
use crate::change_log::Command;

/// The first bytes of a zstd frame; no JSON begins so.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The window that a compressed file may ask for: 8 MiB, four times what is written. Without it a file of a few bytes
/// could ask for gigabytes.
const WINDOW_LOG_MAX: u32 = 23;
/// Bytes read at a time.
const BUFFER_BYTES: usize = 64 * 1024;

/// Reads an export. Lines come in order; [`Line::End`] comes only when everything before it was whole.
pub struct ExportReader<R: Read> {
    input: BufReader<Input<R>>,
    header: Header,
    line: u64,
    hasher: blake3::Hasher,
    next: Sequence,
    records_began: bool,
    contents: Contents,
    ended: bool,
}

/// What follows the bytes that told plain from compressed, with these before it.
type Whole<R> = std::io::Chain<std::io::Cursor<Vec<u8>>, R>;

/// Plain or compressed.
enum Input<R: Read> {
    Plain(Whole<R>),
    Zstd(Box<zstd::stream::read::Decoder<'static, BufReader<Whole<R>>>>),
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(input) => input.read(buffer),
            Self::Zstd(input) => input.read(buffer),
        }
    }
}

impl<R: Read> ExportReader<R> {
    /// Reads the header.
    pub fn new(mut input: R) -> Result<Self, ExportError> {
        let mut magic = Vec::with_capacity(ZSTD_MAGIC.len());
        let failed = |error: std::io::Error| read_failed(1, &error);
        input.by_ref().take(ZSTD_MAGIC.len() as u64).read_to_end(&mut magic).map_err(failed)?;
        let compressed = magic == ZSTD_MAGIC;
        let input = std::io::Cursor::new(magic).chain(input);
        let input = if compressed {
            let mut decoder = zstd::stream::read::Decoder::new(input).map_err(failed)?;
            decoder.window_log_max(WINDOW_LOG_MAX).map_err(failed)?;
            // Several frames in a row are one content, as `cat` and parallel compressors leave them.
            Input::Zstd(Box::new(decoder))
        } else {
            Input::Plain(input)
        };
        let mut input = BufReader::with_capacity(BUFFER_BYTES, input);
        let mut hasher = blake3::Hasher::new();
        let line = next_line(&mut input, 1).map_err(|error| match error {
            // Another file altogether, as often as an export whose first line is damaged.
            ExportError::LineTooLong { .. } => ExportError::NotAnExport,
            other @ (ExportError::Io { .. }
            | ExportError::Truncated { .. }
            | ExportError::Damaged { .. }
            | ExportError::NotAnExport
            | ExportError::NewerFormat { .. }
            | ExportError::TooManyErasures { .. }
            | ExportError::Store(_)) => other,
        })?;
        let opening: JsonOpening = serde_json::from_slice(&line).map_err(|_| ExportError::NotAnExport)?;
        if opening.kind != "header" || opening.name != EXPORT_NAME || opening.format == 0 {
            return Err(ExportError::NotAnExport);
        }
        if opening.format > EXPORT_FORMAT {
            return Err(ExportError::NewerFormat { found: opening.format, supported: EXPORT_FORMAT });
        }
        let header = match serde_json::from_slice(&line) {
            Ok(Json::Header(header)) => {
                Header::from_json(header).map_err(|detail| ExportError::Damaged { line: 1, detail })?
            }
            _ => return Err(ExportError::Damaged { line: 1, detail: "the header's fields cannot be read".to_owned() }),
        };
        hasher.update(&line);
        let contents = Contents { header: header.clone(), runs: 0, entries: 0, commands: 0, records: 0 };
        let next = Sequence::ZERO.plus(1);
        Ok(Self { input, header, line: 1, hasher, next, records_began: false, contents, ended: false })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The number of the line that was read last.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// What has been read so far; of the whole file once [`Line::End`] has come.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// The next line. After the end it is the end again.
    pub fn next_line(&mut self) -> Result<Line, ExportError> {
        if self.ended {
            return Ok(Line::End);
        }
        let number = self.line + 1;
        let bytes = next_line(&mut self.input, number)?;
        self.line = number;
        // What serde says can repeat content, which may be somebody's data: its position is enough.
        let json: Json = serde_json::from_slice(&bytes)
            .map_err(|error| self.damaged(format!("it cannot be read at its byte {}", error.column())))?;
        let line = match json {
            Json::Header(_) => return Err(self.damaged("a second header")),
            Json::Run(run) => self.run(Run::from_json(run).map_err(|detail| self.damaged(detail))?)?,
            Json::Command(command) => {
                self.command(Command::from_json(command).map_err(|detail| self.damaged(detail))?)?
            }
            Json::Record(record) => {
                self.records_began = true;
                self.whole_log()?;
                self.contents.records += 1;
                Line::Record(TableRecord::from_json(record).map_err(|detail| self.damaged(detail))?)
            }
            Json::End(end) => {
                self.end(&end)?;
                Line::End
            }
        };
        self.hasher.update(&bytes);
        Ok(line)
    }

    fn run(&mut self, run: Run) -> Result<Line, ExportError> {
        if self.records_began {
            return Err(self.damaged("a run after records"));
        }
        self.pass(run.first, run.items.len() as u64)?;
        self.contents.runs += 1;
        self.contents.entries += run.items.len() as u64;
        Ok(Line::Run(run))
    }

    fn command(&mut self, command: Command) -> Result<Line, ExportError> {
        if self.records_began {
            return Err(self.damaged("a command after records"));
        }
        self.pass(command.sequence, 1)?;
        self.contents.commands += 1;
        Ok(Line::Command(command))
    }

    /// Entries from a sequence on, which must be the next.
    fn pass(&mut self, first: Sequence, entries: u64) -> Result<(), ExportError> {
        if first != self.next {
            return Err(self.damaged(format!("it begins at sequence {}, expected {}", first.0, self.next.0)));
        }
        self.next = self.next.plus(entries);
        if self.next.0 > self.header.last.0.saturating_add(1) {
            return Err(self.damaged(format!("it goes past the header's last sequence {}", self.header.last.0)));
        }
        Ok(())
    }

    fn whole_log(&self) -> Result<(), ExportError> {
        if self.next.0 == self.header.last.0.saturating_add(1) {
            return Ok(());
        }
        Err(self.damaged(format!("entries {} to {} are missing before it", self.next.0, self.header.last.0)))
    }

    fn end(&mut self, end: &JsonEnd) -> Result<(), ExportError> {
        self.whole_log()?;
        let Contents { runs, entries, commands, records, .. } = self.contents;
        if (end.runs, end.entries, end.commands, end.records) != (runs, entries, commands, records) {
            return Err(self.damaged(format!(
                "the end line counts {} runs, {} entries, {} commands, {} records; the file has {runs}, {entries}, \
                 {commands}, {records}",
                end.runs, end.entries, end.commands, end.records
            )));
        }
        if end.blake3 != self.hasher.finalize().to_hex().as_str() {
            return Err(self.damaged("the checksum over the lines before does not match, so one of them is damaged"));
        }
        let mut rest = [0; 1];
        let after = self.line + 1;
        match self.input.read(&mut rest) {
            Ok(0) => {}
            Ok(_) => {
                return Err(ExportError::Damaged { line: after, detail: "there is more after the end line".into() });
            }
            Err(error) => return Err(read_failed(after, &error)),
        }
        self.ended = true;
        Ok(())
    }

    fn damaged(&self, detail: impl Into<String>) -> ExportError {
        ExportError::Damaged { line: self.line, detail: detail.into() }
    }
}

impl<R: Read> std::fmt::Debug for ExportReader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExportReader").field("line", &self.line).finish_non_exhaustive()
    }
}

/// Reads a whole export, and forgets it: what it held, or what is wrong with it. Takes any bytes, in bounded memory.
pub fn read_all(input: impl Read) -> Result<Contents, ExportError> {
    let mut reader = ExportReader::new(input)?;
    while reader.next_line()? != Line::End {}
    Ok(reader.contents)
}

/// One line with its line end.
fn next_line(input: &mut impl BufRead, line: u64) -> Result<Vec<u8>, ExportError> {
    let mut bytes = Vec::new();
    let read = input.by_ref().take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut bytes);
    read.map_err(|error| read_failed(line, &error))?;
    match bytes.last() {
        Some(b'\n') => Ok(bytes),
        _ if bytes.len() >= LINE_BYTES_MAX => Err(ExportError::LineTooLong { line, max: LINE_BYTES_MAX }),
        _ => Err(ExportError::Truncated { line }),
    }
}

fn read_failed(line: u64, error: &std::io::Error) -> ExportError {
    if error.kind() == std::io::ErrorKind::UnexpectedEof {
        return ExportError::Truncated { line };
    }
    // How zstd reports a frame that is not what was compressed: it is no error of the system.
    if error.raw_os_error().is_none() {
        return ExportError::Damaged { line, detail: format!("the compressed data cannot be read ({error})") };
    }
    ExportError::Io { operation: "reading the export", line, detail: error.to_string() }
}
