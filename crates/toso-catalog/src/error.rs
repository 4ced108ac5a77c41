//! What can go wrong: a unit that no list has (the caller's mistake) and damaged data (ours).

use std::fmt;

use toso_core::unit::{UnitList, UnitRef};

/// Why a question about units has no answer. The caller named something that is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// The list has no unit of this code.
    #[error("no unit of the {} list has code {}{suggestion}", .unit.list, .unit.code)]
    UnknownUnit {
        /// What was asked for.
        unit: UnitRef,
        /// What may have been meant.
        suggestion: Suggestion,
    },
    /// The unit has no counterpart of its own in the other list.
    #[error(
        "{name} ({unit}) has no counterpart in the {to} list, which has no districts; ask for each of its communes"
    )]
    NoCounterpart {
        /// What was asked for.
        unit: UnitRef,
        /// Its name.
        name: Box<str>,
        /// The list it was to be translated into.
        to: UnitList,
    },
    /// The unit is wider than a document's scope may be.
    #[error("{name} ({unit}) is no commune; documents belong to a commune, or to a district that has none")]
    NotAScope {
        /// What was asked for.
        unit: UnitRef,
        /// Its name.
        name: Box<str>,
    },
}

/// What the writer of an unknown code may have meant. Its text continues a sentence, or is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suggestion {
    /// Nothing is near.
    Nothing,
    /// The code lives in another list.
    OtherList {
        /// The unit of the other list.
        unit: UnitRef,
        /// Its name and those of its wider units.
        path: String,
        /// What it is by default in the list that was asked for, when it has one successor there.
        now: Option<(UnitRef, String)>,
    },
    /// A leading zero was lost, as spreadsheets do.
    LeadingZero {
        /// The unit with the zero back.
        unit: UnitRef,
        /// Its name and those of its wider units.
        path: String,
    },
}

impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("; search by name for the right one"),
            Self::OtherList { unit, path, now: None } => {
                write!(f, "; in the {} list it is {path}", unit.list)
            }
            Self::OtherList { unit, path, now: Some((now, now_path)) } => {
                write!(f, "; in the {} list it is {path}, which became {} {now_path}", unit.list, now.code)
            }
            Self::LeadingZero { unit, path } => {
                write!(f, "; with its leading zero, {} is {path}", unit.code)
            }
        }
    }
}

/// The embedded data do not make a catalogue. Never the caller's fault; the tests of this crate exclude it.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The packed data do not unpack.
    #[error("the embedded unit lists do not unpack; rebuild toso-catalog")]
    Unpack(#[source] std::io::Error),
    /// An unpacked file is not text.
    #[error("the embedded file {file} is no text; rebuild toso-catalog")]
    Layout {
        /// The file.
        file: &'static str,
    },
    /// A line is not what its file's header promises.
    #[error("{file} line {line}: {problem}")]
    Row {
        /// The file's name in `data/`.
        file: &'static str,
        /// Its line, counted from 1.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
}
