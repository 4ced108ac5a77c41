//! Who may do what: keys, invites, enrolment, tokens, tickets, devices.
//!
//! A device proves itself with a capability token (a biscuit signed by the server's root key, bound to the device's
//! Ed25519 key) or, afterwards, with a short session ticket. What a device may do is read from the server's own record
//! of it, so a revocation or a new enrolment counts at once, whatever tokens are still about.
//!
//! Nothing here reads a clock or a socket: time is an argument.

mod admin;
mod carry;
mod clock;
mod departures;
mod device;
mod enrol;
mod hello;
mod invite;
mod invited;
mod keys;
mod loss;
mod moving;
mod quarantine;
mod raced;
mod renewal;
mod rest;
mod revocations;
mod seen;
mod signature;
mod ticket;
mod token;

pub use admin::ADMIN_TOKEN_LIFE_MS;
pub use carry::BundleKey;
pub use clock::{CLOCK_BEHIND_MS_MAX, ClockBehind, PassedTimes, RELEASED_AT};
pub(crate) use device::revoked_in;
pub use device::{DeviceRecord, FormerUnit};
pub use enrol::{DEVICE_NAME_CHARS_MAX, EnrolError, EnrolRequest, Enrolment};
pub use hello::NONCE_BYTES;
pub(crate) use invite::InviteState;
pub use invite::{
    INVITE_LIFE_MS_DEFAULT, INVITE_LIFE_MS_MAX, InviteError, InviteNumber, InviteOrder, InviteRecord, NoInviteNumber,
    Withdrawal,
};
pub use invited::{
    INVITES_OF_COMMUNE_DAY, INVITES_OF_COUNTRY_DAY, INVITES_OF_DISTRICT_DAY, INVITES_OF_PROVINCE_DAY, ManyInvited,
};
pub use keys::{ADMIN_TOKEN_FILE, KeyError, ROOT_KEY_FILE, ROOT_KEY_LABEL, RootSecrets};
pub(crate) use keys::{read_key, write_private};
pub use loss::RETURN_WINDOW_MS;
pub(crate) use moving::Footing;
pub use moving::{FORMER_UNITS_MAX, MOVES_OF_DEVICE_DAY, MoveError};
pub use quarantine::QuarantineError;
pub(crate) use quarantine::{QUARANTINE_KEY, QUARANTINE_TEXT};
pub use renewal::TOKEN_RENEWED_MS;
pub use rest::{Caller, RestRefusal};
pub(crate) use rest::{Claimant, SignedRequest};
pub(crate) use revocations::CHECK_BYTES;
pub use revocations::{Entry, Listed, Placement, REVOCATIONS_FILE, Revocations};
pub use seen::{CLOCK_SKEW_MS_MAX, PROOFS_MAX, PROOFS_PER_DEVICE_MAX};
pub use ticket::TICKET_LIFE_MS;
pub use token::{TOKEN_BYTES_MAX, TOKEN_LIFE_MS};

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use toso_core::id::{Epoch, ServerId};
use toso_core::time::TimestampMs;
use toso_store::{RecordChange, RecordStore, StoreError};

use crate::quota::DAY_MS;
use crate::tables::SERVER_TABLE;
use admin::AdminToken;
use departures::Departures;
use device::Devices;
use invited::Invited;
use keys::RootKeys;
use moving::MovedToday;
use quarantine::Quarantine;
use seen::Seen;
use token::Grant;

/// The first time that a proof may have, as the server's last start named it.
const PROOFS_FROM_KEY: &[u8] = b"proofs_from";
/// Epochs stay below 2^52, so that JSON readers with floating-point numbers keep them exactly.
const EPOCH_BITS: u32 = 52;

/// The room's state.
pub struct Trust {
    keys: RootKeys,
    epoch: Epoch,
    /// When this history began with a loss, if it did.
    loss: Option<TimestampMs>,
    admin: RwLock<AdminToken>,
    admin_token_path: PathBuf,
    devices: Devices,
    seen: Seen,
    /// What the clock is held against.
    passed: PassedTimes,
    moved_today: MovedToday,
    departures: Departures,
    /// What officers have invited in the last day.
    invited: Invited,
    revocations: Revocations,
    quarantine: Quarantine,
    store: Arc<dyn RecordStore>,
    random: RandomSource,
    /// True when records or keys are from before: a server has run on them, and may have accepted proofs.
    ran_before: bool,
}

/// Where the room takes random bytes from: epoch, invites, nonces, keys within tokens.
pub type RandomSource = Arc<dyn Fn(&mut [u8]) -> Result<(), KeyError> + Send + Sync>;

impl Trust {
    /// Opens the keys and records of a data folder; makes them on first start.
    ///
    /// `root.key` (mode 0600) lies beside the database, not in it, so that a backup can keep keys and data apart. The
    /// `admin.token` file (mode 0600) is made when it is missing: delete it and restart, and every copy of the old one
    /// is worthless.
    pub fn open(data: &Path, store: Arc<dyn RecordStore>, now: TimestampMs) -> Result<Self, KeyError> {
        let known = store.record(SERVER_TABLE, b"server_id")?;
        let had_keys = data.join(ROOT_KEY_FILE).exists();
        let revocations = Revocations::open(data)?;
        if known.is_none() && !had_keys {
            // Before the key: a first start that is cut off here must not look like a server that has lost its records.
            revocations.make()?;
        }
        let keys = RootKeys::open(data, known.is_some())?;
        let server = keys.server();
        if known.is_none() {
            // Keys without records: the store was lost. Marked first, so that a crash in between loses no mark.
            if had_keys {
                loss::mark_lost_store(&*store, revocations.is_kept(), now)?;
                tracing::warn!(
                    "keys are here and no records: an empty register begins, and phones return what they have"
                );
            }
            put(&*store, b"server_id", &server.0, now)?;
        } else if known.as_ref().is_some_and(|id| *id != server.0) {
            return Err(KeyError::ForeignKey { path: data.join(ROOT_KEY_FILE).display().to_string() });
        }
        if revocations.listed().server.is_some_and(|listed| listed != server) {
            return Err(KeyError::ForeignKey { path: data.join(REVOCATIONS_FILE).display().to_string() });
        }
        let random: RandomSource = Arc::new(system_random);
        let epoch = open_epoch(&*store, &random, now)?;
        let admin_token_path = data.join(ADMIN_TOKEN_FILE);
        let admin = AdminToken::load(&*store)?.unwrap_or_default();
        let loss = loss::when(&*store, now)?;
        let devices = Devices::load(&*store)?;
        let departures = Departures::load(&*store, &devices.all(), now)?;
        let quarantine = Quarantine::load(&*store)?;
        let invited = Invited::load(&*store, &devices, TimestampMs(now.0.saturating_sub(DAY_MS)))?;
        let admin = RwLock::new(admin);
        let trust = Self {
            keys,
            epoch,
            loss,
            admin,
            admin_token_path,
            devices,
            departures,
            moved_today: MovedToday::default(),
            invited,
            revocations,
            quarantine,
            seen: Seen::default(),
            passed: PassedTimes::default(),
            store,
            random,
            ran_before: known.is_some() || had_keys,
        };
        trust.renew_admin_token(now)?;
        if trust.quarantined_since().is_none() {
            trust.join_revocations(now)?;
        }
        Ok(trust)
    }

    /// The same over given keys and a given random source, without a folder and without an admin token: for a
    /// simulation, whose every byte is decided by its seed.
    pub fn with_keys(
        secrets: &RootSecrets,
        store: Arc<dyn RecordStore>,
        random: RandomSource,
    ) -> Result<Self, KeyError> {
        let keys = RootKeys::of_secrets(secrets)?;
        let ran_before = store.record(SERVER_TABLE, b"epoch")?.is_some();
        let epoch = open_epoch(&*store, &random, TimestampMs::default())?;
        let devices = Devices::load(&*store)?;
        Ok(Self {
            keys,
            epoch,
            loss: loss::when(&*store, TimestampMs::default())?,
            admin: RwLock::default(),
            admin_token_path: PathBuf::new(),
            departures: Departures::load(&*store, &devices.all(), TimestampMs::default())?,
            moved_today: MovedToday::default(),
            invited: Invited::load(&*store, &devices, TimestampMs::default())?,
            devices,
            revocations: Revocations::in_memory(),
            quarantine: Quarantine::default(),
            seen: Seen::default(),
            passed: PassedTimes::default(),
            store,
            random,
            ran_before,
        })
    }

    /// Called once, at the server's start: proofs that were accepted before are not known, so whatever can be one of them
    /// is asked for again. Before a first start none was.
    pub fn begin(&self, now: TimestampMs) -> Result<(), StoreError> {
        if !self.ran_before {
            return Ok(());
        }
        let before = self.store.record(SERVER_TABLE, PROOFS_FROM_KEY)?.and_then(|bytes| bytes.try_into().ok());
        let first = self.seen.begin(now, before.map(|bytes| TimestampMs(u64::from_be_bytes(bytes))));
        match put(&*self.store, PROOFS_FROM_KEY, &first.0.to_be_bytes(), now) {
            Ok(()) => self.seen.accept_first(),
            // A server must start on a full disk, too.
            Err(error @ StoreError::Full { .. }) => {
                tracing::warn!(%error, "devices sign once in this start's first second");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Bytes from the room's random source.
    pub(crate) fn random<const N: usize>(&self) -> Result<[u8; N], KeyError> {
        bytes_of(&self.random)
    }

    /// The server's identity.
    pub fn server(&self) -> ServerId {
        self.keys.server()
    }

    /// The log's history; a restore starts another.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The list of what was shut out.
    pub fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// Where the admin token lies.
    pub fn admin_token_path(&self) -> &Path {
        &self.admin_token_path
    }

    /// The public key that signs tokens.
    pub fn root_public_key(&self) -> Vec<u8> {
        self.keys.public_bytes()
    }

    /// The server's records.
    pub(crate) fn records(&self) -> &dyn RecordStore {
        &*self.store
    }

    /// Who carries a grant, by the server's records: the token's claims must still be what the device's record says.
    fn device_of(&self, grant: &Grant) -> Result<Arc<DeviceRecord>, TokenRefusal> {
        let id = grant.device.ok_or(TokenRefusal::NotBound)?;
        let device = self.devices.find(id).ok_or(TokenRefusal::UnknownDevice)?;
        if device.unit != grant.unit || device.role() != grant.role {
            return Err(TokenRefusal::Superseded);
        }
        if device.revoked { Err(TokenRefusal::Revoked) } else { Ok(device) }
    }
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trust").field("server", &self.server()).field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

/// Why a token is not accepted. Says nothing that helps a forger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// Not signed by this server's root key, damaged, or with more than one block.
    #[error("the token is forged, damaged or another server's; enrol again with a new invite")]
    Invalid,
    /// Past its end.
    #[error("the token has ended; enrol again with a new invite")]
    Ended,
    /// What it says could not be kept. Nothing is wrong with it: a device that is told to enrol again for it is lost to the
    /// register.
    #[error("the server could not check the token just now; try again in a moment")]
    Unchecked,
    /// An admin token where a device's is needed.
    #[error("this token belongs to no device; a sync session needs a device's token")]
    NotBound,
    /// The device has no record here.
    #[error("the server does not know this device; enrol again with a new invite")]
    UnknownDevice,
    /// The device has enrolled again since.
    #[error("the device has enrolled again since this token was made; use the newer one")]
    Superseded,
    /// The device was revoked.
    #[error("the device was revoked; ask your officer")]
    Revoked,
    /// The signature is not the device's.
    #[error("the signature was not made by the token's device")]
    BadSignature,
}

fn put(store: &dyn RecordStore, key: &[u8], value: &[u8], now: TimestampMs) -> Result<(), StoreError> {
    let change =
        RecordChange { table: SERVER_TABLE.to_owned(), key: key.to_vec(), value: Some(value.to_vec()), expect: None };
    store.command(now, &[change]).map(drop)
}

/// The beginning of a history that no device has seen.
pub(crate) fn new_epoch() -> Result<Epoch, KeyError> {
    Ok(Epoch((u64::from_be_bytes(random()?) >> (64 - EPOCH_BITS)).max(1)))
}

/// The log's epoch; a new one on first start.
fn open_epoch(store: &dyn RecordStore, random: &RandomSource, now: TimestampMs) -> Result<Epoch, KeyError> {
    let known = store.record(SERVER_TABLE, b"epoch")?.and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
    if let Some(bytes) = known {
        return Ok(Epoch(u64::from_be_bytes(bytes)));
    }
    let epoch = (u64::from_be_bytes(bytes_of(random)?) >> (64 - EPOCH_BITS)).max(1);
    put(store, b"epoch", &epoch.to_be_bytes(), now)?;
    Ok(Epoch(epoch))
}

/// Fills from the system's generator.
fn system_random(bytes: &mut [u8]) -> Result<(), KeyError> {
    getrandom::fill(bytes).map_err(|error| KeyError::Random { detail: error.to_string() })
}

fn bytes_of<const N: usize>(random: &RandomSource) -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    random(&mut bytes)?;
    Ok(bytes)
}

/// Bytes from the system's generator.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    system_random(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
