//! The mobile library: what an app on Android, iOS or a PC needs of the register, through UniFFI.
//!
//! An app opens one [`TosoClient`] for the folder that it gives. From there:
//!
//! - join: [`read_invite`], [`TosoClient::enrol`]
//! - read, at once and offline: [`TosoClient::teams`], [`TosoClient::members`], [`TosoClient::search`], [`TosoClient::units`], …
//! - edit, durable when the call returns: [`TosoClient::add_team`], [`TosoClient::edit_member`], [`TosoClient::resolve`], …
//! - be told: [`TosoClient::observe`] with a [`TosoObserver`] of its own
//! - sync: [`TosoClient::start_sync`] and the platform's hints; [`TosoClient::run_background_sync`] for background work
//! - help each other without a server: [`TosoClient::make_bundle`], [`TosoClient::meet`]
//! - speak to people: [`error_text`] and [`message`], in Vietnamese and English
//!
//! The surface is thin: each method delegates to `toso-client` once. What is here and nowhere else is what a foreign
//! caller needs: few errors that it can act on, callbacks that hold no lock and may throw, panics that stay inside, and one
//! small runtime that leaves no thread behind.

// UniFFI's macros write `#[unsafe(no_mangle)]` and `extern "C"`; tidy sees to it that nothing else here is unsafe.
#![allow(unsafe_code, reason = "only in what UniFFI's macros write")]

mod callbacks;
mod edits;
mod error;
mod events;
mod ids;
mod kinds;
mod log;
mod messages;
mod records;
mod stop;
mod sync;
mod toso;
mod words;

pub use edits::{NewMember, NewTeam};
pub use error::{ErrorInfo, TosoError, error_info, error_text};
pub use events::{ObserverHandle, TosoEvent, TosoObserver};
pub use kinds::{Commune, CommuneEdit, Consent, Hamlet, Member, MemberEdit, Reached, Team, TeamActivity, TeamEdit};
pub use log::{LogLevel, LogSink};
pub use messages::{Language, message, message_keys};
pub use records::*;
pub use stop::StopSignal;
pub use sync::{BackgroundEnd, BackgroundSync, NetworkKind, SyncState};
pub use toso::{
    PeerReport, PeerSession, PeerStep, TosoClient, TosoConfig, check_person_name, converted_text, hamlet_key,
    new_activity_id, read_invite,
};
pub use words::*;

uniffi::setup_scaffolding!("toso");
