//! Capability tokens: biscuits whose first block says device, its key, unit, role and end, and of a device that was moved
//! how often and from where. So a token alone is enough for a server that has lost its records, or its newest ones, to know
//! the device again (`moving`).
//!
//! A token is its first block and nothing else. Biscuits can be narrowed by further blocks, whose Datalog would have to be
//! evaluated: nothing here needs that, so a token with a second block is refused before any signature is checked, and no
//! Datalog is ever run (`docs/adr/0017-tokens-are-read-not-evaluated.md`).

mod envelope;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use biscuit_auth::builder::{AuthorizerBuilder, Fact, Term, bytes, fact, int, string};
use biscuit_auth::datalog::SymbolTable;
use biscuit_auth::{Biscuit, error};
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
/// The largest token that is looked at, in bytes: ours have about 400, and 30 more for each of 8 former units.
pub const TOKEN_BYTES_MAX: usize = 2048;

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

/// True from its end on: of tokens, tickets, invites and enrolments alike.
pub(super) fn has_ended(ends: TimestampMs, now: TimestampMs) -> bool {
    now >= ends
}

impl Grant {
    /// When the token ends: as it says itself, or as the record says.
    pub(super) fn ends(&self, device: &DeviceRecord) -> TimestampMs {
        self.key.map_or(device.expires_at, |(_, ends)| ends)
    }
}

impl RootKeys {
    /// A token for a device as its record has it.
    pub(super) fn mint(&self, device: &DeviceRecord, fresh: [u8; 32]) -> Result<Vec<u8>, KeyError> {
        // A biscuit ends in a key of its own, with which its holder could append to it: in vain.
        let next = key_pair(&fresh)?;
        let build = || {
            let ends = i64::try_from(device.expires_at.0).unwrap_or(i64::MAX);
            let place = |unit: UnitRef| [int(i64::from(unit.list.year())), string(unit.code.as_str())];
            let mut block = Biscuit::builder()
                .fact(fact("key", &[bytes(&device.public_key), int(ends)]))?
                .fact(fact("unit", &place(device.unit)))?
                .fact(fact("role", &[string(device.role().word())]))?;
            if device.moves > 0 {
                block = block.fact(fact("moves", &[int(i64::from(device.moves))]))?;
            }
            for former in &device.former {
                block = block.fact(fact("former", &place(former.unit)))?;
            }
            block.build_with_key_pair(&self.root, SymbolTable::new(), &next)?.to_vec()
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

    /// Checks the root key's signature and reads the token's one block. Nothing of a token is ever evaluated, and a token of
    /// more than one block is not looked at: the holder of a token can append Datalog to it that never ends. When the token
    /// ends is for the caller to judge, once the device has proved itself.
    pub(super) fn verify(&self, token: &[u8]) -> Result<Grant, TokenRefusal> {
        if token.len() > TOKEN_BYTES_MAX || !envelope::has_one_block(token) {
            return Err(TokenRefusal::Invalid);
        }
        self.read(token).ok().flatten().ok_or(TokenRefusal::Invalid)
    }

    fn read(&self, token: &[u8]) -> Result<Option<Grant>, error::Token> {
        // What comes after this line is what the root key has signed.
        let biscuit = Biscuit::from(token, self.public())?;
        if biscuit.block_count() != 1 {
            return Ok(None);
        }
        // Loads the block, and runs nothing.
        let (facts, ..) = AuthorizerBuilder::new().build(&biscuit)?.dump();
        Ok(grant_of(&facts))
    }
}

/// Reads the facts of a block; `None` when they are no grant.
fn grant_of(facts: &[Fact]) -> Option<Grant> {
    let named = |name: &'static str| {
        let facts = facts.iter().map(|fact| &fact.predicate).filter(move |predicate| predicate.name == name);
        facts.map(|predicate| predicate.terms.as_slice())
    };
    let text = |name| match named(name).next() {
        Some([Term::Str(text)]) => Some(text.as_str()),
        _ => None,
    };
    let place = |terms: &[Term]| match terms {
        [Term::Integer(year), Term::Str(code)] => unit_of(*year, code),
        _ => None,
    };
    // Exactly one of each.
    let (1, 1) = (named("unit").count(), named("role").count()) else { return None };
    let (unit, role) = (named("unit").find_map(place)?, text("role")?.parse().ok()?);
    let key = named("key").find_map(|terms| match terms {
        [Term::Bytes(key), Term::Integer(ends)] => {
            Some((key.as_slice().try_into().ok()?, TimestampMs(u64::try_from(*ends).ok()?)))
        }
        _ => None,
    });
    let moves = named("moves").find_map(|terms| match terms {
        [Term::Integer(moves)] => u32::try_from(*moves).ok(),
        _ => None,
    });
    let former = named("former").filter_map(place).collect();
    // Not by the fact `device`, which tokens had formerly: it was half an id.
    let device = key.as_ref().map(|(key, _)| DeviceId::from_public_key(key));
    let serial = text("serial").and_then(|serial| HEXLOWER.decode(serial.as_bytes()).ok());
    // Bound to a device or numbered by a serial: exactly one of the two.
    let moves = moves.unwrap_or_default();
    (device.is_some() != serial.is_some()).then_some(Grant { device, serial, key, unit, role, moves, former })
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
