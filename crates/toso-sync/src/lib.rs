//! Sync sessions as pure state machines.
//!
//! One connection is one [`ClientSession`] on the phone and one [`ServerSession`] at the centre. Each takes events and
//! answers with effects, plain data that an IO loop performs in order: queries and commits, each of which is answered by
//! one event (see [`ask`]), frames to send, and the end.
//! Neither reads a clock, a socket, a disk or a random source, so whole systems of them run in a simulation.
//!
//! A session in short: the phone's HELLO names who it is, which units it follows and how far it is (and may carry a
//! small push). The server answers WELCOME, the missing pages (DELTA) and what it has counted (RECEIPT). Pushes go up
//! in order, a few at a time; each is acknowledged once it is durable. Every step may be repeated without harm.

pub mod ask;
pub mod backoff;
pub mod client;
pub mod pace;
pub mod principal;
pub mod reconcile;
pub mod server;

pub use ask::Ask;
pub use backoff::Backoff;
pub use client::{ClientEffect, ClientEvent, ClientSession, ClientStart, OutboxBatch, OutboxItem, SessionEnd};
pub use pace::Pace;
pub use principal::{AccessRole, Principal, Rank};
pub use server::{
    AppendFailure, AppendOutcome, Authenticated, CarriedRefusal, Greeting, HoldFate, HoldOutcome, HoldReason,
    KnownDevice, Opened, OpenedInterest, PageEntry, PageRead, Postponed, Refusal, RefusalKind, ReturnVerdict,
    ServerEffect, ServerEvent, ServerSession, Spent, Standing, WantedRead, check_item,
};
