//! What a device does with a refusal for its clock.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use ed25519_dalek::{Signature, VerifyingKey};

use super::*;

const SERVER: ServerId = ServerId([7; 16]);

/// A server that gives these answers, one a request, and tells the requests.
fn answering(answers: Vec<(u16, String)>) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = std::thread::spawn(move || {
        let answer = |(status, body): (u16, String)| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = String::new();
            let mut part = [0; 4096];
            while !complete(&request) {
                let bytes = stream.read(&mut part).unwrap();
                request.push_str(std::str::from_utf8(&part[..bytes]).unwrap());
            }
            let head = format!(
                "HTTP/1.1 {status} X\r\nToso-Register: 07\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
            request
        };
        answers.into_iter().map(answer).collect()
    });
    (url, requests)
}

/// True when a request's head and the body that it announces are here.
fn complete(request: &str) -> bool {
    let Some((_, body)) = request.split_once("\r\n\r\n") else { return false };
    header(request, "content-length").is_none_or(|length| body.len() >= length.parse().unwrap())
}

fn header(request: &str, name: &str) -> Option<String> {
    let (head, _) = request.split_once("\r\n\r\n")?;
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

fn clock_problem(server_time: u64) -> (u16, String) {
    (401, format!(r#"{{"type":"urn:toso:clock","title":"Not authenticated","server_time":{server_time}}}"#))
}

fn caller() -> (Caller, Device) {
    let device = Device::from_secret(&[3; 32]);
    (Caller::Device { token: "token".to_owned(), device: Box::new(device.clone()), server_id: SERVER }, device)
}

/// The time that a request is signed with, when the signature is good for all of it.
fn signed_at(request: &str, device: &Device) -> TimestampMs {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut words = head.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let given = RestSignature::parse(&header(request, REST_SIGNATURE_HEADER).unwrap()).unwrap();
    let signed = signed_rest(SERVER, method, path, given.at, &given.nonce, body.as_bytes());
    let key = VerifyingKey::from_bytes(&device.public_key()).unwrap();
    key.verify_strict(&signed, &Signature::from_bytes(&given.signature)).unwrap();
    given.at
}

/// The story: a phone that believes itself in 2099 synced, and could ask for nothing else.
#[test]
fn a_refusal_for_the_clock_is_answered_once_with_the_servers_time() {
    let (caller, device) = caller();
    let (url, requests) =
        answering(vec![clock_problem(5_000), (200, "[]".to_owned()), clock_problem(6_000), (200, "[]".to_owned())]);
    let rest = Rest::default();
    let _: Vec<u8> = rest.get(&url, "/v1/units?list=2022", &caller).unwrap();
    let _: Vec<u8> = rest.post(&url, "/v1/invites", &caller, &serde_json::json!({"role": "viewer"})).unwrap();
    let requests = requests.join().unwrap();
    let times: Vec<_> = requests.iter().map(|request| signed_at(request, &device).0).collect();
    assert_eq!((times[1], times[3]), (5_000, 6_000));
    assert!(times[0] > 6_000 && times[2] > 6_000, "its own clock is asked first");
    assert!(requests[3].ends_with(r#"{"role":"viewer"}"#), "the same request");
}

#[test]
fn a_server_that_asks_again_and_any_other_refusal_are_told() {
    let (caller, _) = caller();
    let (url, requests) = answering(vec![clock_problem(1), clock_problem(2), (401, r#"{"title":"No"}"#.to_owned())]);
    let rest = Rest::default();
    for title in ["Not authenticated", "No"] {
        let refused = rest.get_text(&url, "/v1/units", &caller).unwrap_err();
        assert!(matches!(refused, RestError::Refused { status: 401, title: told, .. } if told == title));
    }
    assert_eq!(requests.join().unwrap().len(), 3);
}

/// The story: the page of a network that wants a sign-in was printed as a report, with exit code 0.
#[test]
fn what_is_not_the_registers_is_no_answer_whatever_its_status() {
    let (caller, _) = caller();
    for (head, between) in [
        ("200 OK", Between::Stranger),
        ("204 No Content", Between::Stranger),
        ("302 Found", Between::SignIn),
        ("404 Not Found", Between::Stranger),
        ("407 Proxy Authentication Required", Between::SignIn),
        ("511 Network Authentication Required", Between::SignIn),
        ("502 Bad Gateway", Between::Gateway),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let portal = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            let head = format!("HTTP/1.1 {head}\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
        });
        let refused = Rest::default().get_text(&url, "/v1/report", &caller).unwrap_err();
        portal.join().unwrap();
        assert!(matches!(refused, RestError::Between { what, .. } if what == between), "{head}: {refused}");
    }
}
