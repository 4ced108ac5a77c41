//! Where the admin token may be used from, the line that each use leaves, and what a server in quarantine still answers.
//!
//! Nobody's name is behind the admin token, and it opens everything. So it is taken from the machine itself only: the peer
//! is a loopback address, and nothing says that a proxy on this machine passed the request on for somebody else. A proxy
//! says so by its headers, by speaking HTTP/1.0, or by a `Host` that is the register's public name.

use std::net::IpAddr;

use axum::extract::{MatchedPath, Request};
use axum::http::header::{FORWARDED, HOST, RETRY_AFTER, VIA};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version};

use crate::connections::Peer;
use crate::problem::Problem;
use crate::state::{Shared, now};
use crate::trust::{Caller, QUARANTINE_TEXT};

/// What for the admin token is used, in the caller's own words. `toso` sends the command's name.
const PURPOSE_HEADER: &str = "toso-purpose";
/// What the log has for a caller that says none. It is taken, since method and route stand beside it, and operators' own
/// programs know no header of ours.
const NOT_SAID: &str = "not said";
const UNREADABLE: &str = "unreadable";
/// The longest purpose that is written down, in bytes: a command's name and a ticket's number.
const PURPOSE_BYTES_MAX: usize = 80;
/// What monitors read, of which many can send a token and no other header: the route says what for.
const METRICS_ROUTE: &str = "/metrics";
/// Where a quarantine is ended.
pub(super) const QUARANTINE_END_ROUTE: &str = "/v1/quarantine/end";
/// What a server in quarantine answers to everybody whom it knows: figures and names of units, nothing about people.
const FIGURES: [&str; 3] = ["/v1/report", "/v1/units", "/v1/units/{list}/{code}"];
/// When a device tries again that met a server in quarantine: an operator needs some minutes.
const QUARANTINE_RETRY_S: u64 = 300;

/// A use of the admin token: refused from elsewhere and after its end, and written down in any case.
pub(super) fn admin(shared: &Shared, parts: &Parts) -> Result<(), Problem> {
    let refusal = if !shared.trust.admin_token_lasts(now()) {
        Some("it has ended; read the file admin.token again, the server makes it anew")
    } else if shared.config.admin_from_anywhere {
        None
    } else {
        elsewhere(parts)
    };
    let (method, route, purpose) = (&parts.method, route(parts), purpose(&parts.headers));
    if let (None, Err(unsaid @ UNREADABLE)) = (refusal, purpose)
        && route != METRICS_ROUTE
    {
        tracing::warn!(%method, route, purpose = unsaid, "the admin token was refused");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "no-purpose", "What is the admin token used for?").detail(format!(
            "the header {PURPOSE_HEADER} is {unsaid}: say there what the admin token is used for, in 1 to {PURPOSE_BYTES_MAX} \
             letters (without marks), digits and -_./:#, since nobody's name is behind it; `toso` does so by itself, or by --purpose"
        )));
    }
    let (Ok(purpose) | Err(purpose)) = purpose;
    let Some(why) = refusal else {
        tracing::info!(%method, route, purpose, "the admin token was used");
        return Ok(());
    };
    tracing::warn!(%method, route, purpose, why, "the admin token was refused");
    Err(Problem::new(StatusCode::FORBIDDEN, "admin-from-elsewhere", "The admin token is not taken here").detail(format!(
        "the admin token is for the server's own machine: {why}; call http://127.0.0.1 there, without a proxy, use an \
         officer's token file, or start the server with --admin-from-anywhere"
    )))
}

/// Why a request is not one of this machine itself; `None` when nothing says so.
fn elsewhere(parts: &Parts) -> Option<&'static str> {
    let Some(Peer(peer)) = parts.extensions.get::<Peer>() else {
        return Some("nobody knows where the request came from");
    };
    if !peer.ip().to_canonical().is_loopback() {
        return Some("the request came from another machine");
    }
    let passed_on = |name: &str| name.starts_with("x-forwarded") || matches!(name, "x-real-ip" | "x-client-ip");
    let by_proxy = parts.headers.contains_key(FORWARDED)
        || parts.headers.contains_key(VIA)
        || parts.headers.keys().any(|name| passed_on(name.as_str()))
        || parts.version < Version::HTTP_11;
    if by_proxy {
        return Some("a proxy passed the request on");
    }
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok()).unwrap_or_default();
    // A request line with a whole address is what a client sends to a proxy, and its host counts, too.
    let target_is_own = parts.uri.authority().is_none_or(|target| is_loopback_host(target.as_str()));
    if hosts.next().is_some() {
        return Some("the request names more than one host");
    }
    (!is_loopback_host(host) || !target_is_own)
        .then_some("the request was sent to a name that is not this machine's own")
}

/// `127.0.0.1:7878`, `[::1]:7878`, `localhost`.
fn is_loopback_host(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

fn route(parts: &Parts) -> &str {
    parts.extensions.get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str)
}

/// Plain characters only, so that no line of the log can be made to look like another; else what is wrong with it.
fn purpose(headers: &HeaderMap) -> Result<&str, &'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b" -_./:#".contains(&byte);
    match headers.get(PURPOSE_HEADER).map(HeaderValue::to_str) {
        None => Err(NOT_SAID),
        Some(Ok(text)) if text.trim().is_empty() => Err(NOT_SAID),
        Some(Ok(text)) if text.len() <= PURPOSE_BYTES_MAX && text.bytes().all(plain) => Ok(text),
        Some(_) => Err(UNREADABLE),
    }
}

/// What a server in quarantine answers: figures to whom it knows, anything that is read to the admin token, and the end of
/// the quarantine.
pub(super) fn quarantine(shared: &Shared, request: &Request, caller: Option<&Caller>) -> Result<(), Problem> {
    if shared.trust.quarantined_since().is_none() {
        return Ok(());
    }
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let reads = request.method() == Method::GET;
    let open = match caller {
        // A request without a token gets no further than its handler, but for an enrolment.
        None => route != "/v1/enrol",
        Some(caller) if caller.device.is_none() => reads || route == QUARANTINE_END_ROUTE,
        Some(_) => reads && FIGURES.contains(&route),
    };
    if open { Ok(()) } else { Err(closed()) }
}

fn closed() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "quarantined", "The server waits for its operator")
        .detail(QUARANTINE_TEXT)
        .header(RETRY_AFTER, HeaderValue::from(QUARANTINE_RETRY_S))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(peer: &str, change: impl FnOnce(&mut Request<()>)) -> Parts {
        let mut request = axum::http::Request::new(());
        request.headers_mut().insert(HOST, HeaderValue::from_static("127.0.0.1:7878"));
        request.extensions_mut().insert(Peer(peer.parse().unwrap()));
        change(&mut request);
        request.into_parts().0
    }

    type Request<T> = axum::http::Request<T>;

    #[test]
    fn the_machine_itself_is_told_from_everybody_whom_a_proxy_on_it_speaks_for() {
        let plain = |_: &mut Request<()>| {};
        for own in ["127.0.0.1:5", "127.8.9.1:5", "[::1]:5", "[::ffff:127.0.0.1]:5"] {
            assert_eq!(elsewhere(&parts(own, plain)), None, "{own}");
        }
        for other in ["192.168.1.4:5", "[2001:db8::1]:5", "[::ffff:10.0.0.1]:5"] {
            assert!(elsewhere(&parts(other, plain)).is_some(), "{other}");
        }
        for name in ["X-Forwarded-For", "x-forwarded-proto", "Forwarded", "Via", "X-Real-IP"] {
            let with = |request: &mut Request<()>| {
                let name = axum::http::HeaderName::try_from(name).unwrap();
                request.headers_mut().insert(name, HeaderValue::from_static("127.0.0.1"));
            };
            assert!(elsewhere(&parts("127.0.0.1:5", with)).is_some(), "{name}");
        }
        let old = |request: &mut Request<()>| *request.version_mut() = Version::HTTP_10;
        assert!(elsewhere(&parts("127.0.0.1:5", old)).is_some());
        for (host, own) in [
            ("localhost:80", true),
            ("LOCALHOST", true),
            ("[::1]:7878", true),
            ("127.0.0.1", true),
            ("register.example", false),
            ("127.0.0.1.example", false),
            ("localhost.example:80", false),
            ("", false),
        ] {
            let with = |request: &mut Request<()>| {
                request.headers_mut().insert(HOST, HeaderValue::from_static(host));
            };
            assert_eq!(elsewhere(&parts("127.0.0.1:5", with)).is_none(), own, "{host:?}");
        }
        // The story: a second Host header, and a request line with another host's address, were not looked at.
        for name in ["127.0.0.1:7878", "register.example"] {
            let twice = |request: &mut Request<()>| {
                request.headers_mut().append(HOST, HeaderValue::from_static(name));
            };
            assert!(elsewhere(&parts("127.0.0.1:5", twice)).is_some(), "{name} as a second one");
        }
        for (target, own) in [("http://127.0.0.1:7878/v1/units", true), ("http://register.example/v1/units", false)] {
            let with = |request: &mut Request<()>| *request.uri_mut() = target.parse().unwrap();
            assert_eq!(elsewhere(&parts("127.0.0.1:5", with)).is_none(), own, "{target}");
        }
        let unknown = |request: &mut Request<()>| request.extensions_mut().clear();
        assert!(elsewhere(&parts("127.0.0.1:5", unknown)).is_some());
    }

    #[test]
    fn a_purpose_is_plain_and_short_or_called_unreadable() {
        let said = |text: &'static [u8]| -> Result<String, &'static str> {
            let mut headers = HeaderMap::new();
            headers.insert(PURPOSE_HEADER, HeaderValue::from_bytes(text).unwrap());
            purpose(&headers).map(str::to_owned)
        };
        assert_eq!(said(b"toso device list").as_deref(), Ok("toso device list"));
        assert_eq!(said(b"ticket #1231: stolen phone").as_deref(), Ok("ticket #1231: stolen phone"));
        assert_eq!(said(&[b'a'; PURPOSE_BYTES_MAX]).map(|text| text.len()), Ok(PURPOSE_BYTES_MAX));
        assert_eq!(said(&[b'a'; PURPOSE_BYTES_MAX + 1]), Err("unreadable"));
        for text in [b"a\tb".as_slice(), b"x=\"y\"", "tên".as_bytes(), b"\x1b[2J".get(1..).unwrap()] {
            assert_eq!(said(Box::leak(text.to_vec().into_boxed_slice())), Err("unreadable"), "{text:?}");
        }
        for text in [b"".as_slice(), b"  "] {
            assert_eq!(said(text), Err(NOT_SAID));
        }
        assert_eq!(purpose(&HeaderMap::new()), Err(NOT_SAID));
    }
}
