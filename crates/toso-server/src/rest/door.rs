//! Who calls: looks at a request's token and signature before its handler runs, and keeps the answer for the handler.
//!
//! A stranger costs little: the token is judged before any of the body is read. Signatures take some 0.1 ms of a core each,
//! so they are checked on threads of their own, a few at a time, and no session waits for them.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{AUTHORIZATION, HeaderName, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use toso_wire::rest::REST_SIGNATURE_HEADER;

use super::guard;
use crate::config::REST_BODY_BYTES_MAX;
use crate::problem::Problem;
use crate::state::{Shared, now};
use crate::trust::{Caller, Claimant, RestRefusal, SignedRequest, TokenRefusal, Trust};

/// What the layer needs.
#[derive(Clone)]
pub(super) struct Door {
    shared: Arc<Shared>,
}

/// What came of the check; kept with the request for the handler that wants to know.
#[derive(Clone)]
struct Checked(Result<Caller, RestRefusal>);

impl Door {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Works at the trust room on a thread that may compute.
    async fn check<T: Send + 'static>(&self, work: impl FnOnce(&Trust) -> T + Send + 'static) -> Result<T, Problem> {
        let shared = Arc::clone(&self.shared);
        self.shared.checks.run(move || work(&shared.trust)).await.ok_or_else(Problem::internal)
    }

    async fn judge(&self, request: Request) -> Result<Request, Problem> {
        let bearer = header(request.headers().get(AUTHORIZATION)).and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.to_owned())
        });
        let claimant = self.check(move |trust| trust.claimant(bearer.as_deref())).await?;
        let (mut parts, body) = request.into_parts();
        let claim = match claimant {
            Ok(Claimant::Device(claim)) => claim,
            // Nothing of it is signed, so its body can wait for the handler.
            Ok(Claimant::Admin(caller)) => {
                guard::admin(&self.shared, &parts)?;
                return Ok(checked(parts, body, Ok(caller)));
            }
            Err(refusal) => return Ok(checked(parts, body, Err(refusal))),
        };
        let body = whole(body).await?;
        let signature = header(parts.headers.get(HeaderName::from_static(REST_SIGNATURE_HEADER)));
        let path = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str).to_owned();
        let (method, signed) = (parts.method.clone(), body.clone());
        let caller = self
            .check(move |trust| {
                let signature = signature.as_deref();
                let request =
                    SignedRequest { signature, method: method.as_str(), path_and_query: &path, body: &signed };
                trust.signer(&claim, request, now())
            })
            .await?;
        parts.extensions.insert(Checked(caller));
        Ok(Request::from_parts(parts, Body::from(body)))
    }
}

/// Looks at who calls. A request without a token goes on as it is: not every handler asks.
pub(super) async fn look(State(door): State<Door>, request: Request, next: Next) -> Response {
    let judged = if request.headers().contains_key(AUTHORIZATION) { door.judge(request).await } else { Ok(request) };
    let admitted = judged.and_then(|request| {
        let caller = request.extensions().get::<Checked>().and_then(|Checked(caller)| caller.as_ref().ok());
        guard::quarantine(&door.shared, &request, caller)?;
        Ok(request)
    });
    match admitted {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// True when somebody with a right asks.
pub(super) fn is_known(request: &Request) -> bool {
    request.extensions().get::<Checked>().is_some_and(|Checked(caller)| caller.is_ok())
}

fn checked(mut parts: Parts, body: Body, caller: Result<Caller, RestRefusal>) -> Request {
    parts.extensions.insert(Checked(caller));
    Request::from_parts(parts, body)
}

fn header(value: Option<&HeaderValue>) -> Option<String> {
    value.and_then(|value| value.to_str().ok()).map(ToOwned::to_owned)
}

/// All of a body, which has to be here before its signature can be checked.
async fn whole(body: Body) -> Result<Bytes, Problem> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(part) = stream.next().await {
        bytes.extend(part.map_err(|error| Problem::invalid(error.to_string()))?);
        if bytes.len() > REST_BODY_BYTES_MAX {
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large")
                .detail(format!("at most {REST_BODY_BYTES_MAX} bytes are accepted")));
        }
    }
    Ok(bytes.into())
}

impl FromRequestParts<Arc<Shared>> for Caller {
    type Rejection = Problem;

    fn from_request_parts(
        parts: &mut Parts,
        _shared: &Arc<Shared>,
    ) -> impl Future<Output = Result<Self, Problem>> + Send {
        let checked = parts.extensions.get::<Checked>();
        let caller = checked.map_or(Err(RestRefusal::NoToken), |Checked(caller)| caller.clone());
        std::future::ready(caller.map_err(|refusal| problem(&refusal)))
    }
}

fn problem(refusal: &RestRefusal) -> Problem {
    let kind = match refusal {
        RestRefusal::NoToken | RestRefusal::NoSignature => "no-token",
        RestRefusal::Clock { .. } => "clock",
        RestRefusal::Replayed => "replayed",
        RestRefusal::Token(TokenRefusal::Revoked) => "revoked",
        RestRefusal::Token(_) => "bad-token",
        RestRefusal::Busy => {
            return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Too many requests")
                .detail(refusal.to_string());
        }
    };
    let sign_at = match refusal {
        RestRefusal::Clock { sign_at, .. } => *sign_at,
        RestRefusal::NoToken
        | RestRefusal::NoSignature
        | RestRefusal::Replayed
        | RestRefusal::Token(_)
        | RestRefusal::Busy => now(),
    };
    Problem::new(StatusCode::UNAUTHORIZED, kind, "Not authenticated")
        .detail(refusal.to_string())
        // So that a device whose clock is off can sign again.
        .with("server_time", sign_at.0)
        .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}
