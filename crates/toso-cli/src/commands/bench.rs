//! `toso bench`: what a server and phones cost, measured from outside.

use toso_bench::client::{self, Order};

use crate::args::{BenchArgs, BenchClientArgs, BenchCommand};
use crate::fail::Fail;
use crate::token_file;

/// Runs scenarios, or one operation for a comparison.
pub(crate) fn run(args: &BenchArgs) -> Result<(), Fail> {
    match &args.command {
        Some(BenchCommand::Client(client)) => one_operation(client),
        None => Err(Fail::usage("there are no scenarios")),
    }
}

fn one_operation(args: &BenchClientArgs) -> Result<(), Fail> {
    let admin = args.admin_token_file.as_deref().map(token_file::read).transpose()?;
    client::run(&Order::new(&args.op, &args.url, args.dir.clone(), admin)).map_err(Fail::of_bench)
}
