//! Invites, and an invite for a credential: once, by a request.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};
use toso_core::id::ServerId;
use toso_core::text::{TextError, canonical, check_device_name};
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_replica::carry::pass::PassAnswer;
use toso_replica::replica::names::{keep_own_name, own_name};
use toso_replica::{Credential, CredentialError};
use toso_store::{ChunkStore, StoreError};
pub use toso_wire::enrol::{Invite, InviteError};
use toso_wire::enrol::{signed_enrol, signed_enrolled};

use crate::rest::{Asks, Caller, Rest, RestError, at_once, json, post};
use crate::system::{self, now};

/// Why enrolment failed. The store is as it was.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The invite cannot be read.
    #[error(transparent)]
    Invite(#[from] InviteError),
    /// The server refused, or could not be reached.
    #[error(transparent)]
    Rest(#[from] RestError),
    /// Another server answered at the invite's address.
    #[error("the server at {url} is not the one that made the invite; check the address with your officer")]
    OtherServer {
        /// The address.
        url: String,
    },
    /// The device belongs to another register.
    #[error(
        "this device belongs to the register at {url} (server {held}), and the invite is of another one (server \
         {invited}), which would get everything that is here; nothing was sent. Use a folder (an app: data) of its own for \
         the other register, or empty this one first (`toso field leave`)"
    )]
    OtherRegister {
        /// The address of the register that it belongs to.
        url: String,
        /// That register's server.
        held: ServerId,
        /// The invite's.
        invited: ServerId,
    },
    /// The device's name is none that officers could read.
    #[error(transparent)]
    Name(#[from] TextError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The credential could not be kept.
    #[error(transparent)]
    Credential(#[from] CredentialError),
}

/// The request of `POST /v1/enrol`.
#[derive(Debug, Serialize)]
struct EnrolRequest {
    secret: String,
    public_key: String,
    signature: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_name: Option<String>,
}

/// Its answer.
#[derive(Debug, Deserialize)]
struct EnrolResponse {
    token: String,
    server_id: ServerId,
    unit: UnitRef,
    role: String,
    expires_at: TimestampMs,
    root_public_key: String,
    proof: String,
    /// What officers see the device as: what it was called when this invite was used for the first time.
    #[serde(default)]
    device_name: Option<String>,
    /// Card and bundle key; absent at a server that has none.
    carry: Option<PassAnswer>,
}

/// The request of `POST /v1/invites`.
#[derive(Debug, Serialize)]
struct InviteRequest<'a> {
    /// `2022/00004`.
    unit: String,
    role: &'a str,
    expires_in_s: u64,
}

/// An invite that was made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MadeInvite {
    /// Its text, which a QR code carries.
    #[serde(rename = "invite")]
    pub text: String,
    /// Why devices may not reach the address in it.
    #[serde(default)]
    pub warning: Option<String>,
}

/// Has an officer's one-time invite made for a unit, good for `life`. `role` is `recorder`, `officer` or `viewer`. Blocks.
pub fn make_invite(
    rest: &Rest,
    server_url: &str,
    officer: &Caller,
    unit: UnitRef,
    role: &str,
    life: Duration,
) -> Result<MadeInvite, RestError> {
    let request = InviteRequest { unit: unit.to_string(), role, expires_in_s: life.as_secs() };
    rest.post(server_url, "/v1/invites", officer, &request)
}

/// [`enrol_over`] an agent that blocks.
pub fn enrol(
    store: &dyn ChunkStore,
    rest: &Rest,
    invite: &Invite,
    device_name: Option<&str>,
) -> Result<Credential, EnrolError> {
    at_once(enrol_over(store, rest, invite, device_name))
}

/// Exchanges an invite for a credential and keeps it, with how the server is reached. Repeating it with the same
/// invite on the same device gives the same answer, so a lost response does no harm. A device that is given no name keeps the
/// one that it has. An invite of another server than the one that the device belongs to is refused before anything is sent.
pub async fn enrol_over(
    store: &dyn ChunkStore,
    asks: &dyn Asks,
    invite: &Invite,
    device_name: Option<&str>,
) -> Result<Credential, EnrolError> {
    check_register(store, invite.server)?;
    device_name.map_or(Ok(()), check_device_name)?;
    let device = system::device(store)?;
    let public_key = device.public_key();
    let secret_hash = *blake3::hash(&invite.secret).as_bytes();
    let signature = device.sign(&signed_enrol(invite.server, &secret_hash, &public_key));
    // What nobody sees goes, as in every other text that a person enters; a server refuses it.
    let device_name = match device_name.map(canonical).filter(|name| !name.is_empty()) {
        None => own_name(store)?,
        given => given,
    };
    let request = EnrolRequest {
        secret: URL_SAFE_NO_PAD.encode(invite.secret),
        public_key: URL_SAFE_NO_PAD.encode(public_key),
        signature: URL_SAFE_NO_PAD.encode(signature),
        device_name,
    };
    let response: EnrolResponse = post(asks, &invite.url, "/v1/enrol", None, json(&invite.url, &request)?).await?;
    let token = URL_SAFE_NO_PAD.decode(&response.token).map_err(|_| RestError::Unreadable {
        url: invite.url.clone(),
        detail: "the token is not base64url".to_owned(),
    })?;
    let signed = signed_enrolled(&secret_hash, &public_key, response.expires_at, &token);
    if !is_of(invite.server, &response, &signed) {
        return Err(EnrolError::OtherServer { url: invite.url.clone() });
    }
    let credential = Credential {
        server_url: invite.url.trim_end_matches('/').to_owned(),
        server_id: response.server_id,
        token,
        unit: response.unit,
        role: response.role,
        token_ends: Some(response.expires_at),
        reach: asks.reach().clone(),
    };
    credential.keep(store)?;
    keep_own_name(store, response.device_name.or(request.device_name).as_deref())?;
    // Without a usable one the device works all the same, and can ask again.
    if let Some(pass) = response.carry.and_then(|answer| answer.read(response.server_id).ok()) {
        pass.keep(store, now())?;
    }
    Ok(credential)
}

/// Refuses an invite of another server than the one that a store belongs to. The same server may have a new address.
fn check_register(store: &dyn ChunkStore, invited: ServerId) -> Result<(), EnrolError> {
    match Credential::load(store) {
        Ok(held) if held.server_id != invited => {
            Err(EnrolError::OtherRegister { url: held.server_url, held: held.server_id, invited })
        }
        Ok(_) | Err(CredentialError::NotEnrolled | CredentialError::Unreadable(_)) => Ok(()),
        Err(CredentialError::Store(error)) => Err(error.into()),
    }
}

/// True when an answer bears the signature of the key that the inviting server's id is made of.
fn is_of(server: ServerId, response: &EnrolResponse, signed: &[u8]) -> bool {
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let root: Option<[u8; 32]> = bytes(&response.root_public_key).and_then(|bytes| bytes.try_into().ok());
    let proof: Option<[u8; 64]> = bytes(&response.proof).and_then(|bytes| bytes.try_into().ok());
    let (Some(root), Some(proof)) = (root, proof) else { return false };
    let key = VerifyingKey::from_bytes(&root);
    response.server_id == server
        && ServerId::from_public_key(&root) == server
        && key.is_ok_and(|key| key.verify_strict(signed, &Signature::from_bytes(&proof)).is_ok())
}

#[cfg(test)]
mod tests;
