//! The command line of `toso bench`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use toso_bench::bench::FACTORS;

#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    pub(crate) command: Option<BenchCommand>,
    /// Only these scenarios, or all whose name begins so.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub(crate) only: Vec<String>,
    /// How large everything is: 1 is the size that budgets speak of (the country, 10,000 connections), 10 ten countries.
    #[arg(long, value_name = "N", default_value_t = 0.1)]
    pub(crate) scale: f64,
    /// The sizes that scenarios run at to see how their cost grows, in tenths of the scale. `10` alone runs each at the
    /// size that budgets speak of, and shows no slopes.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = FACTORS)]
    pub(crate) steps: Vec<u32>,
    /// How often each scenario runs.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) rounds: u32,
    /// Also write every figure of every round here.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Leave the data folders in place.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Print the scenarios and what each measures, and run none.
    #[arg(long)]
    pub(crate) list: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Do one operation of one or many devices and tell it as JSON lines, for comparisons with other engines.
    Client(BenchClientArgs),
    /// A phone's own work in a process of its own; the scenarios start it.
    #[command(hide = true)]
    Phone(BenchPhoneArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct BenchPhoneArgs {
    /// The phone's folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) home: PathBuf,
    /// Documents to record first.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) record: usize,
    /// Edits after that.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) edits: usize,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct BenchClientArgs {
    /// What to do.
    #[arg(long, value_enum, value_name = "NAME")]
    pub(crate) op: BenchOperation,
    /// The server's address.
    #[arg(long, value_name = "URL")]
    pub(crate) url: String,
    /// Where the devices keep their folders.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Makes the invites for seed, load and first, and reads for verify.
    #[arg(long, value_name = "FILE")]
    pub(crate) admin_token_file: Option<PathBuf>,
    /// What seed and load record: JSON lines {"device": 0, "kind": "team" or "member", "key": "…", "fields": {…}}.
    #[arg(long, value_name = "FILE")]
    pub(crate) docs: Option<PathBuf>,
    /// How many devices take part; all there are by default.
    #[arg(long, value_name = "N")]
    pub(crate) devices: Option<usize>,
    /// How many of them at the same time, in load and in each wave of a rush.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) width: usize,
    /// The value that edits write; a storm counts up from it.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) round: u32,
    /// Sends SIGKILL to this process the moment that edit hears its acknowledgement.
    #[arg(long, value_name = "PID")]
    pub(crate) kill_pid: Option<u32>,
    /// How long a storm lasts at most.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) max_s: u64,
    /// What verify looks up: JSON lines with {"ack": {"id": …, "value": …}}, as edit and storm print them.
    #[arg(long, value_name = "FILE")]
    pub(crate) acks: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum BenchOperation {
    /// Devices record the documents and push them, one device after the other.
    Seed,
    /// The first device connects with nothing new.
    Sync,
    /// The first device edits one field and pushes it.
    Edit,
    /// A new device gets all of the first device's commune.
    First,
    /// Devices record the documents and push them side by side.
    Load,
    /// Devices come online in waves with one edit each.
    Rush,
    /// Devices edit without pause until the server goes.
    Storm,
    /// Looks acknowledged edits up on the server.
    Verify,
}
