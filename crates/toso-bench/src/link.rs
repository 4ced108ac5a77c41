//! A bad link: a TCP proxy that delays, limits, stalls, cuts and goes deaf, and keeps what it let through.
//!
//! Bytes are held back in user space, so what a simulated cut loses is what a real one would: everything that has not
//! come out at the other end. Suites compare what went through on one connection with what is sent on the next.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Bytes that travel together: about a packet of a mobile network.
const PACKET_BYTES: usize = 512;

/// How bad a link is.
#[derive(Debug, Clone)]
pub struct LinkShape {
    /// Half of it passes in each direction; connecting takes a whole one.
    pub round_trip: Duration,
    /// Each way; without limit when `None`.
    pub bits_per_second: Option<u32>,
    /// A connection is cut after so many bytes, both ways together.
    pub cut_after_bytes: Option<Range<u64>>,
    /// One in so many packets waits this much longer, and all behind it.
    pub stall: Option<(u32, Duration)>,
    /// What cuts and stalls are drawn from.
    pub seed: u64,
}

impl LinkShape {
    /// A link that is only far.
    pub fn far(round_trip: Duration) -> Self {
        Self { round_trip, bits_per_second: None, cut_after_bytes: None, stall: None, seed: 0 }
    }
}

/// What went through one connection.
#[derive(Debug, Clone, Default)]
pub struct Passed {
    /// Bytes that reached the server.
    pub up: Vec<u8>,
    /// Bytes that reached the client.
    pub down: Vec<u8>,
    /// When the link cut it.
    pub cut: Option<Instant>,
}

/// A proxy in front of a server. It lives as long as the process.
#[derive(Debug)]
pub struct SlowLink {
    url: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    address: String,
    shape: LinkShape,
    connections: Mutex<Vec<Arc<Connection>>>,
    /// New connections are not answered either.
    down: AtomicBool,
    /// When somebody tried to connect.
    tries: Mutex<Vec<Instant>>,
}

#[derive(Debug)]
struct Connection {
    passed: Mutex<Passed>,
    /// Both sides see an open connection, and nothing passes.
    deaf: AtomicBool,
    /// Bytes until the cut.
    left: Mutex<Option<u64>>,
    near: TcpStream,
    far: TcpStream,
}

impl SlowLink {
    /// A link of the given round-trip time to `address` (`127.0.0.1:PORT`). Connecting takes a round trip, too.
    pub fn to(address: &str, round_trip: Duration) -> std::io::Result<Self> {
        Self::shaped(address, LinkShape::far(round_trip))
    }

    /// A link of any shape.
    pub fn shaped(address: &str, shape: LinkShape) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            address: address.to_owned(),
            shape,
            connections: Mutex::default(),
            down: AtomicBool::new(false),
            tries: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for (number, near) in (0..).zip(listener.incoming().map_while(Result::ok)) {
                let shared = Arc::clone(&accepting);
                shared.tries.lock().push(Instant::now());
                thread::spawn(move || shared.accept(near, number));
            }
        });
        Ok(Self { url, shared })
    }

    /// Its address, `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What went through each connection, in the order they were made.
    pub fn passed(&self) -> Vec<Passed> {
        let connections = self.shared.connections.lock();
        connections.iter().map(|connection| connection.passed.lock().clone()).collect()
    }

    /// When somebody tried to connect, whether it worked or not.
    pub fn tries(&self) -> Vec<Instant> {
        self.shared.tries.lock().clone()
    }

    /// From now on nothing passes on the connections there are, and neither side is told: what a phone is left with when
    /// it changes from one network to another.
    pub fn go_deaf(&self) {
        for connection in self.shared.connections.lock().iter() {
            connection.deaf.store(true, Ordering::Relaxed);
        }
    }

    /// No network: connections break, and new ones are refused until it is switched on again.
    pub fn switch(&self, on: bool) {
        self.shared.down.store(!on, Ordering::Relaxed);
        if !on {
            for connection in self.shared.connections.lock().iter() {
                connection.cut();
            }
        }
    }
}

impl Shared {
    fn accept(&self, near: TcpStream, number: u64) {
        if self.down.load(Ordering::Relaxed) {
            return;
        }
        // Loopback connects at once; what a far server's SYN-ACK takes is waited here, before any byte.
        thread::sleep(self.shape.round_trip);
        let Ok(far) = TcpStream::connect(&self.address) else { return };
        let mut rng = StdRng::seed_from_u64(self.shape.seed ^ number << 8);
        let left = self.shape.cut_after_bytes.clone().map(|range| rng.random_range(range));
        let connection = Arc::new(Connection {
            passed: Mutex::default(),
            deaf: AtomicBool::new(false),
            left: Mutex::new(left),
            near,
            far,
        });
        self.connections.lock().push(Arc::clone(&connection));
        for upwards in [true, false] {
            if carry(&connection, upwards, &self.shape, StdRng::seed_from_u64(rng.random())).is_err() {
                connection.cut();
            }
        }
    }
}

impl Connection {
    /// Lets bytes through, as far as the cut allows; false when the connection is over.
    fn pass(&self, upwards: bool, bytes: &[u8]) -> bool {
        if self.deaf.load(Ordering::Relaxed) {
            return true;
        }
        let mut left = self.left.lock();
        let count =
            left.map_or(bytes.len(), |left| usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len())));
        let bytes = bytes.get(..count).unwrap_or_default();
        let mut to = if upwards { &self.far } else { &self.near };
        let written = {
            // Held while they go out, so that their reader finds them here.
            let mut passed = self.passed.lock();
            let written = to.write_all(bytes).is_ok();
            if upwards {
                passed.up.extend_from_slice(bytes);
            } else {
                passed.down.extend_from_slice(bytes);
            }
            written
        };
        if let Some(left) = left.as_mut() {
            *left -= count as u64;
            if *left == 0 {
                self.cut();
                return false;
            }
        }
        written
    }

    fn cut(&self) {
        let at = Instant::now();
        // Either side may be gone already. This also ends a write that nobody takes.
        let _ = self.near.shutdown(Shutdown::Both);
        let _ = self.far.shutdown(Shutdown::Both);
        self.passed.lock().cut.get_or_insert(at);
    }
}

/// Carries one direction: one thread takes bytes as they come, another lets them out when they are due.
fn carry(connection: &Arc<Connection>, upwards: bool, shape: &LinkShape, mut rng: StdRng) -> std::io::Result<()> {
    let (from, to) = if upwards { (&connection.near, &connection.far) } else { (&connection.far, &connection.near) };
    let (mut from, to) = (from.try_clone()?, to.try_clone()?);
    to.set_nodelay(true)?;
    // Bounded where the link is: a sender must feel that it is slow, as a real one does by its window.
    let (sender, receiver) =
        mpsc::sync_channel::<(Instant, Vec<u8>)>(if shape.bits_per_second.is_some() { 32 } else { 4096 });
    let shape = shape.clone();
    thread::spawn(move || {
        let mut buffer = vec![0; if shape.bits_per_second.is_some() { PACKET_BYTES } else { 64 * 1024 }];
        let mut free = Instant::now();
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let bytes = buffer.get(..count).unwrap_or_default().to_vec();
            // The link takes one packet after the other; the way to the other end comes on top.
            free = free.max(Instant::now());
            if let Some(rate) = shape.bits_per_second {
                free += Duration::from_secs_f64(count as f64 * 8.0 / f64::from(rate));
            }
            if let Some((one_in, wait)) = shape.stall
                && rng.random_ratio(1, one_in)
            {
                free += wait;
            }
            if sender.send((free + shape.round_trip / 2, bytes)).is_err() {
                break;
            }
        }
    });
    let connection = Arc::clone(connection);
    thread::spawn(move || {
        for (due, bytes) in receiver {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if !connection.pass(upwards, &bytes) {
                break;
            }
        }
        // The other side may be gone already. A deaf link does not tell of an end either.
        if !connection.deaf.load(Ordering::Relaxed) {
            let _ = to.shutdown(Shutdown::Write);
        }
    });
    Ok(())
}
