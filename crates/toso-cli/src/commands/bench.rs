//! `toso bench`: what a server and phones cost, measured from outside.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use toso_bench::bench::BenchOrder;
use toso_bench::client::{self, Operation, Order};
use toso_bench::handset::{self, Work};
use toso_bench::report;
use toso_bench::runner;

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
    // Before the hour that a run takes, and not after it.
    let file = args.json.as_deref().map(|path| File::create(path).map(|file| (path, file)).map_err(cannot_write(path)));
    let file = file.transpose()?;
    let outcomes = runner::run(&order).map_err(Fail::of_bench)?;
    output::print(&report::table(&outcomes))?;
    if let Some((path, mut file)) = file {
        let text = report::json(&order, &outcomes).map_err(Fail::of_bench)?;
        file.write_all(text.as_bytes()).map_err(cannot_write(path))?;
    }
    Ok(())
}

fn cannot_write(path: &Path) -> impl FnOnce(std::io::Error) -> Fail {
    move |error| Fail::new(format!("cannot write {}: {error}", path.display()))
}

fn list() -> Result<(), Fail> {
    let mut text = String::new();
    for (name, what, grows) in runner::list() {
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
