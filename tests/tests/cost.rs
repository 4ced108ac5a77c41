//! What sync costs on the wire, as `sync --json` prints it, and that its round trips are true on a slow link.

#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use toso_tests::{COMMUNE, FieldDevice, Server, SlowLink};

/// Bytes each way that a device with nothing new may spend.
const UNCHANGED_BYTES_MAX: u64 = 150;
/// Bytes up that a one-field edit may add.
const EDIT_BYTES_MAX: u64 = 160;
/// Bytes down for the first sync of a commune with 10 teams and 50 members.
const FIRST_SYNC_BYTES_MAX: u64 = 16 * 1024;

fn number(report: &Value, field: &str) -> u64 {
    report[field].as_u64().unwrap_or_else(|| panic!("{field} in {report}"))
}

#[test]
fn an_unchanged_device_an_edit_and_a_first_sync_stay_within_budget() {
    let folders = [(); 3].map(|()| TempDir::new().expect("a temporary folder"));
    let server = Server::start(folders[0].path());
    let device = server.device(folders[1].path(), COMMUNE);
    for hamlet in 1..=10 {
        let name = format!("Tổ dân phố số {hamlet}");
        let decision = format!("{}/QĐ-UBND", 100 + hamlet);
        let team = device.ok(&[
            "team",
            "add",
            "--hamlet",
            &name,
            "--hamlet-kind",
            "to_dan_pho",
            "--decision",
            &decision,
            "--decided",
            "15/7/2022",
            "--established",
            "20/7/2022",
        ]);
        for member in 1..=5 {
            let name = format!("Nguyễn Văn Thử {}", ["Một", "Hai", "Ba", "Bốn", "Năm"][member - 1]);
            let phone = format!("0912 0{hamlet:02} {member:02}1");
            let role = if member == 1 { "leader" } else { "member" };
            device.ok(&[
                "member",
                "add",
                "--team",
                &team,
                "--name",
                &name,
                "--phone",
                &phone,
                "--birth-year",
                "1990",
                "--role",
                role,
                "--affiliation",
                "youth_union",
            ]);
        }
    }
    let push = device.sync();
    assert_eq!(number(&push, "acked"), 60);

    let unchanged = device.sync();
    println!("unchanged: {unchanged}");
    assert_eq!(number(&unchanged, "round_trips"), 1);
    assert!(number(&unchanged, "bytes_up") <= UNCHANGED_BYTES_MAX, "{unchanged}");
    assert!(number(&unchanged, "bytes_down") <= UNCHANGED_BYTES_MAX, "{unchanged}");
    assert!(number(&unchanged, "http_bytes_up") > 0 && number(&unchanged, "http_bytes_down") > 0);

    let team = device.json(&["team", "list"])[0]["id"].as_str().expect("an id").to_owned();
    device.ok(&["team", "edit", &team, "households_covered=87"]);
    let edit = device.sync();
    println!("edit: {edit}");
    assert_eq!(number(&edit, "acked"), 1);
    let added = number(&edit, "bytes_up") - number(&unchanged, "bytes_up");
    println!("a one-field edit adds {added} bytes up");
    assert!(added <= EDIT_BYTES_MAX, "{edit}");
    assert!(number(&edit, "round_trips") <= number(&unchanged, "round_trips") + 1);

    let newcomer = server.device(folders[2].path(), COMMUNE);
    let first = newcomer.sync();
    println!("first sync: {first}");
    assert_eq!(number(&first, "pulled"), 61);
    assert_eq!(newcomer.json(&["member", "list"]).as_array().map(Vec::len), Some(50));
    assert!(number(&first, "bytes_down") <= FIRST_SYNC_BYTES_MAX, "{first}");
    assert_eq!(number(&first, "round_trips"), 1, "the pages come unasked");
}

/// A device whose server is behind a link of 600 ms: what a sync takes is its round trips, one more for TCP, and little
/// besides. Were a round trip hidden from the count, the time would show it.
#[test]
fn round_trips_are_true_over_a_slow_link() {
    const ROUND_TRIP: Duration = Duration::from_millis(600);
    let folders = [(); 2].map(|()| TempDir::new().expect("a temporary folder"));
    let server = Server::start(folders[0].path());
    let link = SlowLink::to(server.address(), ROUND_TRIP).expect("a free port");
    let device = FieldDevice::new(folders[1].path());
    // The invite names the slow link, so that everything the device does goes over it.
    device.ok(&["enrol", &invite_over(&server, link.url())]);
    device.sync();

    let timed = |device: &FieldDevice| {
        let start = Instant::now();
        let report = device.sync();
        (start.elapsed(), number(&report, "round_trips"))
    };
    for edits in [0, 1] {
        for _ in 0..edits {
            device.ok(&["team", "add", "--hamlet", "Thôn Xa"]);
        }
        let (elapsed, round_trips) = timed(&device);
        let told = ROUND_TRIP * (u32::try_from(round_trips).expect("few") + 1);
        println!("{edits} edit(s): {round_trips} round trip(s), {elapsed:?} of at least {told:?}");
        assert!(elapsed >= told, "the link cannot be faster than told");
        assert!(elapsed < told + ROUND_TRIP, "{elapsed:?} holds a round trip that was not counted");
    }
}

fn invite_over(server: &Server, url: &str) -> String {
    let invite = server.invite(COMMUNE, "recorder");
    let mut parsed = toso_wire::enrol::Invite::parse(&invite).expect("it is an invite");
    url.clone_into(&mut parsed.url);
    parsed.to_text()
}
