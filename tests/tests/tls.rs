//! A register with an authority of its own: a phone that was told of it joins and syncs by TLS, and asks the server by TLS
//! for everything else. A phone that was not, or was told of another, sends nothing and is told what to do.
//!
//! The way was tried by hand once, and `toso field names` went by the web's authorities alone ever since.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use toso_client::Invite;
use toso_replica::Reach;
use toso_tests::middlebox::{Breaks, Middlebox};
use toso_tests::tls::{Authority, TlsFront};
use toso_tests::{COMMUNE, FieldDevice, Server, toso};

/// A register behind TLS.
struct Register {
    folder: TempDir,
    server: Server,
    ca: PathBuf,
}

impl Register {
    fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let server = Server::start(&folder.path().join("centre"));
        let ca = folder.path().join("ca.pem");
        fs::write(&ca, Authority::NAMED.pem).expect("written");
        Self { folder, server, ca }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An invite that leads to this address.
    fn invite(&self, role: &str, url: &str) -> String {
        let mut invite = Invite::parse(&self.server.invite(COMMUNE, role)).expect("an invite");
        url.clone_into(&mut invite.url);
        invite.to_text()
    }

    /// A device that has joined over this address by the authority.
    fn device(&self, home: &str, role: &str, url: &str) -> FieldDevice {
        let device = FieldDevice::new(&self.path(home));
        device.ok(&["enrol", &self.invite(role, url), "--name", home, "--ca", text(&self.ca)]);
        device
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in letters")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs the other commands, which are told the authority each time.
fn by(args: &[&str]) -> Output {
    Command::new(toso()).args(args).output().expect("toso runs")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_joins_syncs_and_asks_by_tls_with_the_authority_that_was_named() {
    let register = Register::start();
    let front = TlsFront::start(register.server.address(), Authority::NAMED).await;
    let url = front.url("localhost");
    let phone = register.device("dien-thoai-1", "recorder", &url);
    let team = phone.ok(&["team", "add", "--hamlet", "Thôn 1"]);
    let before = front.connections();
    assert_eq!(phone.sync()["acked"], 1);
    assert_eq!(front.connections(), before + 1, "the socket alone");
    let listed = by(&[
        "device",
        "list",
        "--server",
        register.server.url(),
        "--list",
        "2022",
        "--unit",
        COMMUNE,
        "--admin-token-file",
        text(&register.server.admin_token_file()),
    ]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("dien-thoai-1  until "), "officers see until when a device may sync: {listed}");

    // Two values that only a name tells apart.
    let officer = register.device("can-bo", "officer", &url);
    officer.sync();
    phone.ok(&["team", "edit", &team, "households_covered=120"]);
    officer.ok(&["team", "edit", &team, "households_covered=135"]);
    phone.sync();
    officer.sync();
    // The name came with the clash, by itself, and is not asked for again.
    let conflicts = officer.json(&["conflicts"]);
    assert!(conflicts.to_string().contains("dien-thoai-1"), "{conflicts}");
    let before = front.connections();
    officer.sync();
    officer.sync();
    assert_eq!(front.connections(), before + 2, "an exchange without news is one connection");
    officer.ok(&["names"]);
    officer.ok(&["bundle", "key"]);

    // What an officer asks the server, by a token that is written out.
    let token = register.path("token.json");
    officer.ok(&["token", "--out", text(&token)]);
    let report = ["report", "--server", &url, "--token-file", text(&token), "--list", "2022", "--unit", COMMUNE];
    let told = by(&[&report[..], &["--ca", text(&register.ca)]].concat());
    assert!(told.status.success(), "{}", stderr(&told));
    let refused = by(&report);
    assert!(!refused.status.success() && stderr(&refused).contains("--ca FILE"), "{}", stderr(&refused));
    let invite = ["invite", "--server", &url, "--admin-token-file", text(&token), "--list", "2022", "--unit", COMMUNE];
    let made = by(&[&invite[..], &["--role", "recorder", "--ca", text(&register.ca)]].concat());
    assert!(made.status.success(), "{}", stderr(&made));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_breaks_sockets_is_passed_by_requests_over_tls() {
    let register = Register::start();
    let middlebox = Middlebox::start(register.server.address(), Breaks::UpgradeUp).await;
    let behind = middlebox.url().trim_start_matches("http://").to_owned();
    let front = TlsFront::start(&behind, Authority::NAMED).await;
    let phone = register.device("dien-thoai", "recorder", &front.url("localhost"));
    phone.ok(&["team", "add", "--hamlet", "Thôn 1"]);
    assert_eq!(phone.sync()["acked"], 1);
    assert!(middlebox.requests() >= 2, "the enrolment and the exchange");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_authority_or_name_is_refused_with_what_to_do_and_nothing_is_sent() {
    let register = Register::start();
    let front = TlsFront::start(register.server.address(), Authority::NAMED).await;
    let other = register.path("other.pem");
    fs::write(&other, Authority::OTHER.pem).expect("written");
    let (here, elsewhere) = (front.url("localhost"), front.url("127.0.0.1"));
    let (ca, other) = (text(&register.ca), text(&other));
    for (home, url, authority) in [("web", &here, None), ("other", &here, Some(other)), ("name", &elsewhere, Some(ca))]
    {
        let invite = register.invite("recorder", url);
        let mut args = vec!["enrol", &invite];
        args.extend(authority.into_iter().flat_map(|file| ["--ca", file]));
        let told = FieldDevice::new(&register.path(home)).refused(&args);
        let of_name = told.contains("for another name: it is for localhost;") && told.contains("127.0.0.1");
        let of_authority = told.contains("cannot be trusted") && told.contains("--ca FILE") && told.contains("clock");
        assert!(if home == "name" { of_name } else { of_authority }, "{told}");
    }
    assert_eq!(front.connections(), 0);

    // A device that has joined, and meets another's certificate later: everything waits on it.
    let phone = register.device("phone", "recorder", &here);
    let false_front = TlsFront::start(register.server.address(), Authority::OTHER).await;
    let store = toso_store_sled::SledChunkStore::open(phone.home(), toso_store_sled::Options::phone()).expect("free");
    let mut credential = toso_replica::Credential::load(&store).expect("enrolled");
    assert_eq!(credential.reach, Reach { insecure_http: false, ca_pem: Some(Authority::NAMED.pem.to_owned()) });
    credential.server_url = false_front.url("localhost");
    credential.keep(&store).expect("kept");
    drop(store);
    phone.ok(&["team", "add", "--hamlet", "Thôn 1"]);
    let told = phone.refused(&["sync"]);
    assert!(told.contains("cannot be trusted") && told.contains("--ca FILE"), "{told}");
    assert_eq!((false_front.connections(), phone.json(&["status"])["unsent"].clone()), (0, 1.into()));
}
