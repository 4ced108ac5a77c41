//! Capability tokens: biscuits whose first block says device, its key, unit, role and end, and of a device that was moved
//! how often and from where. So a token alone is enough for a server that has lost its records, or its newest ones, to know
//! the device again (`moving`).
//!
//! A holder can only narrow a token (biscuit attenuation): facts of later blocks are not read, their checks must hold.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use biscuit_auth::builder::{AuthorizerBuilder, Term, bytes, date, fact, int, string};
use biscuit_auth::datalog::SymbolTable;
use biscuit_auth::{AuthorizerLimits, Biscuit, error};
use data_encoding::HEXLOWER;
use toso_core::id::DeviceId;
use toso_core::time::TimestampMs;
use toso_core::unit::{UnitList, UnitRef};
use toso_sync::AccessRole;

use super::TokenRefusal;
use super::device::DeviceRecord;
use super::keys::{KeyError, RootKeys, key_pair};

/// How long a device's token lives: a year, the longest a phone may be away before an officer must see it again.
pub const TOKEN_LIFE_MS: u64 = 365 * 24 * 60 * 60 * 1000;
/// The largest token that is looked at, in bytes: ours have about 400, each attenuation adds about 150.
pub const TOKEN_BYTES_MAX: usize = 2048;

/// Datalog a token may make the server evaluate. Ours has 4 to 13 facts (8 former units) and one check.
const FACTS_MAX: u64 = 100;
const ITERATIONS_MAX: u64 = 20;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    /// The device it is bound to; `None` for the admin token.
    pub(super) device: Option<DeviceId>,
    /// The admin token's serial.
    pub(super) serial: Option<Vec<u8>>,
    /// The device's public key, and when the token ends.
    pub(super) key: Option<([u8; 32], TimestampMs)>,
    pub(super) unit: UnitRef,
    pub(super) role: AccessRole,
    /// How often the device had been placed anew when the token was made, and where it was before.
    pub(super) moves: u32,
    pub(super) former: Vec<UnitRef>,
}

impl RootKeys {
    /// A token for a device as its record has it.
    pub(super) fn mint(&self, device: &DeviceRecord, fresh: [u8; 32]) -> Result<Vec<u8>, KeyError> {
        // A token ends in a key of its own, with which its holder could narrow it further.
        let next = key_pair(&fresh)?;
        let build = || {
            let params: HashMap<String, Term> = [("end".to_owned(), date(&system_time(device.expires_at)))].into();
            let ends = i64::try_from(device.expires_at.0).unwrap_or(i64::MAX);
            let place = |unit: UnitRef| [int(i64::from(unit.list.year())), string(unit.code.as_str())];
            let mut block = Biscuit::builder()
                .fact(fact("device", &[string(&device.id().to_string())]))?
                .fact(fact("key", &[bytes(&device.public_key), int(ends)]))?
                .fact(fact("unit", &place(device.unit)))?
                .fact(fact("role", &[string(device.role().word())]))?;
            if device.moves > 0 {
                block = block.fact(fact("moves", &[int(i64::from(device.moves))]))?;
            }
            for former in &device.former {
                block = block.fact(fact("former", &place(former.unit)))?;
            }
            block
                .code_with_params("check if time($now), $now <= {end}", params, HashMap::new())?
                .build_with_key_pair(&self.root, SymbolTable::new(), &next)?
                .to_vec()
        };
        build().map_err(|error| KeyError::Token { detail: error.to_string() })
    }

    /// The admin token: everything, everywhere, bound to no device, alive while its serial is the server's.
    pub(super) fn mint_admin(&self, serial: &[u8], fresh: [u8; 32]) -> Result<Vec<u8>, KeyError> {
        let next = key_pair(&fresh)?;
        let build = || {
            Biscuit::builder()
                .fact(fact("serial", &[string(&HEXLOWER.encode(serial))]))?
                .fact(fact("unit", &[int(i64::from(UnitList::L2022.year())), string("00")]))?
                .fact(fact("role", &[string(AccessRole::Admin.word())]))?
                .build_with_key_pair(&self.root, SymbolTable::new(), &next)?
                .to_vec()
        };
        build().map_err(|error| KeyError::Token { detail: error.to_string() })
    }

    /// Checks signatures and checks, and reads the first block.
    pub(super) fn verify(&self, token: &[u8], now: TimestampMs) -> Result<Grant, TokenRefusal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenRefusal::Invalid);
        }
        match self.read(token, now) {
            Ok(Some(grant)) => Ok(grant),
            // On the machine's clock: that of a machine with too much to do runs out for good tokens, too.
            Err(error::Token::RunLimit(error::RunLimit::Timeout)) => Err(TokenRefusal::Unchecked),
            Ok(None) | Err(_) => Err(TokenRefusal::Invalid),
        }
    }

    fn read(&self, token: &[u8], now: TimestampMs) -> Result<Option<Grant>, error::Token> {
        let biscuit = Biscuit::from(token, self.public())?;
        let limits =
            AuthorizerLimits { max_facts: FACTS_MAX, max_iterations: ITERATIONS_MAX, max_time: self.token_time_max };
        let mut authorizer = AuthorizerBuilder::new()
            .fact(fact("time", &[date(&system_time(now))]))?
            .policy("allow if true")?
            .set_limits(limits)
            .build(&biscuit)?;
        authorizer.authorize()?;
        let units: Vec<(i64, String)> = authorizer.query("found($list, $code) <- unit($list, $code)")?;
        let roles: Vec<(String,)> = authorizer.query("found($role) <- role($role)")?;
        let devices: Vec<(String,)> = authorizer.query("found($device) <- device($device)")?;
        let keys: Vec<(Vec<u8>, i64)> = authorizer.query("found($key, $ends) <- key($key, $ends)")?;
        let serials: Vec<(String,)> = authorizer.query("found($serial) <- serial($serial)")?;
        let ([(year, code)], [(role,)]) = (units.as_slice(), roles.as_slice()) else { return Ok(None) };
        let unit = unit_of(*year, code);
        let (Some(unit), Ok(role)) = (unit, role.parse()) else { return Ok(None) };
        let moves: Vec<(i64,)> = authorizer.query("found($moves) <- moves($moves)")?;
        let moves = moves.first().and_then(|(moves,)| u32::try_from(*moves).ok()).unwrap_or_default();
        let former: Vec<(i64, String)> = authorizer.query("found($list, $code) <- former($list, $code)")?;
        let former = former.iter().filter_map(|(year, code)| unit_of(*year, code)).collect();
        let key = keys
            .first()
            .and_then(|(key, ends)| Some((key.as_slice().try_into().ok()?, TimestampMs(u64::try_from(*ends).ok()?))));
        let device = devices.first().and_then(|(device,)| device.parse().ok());
        let serial = serials.first().and_then(|(serial,)| HEXLOWER.decode(serial.as_bytes()).ok());
        // Bound to a device or numbered by a serial: exactly one of the two.
        Ok((device.is_some() != serial.is_some()).then_some(Grant { device, serial, key, unit, role, moves, former }))
    }
}

fn unit_of(year: i64, code: &str) -> Option<UnitRef> {
    let list = u16::try_from(year).ok().and_then(UnitList::from_year)?;
    UnitRef::new(list, code).ok()
}

/// A token as text.
pub(super) fn encode_text(token: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(token)
}

/// Reads a token's text; `None` when it is none.
pub(super) fn decode_text(text: &str) -> Option<Vec<u8>> {
    (text.len() <= TOKEN_BYTES_MAX * 4 / 3 + 4).then(|| URL_SAFE_NO_PAD.decode(text.trim()).ok()).flatten()
}

fn system_time(at: TimestampMs) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(at.seconds())
}
