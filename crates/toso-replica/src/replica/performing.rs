//! Performs what a session wants found out and kept on the device, in order, one at a time. What it wants sent and told is
//! for the owner of the connection.

use toso_store::StoreError;
use toso_sync::client::{Commit, NextPush, Query, ReadOutbox};
use toso_sync::{Ask as _, ClientEvent, OutboxBatch};
use toso_wire::Carried;

use super::Replica;
use crate::credential::Credential;

/// What a session waits for.
#[derive(Debug)]
pub enum Work {
    /// Find something out.
    Query(Query),
    /// Keep something.
    Commit(Commit),
}

impl Replica {
    /// Does it, and returns the answer for the session. Blocks for as long as the store does.
    pub fn perform(&self, credential: &Credential, work: Work) -> Result<ClientEvent, StoreError> {
        match work {
            Work::Query(query) => self.find_out(credential, query),
            Work::Commit(commit) => self.commit(commit).map(|()| ClientEvent::Committed),
        }
    }

    fn find_out(&self, credential: &Credential, query: Query) -> Result<ClientEvent, StoreError> {
        Ok(match query {
            Query::Prove(prove) => {
                let proof = self.prove(credential, prove.0.at, &prove.0.nonce);
                prove.answer(proof)
            }
            Query::ReadOutbox(read) => {
                let next = self.next_push(credential, &read)?;
                read.answer(next)
            }
            Query::ReadElements(read) => {
                let elements = self.elements(read.unit)?;
                read.answer(elements)
            }
        })
    }

    /// Own changes first; then, one by one, what is carried for others.
    fn next_push(&self, credential: &Credential, read: &ReadOutbox) -> Result<NextPush, StoreError> {
        let reads_only = credential.reads_only();
        let own = if read.resting { None } else { self.outbox_batch(read.after, read.bytes_max)? };
        let own = if reads_only { self.foreign_after(own, read.bytes_max)? } else { own };
        let Some(batch) = own else {
            // What is carried needs a carrier that may write.
            let carried = if reads_only { None } else { self.next_carried()? };
            return Ok(carried.map_or(NextPush::Nothing, |(batch, carried)| NextPush::Carried(batch, carried)));
        };
        Ok(match self.foreign_author(&batch) {
            // The server had another's change and lost it: it goes back in its author's name.
            Some(author) => NextPush::Carried(batch, Carried { author, signature: Vec::new() }),
            None => NextPush::Own(batch),
        })
    }

    /// From a batch on the next that is another's: a device whose role only reads keeps its own until it may write again,
    /// and tells a server that has lost others' changes of them as before.
    fn foreign_after(
        &self,
        mut batch: Option<OutboxBatch>,
        bytes_max: usize,
    ) -> Result<Option<OutboxBatch>, StoreError> {
        while let Some(own) = batch.as_ref().filter(|batch| self.foreign_author(batch).is_none()) {
            let last = own.items.last().map_or(u64::MAX, |item| item.number);
            batch = self.outbox_batch(last, bytes_max)?;
        }
        Ok(batch)
    }

    fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        match commit {
            Commit::KeepSession { epoch, root, at, asked } => self.keep_session(epoch, root.as_deref(), at, asked),
            Commit::Delta(delta) => self.commit_delta(delta),
            Commit::Chunks(delta) => self.commit_chunks(delta),
            Commit::Reconciled { unit, as_of, epoch, acknowledged, lacking } => {
                self.commit_reconciled(unit, as_of, epoch, acknowledged, &lacking)
            }
            Commit::Ack { accepted, through, settled } => self.commit_ack(&accepted, through, settled),
            Commit::Refused { refused } => self.commit_refused(refused),
            Commit::Rest { delay_ms, why } => self.keep_rest(delay_ms, why),
            Commit::KeepReceipt(receipt) => self.keep_receipt(&receipt),
            Commit::Move(moved) => self.move_to(&moved),
            Commit::KeepDecisions { reviewed, epoch } => self.keep_decisions(&reviewed, epoch),
            Commit::KeepPace(pace) => self.keep_pace(pace),
            Commit::DropHeldCopies => self.drop_held_copies(),
            Commit::Purge(purge) => {
                self.forget(&purge.docs)?;
                self.leave_scopes(&purge.scopes)
            }
            Commit::Erase(erased) => self.forget(&erased.docs),
        }
    }
}
