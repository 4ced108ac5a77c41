//! The `toso` command: the centre's server, a field device, reports, and the national simulation.
//!
//! Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 it could not be done, 2 the command line is
//! wrong. A stderr that is closed or full costs words and no command, so nothing here prints by `eprintln!`, which panics.

#![warn(clippy::print_stderr, clippy::print_stdout)]

mod args;
mod code_file;
mod commands;
mod demo;
mod fail;
mod input;
mod output;
mod token_file;

use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};

use crate::args::{Args, Command};
use crate::fail::Fail;

/// Merging allocates in small pieces from several threads at once; a quarter of its time went into the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let matches = Args::command().try_get_matches();
    let command = matches.as_ref().map(command_name).unwrap_or_default();
    let args = match matches.and_then(|matches| Args::from_arg_matches(&matches)) {
        Ok(args) => args,
        Err(error) => {
            // Help and version are answers, not errors; clap knows which stream and code each takes.
            let to_stdout = if error.use_stderr() { Ok(()) } else { output::open_stdout().map(drop) };
            let printed = to_stdout.and_then(|()| match error.print() {
                Err(failed) if failed.kind() != std::io::ErrorKind::BrokenPipe => Err(Fail::of_answer(&failed)),
                _ => Ok(()),
            });
            if let (Err(fail), 0) = (printed, error.exit_code()) {
                output::say(&format!("toso: {fail}"));
                return fail.exit_code();
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    token_file::use_for(args.purpose.clone().unwrap_or(command));
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fail) => {
            if !fail.is_said() {
                output::say(&format!("toso: {fail}"));
            }
            fail.exit_code()
        }
    }
}

/// `toso device list`, without anything that was given to it.
fn command_name(matches: &ArgMatches) -> String {
    let mut name = "toso".to_owned();
    let mut within = Some(matches);
    while let Some((word, deeper)) = within.and_then(ArgMatches::subcommand) {
        name = format!("{name} {word}");
        within = Some(deeper);
    }
    name
}

fn run(args: Args) -> Result<(), Fail> {
    match args.command {
        Command::Serve(serve) => commands::serve::run(serve),
        Command::Invite(invite) => commands::invite::run(invite),
        Command::Device(device) => commands::device::run(device),
        Command::Review(review) => commands::review::run(review),
        Command::Quarantine(quarantine) => commands::quarantine::run(&quarantine),
        Command::Field(field) => commands::field::run(field),
        Command::Report(report) => commands::report::run(&report),
        Command::Simulate(simulate) => commands::simulate::run(simulate),
        Command::Demo(demo) => demo::run(&demo),
        Command::Bench(bench) => commands::bench::run(bench),
        Command::Backup(args) => commands::backup::back_up(&args),
        Command::Restore(args) => commands::backup::restore_backup(&args),
        Command::Export(args) => commands::backup::export(&args),
        Command::Import(args) => commands::backup::import(&args),
        Command::Verify(args) => commands::backup::verify(&args),
        Command::Compact(args) => commands::backup::compact(&args),
    }
}
