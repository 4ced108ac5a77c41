//! Reads: from this phone's own data, at once.

use std::sync::Arc;

use toso_catalog::Catalog;
use toso_core::id::AuthorId;

use super::TosoClient;
use crate::error::TosoError;
use crate::events::{ObserverHandle, TosoObserver, observe};
use crate::ids::{doc_id, unit};
use crate::kinds::{Commune, Member, Team};
use crate::records::{
    AdminUnit, Conflict, DeviceName, Finding, Found, Held, HistoryEntry, Receipts, Status, Totals, count,
};
use crate::words::UnitList;

#[uniffi::export]
impl TosoClient {
    /// The teams here, by hamlet in Vietnamese order.
    pub fn teams(&self) -> Result<Vec<Team>, TosoError> {
        self.read(|replica| replica.teams()).map(all)
    }

    /// One team.
    pub fn team(&self, id: &str) -> Result<Team, TosoError> {
        let id = doc_id(id)?;
        self.read(|replica| replica.team(id)).map(Into::into)
    }

    /// The members here, of one team or of all, by given name in Vietnamese order.
    #[uniffi::method(default(team = None))]
    pub fn members(&self, team: Option<String>) -> Result<Vec<Member>, TosoError> {
        let team = team.as_deref().map(doc_id).transpose()?;
        self.read(|replica| replica.members(team)).map(all)
    }

    /// One member.
    pub fn member(&self, id: &str) -> Result<Member, TosoError> {
        let id = doc_id(id)?;
        self.read(|replica| replica.member(id)).map(Into::into)
    }

    /// The communes here of which something is recorded: their hamlets and sign-offs.
    pub fn communes(&self) -> Result<Vec<Commune>, TosoError> {
        self.read(|replica| replica.communes()).map(all)
    }

    /// Every field with several values.
    pub fn conflicts(&self) -> Result<Vec<Conflict>, TosoError> {
        self.read(|replica| replica.conflicts()).map(all)
    }

    /// The fields of one document with several values.
    pub fn conflicts_of(&self, id: &str) -> Result<Vec<Conflict>, TosoError> {
        let id = doc_id(id)?;
        let conflicts = self.read(|replica| replica.conflicts_of(id))?;
        self.look_for_names(id)?;
        Ok(all(conflicts))
    }

    /// What people should look at.
    pub fn findings(&self) -> Result<Vec<Finding>, TosoError> {
        self.read(|replica| replica.findings()).map(all)
    }

    /// Records that may be one; `merge` settles them.
    pub fn duplicates(&self) -> Result<Vec<Finding>, TosoError> {
        self.read(|replica| replica.duplicates()).map(all)
    }

    /// The teams and members whose name fits a text, best first: with all marks, some or none, any case. Three digits or
    /// more also find phones.
    #[uniffi::method(default(limit = 50))]
    pub fn search(&self, text: &str, limit: u32) -> Result<Vec<Found>, TosoError> {
        self.read(|replica| replica.search(text, limit as usize)).map(all)
    }

    /// Every save of a document, oldest first.
    pub fn history(&self, id: &str) -> Result<Vec<HistoryEntry>, TosoError> {
        let id = doc_id(id)?;
        let saves = self.read(|replica| replica.history(id))?;
        self.look_for_names(id)?;
        Ok(all(saves))
    }

    /// What a device is called that wrote a value or a save. Names that are not known here come by themselves where the device
    /// is in touch with the server ([`TosoEvent::Names`](crate::TosoEvent::Names)); `fetch_device_names` asks at once.
    pub fn who_is(&self, device: &str) -> Result<DeviceName, TosoError> {
        let detail = "this is not a device; pass one as conflicts and histories give it";
        let device: AuthorId = device.parse().map_err(|_| TosoError::invalid("device", "edit.id", &detail))?;
        let names = self.read(|replica| replica.device_names())?;
        Ok(DeviceName { name: names.name(device).map(str::to_owned), this_device: names.is_own(device) })
    }

    /// How many records have come how far, and the centre's figures.
    pub fn receipts(&self) -> Result<Receipts, TosoError> {
        let counts = self.read(|replica| replica.receipt_counts())?;
        Ok(Receipts {
            saved: count(counts.saved),
            held: count(counts.held),
            received: count(counts.received),
            counted: count(counts.counted),
            totals: self.totals()?,
        })
    }

    /// The centre's figures for this device's unit, once heard.
    pub fn totals(&self) -> Result<Option<Totals>, TosoError> {
        Ok(self.read(|replica| replica.totals())?.map(Into::into))
    }

    /// This device at a glance.
    pub fn status(&self) -> Result<Status, TosoError> {
        self.read(|replica| replica.status()).map(Into::into)
    }

    /// What the server did not take into the register at once, and what officers decided about it.
    pub fn held(&self) -> Result<Vec<Held>, TosoError> {
        self.read(|replica| replica.held()).map(all)
    }

    /// The units of a list (the newest when not said) whose names fit a text, best first: with all marks, some or none,
    /// `p. 1`, `tan an, long an`. The first search takes a tenth of a second, later ones milliseconds.
    #[uniffi::method(default(list = None, limit = 20))]
    pub fn units(&self, text: &str, list: Option<UnitList>, limit: u32) -> Result<Vec<AdminUnit>, TosoError> {
        self.with(|_| {
            let list = list.unwrap_or(UnitList::L2025);
            let hits = Catalog::shared().search(list, text, limit as usize);
            Ok::<_, TosoError>(hits.into_iter().map(|hit| AdminUnit::of(hit.unit)).collect())
        })
    }

    /// The units right below one, in Vietnamese order, for a list to choose from; the provinces when none is said.
    #[uniffi::method(default(above = None))]
    pub fn units_below(&self, above: Option<String>) -> Result<Vec<AdminUnit>, TosoError> {
        self.with(|_| {
            let country = toso_core::unit::UnitRef::country(UnitList::L2025);
            let above = above.as_deref().map_or(Ok(country), unit)?;
            Ok::<_, TosoError>(Catalog::shared().children(above).map(|below| AdminUnit::of(below.unit)).collect())
        })
    }

    /// Tells an observer of everything from now on, until the subscription is dropped or cancelled.
    pub fn observe(&self, observer: Arc<dyn TosoObserver>) -> Result<Arc<ObserverHandle>, TosoError> {
        self.with(|core| {
            let (replica, callbacks) = (Arc::clone(&core.replica), core.callbacks.clone());
            Ok::<_, TosoError>(observe(observer, replica, core.sync.state(), callbacks))
        })
    }
}

fn all<T, U: From<T>>(list: Vec<T>) -> Vec<U> {
    list.into_iter().map(U::from).collect()
}
