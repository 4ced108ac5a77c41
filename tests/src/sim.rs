//! The whole system in one thread and in virtual time: real replicas, real sessions, frames through the real codec,
//! the real desk, log contract, folding and projection, on simulated disks and a simulated network.
//!
//! One seed decides everything, so a failure can be replayed and read. [`run`] makes a storm and then heals; the checks
//! of `check` run after every event and once more at the end. `docs/simulation.md` tells what is simulated and what is
//! not.

mod centre;
mod check;
mod in_touch;
mod lossy;
mod model;
mod newer;
mod phone;
mod phone_side;
mod plan;
mod restore;
mod rng;
mod server;
mod server_side;
mod trace;
mod upheaval;
mod workload;
mod world;
mod years;

use std::collections::BTreeMap;

pub use centre::Centre;
pub use plan::{Plan, Planted};
pub use world::{Violation, World};
pub use years::ends_after;

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// See [`Plan::newer`].
    pub newer: bool,
    /// What must not have happened.
    pub violation: Option<Violation>,
    /// A hash over everything that happened.
    pub hash: String,
    /// The last lines of what happened.
    pub tail: Vec<String>,
    /// How often things happened.
    pub counts: BTreeMap<&'static str, u64>,
}

/// Runs a plan.
pub fn run(plan: Plan) -> Outcome {
    let mut world = World::new(plan);
    let violation = world.run();
    Outcome {
        seed: plan.seed,
        newer: plan.newer,
        violation,
        hash: world.trace_hash(),
        tail: world.trace_tail(),
        counts: world.counts().clone(),
    }
}

impl Outcome {
    /// What a person needs of a failing seed: what is wrong, how it came to it, and the command that replays it.
    pub fn report(&self) -> String {
        let Some(violation) = &self.violation else { return format!("seed {} ran clean", self.seed) };
        format!(
            "seed {} broke \"{}\": {}\n{}\nreplay it with: cargo xtask simulate --seed {} --trace{}",
            self.seed,
            violation.check,
            violation.detail,
            self.tail.join("\n"),
            self.seed,
            if self.newer { " --newer" } else { "" }
        )
    }
}
