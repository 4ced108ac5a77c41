//! The commands about invites.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::{AdminArgs, JsonFlag, ReachArgs, UnitArgs};

#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct InviteArgs {
    #[command(subcommand)]
    pub(crate) command: Option<InviteCommand>,
    /// The server's address, `http://127.0.0.1:7878`.
    #[arg(long, value_name = "URL", required = true)]
    server: Option<String>,
    #[command(flatten)]
    reach: ReachArgs,
    /// The admin token file that the server made in its data folder (or an officer's own token file).
    #[arg(long, value_name = "FILE", required = true)]
    admin_token_file: Option<PathBuf>,
    /// The unit list that the code belongs to: 2022 or 2025.
    #[arg(long, value_name = "YEAR", required = true)]
    list: Option<String>,
    /// The unit's code, leading zeros kept.
    #[arg(long, value_name = "CODE", required = true)]
    unit: Option<String>,
    /// What the device may do in the unit.
    #[arg(long, value_enum, required = true)]
    role: Option<InviteRole>,
    /// How long the invite is good, at most 30d: a number and s, m, h or d.
    #[arg(long, value_name = "TIME", default_value = "7d")]
    expires: String,
    /// Also draw it as a QR code, on stderr.
    #[arg(long)]
    qr: bool,
}

/// What is asked for when an invite is to be made.
#[derive(Debug)]
pub(crate) struct InviteOrder {
    pub(crate) admin: AdminArgs,
    pub(crate) unit: UnitArgs,
    pub(crate) role: InviteRole,
    pub(crate) expires: String,
    pub(crate) qr: bool,
}

impl InviteArgs {
    /// The order of a command line without a subcommand; clap has seen to it that all of it is there.
    pub(crate) fn order(self) -> Option<InviteOrder> {
        let admin = AdminArgs { server: self.server?, reach: self.reach, admin_token_file: self.admin_token_file? };
        let unit = UnitArgs { list: self.list?, unit: self.unit? };
        Some(InviteOrder { admin, unit, role: self.role?, expires: self.expires, qr: self.qr })
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum InviteCommand {
    /// The invites of a unit and of those below it, oldest first; never their secrets.
    List {
        #[command(flatten)]
        admin: AdminArgs,
        #[command(flatten)]
        unit: UnitArgs,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Take an invite back, so that nobody can use it.
    Withdraw {
        #[command(flatten)]
        admin: AdminArgs,
        /// The invite's number, as the list shows it.
        number: String,
        #[command(flatten)]
        json: JsonFlag,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum InviteRole {
    /// Records teams and members.
    Recorder,
    /// Records, corrects, signs off; invites, moves and shuts out those below.
    Officer,
    /// Reads.
    Viewer,
}

impl InviteRole {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Recorder => "recorder",
            Self::Officer => "officer",
            Self::Viewer => "viewer",
        }
    }
}
