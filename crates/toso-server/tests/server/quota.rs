//! What one device may write in a day, as its phone and its officer see it.

use serde_json::json;
use toso_server::quota::{Budget, Budgets};
use toso_wire::{Frame, NackCode};

use crate::support::{COMMUNE, Centre, Wire};

/// A recorder writes three changes a day here. The rest of a push waits, in one word; its neighbour is not touched; an
/// officer allows an import day, a recorder does not, and nobody allows it to itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_is_told_to_wait_and_an_officer_allows_it_more() {
    let small = |changes| Budget { changes, bytes: 1 << 20 };
    let budgets = Budgets { recorder: small(3), import: small(2), ..Budgets::default() };
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let centre = Centre::start_in(folder, |config| config.budgets = budgets).await;
    let (rogue, other) = (centre.device(COMMUNE, "recorder").await, centre.device(COMMUNE, "recorder").await);
    let officer = centre.device(COMMUNE, "officer").await;
    let teams = |from: u8, to: u8| (from..=to).map(|number| rogue.team(&format!("tổ {number}")).1).collect::<Vec<_>>();

    let mut wire = Wire::open(&centre, &rogue.hello()).await;
    wire.send(&rogue.push(1, teams(1, 5))).await;
    let postponed = |frame: &Frame| if let Frame::Nack(nack) = frame { Some(nack.clone()) } else { None };
    let nack = wire.until(postponed).await;
    assert_eq!((nack.item, nack.code), (Some(3), NackCode::OverQuota), "{nack:?}");
    assert!((10_000..=10_800).contains(&nack.retry_after_s.expect("a time")), "three hours: {nack:?}");
    wire.ack(1).await;
    let mut others = Wire::open(&centre, &other.hello()).await;
    others.send(&other.push(1, vec![other.team("tổ 9").1])).await;
    others.ack(1).await;
    centre.until_teams(4).await;

    let path = format!("/v1/devices/{}/allow", rogue.id);
    for (who, status) in [(&rogue, 403), (&other, 403), (&officer, 200), (&officer, 429)] {
        assert_eq!(who.post(&centre, &path, json!({})).await.status, status);
    }
    let own = format!("/v1/devices/{}/allow", officer.id);
    assert_eq!(officer.post(&centre, &own, json!({})).await.status, 403);
    wire.send(&rogue.push(2, teams(4, 6))).await;
    let nack = wire.until(postponed).await;
    assert_eq!((nack.number, nack.item, nack.code), (2, Some(2), NackCode::OverQuota), "two more: {nack:?}");
    wire.ack(2).await;
    centre.until_teams(6).await;
    assert!(centre.get("/metrics").await.text.contains(r#"toso_refusals_total{kind="nack",code="over_quota"} 2"#));
}
