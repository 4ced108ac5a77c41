//! Enrolment: an invite's secret and a device's key become a device record and a capability token, in one transaction.

use ed25519_dalek::{Signature, VerifyingKey};
use toso_core::id::DeviceId;
use toso_core::text::{TextError, check_visible};
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_store::StoreError;
use toso_sync::AccessRole;
use toso_wire::enrol::{INVITE_SECRET_BYTES, signed_enrol};

use super::Trust;
use super::device::{self, DeviceRecord};
use super::invite::{INVITE_TABLE, InviteRecord, InviteState};
use super::keys::KeyError;
use super::moving::joined;
use super::token::TOKEN_LIFE_MS;

/// The longest device name, in characters.
pub const DEVICE_NAME_CHARS_MAX: usize = 80;

/// What a device sends to enrol.
#[derive(Clone)]
pub struct EnrolRequest {
    /// The invite's secret.
    pub secret: [u8; INVITE_SECRET_BYTES],
    /// The device's Ed25519 public key.
    pub public_key: [u8; 32],
    /// Its signature over [`signed_enrol`]: proves that the device holds the key, for this server and invite.
    pub signature: [u8; 64],
    /// What its user calls it.
    pub name: Option<String>,
}

/// What a device gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// The capability token.
    pub token: Vec<u8>,
    /// The device.
    pub device: DeviceId,
    /// Where it may work.
    pub unit: UnitRef,
    /// Its role.
    pub role: AccessRole,
    /// When the token ends.
    pub expires_at: TimestampMs,
}

impl Trust {
    /// Exchanges an invite for a token. A device that repeats the exchange (its answer was lost) gets the same answer;
    /// nobody else can use the invite again.
    pub fn enrol(&self, request: &EnrolRequest, now: TimestampMs) -> Result<Enrolment, EnrolError> {
        let secret_hash = *blake3::hash(&request.secret).as_bytes();
        let key = VerifyingKey::from_bytes(&request.public_key).map_err(|_| EnrolError::BadSignature)?;
        let signed = signed_enrol(self.server(), &secret_hash, &request.public_key);
        key.verify_strict(&signed, &Signature::from_bytes(&request.signature)).map_err(|_| EnrolError::BadSignature)?;
        let name = request.name.as_deref().map(str::trim).filter(|name| !name.is_empty());
        if name.is_some_and(|name| name.chars().count() > DEVICE_NAME_CHARS_MAX) {
            return Err(EnrolError::NameTooLong);
        }
        name.map_or(Ok(()), |name| check_visible("the device's name", name))?;

        let device = DeviceId::from_public_key(&request.public_key);
        let known = device::stored(&*self.store, device)?;
        if known.as_ref().is_some_and(|known| known.revoked) || self.revocations.has_device(device) {
            return Err(EnrolError::Revoked);
        }
        let stored = self.store.record(INVITE_TABLE, &secret_hash)?.ok_or(EnrolError::UnknownInvite)?;
        let mut invite = InviteRecord::decode(&stored)?;
        // What it has not sent for the unit it leaves by enrolling anew is held for review, like after a move.
        let former =
            known.as_ref().map_or_else(Vec::new, |known| joined(&known.former, known.unit, invite.unit, None, now));
        let left: Vec<UnitRef> =
            known.as_ref().map(|known| known.unit).filter(|unit| *unit != invite.unit).into_iter().collect();
        let moves = known.as_ref().map_or(0, |known| known.moves.saturating_add(1));
        match self.invite_state(&invite, now) {
            InviteState::Open => {}
            // Only while this invite is the device's latest: an older answer would carry a token that is void.
            InviteState::Used => match known.filter(|known| known.invite == secret_hash) {
                Some(known) if invite.used_by == Some(device) => return Ok(answer(known)),
                _ => return Err(EnrolError::UsedInvite),
            },
            InviteState::Withdrawn => return Err(EnrolError::WithdrawnInvite),
            InviteState::Expired => return Err(EnrolError::ExpiredInvite),
            InviteState::Void => return Err(EnrolError::VoidInvite),
        }

        let role = invite.rank().role;
        let expires_at = now.plus_ms(TOKEN_LIFE_MS);
        let mut record = DeviceRecord {
            public_key: request.public_key,
            name: name.map(ToOwned::to_owned),
            unit: invite.unit,
            role: role.word().to_owned(),
            enrolled_at: now,
            expires_at,
            invite: secret_hash,
            token: Vec::new(),
            revoked: false,
            former,
            moves,
            placed_in: Some(self.epoch()),
        };
        record.token = self.keys.mint(&record, self.random()?)?;
        invite.used_by = Some(device);
        let use_invite = invite.to_change(&secret_hash, Some(stored));
        match self.departures.write(&*self.store, &left, vec![use_invite, record.to_change()]) {
            Ok(()) => {}
            // Somebody else used it, or took it back, in the same moment; the same device's own repetition asks again and
            // gets its answer.
            Err(StoreError::Raced { .. }) => return Err(EnrolError::UsedInvite),
            Err(error) => return Err(error.into()),
        }
        self.devices.keep(record.clone());
        Ok(answer(record))
    }
}

fn answer(record: DeviceRecord) -> Enrolment {
    Enrolment {
        device: record.id(),
        unit: record.unit,
        role: record.role(),
        expires_at: record.expires_at,
        token: record.token,
    }
}

/// Why a device was not enrolled. Its invite is untouched, unless it was used already.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolError {
    /// The signature does not fit key, server and invite.
    #[error("the signature does not fit this key, server and invite; scan the invite again")]
    BadSignature,
    /// Never made here.
    #[error("this server has made no such invite; check the server's address, or ask for a new invite")]
    UnknownInvite,
    /// Too late.
    #[error("the invite has expired; ask for a new one")]
    ExpiredInvite,
    /// One-time.
    #[error("the invite was used already; ask for a new one")]
    UsedInvite,
    /// Taken back.
    #[error("the invite was withdrawn; ask your officer for a new one")]
    WithdrawnInvite,
    /// Its maker was revoked, moved, demoted, or has expired.
    #[error("the invite is void, since whoever made it can no longer invite to this unit; ask for a new one")]
    VoidInvite,
    /// The device is shut out.
    #[error("the device was revoked and cannot enrol again; ask your officer")]
    Revoked,
    /// Over [`DEVICE_NAME_CHARS_MAX`].
    #[error("a device's name has at most {DEVICE_NAME_CHARS_MAX} characters")]
    NameTooLong,
    /// Something in the name cannot be seen.
    #[error(transparent)]
    Name(#[from] TextError),
    /// No token could be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The records could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}
