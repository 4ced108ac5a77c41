//! The national simulation: the country as of 7/9/2022, recorded by field devices.
//!
//! It is devices, not a loader. Each has its own key, enrols with its own invite, records offline through
//! `toso-client`, and comes online through a real socket; only its store is in memory. What the centre then counts
//! is the server's own work: nothing here tells it any total.
//!
//! `plan` deals the dispatch's totals out to communes and devices, `script` says what one device records, with
//! `names` made up for it, `device` does it, and `fleet` runs all of them through the phases.

mod device;
mod fleet;
mod names;
mod script;

use std::time::{Duration, Instant};

use serde::Deserialize;
use toso_catalog::Catalog;
use toso_client::rest::Caller;

use self::fleet::Fleet;
use crate::error::BenchError;
use crate::plan::Plan;

/// Whose country is simulated, and how.
#[derive(Debug)]
pub struct NationalOrder {
    /// The server's address.
    pub server: String,
    /// Who makes the invites and reads the report.
    pub admin: Caller,
    /// Field devices; without it about one commune in eight has several.
    pub devices: Option<usize>,
    /// Everything that is made up is made from this number.
    pub seed: u64,
    /// Devices that are online at the same time.
    pub online: usize,
    /// Which part of the country: 0.1 is every tenth commune, 10 is ten times the teams in each.
    pub part: f64,
}

/// What was recorded, as planned, and what the centre counts now.
#[derive(Debug)]
pub struct Outcome {
    /// Teams and members that the devices recorded, each once.
    pub recorded: Figures,
    /// What the server's report says.
    pub counted: Figures,
    /// What each phase took, in order.
    pub phases: Vec<(&'static str, Duration)>,
    /// What all took.
    pub whole: Duration,
}

/// The two figures of the dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Figures {
    /// Teams.
    pub teams: u64,
    /// Members.
    pub members: u64,
}

/// Runs the whole simulation against a server.
pub fn run(order: &NationalOrder) -> Result<Outcome, BenchError> {
    if order.online == 0 {
        return Err(BenchError::usage("0 devices online at the same time are none; give at least 1"));
    }
    let started = Instant::now();
    let plan = Plan::national(Catalog::shared(), order.seed, order.devices)?.part(order.part);
    let recorded = Figures { teams: plan.teams() as u64, members: plan.members() as u64 };
    eprintln!(
        "{} devices in {} communes ({} communes have several): {} teams, {} members",
        plan.devices(),
        plan.communes.len(),
        plan.communes_with_several_devices(),
        recorded.teams,
        recorded.members,
    );

    let mut fleet = Fleet::new(plan, &order.server, order.online)?;
    fleet.enrol(&order.admin)?;
    fleet.record()?;
    fleet.come_online()?;
    fleet.catch_up()?;
    fleet.compare()?;
    let counted = fleet.wait_until_counted(&order.admin)?;

    let whole = started.elapsed();
    eprint!("{}", fleet.summary());
    eprintln!("whole simulation: {:.1} s", whole.as_secs_f64());
    eprintln!("the centre counts {} teams and {} members", counted.teams, counted.members);
    Ok(Outcome { recorded, counted, phases: fleet.phases().to_vec(), whole })
}
