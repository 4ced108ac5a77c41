//! Who records what in the national simulation: which communes have teams, how many teams and members each has, and how
//! many devices record them.
//!
//! The totals and each province's status are those of the dispatch of 19/9/2022 (as of 7/9/2022); how they spread over
//! communes is made up from a seed. Whole numbers only, so that a seed gives the same plan on every machine.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use toso_catalog::Catalog;
use toso_catalog::dispatch::{DispatchStatus, MEMBERS_TOTAL, TEAMS_TOTAL};
use toso_core::record::TeamLevel;
use toso_core::unit::{Scope, UNIT_CODE_DIGITS_MAX, UnitRef};

/// Of 100 communes, those that have more than one device unless the number of devices is given.
const COMMUNES_WITH_SEVERAL_DEVICES_PERCENT: usize = 12;
/// Of the communes with several devices, every so many-th has three.
const THREE_DEVICES_EVERY: usize = 4;
/// The most devices of one commune. 8 × 8,000 communes are far more than one machine simulates.
pub(crate) const DEVICES_PER_COMMUNE_MAX: u16 = 8;
/// Per cent of its communes that an incomplete province has reached, at least and at most.
const REACHED_PERCENT: std::ops::RangeInclusive<usize> = 82..=98;
/// Per cent of provinces whose communes have a team of their own above those of the hamlets.
const TWO_LEVELS_PERCENT: u32 = 40;
/// Members of a team, and how many teams in 100 have that many. The mean is 4.64, the dispatch's.
const TEAM_SIZES: [(u8, u32); 7] = [(3, 20), (4, 33), (5, 25), (6, 12), (7, 6), (8, 3), (9, 1)];
/// The smallest and the largest team.
pub(crate) const TEAM_SIZE: std::ops::RangeInclusive<u8> = 3..=9;

/// The whole simulation, before anybody records anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Communes with teams, in the order of the catalogue.
    pub(crate) communes: Vec<CommunePlan>,
}

/// One commune that has teams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommunePlan {
    /// The commune, or an island district that has none.
    pub(crate) scope: Scope,
    /// Its province.
    pub(crate) province: UnitRef,
    /// Names, dates and the like are made from this number.
    pub(crate) seed: u64,
    /// Devices that record here.
    pub(crate) devices: u16,
    /// Its teams; that of the commune itself first.
    pub(crate) teams: Vec<TeamPlan>,
}

/// One team.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TeamPlan {
    /// Of the commune or of a hamlet.
    pub(crate) level: TeamLevel,
    /// How many members it has.
    pub(crate) members: u8,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A commune would have nobody to record it.
    #[error("{asked} devices are too few: {minimum} communes have teams and each needs one; give at least {minimum}")]
    TooFewDevices {
        /// What was asked for.
        asked: usize,
        /// The least that works.
        minimum: usize,
    },
    /// Communes would be crowded.
    #[error("{asked} devices are too many: {DEVICES_PER_COMMUNE_MAX} a commune are {maximum}; give at most that")]
    TooManyDevices {
        /// What was asked for.
        asked: usize,
        /// The most that works.
        maximum: usize,
    },
}

impl CommunePlan {
    /// True when every device here records the team on its own, each with a part of its members.
    pub(crate) fn is_shared(&self, team: usize) -> bool {
        self.devices > 1 && (team == 1 || team.is_multiple_of(3))
    }

    /// True when the device records the team.
    pub(crate) fn records_team(&self, device: u16, team: usize) -> bool {
        self.is_shared(team) || self.recorder(team) == device
    }

    /// True when the device records the member of the team.
    pub(crate) fn records_member(&self, device: u16, team: usize, member: usize) -> bool {
        let recorder = if self.is_shared(team) { self.recorder(member) } else { self.recorder(team) };
        recorder == device
    }

    /// Things are dealt out to the devices in turn.
    fn recorder(&self, index: usize) -> u16 {
        u16::try_from(index % usize::from(self.devices.max(1))).unwrap_or_default()
    }
}

impl Plan {
    /// The country as of 7/9/2022. `devices` is their total number; without it about one commune in eight has several.
    pub(crate) fn national(catalog: &Catalog, seed: u64, devices: Option<usize>) -> Result<Self, PlanError> {
        let mut rng = StdRng::seed_from_u64(seed);
        let places = reached(catalog, &mut rng);
        let devices = spread_devices(places.len(), devices, &mut rng)?;
        let teams = spread_teams(&places, &mut rng);
        let mut sizes = team_sizes(&mut rng).into_iter();
        let communes = places
            .iter()
            .zip(devices)
            .zip(teams)
            .map(|((place, devices), teams)| {
                let own_team = place.island || if teams == 1 { rng.random_bool(0.5) } else { place.two_levels };
                let levels = (0..teams).map(|index| match index {
                    0 if own_team => TeamLevel::Commune,
                    _ => TeamLevel::Hamlet,
                });
                let teams = levels.zip(sizes.by_ref()).map(|(level, members)| TeamPlan { level, members }).collect();
                CommunePlan { scope: place.scope, province: place.province, seed: rng.random(), devices, teams }
            })
            .collect();
        Ok(Self { communes })
    }

    /// A part of the country, evenly taken from all of it, or several times its teams in each commune.
    pub(crate) fn part(mut self, part: f64) -> Self {
        if part < 1.0 {
            let (mut share, every) = (0.0, part.max(0.0));
            self.communes.retain(|_| {
                share += every;
                let taken = share >= 1.0;
                share -= f64::from(u8::from(taken));
                taken
            });
        } else {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small whole number")]
            let times = part.round() as usize;
            for commune in &mut self.communes {
                let once = commune.teams.clone();
                let more = once.iter().map(|team| TeamPlan { level: TeamLevel::Hamlet, ..*team });
                commune.teams.extend(more.cycle().take(once.len() * (times - 1)));
            }
        }
        self
    }

    /// All devices.
    pub(crate) fn devices(&self) -> usize {
        self.communes.iter().map(|commune| usize::from(commune.devices)).sum()
    }

    /// All teams, each once.
    pub(crate) fn teams(&self) -> usize {
        self.communes.iter().map(|commune| commune.teams.len()).sum()
    }

    /// All members, each once.
    pub(crate) fn members(&self) -> usize {
        self.communes.iter().flat_map(|commune| &commune.teams).map(|team| usize::from(team.members)).sum()
    }

    /// Communes with several devices.
    pub(crate) fn communes_with_several_devices(&self) -> usize {
        self.communes.iter().filter(|commune| commune.devices > 1).count()
    }
}

/// A commune that has teams.
struct Place {
    scope: Scope,
    province: UnitRef,
    two_levels: bool,
    /// An island district: the authority's own team, no hamlets.
    island: bool,
}

fn is_island(scope: Scope) -> bool {
    scope.code.as_str().len() < UNIT_CODE_DIGITS_MAX
}

/// All communes of complete provinces, most of those of incomplete ones.
fn reached(catalog: &Catalog, rng: &mut StdRng) -> Vec<Place> {
    let mut places = Vec::new();
    for province in catalog.dispatch_provinces() {
        let mut scopes = catalog.scopes_under(province.unit).to_vec();
        match province.status {
            DispatchStatus::Complete => {}
            DispatchStatus::Incomplete => {
                // Islands aside, so that a commune is missing even for readers who count communes only.
                scopes.retain(|scope| !is_island(*scope));
                let keep = scopes.len() * rng.random_range(REACHED_PERCENT) / 100;
                let keep = keep.min(scopes.len().saturating_sub(1)).max(1);
                let order = scopes.clone();
                scopes.shuffle(rng);
                scopes.truncate(keep);
                let kept: std::collections::HashSet<_> = scopes.into_iter().collect();
                scopes = order.into_iter().filter(|scope| kept.contains(scope)).collect();
            }
            DispatchStatus::None => continue,
        }
        let two_levels = rng.random_ratio(TWO_LEVELS_PERCENT, 100);
        places.extend(scopes.into_iter().map(|scope| Place {
            scope,
            province: province.unit,
            two_levels,
            island: is_island(scope),
        }));
    }
    places
}

/// One device a commune, and the others to communes taken at random, to some of them two.
fn spread_devices(communes: usize, asked: Option<usize>, rng: &mut StdRng) -> Result<Vec<u16>, PlanError> {
    let several = communes * COMMUNES_WITH_SEVERAL_DEVICES_PERCENT / 100;
    let asked = asked.unwrap_or(communes + several + several / THREE_DEVICES_EVERY);
    let maximum = communes * usize::from(DEVICES_PER_COMMUNE_MAX);
    if asked < communes {
        return Err(PlanError::TooFewDevices { asked, minimum: communes });
    }
    if asked > maximum {
        return Err(PlanError::TooManyDevices { asked, maximum });
    }
    let mut order: Vec<usize> = (0..communes).collect();
    order.shuffle(rng);
    let mut devices = vec![1_u16; communes];
    let mut left = asked - communes;
    while left > 0 {
        for (turn, index) in order.iter().enumerate() {
            let Some(count) = devices.get_mut(*index) else { continue };
            let wish = if turn % THREE_DEVICES_EVERY == THREE_DEVICES_EVERY - 1 { 2 } else { 1 };
            let room = usize::from(DEVICES_PER_COMMUNE_MAX - *count);
            let more = wish.min(room).min(left);
            *count += u16::try_from(more).unwrap_or_default();
            left -= more;
        }
    }
    Ok(devices)
}

/// Every commune has one team; the others go to communes by weights that are small for most and large for a few.
fn spread_teams(places: &[Place], rng: &mut StdRng) -> Vec<u32> {
    let weights: Vec<u64> = places
        .iter()
        .map(|place| {
            let skew = u64::from(rng.random_range(0..1_000_u32)).pow(4) * 7 / 1_000_000_000;
            if place.island { 0 } else { 400 + skew }
        })
        .collect();
    let sum = weights.iter().sum::<u64>().max(1);
    let others = u64::from(TEAMS_TOTAL).saturating_sub(places.len() as u64);
    let mut counts: Vec<u32> =
        weights.iter().map(|weight| 1 + u32::try_from(others * weight / sum).unwrap_or_default()).collect();
    // What rounding down left over goes to the largest remainders.
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(weights.get(*index).map(|weight| others * weight % sum)));
    let given: u32 = counts.iter().sum();
    let rest = TEAMS_TOTAL.saturating_sub(given) as usize;
    for index in order.into_iter().take(rest) {
        if let Some(count) = counts.get_mut(index) {
            *count += 1;
        }
    }
    counts
}

/// The size of every team; they add up to all members.
fn team_sizes(rng: &mut StdRng) -> Vec<u8> {
    let mut sizes: Vec<u8> = (0..TEAMS_TOTAL)
        .map(|_| {
            let mut draw = rng.random_range(0..100);
            for (size, share) in TEAM_SIZES {
                if draw < share {
                    return size;
                }
                draw -= share;
            }
            *TEAM_SIZE.end()
        })
        .collect();
    let mut sum: u32 = sizes.iter().map(|size| u32::from(*size)).sum();
    // A draw is off by a few hundred; single teams take it up.
    while sum != MEMBERS_TOTAL {
        let index = rng.random_range(0..sizes.len());
        let Some(size) = sizes.get_mut(index) else { continue };
        if sum < MEMBERS_TOTAL && *size < *TEAM_SIZE.end() {
            *size += 1;
            sum += 1;
        } else if sum > MEMBERS_TOTAL && *size > *TEAM_SIZE.start() {
            *size -= 1;
            sum -= 1;
        }
    }
    sizes
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use super::*;

    fn plan(seed: u64) -> Plan {
        Plan::national(Catalog::shared(), seed, None).unwrap()
    }

    #[test]
    fn totals_are_the_dispatchs_for_any_seed() {
        for seed in [0, 1, 20_220_919, u64::MAX] {
            let plan = plan(seed);
            assert_eq!((plan.teams(), plan.members()), (48_538, 225_417), "seed {seed}");
        }
    }

    #[test]
    fn a_part_is_even_and_several_times_are_exact() {
        let whole = plan(1);
        let tenth = whole.clone().part(0.1);
        assert!(tenth.communes.len().abs_diff(whole.communes.len() / 10) <= 1);
        assert!(tenth.teams().abs_diff(4_854) < 500, "{}", tenth.teams());
        assert_eq!(whole.clone().part(1.0), whole);
        let tenfold = whole.clone().part(10.0);
        assert_eq!((tenfold.teams(), tenfold.members()), (485_380, 2_254_170));
        let own_teams = |plan: &CommunePlan| plan.teams.iter().filter(|team| team.level == TeamLevel::Commune).count();
        assert!(tenfold.communes.iter().all(|commune| own_teams(commune) <= 1), "a commune has one team of its own");
    }

    #[test]
    fn every_provinces_status_is_the_dispatchs() {
        let catalog = Catalog::shared();
        let plan = plan(7);
        let with_teams: HashSet<_> = plan.communes.iter().map(|commune| commune.scope).collect();
        assert_eq!(with_teams.len(), plan.communes.len(), "a commune is planned once");
        let mut seen = BTreeMap::new();
        for province in catalog.dispatch_provinces() {
            let communes: Vec<_> = catalog.communes_under(province.unit).collect();
            let reached = communes.iter().filter(|commune| with_teams.contains(commune)).count();
            let status = match reached {
                0 => DispatchStatus::None,
                all if all == communes.len() => DispatchStatus::Complete,
                _ => DispatchStatus::Incomplete,
            };
            assert_eq!(status, province.status, "{}", province.unit);
            *seen.entry(status).or_insert(0) += 1;
        }
        assert_eq!(seen.values().copied().collect::<Vec<_>>(), [11, 23, 29]);
        assert!(
            plan.communes
                .iter()
                .all(|commune| catalog.province_of(commune.scope).map(|p| p.unit) == Some(commune.province))
        );
    }

    #[test]
    fn islands_of_complete_provinces_have_one_team_of_their_own() {
        let islands: Vec<_> = plan(7).communes.into_iter().filter(|commune| is_island(commune.scope)).collect();
        assert_eq!(islands.len(), 2);
        assert!(islands.iter().all(|island| island.teams.len() == 1 && island.teams[0].level == TeamLevel::Commune));
    }

    #[test]
    fn a_seed_gives_one_plan_and_another_seed_another() {
        assert_eq!(plan(5), plan(5));
        assert_ne!(plan(5), plan(6));
    }

    #[test]
    fn teams_are_as_large_as_real_ones_and_spread_unevenly() {
        let plan = plan(3);
        let sizes = plan.communes.iter().flat_map(|commune| &commune.teams).map(|team| team.members);
        assert!(sizes.clone().all(|size| TEAM_SIZE.contains(&size)));
        let largest = plan.communes.iter().map(|commune| commune.teams.len()).max().unwrap();
        let single = plan.communes.iter().filter(|commune| commune.teams.len() == 1).count();
        assert!((15..=40).contains(&largest), "{largest}");
        assert!(single < plan.communes.len() / 2, "{single}");
        assert!(plan.communes.iter().all(|commune| {
            commune.teams.iter().skip(1).all(|team| team.level == TeamLevel::Hamlet) && !commune.teams.is_empty()
        }));
    }

    #[test]
    fn about_one_commune_in_eight_has_two_or_three_devices() {
        let plan = plan(3);
        let several = plan.communes_with_several_devices();
        assert_eq!(several, plan.communes.len() * 12 / 100);
        assert_eq!(plan.devices(), plan.communes.len() + several + several / 4);
        assert!(plan.communes.iter().all(|commune| (1..=3).contains(&commune.devices)));
    }

    #[test]
    fn devices_can_be_as_few_as_communes_and_no_fewer() {
        let catalog = Catalog::shared();
        let minimum = plan(1).communes.len();
        let least = Plan::national(catalog, 1, Some(minimum)).unwrap();
        assert_eq!((least.devices(), least.communes_with_several_devices()), (minimum, 0));
        assert_eq!(
            Plan::national(catalog, 1, Some(minimum - 1)),
            Err(PlanError::TooFewDevices { asked: minimum - 1, minimum })
        );
    }

    #[test]
    fn devices_can_fill_every_commune_and_no_more() {
        let catalog = Catalog::shared();
        let maximum = plan(1).communes.len() * usize::from(DEVICES_PER_COMMUNE_MAX);
        let most = Plan::national(catalog, 1, Some(maximum)).unwrap();
        assert!(most.communes.iter().all(|commune| commune.devices == DEVICES_PER_COMMUNE_MAX));
        assert_eq!((most.teams(), most.members()), (48_538, 225_417));
        assert_eq!(
            Plan::national(catalog, 1, Some(maximum + 1)),
            Err(PlanError::TooManyDevices { asked: maximum + 1, maximum })
        );
    }

    #[test]
    fn devices_together_record_every_team_and_every_member_once() {
        for commune in plan(3).communes.iter().filter(|commune| commune.devices > 1).take(200) {
            assert!(commune.is_shared(0), "several devices always meet in one team");
            for (index, team) in commune.teams.iter().enumerate() {
                let recorders = (0..commune.devices).filter(|device| commune.records_team(*device, index)).count();
                let expected = if commune.is_shared(index) { usize::from(commune.devices) } else { 1 };
                assert_eq!(recorders, expected);
                for member in 0..usize::from(team.members) {
                    let recorders: Vec<_> =
                        (0..commune.devices).filter(|device| commune.records_member(*device, index, member)).collect();
                    assert_eq!(recorders.len(), 1);
                    assert!(commune.records_team(recorders[0], index), "a member's recorder has the team");
                }
            }
        }
    }
}
