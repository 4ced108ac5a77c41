//! The centre: one process, one data folder, one listener.
//!
//! What a phone pushes walks one way through this crate: socket → session → log writer → folder → projector → report.
//!
//! - `socket` and `post_sync` speak frames. Each connection is one IO loop that performs what the pure
//!   [`ServerSession`](toso_sync::ServerSession) asks for (`driver`); it never waits for the fold.
//! - [`desk`] is where it asks: proofs, pages, figures, without a runtime, so that a simulation asks at the same one.
//! - [`log_writer`] owns the appends: whatever arrives during one fsync rides the next (group commit without a timer).
//!   An acknowledgement follows the fsync, never the other way round.
//! - [`folding`] tails the log behind it: workers merge changes into documents (Automerge, under `catch_unwind`), one
//!   applier brings the rows to the [`Projector`](toso_projection::Projector) in log order, with a checkpoint, so that
//!   a restart goes on where it was.
//! - [`hub`] tells sessions that a unit grew, [`counted`] that the projection has come past a sequence. Both cost what
//!   changed, never connections × documents.
//! - [`quota`] bounds what one device may write.
//! - [`set_aside`] leaves out of figures and answers what officers do not want counted.
//! - [`review`] keeps edits for units that their device no longer holds, until an officer decides.
//! - `rest` answers questions; [`trust`] says who may ask and push.
//! - [`tables`] names every table of records, and says which can be lost.
//! - [`vital`] notices the end of a part that the server cannot live without.
//!
//! [`Server::start`] puts the rooms together; [`RunningServer::shutdown`] empties them in order: no new connections,
//! GOODBYE to sessions, the log's queue, the fold's checkpoint, the store.

#![warn(clippy::print_stderr, clippy::print_stdout)]

mod bounded;
mod checks;
pub mod config;
mod connections;
pub mod counted;
pub mod desk;
mod documents;
mod driver;
pub mod folding;
pub mod hub;
pub mod log_writer;
pub mod metrics;
mod post_sync;
mod problem;
pub mod quota;
mod reach;
mod read_places;
mod readers;
mod rest;
mod restored;
mod returned;
pub mod review;
mod server;
pub mod serving;
pub mod set_aside;
mod socket;
mod state;
pub mod tables;
mod tail;
pub mod trust;
mod turns;
pub mod upkeep;
pub mod views;
pub mod vital;

pub use config::ServerConfig;
pub use desk::Desk;
pub use server::{RunningServer, Server, StartError};
pub use vital::Part;
