//! An agent that blocks its thread until an answer is there.

use std::time::Duration;

use futures_util::FutureExt as _;
use http::{Method, Request, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use toso_replica::{Reach, ReachError};
use ureq::tls::TlsConfig;

use super::{Asked, Asks, Caller, RestError, get, json, of_answer, post, text};
use crate::doing::Doing;
use crate::tls::{of_certificate, request_tls};

/// How long one request may take: a page of a report over 2G.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// A client with kept connections. Every call blocks.
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

    fn over(reach: Reach, tls: &TlsConfig) -> Self {
        let config =
            || ureq::Agent::config_builder().tls_config(tls.clone()).max_redirects(0).http_status_as_error(false);
        let agent = config().timeout_global(Some(REQUEST_TIMEOUT)).build();
        let unhurried =
            config().timeout_connect(Some(REQUEST_TIMEOUT)).timeout_recv_response(Some(REQUEST_TIMEOUT)).build();
        Self { agent: agent.into(), unhurried: unhurried.into(), reach }
    }

    /// How it reaches servers.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// `GET`, the body as text.
    pub fn get_text(&self, server_url: &str, path: &str, caller: &Caller) -> Result<String, RestError> {
        at_once(text(self, server_url, path, Some(caller), None))
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
        let mut asked = Asked::new(&self.reach, server_url, path, Some(caller), None)?;
        loop {
            let (head, mut body) = run(&self.unhurried, asked.request()?)?.into_parts();
            asked.check(head.status, &head.headers)?;
            if head.status.is_success() {
                let copied = std::io::copy(&mut body.as_reader(), out);
                return copied
                    .map(drop)
                    .map_err(|error| RestError::Interrupted { url: asked.url, detail: error.to_string() });
            }
            let text = body.read_to_string().map_err(|error| unreachable(&asked.url, &error))?;
            if !asked.is_corrected(head.status, &text) {
                return of_answer(&asked.url, head.status, text).map(drop);
            }
        }
    }

    /// `GET`, the body read as JSON.
    pub fn get<T: DeserializeOwned>(&self, server_url: &str, path: &str, caller: &Caller) -> Result<T, RestError> {
        at_once(get(self, server_url, path, caller))
    }

    /// `POST` of JSON, answered by JSON.
    pub fn post<T: DeserializeOwned>(
        &self,
        server_url: &str,
        path: &str,
        caller: &Caller,
        content: &impl Serialize,
    ) -> Result<T, RestError> {
        at_once(post(self, server_url, path, Some(caller), json(server_url, content)?))
    }

    /// Asks, and waits for the whole answer.
    pub(crate) fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, RestError> {
        let url = request.uri().to_string();
        let (head, mut body) = run(&self.agent, request)?.into_parts();
        let body = body.read_to_vec().map_err(|error| unreachable(&url, &error))?;
        Ok(Response::from_parts(head, body))
    }
}

impl Asks for Rest {
    fn ask(&self, request: Request<Vec<u8>>) -> Doing<'_, Result<Response<Vec<u8>>, RestError>> {
        Box::pin(std::future::ready(self.send(request)))
    }

    fn reach(&self) -> &Reach {
        &self.reach
    }
}

/// What is asked over [`Rest`] alone, which answers before it returns.
///
/// # Panics
/// When something else was awaited.
pub(crate) fn at_once<T>(asking: impl Future<Output = T>) -> T {
    asking.now_or_never().expect("an agent that blocks leaves nothing to wait for")
}

fn run(agent: &ureq::Agent, request: Request<Vec<u8>>) -> Result<Response<ureq::Body>, RestError> {
    let url = request.uri().to_string();
    let answer = if request.method() == Method::GET { agent.run(request.map(drop)) } else { agent.run(request) };
    answer.map_err(|error| unreachable(&url, &error))
}

fn unreachable(url: &str, error: &ureq::Error) -> RestError {
    // As a source, an IO error would leave out what it was made of.
    let cause: &(dyn std::error::Error + 'static) = if let ureq::Error::Io(io) = error { io } else { error };
    of_certificate(url, cause)
        .map_or_else(|| RestError::Unreachable { url: url.to_owned(), detail: error.to_string() }, RestError::Reach)
}
