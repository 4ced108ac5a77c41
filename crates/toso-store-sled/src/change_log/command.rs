//! A command in the log: a run of one entry.
//!
//! Body: `form (1) = 2 ‖ at, ms (8) ‖ changes (L)`, then for each change of a record `table length (1) ‖ table ‖ key length (L) ‖
//! key ‖ flags (1)`; then, when the flags say so, its new value and the value it expects, each behind its length (L).
//! Numbers marked L are LEB128.

use toso_core::id::Sequence;
use toso_core::time::TimestampMs;
use toso_store::{Command, RecordChange};

use super::pack::{push_number, read_number};
use crate::value::Reader;

/// The form of a command's body: runs of changes have another.
const COMMAND: u8 = 2;
/// The record gets a value; else it is removed.
const PUTS: u8 = 1;
/// The record is expected to have a value, which follows.
const EXPECTS_VALUE: u8 = 2;
/// The record is expected to be absent.
const EXPECTS_NONE: u8 = 4;

/// True for the body of a command.
pub(super) fn is_command(body: &[u8]) -> bool {
    body.first() == Some(&COMMAND)
}

/// The body of a command within its limits.
pub(super) fn body(at: TimestampMs, changes: &[RecordChange]) -> Vec<u8> {
    let mut body = vec![COMMAND];
    body.extend(at.0.to_be_bytes());
    push_number(&mut body, changes.len() as u64);
    for RecordChange { table, key, value, expect } in changes {
        // At most 32 bytes.
        body.push(u8::try_from(table.len()).unwrap_or(u8::MAX));
        body.extend_from_slice(table.as_bytes());
        push_bytes(&mut body, key);
        let expects = match expect {
            None => 0,
            Some(None) => EXPECTS_NONE,
            Some(Some(_)) => EXPECTS_VALUE,
        };
        body.push(expects | if value.is_some() { PUTS } else { 0 });
        for bytes in value.iter().chain(expect.iter().flatten()) {
            push_bytes(&mut body, bytes);
        }
    }
    body
}

/// Reads a body; `None` when it is none of a command.
pub(super) fn parse(sequence: Sequence, body: &[u8]) -> Option<Command> {
    let mut reader = Reader(body);
    let [COMMAND] = reader.array()? else { return None };
    let at = TimestampMs(reader.u64()?);
    let count = read_number(&mut reader)?;
    let changes = (0..count).map(|_| change(&mut reader)).collect::<Option<Vec<_>>>()?;
    reader.0.is_empty().then_some(Command { sequence, at, changes })
}

fn change(reader: &mut Reader<'_>) -> Option<RecordChange> {
    let [length] = reader.array()?;
    let table = String::from_utf8(reader.bytes(usize::from(length))?.to_vec()).ok()?;
    let key = bytes(reader)?;
    let [flags] = reader.array()?;
    let value = if flags & PUTS == 0 { None } else { Some(bytes(reader)?) };
    let expect = match flags & !PUTS {
        0 => None,
        EXPECTS_NONE => Some(None),
        EXPECTS_VALUE => Some(Some(bytes(reader)?)),
        _ => return None,
    };
    Some(RecordChange { table, key, value, expect })
}

fn push_bytes(body: &mut Vec<u8>, bytes: &[u8]) {
    push_number(body, bytes.len() as u64);
    body.extend_from_slice(bytes);
}

fn bytes(reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    let length = usize::try_from(read_number(reader)?).ok()?;
    reader.bytes(length).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_comes_back_and_a_cut_one_does_not() {
        let change = |value: Option<&[u8]>, expect: Option<Option<&[u8]>>| RecordChange {
            table: "devices".to_owned(),
            key: vec![1; 128],
            value: value.map(<[u8]>::to_vec),
            expect: expect.map(|expect| expect.map(<[u8]>::to_vec)),
        };
        let changes = vec![
            change(Some(b"1"), None),
            change(None, Some(None)),
            change(Some(b""), Some(Some(b"before"))),
            change(None, Some(Some(b""))),
        ];
        let body = body(TimestampMs(7), &changes);
        assert!(is_command(&body));
        assert_eq!(parse(Sequence(3), &body), Some(Command { sequence: Sequence(3), at: TimestampMs(7), changes }));
        for length in 0..body.len() {
            assert_eq!(parse(Sequence(3), &body[..length]), None, "{length} bytes");
        }
    }
}
