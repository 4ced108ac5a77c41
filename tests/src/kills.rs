//! `kill -9` again and again: a server under load from many devices, and field devices at work.
//!
//! What was acknowledged is kept outside of the killed process and looked for after every restart by a device that has
//! never seen anything: it pulls the whole log. It is sent as many changes as the log has, so a log that sends as many as there are
//! different ones has none twice.

pub mod field;
pub mod server;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::runtime::Runtime;
use toso_client::rest::Rest;
use toso_client::{Invite, enrol, sync_once};
use toso_core::id::DocKind;
use toso_replica::{Replica, SyncOptions};
use toso_store::memory::MemoryChunkStore;

use crate::http;
use crate::load::Change;

/// The province that all the suites' communes lie in (Thành phố Hà Nội in the list of 2022).
pub const PROVINCE: &str = "01";

/// What a run showed.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// What was killed.
    pub what: &'static str,
    /// Kills while it worked.
    pub at_work: usize,
    /// Kills while it started, among them of starts after a kill.
    pub starting: usize,
    /// Kills after it had been asked to stop.
    pub stopping: usize,
    /// Kills while its disk was nearly full.
    pub disk_low: usize,
    /// Edits that somebody was told are safe.
    pub acknowledged: usize,
    /// Of them missing afterwards. Must be 0.
    pub lost: usize,
    /// Found more than once. Must be 0.
    pub duplicated: usize,
    /// From the start of a process to its first answer, after a kill.
    pub restarts: Vec<Duration>,
}

impl Tally {
    /// All kills.
    pub fn kills(&self) -> usize {
        self.at_work + self.starting + self.stopping + self.disk_low
    }

    /// The time below which this share of the restarts stayed.
    pub fn restart_ms(&self, share: f64) -> u128 {
        let mut sorted = self.restarts.clone();
        sorted.sort_unstable();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index of a short list")]
        let index = ((sorted.len() as f64 - 1.0) * share).round() as usize;
        sorted.get(index).map_or(0, Duration::as_millis)
    }

    /// The heading over lines of tallies.
    pub fn heading() -> &'static str {
        "killed        kills  at work  starting  stopping  disk low  acknowledged  lost  twice  restart p50  max"
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<13} {:>5}  {:>7}  {:>8}  {:>8}  {:>8}  {:>12}  {:>4}  {:>5}  {:>8} ms  {} ms",
            self.what,
            self.kills(),
            self.at_work,
            self.starting,
            self.stopping,
            self.disk_low,
            self.acknowledged,
            self.lost,
            self.duplicated,
            self.restart_ms(0.5),
            self.restart_ms(1.0),
        )
    }
}

/// A replica in memory, enrolled through the server's own interface.
pub fn replica(url: &str, admin_token: &str, unit: &str, role: &str) -> Arc<Replica> {
    let request = json!({ "unit": format!("2022/{unit}"), "role": role });
    let answer = http::post(&format!("{url}/v1/invites"), Some(admin_token), &request).json();
    let invite = Invite::parse(answer["invite"].as_str().expect("an invite")).expect("it is an invite");
    let store = Arc::new(MemoryChunkStore::default());
    enrol(store.as_ref(), &Rest::default(), &invite, None).expect("enrolled");
    Arc::new(Replica::open(store, &toso_client::system::options()).expect("opened"))
}

/// What a server holds, as somebody sees it who asks for everything.
#[derive(Debug)]
pub struct Holdings {
    /// Every change.
    pub changes: BTreeSet<Change>,
    /// How many changes the log has sent.
    pub pulled: u64,
    /// Different teams.
    pub teams: usize,
    /// Different members.
    pub members: usize,
}

impl Holdings {
    /// Pulls everything through a new officer's device.
    pub fn pull(runtime: &Runtime, url: &str, admin_token: &str) -> Self {
        let officer = replica(url, admin_token, PROVINCE, "officer");
        let options = SyncOptions { linger: Duration::ZERO, ..SyncOptions::default() };
        let (report, result) = runtime.block_on(sync_once(&officer, options, |_, _| {}));
        result.expect("a new device can pull");
        assert!(report.up_to_date, "{report:?}");
        Self::of(&officer, report.pulled)
    }

    fn of(officer: &Replica, pulled: u64) -> Self {
        let store = officer.store();
        let documents = store.documents().expect("readable");
        let count = |kind| documents.iter().filter(|(_, doc)| doc.kind() == Some(kind)).count();
        Self {
            teams: count(DocKind::Team),
            members: count(DocKind::Member),
            pulled,
            changes: documents
                .iter()
                .flat_map(|(_, doc)| {
                    let chunks = store.chunks(*doc).expect("readable").into_iter();
                    chunks.map(|chunk| (*doc, chunk.hash()))
                })
                .collect(),
        }
    }

    /// How many of these are not there.
    pub fn lacks(&self, acknowledged: &BTreeSet<Change>) -> usize {
        acknowledged.difference(&self.changes).count()
    }

    /// How many entries of the log are there again.
    pub fn repeated(&self) -> usize {
        usize::try_from(self.pulled).expect("a small log").saturating_sub(self.changes.len())
    }
}
