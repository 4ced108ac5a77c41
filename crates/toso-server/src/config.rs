//! What an operator can set, and the limits that nobody should have to.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use toso_core::time::TimestampMs;
use toso_sync::reconcile::RECONCILE_KEYS_MAX;

use crate::quota::Budgets;
use crate::reach::{Reach, origin_of};
use crate::trust::RELEASED_AT;

/// Sync sessions at the same time. Idle ones cost at most 16 KiB each: 20,000 × 16 KiB = 320 MiB.
pub const SESSIONS_MAX: usize = 20_000;
/// TCP connections that speak HTTP at the same time: REST callers, upgrades under way, refusals. One that becomes a
/// session gives its place back. 4,096 × 16 KiB of head are 64 MiB at worst; more wait in the system's queue.
pub const HTTP_CONNECTIONS_MAX: usize = 4_096;
/// One in so many of [`HTTP_CONNECTIONS_MAX`] may be a request that waits for news: 2,048 phones behind proxies that break
/// sockets. The other half is left to everybody else.
pub const POLLS_SHARE: usize = 2;
/// Connections that the system keeps for the server until it accepts them: as many as it may hold. Where a rush fills the
/// queue, Linux answers with SYN cookies, or a phone's first packet is lost and sent again after a second. The system may
/// allow fewer (`net.core.somaxconn`, 4,096 on Linux).
pub const QUEUED_CONNECTIONS_MAX: u32 = 4_096;
/// What the system holds of a connection's answers until the peer has taken them, in bytes. Left to itself it grows to
/// some MiB, which a peer that never reads fills from outside the server's own bounds, and which hides from the server
/// for [`Times::silence`] that it does not read. Eight pages of 16 KiB are under way at once: at 600 ms of delay that is
/// 1.7 Mbit/s, far above 2G.
pub const SEND_BUFFER_BYTES: u32 = 128 * 1024;
/// Sync sessions that have not proved who they are. Each can hold one unfinished frame: 1,024 × 64 KiB = 64 MiB. Phones
/// that prove themselves in the upgrade request need none of these places, however many strangers sit in them.
pub const UNPROVED_SESSIONS_MAX: usize = 1_024;
/// Sync sessions of one device at the same time; a further one ends the oldest. One is in use, one more may be a POST,
/// and two may be left from networks that the phone has moved away from and that are silent for up to
/// [`Times::silence`]. A device that holds more only wants to hold more: all places together would take 5,000 devices.
pub const SESSIONS_PER_DEVICE_MAX: usize = 4;
/// Pings and pongs that a session may send in [`CONTROL_WINDOW`]. A phone sends one for each of the server's pings, and
/// proxies seldom more than one in ten seconds.
pub const CONTROL_FRAMES_MAX: u32 = 60;
/// What [`CONTROL_FRAMES_MAX`] counts in.
pub const CONTROL_WINDOW: Duration = Duration::from_secs(60);
/// Items that a session may have refused. A phone sets aside what was refused once, and has at most 5,000 documents;
/// what comes again and again is made to cost time.
pub const REFUSED_ITEMS_MAX: u32 = 5_000;
/// Items that a session may have refused for their size or for want of room. A phone refuses such a save itself, so it
/// brings only what it saved while others filled the record. It is told, and does not bring that again. A session that
/// has more refused is ended, and goes on in the next.
pub const TOO_LARGE_ITEMS_MAX: u32 = 128;
/// The database's page cache: a tenth of the 1.5 GiB that a national server may use.
pub const CACHE_BYTES: u64 = 160 << 20;
/// Documents kept merged in memory, at 20–50 KiB each about 40 MiB.
pub const FOLD_CACHE_DOCUMENTS: usize = 1_024;
/// Long reads that may run at once: comparisons of whole units, answers to REST callers. More only fight for the same
/// disk and memory.
pub const READS_CONCURRENT_MAX: usize = 16;
/// Of those, one device's: one of its app and one of a session that compares. Others do not wait behind all of its own.
pub const READS_PER_DEVICE_MAX: usize = 2;
/// Threads that read the log for sessions, for each core: as many as can compute, and as many again that wait for the disk.
pub const READERS_PER_CORE: usize = 2;
/// The most of them; more only fight for the same disk and memory.
pub const READERS_MAX: usize = 16;
/// The largest JSON body of a REST request; the largest real one (enrolment) has 400 bytes.
pub const REST_BODY_BYTES_MAX: usize = 16 * 1024;
/// The longest a REST request may take.
pub const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);
/// The longest `POST /v1/sync` may take: 256 KiB in 2 minutes are 2G at its best, and a phone that has more to say uses
/// the socket.
pub const POST_SYNC_TIME_MAX: Duration = Duration::from_secs(120);
/// The head of a request, in bytes: HELLO's token (6 KiB) with other headers.
pub const HEADER_BYTES_MAX: usize = 16 * 1024;
/// How often the server looks whether its admin token is due to be made anew: an hour is nothing of its weeks.
pub const ADMIN_TOKEN_LOOK_EVERY: Duration = Duration::from_secs(60 * 60);
/// Sessions have this long to end once the server stops; what is left after it is cut off.
pub const SHUTDOWN_TIME_MAX: Duration = Duration::from_secs(5);

/// How long the server waits for a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// For the head of a request: 6 KiB at 2G speed, twice.
    pub head: Duration,
    /// For an accepted HELLO: several round trips of 2G, with a challenge.
    pub hello: Duration,
    /// Until it pings a silent peer, below the minute after which mobile networks forget a connection.
    pub ping_after: Duration,
    /// Until a silent peer is gone: it had 55 seconds to answer the ping. A message counts when it is whole, so a peer
    /// that never ends one is silent, too.
    pub silence: Duration,
    /// For what a device owes: its next message of a comparison. It reads 250,000 chunks for it at most (some 10 s on a
    /// cheap phone) and sends 16 KiB, 14 s at 9.6 kbit/s; four times that. Pongs do not count.
    pub answer: Duration,
    /// For a peer that takes nothing: it is gone, or wants to hold memory.
    pub write: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(20),
            hello: Duration::from_secs(20),
            ping_after: Duration::from_secs(45),
            silence: Duration::from_secs(100),
            answer: Duration::from_secs(100),
            write: Duration::from_secs(30),
        }
    }
}

/// What a server starts from.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The data folder; made when missing.
    pub data: PathBuf,
    /// Where to listen. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The address that invites name, `https://…`; without it, invites name the host that the officer called.
    pub public_url: Option<String>,
    /// Origins of pages that may sync from a browser, beside the server's own: `https://host[:port]`, exactly as browsers
    /// send them.
    pub allowed_origins: Vec<String>,
    /// The database's page cache, in bytes.
    pub cache_bytes: u64,
    /// Sync sessions at the same time.
    pub sessions_max: usize,
    /// Threads that merge documents.
    pub fold_workers: usize,
    /// Documents kept merged in memory, over all workers.
    pub fold_cache_documents: usize,
    /// HTTP connections at the same time.
    pub http_connections_max: usize,
    /// Sessions without a proof at the same time.
    pub unproved_sessions_max: usize,
    /// Chunks of a unit that are compared with a device's; a larger unit is sent whole after a restore.
    pub reconcile_keys_max: u64,
    /// When the software was released; a clock that lies before it is wrong.
    pub released_at: TimestampMs,
    /// Takes the admin token from other machines and through proxies, too.
    pub admin_from_anywhere: bool,
    /// How long it waits for peers.
    pub times: Times,
    /// What devices may write in a day.
    pub budgets: Budgets,
    /// Lines of the log that never came to its reader, counted by their writer; `/metrics` tells it.
    pub log_lines_lost: Arc<AtomicU64>,
}

impl ServerConfig {
    /// The defaults for a data folder and an address.
    pub fn new(data: impl Into<PathBuf>, listen: SocketAddr) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            data: data.into(),
            listen,
            public_url: None,
            allowed_origins: Vec::new(),
            cache_bytes: CACHE_BYTES,
            sessions_max: SESSIONS_MAX,
            fold_workers: cores,
            fold_cache_documents: FOLD_CACHE_DOCUMENTS,
            http_connections_max: HTTP_CONNECTIONS_MAX,
            unproved_sessions_max: UNPROVED_SESSIONS_MAX,
            reconcile_keys_max: RECONCILE_KEYS_MAX,
            released_at: RELEASED_AT,
            admin_from_anywhere: false,
            times: Times::default(),
            budgets: Budgets::default(),
            log_lines_lost: Arc::default(),
        }
    }

    /// Origins of pages that may sync: the server's own, by its public address or else the one it listens on, and those that
    /// the operator has named.
    pub(crate) fn origins(&self) -> impl Iterator<Item = String> {
        let own = self.public_url.clone().unwrap_or_else(|| format!("http://{}", self.listen));
        origin_of(&own).into_iter().chain(self.allowed_origins.iter().cloned())
    }

    /// The first address among the settings that cannot be meant, and why.
    pub(crate) fn wrong_address(&self) -> Option<(String, &'static str)> {
        if let Some(url) = &self.public_url
            && let Reach::Nowhere(why) = Reach::of_url(url)
        {
            return Some((url.clone(), why));
        }
        let wrong = self.allowed_origins.iter().find(|origin| origin_of(origin).as_ref() != Some(*origin));
        wrong.map(|origin| {
            (origin.clone(), "an origin is https://host or https://host:port in small letters, and no more")
        })
    }
}
