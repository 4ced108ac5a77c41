//! The command line.

mod bench;
mod inviting;
mod moving;
mod quarantine;
mod reach;
mod recording;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

pub(crate) use bench::{BenchArgs, BenchClientArgs, BenchCommand, BenchOperation, BenchPhoneArgs};
pub(crate) use inviting::{InviteArgs, InviteCommand, InviteOrder};
pub(crate) use moving::{DeviceArgs, DeviceCommand, HeldCommand, ReviewArgs, ReviewCommand};
pub(crate) use quarantine::{QuarantineArgs, QuarantineCommand};
pub(crate) use reach::{EnrolArgs, ReachArgs};
pub(crate) use recording::{
    ActivityCommand, CommuneCommand, ConvertFlag, EditArgs, HamletCommand, MemberCommand, ShowArgs, TeamCommand,
};

/// The register of community digital technology teams.
#[derive(Debug, Parser)]
#[command(name = "toso", version, about, propagate_version = true)]
pub(crate) struct Args {
    /// What the admin token is used for, for the server's log: plain letters, no names. The command's name by default.
    #[arg(long, global = true, value_name = "TEXT", hide_short_help = true)]
    pub(crate) purpose: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the centre's server.
    Serve(ServeArgs),
    /// Make a one-time invite for a device, printed alone on stdout; or list and withdraw those that were made.
    Invite(InviteArgs),
    /// The devices of a unit: list, move to another unit, allow more, shut out.
    Device(DeviceArgs),
    /// Edits for units that their device no longer holds: list, accept, return.
    Review(ReviewArgs),
    /// A restored server that waits to be told which devices are shut out: show, end.
    Quarantine(QuarantineArgs),
    /// Work on this device: record, look, settle, sync.
    #[command(subcommand_required = true)]
    Field(FieldArgs),
    /// Print the centre's report.
    Report(ReportArgs),
    /// Simulate field devices against a server.
    Simulate(SimulateArgs),
    /// Show the whole way once: server, national simulation, report.
    Demo(DemoArgs),
    /// Measure what a server and phones cost on this machine, and how that grows.
    Bench(BenchArgs),
    /// Write a backup of a server's data, while it runs (--server) or stopped (--data).
    Backup(BackupArgs),
    /// Make a data folder from a backup, after a loss: a new epoch begins.
    Restore(RestoreArgs),
    /// Write a stopped server's data as plain lines.
    Export(ExportArgs),
    /// Make a data folder from an export, to move a server: the same epoch goes on.
    Import(RestoreArgs),
    /// Check a stopped server's data, or a backup file; exit code 1 when something is wrong.
    Verify(VerifyArgs),
    /// Rewrite a stopped server's data into a fresh database, which frees space.
    Compact(CompactArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ServeArgs {
    /// The server's data folder; made when absent.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Address and port to listen on: `127.0.0.1:…` for this machine and a proxy on it, `0.0.0.0:…` for every network.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7878")]
    pub(crate) listen: String,
    /// The address that devices reach the server at, for invites; without it an invite names `http://` and the host that
    /// its maker has called, with a warning where devices may not reach that.
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// A page of this origin (`https://host[:port]`) may sync from a browser, beside those of the server's own address.
    #[arg(long = "allow-origin", value_name = "ORIGIN")]
    pub(crate) allowed_origins: Vec<String>,
    /// Take the admin token from other machines and through proxies, too; else from this machine alone.
    #[arg(long)]
    pub(crate) admin_from_anywhere: bool,
    /// How logs look.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
    /// Also stop when standard input ends, so that a server started by another program never outlives it.
    #[arg(long, hide = true)]
    pub(crate) stop_with_stdin: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// One readable line an event.
    Text,
    /// One JSON object an event.
    Json,
}

/// A server and who asks it.
#[derive(Debug, ClapArgs)]
pub(crate) struct AdminArgs {
    /// The server's address, `http://127.0.0.1:7878`.
    #[arg(long, value_name = "URL")]
    pub(crate) server: String,
    #[command(flatten)]
    pub(crate) reach: ReachArgs,
    /// The admin token file that the server made in its data folder (or an officer's own token file).
    #[arg(long, value_name = "FILE")]
    pub(crate) admin_token_file: PathBuf,
}

/// A unit by its list and code.
#[derive(Debug, ClapArgs)]
pub(crate) struct UnitArgs {
    /// The unit list that the code belongs to: 2022 or 2025.
    #[arg(long, value_name = "YEAR")]
    pub(crate) list: String,
    /// The unit's code, leading zeros kept.
    #[arg(long, value_name = "CODE")]
    pub(crate) unit: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct FieldArgs {
    /// The device's own folder; `enrol` makes it.
    #[arg(long, value_name = "DIR")]
    pub(crate) home: PathBuf,
    /// Encrypt the folder with the key in this file: 32 bytes, or 64 hexadecimal digits.
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: FieldCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FieldCommand {
    /// Exchange an invite for this device's credential (needs the network).
    Enrol(EnrolArgs),
    /// Leave the register: empty this folder, so that it can join another one. Refused while anything is unsent.
    Leave {
        /// Yes: all records, names and the device's key in this folder go, and come back from the register alone.
        #[arg(long)]
        forget_everything: bool,
    },
    /// Teams.
    Team {
        #[command(subcommand)]
        command: TeamCommand,
    },
    /// Members.
    Member {
        #[command(subcommand)]
        command: MemberCommand,
    },
    /// What teams do.
    Activity {
        #[command(subcommand)]
        command: ActivityCommand,
    },
    /// The commune's hamlets.
    Hamlet {
        #[command(subcommand)]
        command: HamletCommand,
    },
    /// The commune's figures: who signed off for which day, and signing off.
    Commune {
        #[command(subcommand)]
        command: CommuneCommand,
    },
    /// Fields that devices wrote apart, with all values.
    Conflicts(JsonFlag),
    /// Settle a field.
    Resolve {
        /// The document.
        id: String,
        /// The field, as `conflicts` names it.
        field: String,
        /// The value to keep.
        #[arg(long)]
        value: String,
    },
    /// What somebody should look at: suspected duplicates, teams without a leader, …
    Findings(JsonFlag),
    /// Every save of a document.
    History {
        /// The document.
        id: String,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Ask the server what the devices are called that wrote what clashes here (needs the network); `conflicts` and
    /// `history` show it from then on.
    Names {
        /// Also those that wrote these documents.
        ids: Vec<String>,
    },
    /// Exchange everything with the server.
    Sync {
        /// Stay connected and report changes until interrupted.
        #[arg(long)]
        watch: bool,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Files that carry unsent changes by other devices: made by one, opened by any device of the unit.
    Bundle {
        #[command(subcommand)]
        command: BundleCommand,
    },
    /// Meet another device over TCP and give each other what waits for a server.
    Peer(PeerArgs),
    /// The device at a glance.
    Status(JsonFlag),
    /// What the server refused or holds for review, and what officers decided.
    Held {
        #[command(subcommand)]
        command: HeldCommand,
    },
    /// Write this device's token file, for `report` and `invite`; it holds the device's key, so keep it private.
    Token {
        /// Where to write it (mode 0600); an existing file is not overwritten.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, ClapArgs)]
pub(crate) struct JsonFlag {
    /// One JSON value on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BundleCommand {
    /// Write what waits here for a server into a file.
    Make {
        /// The file.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// For this unit, `2022/00001`; the device's own by default.
        #[arg(long, value_name = "LIST/CODE")]
        unit: Option<String>,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Take what is in a file, to carry it to the server.
    Open {
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Fetch this device's card and a unit's bundle key anew (needs the network).
    Key {
        /// The unit, `2022/00001`; the device's own by default.
        #[arg(long, value_name = "LIST/CODE")]
        unit: Option<String>,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PeerArgs {
    /// Wait for the other device here; the address is printed on stderr.
    #[arg(long, value_name = "ADDR", conflicts_with = "connect", required_unless_present = "connect")]
    pub(crate) listen: Option<String>,
    /// Where the other device waits.
    #[arg(long, value_name = "ADDR")]
    pub(crate) connect: Option<String>,
    #[command(flatten)]
    pub(crate) json: JsonFlag,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ReportArgs {
    /// The server's address.
    #[arg(long, value_name = "URL")]
    pub(crate) server: String,
    #[command(flatten)]
    pub(crate) reach: ReachArgs,
    /// The admin token file, or a device's own (`toso field token`).
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: PathBuf,
    /// Read under the unit list of this year: 2022 or 2025.
    #[arg(long, value_name = "YEAR", default_value = "2022")]
    pub(crate) list: String,
    /// Only this unit of the list.
    #[arg(long, value_name = "CODE")]
    pub(crate) unit: Option<String>,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub(crate) format: ReportFormat,
    /// With `--format csv`: for programs, without a byte order mark and with codes as they are.
    #[arg(long)]
    pub(crate) raw: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// In Vietnamese, for people.
    Text,
    /// One JSON object.
    Json,
    /// A table for spreadsheets, which keep the zeros of its codes (`--raw` for programs).
    Csv,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SimulateArgs {
    #[command(subcommand)]
    pub(crate) command: SimulateCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SimulateCommand {
    /// The country as of 7/9/2022: every commune with teams has a device that records offline and then syncs.
    National(NationalArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct NationalArgs {
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
    /// Field devices; at least one for every commune with teams.
    #[arg(long)]
    pub(crate) devices: Option<usize>,
    /// Everything that is made up is made from this number.
    #[arg(long, default_value_t = 20_220_919)]
    pub(crate) seed: u64,
    /// Devices that are online at the same time.
    #[arg(long, default_value_t = 64)]
    pub(crate) online: usize,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DemoArgs {
    /// Leave the server and its data folder in place until interrupted.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Everything that is made up is made from this number.
    #[arg(long, default_value_t = 20_220_919)]
    pub(crate) seed: u64,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct BackupArgs {
    /// The file to write, compressed. With --data a name that ends with `.jsonl` is written plain; a running server sends
    /// no other than compressed. It must not exist.
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
    /// The data folder of a stopped server.
    #[arg(long, value_name = "DIR", conflicts_with = "server", required_unless_present = "server")]
    pub(crate) data: Option<PathBuf>,
    /// A running server's address.
    #[arg(long, value_name = "URL", requires = "admin_token_file")]
    pub(crate) server: Option<String>,
    #[command(flatten)]
    pub(crate) reach: ReachArgs,
    /// Its admin token file.
    #[arg(long, value_name = "FILE", requires = "server")]
    pub(crate) admin_token_file: Option<PathBuf>,
    /// Also copy the root key to FILE.root.key; who has it can speak for the server, so guard it.
    #[arg(long)]
    pub(crate) with_keys: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ExportArgs {
    /// The data folder of a stopped server.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The file to write, or `-` for stdout; compressed when its name ends with `.zst`. It must not exist.
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RestoreArgs {
    /// The backup or export, compressed or not.
    #[arg(long, value_name = "FILE")]
    pub(crate) from: PathBuf,
    /// The data folder to make; new or empty, but for `root.key` and `revocations.list`.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The server's root key; by default the one already in DIR, or FROM.root.key.
    #[arg(long, value_name = "FILE")]
    pub(crate) root_key: Option<PathBuf>,
    /// The list of revocations of the data folder that was lost; one in DIR or beside the root key is found by itself.
    #[arg(long, value_name = "FILE")]
    pub(crate) revocations: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct VerifyArgs {
    /// The data folder of a stopped server.
    #[arg(long, value_name = "DIR", conflicts_with = "backup", required_unless_present = "backup")]
    pub(crate) data: Option<PathBuf>,
    /// A backup or export.
    #[arg(long, value_name = "FILE")]
    pub(crate) backup: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CompactArgs {
    /// The data folder of a stopped server.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
}
