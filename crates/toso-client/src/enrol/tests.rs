//! Enrolment believes the inviting server alone.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use ed25519_dalek::{Signer as _, SigningKey};
use toso_store::memory::MemoryChunkStore;

use super::*;
use toso_replica::{Reach, ReachError};

const ENDS: TimestampMs = TimestampMs(1_700_000_000_000);

/// Takes one request and gives this answer.
fn answering(listener: TcpListener, body: String) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut request, mut part) = (Vec::new(), [0; 4096]);
        while !request.ends_with(b"}") {
            let bytes = stream.read(&mut part).unwrap();
            request.extend_from_slice(&part[..bytes]);
        }
        let head = format!(
            "HTTP/1.1 200 OK\r\nToso-Register: 01\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    })
}

fn invite(url: String, root: &SigningKey) -> Invite {
    Invite {
        url,
        server: ServerId::from_public_key(&root.verifying_key().to_bytes()),
        secret: [9; 16],
        unit: "2022/00001".parse().unwrap(),
        role: "recorder".to_owned(),
        expires_at: ENDS,
    }
}

/// What a server with this key answers to a device that it calls `name`.
fn good_answer(store: &MemoryChunkStore, invite: &Invite, root: &SigningKey, name: Option<&str>) -> String {
    let token = [5; 300];
    let public_key = system::device(store).unwrap().public_key();
    let signed = signed_enrolled(blake3::hash(&invite.secret).as_bytes(), &public_key, ENDS, &token);
    serde_json::json!({
        "token": URL_SAFE_NO_PAD.encode(token),
        "server_id": invite.server,
        "unit": invite.unit,
        "role": "recorder",
        "expires_at": ENDS,
        "root_public_key": URL_SAFE_NO_PAD.encode(root.verifying_key().to_bytes()),
        "proof": URL_SAFE_NO_PAD.encode(root.sign(&signed).to_bytes()),
        "device_name": name,
    })
    .to_string()
}

fn enrolled_at(store: &MemoryChunkStore, root: &SigningKey, asks: Option<&str>, told: Option<&str>) -> Credential {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let invite = invite(format!("http://{}", listener.local_addr().unwrap()), root);
    let server = answering(listener, good_answer(store, &invite, root, told));
    let credential = enrol(store, &Rest::default(), &invite, asks).unwrap();
    server.join().unwrap();
    credential
}

/// The story: a volunteer's phone that was at work in the register was handed a stranger's invite by chat. It enrolled there
/// and gave the stranger everything it had, also what colleagues had recorded.
#[test]
fn a_device_of_one_register_takes_no_invite_of_another() {
    let (own, stranger) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
    let store = MemoryChunkStore::new();
    let first = enrolled_at(&store, &own, None, None);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let invite = invite(format!("http://{}", listener.local_addr().unwrap()), &stranger);
    let refused = enrol(&store, &Rest::default(), &invite, None).unwrap_err();
    let words = refused.to_string();
    assert!(matches!(refused, EnrolError::OtherRegister { held, .. } if held == first.server_id), "{words}");
    assert!(words.contains(&first.server_url) && words.contains("field leave"), "{words}");
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "the stranger was not even called");
    assert_eq!(Credential::load(&store).unwrap(), first);
    // The same register at a new address.
    let moved = enrolled_at(&store, &own, None, None);
    assert_ne!(moved.server_url, first.server_url);
    assert_eq!(moved.server_id, first.server_id);
}

/// The story: a phone that enrolled anew without a name lost the one that its officer knew it by.
#[test]
fn a_device_keeps_its_name_and_believes_what_officers_see() {
    let root = SigningKey::from_bytes(&[1; 32]);
    let store = MemoryChunkStore::new();
    enrolled_at(&store, &root, Some("Máy A"), None);
    assert_eq!(own_name(&store).unwrap().as_deref(), Some("Máy A"));
    enrolled_at(&store, &root, None, None);
    assert_eq!(own_name(&store).unwrap().as_deref(), Some("Máy A"));
    enrolled_at(&store, &root, Some("Máy B"), Some("Máy A"));
    assert_eq!(own_name(&store).unwrap().as_deref(), Some("Máy A"), "an invite that was used gives no new name");
}

/// The story: soft hyphens went before anybody looked, so TCVN3's `Th\u{AD}` (Thư) became a phone called "Th".
#[test]
fn a_name_of_old_fonts_is_refused_before_anything_is_sent() {
    let root = SigningKey::from_bytes(&[1; 32]);
    let store = MemoryChunkStore::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let invite = invite(format!("http://{}", listener.local_addr().unwrap()), &root);
    for name in ["M¸y cña chÞ Lª", "Maùy cuûa Nguyeãn", "Th\u{AD}", "Th\u{AD}\u{AD}"] {
        let refused = enrol(&store, &Rest::default(), &invite, Some(name)).unwrap_err();
        assert!(matches!(refused, EnrolError::Name(_)) && !refused.to_string().contains(name), "{refused}");
    }
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "the server was not called");
}

/// The story: a server that was given an invite's server id, and nothing else, enrolled a phone.
#[test]
fn an_answer_that_the_inviting_servers_key_has_not_signed_enrols_nobody() {
    let (root, other) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
    let token = [5; 300];
    // Signed by, shown as, over this token, over this invite: whether that enrols.
    for (signs, shows, signed_token, secret, good) in [
        (&root, &root, token, [9; 16], true),
        (&other, &root, token, [9; 16], false),
        (&other, &other, token, [9; 16], false),
        (&root, &root, [6; 300], [9; 16], false),
        (&root, &root, token, [8; 16], false),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let invite = invite(format!("http://{}", listener.local_addr().unwrap()), &root);
        let store = MemoryChunkStore::new();
        let public_key = system::device(&store).unwrap().public_key();
        let signed = signed_enrolled(blake3::hash(&secret).as_bytes(), &public_key, ENDS, &signed_token);
        let answer = serde_json::json!({
            "token": URL_SAFE_NO_PAD.encode(token),
            "server_id": invite.server,
            "unit": invite.unit,
            "role": "recorder",
            "expires_at": ENDS,
            "root_public_key": URL_SAFE_NO_PAD.encode(shows.verifying_key().to_bytes()),
            "proof": URL_SAFE_NO_PAD.encode(signs.sign(&signed).to_bytes()),
        });
        let server = answering(listener, answer.to_string());
        let enrolled = enrol(&store, &Rest::default(), &invite, None);
        server.join().unwrap();
        assert_eq!(enrolled.is_ok(), good, "{enrolled:?}");
        assert!(good || matches!(enrolled, Err(EnrolError::OtherServer { .. })));
        assert_eq!(Credential::load(&store).is_ok(), good, "nothing is kept of it");
        assert!(!good || Credential::load(&store).unwrap().token_ends == Some(ENDS));
    }
}

#[test]
fn nobody_enrols_over_a_network_in_the_clear() {
    let store = MemoryChunkStore::new();
    let invite = invite("http://register.invalid".to_owned(), &SigningKey::from_bytes(&[1; 32]));
    let refused = enrol(&store, &Rest::default(), &invite, None);
    assert!(matches!(refused, Err(EnrolError::Rest(RestError::Reach(ReachError::InTheClear { .. })))));
    let open = Rest::reaching(&Reach { insecure_http: true, ca_pem: None }).unwrap();
    let dialled = enrol(&store, &open, &invite, None);
    assert!(matches!(dialled, Err(EnrolError::Rest(RestError::Unreachable { .. }))), "allowed, and not there");
}

/// An invite of another server than the one that the device belongs to would hand all that is here to that server.
#[test]
fn a_store_belongs_to_one_register_until_it_is_emptied() {
    let store = MemoryChunkStore::new();
    let [own, other] = [1, 2].map(|seed| ServerId([seed; 16]));
    assert!(check_register(&store, other).is_ok(), "it belongs to none");
    let credential = Credential {
        server_url: "https://register.invalid".to_owned(),
        server_id: own,
        token: vec![1],
        unit: "2022/00001".parse().unwrap(),
        role: "recorder".to_owned(),
        token_ends: None,
        reach: Reach::default(),
    };
    credential.keep(&store).unwrap();
    assert!(check_register(&store, own).is_ok());
    assert!(matches!(check_register(&store, other), Err(EnrolError::OtherRegister { .. })));
    toso_replica::leave_register(&store).unwrap();
    assert!(check_register(&store, other).is_ok());
}
