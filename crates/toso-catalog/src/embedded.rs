//! The data that travel inside the crate: six CSV files, packed by `build.rs` into one zstd frame.

use crate::error::DataError;

/// The packed files, each followed by a zero byte, in the order of the fields of [`Sources`].
static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/catalog.zst"));

/// What the files may grow to, unpacked: today 713,000 bytes, and a third list would add less than 300,000.
const UNPACKED_BYTES_MAX: usize = 1024 * 1024;

/// How many files are packed.
const FILES: usize = 6;

/// A CSV file: its name, for errors, and its text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) name: &'static str,
    pub(crate) text: &'a str,
}

impl<'a> Source<'a> {
    /// The cells of each line after the header, which must be the one given, with the line's number.
    ///
    /// The files are ours and quote nothing, so a comma always parts two cells.
    pub(crate) fn rows<const N: usize>(
        self,
        header: &'static str,
    ) -> Result<impl Iterator<Item = Result<(Line, [&'a str; N]), DataError>>, DataError> {
        let mut lines = self.text.lines();
        let first = Line { file: self.name, number: 1 };
        if lines.next() != Some(header) {
            return Err(first.error("the header is not the expected one"));
        }
        Ok(lines.enumerate().map(move |(index, text)| {
            let line = Line { file: self.name, number: index + 2 };
            let mut cells = text.split(',');
            let mut row = [""; N];
            for cell in &mut row {
                *cell = cells.next().ok_or_else(|| line.error("a cell is missing"))?;
            }
            if cells.next().is_some() {
                return Err(line.error("there is a cell too many"));
            }
            Ok((line, row))
        }))
    }
}

/// Where a row stands, for errors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    file: &'static str,
    number: usize,
}

impl Line {
    pub(crate) fn error(self, problem: &'static str) -> DataError {
        DataError::Row { file: self.file, line: self.number, problem }
    }
}

/// All files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sources<'a> {
    pub(crate) units_2022: Source<'a>,
    pub(crate) units_2025: Source<'a>,
    pub(crate) lineage: Source<'a>,
    pub(crate) provinces: Source<'a>,
    pub(crate) dispatch: Source<'a>,
    pub(crate) renames: Source<'a>,
}

impl<'a> Sources<'a> {
    /// Splits what [`unpack`] gave.
    pub(crate) fn split(text: &'a str) -> Result<Self, DataError> {
        let mut texts = text.split_terminator('\0');
        let mut next =
            |name| texts.next().map(|text| Source { name, text }).ok_or(DataError::Layout { expected: FILES });
        let sources = Self {
            units_2022: next("units-2022.csv")?,
            units_2025: next("units-2025.csv")?,
            lineage: next("map-2022-2025.csv")?,
            provinces: next("map-provinces.csv")?,
            dispatch: next("dispatch-provinces.csv")?,
            renames: next("changes-2026.csv")?,
        };
        if next("").is_ok() { Err(DataError::Layout { expected: FILES }) } else { Ok(sources) }
    }
}

/// The text of all files.
pub(crate) fn unpack() -> Result<String, DataError> {
    let bytes = zstd::bulk::decompress(PACKED, UNPACKED_BYTES_MAX).map_err(DataError::Unpack)?;
    String::from_utf8(bytes).map_err(|_| DataError::Layout { expected: FILES })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_files_are_the_csv_files() {
        let text = unpack().unwrap();
        let sources = Sources::split(&text).unwrap();
        assert_eq!(sources.units_2022.text, include_str!("../data/units-2022.csv"));
        assert_eq!(sources.units_2025.text, include_str!("../data/units-2025.csv"));
        assert_eq!(sources.lineage.text, include_str!("../data/map-2022-2025.csv"));
        assert_eq!(sources.provinces.text, include_str!("../data/map-provinces.csv"));
        assert_eq!(sources.dispatch.text, include_str!("../data/dispatch-provinces.csv"));
        assert_eq!(sources.renames.text, include_str!("../data/changes-2026.csv"));
    }

    #[test]
    fn packed_size_is_within_its_budget() {
        assert!(PACKED.len() <= 160 * 1024, "{} bytes", PACKED.len());
    }

    #[test]
    fn a_file_too_few_or_too_many_is_refused() {
        assert!(Sources::split("a\0b\0c\0d\0e\0f\0").is_ok());
        assert!(matches!(Sources::split("a\0b\0c\0d\0e\0"), Err(DataError::Layout { expected: 6 })));
        assert!(matches!(Sources::split("a\0b\0c\0d\0e\0f\0g\0"), Err(DataError::Layout { expected: 6 })));
    }

    #[test]
    fn rows_say_where_they_are_wrong() {
        let rows =
            |text| Source { name: "x.csv", text }.rows::<2>("a,b").map(Iterator::collect::<Result<Vec<_>, DataError>>);
        assert_eq!(rows("a,b\n1,\n").unwrap().unwrap().first().unwrap().1, ["1", ""]);
        assert_eq!(rows("a,c\n").err().unwrap().to_string(), "x.csv line 1: the header is not the expected one");
        assert_eq!(rows("a,b\n1,2\n3\n").unwrap().unwrap_err().to_string(), "x.csv line 3: a cell is missing");
        assert_eq!(rows("a,b\n1,2,3\n").unwrap().unwrap_err().to_string(), "x.csv line 2: there is a cell too many");
    }
}
