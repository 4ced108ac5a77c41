//! What a phone does on its own disk, with no network: `toso bench phone`, in a process of its own, so that its memory is
//! a phone's and nobody else's.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use toso_catalog::Catalog;
use toso_core::id::{DocKind, ServerId};
use toso_core::text::{Collator, search_key};
use toso_core::unit::{UnitList, UnitRef};
use toso_replica::{Credential, Replica};
use toso_store::ChunkStore;
use toso_store_sled::{Options, SledChunkStore};

use crate::error::BenchError;
use crate::figures::percentile;
use crate::phone::{households, record};
use crate::process::Process;
use crate::watch::millis;

/// The commune that it records in.
const COMMUNE: &str = "00001";
/// What is searched for, as people type it.
const TYPED: &str = "tran thi mau";

/// What a phone is to do, in this order.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// Documents to record first.
    pub record: usize,
    /// Edits of the documents there are.
    pub edits: usize,
}

/// What it took. Milliseconds and bytes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Done {
    /// From opening the store until all teams and members could be shown.
    pub open_ms: f64,
    /// Of it, unpacking the unit list that names the phone's commune and the rules of Vietnamese order, once a process.
    pub tables_ms: f64,
    /// Of it, opening the store.
    pub store_ms: f64,
    /// Resident memory before anything was opened, tables included.
    pub memory_before_bytes: u64,
    /// Showing all members once more.
    pub list_ms: f64,
    /// Finding members by a part of their name, diacritics or not, among those shown.
    pub search_ms: f64,
    /// Members found.
    pub found: usize,
    /// Documents there were.
    pub documents: usize,
    /// One save of a new document, on average.
    pub record_each_ms: f64,
    /// One edit, in the middle.
    pub edit_p50_ms: f64,
    /// One of a hundred edits takes longer.
    pub edit_p99_ms: f64,
    /// Syncs of the disk for one edit.
    pub edit_syncs: f64,
    /// The most memory.
    pub memory_peak_bytes: u64,
}

/// Does it, on a folder of its own.
pub fn run(home: &Path, work: Work) -> Result<Done, BenchError> {
    let begun = Instant::now();
    // What a first screen shows above its list.
    let commune = UnitRef::new(UnitList::L2022, COMMUNE).map_err(BenchError::failed)?;
    let title = Catalog::shared().display_path(commune);
    Collator::shared();
    let tables_ms = millis(begun.elapsed());
    let memory_before_bytes = Process::own().memory_bytes().unwrap_or_default();
    let opening = Instant::now();
    let store = Arc::new(SledChunkStore::open(home, Options::phone())?);
    let store_ms = millis(opening.elapsed());
    let replica = Replica::open(Arc::clone(&store) as Arc<dyn ChunkStore>, &toso_client::system::options())?;
    let (teams, members) = (replica.teams()?, replica.members(None)?);
    let open_ms = millis(begun.elapsed());
    let documents = teams.len() + members.len();
    if title.is_empty() {
        return Err(BenchError::failed("the commune has no name"));
    }

    let begun = Instant::now();
    let members = replica.members(None)?;
    let list_ms = millis(begun.elapsed());
    let begun = Instant::now();
    let typed = search_key(TYPED);
    let found = members
        .iter()
        .filter(|member| member.record.full_name.as_ref().is_some_and(|name| search_key(name).contains(&typed)))
        .count();
    let search_ms = millis(begun.elapsed());

    let mut record_each_ms = 0.0;
    if work.record > 0 {
        join(store.as_ref(), commune)?;
        let begun = Instant::now();
        record(&replica, work.record)?;
        record_each_ms = millis(begun.elapsed()) / work.record as f64;
    }
    let mut edited = Vec::new();
    let syncs = store.syncs();
    if work.edits > 0 {
        let teams: Vec<_> =
            store.documents()?.into_iter().map(|(_, id)| id).filter(|id| id.kind() == Some(DocKind::Team)).collect();
        for (number, team) in teams.iter().cycle().take(work.edits).enumerate() {
            let begun = Instant::now();
            replica.edit(*team, &households(u32::try_from(number % 10_000).unwrap_or_default()))?;
            edited.push(millis(begun.elapsed()));
        }
    }
    Ok(Done {
        open_ms,
        tables_ms,
        store_ms,
        memory_before_bytes,
        list_ms,
        search_ms,
        found,
        documents,
        record_each_ms,
        edit_p50_ms: percentile(&mut edited, 50),
        edit_p99_ms: percentile(&mut edited, 99),
        edit_syncs: (store.syncs() - syncs) as f64 / edited.len().max(1) as f64,
        memory_peak_bytes: Process::own().memory_peak_bytes().unwrap_or_default(),
    })
}

/// A phone that records offline needs a unit, and no server.
fn join(store: &dyn ChunkStore, unit: UnitRef) -> Result<(), BenchError> {
    let credential = Credential {
        server_url: "http://127.0.0.1:1".to_owned(),
        server_id: ServerId([0; 16]),
        token: Vec::new(),
        unit,
        role: "recorder".to_owned(),
        token_ends: None,
        reach: toso_replica::Reach::default(),
    };
    Ok(credential.keep(store).map_err(toso_replica::ReplicaError::from)?)
}
