//! Moving to another unit, and forgetting what lies outside it: hand over first, forget then.
//!
//! A document with an edit that is in no other place than this device stays until that edit is acknowledged or held,
//! however often the connection breaks in between. So what is to be forgotten is a rule that is kept ([`Leaving`]), and it is
//! looked at again after each commit that can set a document free.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use toso_core::id::{DocId, Sequence};
use toso_core::unit::{Scope, UnitRef};
use toso_store::{StoreError, Transaction};
use toso_wire::Moved;

use super::Replica;
use super::names::SETTING_NAMES;
use super::receipts::{SETTING_TOTALS, read_setting, setting};
use super::returned::without_returned;
use super::view::HeldState;
use crate::carry::pass::{self, SETTING_PASS};
use crate::credential::{Credential, SETTING_OFFERED_AGAIN, SessionMemory};
use crate::observer::ReplicaEvent;

const SETTING_LEAVING: &str = "leaving";
/// Outbox entries read at a time.
const OUTBOX_PAGE: usize = 1_000;
/// Units that are being left at the same time: one for each move since the device last had a network.
const LEFT_UNITS_MAX: usize = 16;
/// Scopes named by the server that still have unsent edits, at about 20 B each: 20 KiB of the 32 that a setting keeps.
const LEFT_SCOPES_MAX: usize = 1_024;

/// What the device has to forget as soon as nothing of it is unsent.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Leaving {
    /// Everything of these units that its present unit does not cover.
    units: Vec<UnitRef>,
    /// These scopes.
    scopes: Vec<Scope>,
}

impl Replica {
    /// Takes a new unit, role and token; from here on new records belong to the new unit.
    pub(super) fn move_to(&self, moved: &Moved) -> Result<(), StoreError> {
        let Ok(credential) = self.credential() else { return Ok(()) };
        let left = credential.unit;
        let credential =
            Credential { unit: moved.unit, role: moved.role.clone(), token: moved.token.clone(), ..credential };
        let mut leaving: Leaving = read_setting(self.store.as_ref(), SETTING_LEAVING)?.unwrap_or_default();
        leaving.units.retain(|unit| *unit != moved.unit && *unit != left);
        // Moved back while something of it was still unsent: it is the device's own again, and must not go after all.
        leaving.scopes.retain(|scope| *scope != moved.unit && !self.catalog.covers(moved.unit, *scope));
        let mut transaction = Transaction::default();
        if left != moved.unit {
            leaving.units.insert(0, left);
            leaving.units.truncate(LEFT_UNITS_MAX);
            transaction.cursors = vec![(moved.unit, Sequence::ZERO), (left, Sequence::ZERO)];
            // Figures of the unit that was left would be shown as the new one's.
            transaction.settings.push((SETTING_TOTALS.to_owned(), None));
            // Names of colleagues are the left unit's.
            transaction.settings.push((SETTING_NAMES.to_owned(), None));
            // What it may carry for others was said for the unit that was left; it asks anew.
            transaction.settings.push((SETTING_PASS.to_owned(), None));
            transaction.settings.push(pass::due());
        }
        transaction.settings.push((SETTING_OFFERED_AGAIN.to_owned(), None));
        transaction.settings.push(credential.setting());
        transaction.settings.push(setting(SETTING_LEAVING, &leaving));
        self.store.commit(transaction)?;
        self.announce(ReplicaEvent::Receipts);
        Ok(())
    }

    /// Forgets scopes, each document as soon as nothing of it is unsent.
    pub(super) fn leave_scopes(&self, scopes: &[Scope]) -> Result<(), StoreError> {
        let mut leaving: Leaving = read_setting(self.store.as_ref(), SETTING_LEAVING)?.unwrap_or_default();
        let here = self.store.documents()?.into_iter().chain(self.store.erased_documents()?);
        let here: HashSet<Scope> = here.map(|(scope, _)| scope).collect();
        leaving.scopes.extend(scopes.iter().filter(|scope| here.contains(scope)));
        leaving.scopes.sort_unstable();
        leaving.scopes.dedup();
        self.forget_as(leaving)
    }

    /// Adds the rule by which chunks of a transaction that lie outside the device's unit are forgotten again.
    pub(super) fn leave_again(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        let Ok(own) = self.credential().map(|credential| credential.unit) else { return Ok(()) };
        let scopes = transaction.chunks.iter().map(|(scope, _)| *scope);
        let outside = scopes.filter(|scope| own != *scope && !self.catalog.covers(own, *scope));
        let mut leaving: Leaving = read_setting(self.store.as_ref(), SETTING_LEAVING)?.unwrap_or_default();
        leaving.scopes.extend(outside);
        leaving.scopes.sort_unstable();
        leaving.scopes.dedup();
        leaving.scopes.truncate(LEFT_SCOPES_MAX);
        if !leaving.scopes.is_empty() {
            transaction.settings.push(setting(SETTING_LEAVING, &leaving));
        }
        Ok(())
    }

    /// Looks again at what is to be forgotten. Not while the server may have lost what is here.
    pub(super) fn forget_what_was_left(&self) -> Result<(), StoreError> {
        if SessionMemory::load(self.store.as_ref())?.foreign {
            return Ok(());
        }
        match read_setting(self.store.as_ref(), SETTING_LEAVING)? {
            Some(leaving) => self.forget_as(leaving),
            None => Ok(()),
        }
    }

    /// True while something waits to be forgotten: then more is here than the server has for the unit.
    pub(super) fn is_leaving(&self) -> Result<bool, StoreError> {
        Ok(self.store.setting(SETTING_LEAVING)?.is_some())
    }

    fn forget_as(&self, mut leaving: Leaving) -> Result<(), StoreError> {
        let own = self.credential().ok().map(|credential| credential.unit);
        let covers = |wide: UnitRef, scope: Scope| wide == scope || self.catalog.covers(wide, scope);
        let is_left = |scope: &Scope| {
            let outside = own.is_none_or(|own| !covers(own, *scope));
            leaving.scopes.contains(scope) || outside && leaving.units.iter().any(|unit| covers(*unit, *scope))
        };
        // Locked over the commit, so that no edit is made between the look at the outbox and the removal.
        let mut documents = self.documents.lock();
        let unsent = self.with_unsent()?;
        let here = self.store.documents()?.into_iter().chain(self.store.erased_documents()?);
        let left = here.filter(|(scope, _)| is_left(scope));
        let (stay, go): (Vec<_>, Vec<_>) = left.partition(|(_, doc)| unsent.contains(doc));
        let still: HashSet<Scope> = stay.iter().map(|(scope, _)| *scope).collect();
        leaving.scopes.retain(|scope| still.contains(scope));
        leaving.scopes.truncate(LEFT_SCOPES_MAX);
        let remove: Vec<DocId> = go.into_iter().map(|(_, doc)| doc).collect();
        let done = stay.is_empty();
        let kept = if done { (SETTING_LEAVING.to_owned(), None) } else { setting(SETTING_LEAVING, &leaving) };
        self.store.commit(Transaction {
            remove_documents: remove.clone(),
            settings: without_returned(&remove).into_iter().chain([kept]).collect(),
            ..Transaction::default()
        })?;
        for doc in &remove {
            documents.pop(doc);
        }
        if !remove.is_empty() {
            self.renew_actor();
        }
        drop(documents);
        self.chunks_changed();
        if !remove.is_empty() {
            self.announce(ReplicaEvent::Removed(remove));
        }
        Ok(())
    }

    /// Documents with an edit that is here only: in the outbox, or refused for good.
    fn with_unsent(&self) -> Result<HashSet<DocId>, StoreError> {
        let refused = self.held()?.into_iter().filter(|held| held.state == HeldState::Refused);
        let mut unsent: HashSet<DocId> = refused.map(|held| held.doc).collect();
        let mut after = 0;
        loop {
            let page = self.store.outbox(after, OUTBOX_PAGE)?;
            let Some(last) = page.last() else { return Ok(unsent) };
            after = last.number;
            unsent.extend(page.iter().map(|entry| entry.doc));
        }
    }
}
