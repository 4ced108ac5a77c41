//! What a device asks the server for beside syncing: names of devices, and what it needs for helping others.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use toso_core::id::DocId;
use toso_core::unit::UnitRef;
use toso_replica::carry::pass::PassAnswer;
use toso_replica::{CarryError, Credential, Replica, ReplicaError, SyncError};

use crate::off_thread::off_thread;
use crate::rest::{Asks, Caller, Rest, RestError, at_once, get};
use crate::transport::Transport;

/// Devices asked about at a time, as many as a server answers for.
const NAMES_ASKED_MAX: usize = 100;

/// Why names were not fetched.
#[derive(Debug, thiserror::Error)]
pub enum NamesError {
    /// The replica could not be read, or is not enrolled.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    /// The server refused, or could not be reached.
    #[error(transparent)]
    Rest(#[from] RestError),
}

/// Why card and bundle key were not fetched.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PassError {
    /// The device is not enrolled, or the answer is not to be believed.
    #[error(transparent)]
    Carry(#[from] CarryError),
    /// The server refused, or could not be reached.
    #[error(transparent)]
    Rest(#[from] RestError),
}

#[derive(Deserialize)]
struct NamesAnswer {
    names: BTreeMap<String, String>,
}

/// Asks the server what the devices are called that wrote the values in conflict here, and those in the histories of some
/// documents; tells how many names are new. Blocks.
pub fn fetch_device_names(replica: &Replica, documents: &[DocId]) -> Result<usize, NamesError> {
    let devices = replica.devices_to_name(documents)?;
    let credential = replica.credential().map_err(ReplicaError::from)?;
    let rest = Rest::reaching(&credential.reach).map_err(RestError::from)?;
    let names = at_once(names(&rest, &caller(replica, &credential), &credential.server_url, &devices))?;
    Ok(replica.keep_device_names(&devices, names)?)
}

/// Asks the server for the names of devices that wrote the values in conflict here, and the saves of some documents, when there
/// are any that are not known and were not asked about within a day; tells how many names are new, also by
/// [`toso_replica::ReplicaEvent::Names`]. Blocks; returns at once when another call of it is under way.
pub fn fetch_missing_names(replica: &Replica, documents: &[DocId]) -> Result<usize, NamesError> {
    let Some(_asking) = replica.begin_asking_names() else { return Ok(0) };
    let missing = replica.devices_without_names(documents)?;
    if missing.is_empty() {
        return Ok(0);
    }
    let fetched = fetch_device_names(replica, documents);
    // A server that refuses is not asked each time either.
    if !is_away(&fetched) {
        replica.names_were_asked(missing, fetched.as_ref().copied().unwrap_or_default())?;
    }
    fetched
}

/// [`fetch_missing_names`] of clashes, over a transport. A failure costs nothing: the clash shows the device's number, and the
/// next sync that brings something asks again.
pub(crate) async fn missing_names(transport: &dyn Transport, replica: &Arc<Replica>) -> Result<(), SyncError> {
    let Some(_asking) = replica.begin_asking_names() else { return Ok(()) };
    // Nearly always none is missing. To see that takes a thread of its own only where the store waits for a disk.
    let missing = off_thread(replica, |replica| replica.devices_without_names(&[])).await?;
    if missing.is_empty() {
        return Ok(());
    }
    let devices = off_thread(replica, |replica| replica.devices_to_name(&[])).await?;
    let credential = off_thread(replica, Replica::credential).await?;
    let asks = transport.asks(&credential.reach)?;
    let told = names(&*asks, &caller(replica, &credential), &credential.server_url, &devices).await;
    let told = told.map_err(NamesError::from);
    if is_away(&told) {
        return Ok(());
    }
    let keep = move |replica: &Replica| {
        let new = told.map_or(Ok(0), |names| replica.keep_device_names(&devices, names))?;
        replica.names_were_asked(missing, new)
    };
    off_thread(replica, keep).await
}

/// True when the server could not be asked, and may be the next time.
fn is_away<T>(fetched: &Result<T, NamesError>) -> bool {
    matches!(fetched, Err(NamesError::Rest(RestError::Unreachable { .. } | RestError::Interrupted { .. })))
}

async fn names(
    asks: &dyn Asks,
    caller: &Caller,
    server_url: &str,
    devices: &[String],
) -> Result<BTreeMap<String, String>, RestError> {
    let mut names = BTreeMap::new();
    for asked in devices.chunks(NAMES_ASKED_MAX) {
        let path = format!("/v1/devices/names?ids={}", asked.join(","));
        let answer: NamesAnswer = get(asks, server_url, &path, caller).await?;
        names.extend(answer.names);
    }
    Ok(names)
}

/// Asks the server for this device's card and the bundle key of a unit. Blocks.
pub fn fetch_carry_pass(replica: &Replica, unit: Option<UnitRef>) -> Result<(), PassError> {
    let credential = replica.credential().map_err(CarryError::from)?;
    let rest = Rest::reaching(&credential.reach).map_err(RestError::from)?;
    let pass = at_once(pass(&rest, &caller(replica, &credential), &credential.server_url, unit))?;
    Ok(replica.keep_pass(pass)?)
}

/// [`fetch_carry_pass`] of the device's own unit, over a transport.
pub(crate) async fn carry_pass(
    transport: Arc<dyn Transport>,
    replica: Arc<Replica>,
    credential: Credential,
) -> Result<(), SyncError> {
    let asks = transport.asks(&credential.reach)?;
    if let Ok(answer) = pass(&*asks, &caller(&replica, &credential), &credential.server_url, None).await {
        // What is not to be believed is not kept, and is still due.
        off_thread(&replica, move |replica| {
            let _ = replica.keep_pass(answer);
            Ok::<_, SyncError>(())
        })
        .await?;
    }
    Ok(())
}

async fn pass(
    asks: &dyn Asks,
    caller: &Caller,
    server_url: &str,
    unit: Option<UnitRef>,
) -> Result<PassAnswer, RestError> {
    let path = unit.map_or_else(|| "/v1/carry".to_owned(), |unit| format!("/v1/carry?unit={unit}"));
    get(asks, server_url, &path, caller).await
}

/// The device, as who asks.
fn caller(replica: &Replica, credential: &Credential) -> Caller {
    Caller::Device {
        token: credential.token_text(),
        device: Box::new(replica.device().clone()),
        server_id: credential.server_id,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use toso_core::id::ServerId;
    use toso_replica::{Reach, ReachError};
    use toso_store::memory::MemoryChunkStore;

    use super::*;

    #[test]
    fn names_are_asked_for_the_way_that_was_agreed_at_enrolment() {
        let store = Arc::new(MemoryChunkStore::new());
        let credential = Credential {
            server_url: "http://127.0.0.1:9".to_owned(),
            server_id: ServerId([1; 16]),
            token: vec![1],
            unit: "2022/00001".parse().unwrap(),
            role: "recorder".to_owned(),
            token_ends: None,
            reach: Reach { ca_pem: Some("no certificate".to_owned()), ..Reach::default() },
        };
        credential.keep(store.as_ref()).unwrap();
        let replica = Replica::open(store, &crate::system::options()).unwrap();
        let refused = fetch_device_names(&replica, &[]).unwrap_err();
        assert!(matches!(refused, NamesError::Rest(RestError::Reach(ReachError::BadAuthority { .. }))), "{refused}");
    }
}
