//! What a build with one more kind of document would do, for tests beside builds that do not know the kind: it records
//! documents of that kind, which sync, carry and leave like all others.
//!
//! The kind's fields and genesis are a member's under another letter, so its changes are sound ones which build on a genesis
//! that no build has.

use toso_core::document::Document;
use toso_core::edit::DocEdit;
use toso_core::id::{DOC_ID_UNIQUE_BYTES, DocId};
use toso_core::unit::Scope;

use super::Replica;
use crate::error::ReplicaError;

/// The letter of the further kind.
const FURTHER_KIND: u8 = b'z';

impl Replica {
    /// The id of a document of the further kind.
    pub fn further_id(scope: Scope, unique: [u8; DOC_ID_UNIQUE_BYTES]) -> DocId {
        // A small letter is the letter of some kind.
        DocId::from_parts(FURTHER_KIND, scope, unique).unwrap_or_else(|_| DocId::member(scope, unique))
    }

    /// Saves edits of a document of the further kind: one change, durable here and in the outbox. A new one belongs to this
    /// device's own unit, as a new record of any kind does.
    pub fn save_further(&self, scope: Scope, id: DocId, edits: &[DocEdit]) -> Result<(), ReplicaError> {
        let _one_writer = self.documents.lock();
        let chunks = self.store.chunks(id)?;
        if chunks.is_empty() {
            self.commune(Some(scope))?;
        }
        let [_, _, _, _, _, unique @ ..] = *id.as_bytes();
        let as_known = Document::fold(DocId::member(scope, unique), &chunks);
        let (mut document, _) = as_known.ok_or(ReplicaError::NeedsNewerVersion { id })?;
        let mut chunks = document.make_room(self.author(), edits)?;
        if let Some(chunk) = document.edit(self.author(), edits)? {
            chunks.push(chunk);
            self.store_edit(scope, id, &chunks, None)?;
            self.announce_edit(id);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use toso_core::change::Change;
    use toso_core::chunk::Chunk;
    use toso_core::edit::MemberEdit;
    use toso_core::text::PersonName;
    use toso_store::ChunkStore as _;
    use toso_wire::NackCode;

    use super::super::ReplicaError;
    use super::super::tests::{commune, draft, replica};
    use super::*;
    use crate::observer::ReplicaEvent;
    use crate::testing::Heard;

    /// What a build that does not know the kind shows of a document that is here: a number. Everything else is as without it,
    /// a caller that asks for the document is told to update, and observers, who read what they are told of, do not hear of it.
    #[test]
    fn a_document_of_a_kind_to_come_is_a_number_and_an_error_that_says_update() {
        let (store, replica) = replica();
        let team = replica.add_team(draft("Thôn 1")).unwrap();
        let shown = |replica: &Replica| {
            let lists = (replica.teams().unwrap(), replica.members(None).unwrap(), replica.communes().unwrap());
            let found = (replica.search("thôn", 9).unwrap(), replica.search("thử", 9).unwrap());
            let rest = (replica.findings().unwrap(), replica.conflicts().unwrap(), replica.receipt_counts().unwrap());
            (lists, found, rest)
        };
        let before = shown(&replica);
        let heard = Heard::of(&replica);
        let (one, other) = (Replica::further_id(commune(), [8; 11]), Replica::further_id(commune(), [9; 11]));
        let edit = DocEdit::Member(MemberEdit::FullName(PersonName::parse("Nguyễn Văn Thử").unwrap()));
        for id in [one, other, one] {
            replica.save_further(commune(), id, std::slice::from_ref(&edit)).unwrap();
        }
        assert_eq!(shown(&replica), before);
        let status = replica.status().unwrap();
        assert_eq!((status.documents, status.newer, status.unsent), (3, 2, 3), "the same value again is no change");
        let told = heard.take();
        assert!(told.iter().all(|event| *event == ReplicaEvent::Documents(Vec::new())), "{told:?}");

        let refused = [
            replica.edit(one, std::slice::from_ref(&edit)).unwrap_err(),
            replica.resolve(one, "full_name", "Thử").unwrap_err(),
            replica.history(one).unwrap_err(),
            replica.conflicts_of(one).unwrap_err(),
            replica.merge(one, other).unwrap_err(),
            replica.merge(team, one).unwrap_err(),
            replica.unmerge(one).unwrap_err(),
        ];
        for error in refused {
            assert!(matches!(error, ReplicaError::NeedsNewerVersion { id } if id == one), "{error}");
        }
        let entry = store.outbox(0, 9).unwrap().into_iter().find(|entry| entry.doc == other).unwrap();
        let change = Change { doc: other, chunk: Chunk::trusted(Vec::new(), entry.hash) };
        let item = toso_sync::OutboxItem { number: entry.number, change };
        replica.commit_refused(vec![(item, NackCode::Held, String::new())]).unwrap();
        let held = replica.held().unwrap();
        assert_eq!((held[0].kind, held[0].label.as_str()), ("newer", ""));
        replica.forget(&[one, other]).unwrap();
        assert_eq!((replica.status().unwrap().newer, store.documents_len().unwrap()), (0, 1));
    }
}
