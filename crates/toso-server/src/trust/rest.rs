//! Who calls the REST interface: the admin token, or a device's token with the device's signature over the request.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;
use toso_catalog::Catalog;
use toso_core::id::DeviceId;
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_sync::{AccessRole, Principal};
use toso_wire::enrol::signed_rest;

use super::hello::{CLOCK_SKEW_MS_MAX, verify};
use super::{TokenRefusal, Trust, token};

/// An authenticated caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The device; `None` for the admin token.
    pub device: Option<DeviceId>,
    /// What it may do.
    pub role: AccessRole,
    /// Where.
    pub unit: UnitRef,
}

impl Caller {
    /// True when `unit` lies within the caller's unit. The admin token covers everything, under either list.
    pub fn covers(&self, catalog: &Catalog, unit: UnitRef) -> bool {
        match self.device {
            None => true,
            Some(device) => Principal { device, role: self.role, unit: self.unit }.covers(catalog, unit),
        }
    }
}

/// Why a request is not authenticated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestRefusal {
    /// No bearer token.
    #[error("send a token: Authorization: Bearer …")]
    NoToken,
    /// The token is not accepted.
    #[error(transparent)]
    Token(#[from] TokenRefusal),
    /// A device's token came without the device's signature.
    #[error("this token is bound to a device; sign the request: Toso-Signature: <unix ms>.<base64url signature>")]
    NoSignature,
    /// The signed time is too far from the server's.
    #[error("the request was signed {off_ms} ms off the server's clock; sign again with the server's time")]
    Clock {
        /// How far.
        off_ms: u64,
    },
}

impl Trust {
    /// Checks a bearer token and, for a device's, the signature over method, path and time.
    pub fn caller(
        &self,
        bearer: Option<&str>,
        signature: Option<&str>,
        method: &str,
        path_and_query: &str,
        now: TimestampMs,
    ) -> Result<Caller, RestRefusal> {
        let bearer = bearer.and_then(token::decode_text).ok_or(RestRefusal::NoToken)?;
        let grant = self.keys.verify(&bearer, now)?;
        if let Some(serial) = &grant.serial {
            let current = bool::from(serial.as_slice().ct_eq(self.admin_serial.as_slice()));
            let caller = Caller { device: None, role: grant.role, unit: grant.unit };
            return if current { Ok(caller) } else { Err(TokenRefusal::Invalid.into()) };
        }
        let device = self.device_of(&grant)?;
        let (at, signature) = signature.and_then(|text| text.split_once('.')).ok_or(RestRefusal::NoSignature)?;
        let (Ok(at), Ok(signature)) = (at.parse(), URL_SAFE_NO_PAD.decode(signature)) else {
            return Err(RestRefusal::NoSignature);
        };
        let signed = signed_rest(self.server(), method, path_and_query, TimestampMs(at));
        if !verify(&device.public_key, &signed, &signature) {
            return Err(TokenRefusal::BadSignature.into());
        }
        let off_ms = now.0.abs_diff(at);
        if off_ms > CLOCK_SKEW_MS_MAX {
            return Err(RestRefusal::Clock { off_ms });
        }
        Ok(Caller { device: Some(device.id()), role: grant.role, unit: grant.unit })
    }
}
