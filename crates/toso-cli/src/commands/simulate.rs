//! `toso simulate`: field devices against a server.

use toso_bench::national::{self, NationalOrder, Outcome};

use crate::args::{NationalArgs, SimulateArgs, SimulateCommand};
use crate::fail::Fail;
use crate::token_file;

/// Runs a simulation. What it did is told on stderr; the figures are the report's to print.
pub(crate) fn run(args: SimulateArgs) -> Result<(), Fail> {
    match args.command {
        SimulateCommand::National(args) => national(&args).map(|_| ()),
    }
}

/// The country as of 7/9/2022.
pub(crate) fn national(args: &NationalArgs) -> Result<Outcome, Fail> {
    let order = NationalOrder {
        server: args.admin.server.clone(),
        admin: token_file::read(&args.admin.admin_token_file)?,
        devices: args.devices,
        seed: args.seed,
        online: args.online,
        part: 1.0,
    };
    national::run(&order).map_err(Fail::of_bench)
}
