//! Devices at work: what they record, what they were told is safe, and their coming and going.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;
use tokio::runtime::Runtime;
use toso_client::{AutoSync, AutoSyncHandle};
use toso_core::chunk::ChangeHash;
use toso_core::edit::{DocEdit, MemberEdit};
use toso_core::id::{DocId, DocKind};
use toso_core::text::PlaceName;
use toso_replica::limits::DOCUMENTS_MAX;
use toso_replica::{Replica, SyncOptions, TeamDraft};

/// A change of a document.
pub type Change = (DocId, ChangeHash);

/// What people do, in parts of 100; the rest are corrections of teams.
#[derive(Debug, Clone, Copy)]
pub struct Mix {
    /// New teams.
    pub teams: u32,
    /// New members.
    pub members: u32,
}

/// A register that is being filled.
pub const GROWING: Mix = Mix { teams: 20, members: 30 };
/// One that is being kept.
pub const STEADY: Mix = Mix { teams: 0, members: 1 };

/// Documents that a device leaves free for what others record at the same moment.
const FREE_DOCUMENTS_MIN: usize = 500;

/// A device with what it recorded itself.
pub struct Recorder {
    replica: Arc<Replica>,
    sync: Mutex<Option<AutoSyncHandle>>,
    own: Mutex<BTreeSet<DocId>>,
}

impl Recorder {
    /// An enrolled device, offline.
    pub fn new(replica: Arc<Replica>) -> Self {
        Self { replica, sync: Mutex::default(), own: Mutex::default() }
    }

    /// Syncs by itself from now on.
    pub fn come_online(&self, runtime: &Runtime) {
        let _runtime = runtime.enter();
        let sync = AutoSync::start(Arc::clone(&self.replica), SyncOptions::default());
        *self.sync.lock().expect("never poisoned") = Some(sync);
    }

    /// Leaves, in the middle of whatever it does.
    pub fn go_offline(&self) {
        *self.sync.lock().expect("never poisoned") = None;
    }

    /// True while it syncs by itself.
    pub fn is_online(&self) -> bool {
        self.sync.lock().expect("never poisoned").is_some()
    }

    /// Dials at once, when it is online.
    pub fn sync_now(&self) {
        if let Some(sync) = self.sync.lock().expect("never poisoned").as_ref() {
            sync.sync_now();
        }
    }

    /// Changes that the server has not acknowledged.
    pub fn unsent(&self) -> usize {
        self.replica.status().expect("readable").unsent
    }

    /// Documents that it has written to.
    pub fn own(&self) -> Vec<DocId> {
        self.own.lock().expect("never poisoned").iter().copied().collect()
    }

    /// Records something; `number` makes it different from all else.
    pub fn edit(&self, number: u32, mix: &Mix, rng: &mut StdRng) {
        let teams: Vec<DocId> = self.own().into_iter().filter(|doc| doc.kind() == Some(DocKind::Team)).collect();
        let team = teams.get(rng.random_range(0..teams.len().max(1))).copied();
        let drawn = rng.random_range(0..100);
        let doc = match team {
            // A long run fills a commune; what is there is kept up then.
            Some(team) if drawn >= mix.teams + mix.members || self.is_almost_full() => {
                let value = DocEdit::parse(DocKind::Team, "households_covered", &(number % 900).to_string());
                self.replica.edit(team, &[value.expect("a number")]).expect("recorded");
                team
            }
            Some(team) if drawn >= mix.teams => {
                let name = DocEdit::parse(DocKind::Member, "full_name", "Nguyễn Văn Thử").expect("a name");
                let edits: Vec<MemberEdit> = match name {
                    DocEdit::Member(edit) => vec![edit],
                    DocEdit::Commune(_) | DocEdit::Team(_) => Vec::new(),
                };
                self.replica.add_member(team, edits).expect("recorded")
            }
            _ => {
                let hamlet = PlaceName::parse(&format!("Thôn {number}")).expect("a name");
                let draft = TeamDraft { hamlet: Some(hamlet), ..TeamDraft::default() };
                self.replica.add_team(draft).expect("recorded")
            }
        };
        self.own.lock().expect("never poisoned").insert(doc);
    }

    fn is_almost_full(&self) -> bool {
        self.replica.status().expect("readable").documents + FREE_DOCUMENTS_MIN > DOCUMENTS_MAX
    }

    /// Own changes of which it has heard that they are in the log.
    fn acknowledged(&self) -> Vec<Change> {
        let of = |doc: DocId| {
            let receipts = self.replica.store().receipts(doc).expect("readable");
            receipts.into_iter().map(move |(hash, _)| (doc, hash))
        };
        self.own().into_iter().flat_map(of).collect()
    }
}

/// Every change of which its own device has heard that it is in the log.
pub fn acknowledged(recorders: &[Recorder]) -> BTreeSet<Change> {
    recorders.iter().flat_map(Recorder::acknowledged).collect()
}

/// Brings all online and waits until none has anything unsent.
pub fn settle(recorders: &[Recorder], runtime: &Runtime, patience: Duration) {
    let began = Instant::now();
    for recorder in recorders {
        if !recorder.is_online() {
            recorder.come_online(runtime);
        }
        recorder.sync_now();
    }
    for recorder in recorders {
        while recorder.unsent() > 0 {
            assert!(began.elapsed() < patience, "{:?}", recorder.replica.status());
            thread::sleep(Duration::from_millis(20));
        }
    }
}
