//! Requests to the server's REST interface, signed by the device where its token is bound to it. Who carries a request there is
//! given ([`Asks`]); [`Rest`] is an agent that blocks, for callers with a thread to spare.

mod agent;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use toso_core::id::ServerId;
use toso_core::time::TimestampMs;
use toso_replica::between::is_registers;
use toso_replica::{Between, Device, Reach, ReachError};
use toso_wire::rest::{REST_SIGNATURE_HEADER, RestSignature, signed_rest};

use crate::doing::{Doing, MaySend, MaySync};
use crate::system::{now, random};
pub(crate) use agent::at_once;
pub use agent::{REQUEST_TIMEOUT, Rest};

/// The header that says what for a token is used that is bound to no device.
const PURPOSE_HEADER: &str = "Toso-Purpose";

/// Who asks.
#[derive(Debug, Clone)]
pub enum Caller {
    /// The holder of a token that is bound to no device (the server's own admin token).
    Bearer {
        /// The token's text.
        token: String,
        /// What for: the server writes it down with each use.
        purpose: String,
    },
    /// An enrolled device.
    Device {
        /// The token's text.
        token: String,
        /// Its key.
        device: Box<Device>,
        /// The server that the token is for.
        server_id: ServerId,
    },
}

/// Why a request failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RestError {
    /// The server cannot be reached.
    #[error("cannot reach {url}: {detail}; check the address and the network, then try again")]
    Unreachable {
        /// The address.
        url: String,
        /// What the system said.
        detail: String,
    },
    /// The server refused.
    #[error("{title} ({status}): {detail}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The problem's type without `urn:toso:`; empty when the answer is not the register's.
        kind: String,
        /// The problem's title.
        title: String,
        /// What to do.
        detail: String,
    },
    /// The answer came in part, or could not be kept.
    #[error("what {url} sent could not be taken to its end: {detail}; try again")]
    Interrupted {
        /// The address.
        url: String,
        /// What the system said.
        detail: String,
    },
    /// Somebody answered in the server's place.
    #[error("{what} ({url} answered with status {status})")]
    Between {
        /// The address.
        url: String,
        /// HTTP status.
        status: u16,
        /// Who.
        what: Between,
    },
    /// The address may not be asked.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// The answer is not what was expected.
    #[error("{url} answered with something that is not this register's: {detail}")]
    Unreadable {
        /// The address.
        url: String,
        /// What is wrong.
        detail: String,
    },
}

/// The parts of a problem document (RFC 9457) that people read.
#[derive(serde::Deserialize)]
struct Problem {
    #[serde(rename = "type")]
    kind: Option<String>,
    title: Option<String>,
    detail: Option<String>,
}

/// Carries one request to a server, and its answer back.
///
/// # Contract
/// An answer is what came, of whatever status, and redirections are not followed: this server sends nobody elsewhere, and an
/// answer that does could lead out of TLS. One request takes at most [`REQUEST_TIMEOUT`].
pub trait Asks: MaySend + MaySync {
    /// Asks.
    fn ask(&self, request: Request<Vec<u8>>) -> Doing<'_, Result<Response<Vec<u8>>, RestError>>;

    /// How it reaches servers.
    fn reach(&self) -> &Reach;
}

/// `GET`, the body read as JSON.
pub(crate) async fn get<T: DeserializeOwned>(
    asks: &dyn Asks,
    server_url: &str,
    path: &str,
    caller: &Caller,
) -> Result<T, RestError> {
    parse(&join(server_url, path), &text(asks, server_url, path, Some(caller), None).await?)
}

/// `POST` of JSON, answered by JSON; by somebody who has no token yet where there is no caller.
pub(crate) async fn post<T: DeserializeOwned>(
    asks: &dyn Asks,
    server_url: &str,
    path: &str,
    caller: Option<&Caller>,
    content: Vec<u8>,
) -> Result<T, RestError> {
    parse(&join(server_url, path), &text(asks, server_url, path, caller, Some(content)).await?)
}

/// The content of a `POST`.
pub(crate) fn json(server_url: &str, content: &impl Serialize) -> Result<Vec<u8>, RestError> {
    serde_json::to_vec(content)
        .map_err(|error| RestError::Unreadable { url: server_url.to_owned(), detail: error.to_string() })
}

/// What a request is answered with, as text. A server that finds the signature's time too far from its own has done nothing
/// yet, and says its time: the request is signed once more with that.
async fn text(
    asks: &dyn Asks,
    server_url: &str,
    path: &str,
    caller: Option<&Caller>,
    content: Option<Vec<u8>>,
) -> Result<String, RestError> {
    let mut asked = Asked::new(asks.reach(), server_url, path, caller, content)?;
    loop {
        let (head, body) = asks.ask(asked.request()?).await?.into_parts();
        asked.check(head.status, &head.headers)?;
        let text = String::from_utf8_lossy(&body).into_owned();
        if !asked.is_corrected(head.status, &text) {
            return of_answer(&asked.url, head.status, text);
        }
    }
}

const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;
/// What the types of this register's problems begin with.
const PROBLEM_PREFIX: &str = "urn:toso:";
/// The type of a refusal for a signature's time.
const CLOCK_PROBLEM: &str = "urn:toso:clock";

/// The parts of a refusal for a signature's time that a device reads.
#[derive(serde::Deserialize)]
struct ClockProblem {
    #[serde(rename = "type")]
    kind: String,
    server_time: TimestampMs,
}

/// A request, a `POST` when it has content, and the time that it is signed with.
struct Asked<'a> {
    url: String,
    path: &'a str,
    caller: Option<&'a Caller>,
    content: Option<Vec<u8>>,
    at: TimestampMs,
    corrected: bool,
}

impl<'a> Asked<'a> {
    fn new(
        reach: &Reach,
        server_url: &str,
        path: &'a str,
        caller: Option<&'a Caller>,
        content: Option<Vec<u8>>,
    ) -> Result<Self, RestError> {
        reach.check(server_url)?;
        Ok(Self { url: join(server_url, path), path, caller, content, at: now(), corrected: false })
    }

    /// The request, signed.
    fn request(&self) -> Result<Request<Vec<u8>>, RestError> {
        let method = if self.content.is_some() { Method::POST } else { Method::GET };
        let content = self.content.clone().unwrap_or_default();
        let mut request = Request::builder().method(&method).uri(&self.url);
        if self.content.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        request = match self.caller {
            None => request,
            Some(Caller::Bearer { token, purpose }) => {
                request.header(AUTHORIZATION, format!("Bearer {token}")).header(PURPOSE_HEADER, purpose)
            }
            Some(Caller::Device { token, device, server_id }) => {
                let nonce = random();
                let signed = signed_rest(*server_id, method.as_str(), self.path, self.at, &nonce, &content);
                let signature = RestSignature { at: self.at, nonce, signature: device.sign(&signed) }.to_text();
                request.header(AUTHORIZATION, format!("Bearer {token}")).header(REST_SIGNATURE_HEADER, signature)
            }
        };
        let request = request.body(content);
        request.map_err(|error| RestError::Unreachable { url: self.url.clone(), detail: error.to_string() })
    }

    /// Refuses an answer that somebody gave in the server's place.
    fn check(&self, status: StatusCode, headers: &HeaderMap<HeaderValue>) -> Result<(), RestError> {
        let status = status.as_u16();
        match Between::of_status(status) {
            Some(what) if !is_registers(headers) => Err(RestError::Between { url: self.url.clone(), status, what }),
            Some(_) | None => Ok(()),
        }
    }

    /// True when an answer may name another time.
    fn may_be_corrected(&self, status: StatusCode) -> bool {
        !self.corrected && status == UNAUTHORIZED && matches!(self.caller, Some(Caller::Device { .. }))
    }

    /// True when an answer named another time: it is asked once more, with that.
    fn is_corrected(&mut self, status: StatusCode, text: &str) -> bool {
        if !self.may_be_corrected(status) {
            return false;
        }
        let problem: Option<ClockProblem> = serde_json::from_str(text).ok();
        let time = problem.filter(|problem| problem.kind == CLOCK_PROBLEM).map(|problem| problem.server_time);
        self.at = time.unwrap_or(self.at);
        self.corrected = time.is_some();
        self.corrected
    }
}

fn join(server_url: &str, path: &str) -> String {
    format!("{}{path}", server_url.trim_end_matches('/'))
}

/// The text of an answer that is no refusal.
fn of_answer(url: &str, status: StatusCode, text: String) -> Result<String, RestError> {
    if status.is_success() {
        return Ok(text);
    }
    let problem: Option<Problem> = serde_json::from_str(&text).ok();
    let (kind, title, detail) =
        problem.map_or((None, None, None), |problem| (problem.kind, problem.title, problem.detail));
    Err(RestError::Refused {
        status: status.as_u16(),
        kind: kind.and_then(|kind| Some(kind.strip_prefix(PROBLEM_PREFIX)?.to_owned())).unwrap_or_default(),
        title: title.unwrap_or_else(|| status.canonical_reason().unwrap_or("refused").to_owned()),
        detail: detail.unwrap_or_else(|| format!("{url} gave no reason")),
    })
}

fn parse<T: DeserializeOwned>(url: &str, text: &str) -> Result<T, RestError> {
    serde_json::from_str(text).map_err(|error| {
        // A place in a line that a program wrote tells a person nothing.
        let text = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let detail = text.strip_suffix(&place).unwrap_or(&text).to_owned();
        RestError::Unreadable { url: url.to_owned(), detail }
    })
}

#[cfg(test)]
mod tests;
