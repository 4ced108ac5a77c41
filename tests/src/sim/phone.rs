//! A simulated phone: the real replica on a simulated disk, the real machines of sync, and what surrounds them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use toso_core::chunk::ChangeHash;
use toso_core::id::{DeviceId, DocId, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_replica::{Credential, Replica, ReplicaError, ReplicaOptions};
use toso_store::ChunkStore;
use toso_store::faulty::{ChunkDefect, FaultyChunkStore};
use toso_sync::AccessRole;

use super::in_touch::InTouch;
use super::model::Saved;
use super::plan::Planted;
use super::rng::Rng;

/// A phone drops every so many pulled pages' last chunk, when that bug is planted.
const DROPS_EVERY: u32 = 3;

/// A phone.
pub(super) struct Phone {
    /// Where the server says that it may work.
    pub(super) unit: UnitRef,
    /// All units that it was ever put into, the present one last.
    pub(super) units: Vec<UnitRef>,
    /// Its device, once enrolled.
    pub(super) device: Option<DeviceId>,
    /// Its app was tampered with: it asks for another unit than its own, and its owner saves nothing.
    pub(super) tampered: bool,
    /// Its role.
    pub(super) role: AccessRole,
    /// Its disk.
    pub(super) disk: Arc<FaultyChunkStore>,
    /// The app; `None` while it is not running.
    pub(super) replica: Option<Arc<Replica>>,
    /// What enrolment gave.
    pub(super) credential: Option<Credential>,
    /// Grows with every start; what belongs to an earlier life is void.
    pub(super) life: u32,
    /// The phone's clock.
    pub(super) clock: Arc<AtomicU64>,
    /// How far the clock is off.
    pub(super) skew_ms: i64,
    /// Where the replica's random bytes come from.
    pub(super) random: Arc<Mutex<Rng>>,
    /// What keeps it in touch.
    pub(super) sync: InTouch,
    /// The disk is busy until then.
    pub(super) busy_until: u64,
    /// No network until then.
    pub(super) no_network_until: u64,
    /// The exchange said that everything is exchanged and counted.
    pub(super) counted: bool,
    /// The outbox number up to which saves are known.
    pub(super) outbox_seen: u64,
    /// Saves whose call returned.
    pub(super) returned: BTreeSet<(DocId, ChangeHash)>,
    /// A save whose call failed; it may be on the disk all the same.
    pub(super) unanswered: Option<Saved>,
    /// Acknowledged saves.
    pub(super) acked: BTreeSet<(DocId, ChangeHash)>,
    /// The cursor up to which the phone's data were checked.
    pub(super) verified: Sequence,
    /// The commits at the last check.
    pub(super) checked_commits: u64,
    /// It has met the restored server.
    pub(super) met_restored: bool,
}

impl Phone {
    /// A phone that was never switched on.
    pub(super) fn new(unit: UnitRef, role: AccessRole, random: Rng, planted: Option<Planted>) -> Self {
        let disk = Arc::new(FaultyChunkStore::new());
        disk.set_defect(match planted {
            Some(Planted::CursorBeforeData) => Some(ChunkDefect::CursorsFirst),
            Some(Planted::PhoneDropsChunks) => Some(ChunkDefect::DropsChunks(DROPS_EVERY)),
            _ => None,
        });
        Self {
            unit,
            units: vec![unit],
            device: None,
            tampered: false,
            role,
            disk,
            replica: None,
            credential: None,
            life: 0,
            clock: Arc::default(),
            skew_ms: 0,
            random: Arc::new(Mutex::new(random)),
            sync: InTouch::default(),
            busy_until: 0,
            no_network_until: 0,
            counted: false,
            outbox_seen: 0,
            returned: BTreeSet::new(),
            unanswered: None,
            acked: BTreeSet::new(),
            verified: Sequence::ZERO,
            checked_commits: 0,
            met_restored: false,
        }
    }

    /// Starts the app on what is on the disk.
    pub(super) fn start(&mut self) -> Result<(), ReplicaError> {
        self.disk.reopen();
        self.life += 1;
        let (clock, random) = (Arc::clone(&self.clock), Arc::clone(&self.random));
        let options = ReplicaOptions {
            clock: Arc::new(move || TimestampMs(clock.load(Ordering::Relaxed))),
            document_cache: 4,
            random: Arc::new(move |bytes| random.lock().fill(bytes)),
        };
        let replica = Replica::open(Arc::clone(&self.disk) as Arc<dyn ChunkStore>, &options)?;
        self.sync = InTouch::of(&replica);
        self.replica = Some(Arc::new(replica));
        self.verified = Sequence::ZERO;
        Ok(())
    }

    /// The process is gone.
    pub(super) fn kill(&mut self) {
        self.replica = None;
        self.sync = InTouch::default();
        self.busy_until = 0;
        self.life += 1;
        self.counted = false;
    }

    /// The unit that it believes to be its own.
    pub(super) fn believed_unit(&self) -> UnitRef {
        self.credential.as_ref().map_or(self.unit, |credential| credential.unit)
    }

    /// What waits in its outbox.
    pub(super) fn disk_outbox_len(&self) -> u64 {
        self.disk.outbox_len().unwrap_or_default() as u64
    }

    /// True once it was ever moved.
    pub(super) fn was_moved(&self) -> bool {
        self.units.len() > 1
    }

    /// Every chunk that is here, in a document or as the copy of one that was held.
    pub(super) fn chunks_here(&self) -> BTreeSet<(DocId, ChangeHash)> {
        let keys = self.disk.keys().unwrap_or_default().into_iter().map(|(_, doc, hash)| (doc, hash));
        let marks = self.disk.held().unwrap_or_default().into_iter().map(|mark| (mark.doc, mark.hash));
        let copied = |(doc, hash): &(DocId, ChangeHash)| matches!(self.disk.held_copy(*doc, hash), Ok(Some(_)));
        keys.chain(marks.filter(copied)).collect()
    }

    /// Sets the clock by the true time.
    pub(super) fn tick(&self, true_ms: u64) {
        self.clock.store(true_ms.saturating_add_signed(self.skew_ms), Ordering::Relaxed);
    }
}
