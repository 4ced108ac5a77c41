//! Who calls the REST interface: the admin token, or a device's token with the device's signature over the request.
//!
//! The order is the defence: a token's size and signature, the device's record, the device's signature over the whole
//! request, and only then whether the token has ended and whether the signature is fresh.

use std::sync::Arc;

use toso_catalog::Catalog;
use toso_core::id::{AuthorId, DeviceId};
use toso_core::time::TimestampMs;
use toso_core::unit::{UnitCode, UnitRef};
use toso_sync::{AccessRole, Principal, Rank};
use toso_wire::rest::{RestSignature, signed_rest};

use super::seen::NotFresh;
use super::signature::{mark, verify};
use super::token::has_ended;
use super::{DeviceRecord, TokenRefusal, Trust, token};

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
    /// By what records name the caller; `None` for the admin token.
    pub fn author(&self) -> Option<AuthorId> {
        self.device.map(|device| device.author())
    }

    /// True when `unit` lies within the caller's unit. The admin token covers everything, under either list.
    pub fn covers(&self, catalog: &Catalog, unit: UnitRef) -> bool {
        match self.device {
            None => true,
            Some(device) => Principal { device, role: self.role, unit: self.unit }.covers(catalog, unit),
        }
    }

    /// True when the caller acts on others: invites, moves and revokes them, decides on their work.
    pub fn directs(&self) -> bool {
        self.device.is_none() || self.role.may_direct()
    }

    /// True when the caller stands above a rank, and so may give it, take it, and decide on its work. The admin token does
    /// above every one.
    pub fn stands_above(&self, catalog: &Catalog, other: &Rank) -> bool {
        self.device.is_none() || Rank { role: self.role, unit: self.unit }.stands_above(catalog, other)
    }

    /// True when the caller may see what is about the country as a whole, not about a unit of it: figures of the server, and
    /// everything that it keeps.
    pub fn is_national_admin(&self) -> bool {
        self.device.is_none() || self.role == AccessRole::Admin && self.unit.code == UnitCode::COUNTRY
    }
}

/// Why a request is not authenticated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestRefusal {
    /// No bearer token.
    #[error("send a token: Authorization: Bearer …")]
    NoToken,
    /// The token is not accepted.
    #[error(transparent)]
    Token(#[from] TokenRefusal),
    /// A device's token came without the device's signature.
    #[error(
        "this token is bound to a device; sign the request: Toso-Signature: v2.<unix ms>.<nonce>.<signature>, as \
         docs/http-api.md says"
    )]
    NoSignature,
    /// The signed time is too far from the server's, or one at which the server may have accepted requests before its
    /// start.
    #[error(
        "the request was signed {off_ms} ms off the server's clock, or for a time that the server, which has just started, \
         remembers nothing of; sign again with server_time"
    )]
    Clock {
        /// How far.
        off_ms: u64,
        /// The time to sign with.
        sign_at: TimestampMs,
    },
    /// This very signature was accepted before.
    #[error("this very request came before; see whether it was done, then sign it anew")]
    Replayed,
    /// The device, or all of them, have signed more than is remembered.
    #[error("too many requests were signed in the last minutes; nothing was done; try again in a minute")]
    Busy,
}

/// Who a token says it is, before the request is looked at.
pub(crate) enum Claimant {
    /// The admin token: nothing is signed by it. Whether it has ended is for `rest` to ask, which says where to read the next.
    Admin(Caller),
    /// A device, which has to have signed the request.
    Device(Claim),
}

/// A device's claim, until its signature is looked at.
pub(crate) struct Claim {
    /// Its record.
    device: Arc<DeviceRecord>,
    /// When its token ends.
    ends: TimestampMs,
}

/// A request as it was signed.
#[derive(Clone, Copy)]
pub(crate) struct SignedRequest<'a> {
    /// The header's value.
    pub(crate) signature: Option<&'a str>,
    /// `GET`, …
    pub(crate) method: &'a str,
    /// As in the request line.
    pub(crate) path_and_query: &'a str,
    /// All of it.
    pub(crate) body: &'a [u8],
}

impl Trust {
    /// Whose token it is, by the root key's signature and the server's record. A stranger gets no further.
    pub(crate) fn claimant(&self, bearer: Option<&str>) -> Result<Claimant, RestRefusal> {
        let bearer = bearer.and_then(token::decode_text).ok_or(RestRefusal::NoToken)?;
        let grant = self.keys.verify(&bearer)?;
        if let Some(serial) = &grant.serial {
            let current = self.admin_token_is(serial);
            let caller = Caller { device: None, role: grant.role, unit: grant.unit };
            return if current { Ok(Claimant::Admin(caller)) } else { Err(TokenRefusal::Invalid.into()) };
        }
        let device = self.device_of(&grant)?;
        let ends = grant.ends(&device);
        Ok(Claimant::Device(Claim { device, ends }))
    }

    /// The device that has signed a request, once its whole body is here.
    pub(crate) fn signer(
        &self,
        Claim { device, ends }: &Claim,
        request: SignedRequest<'_>,
        now: TimestampMs,
    ) -> Result<Caller, RestRefusal> {
        let given = request.signature.and_then(RestSignature::parse).ok_or(RestRefusal::NoSignature)?;
        let RestSignature { at, nonce, signature } = given;
        let signed = signed_rest(self.server(), request.method, request.path_and_query, at, &nonce, request.body);
        if !verify(&device.public_key, &signed, &signature) {
            return Err(TokenRefusal::BadSignature.into());
        }
        if has_ended(*ends, now) {
            return Err(TokenRefusal::Ended.into());
        }
        self.seen.accept(device.id(), at, mark(&signature), now).map_err(|refusal| match refusal {
            NotFresh::Clock { sign_at } => RestRefusal::Clock { off_ms: now.0.abs_diff(at.0), sign_at },
            NotFresh::Seen => RestRefusal::Replayed,
            NotFresh::Full => RestRefusal::Busy,
        })?;
        Ok(Caller { device: Some(device.id()), role: device.role(), unit: device.unit })
    }
}
