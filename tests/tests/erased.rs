//! A person is erased at the centre: changes are gone, and everything that counts or compares them goes on. Taken out of the log,
//! they would have come back with the next phone that compared, and every phone of the unit would have compared.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use toso_core::edit::MemberEdit;
use toso_core::id::DocId;
use toso_core::text::{PersonName, PlaceName};
use toso_core::time::TimestampMs;
use toso_replica::{Replica, TeamDraft};
use toso_store::records::ERASURES_TABLE;
use toso_store::{Index as _, RecordChange, RecordStore as _, Transaction};
use toso_store_sled::{Options, SledChangeLog, SledChunkStore};
use toso_tests::phone::{enrolled, rests, said, sync};
use toso_tests::{COMMUNE, Server};

fn text(path: &Path) -> &str {
    path.to_str().expect("a path")
}

/// As a command of the log says it, while the server stands still.
fn erase(data: &Path, doc: DocId) {
    let log = SledChangeLog::open(data.join("log"), Options::server()).expect("the server's log");
    let before = log.document(doc).expect("readable");
    assert!(!before.is_empty() && before.iter().all(|entry| entry.change.chunk().is_some()));
    let key = doc.as_bytes().to_vec();
    let erasure = RecordChange { table: ERASURES_TABLE.to_owned(), key, value: Some(Vec::new()), expect: None };
    log.command(TimestampMs(1_700_000_000_000), &[erasure]).expect("erased");
    assert!(log.document(doc).expect("readable").iter().all(|entry| entry.change.chunk().is_none()));
}

fn shows(server: &Server, members: u64) {
    server.report_when(&["--unit", COMMUNE], |report| report["teams"] == 1 && report["members"] == members);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_person_is_counted_nowhere_and_compared_everywhere() {
    let place = TempDir::new().expect("a temporary folder");
    let at = |name: &str| place.path().join(name);
    let mut server = Server::start(&at("centre"));
    let address = server.address().to_owned();
    let first = enrolled(&server, &at("first"));
    let hamlet = PlaceName::parse("Thôn 1").expect("a name");
    let team = first.add_team(TeamDraft { hamlet: Some(hamlet), ..TeamDraft::default() }).expect("saved");
    let member = |name: &str| {
        let name = PersonName::parse(name).expect("a name");
        first.add_member(team, vec![MemberEdit::FullName(name)]).expect("saved")
    };
    let (gone, stays) = (member("Nguyễn Văn Thử"), member("Trần Thị Mẫu"));
    assert_eq!(sync(&first).await.acked, 3);
    shows(&server, 2);
    server.stop();
    erase(&at("centre"), gone);
    let verified = said(&["verify", "--data", text(&at("centre"))]);
    assert!(verified.contains("nothing is wrong"), "{verified}");

    let mut server = Server::start_on(&at("centre"), &address);
    shows(&server, 1);
    // The phone that has it is not told by a page; what it has is what the centre has, erased or not.
    sync(&first).await;
    rests(&first).await;
    // One that comes now gets that it was there.
    let second = enrolled(&server, &at("second"));
    assert_eq!(sync(&second).await.pulled, 3);
    rests(&second).await;
    let members: Vec<DocId> = second.members(None).expect("readable").into_iter().map(|member| member.id).collect();
    assert_eq!(members, [stays]);
    assert!(second.member(gone).is_err() && second.history(gone).is_err());
    assert_eq!(second.store().erased_documents().expect("readable").len(), 1);

    // One whose version did not know erased changes passed over it, and has the cursor: after its update it compares once.
    let third = enrolled(&server, &at("third"));
    sync(&third).await;
    let passed_over = Transaction { remove_documents: vec![gone], ..Transaction::default() };
    third.store().commit(passed_over).expect("stored");
    drop(third);
    let store = Arc::new(SledChunkStore::open(at("third"), Options::phone()).expect("a folder"));
    let third = Arc::new(Replica::open(store, &toso_client::system::options()).expect("opened"));
    assert_eq!(sync(&third).await.pulled, 1);
    rests(&third).await;

    // A backup has what the log has, and so has the server that is made from it.
    let (backup, key) = (at("backup.zst"), at("centre").join("root.key"));
    let token = server.admin_token_file();
    said(&["backup", "--server", server.url(), "--admin-token-file", text(&token), "--to", text(&backup)]);
    said(&["verify", "--backup", text(&backup)]);
    server.stop();
    for (mode, folder) in [("restore", at("restored")), ("import", at("imported"))] {
        said(&[mode, "--from", text(&backup), "--data", text(&folder), "--root-key", text(&key)]);
        let verified = said(&["verify", "--data", text(&folder)]);
        assert!(verified.contains("nothing is wrong"), "{verified}");
        let log = SledChangeLog::open(folder.join("log"), Options::server()).expect("the log");
        assert!(log.document(gone).expect("readable").iter().all(|entry| entry.change.chunk().is_none()));
    }
    let server = Server::start_on(&at("restored"), &address);
    shows(&server, 1);
    // A phone that has the bytes compares with a server of another epoch, and brings nothing back.
    for phone in [&first, &second] {
        sync(phone).await;
        rests(phone).await;
    }
    shows(&server, 1);
}
