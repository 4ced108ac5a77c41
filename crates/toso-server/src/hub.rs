//! Tells sessions that a unit they follow has grown.
//!
//! A notification is (unit, through) in a slot of the session that only keeps the greatest sequence per unit: a session
//! that is slow to look costs nothing and misses nothing, since it reads the log from its own cursor. Work per append
//! follows how many sessions follow that commune, never how many are connected.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use toso_catalog::Catalog;
use toso_core::id::{AuthorId, Sequence};
use toso_core::unit::{Scope, UnitRef};

use crate::config::SESSIONS_PER_DEVICE_MAX;

/// All subscriptions.
#[derive(Debug)]
pub struct Hub {
    catalog: &'static Catalog,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    /// Who follows a unit.
    followers: HashMap<UnitRef, HashMap<u64, Arc<Slot>>>,
    /// The followed units that cover a scope. A unit enters with its first follower and leaves with its last, so a
    /// province's 500 scopes are written once, however many officers follow it.
    covering: HashMap<Scope, Vec<UnitRef>>,
    devices: HashMap<AuthorId, HashMap<u64, Arc<Slot>>>,
}

#[derive(Debug, Default)]
struct Slot {
    news: Mutex<News>,
    wake: Notify,
}

#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says that one thing has happened; they do not exclude each other"
)]
struct News {
    grown: Vec<(UnitRef, Sequence)>,
    revoked: bool,
    replaced: bool,
    moved: bool,
    decided: bool,
}

/// What a subscription brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubNews {
    /// Units that grew, each with its greatest new sequence.
    Grew(Vec<(UnitRef, Sequence)>),
    /// The device was revoked.
    Revoked,
    /// The device has opened more sessions than it may, and this is its oldest.
    Replaced,
    /// The device was moved to another unit.
    Moved,
    /// An officer has decided something of the device's.
    Decided,
}

impl Hub {
    /// A hub without subscriptions.
    pub fn new(catalog: &'static Catalog) -> Self {
        Self { catalog, state: Mutex::default() }
    }

    /// Follows units for a device, until the subscription is dropped. A device that has [`SESSIONS_PER_DEVICE_MAX`]
    /// already loses its oldest: a phone that has lost its network comes back at once, however many dead sessions it
    /// has left behind.
    pub fn subscribe(self: &Arc<Self>, device: AuthorId, units: &[UnitRef]) -> Subscription {
        let units: HashSet<UnitRef> = units.iter().copied().collect();
        let slot = Arc::new(Slot::default());
        let mut state = self.state.lock();
        let id = state.next_id;
        state.next_id += 1;
        for unit in &units {
            let followers = state.followers.entry(*unit).or_default();
            let first = followers.is_empty();
            followers.insert(id, Arc::clone(&slot));
            if first {
                for scope in self.catalog.scopes_under_all_lists(*unit) {
                    state.covering.entry(scope).or_default().push(*unit);
                }
            }
        }
        let sessions = state.devices.entry(device).or_default();
        sessions.insert(id, Arc::clone(&slot));
        if sessions.len() > SESSIONS_PER_DEVICE_MAX
            && let Some(oldest) = sessions.keys().min().copied()
            && let Some(slot) = sessions.remove(&oldest)
        {
            slot.news.lock().replaced = true;
            slot.wake.notify_one();
        }
        drop(state);
        Subscription { hub: Arc::clone(self), id, device, units: units.into_iter().collect(), slot }
    }

    /// A scope has durable chunks up to `through`.
    pub fn grew(&self, scope: Scope, through: Sequence) {
        let state = self.state.lock();
        for unit in state.covering.get(&scope).into_iter().flatten() {
            for slot in state.followers.get(unit).into_iter().flat_map(HashMap::values) {
                slot.grew(*unit, through);
            }
        }
    }

    /// Ends the sessions of a device that was revoked.
    pub fn revoke(&self, device: AuthorId) {
        self.tell(device, |news| news.revoked = true);
    }

    /// Ends the sessions of a device that was moved or has enrolled anew, so that it comes back as what it is now.
    pub fn moved(&self, device: AuthorId) {
        self.tell(device, |news| news.moved = true);
    }

    /// Tells a device's sessions that an officer has decided something.
    pub fn decided(&self, device: AuthorId) {
        self.tell(device, |news| news.decided = true);
    }

    fn tell(&self, device: AuthorId, change: impl Fn(&mut News)) {
        for slot in self.state.lock().devices.get(&device).into_iter().flat_map(HashMap::values) {
            change(&mut slot.news.lock());
            slot.wake.notify_one();
        }
    }

    fn unsubscribe(&self, id: u64, device: AuthorId, units: &[UnitRef]) {
        let mut state = self.state.lock();
        for unit in units {
            let Some(followers) = state.followers.get_mut(unit) else { continue };
            followers.remove(&id);
            if !followers.is_empty() {
                continue;
            }
            state.followers.remove(unit);
            for scope in self.catalog.scopes_under_all_lists(*unit) {
                let Some(covering) = state.covering.get_mut(&scope) else { continue };
                covering.retain(|other| other != unit);
                if covering.is_empty() {
                    state.covering.remove(&scope);
                }
            }
        }
        if let Some(slots) = state.devices.get_mut(&device) {
            slots.remove(&id);
            if slots.is_empty() {
                state.devices.remove(&device);
            }
        }
    }
}

impl Slot {
    fn grew(&self, unit: UnitRef, through: Sequence) {
        let mut news = self.news.lock();
        match news.grown.iter_mut().find(|(other, _)| *other == unit) {
            Some((_, greatest)) => *greatest = through.max(*greatest),
            None => news.grown.push((unit, through)),
        }
        drop(news);
        self.wake.notify_one();
    }
}

/// A session's subscription; dropping it ends it.
#[derive(Debug)]
pub struct Subscription {
    hub: Arc<Hub>,
    id: u64,
    device: AuthorId,
    units: Vec<UnitRef>,
    slot: Arc<Slot>,
}

impl Subscription {
    /// Waits for news. Cancelling the future loses none.
    pub async fn news(&self) -> HubNews {
        loop {
            {
                let mut news = self.slot.news.lock();
                if news.revoked {
                    return HubNews::Revoked;
                }
                if news.replaced {
                    return HubNews::Replaced;
                }
                if news.moved {
                    return HubNews::Moved;
                }
                if std::mem::take(&mut news.decided) {
                    return HubNews::Decided;
                }
                if !news.grown.is_empty() {
                    return HubNews::Grew(std::mem::take(&mut news.grown));
                }
            }
            // A permit left by a notification in between returns at once.
            self.slot.wake.notified().await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hub.unsubscribe(self.id, self.device, &self.units);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use toso_core::unit::UnitList;

    use super::*;

    fn unit(code: &str) -> UnitRef {
        UnitRef::new(UnitList::L2022, code).unwrap()
    }

    #[tokio::test]
    async fn growth_reaches_the_commune_and_everything_above_it_and_nobody_else() {
        let hub = Arc::new(Hub::new(Catalog::shared()));
        let device = AuthorId([1; 8]);
        let (commune, other) = (unit("00001"), unit("00004"));
        let near = hub.subscribe(device, &[commune]);
        let wide = hub.subscribe(device, &[unit("01"), UnitRef::country(UnitList::L2025)]);
        let elsewhere = hub.subscribe(device, &[other]);
        hub.grew(commune, Sequence(3));
        hub.grew(commune, Sequence(9));
        assert_eq!(near.news().await, HubNews::Grew(vec![(commune, Sequence(9))]), "news are coalesced");
        let HubNews::Grew(mut grown) = wide.news().await else { panic!("growth expected") };
        grown.sort();
        assert_eq!(grown, [(unit("01"), Sequence(9)), (UnitRef::country(UnitList::L2025), Sequence(9))]);
        let silent = tokio::time::timeout(Duration::from_millis(20), elsewhere.news()).await;
        assert!(silent.is_err(), "another commune's session hears nothing");
    }

    #[tokio::test]
    async fn a_device_keeps_its_newest_sessions_and_no_more_than_it_may() {
        let hub = Arc::new(Hub::new(Catalog::shared()));
        let (device, bystander) = (AuthorId([1; 8]), hub.subscribe(AuthorId([2; 8]), &[unit("00001")]));
        let mut sessions: Vec<_> =
            (0..SESSIONS_PER_DEVICE_MAX).map(|_| hub.subscribe(device, &[unit("00001")])).collect();
        hub.grew(unit("00001"), Sequence(1));
        for session in sessions.iter().chain([&bystander]) {
            assert_eq!(session.news().await, HubNews::Grew(vec![(unit("00001"), Sequence(1))]), "all at the limit");
        }
        sessions.push(hub.subscribe(device, &[unit("00001")]));
        assert_eq!(sessions[0].news().await, HubNews::Replaced, "one past it, the oldest goes");
        sessions.push(hub.subscribe(device, &[unit("00001")]));
        assert_eq!(sessions[1].news().await, HubNews::Replaced, "also while the one before has not yet gone");
        hub.grew(unit("00001"), Sequence(2));
        for session in sessions[2..].iter().chain([&bystander]) {
            assert_eq!(session.news().await, HubNews::Grew(vec![(unit("00001"), Sequence(2))]));
        }
        drop((sessions, bystander));
        let state = hub.state.lock();
        assert!(state.followers.is_empty() && state.covering.is_empty() && state.devices.is_empty());
    }

    #[tokio::test]
    async fn dropped_subscriptions_leave_nothing_behind_and_revocation_ends_sessions() {
        let hub = Arc::new(Hub::new(Catalog::shared()));
        let (a, b) = (hub.subscribe(AuthorId([1; 8]), &[unit("01")]), hub.subscribe(AuthorId([2; 8]), &[unit("01")]));
        drop(a);
        hub.grew(unit("00001"), Sequence(1));
        assert_eq!(b.news().await, HubNews::Grew(vec![(unit("01"), Sequence(1))]));
        hub.revoke(AuthorId([2; 8]));
        assert_eq!(b.news().await, HubNews::Revoked);
        drop(b);
        let state = hub.state.lock();
        assert!(state.followers.is_empty() && state.covering.is_empty() && state.devices.is_empty());
    }
}
