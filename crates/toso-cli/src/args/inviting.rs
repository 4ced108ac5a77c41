//! The commands about invites.

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::{AdminArgs, JsonFlag, UnitArgs};

#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct InviteArgs {
    #[command(subcommand)]
    pub(crate) command: Option<InviteCommand>,
    #[command(flatten)]
    pub(crate) make: Option<MakeInviteArgs>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct MakeInviteArgs {
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
    #[command(flatten)]
    pub(crate) unit: UnitArgs,
    /// What the device may do in the unit.
    #[arg(long, value_enum)]
    pub(crate) role: InviteRole,
    /// How long the invite is good, at most 30d: a number and s, m, h or d.
    #[arg(long, value_name = "TIME", default_value = "7d")]
    pub(crate) expires: String,
    /// Also draw it as a QR code, on stderr.
    #[arg(long)]
    pub(crate) qr: bool,
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
    /// Records, corrects, signs off; invites, moves and shuts out whoever is below.
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
