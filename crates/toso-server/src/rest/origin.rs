//! Who may speak to the sync addresses from within a browser.
//!
//! A browser names in `Origin` the page that a request comes from, and lets any page open a WebSocket to any server. So
//! where the header is present it must be exactly this server's own origin, or one that the operator has named. Apps send
//! none.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::ORIGIN;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::problem::Problem;
use crate::state::Shared;

/// Refuses pages of other origins.
pub(super) async fn check(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let mut origins = request.headers().get_all(ORIGIN).iter();
    let allowed = match (origins.next(), origins.next()) {
        (None, _) => true,
        (Some(origin), None) => shared.config.origins().any(|own| own.as_bytes() == origin.as_bytes()),
        (Some(_), Some(_)) => false,
    };
    if allowed {
        return next.run(request).await;
    }
    let detail = "pages of this origin may not sync here; the operator can name it with --allow-origin";
    Problem::new(StatusCode::FORBIDDEN, "origin", "Not from this page").detail(detail).into_response()
}
