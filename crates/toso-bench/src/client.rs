//! `toso bench client`: one operation of one or many devices, told as JSON lines, so that a harness outside can run the
//! same work on Toso and on other engines.

use std::path::PathBuf;

use toso_client::rest::Caller;

use crate::error::BenchError;

/// What is to be done.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Order {
    /// The operation's name.
    pub op: String,
    /// The server's address.
    pub url: String,
    /// Where the devices keep their folders.
    pub dir: PathBuf,
    /// Whoever makes the invites, for operations that enrol devices.
    pub admin: Option<Caller>,
}

impl Order {
    /// An order.
    pub fn new(op: &str, url: &str, dir: PathBuf, admin: Option<Caller>) -> Self {
        Self { op: op.to_owned(), url: url.to_owned(), dir, admin }
    }
}

/// Does it.
pub fn run(order: &Order) -> Result<(), BenchError> {
    Err(BenchError::usage(format!("there is no operation {:?}", order.op)))
}
