//! Reads Automerge's integers and run-length columns with every count bounded.

use super::ChunkError;

/// Takes bytes from the front of a slice.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// `what` names the part in errors.
    pub(crate) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    /// The same bytes under another name.
    pub(super) fn named(self, what: &'static str) -> Self {
        Self { rest: self.rest, what }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn malformed(&self) -> ChunkError {
        ChunkError::Malformed { what: self.what }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], ChunkError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.malformed())?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], ChunkError> {
        self.take(N)?.try_into().map_err(|_| self.malformed())
    }

    /// An unsigned LEB128.
    pub(crate) fn u64(&mut self) -> Result<u64, ChunkError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.malformed())
    }

    /// A signed LEB128.
    pub(crate) fn i64(&mut self) -> Result<i64, ChunkError> {
        let mut value = 0_i64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            value |= i64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                if byte & 0x40 != 0 && shift + 7 < 64 {
                    value |= -1 << (shift + 7);
                }
                return Ok(value);
            }
        }
        Err(self.malformed())
    }

    /// A count that may be at most `max`.
    pub(super) fn count(&mut self, max: usize) -> Result<usize, ChunkError> {
        match usize::try_from(self.u64()?) {
            Ok(count) if count <= max => Ok(count),
            _ => Err(ChunkError::TooMany { what: self.what, max }),
        }
    }
}

/// Expands a run-length column of at most `max` rows; `None` is a null row.
pub(super) fn runs<'a, T: Copy>(
    bytes: &'a [u8],
    what: &'static str,
    max: usize,
    mut value: impl FnMut(&mut Reader<'a>) -> Result<T, ChunkError>,
) -> Result<Vec<Option<T>>, ChunkError> {
    let mut reader = Reader::new(bytes, what);
    let mut rows = Vec::new();
    let fits = |rows: &Vec<Option<T>>, run: u64| match usize::try_from(run) {
        Ok(run) if run > 0 && run <= max.saturating_sub(rows.len()) => Ok(run),
        Ok(0) => Err(ChunkError::Malformed { what }),
        _ => Err(ChunkError::TooMany { what, max }),
    };
    while !reader.is_empty() {
        // A positive count repeats one value, a negative one precedes that many values, 0 precedes a count of nulls.
        match reader.i64()? {
            0 => {
                let run = reader.u64()?;
                let run = fits(&rows, run)?;
                rows.resize(rows.len() + run, None);
            }
            run @ 1.. => {
                let run = fits(&rows, run.unsigned_abs())?;
                let repeated = value(&mut reader)?;
                rows.resize(rows.len() + run, Some(repeated));
            }
            literal => {
                for _ in 0..fits(&rows, literal.unsigned_abs())? {
                    rows.push(Some(value(&mut reader)?));
                }
            }
        }
    }
    Ok(rows)
}

/// Counts the rows of a run-length column of at most `max` rows, without expanding it.
pub(super) fn count_runs<'a, T>(
    bytes: &'a [u8],
    what: &'static str,
    max: usize,
    mut value: impl FnMut(&mut Reader<'a>) -> Result<T, ChunkError>,
) -> Result<usize, ChunkError> {
    let mut reader = Reader::new(bytes, what);
    let mut rows = 0_usize;
    while !reader.is_empty() {
        let head = reader.i64()?;
        let run = if head == 0 { reader.u64()? } else { head.unsigned_abs() };
        let run = match usize::try_from(run) {
            Ok(0) => return Err(ChunkError::Malformed { what }),
            Ok(run) if run <= max - rows => run,
            _ => return Err(ChunkError::TooMany { what, max }),
        };
        let values = if head < 0 { run } else { usize::from(head > 0) };
        for _ in 0..values {
            value(&mut reader)?;
        }
        rows += run;
    }
    Ok(rows)
}

/// Turns a column of differences into one of values.
pub(super) fn undelta(rows: &mut [Option<i64>], what: &'static str) -> Result<(), ChunkError> {
    let mut absolute = 0_i64;
    for row in rows.iter_mut().flatten() {
        absolute = absolute.checked_add(*row).ok_or(ChunkError::Malformed { what })?;
        *row = absolute;
    }
    Ok(())
}

/// True when a boolean column of at most `max` rows is false throughout.
pub(super) fn all_false(bytes: &[u8], what: &'static str, max: usize) -> Result<bool, ChunkError> {
    let mut reader = Reader::new(bytes, what);
    let (mut rows, mut is_true, mut found_true) = (0_usize, false, false);
    while !reader.is_empty() {
        let run = reader.count(max)?;
        rows += run;
        if rows > max {
            return Err(ChunkError::TooMany { what, max });
        }
        found_true |= is_true && run > 0;
        is_true = !is_true;
    }
    Ok(!found_true)
}
