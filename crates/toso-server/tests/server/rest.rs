//! The REST interface: who may ask for what, what the answers look like, and that every error is problem+json.

use std::time::Duration;

use serde_json::{Value, json};
use toso_core::time::TimestampMs;

use crate::support::{COMMUNE, Centre, NEIGHBOUR, Wire, enrol_body, now};

/// A commune with one team and one member, counted.
async fn filled() -> (Centre, crate::support::Device, String, String) {
    let centre = Centre::start().await;
    let device = centre.device(COMMUNE, "recorder").await;
    let (team, item) = device.team("tổ 1");
    let (member, person) = device.member(team, 1);
    let mut wire = Wire::open(&centre, &device.hello()).await;
    wire.send(&device.push(1, vec![item, person])).await;
    let through = wire.ack(1).await;
    wire.receipt(through).await;
    (centre, device, team.to_string(), member.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_answered_without_a_token_but_about_health() {
    let centre = Centre::start().await;
    let health = centre.call("GET", "/healthz", &[], None).await;
    assert_eq!((health.status, health.text.as_str()), (200, r#"{"status":"ok"}"#));
    for path in [
        "/v1/units",
        "/v1/units/2022/01",
        "/v1/report",
        "/v1/teams?unit=2022/00001",
        "/v1/members?unit=2022/00001",
        "/v1/activity?unit=2022/00001",
        "/v1/devices?unit=2022/01",
        "/metrics",
    ] {
        let answer = centre.call("GET", path, &[], None).await;
        assert_eq!((answer.status, answer.problem().as_str()), (401, "no-token"), "{path}");
        let bad = centre.call("GET", path, &[("Authorization", "Bearer AAAA".to_owned())], None).await;
        assert_eq!((bad.status, bad.problem().as_str()), (401, "bad-token"), "{path}");
    }
    for path in ["/v1/invites", "/v1/devices/0011223344556677/revoke"] {
        let answer = centre.call("POST", path, &[], Some("{}".to_owned())).await;
        assert_eq!(answer.status, 401, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_sees_its_own_commune_and_nothing_else() {
    let (centre, device, team, member) = filled().await;
    let neighbour = centre.device(NEIGHBOUR, "recorder").await;
    let own = [
        "/v1/report?list=2022&unit=00001".to_owned(),
        "/v1/teams?unit=2022/00001".to_owned(),
        "/v1/members?unit=2022/00001".to_owned(),
        "/v1/activity?unit=2022/00001".to_owned(),
        format!("/v1/teams/{team}"),
        format!("/v1/members/{member}"),
        format!("/v1/members?team={team}"),
    ];
    for path in &own {
        assert_eq!(device.get(&centre, path).await.status, 200, "{path}");
        let refused = neighbour.get(&centre, path).await;
        let expected = if path.contains("unit=") { (403, "forbidden") } else { (404, "not-found") };
        assert_eq!((refused.status, refused.problem().as_str()), expected, "{path}");
    }
    for wider in ["/v1/report", "/v1/report?list=2022&unit=01", "/v1/teams?unit=2022/00", "/v1/activity?unit=2025/00"] {
        assert_eq!(device.get(&centre, wider).await.status, 403, "{wider}");
    }
    assert_eq!(device.get(&centre, "/metrics").await.status, 403);
    assert_eq!(device.get(&centre, "/v1/devices?unit=2022/00001").await.status, 403, "devices are for officers");
    let unsigned = device.headers("GET", "/v1/units", now()).into_iter().take(1).collect::<Vec<_>>();
    assert_eq!(centre.call("GET", "/v1/units", &unsigned, None).await.problem(), "no-token");
    let stale = device.headers("GET", "/v1/units", toso_core::time::TimestampMs(5));
    let clock = centre.call("GET", "/v1/units", &stale, None).await;
    assert_eq!((clock.status, clock.problem().as_str()), (401, "clock"));
    assert!(clock.json()["server_time"].as_u64().unwrap().abs_diff(now().0) < 60_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn teams_members_and_activity_say_what_was_recorded() {
    let (centre, device, team, member) = filled().await;
    let teams = centre.get("/v1/teams?unit=2022/01").await.json();
    let first = &teams["items"][0];
    assert_eq!(first["id"], team.as_str());
    assert_eq!((&first["unit"], &first["hamlet"]), (&json!("2022/00001"), &json!("tổ 1")));
    assert_eq!((&first["counts"], &first["members"], &teams["next"]), (&json!(true), &json!(1), &Value::Null));
    let detail = centre.get(&format!("/v1/teams/{team}")).await.json();
    assert_eq!(detail["conflicts"], json!([]));
    assert_eq!(detail["history"][0]["device"], device.id.author().to_string());
    let people = centre.get(&format!("/v1/members?team={team}")).await.json();
    assert_eq!(people["items"][0]["full_name"], "Nguyễn Văn Thử");
    let person = centre.get(&format!("/v1/members/{member}")).await.json();
    assert_eq!((&person["counts"], &person["team"]), (&json!(true), &json!(team)));

    let activity = centre.get("/v1/activity?unit=2022/00001&limit=1").await;
    let entry = &activity.json()["items"][0];
    assert_eq!((&entry["document"], &entry["device"]), (&json!(team), &json!(device.id.author().to_string())));
    assert!(entry["fields"].as_array().unwrap().contains(&json!("hamlet")), "{entry}");
    let next = activity.json()["next"].as_u64().expect("there is more");
    let rest = centre.get(&format!("/v1/activity?unit=2022/00001&after={next}")).await;
    assert_eq!((rest.json()["items"].as_array().unwrap().len(), &rest.json()["next"]), (1, &Value::Null));
    assert!(!rest.text.contains("Nguyễn"), "fields without values");
    let wrong = centre.get(&format!("/v1/teams/{member}")).await;
    assert_eq!(wrong.problem(), "not-found", "a member is no team");
}

/// What no phone would save today arrives all the same, from an older build: it is taken, and shown where it is listed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_cannot_be_are_listed_with_their_record() {
    let (centre, device, team, _) = filled().await;
    let mut wire = Wire::open(&centre, &device.hello()).await;
    let doc = toso_core::id::DocId::member(device.unit, [9; 11]);
    let field = |field: &str, value: &str| {
        toso_core::edit::DocEdit::parse(toso_core::id::DocKind::Member, field, value).expect("an edit")
    };
    let edits = [
        field("team", &team),
        field("joined_on", "1/1/2100"),
        field("left_on", "1/8/2022"),
        field("birth_year", "2100"),
    ];
    wire.send(&device.push(1, vec![device.first_change(doc, &edits)])).await;
    wire.ack(1).await;
    let counted = |answer: &Value| answer["findings"].as_array().is_some();
    let start = std::time::Instant::now();
    while !counted(&centre.get(&format!("/v1/members/{doc}")).await.json()) {
        assert!(start.elapsed() < Duration::from_secs(20), "it is counted");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let found = json!([
        { "finding": "day_to_come", "document": doc, "field": "joined_on" },
        { "finding": "birth_year", "member": doc },
        { "finding": "days_out_of_order", "document": doc, "earlier": "joined_on", "later": "left_on" },
        { "finding": "days_out_of_order", "document": doc, "earlier": "birth_year", "later": "left_on" },
    ]);
    let found_in = |record: &Value| {
        let findings: Vec<Value> = record["findings"].as_array().expect("findings").clone();
        assert_eq!(json!(findings), found, "{record}");
    };
    found_in(&centre.get(&format!("/v1/members/{doc}")).await.json());
    let people = centre.get(&format!("/v1/members?team={team}")).await.json();
    let listed = people["items"].as_array().expect("a list").iter();
    for person in listed {
        if person["id"] == doc.to_string() { found_in(person) } else { assert_eq!(person["findings"], json!([])) }
    }
    let of_team = centre.get(&format!("/v1/teams/{team}")).await.json();
    assert_eq!(of_team["findings"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_come_in_pages_that_meet_without_gap_or_overlap() {
    let centre = Centre::start().await;
    let device = centre.device(COMMUNE, "recorder").await;
    let mut wire = Wire::open(&centre, &device.hello()).await;
    let items = (0..23).map(|number| device.team(&format!("tổ {number}")).1).collect();
    wire.send(&device.push(1, items)).await;
    wire.ack(1).await;
    centre.until_teams(23).await;
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = centre.get(&format!("/v1/teams?unit=2022/00001&limit=10&after={after}")).await.json();
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut after),
            None => break,
        }
    }
    assert_eq!(seen.len(), 23);
    let ids: Vec<toso_core::id::DocId> = seen.iter().map(|id| id.parse().unwrap()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "by id, each once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_comes_as_json_csv_and_text_under_both_lists() {
    let (centre, ..) = filled().await;
    for (list, provinces) in [("2022", 63), ("2025", 34)] {
        let report = centre.get(&format!("/v1/report?list={list}")).await.json();
        assert_eq!((&report["provinces_total"], &report["provinces_with_teams"]), (&json!(provinces), &json!(1)));
        assert_eq!((&report["teams"], &report["members"]), (&json!(1), &json!(1)), "{list}");
        assert_eq!(report["rows"].as_array().unwrap().len(), provinces);
    }
    let csv = centre.get("/v1/report?format=csv").await;
    assert_eq!(csv.content_type, "text/csv; charset=utf-8");
    assert!(csv.text.lines().count() > 63);
    assert!(csv.text.starts_with('\u{feff}') && csv.text.contains("\"=\"\"01\"\"\","), "{}", csv.text);
    let (head, name) = csv.disposition.split_once("; filename*=UTF-8''").expect("both names");
    assert!(head.starts_with("attachment; filename=\"to-cong-nghe-so-2022-00-20"), "{head}");
    assert!(name.starts_with("t%E1%BB%95-c%C3%B4ng-ngh%E1%BB%87-s%E1%BB%91-2022-00-Vi%E1%BB%87t-Nam-20"), "{name}");
    let raw = centre.get("/v1/report?format=csv&raw=1").await;
    assert!(raw.text.starts_with("code,name,") && raw.text.contains("\r\n01,"), "{}", raw.text);
    assert_eq!(centre.get("/v1/report?raw=1").await.problem(), "invalid");
    assert_eq!(centre.get("/v1/report?format=csv&raw=yes").await.problem(), "invalid");
    let text = centre.get("/v1/report?format=text").await;
    assert!(text.text.contains("1/63"), "{}", text.text);
    assert_eq!(centre.get("/v1/report?format=pdf").await.problem(), "invalid");
    assert_eq!(centre.get("/v1/report?list=1999").await.problem(), "invalid");
    assert_eq!(centre.get("/v1/report?list=2022&unit=99").await.problem(), "unknown-unit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn units_can_be_listed_searched_and_shown() {
    let centre = Centre::start().await;
    let provinces = centre.get("/v1/units?list=2025").await.json();
    assert_eq!(provinces["items"].as_array().unwrap().len(), 34);
    let found = centre.get("/v1/units?list=2022&q=phuc%20xa&limit=3").await.json();
    assert_eq!(found["items"][0]["code"], "00001");
    let shown = centre.get("/v1/units/2022/00001").await.json();
    assert_eq!((&shown["level"], &shown["ancestors"][1]["code"]), (&json!("commune"), &json!("01")));
    assert!(!shown["successors"].as_array().unwrap().is_empty());
    assert_eq!(centre.get("/v1/units/2022/99999").await.problem(), "unknown-unit");
    assert_eq!(centre.get("/v1/units?list=2022&parent=xx").await.problem(), "invalid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn officers_invite_below_themselves_and_nobody_invites_above() {
    let centre = Centre::start().await;
    let officer = centre.device("01", "officer").await;
    let recorder = centre.device(COMMUNE, "recorder").await;
    let order = |unit: &str, role: &str| json!({ "unit": unit, "role": role });
    let invite = |body: Value| officer.post(&centre, "/v1/invites", body);
    assert_eq!(invite(order("2022/00001", "recorder")).await.status, 201);
    assert_eq!(invite(order("2022/79", "recorder")).await.problem(), "forbidden", "another province");
    assert_eq!(invite(order("2022/01", "admin")).await.problem(), "forbidden", "above itself");
    assert_eq!(invite(order("2022/99999", "recorder")).await.problem(), "unknown-unit");
    assert_eq!(invite(order("2022/00001", "king")).await.problem(), "invalid");
    assert_eq!(invite(json!({ "unit": "2022/00001", "role": "recorder", "expires_in_s": 0 })).await.status, 400);
    let typo = json!({ "unit": "2022/00001", "role": "recorder", "expires": 60 });
    assert_eq!(invite(typo).await.problem(), "invalid", "a mistyped field is told, not ignored");
    let refused = recorder.post(&centre, "/v1/invites", order("2022/00001", "recorder")).await;
    assert_eq!(refused.problem(), "forbidden");

    let devices = officer.get(&centre, "/v1/devices?unit=2022/00001").await.json();
    assert_eq!(devices["items"][0]["id"], recorder.id.to_string());
    // In pages, each after the last id of the one before; all of them are the whole list.
    let (mut paged, mut after) = (Vec::new(), String::new());
    loop {
        let page = format!("/v1/devices?unit=2022/01&limit=1&after={after}");
        let page = centre.get(&page).await.json();
        paged.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next"].as_str() else { break };
        after = next.to_owned();
    }
    let whole = centre.get("/v1/devices?unit=2022/01").await.json();
    assert!(paged.len() > 1 && Value::Array(paged) == whole["items"]);
    for query in ["after=xyz", "limit=0", "limit=201"] {
        let refused = officer.get(&centre, &format!("/v1/devices?unit=2022/00001&{query}")).await;
        assert_eq!((refused.status, refused.problem().as_str()), (400, "invalid"), "{query}");
    }
    // The first digits are enough, when they are 8.
    let digits = recorder.id.to_string();
    let revoke = format!("/v1/devices/{}/revoke", &digits[..8]);
    let short = officer.post(&centre, &format!("/v1/devices/{}/revoke", &digits[..7]), json!({})).await;
    assert_eq!(short.problem(), "invalid");
    assert_eq!(recorder.post(&centre, &revoke, json!({})).await.status, 403);
    let other = centre.device("79", "officer").await;
    assert_eq!(other.post(&centre, &revoke, json!({})).await.problem(), "not-found", "out of sight");
    assert_eq!(officer.post(&centre, &revoke, json!({})).await.status, 200);
    assert_eq!(recorder.get(&centre, "/v1/units").await.problem(), "revoked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enrolment_answers_each_misuse_by_name_and_a_repetition_with_the_same() {
    let centre = Centre::start().await;
    let invite = centre.invite(COMMUNE, "recorder").await;
    let (one, two) =
        (ed25519_dalek::SigningKey::from_bytes(&[201; 32]), ed25519_dalek::SigningKey::from_bytes(&[202; 32]));
    let enrol = |body: Value| centre.call("POST", "/v1/enrol", &[], Some(body.to_string()));
    let first = enrol(enrol_body(&invite, &one)).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.json()["unit"], json!({ "list": 2022, "code": "00001" }));
    assert_eq!(enrol(enrol_body(&invite, &one)).await.text, first.text);
    assert_eq!(enrol(enrol_body(&invite, &two)).await.problem(), "used-invite");
    let mut forged = invite.clone();
    forged.secret = [5; 16];
    assert_eq!(enrol(enrol_body(&forged, &two)).await.problem(), "unknown-invite");
    let mut stolen = enrol_body(&invite, &two);
    stolen["public_key"] = enrol_body(&invite, &one)["public_key"].clone();
    assert_eq!(enrol(stolen).await.problem(), "bad-signature");
    let brief = json!({ "unit": "2022/00001", "role": "recorder", "expires_in_s": 1 });
    let text = centre.post("/v1/invites", brief).await.json()["invite"].as_str().unwrap().to_owned();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let late = toso_wire::enrol::Invite::parse(&text).unwrap();
    assert_eq!(enrol(enrol_body(&late, &two)).await.problem(), "expired-invite");
    assert_eq!(enrol(json!({ "secret": "AA", "public_key": "", "signature": "" })).await.problem(), "invalid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_error_is_a_problem() {
    let centre = Centre::start().await;
    let [admin, purpose] = centre.as_admin();
    assert_eq!(centre.get("/v2/nothing").await.problem(), "no-such-route");
    let method = centre.call("DELETE", "/v1/report", &[admin.clone(), purpose.clone()], None).await;
    assert_eq!((method.status, method.problem().as_str()), (405, "method-not-allowed"));
    let typed = [admin.clone(), purpose.clone(), ("Content-Type", "text/plain".to_owned())];
    let answer = centre.call("POST", "/v1/invites", &typed, Some("{}".to_owned())).await;
    assert_eq!((answer.status, answer.problem().as_str()), (415, "not-json"));
    let body = |bytes: usize| format!(r#"{{"unit":"{}"}}"#, "x".repeat(bytes - 11));
    let limit = toso_server::config::REST_BODY_BYTES_MAX;
    let whole = centre.as_admin();
    let fits = centre.call("POST", "/v1/invites", &whole, Some(body(limit))).await;
    assert_eq!((fits.status, fits.problem().as_str()), (400, "invalid"), "read, and found wanting");
    let large = centre.call("POST", "/v1/invites", &whole, Some(body(limit + 1))).await;
    assert_eq!((large.status, large.problem().as_str()), (413, "too-large"));
    for (path, good) in [("limit=200", true), ("limit=201", false), ("limit=0", false), ("after=c1", false)] {
        let answer = centre.get(&format!("/v1/teams?unit=2022/00001&{path}")).await;
        assert_eq!(answer.status == 200, good, "{path}");
        assert!(good || answer.problem() == "invalid", "{path}");
    }
    assert_eq!(centre.get("/v1/teams").await.problem(), "invalid", "a missing parameter");
    assert_eq!(centre.get("/v1/teams/x").await.problem(), "invalid");
    assert_eq!(centre.get("/v1/teams?unit=01").await.problem(), "unknown-unit");
    let metrics = centre.get("/metrics").await.text;
    assert!(metrics.contains(r#"toso_http_requests_total{route="/v1/report",status="405"} 1"#), "{metrics}");
    assert!(metrics.contains("toso_resident_bytes"), "{metrics}");
}

async fn metric(centre: &Centre, name: &str) -> u64 {
    let text = centre.get("/metrics").await.text;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).expect("the metric is there");
    line.parse().expect("a number")
}

/// A server that found everything counted when it started used to say that it had counted nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_tell_the_disks_syncs_and_what_was_counted_before_a_restart() {
    let centre = Centre::start().await;
    let device = centre.device(COMMUNE, "recorder").await;
    let syncs = metric(&centre, "toso_storage_syncs_total").await;
    let (_, item) = device.team("tổ 1");
    let mut wire = Wire::open(&centre, &device.hello()).await;
    wire.send(&device.push(1, vec![item])).await;
    let through = wire.ack(1).await;
    wire.receipt(through).await;
    assert!(metric(&centre, "toso_storage_syncs_total").await > syncs, "an acknowledgement follows a sync");
    assert_eq!(metric(&centre, "toso_counted_sequence").await, through.0);
    let centre = centre.restart().await;
    centre.until_teams(1).await;
    assert_eq!(metric(&centre, "toso_counted_sequence").await, through.0);
}

/// The story: one signed call for a viewer's invite, sent again with another body, invited an officer of the district.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_call_is_good_once_and_for_its_own_body() {
    let centre = Centre::start().await;
    let officer = centre.device("001", "officer").await;
    let (viewer, another) =
        (json!({"unit": "2022/00001", "role": "viewer"}), json!({"unit": "2022/001", "role": "viewer"}));
    let (viewer, another) = (viewer.to_string(), another.to_string());
    let signed = officer.headers_over("POST", "/v1/invites", now(), viewer.as_bytes());
    let swapped = centre.call("POST", "/v1/invites", &signed, Some(another.clone())).await;
    assert_eq!((swapped.status, swapped.problem().as_str()), (401, "bad-token"));
    let first = centre.call("POST", "/v1/invites", &signed, Some(viewer.clone())).await;
    assert_eq!(first.status, 201, "{}", first.text);
    for body in [viewer.clone(), another] {
        let again = centre.call("POST", "/v1/invites", &signed, Some(body.clone())).await;
        let expected = if body == viewer { "replayed" } else { "bad-token" };
        assert_eq!((again.status, again.problem().as_str()), (401, expected));
    }
    let early = officer.headers("GET", "/v1/units", TimestampMs(now().0 - 301_000));
    let refused = centre.call("GET", "/v1/units", &early, None).await;
    assert_eq!((refused.status, refused.problem().as_str()), (401, "clock"));
    let at = TimestampMs(refused.json()["server_time"].as_u64().expect("the server's time"));
    let signed_again = officer.headers("GET", "/v1/units", at);
    assert_eq!(centre.call("GET", "/v1/units", &signed_again, None).await.status, 200);
    let limit = toso_server::config::REST_BODY_BYTES_MAX;
    for (bytes, status) in [(limit, 400), (limit + 1, 413)] {
        let body = "x".repeat(bytes);
        let signed = officer.headers_over("POST", "/v1/invites", now(), body.as_bytes());
        assert_eq!(centre.call("POST", "/v1/invites", &signed, Some(body)).await.status, status, "{bytes} bytes");
    }
}
