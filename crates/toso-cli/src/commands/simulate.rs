//! `toso simulate`: field devices against a server.

use crate::args::{SimulateArgs, SimulateCommand};
use crate::fail::Fail;
use crate::simulate;

/// Runs a simulation. What it did is told on stderr; the figures are the report's to print.
pub(crate) fn run(args: SimulateArgs) -> Result<(), Fail> {
    match args.command {
        SimulateCommand::National(args) => simulate::national(&args).map(|_| ()),
    }
}
