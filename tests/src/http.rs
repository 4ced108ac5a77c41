//! Plain HTTP requests with a status and a body, whatever they are.

use serde_json::Value;

/// What the admin token is used for.
pub const PURPOSE: (&str, &str) = ("Toso-Purpose", "a test");

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("the body is JSON")
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

fn answer(mut response: ureq::http::Response<ureq::Body>) -> Answer {
    let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    Answer {
        status: response.status().as_u16(),
        content_type: content_type.to_owned(),
        body: response.body_mut().read_to_string().expect("the body arrives"),
    }
}

/// `GET`, with a bearer token or without.
pub fn get(url: &str, token: Option<&str>) -> Answer {
    let mut request = agent().get(url);
    if let Some(token) = token {
        request = request.header("Authorization", format!("Bearer {token}")).header(PURPOSE.0, PURPOSE.1);
    }
    answer(request.call().expect("the server answers"))
}

/// `GET` with any headers.
pub fn get_with(url: &str, headers: &[(&str, &str)]) -> Answer {
    let request = headers.iter().fold(agent().get(url), |request, (name, value)| request.header(*name, *value));
    answer(request.call().expect("the server answers"))
}

/// `GET` of a server that may be away.
pub fn try_get(url: &str, token: &str) -> Option<Answer> {
    let request = agent().get(url).header("Authorization", format!("Bearer {token}")).header(PURPOSE.0, PURPOSE.1);
    let mut response = request.call().ok()?;
    let body = response.body_mut().read_to_string().ok()?;
    let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    Some(Answer { status: response.status().as_u16(), content_type: content_type.to_owned(), body })
}

/// `POST` of JSON, with a bearer token or without.
pub fn post(url: &str, token: Option<&str>, content: &Value) -> Answer {
    let mut request = agent().post(url);
    if let Some(token) = token {
        request = request.header("Authorization", format!("Bearer {token}")).header(PURPOSE.0, PURPOSE.1);
    }
    answer(request.send_json(content).expect("the server answers"))
}
