//! What the replica gives others to carry, what it carries for them, and what it hears back.

use std::collections::HashSet;

use toso_core::chunk::ChangeHash;
use toso_core::id::{DocId, Sequence};
use toso_core::unit::UnitRef;
use toso_store::{StoreError, Transaction};
use toso_sync::{OutboxBatch, OutboxItem};
use toso_wire::Carried;
use toso_wire::limits::PUSH_BYTES_MAX;

use super::Replica;
use super::receipts::{SETTING_HEARD, SETTING_TOTALS, read_setting, setting};
use super::view::CentreTotals;
use crate::carry::bundle::{self, PARCEL_BYTES_MAX, RECEIPT_BYTES_MAX};
use crate::carry::keep::{Entry, Index, IndexEntry};
use crate::carry::parcel::{Checked, Refs};
use crate::carry::pass::{self, PassAnswer, covers};
use crate::carry::{
    BundleReport, CarriedReceipt, CarriedTotals, CarryError, CarryPass, Handover, Parcel, ParcelId, PeerEffect,
    PeerError, PeerSession, Side, TakeReport,
};
use crate::credential::{Credential, SessionMemory};
use crate::error::ReplicaError;
use crate::identity::{RandomSource, random_from};
use crate::limits::DOCUMENTS_MAX;
use crate::observer::News;
use crate::observer::ReplicaEvent;

/// What the carry box has given to the present session, and the lock over its index.
#[derive(Debug, Default)]
pub(super) struct CarryState {
    offered: HashSet<ParcelId>,
}

impl Replica {
    /// Makes a bundle for a unit (this device's own by default): everything here that waits for a server.
    pub fn make_bundle(&self, unit: Option<UnitRef>) -> Result<(Vec<u8>, BundleReport), CarryError> {
        let credential = self.credential()?;
        let pass = CarryPass::load(self.store())?;
        let unit = unit.unwrap_or(credential.unit);
        if !covers(credential.unit, unit) {
            return Err(CarryError::OutsideUnit { unit, own: credential.unit });
        }
        let (handover, left) = self.handover(&pass, &credential, unit)?;
        let bytes =
            bundle::seal(&self.device, &pass, credential.server_id, unit, &handover, random_from(&*self.random))?;
        let report = BundleReport { parcels: handover.parcels.len(), left, bytes: bytes.len() };
        Ok((bytes, report))
    }

    /// Opens a bundle and takes what is in it. Opening it again changes nothing.
    pub fn open_bundle(&self, bytes: &[u8]) -> Result<TakeReport, CarryError> {
        let credential = self.credential()?;
        let pass = CarryPass::load(self.store())?;
        let opened = bundle::open(&pass, credential.server_id, credential.unit, bytes)?;
        self.take_handover(opened.handover)
    }

    /// A session with another phone, over a pipe that the caller has.
    pub fn meet(&self, side: Side) -> Result<(PeerSession, Vec<PeerEffect>), PeerError> {
        let credential = self.credential().map_err(CarryError::from)?;
        let pass = CarryPass::load(self.store())?;
        let (handover, _) = self.handover(&pass, &credential, credential.unit)?;
        let have = Index::load(self.store()).map_err(CarryError::from)?.0.iter().map(|of| of.id).collect();
        let random = RandomSource::clone(&self.random);
        PeerSession::new(side, random, self.device.clone(), pass.card, credential.server_id, handover, have)
    }

    /// True when card and bundle key are to be asked for: the server has greeted this device anew, as it does after each
    /// departure from the unit.
    pub fn pass_is_due(&self) -> Result<bool, StoreError> {
        pass::is_due(self.store())
    }

    /// Keeps the card and bundle key that the server gave.
    pub fn keep_pass(&self, answer: PassAnswer) -> Result<(), CarryError> {
        let credential = self.credential()?;
        Ok(answer.read(credential.server_id)?.keep(self.store(), (self.clock)())?)
    }

    /// What waits here for a server in a unit, and how many batches found no place.
    fn handover(
        &self,
        pass: &CarryPass,
        credential: &Credential,
        unit: UnitRef,
    ) -> Result<(Handover, usize), CarryError> {
        let mut handover = Handover::default();
        let (mut left, mut bytes) = (0, 0);
        let mut add = |parcel: Parcel, handover: &mut Handover| {
            bytes += parcel.bytes();
            if bytes <= PARCEL_BYTES_MAX {
                handover.parcels.push(parcel);
            } else {
                left += 1;
            }
        };
        let mut after = 0;
        // Who opens it refuses what the card's role may not write, and all that comes after: it waits here for another role.
        let reads_only = credential.reads_only();
        while let Some(batch) = self.outbox_batch(after, PUSH_BYTES_MAX)?.filter(|_| !reads_only) {
            after = batch.items.iter().map(|item| item.number).fold(after, u64::max);
            if covers(unit, batch.scope) && self.foreign_author(&batch).is_none() {
                add(Parcel::sign(&self.device, &pass.card, &batch), &mut handover);
            }
        }
        let mut receipt_bytes = 0;
        for of in Index::load(self.store())?.0 {
            let Some(entry) = Entry::load(self.store(), of.id)?.filter(|_| covers(unit, of.scope)) else { continue };
            match entry.delivered {
                None => {
                    if let Some(parcel) = entry.parcel(self.store())? {
                        add(parcel, &mut handover);
                    }
                }
                Some((epoch, through)) => {
                    receipt_bytes += entry.refs.len() * 60;
                    if receipt_bytes <= RECEIPT_BYTES_MAX {
                        handover.receipts.push(CarriedReceipt { epoch, through, changes: entry.refs });
                    }
                }
            }
        }
        if let Some(epoch) = SessionMemory::load(self.store())?.epoch
            && let Some(totals) = read_setting::<CentreTotals>(self.store(), SETTING_TOTALS)?
        {
            let CentreTotals { teams, members, as_of, at } = totals;
            handover.totals = Some(CarriedTotals { epoch, unit: credential.unit, teams, members, as_of, at });
        }
        Ok((handover, left))
    }

    /// Takes what another phone gave: its parcels are applied here and kept to carry. Parcels are taken one by one, so
    /// what came before one that is refused stays.
    pub fn take_handover(&self, handover: Handover) -> Result<TakeReport, CarryError> {
        let credential = self.credential()?;
        let mut report = TakeReport::default();
        for parcel in handover.parcels {
            report.add(self.take_parcel(&credential, &parcel)?);
        }
        report.received = self.take_receipts(&handover.receipts)?;
        if let Some(totals) = &handover.totals {
            self.take_totals(&credential, totals)?;
        }
        Ok(report)
    }

    fn take_parcel(&self, credential: &Credential, parcel: &Parcel) -> Result<TakeReport, CarryError> {
        if !covers(credential.unit, parcel.scope) {
            return Err(CarryError::OutsideUnit { unit: parcel.scope, own: credential.unit });
        }
        let Checked { id, author, items } = parcel.check(credential.server_id)?;
        let known = TakeReport { known: 1, ..TakeReport::default() };
        if author.device == self.device.id() {
            return Ok(known);
        }
        let _index = self.carry.lock();
        let mut index = Index::load(self.store())?;
        if index.contains(id) {
            return Ok(known);
        }
        let refs: Refs = items.iter().map(|item| (item.doc, item.hash())).collect();
        let docs: HashSet<DocId> = items.iter().map(|item| item.doc).collect();
        let mut transaction = Transaction::default();
        self.drop_older_copies(&mut index, parcel, &refs, &mut transaction)?;
        if !index.make_room(&mut transaction) {
            return Err(CarryError::BoxFull);
        }
        let mut new = 0;
        for doc in &docs {
            new += usize::from(self.store().scope_of(*doc)?.is_none());
        }
        let mut documents = self.documents.lock();
        if new > 0 && self.store().documents_len()? + new > DOCUMENTS_MAX {
            return Err(ReplicaError::TooManyDocuments.into());
        }
        index.0.push(IndexEntry { id, author: author.device.author(), scope: parcel.scope, delivered: false });
        index.put(&mut transaction);
        let entry = Entry {
            card: parcel.card.clone(),
            scope: parcel.scope,
            refs,
            signature: parcel.signature,
            delivered: None,
        };
        entry.put(id, &mut transaction);
        let changes = items.len();
        transaction.chunks = items.into_iter().map(|item| (parcel.scope, item)).collect();
        transaction.shown = self.shown_with(&transaction.chunks)?;
        self.store().commit(transaction)?;
        self.chunks_changed();
        for doc in &docs {
            documents.pop(doc);
        }
        drop(documents);
        self.announce(ReplicaEvent::Documents(docs.into_iter().collect()));
        self.observers.tell(News::OutboxGrew);
        Ok(TakeReport { parcels: 1, changes, ..TakeReport::default() })
    }

    /// An author that stays away makes a larger batch each time: the smaller ones within it have no further use.
    fn drop_older_copies(
        &self,
        index: &mut Index,
        parcel: &Parcel,
        refs: &Refs,
        transaction: &mut Transaction,
    ) -> Result<(), StoreError> {
        let refs: HashSet<_> = refs.iter().collect();
        let author = parcel.card.device().author();
        let of_author = index.0.iter().filter(|of| of.author == author && of.scope == parcel.scope && !of.delivered);
        let ids: Vec<ParcelId> = of_author.map(|of| of.id).collect();
        for id in ids {
            let within =
                Entry::load(self.store(), id)?.is_none_or(|entry| entry.refs.iter().all(|of| refs.contains(of)));
            if within {
                index.remove(id, transaction);
            }
        }
        Ok(())
    }

    /// Changes of others that are here and that no server has acknowledged to this device.
    pub(super) fn undelivered(&self) -> Result<HashSet<(DocId, ChangeHash)>, StoreError> {
        let mut undelivered = HashSet::new();
        for of in Index::load(self.store())?.0 {
            if let Some(entry) = Entry::load(self.store(), of.id)?.filter(|entry| entry.delivered.is_none()) {
                undelivered.extend(entry.refs);
            }
        }
        Ok(undelivered)
    }

    fn take_receipts(&self, receipts: &[CarriedReceipt]) -> Result<usize, StoreError> {
        let epoch = SessionMemory::load(self.store())?.epoch;
        let mut transaction = Transaction::default();
        // Sequences count within one epoch only; a device that never met the server has none yet.
        for receipt in receipts.iter().filter(|receipt| epoch.is_none_or(|epoch| epoch == receipt.epoch)) {
            for (doc, hash) in &receipt.changes {
                let unknown = self.store().contains(*doc, hash)?
                    && !self.store().receipts(*doc)?.iter().any(|(known, _)| known == hash);
                if unknown {
                    transaction.receipts.push((*doc, *hash, receipt.through));
                }
            }
        }
        let received = transaction.receipts.len();
        if received > 0 {
            transaction.settings.push((SETTING_HEARD.to_owned(), Some(vec![1])));
            self.store().commit(transaction)?;
            self.announce(ReplicaEvent::Receipts);
        }
        Ok(received)
    }

    fn take_totals(&self, credential: &Credential, totals: &CarriedTotals) -> Result<(), StoreError> {
        let epoch = SessionMemory::load(self.store())?.epoch;
        let known: Option<CentreTotals> = read_setting(self.store(), SETTING_TOTALS)?;
        let newer = known.is_none_or(|known| known.as_of < totals.as_of);
        if totals.unit != credential.unit || epoch.is_some_and(|epoch| epoch != totals.epoch) || !newer {
            return Ok(());
        }
        let CarriedTotals { teams, members, as_of, at, .. } = *totals;
        let settings = vec![setting(SETTING_TOTALS, &CentreTotals { teams, members, as_of, at })];
        self.store().commit(Transaction { settings, ..Transaction::default() })?;
        self.announce(ReplicaEvent::Receipts);
        Ok(())
    }

    /// A new session may push every carried parcel again.
    pub(crate) fn begin_carrying(&self) {
        self.carry.lock().offered.clear();
    }

    /// The next carried parcel for this session, as one PUSH.
    pub(crate) fn next_carried(&self) -> Result<Option<(OutboxBatch, Carried)>, StoreError> {
        let mut state = self.carry.lock();
        let index = Index::load(self.store())?;
        for of in index.0.iter().filter(|of| !of.delivered) {
            if !state.offered.insert(of.id) {
                continue;
            }
            let Some(entry) = Entry::load(self.store(), of.id)? else { continue };
            let Some(changes) = entry.changes(self.store())? else { continue };
            let items = changes.into_iter().map(|change| OutboxItem { number: 0, change });
            let batch = OutboxBatch { scope: of.scope, items: items.collect() };
            return Ok(Some((batch, Carried { author: of.author, signature: entry.signature.to_vec() })));
        }
        Ok(None)
    }

    /// Marks parcels as delivered, once every change of them has a receipt.
    pub(crate) fn delivered(&self, items: &[OutboxItem], through: Sequence) -> Result<(), StoreError> {
        let Some(epoch) = SessionMemory::load(self.store())?.epoch else { return Ok(()) };
        self.update_entries(items, |entry, accepted| {
            if !entry.refs.iter().all(|of| accepted.contains(of)) {
                return Keep::AsItIs;
            }
            entry.delivered = Some((epoch, through));
            Keep::Changed
        })
    }

    /// Drops parcels of which the server refused something for good: it would refuse it again.
    pub(crate) fn not_deliverable(&self, items: &[OutboxItem]) -> Result<(), StoreError> {
        self.update_entries(items, |_, _| Keep::No)
    }

    /// Goes through the undelivered entries that hold one of these changes of others.
    fn update_entries(
        &self,
        items: &[OutboxItem],
        decide: impl Fn(&mut Entry, &HashSet<(DocId, toso_core::chunk::ChangeHash)>) -> Keep,
    ) -> Result<(), StoreError> {
        let carried: HashSet<_> =
            items.iter().filter(|item| item.number == 0).map(|item| (item.change.doc, item.change.hash())).collect();
        if carried.is_empty() {
            return Ok(());
        }
        let _index = self.carry.lock();
        let mut index = Index::load(self.store())?;
        let mut transaction = Transaction::default();
        let waiting: Vec<ParcelId> = index.0.iter().filter(|of| !of.delivered).map(|of| of.id).collect();
        for id in waiting {
            let Some(mut entry) = Entry::load(self.store(), id)? else { continue };
            if !entry.refs.iter().any(|of| carried.contains(of)) {
                continue;
            }
            match decide(&mut entry, &carried) {
                Keep::AsItIs => {}
                Keep::No => index.remove(id, &mut transaction),
                Keep::Changed => {
                    entry.put(id, &mut transaction);
                    for of in index.0.iter_mut().filter(|of| of.id == id) {
                        of.delivered = true;
                    }
                }
            }
        }
        index.put(&mut transaction);
        self.store().commit(transaction)
    }

    /// How many batches wait here for others.
    pub fn carried_len(&self) -> Result<usize, StoreError> {
        Ok(Index::load(self.store())?.0.iter().filter(|of| !of.delivered).count())
    }
}

/// What becomes of an entry.
enum Keep {
    AsItIs,
    Changed,
    No,
}
