//! Sync over the network: one dial, one IO loop, and the task that keeps a device in touch.

pub mod auto;
mod http;
pub mod io_loop;
mod line;
pub mod once;
mod post;
pub mod transport;

pub use auto::{AutoSync, AutoSyncHandle};
pub use once::{BoundedSync, sync_once, sync_until};
