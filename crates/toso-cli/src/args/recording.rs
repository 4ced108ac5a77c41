//! Options of the commands that record: teams, members, activities, hamlets.

use clap::{Args as ClapArgs, Subcommand};

use super::JsonFlag;

#[derive(Debug, Clone, Copy, ClapArgs)]
pub(crate) struct ConvertFlag {
    /// Take text of an older encoding (TCVN3 fonts .VnTime, VNI fonts, misread UTF-8, Telex) as what it means.
    #[arg(long)]
    pub(crate) convert: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct EditArgs {
    /// Its id, as `list` prints it.
    pub(crate) id: String,
    /// What to change.
    #[arg(required = true, value_name = "FIELD=VALUE")]
    pub(crate) changes: Vec<String>,
    #[command(flatten)]
    pub(crate) convert: ConvertFlag,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ShowArgs {
    /// Its id, as `list` prints it.
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) json: JsonFlag,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct MergeArgs {
    /// The duplicate.
    pub(crate) from: String,
    /// The one to keep.
    pub(crate) into: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct UnmergeArgs {
    /// The former duplicate.
    pub(crate) from: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TeamCommand {
    /// Record a team; prints its id.
    Add {
        /// The hamlet it serves.
        #[arg(long)]
        hamlet: Option<String>,
        /// thon, ban, ap, khom, buon, lang, xom, to_dan_pho, khu_pho, khu_dan_cu.
        #[arg(long)]
        hamlet_kind: Option<String>,
        /// hamlet or commune.
        #[arg(long, default_value = "hamlet")]
        level: String,
        /// Number of the founding decision, `103/QĐ-UBND`.
        #[arg(long, value_name = "NO")]
        decision: Option<String>,
        /// Date of the decision.
        #[arg(long, value_name = "DATE")]
        decided: Option<String>,
        /// Date the team was set up.
        #[arg(long, value_name = "DATE")]
        established: Option<String>,
        /// The commune's code, where the device's unit has several.
        #[arg(long, value_name = "CODE")]
        commune: Option<String>,
        /// This is one more team of a hamlet that has one.
        #[arg(long)]
        another: bool,
        /// Further fields, `FIELD=VALUE`.
        #[arg(long = "set", value_name = "FIELD=VALUE")]
        set: Vec<String>,
        #[command(flatten)]
        convert: ConvertFlag,
    },
    /// Change fields: `FIELD=VALUE…`; an empty value clears.
    Edit(EditArgs),
    /// All teams here.
    List(JsonFlag),
    /// One team.
    Show(ShowArgs),
    /// Mark FROM as a duplicate of INTO; `unmerge` takes it back.
    Merge(MergeArgs),
    /// Take a merge back.
    Unmerge(UnmergeArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum MemberCommand {
    /// Record a member; prints the id.
    Add {
        /// The team.
        #[arg(long, value_name = "ID")]
        team: String,
        /// Full name.
        #[arg(long)]
        name: String,
        /// Phone.
        #[arg(long)]
        phone: Option<String>,
        /// Year of birth.
        #[arg(long, value_name = "Y")]
        birth_year: Option<String>,
        /// leader, deputy, secretary or member.
        #[arg(long, default_value = "member")]
        role: String,
        /// female, male or other.
        #[arg(long)]
        gender: Option<String>,
        /// Organisations, each once.
        #[arg(long, value_name = "ORGANISATION")]
        affiliation: Vec<String>,
        /// Joined on.
        #[arg(long, value_name = "DATE")]
        joined: Option<String>,
        /// Further fields, `FIELD=VALUE`.
        #[arg(long = "set", value_name = "FIELD=VALUE")]
        set: Vec<String>,
        #[command(flatten)]
        convert: ConvertFlag,
    },
    /// Change fields: `FIELD=VALUE…`; an empty value clears.
    Edit(EditArgs),
    /// All members here.
    List {
        /// Of one team only.
        #[arg(long, value_name = "ID")]
        team: Option<String>,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// One member.
    Show(ShowArgs),
    /// Mark FROM as a duplicate of INTO; `unmerge` takes it back.
    Merge(MergeArgs),
    /// Take a merge back.
    Unmerge(UnmergeArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ActivityCommand {
    /// Record what a team did; prints the activity's id.
    Add {
        /// The team.
        #[arg(long, value_name = "ID")]
        team: String,
        /// The day.
        #[arg(long, value_name = "DATE")]
        date: String,
        /// household_visit, group_session, campaign, training, meeting or other.
        #[arg(long)]
        kind: String,
        /// People reached; numbers only, never names.
        #[arg(long, value_name = "N")]
        reached: u32,
        /// Skills covered: public_services, shopping, payment, safety, local_platforms.
        #[arg(long)]
        skill: Vec<String>,
    },
    /// Add people reached to an activity.
    Reach {
        /// The team.
        #[arg(long, value_name = "ID")]
        team: String,
        /// The activity.
        #[arg(long, value_name = "ID")]
        activity: String,
        /// How many more.
        #[arg(long, value_name = "N")]
        more: u32,
    },
    /// What the teams here did, by day.
    List {
        /// Of one team only.
        #[arg(long, value_name = "ID")]
        team: Option<String>,
        #[command(flatten)]
        json: JsonFlag,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum CommuneCommand {
    /// The communes here: for which day their figures were signed off, and by whom.
    Show(JsonFlag),
    /// Confirm the commune's figures for a day (officers only), or take that back.
    SignOff {
        /// The day for which the figures are confirmed.
        #[arg(long, value_name = "DATE", required_unless_present = "withdraw")]
        date: Option<String>,
        /// The office that confirms.
        #[arg(long, value_name = "OFFICE")]
        by: Option<String>,
        /// Take the confirmation back.
        #[arg(long, conflicts_with_all = ["date", "by"])]
        withdraw: bool,
        /// The commune's code, where the device's unit has several.
        #[arg(long, value_name = "CODE")]
        commune: Option<String>,
        #[command(flatten)]
        convert: ConvertFlag,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum HamletCommand {
    /// Put a hamlet on the commune's list.
    Add {
        /// Its name.
        #[arg(long)]
        name: String,
        /// Its kind.
        #[arg(long)]
        kind: Option<String>,
        /// Households.
        #[arg(long, value_name = "N")]
        households: Option<u32>,
        /// The commune's code, where the device's unit has several.
        #[arg(long, value_name = "CODE")]
        commune: Option<String>,
        #[command(flatten)]
        convert: ConvertFlag,
    },
    /// Change a hamlet on the list: `kind=…`, `households=…`, `status=active` or `abolished`, `successors/OTHER=yes`; an empty
    /// value clears.
    Edit {
        /// Its name, in any spelling.
        name: String,
        /// The changes, `FIELD=VALUE`.
        #[arg(required = true, value_name = "FIELD=VALUE")]
        changes: Vec<String>,
        /// The commune's code, where the device's unit has several.
        #[arg(long, value_name = "CODE")]
        commune: Option<String>,
        #[command(flatten)]
        convert: ConvertFlag,
    },
    /// The hamlets here.
    List(JsonFlag),
}
