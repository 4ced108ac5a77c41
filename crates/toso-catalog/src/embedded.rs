//! The data that travel inside the crate: six CSV files, each packed by `build.rs` into a zstd frame of its own.

use crate::error::DataError;

/// What a file may grow to, unpacked: today the largest has 380,000 bytes.
const UNPACKED_BYTES_MAX: usize = 1024 * 1024;

/// A packed file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packed {
    name: &'static str,
    bytes: &'static [u8],
}

macro_rules! packed {
    ($($file:ident = $name:literal,)+) => {
        $(
            pub(crate) const $file: Packed = Packed {
                name: concat!($name, ".csv"),
                bytes: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".zst")),
            };
        )+
        #[cfg(test)]
        const ALL: &[(Packed, &str)] =
            &[$(($file, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/", $name, ".csv")))),+];
    };
}

packed!(
    UNITS_2022 = "units-2022",
    UNITS_2025 = "units-2025",
    LINEAGE = "map-2022-2025",
    PROVINCES = "map-provinces",
    DISPATCH = "dispatch-provinces",
    RENAMES = "changes-2026",
);

impl Packed {
    /// Hands the text to `read`.
    pub(crate) fn read<T>(self, read: impl FnOnce(Source<'_>) -> Result<T, DataError>) -> Result<T, DataError> {
        let bytes = zstd::bulk::decompress(self.bytes, UNPACKED_BYTES_MAX).map_err(DataError::Unpack)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| DataError::Layout { file: self.name })?;
        read(Source { name: self.name, text })
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_files_are_the_csv_files() {
        for (packed, text) in ALL {
            packed
                .read(|source| {
                    assert!(source.text == *text, "{}", source.name);
                    Ok(())
                })
                .unwrap();
        }
    }

    #[test]
    fn packed_size_is_within_its_budget() {
        let bytes: usize = ALL.iter().map(|(packed, _)| packed.bytes.len()).sum();
        assert!(bytes <= 160 * 1024, "{bytes} bytes");
    }

    #[test]
    fn what_is_no_zstd_frame_or_no_text_is_refused() {
        let packed = |bytes| Packed { name: "x.csv", bytes }.read(|_| Ok(()));
        assert!(matches!(packed(b"a,b"), Err(DataError::Unpack(_))));
        let not_text = zstd::bulk::compress(&[0xff, 0xfe], 1).unwrap().leak();
        assert!(matches!(packed(not_text), Err(DataError::Layout { file: "x.csv" })));
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
