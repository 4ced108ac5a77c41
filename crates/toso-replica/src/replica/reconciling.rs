//! What comparing with a server reads here and commits: digest, chunk keys, and the end of a comparison.

use std::collections::HashSet;

use toso_core::chunk::ChangeHash;
use toso_core::id::{AuthorId, Digest, DocId, Epoch, Sequence};
use toso_core::unit::{Scope, UnitRef};
use toso_store::{StoreError, Transaction};
use toso_sync::{OutboxBatch, OutboxItem};
use toso_wire::Delta;

use super::Replica;
use crate::credential::SessionMemory;
use crate::observer::ReplicaEvent;

impl Replica {
    /// The digest for HELLO: of everything here, when the server must have just that at the cursor. While edits are on
    /// their way, or the server's answer to some has not been read past yet, it is none.
    pub(super) fn settled_digest(&self, unit: UnitRef, cursor: Sequence) -> Result<Digest, StoreError> {
        let store = self.store.as_ref();
        if cursor == Sequence::ZERO || store.outbox_len()? > 0 || self.is_leaving()? {
            return Ok(Digest::default());
        }
        let mut known = self.digest.lock();
        // Known from an earlier session: nothing has been acknowledged or taken to carry since, and cursors only rise.
        if let Some((_, digest)) = known.filter(|(of, _)| *of == unit) {
            return Ok(digest);
        }
        if store.last_receipt()? > cursor || !self.undelivered()?.is_empty() {
            return Ok(Digest::default());
        }
        // What an officer has accepted is in the register.
        let held = self.not_registered()?;
        let mut digest = Digest::default();
        // Documents of a unit that the device has left may stay for the sake of held edits.
        for chunk in self.elements(unit)?.into_iter().filter(|chunk| !held.contains(chunk)) {
            digest.toggle(chunk.0, &chunk.1);
        }
        *known = Some((unit, digest));
        Ok(digest)
    }

    /// To be called after every commit that changes which chunks are here, in the outbox, or held.
    pub(super) fn chunks_changed(&self) {
        *self.digest.lock() = None;
        *self.unsent.lock() = None;
    }

    /// Every chunk of a unit that is here.
    pub(super) fn elements(&self, unit: UnitRef) -> Result<Vec<(DocId, ChangeHash)>, StoreError> {
        let keys = self.store.keys()?.into_iter();
        let within = keys.filter(|(scope, ..)| self.within(unit, *scope));
        Ok(within.map(|(_, doc, hash)| (doc, hash)).collect())
    }

    /// Chunks without a cursor.
    pub(super) fn commit_chunks(&self, delta: Delta) -> Result<(), StoreError> {
        self.store_page(delta, Vec::new())
    }

    /// The end of a comparison, in one transaction.
    pub(super) fn commit_reconciled(
        &self,
        unit: UnitRef,
        as_of: Sequence,
        epoch: Option<Epoch>,
        acknowledged: Sequence,
        lacking: &[(DocId, ChangeHash)],
    ) -> Result<(), StoreError> {
        let store = self.store.as_ref();
        let mut transaction =
            Transaction { cursors: vec![(unit, as_of)], receipts_reset: Some(acknowledged), ..Transaction::default() };
        let lacking_there: HashSet<_> = lacking.iter().copied().collect();
        // What was held and has come into the register since is accepted; the volunteer has yet to read so.
        transaction.held = self.accepted_marks(|doc, hash| {
            let within = store.scope_of(doc)?.is_some_and(|scope| self.within(unit, scope));
            Ok(within && !lacking_there.contains(&(doc, hash)) && store.contains(doc, &hash)?)
        })?;
        let decided = transaction.held.iter().any(|(.., mark)| mark.is_some());
        let (mut again, mut returned_elsewhere) = (lacking.to_vec(), Vec::new());
        if let Some(epoch) = epoch {
            let mut memory = SessionMemory::load(store)?;
            if memory.epoch != Some(epoch) {
                // Before the epoch is kept, so that a phone killed in between does it again.
                self.hand_over_again()?;
                returned_elsewhere = self.brought_back()?;
                // Of units that were left and still have something unsent nobody compares what is here, and it goes when
                // that is sent.
                let beside = store.keys()?.into_iter().filter(|(scope, ..)| !self.within(unit, *scope));
                again.extend(beside.map(|(_, doc, hash)| (doc, hash)));
                (memory.epoch, memory.foreign) = (Some(epoch), false);
                transaction.settings.push(memory.setting());
            }
        }
        // A change that an officer accepted, and this server lost again, goes like any other.
        let mut waiting = self.not_registered()?;
        for chunk in returned_elsewhere {
            waiting.remove(&chunk);
            transaction.held.push((chunk.0, chunk.1, None));
        }
        waiting.extend(store.outbox(0, usize::MAX)?.into_iter().map(|entry| (entry.doc, entry.hash)));
        waiting.extend(self.undelivered()?);
        again.retain(|chunk| !waiting.contains(chunk));
        transaction.outbox_add = again.into_iter().map(|(_, hash)| hash).collect();
        store.commit(transaction)?;
        self.chunks_changed();
        self.announce(ReplicaEvent::Receipts);
        if decided {
            self.announce(ReplicaEvent::Held);
        }
        self.forget_what_was_left()
    }

    fn within(&self, unit: UnitRef, scope: Scope) -> bool {
        scope == unit || self.catalog.covers(unit, scope)
    }

    /// Whose changes a batch of the outbox has, when they are not this device's: the server had them once.
    pub(super) fn foreign_author(&self, batch: &OutboxBatch) -> Option<AuthorId> {
        author_of(batch.items.first()?).filter(|author| *author != self.device.id().author())
    }
}

/// Who made a change.
pub(super) fn author_of(item: &OutboxItem) -> Option<AuthorId> {
    item.change.chunk.facts().ok().map(|of| of.actor.author())
}
