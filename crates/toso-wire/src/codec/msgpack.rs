//! MessagePack arrays whose trailing fields may be absent, written into memory and read from untrusted bytes.
//!
//! serde's model cannot leave a field out of an array or ignore one that a newer peer adds, and turns every limit into
//! a text; so frames are written and read field by field on `rmp`, the primitives beneath `rmp-serde`.

use rmp::Marker;
use rmp::decode::{self, NumValueReadError, ValueReadError};

use crate::error::DecodeError;

/// Writing into a `Vec` cannot fail; `rmp` says so by its error type only for its own buffer.
fn infallible<T, E>(result: &Result<T, E>) {
    debug_assert!(result.is_ok(), "writing to memory does not fail");
}

/// Appends an unsigned integer in its shortest form.
pub(super) fn write_uint(out: &mut Vec<u8>, value: u64) {
    infallible(&rmp::encode::write_uint(out, value));
}

/// Appends a signed integer in its shortest form.
pub(super) fn write_int(out: &mut Vec<u8>, value: i64) {
    infallible(&rmp::encode::write_sint(out, value));
}

/// Appends a boolean.
pub(super) fn write_bool(out: &mut Vec<u8>, value: bool) {
    infallible(&rmp::encode::write_bool(out, value));
}

/// Appends nil.
pub(super) fn write_nil(out: &mut Vec<u8>) {
    infallible(&rmp::encode::write_nil(out));
}

/// Appends a binary.
pub(super) fn write_bin(out: &mut Vec<u8>, bytes: &[u8]) {
    infallible(&rmp::encode::write_bin(out, bytes));
}

/// Appends a text.
pub(super) fn write_str(out: &mut Vec<u8>, text: &str) {
    infallible(&rmp::encode::write_str(out, text));
}

/// Appends an array of any length.
pub(super) fn write_list<T>(out: &mut Vec<u8>, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    infallible(&rmp::encode::write_array_len(out, u32::try_from(items.len()).unwrap_or(u32::MAX)));
    for item in items {
        write(out, item);
    }
}

/// An array of fields being written: trailing fields that have their default are left out.
pub(super) struct Fields<'a> {
    out: &'a mut Vec<u8>,
    header: usize,
    written: u8,
    kept: u8,
    kept_end: usize,
}

impl<'a> Fields<'a> {
    /// Begins an array of at most 15 fields.
    pub(super) fn open(out: &'a mut Vec<u8>) -> Self {
        let header = out.len();
        out.push(0);
        Self { header, written: 0, kept: 0, kept_end: header + 1, out }
    }

    /// Writes a field that is always there.
    pub(super) fn required(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.optional(false, write);
    }

    /// Writes a field that may be left out at the end when `is_default`.
    pub(super) fn optional(&mut self, is_default: bool, write: impl FnOnce(&mut Vec<u8>)) {
        write(self.out);
        self.written += 1;
        if !is_default {
            self.kept = self.written;
            self.kept_end = self.out.len();
        }
    }

    /// Ends the array.
    pub(super) fn close(self) {
        self.out.truncate(self.kept_end);
        if let Some(header) = self.out.get_mut(self.header) {
            *header = Marker::FixArray(self.kept).to_u8();
        }
    }
}

/// Reads untrusted MessagePack. `what` names the field for the error.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes not read yet.
    pub(super) const fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn uint(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        decode::read_int(&mut self.rest).map_err(|error| number_error(&error, what))
    }

    pub(super) fn int(&mut self, what: &'static str) -> Result<i64, DecodeError> {
        decode::read_int(&mut self.rest).map_err(|error| number_error(&error, what))
    }

    pub(super) fn small(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        decode::read_int(&mut self.rest).map_err(|error| number_error(&error, what))
    }

    pub(super) fn uint32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        decode::read_int(&mut self.rest).map_err(|error| number_error(&error, what))
    }

    pub(super) fn bool(&mut self, what: &'static str) -> Result<bool, DecodeError> {
        decode::read_bool(&mut self.rest).map_err(|error| value_error(&error, what))
    }

    /// A binary of at most `bytes_max`, borrowed from the input.
    pub(super) fn bin(&mut self, what: &'static str, bytes_max: usize) -> Result<&'a [u8], DecodeError> {
        let length = decode::read_bin_len(&mut self.rest).map_err(|error| value_error(&error, what))?;
        let bytes = self.take(length, what)?;
        if bytes.len() > bytes_max {
            return Err(DecodeError::TooLarge { what, bytes: bytes.len(), max: bytes_max });
        }
        Ok(bytes)
    }

    /// A text of at most `bytes_max`.
    pub(super) fn text(&mut self, what: &'static str, bytes_max: usize) -> Result<String, DecodeError> {
        let length = decode::read_str_len(&mut self.rest).map_err(|error| value_error(&error, what))?;
        let bytes = self.take(length, what)?;
        if bytes.len() > bytes_max {
            return Err(DecodeError::TooLarge { what, bytes: bytes.len(), max: bytes_max });
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|_| DecodeError::Malformed { what, detail: "a text that is not UTF-8".to_owned() })?;
        Ok(text.to_owned())
    }

    /// An array of at most `count_max` items. Memory grows with what is really there, never with what is promised.
    pub(super) fn list<T>(
        &mut self,
        what: &'static str,
        count_max: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.array(what)?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > count_max {
            return Err(DecodeError::Limit { what, count, max: count_max });
        }
        // Every item has at least one byte.
        if count > self.rest.len() {
            return Err(DecodeError::Truncated { what });
        }
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(read(self)?);
        }
        Ok(items)
    }

    /// Begins an array of fields.
    pub(super) fn fields(&mut self, what: &'static str) -> Result<FieldReader<'_, 'a>, DecodeError> {
        let left = self.array(what)?;
        Ok(FieldReader { reader: self, left, what })
    }

    /// True when the next value is a binary (and not an array or anything else).
    pub(super) fn at_bin(&self) -> bool {
        matches!(
            self.rest.first().map(|byte| Marker::from_u8(*byte)),
            Some(Marker::Bin8 | Marker::Bin16 | Marker::Bin32)
        )
    }

    /// True when the next value is an array.
    pub(super) fn at_array(&self) -> bool {
        matches!(
            self.rest.first().map(|byte| Marker::from_u8(*byte)),
            Some(Marker::FixArray(_) | Marker::Array16 | Marker::Array32)
        )
    }

    fn array(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        decode::read_array_len(&mut self.rest).map_err(|error| value_error(&error, what))
    }

    fn take(&mut self, length: u32, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::Truncated { what })?;
        self.rest = rest;
        Ok(taken)
    }

    /// Reads past one value of any kind. No recursion, so that nesting costs no stack; each step reads at least one
    /// byte, so that promised lengths cost no time.
    fn skip(&mut self, what: &'static str) -> Result<(), DecodeError> {
        let mut values: u64 = 1;
        while values > 0 {
            values -= 1;
            let marker = match self.take(1, what)? {
                [byte, ..] => Marker::from_u8(*byte),
                [] => return Err(DecodeError::Truncated { what }),
            };
            let (bytes, more) = match marker {
                Marker::Null | Marker::True | Marker::False | Marker::FixPos(_) | Marker::FixNeg(_) => (0, 0),
                Marker::U8 | Marker::I8 => (1, 0),
                Marker::U16 | Marker::I16 | Marker::FixExt1 => (2, 0),
                Marker::FixExt2 => (3, 0),
                Marker::U32 | Marker::I32 | Marker::F32 => (4, 0),
                Marker::FixExt4 => (5, 0),
                Marker::U64 | Marker::I64 | Marker::F64 => (8, 0),
                Marker::FixExt8 => (9, 0),
                Marker::FixExt16 => (17, 0),
                Marker::FixStr(length) => (u32::from(length), 0),
                Marker::Str8 | Marker::Bin8 => (self.length(1, what)?, 0),
                Marker::Str16 | Marker::Bin16 => (self.length(2, what)?, 0),
                Marker::Str32 | Marker::Bin32 => (self.length(4, what)?, 0),
                Marker::Ext8 => (self.length(1, what)?.saturating_add(1), 0),
                Marker::Ext16 => (self.length(2, what)?.saturating_add(1), 0),
                Marker::Ext32 => (self.length(4, what)?.saturating_add(1), 0),
                Marker::FixArray(count) => (0, u64::from(count)),
                Marker::Array16 => (0, u64::from(self.length(2, what)?)),
                Marker::Array32 => (0, u64::from(self.length(4, what)?)),
                Marker::FixMap(count) => (0, 2 * u64::from(count)),
                Marker::Map16 => (0, 2 * u64::from(self.length(2, what)?)),
                Marker::Map32 => (0, 2 * u64::from(self.length(4, what)?)),
                Marker::Reserved => {
                    return Err(DecodeError::Malformed { what, detail: "byte 0xc1 is no MessagePack".to_owned() });
                }
            };
            self.take(bytes, what)?;
            values = values.saturating_add(more);
        }
        Ok(())
    }

    /// A big-endian length of 1, 2 or 4 bytes.
    fn length(&mut self, bytes: u32, what: &'static str) -> Result<u32, DecodeError> {
        Ok(self.take(bytes, what)?.iter().fold(0, |length, byte| (length << 8) | u32::from(*byte)))
    }
}

/// The fields of one array, in order.
pub(super) struct FieldReader<'r, 'a> {
    reader: &'r mut Reader<'a>,
    left: u32,
    what: &'static str,
}

impl<'a> FieldReader<'_, 'a> {
    /// A field that must be there.
    pub(super) fn required<T>(
        &mut self,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        self.left = self.left.checked_sub(1).ok_or_else(|| DecodeError::Malformed {
            what: self.what,
            detail: "has fewer fields than it must have".to_owned(),
        })?;
        read(self.reader)
    }

    /// A field that may be nil, or left out together with all after it.
    pub(super) fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        if let Some((byte, rest)) = self.reader.rest.split_first()
            && Marker::from_u8(*byte) == Marker::Null
        {
            self.reader.rest = rest;
            return Ok(None);
        }
        read(self.reader).map(Some)
    }

    /// Passes over fields that a newer peer added.
    pub(super) fn finish(self) -> Result<(), DecodeError> {
        for _ in 0..self.left {
            self.reader.skip(self.what)?;
        }
        Ok(())
    }
}

fn value_error(error: &ValueReadError, what: &'static str) -> DecodeError {
    match error {
        ValueReadError::InvalidMarkerRead(_) | ValueReadError::InvalidDataRead(_) => DecodeError::Truncated { what },
        ValueReadError::TypeMismatch(marker) => mismatch(*marker, what),
    }
}

fn number_error(error: &NumValueReadError, what: &'static str) -> DecodeError {
    match error {
        NumValueReadError::InvalidMarkerRead(_) | NumValueReadError::InvalidDataRead(_) => {
            DecodeError::Truncated { what }
        }
        NumValueReadError::TypeMismatch(marker) => mismatch(*marker, what),
        NumValueReadError::OutOfRange => {
            DecodeError::Malformed { what, detail: "a number out of its range".to_owned() }
        }
    }
}

/// Names the kind of value, never the value.
fn mismatch(marker: Marker, what: &'static str) -> DecodeError {
    let found = match marker {
        Marker::Null => "nil",
        Marker::True | Marker::False => "a boolean",
        Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => "a text",
        Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => "a binary",
        Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => "an array",
        Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => "a map",
        Marker::F32 | Marker::F64 => "a float",
        Marker::FixPos(_)
        | Marker::FixNeg(_)
        | Marker::U8
        | Marker::U16
        | Marker::U32
        | Marker::U64
        | Marker::I8
        | Marker::I16
        | Marker::I32
        | Marker::I64 => "an integer",
        Marker::Reserved
        | Marker::Ext8
        | Marker::Ext16
        | Marker::Ext32
        | Marker::FixExt1
        | Marker::FixExt2
        | Marker::FixExt4
        | Marker::FixExt8
        | Marker::FixExt16 => "an extension",
    };
    DecodeError::Malformed { what, detail: format!("{found} is not what belongs here") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailing_defaults_are_left_out_and_inner_ones_stay() {
        let mut out = Vec::new();
        let mut fields = Fields::open(&mut out);
        fields.required(|out| write_uint(out, 7));
        fields.optional(true, write_nil);
        fields.optional(false, |out| write_uint(out, 9));
        fields.optional(true, write_nil);
        fields.close();
        assert_eq!(out, [0x93, 7, 0xc0, 9]);
    }

    #[test]
    fn skip_passes_over_every_kind_of_value() {
        let values: [&[u8]; 18] = [
            &[0xc0],
            &[0xc3],
            &[0x7f],
            &[0xff],
            &[0xcc, 1],
            &[0xcd, 1, 2],
            &[0xce, 1, 2, 3, 4],
            &[0xcf, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0xca, 1, 2, 3, 4],
            &[0xa2, b'a', b'b'],
            &[0xd9, 1, b'a'],
            &[0xc5, 0, 1, 9],
            &[0xd4, 1, 2],
            &[0xc7, 1, 2, 3],
            &[0x92, 0x91, 1, 2],
            &[0xdc, 0, 1, 1],
            &[0x81, 1, 0x90],
            &[0xde, 0, 1, 1, 2],
        ];
        for value in values {
            let mut bytes = value.to_vec();
            bytes.push(0x2a);
            let mut reader = Reader::new(&bytes);
            reader.skip("test").unwrap();
            assert_eq!(reader.rest, [0x2a], "{value:02x?}");
        }
    }

    #[test]
    fn skip_of_deep_or_lying_values_ends() {
        let deep = vec![0x91; 1 << 20];
        assert_eq!(Reader::new(&deep).skip("test"), Err(DecodeError::Truncated { what: "test" }));
        let lying = [[0xdf, 0xff, 0xff, 0xff, 0xff]; 8].concat();
        assert_eq!(Reader::new(&lying).skip("test"), Err(DecodeError::Truncated { what: "test" }));
        assert!(matches!(Reader::new(&[0xc1]).skip("test"), Err(DecodeError::Malformed { .. })));
    }

    #[test]
    fn a_list_that_promises_more_than_there_is_allocates_nothing() {
        let mut reader = Reader::new(&[0xdd, 0x7f, 0xff, 0xff, 0xff, 1]);
        let read = reader.list("items", usize::MAX, |reader| reader.uint("item"));
        assert_eq!(read, Err(DecodeError::Truncated { what: "items" }));
    }
}
