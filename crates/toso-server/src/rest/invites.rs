//! Invites, for officers: `GET /v1/invites`, `POST /v1/invites`, `POST /v1/invites/{number}/withdraw`. A list tells
//! everything of an invite but its secret, which the server does not have.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::HOST;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use toso_core::id::DevicePrefix;
use toso_core::time::TimestampMs;
use toso_sync::{AccessRole, Rank};

use super::admin::{below, blocking, name_of, officer};
use super::documents::{List, read};
use super::extract::{Id, Json, NoBody, Params, limit, unit_within};
use crate::problem::Problem;
use crate::reach::Reach;
use crate::state::{Shared, now};
use crate::trust::{Caller, INVITE_LIFE_MS_DEFAULT, InviteError, InviteNumber, InviteOrder, InviteRecord, InviteState};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InviteRequest {
    unit: String,
    role: String,
    expires_in_s: Option<u64>,
    url: Option<String>,
}

/// An invite, once: the server keeps only the secret's hash.
#[derive(Serialize)]
pub(super) struct InviteAnswer {
    invite: String,
    unit: String,
    role: String,
    expires_at: TimestampMs,
    /// Why phones may not reach the address in it; null when nothing speaks against it.
    warning: Option<String>,
}

/// An invite as officers see it later.
#[derive(Serialize)]
pub(super) struct InviteItem {
    number: InviteNumber,
    unit: String,
    role: String,
    state: InviteState,
    /// The officer's device; null for the admin token.
    created_by: Option<DevicePrefix>,
    created_by_name: Option<String>,
    created_at: TimestampMs,
    expires_at: TimestampMs,
    used_by: Option<DevicePrefix>,
    used_by_name: Option<String>,
    withdrawn_by: Option<DevicePrefix>,
    withdrawn_at: Option<TimestampMs>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    unit: String,
    after: Option<String>,
    limit: Option<usize>,
}

/// Makes an invite for a unit within the caller's, with a role that is below the caller's there.
pub(super) async fn make(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    headers: HeaderMap,
    Json(request): Json<InviteRequest>,
) -> Result<(StatusCode, axum::Json<InviteAnswer>), Problem> {
    let role: AccessRole = request.role.parse().map_err(|error| Problem::invalid(format!("role: {error}")))?;
    let unit = unit_within(&shared, &caller, &request.unit)?;
    officer(&caller)?;
    below(&shared, &caller, Rank { role, unit }, "invite")?;
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let named = request.url.or_else(|| shared.config.public_url.clone());
    let guessed = named.is_none();
    let url = named
        .or_else(|| host.map(|host| format!("http://{host}")))
        .ok_or_else(|| Problem::invalid("say under which url devices reach this server"))?;
    let warning = match Reach::of_url(&url) {
        Reach::Nowhere(why) => {
            return Err(Problem::invalid(format!(
                "no device can reach {url}: {why}; start the server with --public-url, or send the address as url"
            )));
        }
        Reach::Narrow(why) => Some(format!(
            "devices are sent to {url}: {why}; start the server with --public-url to name an address that they reach"
        )),
        Reach::Wide if guessed => Some(format!(
            "devices are sent to {url}, the address that this request came by, without TLS; start the server with \
             --public-url to name the address that they are to use"
        )),
        Reach::Wide => None,
    };
    let order = InviteOrder {
        url,
        unit,
        role,
        life_ms: request.expires_in_s.map_or(INVITE_LIFE_MS_DEFAULT, |seconds| seconds.saturating_mul(1000)),
        created_by: caller.author(),
    };
    let invite = blocking(&shared, move |shared| shared.trust.invite(&order, now())).await?;
    let invite = invite.map_err(|error| match error {
        InviteError::Life { .. } | InviteError::Url => Problem::invalid(error.to_string()),
        InviteError::ManyToday(many) => Problem::many_today(many.wait_ms, many.to_string()),
        InviteError::Clock(behind) => behind.into(),
        InviteError::Store(error) => error.into(),
        InviteError::Key(error) => {
            tracing::error!(%error, "an invite could not be made");
            Problem::internal()
        }
    })?;
    let answer = InviteAnswer {
        invite: invite.to_text(),
        unit: invite.unit.to_string(),
        role: invite.role,
        expires_at: invite.expires_at,
        warning,
    };
    Ok((StatusCode::CREATED, axum::Json(answer)))
}

/// The invites of a unit and of those below it, by number.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Params(query): Params<Query>,
) -> Result<axum::Json<List<InviteItem, InviteNumber>>, Problem> {
    officer(&caller)?;
    let unit = unit_within(&shared, &caller, &query.unit)?;
    let limit = limit(query.limit)?;
    let after = query.after.filter(|text| !text.is_empty()).map(|text| text.parse()).transpose();
    let after = after.map_err(|error| Problem::invalid(format!("after: {error}")))?;
    let list = read(&shared, &caller, move |shared, _| {
        let within = |of| (of == unit || shared.catalog.covers(unit, of)) && caller.covers(shared.catalog, of);
        let (found, more) = shared.trust.invites(after, limit, |invite| within(invite.unit))?;
        let next = found.last().filter(|_| more).map(|(number, _)| *number);
        Ok(List { items: found.iter().map(|(number, invite)| item(shared, *number, invite)).collect(), next })
    })
    .await?;
    Ok(axum::Json(list))
}

/// Takes an invite back: nobody can use it any more. Its maker may, and those who stand above the rank that it gives.
pub(super) async fn withdraw(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Id(number): Id<InviteNumber>,
    NoBody: NoBody,
) -> Result<axum::Json<InviteItem>, Problem> {
    officer(&caller)?;
    let missing = || Problem::missing("invite", &number.to_string());
    let known = read(&shared, &caller, move |shared, _| Ok(shared.trust.invite_numbered(number)?)).await?;
    let known = known.filter(|invite| caller.covers(shared.catalog, invite.unit)).ok_or_else(missing)?;
    if known.created_by.is_none() || known.created_by != caller.author() {
        below(&shared, &caller, known.rank(), "withdraw an invite for")?;
    }
    let withdrawn =
        blocking(&shared, move |shared| shared.trust.withdraw_invite(number, caller.author(), now())).await??;
    let withdrawn = withdrawn.ok_or_else(missing)?;
    if let Some(device) = withdrawn.used_by {
        let detail = format!("device {device} has used this invite; revoke the device instead");
        return Err(Problem::new(StatusCode::CONFLICT, "used-invite", "The invite was used").detail(detail));
    }
    tracing::info!(%number, "invite withdrawn");
    Ok(axum::Json(item(&shared, number, &withdrawn)))
}

fn item(shared: &Shared, number: InviteNumber, invite: &InviteRecord) -> InviteItem {
    InviteItem {
        number,
        unit: invite.unit.to_string(),
        role: invite.role.clone(),
        state: shared.trust.invite_state(invite, now()),
        created_by: invite.created_by.map(|by| shared.trust.shown(by)),
        created_by_name: invite.created_by.and_then(|by| name_of(shared, by)),
        created_at: invite.created_at,
        expires_at: invite.expires_at,
        used_by: invite.used_by.map(|by| shared.trust.shown(by)),
        used_by_name: invite.used_by.and_then(|by| name_of(shared, by)),
        withdrawn_by: invite.withdrawn.and_then(|withdrawal| withdrawal.by).map(|by| shared.trust.shown(by)),
        withdrawn_at: invite.withdrawn.map(|withdrawal| withdrawal.at),
    }
}
