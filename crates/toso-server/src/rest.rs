//! The REST interface under `/v1`, with health and metrics beside it.
//!
//! Every answer that is not a success is problem+json (RFC 9457). Every route but `/healthz` and enrolment (whose
//! invite is its proof) takes a [`Caller`](crate::trust::Caller), and every handler checks that the unit asked about
//! lies within the caller's.

mod activity;
mod admin;
mod backup;
mod carry;
mod documents;
mod door;
mod enrol;
mod extract;
mod guard;
mod invites;
mod members;
mod moving;
mod names;
mod ops;
mod origin;
mod quarantine;
mod quota;
mod report;
mod review;
mod set_aside;
mod teams;
mod units;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

use toso_wire::rest::REGISTER_HEADER;

use crate::config::{POST_SYNC_TIME_MAX, REQUEST_TIME_MAX, REST_BODY_BYTES_MAX};
use crate::metrics::HttpLabels;
use crate::problem::Problem;
use crate::state::Shared;
use crate::{post_sync, socket};
use door::Door;

/// Items of a list unless the caller says otherwise.
pub(crate) const LIMIT_DEFAULT: usize = 50;
/// The most items of a list: each is folded from its chunks for the answer, at about 0.5 ms.
pub(crate) const LIMIT_MAX: usize = 200;

/// Both ways to sync.
const SYNC_ROUTE: &str = "/v1/sync";

/// All routes of the server.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let by_views = middleware::from_fn_with_state(Arc::clone(&shared), await_views);
    let asking = Router::new()
        .route("/v1/units", get(units::list))
        .route("/v1/report", get(report::report).layer(by_views.clone()))
        .route("/v1/teams", get(teams::list).layer(by_views.clone()))
        .route("/v1/members", get(members::list).layer(by_views.clone()))
        .route("/v1/activity", get(activity::list).layer(by_views.clone()))
        .route("/v1/devices", get(admin::devices))
        .route("/v1/devices/names", get(names::list))
        .route("/v1/review", get(review::list))
        .route("/v1/set-aside", get(set_aside::list))
        .route("/v1/carry", get(carry::pass));
    let plain = Router::new()
        .route("/v1/units/{list}/{code}", get(units::show))
        .route("/v1/quarantine", get(quarantine::show))
        .route(guard::QUARANTINE_END_ROUTE, post(quarantine::end))
        .route("/v1/teams/{id}", get(teams::show).layer(by_views.clone()))
        .route("/v1/members/{id}", get(members::show).layer(by_views))
        .route("/v1/invites/{number}/withdraw", post(invites::withdraw))
        .route("/v1/devices/{id}/revoke", post(admin::revoke))
        .route("/v1/devices/{id}/allow", post(quota::allow))
        .route("/v1/devices/{id}/set-aside", post(set_aside::set_aside))
        .route("/v1/set-aside/{number}/undo", post(set_aside::undo))
        .route("/v1/devices/{id}/move", post(moving::one))
        .route("/v1/devices/move", post(moving::all))
        .route("/v1/review/{number}/accept", post(review::accept))
        .route("/v1/review/{number}/return", post(review::give_back))
        .route("/v1/enrol", post(enrol::enrol))
        .route("/v1/backup", backup::route())
        .route("/healthz", get(ops::health))
        .route("/metrics", get(ops::metrics));
    // One address for both: the list takes parameters, the making none.
    let invites = get(invites::list).merge(post(invites::make).layer(middleware::from_fn(extract::no_parameters)));
    let timed = asking
        .route("/v1/invites", invites)
        .merge(plain.route_layer(middleware::from_fn(extract::no_parameters)))
        .route_layer(middleware::from_fn_with_state(Door::new(Arc::clone(&shared)), door::look))
        .layer(DefaultBodyLimit::max(REST_BODY_BYTES_MAX));
    // It bounds its body itself.
    let sync = Router::new()
        .route(SYNC_ROUTE, get(socket::upgrade).post(post_sync::exchange))
        .route_layer(middleware::from_fn(extract::no_parameters))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&shared), origin::check));
    timed
        .merge(sync)
        .fallback(crate::problem::not_found)
        .method_not_allowed_fallback(crate::problem::method_not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), measure))
        .with_state(shared)
}

/// Figures and lists of a server that has just started wait for what it had stored of them. A stranger is refused at once.
async fn await_views(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    if door::is_known(&request) {
        shared.views.whole().await;
    }
    next.run(request).await
}

/// Ends requests that take too long, counts all of them by route and status, and keeps every answer out of caches.
async fn measure(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let limit = if route == SYNC_ROUTE { POST_SYNC_TIME_MAX } else { REQUEST_TIME_MAX };
    let answer = tokio::time::timeout(limit, next.run(request)).await;
    let mut response = answer.unwrap_or_else(|_| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", "The request took too long")
            .detail(format!("no answer within {} seconds; try again", limit.as_secs()))
            .into_response()
    });
    let status = response.status();
    // An upgrade has no content, and a phone pays for every byte of it.
    if status != StatusCode::SWITCHING_PROTOCOLS {
        let headers = response.headers_mut();
        // Answers hold names and tokens: no proxy and no browser keeps them, or takes them for something that it runs.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // What tells it from the page of a network that wants a sign-in. Answers to sync prove themselves.
        if route != SYNC_ROUTE
            && let Ok(register) = HeaderValue::from_str(&shared.trust.server().to_string())
        {
            headers.insert(REGISTER_HEADER, register);
        }
    }
    let status = status.as_u16();
    shared.metrics.http_requests.get_or_create(&HttpLabels { route, status }).inc();
    response
}
