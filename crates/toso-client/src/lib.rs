//! A device at work: how it joins a register, reaches its server, and stays in touch.
//!
//! What is recorded and kept is the replica's (`toso-replica`); this room brings it together with the system's clock and
//! randomness ([`system`]) and with a way to the server that it is given ([`transport`]). [`enrol()`] joins a register.
//! [`AutoSync`] keeps an exchange with the server alive whenever there is a network, [`sync_once`] makes one bounded exchange;
//! both drive the same pure machine ([`toso_replica::exchange`]) by one IO loop ([`sync::io_loop`]), which moves bytes and time.
//! What else a device asks its server for goes by requests ([`rest`], [`asking`]).
//!
//! [`over_tokio`] is the transport that is there: tokio's. The plain calls go over it; those that end in `over` take any.

pub mod asking;
pub mod doing;
pub mod enrol;
mod listening;
mod off_thread;
pub mod over_tokio;
pub mod rest;
pub mod sync;
pub mod system;
mod tls;
pub mod transport;

pub use asking::{NamesError, PassError, fetch_carry_pass, fetch_device_names, fetch_missing_names};
pub use doing::Doing;
pub use enrol::{EnrolError, Invite, InviteError, MadeInvite, enrol, enrol_over, make_invite};
pub use listening::subscribe;
pub use over_tokio::{sync_once, sync_until};
pub use sync::{AutoSync, AutoSyncHandle, BoundedSync, sync_once_over, sync_until_over};
pub use transport::Transport;
