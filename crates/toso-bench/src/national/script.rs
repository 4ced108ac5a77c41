//! What one device records: the content of its share of a commune's teams.
//!
//! All devices of a commune read the same papers (names, decision, members), made from the commune's seed; each writes
//! down its own part, and of a team that several record each has its own opinion of some fields.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use toso_catalog::{Catalog, UnitKind};
use toso_core::edit::{DocEdit, MemberEdit, TeamEdit};
use toso_core::record::{Affiliation, ConsentMethod, Course, CourseStatus, Role, TeamLevel};
use toso_core::text::{Date, DocumentNumber, Label, PersonName, Phone, PlaceName, TextError};
use toso_replica::TeamDraft;

use super::names::{self, Hamlet, Phones, Region};
use crate::plan::CommunePlan;

/// The first day of decisions: 1/4/2022, when the ministry's letter of 5/3/2022 had reached the communes.
const FIRST_DECISION: u16 = 91;
/// The last day of decisions, 5/9/2022, so that the last team is set up by 7/9/2022.
const LAST_DECISION: u16 = 248;
/// Days from decision to work, at most.
const DAYS_TO_WORK_MAX: u16 = 2;
/// The version of the text that members agree to.
const CONSENT_TEXT: &str = "2022-04";

/// One team as one device records it.
#[derive(Debug)]
pub(crate) struct TeamScript {
    /// The team.
    pub(crate) draft: TeamDraft,
    /// Those of its members that this device records, each one save.
    pub(crate) members: Vec<Vec<MemberEdit>>,
    /// A later correction, when this device makes one.
    pub(crate) correction: Vec<DocEdit>,
}

/// What a device of a commune records, in order. The same for the same plan.
pub(crate) fn of_device(catalog: &Catalog, commune: &CommunePlan, device: u16) -> Result<Vec<TeamScript>, TextError> {
    let mut rng = StdRng::seed_from_u64(commune.seed);
    let region = Region::of(commune.province);
    let unit = catalog.get(commune.scope);
    let urban = unit.is_some_and(|unit| matches!(unit.kind, UnitKind::Ward | UnitKind::Township));
    let with_hamlet = commune.teams.iter().filter(|team| team.level == TeamLevel::Hamlet).count();
    let mut hamlets = names::hamlets(&mut rng, region, urban, with_hamlet).into_iter();
    let mut phones = Phones::of_commune(&mut rng);
    let paper = Paper::new(&mut rng, unit.map_or("", |unit| &*unit.name))?;

    let mut scripts = Vec::new();
    for (index, team) in commune.teams.iter().enumerate() {
        let hamlet = if team.level == TeamLevel::Hamlet { hamlets.next() } else { None };
        let households = rng.random_range(40..400);
        let members = (0..usize::from(team.members))
            .map(|place| member(&mut rng, region, &mut phones, &paper, place))
            .collect::<Result<Vec<_>, _>>()?;
        // Everything above is drawn on every device, so that all read the same papers.
        if !commune.records_team(device, index) {
            continue;
        }
        let shared = commune.is_shared(index);
        let mut draft = draft(team.level, hamlet.as_ref(), device, &paper)?;
        let mut correction = Vec::new();
        if shared {
            correction = opinion(hamlet.as_ref(), device, households)?;
        } else {
            draft.edits.push(TeamEdit::HouseholdsCovered(Some(households)));
        }
        let own = members.into_iter().enumerate();
        let members =
            own.filter(|(place, _)| commune.records_member(device, index, *place)).map(|(_, member)| member).collect();
        scripts.push(TeamScript { draft, members, correction });
    }
    Ok(scripts)
}

/// The decision that set a commune's teams up.
struct Paper {
    number: DocumentNumber,
    body: Label,
    decided_on: Date,
    established_on: Date,
}

impl Paper {
    fn new(rng: &mut StdRng, unit_name: &str) -> Result<Self, TextError> {
        let number = DocumentNumber::parse(&format!("{:02}/QĐ-UBND", rng.random_range(1..400)))?;
        let decided = rng.random_range(FIRST_DECISION..=LAST_DECISION);
        let mut letters = unit_name.chars();
        let first: String = letters.next().map(|letter| letter.to_lowercase().collect()).unwrap_or_default();
        Ok(Self {
            number,
            body: Label::parse(&format!("UBND {first}{}", letters.as_str()))?,
            decided_on: day_of_2022(decided)?,
            established_on: day_of_2022(decided + rng.random_range(0..=DAYS_TO_WORK_MAX))?,
        })
    }
}

fn day_of_2022(ordinal: u16) -> Result<Date, TextError> {
    let day = time::Date::from_ordinal_date(2022, ordinal).unwrap_or(time::macros::date!(2022 - 09 - 07));
    Date::new(2022, u8::from(day.month()), day.day())
}

fn draft(level: TeamLevel, hamlet: Option<&Hamlet>, device: u16, paper: &Paper) -> Result<TeamDraft, TextError> {
    let mut edits: Vec<TeamEdit> = hamlet.map(|hamlet| TeamEdit::HamletKind(Some(hamlet.kind))).into_iter().collect();
    edits.extend([
        TeamEdit::DecisionNumber(Some(paper.number.clone())),
        TeamEdit::DecisionDate(Some(paper.decided_on.clone())),
        TeamEdit::DecisionBody(Some(paper.body.clone())),
        TeamEdit::EstablishedOn(Some(paper.established_on.clone())),
    ]);
    // Every second device writes numbers with a leading zero; it is the same hamlet, so it must be the same team.
    let written = hamlet.map(|hamlet| if device % 2 == 1 { hamlet.written_otherwise() } else { hamlet.name.clone() });
    let hamlet = written.map(|name| PlaceName::parse(&name)).transpose()?;
    Ok(TeamDraft { level: Some(level), hamlet, edits, ..TeamDraft::default() })
}

/// What a device thinks a shared team is called and covers. No two devices agree.
fn opinion(hamlet: Option<&Hamlet>, device: u16, households: u32) -> Result<Vec<DocEdit>, TextError> {
    let of = hamlet.map_or("xã", |hamlet| &hamlet.name);
    let name = match device {
        0 => format!("Tổ công nghệ số cộng đồng {of}"),
        1 => format!("Tổ chuyển đổi số cộng đồng {of}"),
        _ => format!("Tổ CNSCĐ {of} ({})", device + 1),
    };
    Ok(vec![
        DocEdit::Team(TeamEdit::LocalName(Some(PlaceName::parse(&name)?))),
        DocEdit::Team(TeamEdit::HouseholdsCovered(Some(households + 3 * u32::from(device)))),
    ])
}

/// The member at a place of a team: the first leads, the second is the deputy in most teams.
fn member(
    rng: &mut StdRng,
    region: Region,
    phones: &mut Phones,
    paper: &Paper,
    place: usize,
) -> Result<Vec<MemberEdit>, TextError> {
    let person = names::person(rng, region);
    let (role, affiliation) = match place {
        0 => (Role::Leader, Affiliation::HamletHead),
        1 if rng.random_ratio(4, 5) => (Role::Deputy, Affiliation::YouthUnion),
        _ => (Role::Member, Affiliation::ALL.choose(rng).copied().unwrap_or(Affiliation::Volunteer)),
    };
    let youth = affiliation == Affiliation::YouthUnion;
    let birth_year = if youth { rng.random_range(1988..=2004) } else { rng.random_range(1958..=2000) };
    let phone = phones.next();
    let mut edits = vec![
        MemberEdit::FullName(PersonName::parse(&person.full_name)?),
        MemberEdit::BirthYear(Some(birth_year)),
        MemberEdit::Gender(Some(person.gender)),
        MemberEdit::Role(role),
        MemberEdit::Affiliation { affiliation, present: true },
        MemberEdit::JoinedOn(Some(paper.established_on.clone())),
    ];
    if rng.random_ratio(17, 20) {
        edits.push(MemberEdit::Phone(Some(Phone::parse(&phone)?)));
    }
    if youth {
        edits.push(MemberEdit::UnionMember(Some(true)));
    }
    if rng.random_ratio(1, 4) {
        let course = if youth { Course::UnionClass } else { Course::Mooc };
        let status = CourseStatus::ALL.choose(rng).copied();
        edits.push(MemberEdit::Course { course, status });
    }
    if rng.random_ratio(3, 5) {
        let text_version = Label::parse(CONSENT_TEXT)?;
        let date = paper.established_on.clone();
        edits.push(MemberEdit::Consent { method: ConsentMethod::Paper, date, text_version });
    }
    Ok(edits)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use toso_core::id::DocId;
    use toso_core::text::hamlet_key;

    use super::*;
    use crate::plan::Plan;

    fn communes(several_devices: bool) -> Vec<CommunePlan> {
        let plan = Plan::national(Catalog::shared(), 9, None).unwrap();
        plan.communes.into_iter().filter(|commune| (commune.devices > 1) == several_devices).collect()
    }

    fn id(commune: &CommunePlan, script: &TeamScript) -> DocId {
        match &script.draft.hamlet {
            Some(hamlet) => DocId::hamlet_team(commune.scope, &hamlet_key(hamlet.as_str()), 0),
            None => DocId::commune_team(commune.scope, 0),
        }
    }

    #[test]
    fn devices_of_a_commune_make_exactly_its_teams_and_members_together() {
        let catalog = Catalog::shared();
        for commune in communes(true).iter().take(300).chain(communes(false).iter().take(300)) {
            let mut teams: BTreeMap<DocId, usize> = BTreeMap::new();
            for device in 0..commune.devices {
                let scripts = of_device(catalog, commune, device).unwrap();
                let own: HashSet<_> = scripts.iter().map(|script| id(commune, script)).collect();
                assert_eq!(own.len(), scripts.len(), "a device registers no hamlet twice");
                for script in &scripts {
                    *teams.entry(id(commune, script)).or_default() += script.members.len();
                }
            }
            assert_eq!(teams.len(), commune.teams.len());
            let members: usize = commune.teams.iter().map(|team| usize::from(team.members)).sum();
            assert_eq!(teams.values().sum::<usize>(), members);
        }
    }

    #[test]
    fn devices_disagree_about_every_team_they_share() {
        let catalog = Catalog::shared();
        for commune in communes(true).iter().take(100) {
            let a = of_device(catalog, commune, 0).unwrap();
            let b = of_device(catalog, commune, 1).unwrap();
            let shared: Vec<_> =
                a.iter().filter_map(|a| Some((a, b.iter().find(|b| id(commune, a) == id(commune, b))?))).collect();
            assert!(!shared.is_empty());
            for (a, b) in shared {
                assert_eq!(a.correction.len(), 2);
                assert!(a.correction.iter().zip(&b.correction).all(|(a, b)| a != b));
            }
        }
    }

    #[test]
    fn every_team_has_one_leader_and_every_day_is_before_the_count() {
        let catalog = Catalog::shared();
        let last = Date::new(2022, 9, 7).unwrap();
        for commune in communes(false).iter().take(300) {
            for script in of_device(catalog, commune, 0).unwrap() {
                let all = script.members.iter().flatten();
                let leaders = all.clone().filter(|edit| matches!(edit, MemberEdit::Role(Role::Leader))).count();
                assert_eq!(leaders, 1);
                assert!(all.clone().all(|edit| !matches!(edit, MemberEdit::JoinedOn(Some(day)) if *day > last)));
            }
        }
    }

    #[test]
    fn the_same_plan_gives_the_same_script() {
        let commune = communes(true).swap_remove(0);
        let script = |device| format!("{:?}", of_device(Catalog::shared(), &commune, device).unwrap());
        assert_eq!(script(1), script(1));
    }
}
