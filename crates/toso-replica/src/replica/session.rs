//! What a sync session reads from the replica and commits into it. Every commit is one transaction.

use std::collections::HashSet;

use toso_core::change::Change;
use toso_core::chunk::{Chunk, RawChunk};
use toso_core::document::Document;
use toso_core::id::{DocId, Epoch, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_store::{StoreError, Transaction};
use toso_sync::{ClientStart, OutboxBatch, OutboxItem};
use toso_wire::limits::{PUSH_BYTES_FIRST, PUSH_ITEMS_MAX};
use toso_wire::{Delta, DeltaItem, Interest, Proof, Receipt as ReceiptFrame, RootProof};

use super::Replica;
use super::receipts::{SETTING_TOTALS, read_setting, setting};
use super::reconciling::author_of;
use super::returned::without_returned;
use super::view::CentreTotals;
use crate::carry::pass;
use crate::credential::{Credential, SERVER_TIME_KEPT_MS, SessionMemory};
use crate::error::ReplicaError;
use crate::observer::ReplicaEvent;

impl Replica {
    /// What a session starts from: for [`toso_sync::ClientSession::new`]. `live` stays connected for live changes.
    pub fn session_start(&self, credential: &Credential, live: bool) -> Result<ClientStart, ReplicaError> {
        self.begin_carrying();
        // The commit that set a document free may have been the last thing before the process was killed.
        // On a full disk nothing is offered again or forgotten, and everything else goes on.
        match self.offer_again(credential).and_then(|()| self.forget_what_was_left()) {
            Ok(()) | Err(StoreError::Full { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let memory = SessionMemory::load(self.store.as_ref())?;
        let cursor = self.store.cursor(credential.unit)?;
        // Nothing pending: then the digests of both sides must be equal.
        let digest = self.settled_digest(credential.unit, cursor)?;
        let resting = self.rests_for_ms()?.is_some();
        let pace = self.pace()?;
        let first_bytes = pace.bytes().map_or(PUSH_BYTES_FIRST, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let first = if resting || credential.reads_only() { None } else { self.outbox_batch(0, first_bytes)? };
        let first = first.filter(|batch| self.foreign_author(batch).is_none());
        let (proof, ticket) = memory.proof(credential, &self.device, (self.clock)(), &*self.random);
        Ok(ClientStart {
            server: credential.server_id,
            proof,
            ticket,
            epoch: memory.epoch,
            interests: vec![Interest { unit: credential.unit, cursor, digest }],
            live,
            heard: self.heard(memory.epoch)?,
            pace,
            by_request: false,
            first,
            resting,
        })
    }

    /// Signs a server's challenge with the server's own time.
    pub(super) fn prove(&self, credential: &Credential, at: TimestampMs, nonce: &[u8]) -> Proof {
        credential.prove(&self.device, at, nonce)
    }

    /// The next entries of the outbox that fit one PUSH of at most so many change bytes, at least one: of one scope and one
    /// author.
    pub(crate) fn outbox_batch(&self, after: u64, bytes_max: usize) -> Result<Option<OutboxBatch>, StoreError> {
        let entries = self.store.outbox(after, PUSH_ITEMS_MAX)?;
        let Some(scope) = entries.first().map(|entry| entry.scope) else {
            return Ok(None);
        };
        let mut items: Vec<OutboxItem> = Vec::new();
        let mut author = None;
        let mut bytes = 0;
        for entry in entries.into_iter().take_while(|entry| entry.scope == scope) {
            let change = Change { doc: entry.doc, chunk: self.store.chunk(entry.doc, &entry.hash)? };
            bytes += change.bytes().len();
            let item = OutboxItem { number: entry.number, change };
            let of_item = author_of(&item);
            if !items.is_empty() && (author != of_item || bytes > bytes_max) {
                break;
            }
            author = of_item;
            items.push(item);
        }
        Ok(Some(OutboxBatch { scope, items }))
    }

    /// How many entries wait to be acknowledged.
    pub fn outbox_len(&self) -> Result<usize, StoreError> {
        self.store.outbox_len()
    }

    pub(super) fn keep_session(
        &self,
        epoch: Option<Epoch>,
        root: Option<&RootProof>,
        server_now: TimestampMs,
        asked: Option<TimestampMs>,
    ) -> Result<(), StoreError> {
        let mut memory = SessionMemory::load(self.store.as_ref())?;
        let clock_offset_ms = i64::try_from(i128::from(server_now.0) - i128::from((self.clock)().0)).unwrap_or(0);
        let changed = (epoch.is_some() && memory.epoch != epoch)
            || root.is_some()
            || memory.foreign != epoch.is_none()
            || asked.is_some_and(|asked| asked != memory.proofs_from)
            || memory.clock_offset_ms.abs_diff(clock_offset_ms) > CLOCK_OFFSET_TOLERANCE_MS
            || server_now.0.abs_diff(memory.server_at.0) > SERVER_TIME_KEPT_MS;
        if !changed {
            return Ok(());
        }
        let had_ticket = !memory.ticket.is_empty();
        memory.foreign = epoch.is_none();
        // Also an earlier time than before: the server's clock was ahead then, and was set right.
        memory.proofs_from = asked.unwrap_or(memory.proofs_from);
        memory.server_at = server_now;
        (memory.epoch, memory.clock_offset_ms) = (epoch.or(memory.epoch), clock_offset_ms);
        let mut settings = Vec::new();
        let mut renewed = None;
        if let Some(root) = root {
            // A ticket ends with each departure from the unit, after which bundles have another key.
            if had_ticket || !pass::is_fresh(self.store.as_ref(), (self.clock)())? {
                settings.push(pass::due());
            }
            if let Some(ticket) = &root.ticket {
                memory.keep_ticket(ticket, server_now);
            }
            renewed = self.renewed(root);
            settings.extend(renewed.as_ref().map(Credential::setting));
        }
        settings.push(memory.setting());
        self.store.commit(Transaction { settings, ..Transaction::default() })?;
        if renewed.is_some() {
            self.announce(ReplicaEvent::Right);
        }
        Ok(())
    }

    /// The credential with the token that the server has given, or with its own token's end, when either is news.
    fn renewed(&self, root: &RootProof) -> Option<Credential> {
        let mut credential = self.credential().ok()?;
        let is_new = !root.token.is_empty();
        if !is_new && credential.token_ends == Some(root.token_ends) {
            return None;
        }
        credential.token_ends = Some(root.token_ends);
        if is_new {
            credential.token.clone_from(&root.token);
        }
        Some(credential)
    }

    /// A page and its cursor, together.
    pub(super) fn commit_delta(&self, delta: Delta) -> Result<(), StoreError> {
        let cursors = vec![(delta.unit, delta.next)];
        self.store_page(delta, cursors)
    }

    /// Stores what came. What had been refused or held and is in the register all the same is accepted.
    pub(super) fn store_page(&self, delta: Delta, cursors: Vec<(UnitRef, Sequence)>) -> Result<(), StoreError> {
        let mut transaction = Transaction { cursors, ..Transaction::default() };
        let mut changed: Vec<DocId> = Vec::new();
        let mut returned = Vec::new();
        for group in delta.groups {
            for item in group.items {
                let (doc, chunks, by) = match item {
                    DeltaItem::Erased(doc, hash) => {
                        changed.push(doc);
                        transaction.erased.push((group.scope, doc, hash));
                        continue;
                    }
                    DeltaItem::Change(change) => (change.doc, checked(&change), None),
                    DeltaItem::Returned(change, by) => (change.doc, checked(&change), Some(by)),
                    DeltaItem::Snapshot(doc, bytes) => {
                        (doc, Document::snapshot_chunks(doc, &bytes).unwrap_or_default(), None)
                    }
                };
                changed.push(doc);
                returned.extend(by.into_iter().flat_map(|by| chunks.iter().map(move |chunk| (doc, chunk.hash(), by))));
                transaction.chunks.extend(chunks.into_iter().map(|chunk| (group.scope, Change { doc, chunk })));
            }
        }
        changed.sort_unstable();
        changed.dedup();
        if !changed.is_empty() {
            let came = |doc: DocId, hash| {
                transaction.chunks.iter().any(|(_, change)| change.doc == doc && change.hash() == hash)
                    || transaction.erased.iter().any(|(_, of, erased)| (*of, *erased) == (doc, hash))
            };
            transaction.settings = self.returned_with(&returned)?;
            transaction.held = self.accepted_marks(|doc, hash| Ok(came(doc, hash)))?;
        }
        let erased: HashSet<DocId> = transaction.erased.iter().map(|(_, doc, _)| *doc).collect();
        if !erased.is_empty() {
            // The words kept with a mark can be a person's name.
            let marks = self.store.held()?.into_iter().filter(|mark| erased.contains(&mark.doc));
            transaction.held.extend(marks.map(|mark| (mark.doc, mark.hash, None)));
        }
        // Locked over the commit, so that no edit is made on a copy that lacks what the store already has.
        let mut documents = self.documents.lock();
        transaction.shown = self.shown_with(&transaction.chunks)?;
        self.store.commit(transaction)?;
        for doc in &changed {
            documents.pop(doc);
        }
        if !erased.is_empty() {
            self.renew_actor();
        }
        drop(documents);
        let (removed, changed): (Vec<_>, Vec<_>) = changed.into_iter().partition(|doc| erased.contains(doc));
        if !(removed.is_empty() && changed.is_empty()) {
            self.chunks_changed();
        }
        if !removed.is_empty() {
            self.announce(ReplicaEvent::Removed(removed));
        }
        if !changed.is_empty() {
            self.announce(ReplicaEvent::Documents(changed));
        }
        Ok(())
    }

    pub(super) fn commit_ack(
        &self,
        accepted: &[OutboxItem],
        through: Sequence,
        settled: Option<UnitRef>,
    ) -> Result<(), StoreError> {
        self.delivered(accepted, through)?;
        let of_ack: HashSet<_> = accepted.iter().map(|item| (item.change.doc, item.change.hash())).collect();
        let held = self.accepted_marks(|doc, hash| Ok(of_ack.contains(&(doc, hash))))?;
        let decided = !held.is_empty();
        self.store.commit(Transaction {
            held,
            outbox_remove: accepted.iter().map(|item| item.number).collect(),
            receipts: accepted.iter().map(|item| (item.change.doc, item.change.hash(), through)).collect(),
            cursors: settled.into_iter().map(|unit| (unit, through)).collect(),
            ..Transaction::default()
        })?;
        self.chunks_changed();
        self.announce(ReplicaEvent::Receipts);
        if decided {
            self.announce(ReplicaEvent::Held);
        }
        self.forget_what_was_left()
    }

    pub(super) fn keep_receipt(&self, receipt: &ReceiptFrame) -> Result<(), StoreError> {
        let Ok(credential) = self.credential() else {
            return Ok(());
        };
        let Some(totals) = receipt.totals.iter().find(|totals| totals.unit == credential.unit) else {
            return Ok(());
        };
        let (teams, members) = (totals.teams, totals.members);
        let totals = CentreTotals { teams, members, as_of: receipt.as_of, at: receipt.at };
        if read_setting::<CentreTotals>(self.store.as_ref(), SETTING_TOTALS)?.as_ref() == Some(&totals) {
            return Ok(());
        }
        let settings = vec![setting(SETTING_TOTALS, &totals)];
        self.store.commit(Transaction { settings, ..Transaction::default() })?;
        self.announce(ReplicaEvent::Receipts);
        Ok(())
    }

    /// Forgets documents that were erased, whatever of them is unsent.
    pub(super) fn forget(&self, docs: &[DocId]) -> Result<(), StoreError> {
        if docs.is_empty() {
            return Ok(());
        }
        // The words kept with a mark can be a person's name.
        let marks = self.store.held()?.into_iter().filter(|mark| docs.contains(&mark.doc));
        let held = marks.map(|mark| (mark.doc, mark.hash, None)).collect();
        let mut documents = self.documents.lock();
        let settings = without_returned(docs);
        self.store.commit(Transaction { remove_documents: docs.to_vec(), held, settings, ..Transaction::default() })?;
        for doc in docs {
            documents.pop(doc);
        }
        drop(documents);
        self.chunks_changed();
        self.announce(ReplicaEvent::Removed(docs.to_vec()));
        Ok(())
    }
}

/// Smaller differences between the clocks are not worth a write.
const CLOCK_OFFSET_TOLERANCE_MS: u64 = 60_000;

/// The chunk of a DELTA item. The server has checked what it sends; what cannot be read all the same (a damaged server) is left
/// out, and the document goes on without it.
fn checked(change: &Change<RawChunk>) -> Vec<Chunk> {
    change.chunk.check().into_iter().collect()
}
