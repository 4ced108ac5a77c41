//! The commands about devices that move and edits that wait for an officer.

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::{AdminArgs, JsonFlag, UnitArgs};

#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum HeldCommand {
    /// All of it.
    List(JsonFlag),
    /// Take what has been decided from the list; prints how many.
    Dismiss,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DeviceArgs {
    #[command(subcommand)]
    pub(crate) command: DeviceCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// The devices of a unit and of those below it.
    List {
        #[command(flatten)]
        admin: AdminArgs,
        #[command(flatten)]
        unit: UnitArgs,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Move a device, or all devices of a unit, to another unit. What they have not sent is held for review.
    Move {
        #[command(flatten)]
        admin: AdminArgs,
        /// The device's id, or at least its first 8 digits.
        #[arg(long, value_name = "ID")]
        device: Option<String>,
        /// The list of the unit whose devices are moved: 2022 or 2025.
        #[arg(long, value_name = "YEAR", default_value = "2022")]
        from_list: String,
        /// All devices of this unit, instead of one device.
        #[arg(long, value_name = "CODE", conflicts_with = "device")]
        from_unit: Option<String>,
        /// The list of the new unit: 2022 or 2025.
        #[arg(long, value_name = "YEAR")]
        to_list: String,
        /// The new unit's code.
        #[arg(long, value_name = "CODE")]
        to_unit: String,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Allow a device an import day: for 24 hours, 40,000 changes and 80 MiB on top of its share of each day.
    Allow {
        #[command(flatten)]
        admin: AdminArgs,
        /// The device.
        #[arg(long, value_name = "ID")]
        device: String,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Leave what a device wrote in a unit until now out of figures and answers. It stays in the log; phones keep it.
    SetAside {
        #[command(flatten)]
        admin: AdminArgs,
        /// The device.
        #[arg(long, value_name = "ID")]
        device: String,
        #[command(flatten)]
        unit: UnitArgs,
        /// Only what the server got since then, in Vietnam's time: 2026-11-30, 30/11/2026, either with a time (14:30).
        #[arg(long, value_name = "DATE")]
        since: Option<String>,
        /// Only this document.
        #[arg(long, value_name = "ID")]
        document: Option<String>,
        /// Why; kept with the decision.
        #[arg(long, value_name = "TEXT")]
        why: String,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Let in again what was set aside.
    LetIn {
        #[command(flatten)]
        admin: AdminArgs,
        /// The decision's number.
        #[arg(long, value_name = "N")]
        number: u32,
        /// Why; kept with the decision.
        #[arg(long, value_name = "TEXT")]
        why: String,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// What was set aside in a unit, and by whom.
    SetAsides {
        #[command(flatten)]
        admin: AdminArgs,
        #[command(flatten)]
        unit: UnitArgs,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Shut a device out. What it has not sent is held for review, and it forgets everything.
    Revoke {
        #[command(flatten)]
        admin: AdminArgs,
        /// The device's id, or at least its first 8 digits.
        #[arg(long, value_name = "ID")]
        device: String,
        #[command(flatten)]
        json: JsonFlag,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ReviewArgs {
    #[command(subcommand)]
    pub(crate) command: ReviewCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReviewCommand {
    /// What waits in a unit and in those below it.
    List {
        #[command(flatten)]
        admin: AdminArgs,
        #[command(flatten)]
        unit: UnitArgs,
        /// Which of them.
        #[arg(long, value_enum, default_value_t = ReviewFilter::Open)]
        status: ReviewFilter,
        /// Those after this number.
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        after: u64,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Put held changes into the register, as their author's.
    Accept {
        #[command(flatten)]
        admin: AdminArgs,
        /// The items' numbers.
        #[arg(required = true, value_name = "NUMBER")]
        numbers: Vec<u64>,
    },
    /// Send a held change back with a word why; it can still be accepted later.
    Return {
        #[command(flatten)]
        admin: AdminArgs,
        /// The item's number.
        number: u64,
        /// Why, for the volunteer.
        #[arg(long, value_name = "TEXT")]
        note: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReviewFilter {
    /// Those that wait.
    Open,
    /// Those in the register.
    Accepted,
    /// Those sent back.
    Returned,
    /// All.
    All,
}

impl ReviewFilter {
    pub(crate) fn word(self) -> Option<&'static str> {
        match self {
            Self::Open => Some("open"),
            Self::Accepted => Some("accepted"),
            Self::Returned => Some("returned"),
            Self::All => None,
        }
    }
}
