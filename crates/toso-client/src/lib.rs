//! A device at work: how it joins a register, reaches its server, and stays in touch.
//!
//! What is recorded and kept is the replica's (`toso-replica`); this room brings it together with the system's clock and
//! randomness ([`system`]), with sockets and with tokio. [`enrol()`] joins a register. [`AutoSync`] keeps a session with the
//! server alive whenever there is a network, [`sync_once`] makes one bounded exchange; both drive the same pure machine
//! ([`toso_replica::exchange`]) by one IO loop ([`sync::io_loop`]), which moves bytes and time. What else a device asks its server for goes by requests
//! ([`rest`], [`asking`]).

pub mod asking;
pub mod enrol;
mod listening;
pub mod rest;
pub mod sync;
pub mod system;
mod tls;

pub use asking::{NamesError, PassError, fetch_carry_pass, fetch_device_names, fetch_missing_names};
pub use enrol::{EnrolError, Invite, InviteError, MadeInvite, enrol, make_invite};
pub use listening::subscribe;
pub use sync::{AutoSync, AutoSyncHandle, BoundedSync, sync_once, sync_until};
