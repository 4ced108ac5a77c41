//! Sync over a transport: one IO loop, one bounded exchange, and the task that keeps a device in touch.

pub mod auto;
mod hints;
pub mod io_loop;
pub mod once;

pub use auto::{AutoSync, AutoSyncHandle};
pub use once::{BoundedSync, sync_once_over, sync_until_over};
