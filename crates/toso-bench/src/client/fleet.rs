//! The devices of a folder: each with a store on the disk, enrolled in a commune of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use toso_catalog::Catalog;
use toso_client::rest::{Caller, Rest};
use toso_client::{Invite, enrol, make_invite};
use toso_core::id::{DocId, DocKind};
use toso_core::unit::{Scope, UnitList};
use toso_replica::{Replica, ReplicaOptions};
use toso_store::ChunkStore;
use toso_store_sled::{Options, SledChunkStore};

use super::Order;
use crate::error::BenchError;

/// How long an invite is good: the devices use it at once.
const INVITE_LIFE: Duration = Duration::from_secs(60 * 60);
/// The file that says what was made.
const MADE_FILE: &str = "made.json";
/// Merged documents in memory, where thousands of devices share a machine.
const DOCUMENT_CACHE: usize = 4;
/// The unit list whose communes devices are enrolled in.
const LIST: UnitList = UnitList::L2022;

/// What has been made in a folder.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Made {
    /// By device: its documents by their key.
    pub(super) devices: BTreeMap<usize, BTreeMap<String, String>>,
    /// Devices that only looked.
    pub(super) visitors: usize,
}

/// A device, open.
pub(super) struct Device {
    /// Its replica.
    pub(super) replica: Arc<Replica>,
}

impl Made {
    /// What a folder holds; nothing when it is new.
    pub(super) fn read(dir: &Path) -> Result<Self, BenchError> {
        match std::fs::read(dir.join(MADE_FILE)) {
            Ok(text) => serde_json::from_slice(&text).map_err(BenchError::failed),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(BenchError::usage(format!("cannot read {}: {error}", dir.join(MADE_FILE).display()))),
        }
    }

    pub(super) fn write(&self, dir: &Path) -> Result<(), BenchError> {
        let text = serde_json::to_vec(self).map_err(BenchError::failed)?;
        Ok(std::fs::write(dir.join(MADE_FILE), text)?)
    }

    /// The first devices, as many as the order wants, each with a team of its own.
    pub(super) fn with_teams(&self, order: &Order) -> Result<Vec<(usize, DocId)>, BenchError> {
        let mut found = Vec::new();
        for (device, docs) in &self.devices {
            let ids = docs.values().filter_map(|id| id.parse::<DocId>().ok());
            if let Some(team) = ids.into_iter().find(|id| id.kind() == Some(DocKind::Team)) {
                found.push((*device, team));
            }
        }
        let wanted = order.devices.unwrap_or(found.len()).max(1);
        if found.len() < wanted {
            return Err(BenchError::usage(format!(
                "{} holds {} devices with a team, {wanted} are wanted; make them with --op load",
                order.dir.display(),
                found.len(),
            )));
        }
        found.truncate(wanted);
        Ok(found)
    }
}

/// A device that is there.
pub(super) fn open(dir: &Path, number: usize) -> Result<Device, BenchError> {
    open_at(folder(dir, number))
}

/// A device in its commune, enrolled if it is new.
pub(super) fn enrolled(order: &Order, number: usize) -> Result<Device, BenchError> {
    let device = open_at(folder(&order.dir, number))?;
    if device.replica.credential().is_err() {
        join(order, device.replica.store(), commune(number)?)?;
    }
    Ok(device)
}

/// A new device in another device's commune, with nothing in it.
pub(super) fn visitor(order: &Order, number: usize, host: usize) -> Result<Device, BenchError> {
    let device = open_at(order.dir.join(format!("visitor-{number}")))?;
    join(order, device.replica.store(), commune(host)?)?;
    Ok(device)
}

fn open_at(folder: PathBuf) -> Result<Device, BenchError> {
    let store: Arc<dyn ChunkStore> = Arc::new(SledChunkStore::open(folder, Options::phone())?);
    let options = ReplicaOptions { document_cache: DOCUMENT_CACHE, ..toso_client::system::options() };
    Ok(Device { replica: Arc::new(Replica::open(store, &options)?) })
}

fn join(order: &Order, store: &dyn ChunkStore, commune: Scope) -> Result<(), BenchError> {
    let rest = Rest::default();
    let invite = make_invite(&rest, &order.url, admin(order)?, commune, "recorder", INVITE_LIFE)?;
    enrol(store, &rest, &Invite::parse(&invite.text)?, None)?;
    Ok(())
}

/// Who invites and reads.
pub(super) fn admin(order: &Order) -> Result<&Caller, BenchError> {
    order.admin.as_ref().ok_or_else(|| BenchError::usage("this operation needs --admin-token-file"))
}

fn folder(dir: &Path, number: usize) -> PathBuf {
    dir.join(format!("device-{number}"))
}

/// A commune for every device; they go round when there are more devices.
fn commune(number: usize) -> Result<Scope, BenchError> {
    let catalog = Catalog::shared();
    let communes: Vec<Scope> =
        catalog.units(LIST).map(|unit| unit.unit).filter(|unit| catalog.is_scope(*unit)).collect();
    let place = number % communes.len().max(1);
    communes.get(place).copied().ok_or_else(|| BenchError::failed("the catalogue has no commune"))
}
