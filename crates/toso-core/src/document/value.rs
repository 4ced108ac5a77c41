//! Automerge scalars as the text that an edit would be parsed from.

use automerge::{ScalarValue, ScalarValueRef, Value, ValueRef};

use crate::id::DocId;

/// The longest text of a value that is shown, in bytes; no edit makes a longer one.
pub(crate) const TEXT_BYTES_MAX: usize = crate::text::NOTE_BYTES_MAX;

/// A document's id.
pub(crate) fn doc_id(bytes: &[u8]) -> Option<DocId> {
    DocId::from_bytes(bytes.try_into().ok()?).ok()
}

/// The text of a value; empty for null, objects, and what no edit makes.
pub(crate) fn text(value: &Value<'_>) -> String {
    match value {
        Value::Scalar(scalar) => scalar_text(scalar),
        Value::Object(_) => String::new(),
    }
}

pub(crate) fn scalar_text(scalar: &ScalarValue) -> String {
    match scalar {
        ScalarValue::Str(text) if text.len() <= TEXT_BYTES_MAX => text.to_string(),
        ScalarValue::Boolean(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        ScalarValue::Int(number) => number.to_string(),
        ScalarValue::Uint(number) => number.to_string(),
        ScalarValue::Counter(counter) => i64::from(counter).to_string(),
        ScalarValue::Bytes(bytes) => doc_id(bytes).map(|id| id.to_string()).unwrap_or_default(),
        ScalarValue::Str(_)
        | ScalarValue::F64(_)
        | ScalarValue::Timestamp(_)
        | ScalarValue::Unknown { .. }
        | ScalarValue::Null => String::new(),
    }
}

/// A text of at most `max` bytes.
pub(crate) fn str<'a>(value: &'a ValueRef<'_>, max: usize) -> Option<&'a str> {
    let ValueRef::Scalar(ScalarValueRef::Str(text)) = value else { return None };
    (!text.is_empty() && text.len() <= max).then_some(text)
}

/// A number from 0 to `max`.
pub(crate) fn count(value: &ValueRef<'_>, max: u32) -> Option<i64> {
    let number = match value {
        ValueRef::Scalar(ScalarValueRef::Int(number)) => *number,
        ValueRef::Scalar(ScalarValueRef::Uint(number)) => i64::try_from(*number).ok()?,
        ValueRef::Scalar(_) | ValueRef::Object(_) => return None,
    };
    (0..=i64::from(max)).contains(&number).then_some(number)
}

pub(crate) fn boolean(value: &ValueRef<'_>) -> Option<bool> {
    let ValueRef::Scalar(ScalarValueRef::Boolean(yes)) = value else { return None };
    Some(*yes)
}

pub(crate) fn counter(value: &ValueRef<'_>) -> Option<i64> {
    let ValueRef::Scalar(ScalarValueRef::Counter(count)) = value else { return None };
    Some(*count)
}

/// The id of a document of a kind.
pub(crate) fn doc(value: &ValueRef<'_>, kind: crate::id::DocKind) -> Option<DocId> {
    let ValueRef::Scalar(ScalarValueRef::Bytes(bytes)) = value else { return None };
    doc_id(bytes).filter(|id| id.kind() == Some(kind))
}
