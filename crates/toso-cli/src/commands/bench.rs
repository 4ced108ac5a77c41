//! `toso bench`: what a server and phones cost, measured from outside.

use std::fmt::Write as _;
use std::time::Duration;

use toso_bench::bench::{self, BenchOrder};
use toso_bench::client::{self, Operation, Order};
use toso_bench::handset::{self, Work};
use toso_bench::report;

use crate::args::{BenchArgs, BenchClientArgs, BenchCommand, BenchOperation, BenchPhoneArgs};
use crate::fail::Fail;
use crate::{output, token_file};

/// Runs scenarios, or one operation for a comparison.
pub(crate) fn run(args: BenchArgs) -> Result<(), Fail> {
    match args.command {
        Some(BenchCommand::Client(client)) => one_operation(client),
        Some(BenchCommand::Phone(phone)) => one_phone(&phone),
        None if args.list => list(),
        None => scenarios(args),
    }
}

fn scenarios(args: BenchArgs) -> Result<(), Fail> {
    let BenchArgs { only, scale, rounds, steps: factors, keep, .. } = args;
    let order = BenchOrder { only, scale, rounds, factors, keep };
    let outcomes = bench::run(&order).map_err(Fail::of_bench)?;
    if let Some(file) = &args.json {
        let text = report::json(&order, &outcomes).map_err(Fail::of_bench)?;
        std::fs::write(file, text).map_err(|error| Fail::new(format!("cannot write {}: {error}", file.display())))?;
    }
    output::print(&report::table(&outcomes))
}

fn list() -> Result<(), Fail> {
    let mut text = String::new();
    for (name, what, grows) in bench::list() {
        let over = grows.map_or_else(String::new, |grows| format!("; over {grows}"));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:14} {what}{over}");
    }
    output::print(&text)
}

fn one_operation(args: BenchClientArgs) -> Result<(), Fail> {
    let op = match args.op {
        BenchOperation::Seed => Operation::Seed,
        BenchOperation::Sync => Operation::Sync,
        BenchOperation::Edit => Operation::Edit,
        BenchOperation::First => Operation::First,
        BenchOperation::Load => Operation::Load,
        BenchOperation::Rush => Operation::Rush,
        BenchOperation::Storm => Operation::Storm,
        BenchOperation::Verify => Operation::Verify,
    };
    let order = Order {
        op,
        admin: args.admin_token_file.as_deref().map(token_file::read).transpose()?,
        url: args.url,
        dir: args.dir,
        docs: args.docs,
        devices: args.devices,
        width: args.width,
        round: args.round,
        kill_pid: args.kill_pid,
        max: Duration::from_secs(args.max_s),
        acks: args.acks,
    };
    client::run(&order).map_err(Fail::of_bench)
}

fn one_phone(args: &BenchPhoneArgs) -> Result<(), Fail> {
    let work = Work { record: args.record, edits: args.edits };
    output::json(&handset::run(&args.home, work).map_err(Fail::of_bench)?)
}
