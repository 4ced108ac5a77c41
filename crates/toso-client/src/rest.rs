//! Requests to the server's REST interface, signed by the device where its token is bound to it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use toso_core::id::ServerId;
use toso_core::time::TimestampMs;

use toso_wire::enrol::{REST_SIGNATURE_HEADER, signed_rest};

use crate::identity::Device;

/// How long one request may take: a page of a report over 2G.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Who asks.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Caller {
    /// The holder of a token that is bound to no device (the server's own admin token).
    Bearer {
        /// The token's text.
        token: String,
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
#[non_exhaustive]
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
    title: Option<String>,
    detail: Option<String>,
}

/// A client with kept connections.
#[derive(Debug, Clone)]
pub struct Rest {
    agent: ureq::Agent,
}

impl Default for Rest {
    fn default() -> Self {
        let config =
            ureq::Agent::config_builder().timeout_global(Some(REQUEST_TIMEOUT)).http_status_as_error(false).build();
        Self { agent: config.into() }
    }
}

impl Rest {
    /// `GET`, the body as text.
    pub fn get_text(&self, server_url: &str, path: &str, caller: &Caller) -> Result<String, RestError> {
        let url = join(server_url, path);
        let mut request = self.agent.get(&url);
        for (name, value) in headers(caller, "GET", path) {
            request = request.header(name, value);
        }
        let mut response = request.call().map_err(|error| unreachable(&url, &error))?;
        body(&url, &mut response)
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
        let url = join(server_url, path);
        let unhurried = ureq::Agent::config_builder()
            .timeout_connect(Some(REQUEST_TIMEOUT))
            .timeout_recv_response(Some(REQUEST_TIMEOUT))
            .http_status_as_error(false)
            .build();
        let mut request = ureq::Agent::from(unhurried).get(&url);
        for (name, value) in headers(caller, "GET", path) {
            request = request.header(name, value);
        }
        let mut response = request.call().map_err(|error| unreachable(&url, &error))?;
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
        self.post_with(server_url, path, headers(caller, "POST", path), content)
    }

    /// `POST` by somebody who has no token yet.
    pub fn post_anonymous<T: DeserializeOwned>(
        &self,
        server_url: &str,
        path: &str,
        content: &impl Serialize,
    ) -> Result<T, RestError> {
        self.post_with(server_url, path, Vec::new(), content)
    }

    fn post_with<T: DeserializeOwned>(
        &self,
        server_url: &str,
        path: &str,
        headers: Vec<(&'static str, String)>,
        content: &impl Serialize,
    ) -> Result<T, RestError> {
        let url = join(server_url, path);
        let mut request = self.agent.post(&url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut response = request.send_json(content).map_err(|error| unreachable(&url, &error))?;
        parse(&url, &body(&url, &mut response)?)
    }
}

fn headers(caller: &Caller, method: &str, path: &str) -> Vec<(&'static str, String)> {
    match caller {
        Caller::Bearer { token } => vec![("Authorization", format!("Bearer {token}"))],
        Caller::Device { token, device, server_id } => {
            let at = now();
            let signature = URL_SAFE_NO_PAD.encode(device.sign(&signed_rest(*server_id, method, path, at)));
            vec![("Authorization", format!("Bearer {token}")), (REST_SIGNATURE_HEADER, format!("{}.{signature}", at.0))]
        }
    }
}

fn join(server_url: &str, path: &str) -> String {
    format!("{}{path}", server_url.trim_end_matches('/'))
}

fn unreachable(url: &str, error: &ureq::Error) -> RestError {
    RestError::Unreachable { url: url.to_owned(), detail: error.to_string() }
}

fn body(url: &str, response: &mut ureq::http::Response<ureq::Body>) -> Result<String, RestError> {
    let status = response.status();
    let text = response.body_mut().read_to_string().map_err(|error| unreachable(url, &error))?;
    if status.is_success() {
        return Ok(text);
    }
    let problem: Option<Problem> = serde_json::from_str(&text).ok();
    let (title, detail) = problem.map_or((None, None), |problem| (problem.title, problem.detail));
    Err(RestError::Refused {
        status: status.as_u16(),
        title: title.unwrap_or_else(|| status.canonical_reason().unwrap_or("refused").to_owned()),
        detail: detail.unwrap_or_else(|| format!("{url} gave no reason")),
    })
}

fn parse<T: DeserializeOwned>(url: &str, text: &str) -> Result<T, RestError> {
    serde_json::from_str(text).map_err(|error| RestError::Unreadable { url: url.to_owned(), detail: error.to_string() })
}

/// The device's clock.
pub(crate) fn now() -> TimestampMs {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    TimestampMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
