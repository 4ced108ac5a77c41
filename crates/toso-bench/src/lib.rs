//! Load, links and measuring: what a running register costs, and how that grows.
//!
//! Everything here works on a real server in a process of its own ([`server`]), over real sockets, from outside: it is
//! devices and officers, and knows nothing of the server's insides. Three things live here:
//!
//! - [`national`]: the country as of 7/9/2022, recorded by thousands of field devices. `toso simulate` and `toso demo`
//!   run it whole.
//! - [`link`]: a bad network between a device and a server, with delay, bandwidth, stalls and cuts. The end-to-end suites
//!   use it too.
//! - [`client`]: single operations of devices, for whoever compares engines from outside.

pub mod client;
pub mod error;
pub mod link;
pub mod national;
pub mod process;
pub mod server;

mod parallel;
mod patience;
mod progress;

pub use error::BenchError;
