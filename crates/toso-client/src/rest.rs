//! Requests to the server's REST interface, signed by the device where its token is bound to it.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use toso_core::id::ServerId;
use toso_core::time::TimestampMs;
use toso_replica::between::is_registers;
use toso_replica::{Between, Device, Reach, ReachError};
use toso_wire::rest::{REST_SIGNATURE_HEADER, RestSignature, signed_rest};
use ureq::tls::TlsConfig;

use crate::system::{now, random};
use crate::tls::{of_certificate, request_tls};

/// How long one request may take: a page of a report over 2G.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

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

/// A client with kept connections.
#[derive(Debug, Clone)]
pub struct Rest {
    agent: ureq::Agent,
    /// For answers that take as long as they take.
    unhurried: ureq::Agent,
    reach: Reach,
}

impl Default for Rest {
    fn default() -> Self {
        Self::over(Reach::default(), &TlsConfig::default())
    }
}

impl Rest {
    /// A client that reaches servers as agreed.
    pub fn reaching(reach: &Reach) -> Result<Self, ReachError> {
        Ok(Self::over(reach.clone(), &request_tls(reach)?))
    }

    /// How it reaches servers.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    fn over(reach: Reach, tls: &TlsConfig) -> Self {
        // This server sends nobody elsewhere, and an answer that does could lead out of TLS.
        let config =
            || ureq::Agent::config_builder().tls_config(tls.clone()).max_redirects(0).http_status_as_error(false);
        let agent = config().timeout_global(Some(REQUEST_TIMEOUT)).build();
        let unhurried =
            config().timeout_connect(Some(REQUEST_TIMEOUT)).timeout_recv_response(Some(REQUEST_TIMEOUT)).build();
        Self { agent: agent.into(), unhurried: unhurried.into(), reach }
    }

    /// `GET`, the body as text.
    pub fn get_text(&self, server_url: &str, path: &str, caller: &Caller) -> Result<String, RestError> {
        body(&join(server_url, path), &mut ask(&self.reach, &self.agent, server_url, path, Some(caller), None)?)
    }

    /// `GET`, the body written out as it comes. It may take as long as it takes; only the answer's head must come within
    /// [`REQUEST_TIMEOUT`], and a body that ends early is an error.
    pub fn download(
        &self,
        server_url: &str,
        path: &str,
        caller: &Caller,
        out: &mut dyn std::io::Write,
    ) -> Result<(), RestError> {
        let mut response = ask(&self.reach, &self.unhurried, server_url, path, Some(caller), None)?;
        let url = join(server_url, path);
        if !response.status().is_success() {
            return body(&url, &mut response).map(drop);
        }
        let copied = std::io::copy(&mut response.body_mut().as_reader(), out);
        copied.map(drop).map_err(|error| RestError::Interrupted { url, detail: error.to_string() })
    }

    /// `GET`, the body read as JSON.
    pub fn get<T: DeserializeOwned>(&self, server_url: &str, path: &str, caller: &Caller) -> Result<T, RestError> {
        parse(&join(server_url, path), &self.get_text(server_url, path, caller)?)
    }

    /// `POST` of JSON, answered by JSON.
    pub fn post<T: DeserializeOwned>(
        &self,
        server_url: &str,
        path: &str,
        caller: &Caller,
        content: &impl Serialize,
    ) -> Result<T, RestError> {
        self.post_as(server_url, path, Some(caller), content)
    }

    /// `POST` by somebody who has no token yet.
    pub fn post_anonymous<T: DeserializeOwned>(
        &self,
        server_url: &str,
        path: &str,
        content: &impl Serialize,
    ) -> Result<T, RestError> {
        self.post_as(server_url, path, None, content)
    }

    fn post_as<T: DeserializeOwned>(
        &self,
        server_url: &str,
        path: &str,
        caller: Option<&Caller>,
        content: &impl Serialize,
    ) -> Result<T, RestError> {
        let url = join(server_url, path);
        let content = serde_json::to_vec(content)
            .map_err(|error| RestError::Unreadable { url: url.clone(), detail: error.to_string() })?;
        parse(&url, &body(&url, &mut ask(&self.reach, &self.agent, server_url, path, caller, Some(&content))?)?)
    }
}

type Response = ureq::http::Response<ureq::Body>;

const UNAUTHORIZED: u16 = 401;
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

/// Sends a request, a `POST` when it has content. A server that finds the signature's time too far from its own has
/// done nothing yet, and says its time: the request is signed once more with that.
fn ask(
    reach: &Reach,
    agent: &ureq::Agent,
    server_url: &str,
    path: &str,
    caller: Option<&Caller>,
    content: Option<&[u8]>,
) -> Result<Response, RestError> {
    reach.check(server_url)?;
    let url = join(server_url, path);
    let mut at = now();
    for signed_again in [false, true] {
        let sent = match content {
            None => with(agent.get(&url), caller, "GET", path, at, &[]).call(),
            Some(content) => {
                let request = agent.post(&url).header("Content-Type", "application/json");
                with(request, caller, "POST", path, at, content).send(content)
            }
        };
        let response = sent.map_err(|error| unreachable(&url, &error))?;
        let status = response.status().as_u16();
        if !is_registers(response.headers())
            && let Some(what) = Between::of_status(status)
        {
            return Err(RestError::Between { url, status, what });
        }
        let signs = matches!(caller, Some(Caller::Device { .. }));
        if signed_again || !signs || response.status() != UNAUTHORIZED {
            return Ok(response);
        }
        let (head, mut refusal) = response.into_parts();
        let text = refusal.read_to_string().map_err(|error| unreachable(&url, &error))?;
        match serde_json::from_str(&text) {
            Ok(ClockProblem { kind, server_time }) if kind == CLOCK_PROBLEM => at = server_time,
            _ => return Ok(Response::from_parts(head, ureq::Body::builder().data(text))),
        }
    }
    // The second answer is returned, whatever it is.
    Err(RestError::Unreadable { url, detail: "the server asks for another time again and again".to_owned() })
}

/// Adds who asks.
fn with<B>(
    request: ureq::RequestBuilder<B>,
    caller: Option<&Caller>,
    method: &str,
    path: &str,
    at: TimestampMs,
    content: &[u8],
) -> ureq::RequestBuilder<B> {
    match caller {
        None => request,
        Some(Caller::Bearer { token, purpose }) => {
            request.header("Authorization", format!("Bearer {token}")).header(PURPOSE_HEADER, purpose)
        }
        Some(Caller::Device { token, device, server_id }) => {
            let nonce = random();
            let signature = device.sign(&signed_rest(*server_id, method, path, at, &nonce, content));
            let signature = RestSignature { at, nonce, signature }.to_text();
            request.header("Authorization", format!("Bearer {token}")).header(REST_SIGNATURE_HEADER, signature)
        }
    }
}

fn join(server_url: &str, path: &str) -> String {
    format!("{}{path}", server_url.trim_end_matches('/'))
}

fn unreachable(url: &str, error: &ureq::Error) -> RestError {
    // As a source, an IO error would leave out what it was made of.
    let cause: &(dyn std::error::Error + 'static) = if let ureq::Error::Io(io) = error { io } else { error };
    of_certificate(url, cause)
        .map_or_else(|| RestError::Unreachable { url: url.to_owned(), detail: error.to_string() }, RestError::Reach)
}

fn body(url: &str, response: &mut Response) -> Result<String, RestError> {
    let status = response.status();
    let text = response.body_mut().read_to_string().map_err(|error| unreachable(url, &error))?;
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
