//! Load, links and measuring: what a running register costs, and how that grows.
//!
//! Everything here works on a real server in a process of its own ([`server`]), over real sockets, from outside: it is
//! devices and officers, and knows nothing of the server's insides.
//!
//! - [`runner`] runs named scenarios: real server, real sled with its syncs, real sockets on loopback. Each scenario runs at
//!   several sizes and in several rounds; [`report`] prints least, middle and most, how the figures grow, and what they
//!   should be.
//! - [`national`]: the country as of 7/9/2022, recorded by thousands of field devices. `toso simulate` and `toso demo`
//!   run it whole, the scenarios a part of it, or more than it.
//! - [`link`]: a bad network between a device and a server, with delay, bandwidth, stalls and cuts. The end-to-end suites
//!   use it too, as they use [`wiretap`], which reads what travelled.
//! - [`handset`]: what a phone does on its own disk, in a process of its own so that its memory can be told.
//! - [`client`]: single operations of devices, for those who compare engines from outside.

pub mod bench;
pub mod client;
pub mod error;
pub mod figures;
pub mod handset;
pub mod link;
pub mod national;
pub mod process;
pub mod report;
pub mod server;
pub mod wiretap;

mod goals;
mod online;
mod open_files;
mod parallel;
mod patience;
mod phone;
pub mod plan;
mod progress;
pub mod runner;
mod scenarios;
mod watch;

pub use error::BenchError;
