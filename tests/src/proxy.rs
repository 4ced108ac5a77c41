//! A slow link: a TCP proxy that holds every byte back for half the round-trip time in each direction.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// A proxy in front of a server. It lives as long as the test process.
#[derive(Debug)]
pub struct SlowLink {
    url: String,
}

impl SlowLink {
    /// A link of the given round-trip time to `address` (`127.0.0.1:PORT`). Connecting takes a round trip, too.
    pub fn to(address: &str, round_trip: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let address = address.to_owned();
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let address = address.clone();
                thread::spawn(move || {
                    // Loopback connects at once; what a far server's SYN-ACK takes is waited here, before any byte.
                    thread::sleep(round_trip);
                    if let Ok(far) = TcpStream::connect(address) {
                        carry(&near, &far, round_trip / 2);
                    }
                });
            }
        });
        Self { url }
    }

    /// Its address, `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }
}

fn carry(near: &TcpStream, far: &TcpStream, delay: Duration) {
    let one_way = |from: &TcpStream, to: &TcpStream| {
        let (mut from, mut to) = (from.try_clone().expect("clone"), to.try_clone().expect("clone"));
        to.set_nodelay(true).expect("a socket option");
        let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
        thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                let bytes = buffer.get(..count).unwrap_or_default().to_vec();
                if sender.send((Instant::now() + delay, bytes)).is_err() {
                    break;
                }
            }
        });
        thread::spawn(move || {
            for (due, bytes) in receiver {
                thread::sleep(due.saturating_duration_since(Instant::now()));
                if to.write_all(&bytes).is_err() {
                    break;
                }
            }
            // The other side may be gone already.
            let _ = to.shutdown(Shutdown::Write);
        });
    };
    one_way(near, far);
    one_way(far, near);
}
