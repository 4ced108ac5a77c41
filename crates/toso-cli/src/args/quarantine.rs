//! The command for a server that does not know whom it has shut out.

use clap::{Args as ClapArgs, Subcommand};

use super::{AdminArgs, JsonFlag};

#[derive(Debug, ClapArgs)]
pub(crate) struct QuarantineArgs {
    #[command(subcommand)]
    pub(crate) command: QuarantineCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QuarantineCommand {
    /// Whether the server is in quarantine, and how far its list of revocations goes.
    Show {
        #[command(flatten)]
        admin: AdminArgs,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Say which devices are shut out, and let the others in.
    #[command(group(clap::ArgGroup::new("who").required(true)))]
    End {
        #[command(flatten)]
        admin: AdminArgs,
        /// A device that was revoked since the backup; repeat it for each.
        #[arg(long, value_name = "ID", group = "who")]
        revoke: Vec<String>,
        /// No device was revoked since the backup.
        #[arg(long, group = "who")]
        none: bool,
        #[command(flatten)]
        json: JsonFlag,
    },
}
