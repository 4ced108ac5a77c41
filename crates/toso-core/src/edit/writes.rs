//! What an edit writes into a document.

use std::borrow::Cow;

use automerge::ScalarValue;

/// One key of one map, and what happens to it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Write {
    /// The map that genesis made; `None` for the root.
    pub(crate) map: Option<&'static str>,
    /// The key in it.
    pub(crate) key: Cow<'static, str>,
    /// What to write.
    pub(crate) value: Value,
}

/// What happens to a key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Replaces. A cleared field is written as null, so that clearing and correcting apart shows as a conflict.
    Set(ScalarValue),
    /// Adds to a counter that must exist.
    Add(i64),
}

impl Write {
    pub(crate) fn set(map: Option<&'static str>, key: impl Into<Cow<'static, str>>, value: ScalarValue) -> Self {
        Self { map, key: key.into(), value: Value::Set(value) }
    }

    /// Begins a counter.
    pub(crate) fn count(map: &'static str, key: String, count: i64) -> Self {
        Self::set(Some(map), key, ScalarValue::counter(count))
    }

    pub(crate) fn add(map: &'static str, key: String, more: i64) -> Self {
        Self { map: Some(map), key: key.into(), value: Value::Add(more) }
    }
}
