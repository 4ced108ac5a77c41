//! Time that passes without anybody noticing, once everything has healed: phones lie in drawers for most of a year.

use toso_core::time::TimestampMs;

use super::plan::Plan;
use super::world::World;

/// How long phones are given to dial, sign and hear the answer: their longest pause between dials, and as much again.
const GREETING_MS: u64 = 10 * 60 * 1000;

/// Runs a plan, lets so much time pass, and has every phone come by once. For each that is welcome, when its token ended
/// before that and ends now.
pub fn ends_after(plan: Plan, pause_ms: u64) -> Result<Vec<[TimestampMs; 2]>, String> {
    let mut world = World::new(plan);
    if let Some(violation) = world.run() {
        return Err(format!("{}: {}", violation.check, violation.detail));
    }
    let before = world.token_ends();
    let links: Vec<u64> = world.links.keys().copied().collect();
    for link in links {
        world.cut(link);
    }
    world.now += pause_ms;
    world.until(world.now + GREETING_MS);
    if let Some(violation) = &world.violation {
        return Err(format!("{}: {}", violation.check, violation.detail));
    }
    Ok(before.into_iter().zip(world.token_ends()).filter_map(|(before, after)| Some([before?, after?])).collect())
}

impl World {
    /// What each phone of an honest person keeps as its token's end.
    fn token_ends(&self) -> Vec<Option<TimestampMs>> {
        let honest = self.phones.iter().filter(|phone| !phone.tampered);
        honest.map(|phone| phone.replica.as_ref()?.credential().ok()?.token_ends).collect()
    }
}
