//! The national simulation: the country as of 7/9/2022, recorded by field devices.
//!
//! It is devices, not a loader. Each has its own key, enrols with its own invite, records offline through
//! `toso-client`, and comes online through a real socket; only its store is in memory. What the centre then counts
//! is the server's own work: nothing here tells it any total.
//!
//! [`plan`] deals the dispatch's totals out to communes and devices, [`script`] says what one device records, with
//! [`names`] made up for it, [`device`] does it, and [`fleet`] runs all of them through the phases.

mod device;
mod fleet;
mod names;
mod parallel;
mod patience;
mod plan;
mod progress;
mod script;

use std::time::Instant;

use serde::Deserialize;
use toso_catalog::Catalog;

use self::fleet::Fleet;
use self::plan::Plan;
use crate::args::NationalArgs;
use crate::fail::Fail;
use crate::token_file;

/// What was recorded, as planned, and what the centre counts now.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Teams and members that the devices recorded, each once.
    pub(crate) recorded: Figures,
    /// What the server's report says.
    pub(crate) counted: Figures,
}

/// The two figures of the dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Figures {
    /// Teams.
    pub(crate) teams: u64,
    /// Members.
    pub(crate) members: u64,
}

/// Runs the whole simulation against a server.
pub(crate) fn national(args: &NationalArgs) -> Result<Outcome, Fail> {
    if args.online == 0 {
        return Err(Fail::usage("--online 0 lets no device come online; give at least 1"));
    }
    let started = Instant::now();
    let admin = token_file::read(&args.admin.admin_token_file)?;
    let plan = Plan::national(Catalog::shared(), args.seed, args.devices).map_err(Fail::usage)?;
    let recorded = Figures { teams: plan.teams() as u64, members: plan.members() as u64 };
    eprintln!(
        "{} devices in {} communes ({} communes have several): {} teams, {} members",
        plan.devices(),
        plan.communes.len(),
        plan.communes_with_several_devices(),
        recorded.teams,
        recorded.members,
    );

    let mut fleet = Fleet::new(plan, &args.admin.server, args.online)?;
    fleet.enrol(&admin)?;
    fleet.record()?;
    fleet.come_online()?;
    fleet.catch_up()?;
    fleet.compare()?;
    let counted = fleet.wait_until_counted(&admin)?;

    eprint!("{}", fleet.summary());
    eprintln!("whole simulation: {:.1} s", started.elapsed().as_secs_f64());
    eprintln!("the centre counts {} teams and {} members", counted.teams, counted.members);
    Ok(Outcome { recorded, counted })
}
