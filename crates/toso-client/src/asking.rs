//! What a device asks the server for beside syncing: names of devices, and what it needs for helping others.

use std::collections::BTreeMap;

use serde::Deserialize;
use toso_core::id::DocId;
use toso_core::unit::UnitRef;
use toso_replica::carry::pass::PassAnswer;
use toso_replica::{CarryError, Credential, Replica, ReplicaError};

use crate::rest::{Caller, Rest, RestError};

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
    let (rest, caller) = asking(replica, &credential)?;
    let mut names = BTreeMap::new();
    for asked in devices.chunks(NAMES_ASKED_MAX) {
        let path = format!("/v1/devices/names?ids={}", asked.join(","));
        let answer: NamesAnswer = rest.get(&credential.server_url, &path, &caller)?;
        names.extend(answer.names);
    }
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
    if matches!(fetched, Err(NamesError::Rest(RestError::Unreachable { .. } | RestError::Interrupted { .. }))) {
        return fetched;
    }
    // A server that refuses is not asked each time either.
    replica.names_were_asked(missing, fetched.as_ref().copied().unwrap_or_default())?;
    fetched
}

/// Asks the server for this device's card and the bundle key of a unit. Blocks.
pub fn fetch_carry_pass(replica: &Replica, unit: Option<UnitRef>) -> Result<(), PassError> {
    let credential = replica.credential().map_err(CarryError::from)?;
    let (rest, caller) = asking(replica, &credential)?;
    let path = unit.map_or_else(|| "/v1/carry".to_owned(), |unit| format!("/v1/carry?unit={unit}"));
    let answer: PassAnswer = rest.get(&credential.server_url, &path, &caller)?;
    Ok(replica.keep_pass(answer)?)
}

/// The way that was agreed at enrolment, and who asks.
fn asking(replica: &Replica, credential: &Credential) -> Result<(Rest, Caller), RestError> {
    let caller = Caller::Device {
        token: credential.token_text(),
        device: Box::new(replica.device().clone()),
        server_id: credential.server_id,
    };
    Ok((Rest::reaching(&credential.reach)?, caller))
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
