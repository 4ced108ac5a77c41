//! The file comes back as it went, and nothing else passes for one.

use std::collections::HashMap;
use std::io::{Cursor, Write as _};

use proptest::prelude::*;
use toso_core::change::Change;
use toso_core::chunk::{ChangeHash, Chunk};
use toso_core::id::{AuthorId, DocId, Epoch, Sequence, ServerId};
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitList, UnitRef};

use super::*;
use crate::change_log::{Log, LogBatch};
use crate::compare::first_difference;
use crate::index::Index;
use crate::memory::MemoryChangeLog;
use crate::records::{ERASURES_TABLE, RecordChange, RecordStore};

fn scope() -> Scope {
    UnitRef::new(UnitList::L2022, "00001").unwrap()
}

fn document(number: u8) -> DocId {
    DocId::member(scope(), [number; 11])
}

fn batch(author: u8, numbers: std::ops::Range<u8>, bytes: usize) -> LogBatch {
    let items = numbers.map(|number| {
        let chunk = Chunk::trusted(vec![number; bytes], ChangeHash([number; 32]));
        Change { doc: document(number), chunk }
    });
    LogBatch { scope: scope(), author: AuthorId([author; 8]), received_at: TimestampMs(77), items: items.collect() }
}

fn put(log: &MemoryChangeLog, table: &str, key: &[u8], value: &[u8]) {
    let change = RecordChange { table: table.to_owned(), key: key.to_vec(), value: Some(value.to_vec()), expect: None };
    log.command(TimestampMs(88), &[change]).unwrap();
}

fn filled() -> MemoryChangeLog {
    let log = MemoryChangeLog::new();
    log.append(&[batch(1, 0..3, 100), batch(2, 3..5, 60 * 1024), batch(2, 5..9, 30)]).unwrap();
    put(&log, "server", b"epoch", &[0, 0, 0, 0, 0, 0, 0, 9]);
    put(&log, "devices", &[1; 8], b"a device");
    put(&log, "invites", &[2; 32], &vec![255; 60 * 1024]);
    let derived = RecordChange { table: "views".to_owned(), key: vec![1], value: Some(vec![1]), expect: None };
    log.derive(&[derived]).unwrap();
    log
}

fn header(log: &MemoryChangeLog) -> Header {
    Header {
        server: ServerId([5; 16]),
        epoch: Epoch(9),
        last: log.end(),
        exported_at: TimestampMs(1),
        lists: vec!["2022".to_owned()],
    }
}

fn text(log: &MemoryChangeLog) -> Vec<u8> {
    let mut text = Vec::new();
    Exporter::new(header(log)).write_to(log, &mut text).unwrap();
    text
}

fn compressed(text: &[u8]) -> Vec<u8> {
    let mut compressor = Compressor::new().unwrap();
    let mut bytes = compressor.push(text).unwrap();
    bytes.extend(compressor.finish().unwrap());
    bytes
}

/// A file from its lines, with a right end line.
fn file(lines: &[String]) -> Vec<u8> {
    let mut text: Vec<u8> = lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect();
    let count = |kind: &str| lines.iter().filter(|line| line.contains(&format!("\"kind\":\"{kind}\""))).count();
    let entries = lines.iter().map(|line| line.matches("\"hash\":").count()).sum::<usize>();
    let (runs, commands) = (count("run"), count("command"));
    let records = Some(count("record")).filter(|count| *count > 0).map(|count| format!("\"records\":{count},"));
    let records = records.unwrap_or_default();
    let hash = blake3::hash(&text).to_hex();
    writeln!(
        text,
        "{{\"kind\":\"end\",\"runs\":{runs},\"entries\":{entries},\"commands\":{commands},{records}\"blake3\":\"{hash}\"}}"
    )
    .unwrap();
    text
}

fn lines(text: &[u8]) -> Vec<String> {
    let mut lines: Vec<String> = String::from_utf8(text.to_vec()).unwrap().lines().map(str::to_owned).collect();
    lines.pop();
    lines
}

#[test]
fn what_is_exported_and_imported_exports_the_same_bytes() {
    let log = filled();
    let first = text(&log);
    for file in [first.clone(), compressed(&first)] {
        let copy = MemoryChangeLog::new();
        let mut reader = ExportReader::new(Cursor::new(&file)).unwrap();
        assert_eq!(reader.header(), &header(&log));
        assert_eq!(Importer::new(&copy, &copy, HashMap::new()).take(&mut reader).unwrap(), 0);
        assert_eq!(text(&copy), first);
        assert_eq!(copy.records("views", &[]).unwrap(), vec![], "what is derived is left out");
        assert_eq!(copy.records("invites", &[]).unwrap(), log.records("invites", &[]).unwrap());
        assert_eq!(copy.document(document(7)).unwrap(), log.document(document(7)).unwrap());
    }
}

/// The bytes of format 3. A change here needs another number, unless an older reader reads the new bytes as well.
#[test]
fn the_format_is_pinned() {
    let log = MemoryChangeLog::new();
    log.append(&[batch(1, 0..1, 3)]).unwrap();
    put(&log, "devices", &[1, 2], b"toso");
    let change = |value: Option<&[u8]>, expect: Option<&[u8]>| RecordChange {
        table: "devices".to_owned(),
        key: vec![1, 2],
        value: value.map(<[u8]>::to_vec),
        expect: Some(expect.map(<[u8]>::to_vec)),
    };
    log.command(TimestampMs(89), &[change(None, Some(b"toso"))]).unwrap();
    log.command(TimestampMs(90), &[change(Some(b""), None)]).unwrap();
    let doc = document(0);
    let zeros = "00".repeat(32);
    let command = |sequence: u64, at: u64, change: &str| {
        format!(
            "{{\"kind\":\"command\",\"sequence\":{sequence},\"at\":{at},\"changes\":[{{\"table\":\"devices\",\
             \"key\":\"AQI=\"{change}}}]}}"
        )
    };
    let expected = [
        "{\"kind\":\"header\",\"name\":\"toso export\",\"format\":3,\"server\":\"05050505050505050505050505050505\",\
         \"epoch\":9,\"last\":4,\"exported_at\":1,\"lists\":[\"2022\"]}"
            .to_owned(),
        format!(
            "{{\"kind\":\"run\",\"first\":1,\"scope\":\"2022/00001\",\"author\":\"0101010101010101\",\
             \"received_at\":77,\"items\":[{{\"doc\":\"{doc}\",\"hash\":\"{zeros}\",\"change\":\"AAAA\"}}]}}"
        ),
        command(2, 88, ",\"value\":\"dG9zbw==\""),
        command(3, 89, ",\"expect\":\"dG9zbw==\""),
        command(4, 90, ",\"value\":\"\",\"absent\":true"),
    ];
    assert_eq!(String::from_utf8(text(&log)).unwrap(), String::from_utf8(file(&expected)).unwrap());
}

/// Backups of before had records, and no commands: what is in them becomes commands, but for what a server computes.
#[test]
fn a_file_of_format_1_is_read_and_its_records_become_commands() {
    let log = MemoryChangeLog::new();
    log.append(&[batch(1, 0..3, 20)]).unwrap();
    let mut lines = lines(&text(&log));
    lines[0] = lines[0].replace("\"format\":3", "\"format\":1");
    let record =
        |table: &str| format!("{{\"kind\":\"record\",\"table\":\"{table}\",\"key\":\"AQI=\",\"value\":\"dG9zbw==\"}}");
    lines.extend(["departures", "quota", "devices"].map(record));
    let copy = MemoryChangeLog::new();
    let mut reader = ExportReader::new(Cursor::new(file(&lines))).unwrap();
    assert_eq!(Importer::new(&copy, &copy, HashMap::new()).take(&mut reader).unwrap(), 0);
    assert_eq!((copy.last(), copy.end()), (Sequence(3), Sequence(4)));
    assert_eq!(copy.record("devices", &[1, 2]).unwrap().as_deref(), Some(&b"toso"[..]));
    let tables: Vec<_> = copy.tables().unwrap().into_iter().map(|(table, _)| table).collect();
    assert_eq!(tables, ["departures", "devices"]);
}

#[test]
fn the_cut_ends_where_the_header_says_while_writes_go_on() {
    let log = filled();
    let mut exporter = Exporter::new(header(&log));
    let mut text = exporter.part(&log).unwrap().unwrap();
    log.append(&[batch(3, 20..25, 10)]).unwrap();
    put(&log, "devices", &[3; 8], b"one that came later");
    while let Some(part) = exporter.part(&log).unwrap() {
        text.extend(part);
    }
    let summary = read_all(Cursor::new(text)).unwrap();
    assert_eq!((summary.entries, summary.commands, summary.header.last), (9, 3, Sequence(12)));
}

#[test]
fn lines_stay_within_their_limit() {
    let log = filled();
    let most = |value: usize| RecordChange {
        table: "t".repeat(32),
        key: vec![1; 128],
        value: Some(vec![1; value]),
        expect: None,
    };
    let fits = (RECORD_CHANGES_MAX - 1) * RecordChange::bytes_of(&[most(0)]);
    assert!(fits > COMMAND_BYTES_MAX, "the number of changes is not what ends it");
    let many = vec![most(0); COMMAND_BYTES_MAX / RecordChange::bytes_of(&[most(0)])];
    log.command(TimestampMs(1), &many).unwrap();
    let large = vec![most(60 * 1024); COMMAND_BYTES_MAX / RecordChange::bytes_of(&[most(60 * 1024)])];
    log.command(TimestampMs(1), &large).unwrap();
    let text = text(&log);
    assert!(text.split(|byte| *byte == b'\n').all(|line| line.len() < LINE_BYTES_MAX));
    read_all(Cursor::new(text)).unwrap();
}

#[test]
fn a_line_may_be_as_long_as_its_limit_and_no_longer() {
    let log = filled();
    let mut lines = lines(&text(&log));
    let last = lines.len() - 1;
    let unpadded = lines[last].clone();
    for (bytes, fits) in [(LINE_BYTES_MAX, true), (LINE_BYTES_MAX + 1, false)] {
        let padding = " ".repeat(bytes - 1 - unpadded.len());
        lines[last] = format!("{unpadded}{padding}");
        let read = read_all(Cursor::new(file(&lines)));
        match read {
            Ok(_) => assert!(fits),
            Err(ExportError::LineTooLong { line, max }) => {
                assert!(!fits);
                assert_eq!((line, max), (last as u64 + 1, LINE_BYTES_MAX));
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn every_cut_is_recognised_as_one() {
    let log = MemoryChangeLog::new();
    log.append(&[batch(1, 0..3, 20)]).unwrap();
    put(&log, "devices", &[1; 8], b"a device");
    let text = text(&log);
    for length in 0..text.len() {
        let read = read_all(Cursor::new(&text[..length]));
        assert!(matches!(read, Err(ExportError::Truncated { .. })), "{length}: {read:?}");
    }
    let packed = compressed(&text);
    for length in 0..packed.len() {
        let read = read_all(Cursor::new(&packed[..length]));
        // Three bytes of zstd's four are no sign of it.
        assert!(matches!(read, Err(ExportError::Truncated { .. } | ExportError::NotAnExport)), "{length}: {read:?}");
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    let log = MemoryChangeLog::new();
    log.append(&[batch(1, 0..2, 20)]).unwrap();
    put(&log, "devices", &[1; 8], b"a device");
    let text = text(&log);
    for file in [text.clone(), compressed(&text)] {
        for index in 0..file.len() {
            for bit in [1, 16, 128] {
                let mut damaged = file.clone();
                damaged[index] ^= bit;
                let read = read_all(Cursor::new(&damaged));
                // Some bits of a zstd frame mean nothing; then the content is as it was, to the byte.
                let harmless = file != text && zstd::decode_all(&damaged[..]).is_ok_and(|content| content == text);
                assert!(read.is_err() || harmless, "byte {index}, bit {bit}");
            }
        }
    }
}

/// `cat` of compressed parts, and what a parallel compressor writes, are several frames; only the first was read.
#[test]
fn frames_in_a_row_are_one_file_and_nothing_follows_its_end() {
    let text = text(&filled());
    let (first, second) = text.split_at(text.len() / 2);
    let parts = [compressed(first), compressed(second)].concat();
    assert_eq!(read_all(parts.as_slice()).unwrap(), read_all(text.as_slice()).unwrap());
    for more in [compressed(b"x\n"), b"more".to_vec(), vec![0]] {
        let refused = read_all([compressed(&text), more].concat().as_slice());
        assert!(matches!(refused, Err(ExportError::Damaged { .. } | ExportError::Truncated { .. })), "{refused:?}");
    }
}

#[test]
fn unknown_fields_pass_and_a_newer_format_does_not() {
    let mut lines = lines(&text(&filled()));
    for line in &mut lines {
        *line = line.replacen("{\"kind\"", "{\"later\":{\"a\":[1,null]},\"kind\"", 1);
    }
    read_all(Cursor::new(file(&lines))).unwrap();
    lines[0] = lines[0].replace("\"format\":3", "\"format\":4");
    let read = read_all(Cursor::new(file(&lines)));
    assert!(matches!(read, Err(ExportError::NewerFormat { found: 4, supported: 3 })), "{read:?}");
}

#[test]
fn files_that_lie_are_refused_with_their_line() {
    let whole = lines(&text(&filled()));
    let refused = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = whole.clone();
        change(&mut lines);
        let error = read_all(Cursor::new(file(&lines))).unwrap_err();
        let ExportError::Damaged { line, .. } = error else { panic!("{error}") };
        line
    };
    assert_eq!(refused(&|lines| drop(lines.remove(1))), 2, "a run is missing");
    assert_eq!(refused(&|lines| lines.insert(1, lines[1].clone())), 3, "a run comes twice");
    assert_eq!(refused(&|lines| lines.swap(1, 4)), 2, "a run at a wrong place");
    assert_eq!(refused(&|lines| lines.insert(2, lines[0].clone())), 3, "a second header");
    assert_eq!(refused(&|lines| lines[2] = lines[2].replace("\"kind\":\"run\"", "\"kind\":\"ruin\"")), 3);
    assert_eq!(refused(&|lines| lines[2] = lines[2].replace("2022/00001", "2022/")), 3);
    assert_eq!(refused(&|lines| lines[0] = lines[0].replace("\"last\":12", "\"last\":13")), 9, "entries are missing");
    assert_eq!(refused(&|lines| lines[0] = lines[0].replace("\"last\":12", "\"last\":11")), 8, "entries too many");
    let mut more = file(&whole);
    more.push(b'\n');
    assert!(matches!(read_all(Cursor::new(more)), Err(ExportError::Damaged { .. })));
    for other in [&b"[]\n"[..], b"{\"kind\":\"header\"}\n", b"PK\x03\x04 a spreadsheet\n"] {
        assert!(matches!(read_all(Cursor::new(other)), Err(ExportError::NotAnExport)), "{other:?}");
    }
}

/// Memory is bounded by the line's limit and zstd's window, so a small file that unpacks to gigabytes costs a moment.
#[test]
fn a_file_that_swells_is_refused_at_the_first_line() {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 19).unwrap();
    for _ in 0..256 {
        encoder.write_all(&vec![b' '; 1024 * 1024]).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 100 * 1024);
    assert!(matches!(read_all(Cursor::new(&bomb)), Err(ExportError::NotAnExport)));
    // One that asks for a window of 512 MiB is refused before anything is unpacked.
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(29).unwrap();
    encoder.write_all(&text(&filled())).unwrap();
    let read = read_all(Cursor::new(encoder.finish().unwrap()));
    assert!(matches!(read, Err(ExportError::Damaged { line: 1, .. })), "{read:?}");
}

/// A file holds what the log has: nothing of an erased change but that it was there.
#[test]
fn erased_changes_come_back_erased() {
    let log = filled();
    put(&log, ERASURES_TABLE, document(4).as_bytes(), b"");
    log.append(&[batch(1, 20..21, 20)]).unwrap();
    let text = text(&log);
    let erased = erasures(&mut ExportReader::new(Cursor::new(&text)).unwrap(), |_, _| Ok(())).unwrap();
    assert_eq!(erased.keys().copied().collect::<Vec<_>>(), [document(4)]);
    assert!(String::from_utf8(text.clone()).unwrap().contains("\"erased\":61440"));
    let copy = MemoryChangeLog::new();
    let mut reader = ExportReader::new(Cursor::new(&text)).unwrap();
    assert_eq!(Importer::new(&copy, &copy, erased).take(&mut reader).unwrap(), 0, "no bytes of it are in the file");
    assert_eq!(first_difference(&log, &copy).unwrap(), None);
    assert_eq!(self::text(&copy), text);
}

/// A file that has bytes of a document which it says was erased: they are put nowhere, and nothing else changes.
#[test]
fn bytes_of_erased_documents_are_not_stored() {
    let log = filled();
    let before = text(&log);
    let erased = HashMap::from([(document(4), Sequence(9))]);
    let copy = MemoryChangeLog::new();
    let mut reader = ExportReader::new(Cursor::new(&before)).unwrap();
    assert_eq!(Importer::new(&copy, &copy, erased).take(&mut reader).unwrap(), 1);
    assert_eq!((copy.last(), copy.end()), (log.last(), log.end()));
    assert!(copy.document(document(4)).unwrap().iter().all(|entry| entry.change.chunk().is_none()));
    // What erases it later finds nothing left to do.
    for log in [&log, &copy] {
        put(log, ERASURES_TABLE, document(4).as_bytes(), b"");
    }
    assert_eq!(first_difference(&log, &copy).unwrap(), None);
}

/// An item says one of the two.
#[test]
fn an_item_is_whole_or_erased() {
    let log = filled();
    put(&log, ERASURES_TABLE, document(4).as_bytes(), b"");
    let whole = lines(&text(&log));
    let refused = |from: &str, to: &str| {
        let lines: Vec<_> = whole.iter().map(|line| line.replace(from, to)).collect();
        assert_ne!(lines, whole);
        assert!(matches!(read_all(Cursor::new(file(&lines))), Err(ExportError::Damaged { .. })), "{to}");
    };
    refused("\"erased\":61440", "\"erased\":61440,\"change\":\"AAAA\"");
    refused("\"erased\":61440", "\"other\":20");
    refused("\"erased\":61440", &format!("\"erased\":{}", CHANGE_BYTES_MAX + 1));
    refused("\"erased\":61440", "\"erased\":-1");
}

#[test]
fn a_change_that_comes_twice_is_refused() {
    let log = MemoryChangeLog::new();
    log.append(&[batch(1, 0..2, 20)]).unwrap();
    let mut lines = lines(&text(&log));
    let second = format!("\"hash\":\"{}\"", "01".repeat(32));
    let first = format!("\"hash\":\"{}\"", "00".repeat(32));
    lines[1] = lines[1].replace(&second, &first).replace(&document(1).to_string(), &document(0).to_string());
    let copy = MemoryChangeLog::new();
    let mut reader = ExportReader::new(Cursor::new(file(&lines))).unwrap();
    let refused = Importer::new(&copy, &copy, HashMap::new()).take(&mut reader);
    assert!(matches!(refused, Err(ExportError::Damaged { .. })), "{refused:?}");
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        prop_assert!(read_all(Cursor::new(bytes)).is_err());
    }

    #[test]
    fn a_whole_file_with_one_piece_replaced_never_panics(
        at in 0..10_000_usize,
        length in 0..40_usize,
        piece in prop::collection::vec(any::<u8>(), 0..40),
        pack in any::<bool>(),
    ) {
        let log = MemoryChangeLog::new();
        log.append(&[batch(1, 0..3, 20)]).unwrap();
        put(&log, "devices", &[1; 8], b"a device");
        let whole = if pack { compressed(&text(&log)) } else { text(&log) };
        let start = at % whole.len();
        let mut bytes = whole.clone();
        bytes.splice(start..(start + length).min(whole.len()), piece);
        // What passes all the same (blanks in the end line, zstd's idle bit) has the same content.
        if let Ok(summary) = read_all(Cursor::new(&bytes)) {
            prop_assert_eq!(summary, read_all(Cursor::new(&whole)).unwrap());
        }
    }
}
