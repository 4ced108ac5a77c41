//! A phone belongs to one register. A stranger's invite, which may come by chat, got everything that a phone had, also what
//! its colleagues had recorded; and what was unsent never reached the register.

use tempfile::TempDir;
use toso_tests::field::FieldDevice;
use toso_tests::server::Server;

#[test]
fn a_phone_joins_another_register_with_empty_hands_only() {
    let folder = TempDir::new().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let (register, stranger) = (Server::start(&at("register")), Server::start(&at("stranger")));
    let phone = register.device(&at("phone"), "00001");
    phone.ok(&["team", "add", "--hamlet", "Thôn Một"]);
    let invite = stranger.invite("00001", "recorder");
    let told = phone.refused(&["enrol", &invite]);
    assert!(told.contains(register.url()) && told.contains("another one"), "{told}");
    let unsent = phone.refused(&["leave", "--forget-everything"]);
    assert!(unsent.contains("1 change(s)") && unsent.contains("sync first"), "{unsent}");
    phone.sync();
    let asked = phone.run(&["leave"]);
    assert_eq!(asked.status.code(), Some(2), "it takes so many words");
    let before = phone.json(&["status"])["device"].clone();
    phone.ok(&["leave", "--forget-everything"]);
    phone.ok(&["enrol", &invite]);
    phone.sync();
    assert_eq!(phone.json(&["team", "list"]).as_array().map(Vec::len), Some(0));
    assert_ne!(phone.json(&["status"])["device"], before, "it is another device there");
    assert_eq!(stranger.report(&["--unit", "00001"])["teams"], 0);
}

/// The name that officers see stays with a phone that enrols anew, and a phone that asks for another one is told when it
/// does not get it.
#[test]
fn a_phone_is_told_what_officers_see_it_as() {
    let folder = TempDir::new().expect("a temporary folder");
    let server = Server::start(&folder.path().join("centre"));
    let phone = FieldDevice::new(&folder.path().join("phone"));
    let invite = server.invite("00001", "recorder");
    phone.ok(&["enrol", &invite, "--name", "Máy A"]);
    let again = phone.run(&["enrol", &invite, "--name", "Máy B"]);
    let told = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(again.status.success() && told.contains("seeing this device as Máy A"), "{told}");
    let same = phone.run(&["enrol", &server.invite("00001", "recorder")]);
    assert!(!String::from_utf8_lossy(&same.stderr).contains("seeing this device"));
}
