//! Habits of HTTP clients and of people who try addresses: mistyped parameters, ids of elsewhere, pages of other origins,
//! open folders, addresses that lead nowhere.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use toso_wire::hello_token;

use crate::support::{COMMUNE, Centre, NEIGHBOUR, Wire};

/// A filter that was mistyped was dropped in silence, and the answer was for the whole country.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parameter_that_would_do_nothing_is_told() {
    let centre = Centre::start().await;
    for (path, unknown, known) in [
        ("/v1/report?uint=00001", "uint", "`unit`"),
        ("/v1/report?unit=00001&formt=csv", "formt", "`format`"),
        ("/v1/report?lists=2025", "lists", "`list`"),
        ("/v1/teams?unit=2022/00001&offset=100", "offset", "`after`"),
        ("/v1/members?unit=2022/00001&page=2", "page", "`team`"),
        ("/v1/activity?unit=2022/00001&since=1", "since", "`after`"),
        ("/v1/units?lst=2025", "lst", "`parent`"),
        ("/v1/devices?unit=2022/01&role=officer", "role", "`unit`"),
        ("/v1/devices/names?id=1", "id", "`ids`"),
        ("/v1/invites?unit=2022/01&state=open", "state", "`limit`"),
        ("/v1/review?unit=2022/01&state=open", "state", "`status`"),
        ("/v1/carry?units=1", "units", "`unit`"),
        ("/v1/units/2022/01?list=2025", "list", "no parameters"),
        ("/v1/backup?since=1", "since", "no parameters"),
        ("/healthz?full=1", "full", "no parameters"),
        ("/metrics?name=x", "name", "no parameters"),
        ("/v1/sync?unit=1", "unit", "no parameters"),
    ] {
        let answer = centre.get(path).await;
        assert_eq!((answer.status, answer.problem().as_str()), (400, "invalid"), "{path}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(&format!("`{unknown}`")) && detail.contains(known), "{path}: {detail}");
    }
    // A search within a province answered with all of the country's.
    let both = centre.get("/v1/units?list=2022&parent=01&q=truc").await;
    assert!(both.status == 400 && both.text.contains("one of the two"), "{}", both.text);
    let nowhere = centre.get("/v1").await;
    assert!(nowhere.status == 404 && nowhere.text.contains("docs/http-api.md"), "{}", nowhere.text);
    for path in ["/v1/teams?unit=2022/00001&limit=1&limit=2", "/v1/report?list=2022&list=2025"] {
        let answer = centre.get(path).await;
        assert!(answer.status == 400 && answer.text.contains("duplicate"), "{path}: {}", answer.text);
    }
    let posts = [
        ("/v1/invites?unit=2022/00001", json!({ "unit": "2022/00001", "role": "viewer" })),
        ("/v1/invites", json!({ "unit": "2022/00001", "role": "viewer", "expires": 60 })),
        ("/v1/enrol", json!({ "secret": "", "public_key": "", "signature": "", "name": "x" })),
        ("/v1/devices/0011223344556677/revoke", json!({ "reason": "x" })),
        ("/v1/devices/move", json!({ "from": "2022/01", "to": "2022/01", "dry_run": true })),
        ("/v1/invites/0011223344556677/withdraw", json!({ "reason": "x" })),
        ("/v1/review/1/accept", json!({ "note": "x" })),
        ("/v1/review/1/return", json!({ "note": "x", "reason": "x" })),
    ];
    for (path, body) in posts {
        let answer = centre.post(path, body).await;
        assert_eq!((answer.status, answer.problem().as_str()), (400, "invalid"), "{path}");
        assert!(answer.text.contains("unknown field"), "{path}: {}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_kept_by_a_cache_or_taken_for_something_else() {
    let centre = Centre::start().await;
    for path in ["/healthz", "/v1/report", "/v1/report?format=csv", "/v1/backup", "/nothing", "/v1/teams", "/v1/sync"] {
        let answer = centre.get(path).await;
        assert_eq!(answer.caching, ["no-store".to_owned(), "nosniff".to_owned()], "{path}: {}", answer.status);
    }
}

/// With an id in hand, someone who could not see the document learnt from `after=` whether, and where in the order, it exists.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_of_elsewhere_is_answered_like_one_that_is_not_there() {
    let centre = Centre::start().await;
    let (own, other) = (centre.device(COMMUNE, "officer").await, centre.device(NEIGHBOUR, "recorder").await);
    let (hidden, item) = other.team("tổ 1");
    let (person, member) = other.member(hidden, 1);
    let mut wire = Wire::open(&centre, &other.hello()).await;
    wire.send(&other.push(1, vec![item, member])).await;
    let through = wire.ack(1).await;
    wire.receipt(through).await;
    let (nobody, _) = other.team("tổ 2");
    let (no_person, _) = other.member(hidden, 2);
    for (there, absent) in [(hidden, nobody), (person, no_person)] {
        for path in [
            "/v1/teams?unit=2022/00001&after=ID",
            "/v1/members?unit=2022/00001&after=ID",
            "/v1/members?team=ID",
            "/v1/teams/ID",
            "/v1/members/ID",
        ] {
            let asked = |id: toso_core::id::DocId| {
                let (path, id) = (path.replace("ID", &id.to_string()), id.to_string());
                let (own, centre) = (&own, &centre);
                async move {
                    let answer = own.get(centre, &path).await;
                    (answer.status, answer.text.replace(&id, "ID"))
                }
            };
            assert_eq!(asked(there).await, asked(absent).await, "{path}");
        }
    }
    let devices = [other.id.to_string(), "0".repeat(other.id.to_string().len())];
    for path in ["/v1/devices/ID/revoke", "/v1/devices/ID/move"] {
        let body = if path.ends_with("move") { json!({ "unit": "2022/00001" }) } else { json!({}) };
        let (mut answers, own, centre) = (Vec::new(), &own, &centre);
        for id in &devices {
            let answer = own.post(centre, &path.replace("ID", id), body.clone()).await;
            answers.push((answer.status, answer.text.replace(id, "ID")));
        }
        assert_eq!(answers[0], answers[1], "{path}");
        assert_eq!(answers[0].0, 404);
    }
}

/// A browser lets any page open a WebSocket to any address, a server on the visitor's own machine too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_other_origins_do_not_sync() {
    let folder = tempfile::tempdir().expect("a folder");
    let centre = Centre::start_in(folder, |config| {
        config.public_url = Some("https://Register.example:443/".to_owned());
        config.allowed_origins = vec!["https://app.example".to_owned()];
    })
    .await;
    let device = centre.device(COMMUNE, "recorder").await;
    let dialled = |origins: Vec<String>| {
        let mut request = format!("ws://{}/v1/sync", centre.server.addr()).into_client_request().expect("a request");
        let protocol = format!("toso.v1, {}", hello_token(&device.hello()));
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocol.parse().expect("a header"));
        for origin in origins {
            request.headers_mut().append("Origin", origin.parse().expect("a header"));
        }
        async move { tokio_tungstenite::connect_async(request).await.is_ok() }
    };
    let here = centre.url();
    for (origins, good) in [
        (vec![], true),
        (vec!["https://register.example"], true),
        (vec!["https://app.example"], true),
        (vec!["http://register.example"], false),
        (vec!["https://register.example:8443"], false),
        (vec!["https://register.example.evil.example"], false),
        (vec!["https://app.example/"], false),
        (vec!["null"], false),
        (vec![""], false),
        (vec![here.as_str()], false),
        (vec!["https://register.example", "https://evil.example"], false),
    ] {
        let origins: Vec<String> = origins.into_iter().map(str::to_owned).collect();
        assert_eq!(dialled(origins.clone()).await, good, "{origins:?}");
        let headers: Vec<(&str, String)> = origins.iter().map(|origin| ("Origin", origin.clone())).collect();
        let posted = centre.call("POST", "/v1/sync", &headers, Some(String::new())).await;
        assert_eq!(posted.status != 403, good, "POST {origins:?}: {}", posted.text);
        assert!(good || posted.problem() == "origin");
    }
}

/// The data folder came into being as the umask would have it, for everybody on the machine to read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_data_folder_is_for_its_owner_alone_even_one_that_was_made_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path();
    std::fs::set_permissions(data, std::fs::Permissions::from_mode(0o777)).expect("it is ours");
    std::fs::write(data.join("notes.txt"), "x").expect("written");
    std::fs::set_permissions(data.join("notes.txt"), std::fs::Permissions::from_mode(0o644)).expect("it is ours");
    std::fs::create_dir(data.join("log")).expect("made");
    std::fs::set_permissions(data.join("log"), std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    let centre = Centre::start_in(folder, |_| {}).await;
    let mut looked = 0;
    let mut folders = vec![centre.folder.path().to_owned()];
    while let Some(path) = folders.pop() {
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0, "{}", path.display());
        looked += 1;
        if path.is_dir() {
            folders.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    assert!(looked > 5, "folder, log and the files in them");
}

/// Invites that led phones to themselves, or nowhere, were made without a word.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invite_says_when_its_address_is_reached_from_nowhere_or_from_here_alone() {
    let centre = Centre::start().await;
    let made = |url: Option<&str>| {
        let mut order = json!({ "unit": "2022/00001", "role": "recorder" });
        if let Some(url) = url {
            order["url"] = json!(url);
        }
        centre.post("/v1/invites", order)
    };
    let guessed = made(None).await.json();
    assert!(guessed["warning"].as_str().is_some_and(|warning| warning.contains("--public-url")), "{guessed}");
    for narrow in ["http://localhost:7878", "http://[::1]:7878", "http://169.254.7.7", "http://10.1.2.3:7878"] {
        let answer = made(Some(narrow)).await;
        assert!(answer.json()["warning"].as_str().is_some_and(|text| text.contains("--public-url")), "{narrow}");
    }
    assert_eq!(made(Some("https://register.example.vn")).await.json()["warning"], json!(null));
    for nowhere in ["http://0.0.0.0:7878", "http://[::]:7878", "ftp://register.example.vn", "https://"] {
        let refused = made(Some(nowhere)).await;
        assert_eq!((refused.status, refused.problem().as_str()), (400, "invalid"), "{nowhere}");
        assert!(refused.text.contains("--public-url"), "{}", refused.text);
    }
    for (what, wrong) in
        [("public", "http://0.0.0.0:1"), ("public", "register.example"), ("origin", "https://x.example/")]
    {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = toso_server::ServerConfig::new(folder.path(), "127.0.0.1:0".parse().expect("an address"));
        match what {
            "public" => config.public_url = Some(wrong.to_owned()),
            _ => config.allowed_origins = vec![wrong.to_owned()],
        }
        let refused = toso_server::Server::start(config).await.expect_err("refused").to_string();
        assert!(refused.contains(wrong), "{refused}");
    }
}
