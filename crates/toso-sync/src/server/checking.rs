//! The check of one pushed item. It opens no document.

use toso_core::change::Change;
use toso_core::chunk::{ChunkError, RawChunk};
use toso_core::edit::officers_fields;
use toso_core::id::AuthorId;
use toso_core::unit::UnitRef;
use toso_wire::NackCode;

use crate::principal::AccessRole;

/// Envelope limits → parse (not apply) → `may_write`.
///
/// The same check is made by a phone that takes another's changes to carry them, so that it takes nothing that the server
/// would refuse.
pub fn check_item(
    author: AuthorId,
    role: AccessRole,
    scope: UnitRef,
    item: &Change<RawChunk>,
) -> Result<Change, (NackCode, String)> {
    let change = item.check_new().map_err(|error| broken(&error))?;
    may_write(author, role, scope, &change)?;
    Ok(change)
}

/// Document made for this scope → actor is the author's → role may write it.
pub(super) fn may_write(
    author: AuthorId,
    role: AccessRole,
    scope: UnitRef,
    item: &Change,
) -> Result<(), (NackCode, String)> {
    if !item.doc.belongs_to(scope) {
        return Err((NackCode::WrongDocument, format!("document {} was not made for {scope}", item.doc)));
    }
    if item.chunk.facts().map_err(|error| broken(&error))?.actor.author() != author {
        return Err((NackCode::ForeignActor, "the change was made by another device".to_owned()));
    }
    // A kind that only a newer version knows has no fields here.
    let officers = item.doc.kind().map_or(&[][..], officers_fields);
    if !officers.is_empty() && !role.may_sign_off() && item.chunk.writes_any(officers) {
        return Err((NackCode::Forbidden, format!("{} does not sign off; an officer does", role.with_article())));
    }
    Ok(())
}

/// The answer to what is no change.
pub(super) fn broken(error: &ChunkError) -> (NackCode, String) {
    let code = match error {
        ChunkError::TooLarge { .. } => NackCode::TooLarge,
        ChunkError::WrongType { .. }
        | ChunkError::Malformed { .. }
        | ChunkError::Checksum
        | ChunkError::TooMany { .. }
        | ChunkError::Foreign { .. } => NackCode::Malformed,
    };
    (code, error.to_string())
}
