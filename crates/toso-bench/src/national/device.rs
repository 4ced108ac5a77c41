//! One simulated field device: a replica on a store in memory, with its own key.
//!
//! The replica is opened for each thing it does and closed after it, as an app on a phone is; only the store lasts. So
//! ten thousand devices take the memory of their records and not of their caches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use toso_catalog::Catalog;
use toso_client::rest::{Caller, Rest, RestError};
use toso_client::{EnrolError, Invite, enrol, make_invite};
use toso_core::chunk::ChangeHash;
use toso_core::edit::DocEdit;
use toso_core::id::{DocId, Sequence};
use toso_replica::{Between, ConflictView, Replica, ReplicaError, ReplicaOptions, SyncOptions};
use toso_store::memory::MemoryChunkStore;
use toso_store::{ChunkStore, StoreError};

use super::script;
use crate::error::BenchError;
use crate::online::{Exchange, come_online};
use crate::patience::Patience;
use crate::plan::CommunePlan;

/// Merged documents that a simulated device keeps in memory: the team at hand and the member.
const DOCUMENT_CACHE: usize = 2;
/// How long an invite is good: the devices use it at once.
const INVITE_LIFE: Duration = Duration::from_secs(60 * 60);

/// One device.
pub(crate) struct FieldDevice {
    /// Its commune's place in the plan.
    pub(crate) commune: usize,
    /// Its number within the commune.
    pub(crate) number: u16,
    store: Arc<MemoryChunkStore>,
}

/// What a device holds: the changes of every document.
pub(crate) type Holdings = BTreeMap<DocId, BTreeSet<ChangeHash>>;

impl FieldDevice {
    /// A device that knows nothing yet.
    pub(crate) fn new(commune: usize, number: u16) -> Self {
        Self { commune, number, store: Arc::new(MemoryChunkStore::new()) }
    }

    /// Has an invite made for the commune and joins with it. Blocks.
    pub(crate) fn enrol(
        &self,
        rest: &Rest,
        server: &str,
        admin: &Caller,
        commune: &CommunePlan,
    ) -> Result<(), BenchError> {
        let mut patience = self.patience();
        let ask = || make_invite(rest, server, admin, commune.scope, "recorder", INVITE_LIFE);
        let invite = Invite::parse(&persist(&mut patience, ask, worth_a_retry)?.text)?;
        let enrol = || enrol(self.store.as_ref(), rest, &invite, None);
        persist(&mut patience, enrol, |error| matches!(error, EnrolError::Rest(error) if worth_a_retry(error)))?;
        Ok(())
    }

    /// Records the device's share of its commune, offline. Returns the number of saves.
    pub(crate) fn record(&self, commune: &CommunePlan) -> Result<u64, BenchError> {
        let replica = self.open()?;
        let mut saves = 0;
        for team in script::of_device(Catalog::shared(), commune, self.number)? {
            let id = replica.add_team(team.draft)?;
            saves += 1 + team.members.len() as u64;
            for member in team.members {
                replica.add_member(id, member)?;
            }
            saves += u64::from(correct(&replica, id, &team.correction)?);
        }
        Ok(saves)
    }

    /// Comes online until everything is exchanged.
    pub(crate) async fn come_online(&self, options: SyncOptions) -> Result<Exchange, BenchError> {
        come_online(&Arc::new(self.open()?), options, self.patience()).await
    }

    /// The server sequence up to which everything recorded here is in its log.
    pub(crate) fn through(&self) -> Result<Sequence, StoreError> {
        let mut through = Sequence::default();
        for (_, doc) in self.store.documents()? {
            let receipts = self.store.receipts(doc)?;
            through = receipts.into_iter().map(|(_, sequence)| sequence).fold(through, Sequence::max);
        }
        Ok(through)
    }

    /// All changes here, by document.
    pub(crate) fn holdings(&self) -> Result<Holdings, StoreError> {
        let mut holdings = Holdings::new();
        for (_, doc) in self.store.documents()? {
            holdings.insert(doc, self.store.chunks(doc)?.into_iter().map(|chunk| chunk.hash()).collect());
        }
        Ok(holdings)
    }

    /// Fields with several values, as this device shows them.
    pub(crate) fn conflicts(&self) -> Result<Vec<ConflictView>, ReplicaError> {
        let mut conflicts = self.open()?.conflicts()?;
        conflicts.sort_by(|a, b| (a.id, &a.field).cmp(&(b.id, &b.field)));
        Ok(conflicts)
    }

    fn open(&self) -> Result<Replica, ReplicaError> {
        let options = ReplicaOptions { document_cache: DOCUMENT_CACHE, ..toso_client::system::options() };
        Replica::open(Arc::clone(&self.store) as Arc<dyn ChunkStore>, &options)
    }

    fn patience(&self) -> Patience {
        Patience::new((self.commune as u64) << 16 | u64::from(self.number))
    }
}

fn correct(replica: &Replica, id: DocId, correction: &[DocEdit]) -> Result<bool, ReplicaError> {
    if correction.is_empty() { Ok(false) } else { replica.edit(id, correction) }
}

/// A server that is away, busy or broken for a moment is asked again; one that says no is believed.
fn worth_a_retry(error: &RestError) -> bool {
    match error {
        RestError::Unreachable { .. } | RestError::Between { what: Between::Gateway, .. } => true,
        RestError::Refused { status, .. } => *status == 429 || *status >= 500,
        RestError::Between { what: Between::SignIn | Between::Stranger, .. }
        | RestError::Interrupted { .. }
        | RestError::Reach(_)
        | RestError::Unreadable { .. } => false,
    }
}

fn persist<T, E: Into<BenchError>>(
    patience: &mut Patience,
    mut ask: impl FnMut() -> Result<T, E>,
    again: impl Fn(&E) -> bool,
) -> Result<T, BenchError> {
    loop {
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(error) if !again(&error) => return Err(error.into()),
            Err(error) => match patience.next_wait(Duration::ZERO, Instant::now()) {
                Some(wait) => std::thread::sleep(wait),
                None => return Err(error.into()),
            },
        }
    }
}
