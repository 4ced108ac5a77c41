//! The documents of the register.
//!
//! A volunteer's save becomes a typed edit, the edit becomes one Automerge change ([`chunk::Chunk`]), and the change
//! travels through every other crate under one identity, its [`chunk::ChangeHash`]. With all chunks of a
//! document anybody can rebuild it as a [`document::Document`] and read it as a [`record`].
//!
//! This crate is pure: no clock, no files, no sockets, no global randomness. Time and random bytes are arguments.
//!
//! - [`unit`](mod@unit): administrative units as (list, code), and the scope of a document
//! - [`id`]: documents, devices, actors, the server and its epochs
//! - [`time`](mod@time): instants
//! - [`chunk`]: one validated Automerge change
//! - [`change`]: a chunk with its document, as every crate passes it on
//! - [`text`]: Vietnamese text rules: canonical form, keys, phones, dates, collation
//! - [`kind`]: the kinds of documents, each one table of fields
//! - [`edit`]: what a person can change, and the rules that a value must meet
//! - [`document`]: the merged document: genesis, edits, conflicts, history
//! - [`record`]: a document read as plain values
//! - [`finding`]: what a merge can break, and suspected duplicates

pub mod change;
pub mod chunk;
pub mod document;
pub mod edit;
pub mod finding;
pub mod id;
pub mod kind;
pub mod record;
pub mod text;
pub mod time;
pub mod unit;
