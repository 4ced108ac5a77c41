//! Wrong input: a clear error each time, and nothing lost or broken by it.

#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tempfile::TempDir;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use toso_tests::{COMMUNE, FieldDevice, OTHER_COMMUNE, Server, http, toso};
use toso_wire::enrol::Invite;
use toso_wire::limits::FRAME_BYTES_MAX;
use toso_wire::{Frame, GoodbyeCode, Hello, Proof, TicketProof, decode, encode};

fn server() -> (Server, TempDir) {
    let data = TempDir::new().expect("a temporary folder");
    (Server::start(data.path()), data)
}

fn home() -> (FieldDevice, TempDir) {
    let folder = TempDir::new().expect("a temporary folder");
    (FieldDevice::new(folder.path()), folder)
}

fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{text:?} should say {part:?}");
    }
}

#[test]
fn invites_that_are_unknown_used_expired_forged_or_cut() {
    let (server, _data) = server();
    let output = Command::new(toso())
        .args(["invite", "--server", server.url(), "--list", "2022", "--unit", "99999", "--role", "recorder"])
        .arg("--admin-token-file")
        .arg(server.admin_token_file())
        .output()
        .expect("toso runs");
    assert_eq!(output.status.code(), Some(1));
    says(&String::from_utf8_lossy(&output.stderr), &["99999", "2022"]);
    assert!(output.stdout.is_empty());

    let (first, _first_home) = home();
    let (second, _second_home) = home();
    let invite = server.invite(COMMUNE, "recorder");
    first.ok(&["enrol", &invite]);
    // The same device may repeat the exchange: its answer may have been lost on the way.
    first.ok(&["enrol", &invite]);
    says(&second.refused(&["enrol", &invite]), &["used"]);

    let short = server.invite_with(COMMUNE, "recorder", &["--expires", "1s"]);
    std::thread::sleep(std::time::Duration::from_millis(1_200));
    says(&second.refused(&["enrol", &short]), &["expired"]);

    let mut forged = Invite::parse(&server.invite(COMMUNE, "recorder")).expect("an invite");
    forged.secret = [9; 16];
    second.refused(&["enrol", &forged.to_text()]);
    let whole = server.invite(COMMUNE, "recorder");
    second.refused(&["enrol", &whole[..whole.len() - 7]]);
    second.refused(&["enrol", "toso1.AAAA"]);

    // A true invite of another server, at this server's address.
    let (other, _other_data) = self::server();
    let mut misled = Invite::parse(&other.invite(COMMUNE, "recorder")).expect("an invite");
    misled.url = server.url().to_owned();
    second.refused(&["enrol", &misled.to_text()]);
    assert_eq!(second.json(&["status"])["unit"], serde_json::Value::Null, "no refused invite has left a trace");

    // A widened role in the text changes nothing: the server's own record decides.
    let mut widened = Invite::parse(&server.invite(COMMUNE, "viewer")).expect("an invite");
    widened.role = "officer".to_owned();
    second.ok(&["enrol", &widened.to_text()]);
    assert_eq!(second.json(&["status"])["role"], "viewer");
}

#[test]
fn records_with_wrong_values() {
    let (server, _data) = server();
    let (device, _home) = home();
    says(&device.refused(&["team", "add", "--hamlet", "Thôn 1"]), &["no device is in the folder"]);
    device.ok(&["enrol", &server.invite(COMMUNE, "recorder")]);
    let team = device.ok(&["team", "add", "--hamlet", "Thôn 1"]);
    let member = device.ok(&["member", "add", "--team", &team, "--name", "Nguyễn Văn Thử"]);

    device.refused(&["team", "add", "--hamlet", "   "]);
    device.refused(&["team", "add", "--hamlet", &"x".repeat(121)]);
    device.ok(&["team", "add", "--hamlet", &"x".repeat(120)]);
    device.refused(&["team", "add"]);
    says(&device.refused(&["team", "add", "--hamlet", "thôn 01"]), &["already", &team]);
    device.refused(&["team", "add", "--hamlet", "Thôn 2", "--commune", OTHER_COMMUNE]);
    device.refused(&["team", "add", "--hamlet", "Thôn 2", "--commune", "99999"]);
    device.refused(&["member", "add", "--team", &team, "--name", ""]);
    device.refused(&["member", "add", "--team", &team, "--name", &"ạ".repeat(81)]);
    device.ok(&["member", "add", "--team", &team, "--name", &"ạ".repeat(80)]);
    for phone in ["12345", "0912 000 00", "113", "1900 1234", "không có"] {
        let said = device.refused(&["member", "edit", &member, &format!("phone={phone}")]);
        says(&said, &["phone"]);
        // 113 is named as an example of a service line, no matter who asks.
        assert!(phone == "113" || !said.contains(phone), "an error never repeats a phone number: {said}");
    }
    for date in ["31/2/2022", "2022-13-01", "hôm qua", "1/1/1850"] {
        says(&device.refused(&["team", "edit", &team, &format!("decision_date={date}")]), &["decision_date"]);
    }
    says(&device.refused(&["team", "edit", &team, "colour=red"]), &["colour", "hamlet"]);
    device.refused(&["team", "edit", &team, "hamlet"]);
    device.refused(&["team", "edit", &member, "note=x"]);
    device.refused(&["team", "show", "t123"]);
    device.refused(&["team", "merge", &team, &team]);
    says(&device.refused(&["resolve", &team, "hamlet", "--value", "Thôn 9"]), &["one value"]);
    assert_eq!(device.run(&["team", "frobnicate"]).status.code(), Some(2));

    let shown = device.json(&["member", "show", &member]);
    assert_eq!(shown["phone"], serde_json::Value::Null);
    assert_eq!(device.json(&["team", "show", &team])["decision_date"], serde_json::Value::Null);
}

/// The arguments that record a member.
fn new_member<'a>(team: &'a str, name: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["member", "add", "--team", team, "--name", name], more].concat()
}

/// The story: names copied from documents in .VnTime and VNI fonts were stored as rubbish, hyphens from Word were refused,
/// and a member born in 2100 was taken without a word.
#[test]
fn names_from_old_documents_and_days_to_come() {
    let (server, _data) = server();
    let (device, _home) = home();
    let invite = server.invite(COMMUNE, "recorder");
    says(&device.refused(&["enrol", &invite, "--name", "M¸y cña Lª"]), &["device's name", "--convert", "Máy của Lê"]);
    device.ok(&["enrol", &invite, "--name", "M¸y cña Lª", "--convert"]);
    let devices = http::get(&format!("{}/v1/devices?unit=2022/{COMMUNE}", server.url()), Some(&server.admin_token()));
    assert_eq!(devices.json()["items"][0]["name"], "Máy của Lê");
    let team = device.ok(&["team", "add", "--hamlet", "Th«n Hßa B×nh", "--convert"]);
    assert_eq!(device.json(&["team", "show", &team])["hamlet"], "Thôn Hòa Bình");
    says(&device.refused(&["team", "add", "--hamlet", "Thoân Hoaø Bình"]), &["VNI", "--convert", "Thôn Hoà Bình"]);
    says(
        &device.refused(&new_member(&team, "NguyÔn V¨n Thö", &[])),
        &["full_name", "TCVN3", "--convert", "Nguyễn Văn Thử"],
    );
    says(&device.refused(&new_member(&team, "Phan L\u{AD}", &[])), &["Phan Lư"]);
    let name_of = |member: &str| device.json(&["member", "show", member])["full_name"].clone();
    let member = device.ok(&new_member(&team, "NguyÔn V¨n Thö", &["--convert"]));
    assert_eq!(name_of(&member), "Nguyễn Văn Thử");
    device.ok(&["member", "edit", &member, "--convert", "full_name=Nguyeãn Thò Maãu"]);
    assert_eq!(name_of(&member), "Nguyễn Thị Mẫu");
    let member = device.ok(&new_member(&team, "Y\u{2011}Thử Niê", &["--convert"]));
    assert_eq!(name_of(&member), "Y-Thử Niê");
    says(&device.refused(&["team", "add", "--hamlet", "thôn Hoà \u{2013} Bình"]), &["already", &team]);
    // Only the kind of place tells.
    let other = device.ok(&["team", "add", "--hamlet", "Thoân 2", "--convert"]);
    assert_eq!(device.json(&["team", "show", &other])["hamlet"], "Thôn 2");
    device.ok(&["team", "edit", &other, "local_name=Thoân 7", "--convert"]);
    assert_eq!(device.json(&["team", "show", &other])["local_name"], "Thôn 7");
    says(&device.refused(&["team", "add", "--hamlet", "Thôn"]), &["a name or a number", "Thôn 2"]);

    for (year, more) in [("2100", "birth_year"), ("1850", "birth_year")] {
        says(&device.refused(&new_member(&team, "Lê Văn Thử", &["--birth-year", year])), &[more]);
    }
    says(&device.refused(&new_member(&team, "Lê Văn Thử", &["--joined", "1/1/2099"])), &["joined_on", "lies ahead"]);
    let unborn = ["--birth-year", "1990", "--set", "left_on=1/8/1989"];
    says(&device.refused(&new_member(&team, "Lê Văn Thử", &unborn)), &["left_on", "birth_year"]);
    let early = ["--joined", "1/9/2022", "--set", "left_on=1/8/2022"];
    says(&device.refused(&new_member(&team, "Lê Văn Thử", &early)), &["left_on", "joined_on"]);
    says(&device.refused(&["team", "edit", &team, "decision_date=1/1/2099"]), &["decision_date", "lies ahead"]);
    let activity =
        ["activity", "add", "--team", team.as_str(), "--date", "1/1/2099", "--kind", "training", "--reached", "4"];
    says(&device.refused(&activity), &["activities/", "lies ahead"]);
    let odd = device.json(&["findings"]);
    assert!(!odd.to_string().contains("day_to_come"), "nothing of it was kept: {odd}");
    device.ok(&["activity", "add", "--team", &team, "--date", "7/9/2002", "--kind", "training", "--reached", "4"]);
    assert!(device.json(&["findings"]).to_string().contains("day_before_programme"), "odd, and taken");
    device.ok(&["team", "edit", &team, "decision_date=1/9/2022", "established_on=1/8/2022"]);
    assert!(device.json(&["findings"]).to_string().contains("days_out_of_order"), "odd, and taken");
}

#[test]
fn tokens_that_are_absent_forged_or_for_another_unit() {
    let (server, data) = server();
    let url = |path: &str| format!("{}{path}", server.url());
    assert_eq!(http::get(&url("/healthz"), None).status, 200);
    for path in ["/v1/report?list=2022", "/v1/units?list=2022", "/v1/teams?unit=2022/00001", "/metrics"] {
        let answer = http::get(&url(path), None);
        assert_eq!(answer.status, 401, "{path}");
        assert!(answer.content_type.starts_with("application/problem+json"), "{path}: {}", answer.content_type);
        assert_eq!(answer.json()["status"], 401);
    }
    let forged = URL_SAFE_NO_PAD.encode([7; 200]);
    assert_eq!(http::get(&url("/v1/report?list=2022"), Some(&forged)).status, 401);
    let mut tampered = URL_SAFE_NO_PAD.decode(server.admin_token()).expect("base64url");
    let middle = tampered.len() / 2;
    tampered[middle] ^= 1;
    assert_eq!(http::get(&url("/v1/report?list=2022"), Some(&URL_SAFE_NO_PAD.encode(tampered))).status, 401);
    let (other, _other_data) = self::server();
    assert_eq!(http::get(&url("/v1/report?list=2022"), Some(&other.admin_token())).status, 401);

    // A device's own token file opens its unit and nothing else.
    let (device, folder) = home();
    device.ok(&["enrol", &server.invite(COMMUNE, "recorder")]);
    let token_file = folder.path().join("token.json");
    device.ok(&["token", "--out", token_file.to_str().expect("a path")]);
    let report = |unit: &str| {
        Command::new(toso())
            .args(["report", "--server", server.url(), "--format", "json", "--unit", unit, "--token-file"])
            .arg(&token_file)
            .output()
            .expect("toso runs")
    };
    assert!(report(COMMUNE).status.success(), "{}", String::from_utf8_lossy(&report(COMMUNE).stderr));
    assert_eq!(report(OTHER_COMMUNE).status.code(), Some(1));
    // The token without the device's signature is worth nothing.
    let token: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&token_file).expect("readable")).expect("JSON");
    let bare = http::get(&url("/v1/report?list=2022&unit=00001"), token["token"].as_str());
    assert_eq!(bare.status, 401);
    // A recorder does not invite.
    let refused = http::post(
        &url("/v1/invites"),
        token["token"].as_str(),
        &json!({"unit": {"list": 2022, "code": COMMUNE}, "role": "officer", "expires_in_s": 60}),
    );
    assert!(matches!(refused.status, 401 | 403), "{}", refused.status);

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(data.path().join("admin.token")).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::metadata(&token_file).expect("there").permissions().mode() & 0o777, 0o600);
    }
}

/// The story: a recorder with unsent changes opened a viewer's invite. The next sync offered them, the server refused each, and
/// they never went again, nor did later edits of the same records count.
#[test]
fn what_is_unsent_under_a_role_that_only_reads_waits_for_one_that_writes() {
    let (server, _data) = server();
    let (device, _home) = home();
    device.ok(&["enrol", &server.invite(COMMUNE, "recorder")]);
    let team = device.ok(&["team", "add", "--hamlet", "Thôn 1"]);
    device.ok(&["enrol", &server.invite(COMMUNE, "viewer")]);
    for attempt in [vec!["team", "add", "--hamlet", "Thôn 2"], vec!["team", "edit", team.as_str(), "note=x"]] {
        says(&device.refused(&attempt), &["viewer", "ask your officer"]);
    }
    for _ in 0..2 {
        says(&device.refused(&["sync"]), &["1 change(s) wait here", "viewer", "invite as recorder"]);
    }
    let status = device.json(&["status"]);
    assert_eq!((&status["unsent"], &status["waits_for_role"]), (&1.into(), &1.into()), "{status}");
    assert_eq!(status["held"].as_array().map(Vec::len), Some(0), "{status}");
    says(&device.ok(&["status"]), &["1 change(s) wait here", "invite as recorder"]);
    says(&device.refused(&["leave", "--forget-everything"]), &["nothing was emptied", "invite as recorder"]);
    assert_eq!(server.report(&["--unit", COMMUNE])["teams"], 0);

    device.ok(&["enrol", &server.invite(COMMUNE, "recorder")]);
    device.ok(&["team", "edit", &team, "note=x"]);
    assert_eq!(device.json(&["sync"])["acked"], 2);
    assert_eq!(device.json(&["status"])["waits_for_role"], 0);
    assert_eq!(server.report(&["--unit", COMMUNE])["teams"], 1);
}

#[test]
fn folders_in_use_or_of_a_newer_version() {
    let (server, data) = server();
    let second =
        Server::command(data.path(), "127.0.0.1:0").stderr(std::process::Stdio::piped()).output().expect("runs");
    assert_eq!(second.status.code(), Some(1));
    says(&String::from_utf8_lossy(&second.stderr), &["in use"]);

    let (device, folder) = home();
    device.ok(&["enrol", &server.invite(COMMUNE, "recorder")]);
    let wrong =
        Server::command(folder.path(), "127.0.0.1:0").stderr(std::process::Stdio::piped()).output().expect("runs");
    assert_eq!(wrong.status.code(), Some(1), "a device's folder is no server's");
    says(&String::from_utf8_lossy(&wrong.stderr), &["field", "server"]);
    says(&FieldDevice::new(data.path()).refused(&["status"]), &["no empty folder"]);
    let format = folder.path().join("FORMAT");
    let text = fs::read_to_string(&format).expect("the folder says its format");
    fs::write(&format, text.replace('1', "99")).expect("writable");
    says(&device.refused(&["team", "list"]), &["newer"]);
    fs::write(&format, text).expect("writable");
    device.json(&["team", "list"]);
}

/// The story: a server whose database was cut short began as an empty register and called itself healthy, and a phone whose
/// store was cut short had never enrolled.
#[test]
fn folders_that_have_lost_what_they_held() {
    let cut = |folder: &std::path::Path| {
        let data = fs::OpenOptions::new().write(true).open(folder.join("db")).expect("it is there");
        data.set_len(100).expect("writable");
    };
    let (mut server, data) = server();
    let (device, folder) = home();
    device.ok(&["enrol", &server.invite(COMMUNE, "recorder")]);
    cut(folder.path());
    for command in [["status"].as_slice(), &["team", "add", "--hamlet", "Thôn 1"], &["sync"]] {
        says(&device.refused(command), &["has lost what it held", "new invite"]);
    }
    assert_eq!(server.stop(), Some(0));
    cut(&data.path().join("log"));
    for _ in 0..2 {
        let started =
            Server::command(data.path(), "127.0.0.1:0").stderr(std::process::Stdio::piped()).output().expect("runs");
        assert_eq!(started.status.code(), Some(1));
        says(&String::from_utf8_lossy(&started.stderr), &["has lost what it held", "0 are left", "operations.md"]);
    }
    let verified = Command::new(toso()).args(["verify", "--data"]).arg(data.path()).output().expect("toso runs");
    assert_eq!(verified.status.code(), Some(1));
    says(&String::from_utf8_lossy(&verified.stdout), &["WRONG", "has lost what it held"]);
}

/// A shared folder was closed to those whose it was.
#[test]
fn a_folder_of_other_things_is_no_data_folder() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("notes.txt");
    fs::write(&file, "x").expect("written");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).expect("it is ours");
    let started =
        Server::command(folder.path(), "127.0.0.1:0").stderr(std::process::Stdio::piped()).output().expect("runs");
    assert_eq!(started.status.code(), Some(1));
    says(&String::from_utf8_lossy(&started.stderr), &["notes.txt", "empty folder", "--data"]);
    assert_eq!(fs::metadata(folder.path()).expect("there").permissions().mode() & 0o7777, 0o1777);
    assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
    let started = Server::command(&file, "127.0.0.1:0").stderr(std::process::Stdio::piped()).output().expect("runs");
    assert_eq!(started.status.code(), Some(1));
    says(&String::from_utf8_lossy(&started.stderr), &["notes.txt", "it is a file", "--data"]);
}

/// A bundle took the place of any file, a phone's own database among them.
#[test]
fn a_bundle_takes_no_other_files_place() {
    let (server, _data) = server();
    let (device, folder) = home();
    device.ok(&["enrol", &server.invite(COMMUNE, "recorder")]);
    device.ok(&["team", "add", "--hamlet", "Thôn 1"]);
    let database = folder.path().join("db");
    let before = fs::read(&database).expect("readable");
    let names = || fs::read_dir(folder.path()).expect("readable").count();
    let count = names();
    let refused = device.refused(&["bundle", "make", "--to", database.to_str().expect("a path")]);
    says(&refused, &["is there already", "another name"]);
    assert!(fs::read(&database).expect("readable") == before, "the database is as it was");
    assert_eq!(names(), count, "nothing is left beside it");
    device.ok(&["team", "list"]);
}

/// The signal for a file that may not grow killed a command in the midst of a write, and a server again at each start.
#[test]
fn a_limit_on_the_size_of_files_is_a_failed_write() {
    let (server, _data) = server();
    let (device, folder) = home();
    device.ok(&["enrol", &server.invite(COMMUNE, "recorder")]);
    let limited = Command::new("bash")
        .args(["-c", "ulimit -f 1; exec \"$0\" field --home \"$1\" team add --hamlet 'Thôn 1'"])
        .args([toso().as_os_str(), folder.path().as_os_str()])
        .output()
        .expect("bash runs");
    assert_eq!(limited.status.code(), Some(1), "it ends by itself, by no signal: {:?}", limited.status);
    says(&String::from_utf8_lossy(&limited.stderr), &["File too large"]);
    device.ok(&["team", "add", "--hamlet", "Thôn 1"]);
}

/// Of two values for one field the last was taken without a word.
#[test]
fn a_field_that_is_given_twice_is_asked_about() {
    let (server, _data) = server();
    let (device, _home) = home();
    device.ok(&["enrol", &server.invite(COMMUNE, "recorder")]);
    let team = device.ok(&["team", "add", "--hamlet", "Thôn 1"]).trim().to_owned();
    says(&device.refused(&["team", "edit", &team, "households=70", "households=80"]), &["households is given twice"]);
}

#[test]
fn wrong_ports_and_addresses() {
    let (device, _home) = home();
    let output = Command::new(toso())
        .args(["report", "--server", "http://127.0.0.1:9", "--token-file", "/nonexistent"])
        .output()
        .expect("toso runs");
    assert_eq!(output.status.code(), Some(1));
    says(&String::from_utf8_lossy(&output.stderr), &["/nonexistent"]);
    says(&device.refused(&["sync"]), &["no device is in the folder"]);

    let data = TempDir::new().expect("a temporary folder");
    let mut server = Server::start(data.path());
    device.ok(&["enrol", &server.invite(COMMUNE, "recorder")]);
    let team = device.ok(&["team", "add", "--hamlet", "Thôn 1"]);
    assert_eq!(server.stop(), Some(0), "a server that is asked to stop ends well");
    let failed = device.run(&["sync"]);
    assert_eq!(failed.status.code(), Some(1));
    says(&String::from_utf8_lossy(&failed.stderr), &["cannot reach", "kept here"]);
    device.json(&["team", "show", &team]);
}

async fn upgraded(
    server: &Server,
    hello: Option<&[u8]>,
) -> Result<tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>, u16> {
    let url = format!("ws://{}/v1/sync", server.address());
    let mut request = url.into_client_request().expect("a request");
    let protocols = match hello {
        Some(bytes) => format!("toso.v1, {}", URL_SAFE_NO_PAD.encode(bytes)),
        None => "toso.v1".to_owned(),
    };
    request.headers_mut().insert("sec-websocket-protocol", protocols.parse().expect("a header"));
    match connect_async(request).await {
        Ok((socket, _)) => Ok(socket),
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("no answer: {error}"),
    }
}

/// What the server says to a first message that is not a good one, until it closes.
async fn answer_to(server: &Server, first: Vec<u8>) -> Vec<Frame> {
    let mut socket = upgraded(server, None).await.expect("upgraded");
    // An oversized message may be cut off by the server while it is still being sent.
    let _ = socket.send(Message::binary(first)).await;
    let mut frames = Vec::new();
    let reading = async {
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Binary(bytes) = message {
                frames.push(decode(&bytes).expect("the server speaks frames"));
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), reading).await.expect("the server closes");
    frames
}

fn hello() -> Hello {
    Hello {
        protocol: 1,
        proof: Proof::Ticket(TicketProof::from_bytes(&[1; 28])),
        epoch: None,
        interests: Vec::new(),
        live: false,
        push: None,
        heard: None,
        page_bytes: None,
        receipt: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_are_truncated_oversized_unknown_or_no_messagepack() {
    let (server, _data) = server();
    let whole = encode(&Frame::Hello(hello()));
    let wrong: [(&str, Vec<u8>); 5] = [
        ("empty", Vec::new()),
        ("truncated", whole[..whole.len() - 3].to_vec()),
        ("of an unknown form", [&[0x7f], &whole[1..]].concat()),
        ("not MessagePack", vec![0x00, 0xc1, 0xc1, 0xc1]),
        ("oversized", vec![0x00; FRAME_BYTES_MAX + 1]),
    ];
    for (what, bytes) in wrong {
        let frames = answer_to(&server, bytes).await;
        let polite = matches!(frames.as_slice(), [Frame::Goodbye(goodbye)] if goodbye.code == GoodbyeCode::Protocol);
        // The socket layer itself cuts a message over its limit, before there is a frame to answer.
        assert!(polite || (what == "oversized" && frames.is_empty()), "{what}: {frames:?}");
    }
    assert_eq!(upgraded(&server, Some(b"\xff\xff")).await.err(), Some(400), "a HELLO that is none, in the upgrade");

    // A frame that only a newer version knows is passed over; a ticket that is not this server's is answered with a
    // challenge, not with data.
    let mut socket = upgraded(&server, None).await.expect("upgraded");
    socket.send(Message::binary(vec![0x00, 0x91, 0x7f])).await.expect("sent");
    socket.send(Message::binary(whole)).await.expect("sent");
    let Some(Ok(Message::Binary(bytes))) = socket.next().await else { panic!("the server answers") };
    assert!(matches!(decode(&bytes), Ok(Frame::Challenge(_))), "{:?}", decode(&bytes));

    let mut other_version = hello();
    other_version.protocol = 99;
    let frames = answer_to(&server, encode(&Frame::Hello(other_version))).await;
    assert!(
        matches!(frames.as_slice(), [Frame::Goodbye(goodbye)] if goodbye.code == GoodbyeCode::Version),
        "{frames:?}"
    );

    // After all that, the server serves.
    let data = TempDir::new().expect("a temporary folder");
    let device = server.device(data.path(), COMMUNE);
    device.ok(&["team", "add", "--hamlet", "Thôn 1"]);
    device.sync();
}
