//! Enrolment: an invite's secret and a device's key become a device record and a capability token, in one transaction.

use ed25519_dalek::{Signature, Signer as _, VerifyingKey};
use toso_core::id::DeviceId;
use toso_core::text::{TextError, check_device_name, check_visible};
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_store::{RecordChange, StoreError};
use toso_sync::AccessRole;
use toso_wire::enrol::{INVITE_SECRET_BYTES, signed_enrol, signed_enrolled};

use super::clock::ClockBehind;
use super::device::{self, DeviceRecord};
use super::invite::{InviteRecord, InviteState};
use super::invited::{ManyInvited, What};
use super::keys::KeyError;
use super::moving::joined;
use super::token::TOKEN_LIFE_MS;
use super::{Entry, Trust};
use crate::tables::INVITE_TABLE;

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
    /// What officers see it as.
    pub name: Option<String>,
    /// Where it may work.
    pub unit: UnitRef,
    /// Its role.
    pub role: AccessRole,
    /// When the token ends.
    pub expires_at: TimestampMs,
    /// The root key's signature over [`signed_enrolled`]: proves the server to the device.
    pub proof: [u8; 64],
}

/// How often an exchange is tried when invite or device change under it: by then the other caller has been answered, and what it
/// left is read the second time. The third is for a device that is moved just then, too.
const EXCHANGE_TRIES: usize = 3;

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
        name.map_or(Ok(()), check_device_name)?;
        name.map_or(Ok(()), |name| check_visible("the device's name", name))?;

        let mut outcome = self.exchange(request, &secret_hash, name, now);
        for _ in 1..EXCHANGE_TRIES {
            if !matches!(outcome, Err(EnrolError::Store(StoreError::Raced { .. }))) {
                break;
            }
            outcome = self.exchange(request, &secret_hash, name, now);
        }
        outcome
    }

    /// The exchange, as invite and device stand now. `Raced` when either changes meanwhile.
    fn exchange(
        &self,
        request: &EnrolRequest,
        secret_hash: &[u8; 32],
        name: Option<&str>,
        now: TimestampMs,
    ) -> Result<Enrolment, EnrolError> {
        let device = DeviceId::from_public_key(&request.public_key);
        let author = device.author();
        let (before, known) = device::stored_under(&*self.store, author)?.unzip();
        // The device that asks has proved its own key, which says nothing about the key that the record was made for.
        if known.as_ref().is_some_and(|known| known.public_key != request.public_key) {
            return Err(EnrolError::OtherKey);
        }
        if known.as_ref().is_some_and(|known| known.revoked) || self.revocations.has_device(device) {
            return Err(EnrolError::Revoked);
        }
        let stored = self.store.record(INVITE_TABLE, secret_hash)?.ok_or(EnrolError::UnknownInvite)?;
        let mut invite = InviteRecord::decode(&stored)?;
        // Told to the holder of an invite, and to nobody else.
        self.check_clock(now)?;
        // What it has not sent for the unit it leaves by enrolling anew is held for review, like after a move.
        let former =
            known.as_ref().map_or_else(Vec::new, |known| joined(&known.former, known.unit, invite.unit, None, now));
        let left: Vec<UnitRef> =
            known.as_ref().map(|known| known.unit).filter(|unit| *unit != invite.unit).into_iter().collect();
        let moves = known.as_ref().map_or(0, |known| known.moves.saturating_add(1));
        match self.invite_state(&invite, now) {
            InviteState::Open => {}
            // Only while this invite is the device's latest: an older answer would carry a token that is void.
            InviteState::Used => match known.filter(|known| known.invite == *secret_hash) {
                Some(known) if invite.used_by == Some(author) => return Ok(self.answer(known)),
                _ => return Err(EnrolError::UsedInvite),
            },
            InviteState::Withdrawn => return Err(EnrolError::WithdrawnInvite),
            InviteState::Expired => return Err(EnrolError::ExpiredInvite),
            InviteState::Void => return Err(EnrolError::VoidInvite),
        }

        if let Some(maker) = invite.created_by {
            self.invited.take(What::Enrolment, self.maker(maker, invite.unit), invite.unit, now)?;
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
            invite: *secret_hash,
            token: Vec::new(),
            revoked: false,
            former,
            moves,
            placed_in: Some(self.epoch()),
        };
        record.token = self.keys.mint(&record, self.random()?)?;
        invite.used_by = Some(author);
        let use_invite = invite.to_change(secret_hash, Some(stored));
        // Only if nobody else has enrolled under this author id meanwhile, or changed the device: moved or revoked it.
        let keep_device = RecordChange { expect: Some(before), ..record.to_change() };
        self.departures.write(&*self.store, &left, vec![use_invite, keep_device], now)?;
        self.devices.keep(&*self.store, record.clone());
        let mut done = vec![Entry::Used(*secret_hash, author)];
        if moves > 0 {
            done.push(Entry::Placed(device, record.placement()));
        }
        self.note(&done, now);
        Ok(self.answer(record))
    }

    fn answer(&self, record: DeviceRecord) -> Enrolment {
        let signed = signed_enrolled(&record.invite, &record.public_key, record.expires_at, &record.token);
        Enrolment {
            proof: self.keys.signing.sign(&signed).to_bytes(),
            device: record.id(),
            name: record.name.clone(),
            unit: record.unit,
            role: record.role(),
            expires_at: record.expires_at,
            token: record.token,
        }
    }
}

/// Why a device was not enrolled. Its invite is untouched, unless it was used already.
#[derive(Debug, thiserror::Error)]
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
    #[error("the invite is void, since its maker can no longer invite to this unit; ask for a new one")]
    VoidInvite,
    /// The device is shut out.
    #[error("the device was revoked and cannot enrol again; ask your officer")]
    Revoked,
    /// Another key's device has the author id that this key gives.
    #[error(
        "another device is enrolled here under the id that this key gives; start in a fresh folder (an app: install it \
         anew), which makes another key, and use the invite there"
    )]
    OtherKey,
    /// Over [`DEVICE_NAME_CHARS_MAX`].
    #[error("a device's name has at most {DEVICE_NAME_CHARS_MAX} characters")]
    NameTooLong,
    /// Something in the name cannot be seen.
    #[error(transparent)]
    Name(#[from] TextError),
    /// The server's clock is wrong.
    #[error(transparent)]
    Clock(#[from] ClockBehind),
    /// Enough for a day.
    #[error("{0}; the invite stays good until its end")]
    ManyToday(#[from] ManyInvited),
    /// No token could be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The records could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}
