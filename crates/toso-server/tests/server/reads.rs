//! Reading records that somebody has made to be slow.

use toso_core::change::Change;
use toso_core::document::{Author, CONFLICT_VALUES_MAX, Document};
use toso_core::edit::{DocEdit, TeamEdit};
use toso_core::id::{Actor, DocId};
use toso_core::text::PlaceName;

use crate::support::{COMMUNE, Centre, Wire, now};

/// Writes of one field, each made without having seen the others.
const WRITES: u32 = 200;
const WRITES_PER_PUSH: u32 = 100;

/// A rogue device once wrote one field of a record 4,000 times apart, and asked for the unit's activity: each question
/// took seconds of a thread, 150 of them that nobody waited for took 94 threads and 1.7 GB. What such a record costs is in
/// the tests of its readers; here it is shown as it is, in every answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_was_written_apart_very_often_is_listed_shown_and_told() {
    let centre = Centre::start().await;
    let device = centre.device(COMMUNE, "recorder").await;
    let (doc, team) = device.team("Thôn 1");
    let mut wire = Wire::open(&centre, &device.hello()).await;
    wire.welcome().await;
    wire.send(&device.push(1, vec![team])).await;
    let mut through = wire.ack(1).await;
    let first = through.0;
    let apart = |number: u32| {
        let mut opening = [9; 8];
        opening[..4].copy_from_slice(&number.to_be_bytes());
        let author = Author { actor: Actor::new(device.id, opening), at: now() };
        let name = PlaceName::parse(&format!("Tổ {number}")).expect("a name");
        let chunk =
            Document::new(doc).expect("a known kind").edit(author, &[DocEdit::Team(TeamEdit::LocalName(Some(name)))]);
        Change { doc, chunk: chunk.expect("valid").expect("a change").raw() }
    };
    for (push, from) in (2..).zip((0..WRITES).step_by(WRITES_PER_PUSH as usize)) {
        wire.send(&device.push(push, (from..from + WRITES_PER_PUSH).map(apart).collect())).await;
        through = wire.ack(push).await;
    }
    wire.receipt(through).await;

    let shown = device.get(&centre, &format!("/v1/teams/{doc}")).await.json();
    let conflict = &shown["conflicts"][0];
    assert_eq!((conflict["field"].as_str(), conflict["count"].as_u64()), (Some("local_name"), Some(WRITES.into())));
    let values = conflict["values"].as_array().expect("values");
    assert_eq!(values.len(), CONFLICT_VALUES_MAX);
    assert_eq!((&values[0]["shown"], &values[0]["value"]), (&true.into(), &shown["local_name"]));
    assert_eq!(shown["history"].as_array().expect("a history").len(), 1 + WRITES as usize);

    let listed = device.get(&centre, &format!("/v1/teams?unit=2022/{COMMUNE}")).await.json();
    assert_eq!((&listed["items"][0]["local_name"], &listed["next"]), (&shown["local_name"], &serde_json::Value::Null));

    let path = format!("/v1/activity?unit=2022/{COMMUNE}&after={first}&limit={WRITES}");
    let activity = device.get(&centre, &path).await.json();
    let items = activity["items"].as_array().expect("items");
    assert_eq!(items.len(), WRITES as usize);
    for item in items {
        assert_eq!((&item["document"], &item["fields"]), (&doc.to_string().into(), &vec!["local_name"].into()));
    }
}

/// A change that no document can take is no activity, and everything else of its record is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_set_aside_is_no_activity() {
    let centre = Centre::start().await;
    let device = centre.device(COMMUNE, "recorder").await;
    let (doc, team) = device.team("Thôn 1");
    // The same actor and sequence number once more, with another content: the first to come stays.
    let households = DocEdit::Team(TeamEdit::HouseholdsCovered(Some(7)));
    let second = device.first_change(doc, &[households]);
    let mut wire = Wire::open(&centre, &device.hello()).await;
    wire.welcome().await;
    wire.send(&device.push(1, vec![team, second])).await;
    let through = wire.ack(1).await;
    wire.receipt(through).await;
    let activity = device.get(&centre, &format!("/v1/activity?unit=2022/{COMMUNE}")).await.json();
    let items = activity["items"].as_array().expect("items");
    assert_eq!(items.len(), 1, "{activity}");
    let document: DocId = items[0]["document"].as_str().expect("an id").parse().expect("an id");
    assert_eq!(document, doc);
}
