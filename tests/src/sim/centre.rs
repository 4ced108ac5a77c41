//! A centre in memory, with a transport to it: the real desk and sessions on a simulated disk, frames through the real codec, no
//! socket, no thread, no runtime. Time is virtual: when nobody has anything to do, the next moment that somebody waits for has
//! come. So the client's whole loop runs on one thread, as it would in a browser.

use std::collections::{BTreeMap, VecDeque};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Request, Response, StatusCode};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use toso_client::doing::Doing;
use toso_client::rest::{Asks, RestError};
use toso_client::transport::{Incoming, Line, LineBytes, Requests, Socket, Transport};
use toso_client::{Invite, system};
use toso_core::id::Sequence;
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_replica::exchange::{DialFailure, Moment};
use toso_replica::{Reach, ReachError, ReplicaOptions, SyncError};
use toso_server::desk;
use toso_server::hub::HubNews;
use toso_server::log_writer::append_group;
use toso_server::serving::Step;
use toso_server::trust::{EnrolRequest, INVITE_LIFE_MS_DEFAULT, InviteOrder};
use toso_store::Log as _;
use toso_sync::{AccessRole, Ask as _, ServerEvent};
use toso_wire::rest::REGISTER_HEADER;
use toso_wire::{Frame, Hello, decode, encode, hello_from_token, hello_token};

use super::rng::Rng;
use super::server::{Served, Server};

/// The address that invites name.
const URL: &str = "https://toso.example";
/// The true time at which a centre begins.
const BEGIN_MS: u64 = 1_663_545_600_000;

/// A centre, and the way to it.
#[derive(Clone)]
pub struct Centre(Arc<Mutex<Room>>);

struct Room {
    server: Server,
    /// Virtual time.
    now: Moment,
    sleepers: Vec<(Moment, Waker)>,
    next_link: u64,
    /// What goes down, by connection.
    lines: BTreeMap<u64, mpsc::UnboundedSender<Incoming>>,
    /// Nobody reaches it.
    away: bool,
}

impl Centre {
    /// An empty register.
    pub fn start(seed: u64) -> Self {
        let mut server = Server::new(Rng::new(seed, 1), Rng::new(seed, 2), None);
        server.start(TimestampMs(BEGIN_MS)).expect("the server starts");
        let (now, sleepers, lines) = (Moment::default(), Vec::new(), BTreeMap::new());
        Self(Arc::new(Mutex::new(Room { server, now, sleepers, next_link: 0, lines, away: false })))
    }

    /// An invite of a recorder.
    pub fn invite(&self, unit: UnitRef) -> Invite {
        let room = self.0.lock();
        let (url, role, life_ms) = (URL.to_owned(), AccessRole::Recorder, INVITE_LIFE_MS_DEFAULT);
        let order = InviteOrder { url, unit, role, life_ms, created_by: None };
        let running = room.server.running.as_ref().expect("it runs");
        running.desk.trust.invite(&order, room.time()).expect("an invite")
    }

    /// How a replica is opened by this centre's time.
    pub fn options(&self) -> ReplicaOptions {
        let room = Arc::clone(&self.0);
        ReplicaOptions::new(Arc::new(move || room.lock().time()), Arc::new(system::fill))
    }

    /// Changes in the register.
    pub fn changes(&self) -> usize {
        let page = self.0.lock().server.disk.read(Sequence::ZERO, usize::MAX, usize::MAX);
        page.expect("the log can be read").entries.len()
    }

    /// Connections that are open.
    pub fn lines(&self) -> usize {
        self.0.lock().lines.len()
    }

    /// Cuts every line; while it is `away`, nobody reaches it.
    pub fn cut(&self, away: bool) {
        let mut room = self.0.lock();
        room.away = away;
        room.lines.clear();
        if let Some(running) = &mut room.server.running {
            running.sessions.clear();
        }
    }

    /// Runs something to its end on this thread. When it waits, the next moment that anything waits for has come.
    ///
    /// # Panics
    /// When nothing is ever going to happen.
    pub fn run<T>(&self, doing: impl Future<Output = T>) -> T {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&woken));
        let mut doing = pin!(doing);
        loop {
            while woken.0.swap(false, Ordering::Relaxed) {
                if let Poll::Ready(done) = doing.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return done;
                }
            }
            let mut room = self.0.lock();
            let next = room.sleepers.iter().map(|(until, _)| *until).min();
            room.now = room.now.max(next.expect("somebody waits for a moment"));
            let now = room.now;
            let (due, later) = std::mem::take(&mut room.sleepers).into_iter().partition(|(until, _)| *until <= now);
            room.sleepers = later;
            let due: Vec<(Moment, Waker)> = due;
            drop(room);
            for (_, sleeper) in due {
                sleeper.wake();
            }
        }
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Room {
    fn time(&self) -> TimestampMs {
        TimestampMs(BEGIN_MS + self.now.0)
    }

    /// Frames into sessions, and everything that follows from them.
    fn serve(&mut self, link: u64, event: ServerEvent) {
        let mut ready = VecDeque::from([(link, event)]);
        while let Some((link, event)) = ready.pop_front() {
            let now = self.time();
            let Some(running) = &mut self.server.running else { return };
            let Some(served) = running.sessions.get_mut(&link) else { continue };
            for effect in served.serving.handle(now, event) {
                let step = match running.sessions.get_mut(&link) {
                    Some(served) => served.serving.step(&running.desk, &running.hub, now, effect),
                    None => break,
                };
                let answer = match step {
                    Step::Answer(event) => Some(event),
                    Step::Prove(proving) => {
                        let proved = proving.check(&running.desk, now);
                        running.sessions.get_mut(&link).map(|served| served.serving.proved(&running.hub, proved))
                    }
                    Step::Count(_) => None,
                    Step::Work(work) => Some(running.desk.perform(work, now).expect("the desk answers reads")),
                    Step::Append(push, batch) => {
                        let scope = batch.batch.scope;
                        let outcome = append_group(&*self.server.disk, &running.quotas, vec![batch]).pop();
                        let outcome = outcome.expect("one for each batch");
                        if let Ok(appended) = &outcome
                            && let Some(first) = appended.appended.first_new
                        {
                            running.hub.grew(scope, Sequence(first.0 + appended.appended.new as u64 - 1));
                        }
                        Some(push.answer(outcome.map(desk::outcome)))
                    }
                    Step::Hold(hold) => Some(running.desk.hold(hold, now)),
                    Step::Send(frame) => {
                        if let Some(line) = self.lines.get(&link) {
                            // A phone that has gone hears nothing more.
                            let _ = line.send(Incoming::Frame(encode(&frame)));
                        }
                        None
                    }
                    Step::Moved(_) | Step::Ended | Step::Close => {
                        self.lines.remove(&link);
                        running.sessions.remove(&link);
                        None
                    }
                };
                ready.extend(answer.map(|answer| (link, answer)));
            }
            while running.folder.fold_page().expect("folding reads the log").is_some() {}
            let counted = running.folder.counted();
            for (link, served) in &mut running.sessions {
                ready.extend(served.serving.tell_counted(counted).map(|event| (*link, event)));
                ready.extend(news_of(served).into_iter().map(|event| (*link, event)));
            }
        }
    }
}

/// What a session is to be told of its units.
fn news_of(served: &Served) -> Vec<ServerEvent> {
    let mut told = Vec::new();
    let Some(subscription) = served.serving.subscription() else { return told };
    loop {
        let mut news = pin!(subscription.news());
        match news.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(HubNews::Grew(grown)) => {
                told.extend(grown.into_iter().map(|(unit, through)| ServerEvent::Grew { unit, through }));
            }
            Poll::Ready(HubNews::Decided) => told.push(ServerEvent::Decided),
            // Nobody is moved, revoked or replaced here.
            Poll::Ready(HubNews::Moved | HubNews::Replaced | HubNews::Revoked) | Poll::Pending => return told,
        }
    }
}

impl Transport for Centre {
    fn dial<'a>(
        &'a self,
        server_url: &'a str,
        reach: &'a Reach,
        hello: &'a Hello,
        _: Duration,
    ) -> Doing<'a, Result<Box<dyn Socket>, DialFailure>> {
        let dialled = reach.check(server_url).map_err(|error| DialFailure::Final(error.into())).and_then(|()| {
            let mut room = self.0.lock();
            if room.away {
                return Err(DialFailure::Final(unreachable(server_url)));
            }
            let hello = hello_from_token(&hello_token(hello)).expect("a HELLO");
            room.next_link += 1;
            let link = room.next_link;
            let (sender, down) = mpsc::unbounded_channel();
            room.lines.insert(link, sender);
            room.server.running.as_mut().expect("it runs").sessions.insert(link, Served::new());
            room.serve(link, ServerEvent::Frame(Frame::Hello(hello)));
            Ok(Box::new(Pipe { centre: self.clone(), link, down }) as Box<dyn Socket>)
        });
        Box::pin(std::future::ready(dialled))
    }

    fn requests(&self, server_url: &str, _: &Reach) -> Result<Box<dyn Requests>, SyncError> {
        // There is no network here that breaks sockets and lets requests through.
        Err(unreachable(server_url))
    }

    fn asks(&self, reach: &Reach) -> Result<Arc<dyn Asks>, ReachError> {
        Ok(Arc::new(Counter { centre: self.clone(), reach: reach.clone() }))
    }

    fn now(&self) -> Moment {
        self.0.lock().now
    }

    fn sleep(&self, time: Duration) -> Doing<'static, ()> {
        let until = self.now().plus(time);
        Box::pin(Sleep { centre: self.clone(), until })
    }
}

fn unreachable(url: &str) -> SyncError {
    SyncError::Unreachable { url: url.to_owned(), detail: "nobody is there".to_owned() }
}

struct Sleep {
    centre: Centre,
    until: Moment,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut room = self.centre.0.lock();
        if room.now >= self.until {
            return Poll::Ready(());
        }
        room.sleepers.push((self.until, cx.waker().clone()));
        Poll::Pending
    }
}

/// A socket's end at the phone.
struct Pipe {
    centre: Centre,
    link: u64,
    down: mpsc::UnboundedReceiver<Incoming>,
}

impl Line for Pipe {
    fn next(&mut self) -> Doing<'_, Incoming> {
        Box::pin(async { self.down.recv().await.unwrap_or(Incoming::Gone) })
    }

    fn close(&mut self) -> Doing<'_, ()> {
        let mut room = self.centre.0.lock();
        room.lines.remove(&self.link);
        if let Some(running) = &mut room.server.running {
            running.sessions.remove(&self.link);
        }
        Box::pin(std::future::ready(()))
    }

    fn bytes(&self) -> LineBytes {
        LineBytes::default()
    }
}

impl Socket for Pipe {
    fn send(&mut self, frame: Vec<u8>) -> Doing<'_, bool> {
        let mut room = self.centre.0.lock();
        let open = room.lines.contains_key(&self.link);
        if open {
            let frame = decode(&frame).expect("a frame");
            room.serve(self.link, ServerEvent::Frame(frame));
        }
        Box::pin(std::future::ready(open))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        drop(self.close());
    }
}

/// Where a device enrols.
struct Counter {
    centre: Centre,
    reach: Reach,
}

impl Counter {
    fn enrol(&self, body: &[u8]) -> Result<serde_json::Value, String> {
        let body: serde_json::Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let request = EnrolRequest {
            secret: field(&body, "secret")?,
            public_key: field(&body, "public_key")?,
            signature: field(&body, "signature")?,
            name: body["device_name"].as_str().map(str::to_owned),
        };
        let room = self.centre.0.lock();
        let running = room.server.running.as_ref().ok_or("it does not run")?;
        let trust = &running.desk.trust;
        let enrolment = trust.enrol(&request, room.time()).map_err(|error| error.to_string())?;
        Ok(serde_json::json!({
            "token": URL_SAFE_NO_PAD.encode(&enrolment.token),
            "server_id": trust.server(),
            "unit": enrolment.unit,
            "role": enrolment.role.word(),
            "expires_at": enrolment.expires_at,
            "root_public_key": URL_SAFE_NO_PAD.encode(trust.root_public_key()),
            "proof": URL_SAFE_NO_PAD.encode(enrolment.proof),
            "device_name": enrolment.name,
        }))
    }
}

fn field<const N: usize>(body: &serde_json::Value, name: &str) -> Result<[u8; N], String> {
    let bytes = body[name].as_str().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| format!("{name} is no {N} bytes"))
}

impl Asks for Counter {
    fn ask(&self, request: Request<Vec<u8>>) -> Doing<'_, Result<Response<Vec<u8>>, RestError>> {
        let answer = match request.uri().path() {
            "/v1/enrol" => self.enrol(request.body()),
            path => Err(format!("nobody answers {path} here")),
        };
        let (status, body) = match answer {
            Ok(body) => (StatusCode::OK, body.to_string()),
            Err(detail) => (StatusCode::FORBIDDEN, serde_json::json!({ "detail": detail }).to_string()),
        };
        let answer = Response::builder().status(status).header(REGISTER_HEADER, "07").body(body.into_bytes());
        Box::pin(std::future::ready(Ok(answer.expect("an answer"))))
    }

    fn reach(&self) -> &Reach {
        &self.reach
    }
}
