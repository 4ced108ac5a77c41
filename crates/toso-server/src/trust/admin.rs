//! The admin token: a file beside the root key, for a person at the server itself.
//!
//! It opens everything, and nobody's name is behind it. So it has an end, and is made anew long before: at a start, and
//! while the server runs. Its user reads the file each time; a copy that lies about is worthless after some weeks.
//! Where it may be used from, and the line that each use leaves, is for `rest`.

use subtle::ConstantTimeEq as _;
use toso_core::text::pasted;
use toso_core::time::TimestampMs;
use toso_store::{RecordChange, RecordStore, StoreError};

use super::keys::{KeyError, write_private};
use super::{Trust, bytes_of, token};
use crate::bounded;
use crate::tables::SERVER_TABLE;

/// How long an admin token is good: 90 days, a quarter of a device's year. It is made anew when half of that is over, so a
/// copy lives 45 to 90 days when the server is off meanwhile, and at most 45 when it runs.
pub const ADMIN_TOKEN_LIFE_MS: u64 = 90 * 24 * 60 * 60 * 1000;

/// The largest such file that is read: a token has at most 4 KiB as text, twice that in UTF-16.
const ADMIN_FILE_BYTES_MAX: u64 = 16 * 1024;

const SERIAL_KEY: &[u8] = b"admin_serial";
const ENDS_KEY: &[u8] = b"admin_ends";

/// What the server remembers of the token that it made last.
#[derive(Debug, Clone, Default)]
pub(super) struct AdminToken {
    serial: Vec<u8>,
    /// Zero for one that was made before tokens had an end.
    ends: TimestampMs,
}

impl AdminToken {
    pub(super) fn load(store: &dyn RecordStore) -> Result<Option<Self>, StoreError> {
        let Some(serial) = store.record(SERVER_TABLE, SERIAL_KEY)? else { return Ok(None) };
        let ends = store.record(SERVER_TABLE, ENDS_KEY)?.and_then(|bytes| bytes.try_into().ok());
        Ok(Some(Self { serial, ends: TimestampMs(ends.map_or(0, u64::from_be_bytes)) }))
    }

    /// True when it is to be made anew. An end that lies too far ahead is of a clock that was wrong.
    fn is_due(&self, now: TimestampMs) -> bool {
        let left_ms = self.ends.since_ms(now);
        left_ms <= ADMIN_TOKEN_LIFE_MS / 2 || left_ms > ADMIN_TOKEN_LIFE_MS
    }
}

impl Trust {
    /// True when the file holds the present token, however an editor has left it. It is the server's own file, so one that
    /// holds anything else (nothing, since a disk was full; an old copy) is made anew, as if it were missing.
    fn holds_admin_token(&self, admin: &AdminToken) -> bool {
        let Ok(bytes) = bounded::read(&self.admin_token_path, ADMIN_FILE_BYTES_MAX) else { return false };
        let text = pasted::file_text(&bytes).map(|text| pasted::plain(&text));
        let minted = text.and_then(|text| token::decode_text(text.trim()));
        let serial = minted.and_then(|minted| self.keys.verify(&minted).ok()).and_then(|grant| grant.serial);
        let holds = serial.is_some_and(|serial| bool::from(serial.ct_eq(admin.serial.as_slice())));
        if !holds && self.admin_token_path.exists() {
            tracing::warn!("the admin token's file does not hold the present token; it is made anew");
        }
        holds
    }

    /// Makes the admin token anew when its file is missing or holds something else, or half of its life is over. `true` when it was made: every
    /// copy of the one before is worthless from now on.
    pub fn renew_admin_token(&self, now: TimestampMs) -> Result<bool, KeyError> {
        let mut admin = self.admin.write();
        if !admin.is_due(now) && self.holds_admin_token(&admin) {
            return Ok(false);
        }
        let made = AdminToken { serial: self.random::<16>()?.to_vec(), ends: now.plus_ms(ADMIN_TOKEN_LIFE_MS) };
        let record = |key: &[u8], value: Vec<u8>| RecordChange {
            table: SERVER_TABLE.to_owned(),
            key: key.to_vec(),
            value: Some(value),
            expect: None,
        };
        let ends = made.ends.0.to_be_bytes().to_vec();
        let records = [record(SERIAL_KEY, made.serial.clone()), record(ENDS_KEY, ends)];
        // The old file goes first: after a crash there is the new token's file or none, and a start without one makes it.
        let unlinked = std::fs::remove_file(&self.admin_token_path);
        if let Err(error) = unlinked
            && error.kind() != std::io::ErrorKind::NotFound
        {
            let path = self.admin_token_path.display().to_string();
            return Err(KeyError::Io { operation: "removing", path, detail: error.to_string() });
        }
        self.store.command(now, &records)?;
        let minted = self.keys.mint_admin(&made.serial, bytes_of(&self.random)?)?;
        write_private(&self.admin_token_path, &token::encode_text(&minted))?;
        *admin = made;
        Ok(true)
    }

    /// True when a serial is that of the present token.
    pub(super) fn admin_token_is(&self, serial: &[u8]) -> bool {
        let admin = self.admin.read();
        bool::from(serial.ct_eq(admin.serial.as_slice())) && !admin.serial.is_empty()
    }

    /// True until the present token ends.
    pub(crate) fn admin_token_lasts(&self, now: TimestampMs) -> bool {
        !token::has_ended(self.admin.read().ends, now)
    }
}
