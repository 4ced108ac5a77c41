//! `toso bench client`: one operation of one or many devices, told as JSON lines, so that a harness outside can run the
//! same work on Toso and on other engines.
//!
//! Devices live in folders of their own on the disk, as phones do, and outlive the command: what `seed` or `load` made,
//! `edit`, `sync`, `rush` and `storm` go on with. Enrolment is not timed.

mod docs;
mod fleet;
mod ops;
mod verify;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use toso_client::rest::Caller;

use crate::error::BenchError;

/// The operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Devices record documents and push them, one device after the other.
    Seed,
    /// One device connects with nothing new.
    Sync,
    /// One device edits one field and pushes it.
    Edit,
    /// A new device gets everything of the first device's commune.
    First,
    /// Many devices record documents and push them side by side.
    Load,
    /// Devices come online at once with one edit each.
    Rush,
    /// Devices edit without pause until the server goes.
    Storm,
    /// Looks acknowledged edits up on the server.
    Verify,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Order {
    /// The operation.
    pub op: Operation,
    /// The server's address.
    pub url: String,
    /// Where the devices keep their folders.
    pub dir: PathBuf,
    /// Who makes the invites, for operations that enrol devices, and reads for [`Operation::Verify`].
    pub admin: Option<Caller>,
    /// Documents as JSON lines, for [`Operation::Seed`] and [`Operation::Load`].
    pub docs: Option<PathBuf>,
    /// How many devices take part; all there are by default.
    pub devices: Option<usize>,
    /// How many of them at the same time.
    pub width: usize,
    /// The value that edits write.
    pub round: u32,
    /// A process to kill the moment that an acknowledgement is heard.
    pub kill_pid: Option<u32>,
    /// How long a storm lasts at most.
    pub max: Duration,
    /// Acknowledgements as JSON lines, for [`Operation::Verify`].
    pub acks: Option<PathBuf>,
}

/// Does it.
pub fn run(order: &Order) -> Result<(), BenchError> {
    if order.width == 0 || order.devices == Some(0) {
        return Err(BenchError::usage("at least one device, and one at a time, has to take part"));
    }
    match order.op {
        Operation::Seed => ops::seed(order, 1),
        Operation::Load => ops::seed(order, order.width),
        Operation::Sync => ops::sync(order),
        Operation::Edit => ops::edit(order),
        Operation::First => ops::first(order),
        Operation::Rush => ops::rush(order),
        Operation::Storm => ops::storm(order),
        Operation::Verify => verify::verify(order),
    }
}

/// An acknowledged edit.
#[derive(Debug, Clone, Serialize, serde::Deserialize)]
struct Ack {
    /// The document.
    id: String,
    /// What was written.
    value: u32,
}

/// Prints a line at once, so that a reader sees it before the next thing happens.
fn tell(line: &impl Serialize) -> Result<(), BenchError> {
    let text = serde_json::to_string(line).map_err(BenchError::failed)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// Milliseconds of a duration.
fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
