//! Networks that let plain requests pass and break WebSockets: hotel and office proxies, and some phone networks. The phone
//! goes by `POST /v1/sync` there, by itself and from the first try on, remembers that, and hears of changes all the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use toso_client::{AutoSync, Invite, enrol, sync_once};
use toso_core::edit::DocEdit;
use toso_core::id::{DocId, DocKind};
use toso_core::text::PlaceName;
use toso_replica::{Replica, SyncError, SyncOptions, SyncState, TeamDraft};
use toso_store::memory::MemoryChunkStore;
use toso_tests::middlebox::{Breaks, Middlebox};
use toso_tests::{COMMUNE, Server};

/// What something may take on a machine that does ten things at once.
const PATIENCE: Duration = Duration::from_secs(60);

fn device(server: &Server, url: &str) -> Arc<Replica> {
    let store = Arc::new(MemoryChunkStore::default());
    let mut invite = Invite::parse(&server.invite(COMMUNE, "recorder")).expect("it is an invite");
    server.url().clone_into(&mut invite.url);
    let mut credential = enrol(store.as_ref(), &toso_client::rest::Rest::default(), &invite, None).expect("enrolled");
    url.clone_into(&mut credential.server_url);
    credential.keep(store.as_ref()).expect("kept");
    Arc::new(Replica::open(store, &toso_client::system::options()).expect("opened"))
}

fn add_team(replica: &Replica, hamlet: &str) -> DocId {
    let hamlet = PlaceName::parse(hamlet).expect("a name");
    replica.add_team(TeamDraft { hamlet: Some(hamlet), ..TeamDraft::default() }).expect("recorded")
}

/// A team with so many members.
fn add_members(replica: &Replica, hamlet: &str, members: usize) {
    let team = add_team(replica, hamlet);
    for number in 0..members {
        // Names have no digits.
        let letter = |place: usize| char::from(b'a' + u8::try_from(number / place % 26).expect("a letter"));
        let name = format!("Nguyễn Văn T{}{}", letter(26), letter(1));
        let Ok(DocEdit::Member(edit)) = DocEdit::parse(DocKind::Member, "full_name", &name) else {
            panic!("a member's field");
        };
        replica.add_member(team, vec![edit]).expect("recorded");
    }
}

/// Short where a test waits for it to be over.
fn options() -> SyncOptions {
    SyncOptions {
        greeting_max: Duration::from_secs(2),
        answer_max: Duration::from_secs(2),
        linger: Duration::from_secs(10),
        ..SyncOptions::default()
    }
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_syncs_however_the_network_breaks_its_socket() {
    let data = TempDir::new().expect("a temporary folder");
    let server = Server::start(data.path());
    let ways = [
        Breaks::UpgradeUp,
        Breaks::SubprotocolUp,
        Breaks::SubprotocolDown,
        Breaks::Answers(200),
        Breaks::Answers(400),
        Breaks::Answers(426),
        Breaks::Answers(502),
        Breaks::Answers(503),
        Breaks::Closes,
        Breaks::ClosesWithinHead,
        Breaks::ClosesAfter,
        Breaks::MutesAfter,
        Breaks::MutesPhone,
    ];
    for (number, breaks) in ways.into_iter().enumerate() {
        let middlebox = Middlebox::start(server.address(), breaks).await;
        let phone = device(&server, middlebox.url());
        // More than rides in HELLO, so that something must be said after it.
        add_members(&phone, &format!("Thôn {number}"), 40);
        let (report, result) = sync_once(&phone, options(), |_, _| {}).await;
        assert!(result.is_ok() && report.up_to_date, "{breaks:?}: {result:?}, {report:?}");
        assert!(report.counted, "{breaks:?}: the receipt came");
        let status = phone.status().expect("readable");
        assert_eq!(status.unsent, 0, "{breaks:?}");

        // The next time it does not even try: it is told to the store, so also by an app that was started anew.
        assert_eq!(middlebox.upgrades(), 1, "{breaks:?}");
        add_team(&phone, &format!("Xóm {number}"));
        let (_, result) = sync_once(&phone, options(), |_, _| {}).await;
        assert!(result.is_ok(), "{breaks:?}: {result:?}");
        assert_eq!(middlebox.upgrades(), 1, "{breaks:?}: remembered");

        // Another network, perhaps: the socket is tried, and works.
        middlebox.set(Breaks::Nothing);
        phone.network_is_another().expect("noted");
        add_team(&phone, &format!("Ấp {number}"));
        let requests = middlebox.requests();
        let (_, result) = sync_once(&phone, options(), |_, _| {}).await;
        assert!(result.is_ok() && middlebox.upgrades() == 2 && middlebox.requests() == requests, "{breaks:?}");
    }
    // Everything of everybody comes by requests, too, in several pages.
    let middlebox = Middlebox::start(server.address(), Breaks::Answers(400)).await;
    let reader = device(&server, middlebox.url());
    let (_, result) = sync_once(&reader, options(), |_, _| {}).await;
    result.expect("syncs");
    assert_eq!(reader.members(None).expect("readable").len(), 13 * 40);
    assert_eq!(reader.teams().expect("readable").len(), 13 * 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_come_as_they_happen_by_requests_and_go_out_at_once() {
    let data = TempDir::new().expect("a temporary folder");
    let server = Server::start(data.path());
    let middlebox = Middlebox::start(server.address(), Breaks::UpgradeUp).await;
    let phone = device(&server, middlebox.url());
    let sync = AutoSync::start(Arc::clone(&phone), SyncOptions::default());
    let mut state = sync.state();
    let up_to_date = state.wait_for(|state| *state == SyncState::UpToDate);
    drop(tokio::time::timeout(PATIENCE, up_to_date).await.expect("in time").expect("runs"));

    let other = device(&server, server.url());
    let theirs = add_team(&other, "Thôn Đông");
    sync_once(&other, options(), |_, _| {}).await.1.expect("nothing is in the way");
    // Well before the time is over for which a request is held.
    let start = Instant::now();
    until("the other's team", || phone.team(theirs).is_ok()).await;
    assert!(start.elapsed() < Duration::from_secs(20), "it came by being told, after {:?}", start.elapsed());

    for number in 0..3 {
        let start = Instant::now();
        add_team(&phone, &format!("Thôn Tây {number}"));
        until("acknowledged", || phone.status().expect("readable").unsent == 0).await;
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "a request that waits is left for it: {:?}",
            start.elapsed()
        );
    }
    // Counted, too: the receipt of what was pushed is awaited like any other news.
    until("counted", || phone.receipt_counts().is_ok_and(|receipts| receipts.counted == 4)).await;
    assert_eq!(middlebox.upgrades(), 1);

    // The platform tells of another network.
    middlebox.set(Breaks::Nothing);
    sync.network_changed(true);
    until("a socket", || middlebox.upgrades() == 2).await;
}

/// A server that has lost everything gets it back, and a phone that goes by requests compares like any other, in several of
/// them, each of which the server meets for the first time.
#[tokio::test(flavor = "multi_thread")]
async fn a_phone_compares_and_gives_back_by_requests() {
    let folder = TempDir::new().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let mut server = Server::start(&at("centre"));
    let address = server.address().to_owned();
    let middlebox = Middlebox::start(&address, Breaks::Answers(426)).await;
    let [phone, other] = [middlebox.url(), server.url()].map(|url| device(&server, url));
    let third = device(&server, middlebox.url());
    add_members(&phone, "Thôn 1", 60);
    for device in [&phone, &other, &third] {
        sync_once(device, options(), |_, _| {}).await.1.expect("syncs");
    }
    add_members(&other, "Thôn 2", 400);
    sync_once(&other, options(), |_, _| {}).await.1.expect("syncs");
    let key = at("centre").join("root.key");
    server.stop();
    drop(server);
    std::fs::create_dir(at("emptied")).expect("made");
    std::fs::copy(key, at("emptied").join("root.key")).expect("copied");
    let server = Server::start_on(&at("emptied"), &address);
    // Its list of revocations is lost, too: it takes nothing until somebody says who was revoked.
    let ended = std::process::Command::new(toso_tests::toso())
        .args(["quarantine", "end", "--none", "--server", server.url(), "--admin-token-file"])
        .arg(server.admin_token_file())
        .output()
        .expect("the command runs");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));

    // The first gives back by requests what it has; the second, which has more, by socket.
    for device in [&phone, &other] {
        let (report, result) = sync_once(device, options(), |_, _| {}).await;
        result.expect("compared");
        assert!(report.pushed > 60 || report.pulled > 0, "{report:?}");
    }
    // The third lacks 401 records, has none that the server lacks, and something new.
    add_team(&third, "Thôn 3");
    let (report, result) = sync_once(&third, options(), |_, _| {}).await;
    result.expect("compared");
    assert_eq!((report.pulled, report.pushed), (401, 1), "{report:?}");
    assert!(report.round_trips > 3, "{report:?}");
    for device in [&phone, &other, &third] {
        sync_once(device, options(), |_, _| {}).await.1.expect("syncs");
        assert_eq!(device.members(None).expect("readable").len(), 460);
    }
    assert_eq!(middlebox.upgrades(), 2, "all of it by requests");
}

/// Where nothing passes at all, the phone says so, and calls nobody a stranger to the protocol.
#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_closes_everything_is_a_bad_network() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let data = TempDir::new().expect("a temporary folder");
    let server = Server::start(data.path());
    let phone = device(&server, &url);
    add_team(&phone, "Thôn 1");
    let (_, result) = sync_once(&phone, options(), |_, _| {}).await;
    assert!(matches!(&result, Err(error @ SyncError::Unreachable { .. }) if error.word() == "offline"), "{result:?}");
    assert_eq!(phone.status().expect("readable").unsent, 1, "kept");
}
