//! The counters, whatever came in whatever order and was asked in between, equal a recount of all documents from the
//! rules as `design.md` and the crate state them, written without the projector's own code.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use toso_catalog::Catalog;
use toso_core::id::{DocId, Sequence};
use toso_core::record::{Affiliation, Course, CourseStatus, Gender, Role, TeamLevel, TeamStatus};
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitList, UnitRef};
use toso_projection::{CommuneRow, Cursor, HamletTag, MemberRow, Projector, Query, Row, TeamRow};

const TEAMS_A_SCOPE: u8 = 4;
const MEMBERS_A_SCOPE: u8 = 5;

fn unit(text: &str) -> UnitRef {
    text.parse().unwrap()
}

/// Scopes that meet every case of placement: ordinary; split (00331 has a piece in 00340 of 2025); an island district
/// and its successor; a commune of 2025 with one predecessor, with several in a district or a province, in several
/// provinces; nobody's default successor; the units that no document should belong to; no unit at all.
fn scopes() -> &'static [Scope] {
    static SCOPES: LazyLock<Vec<Scope>> = LazyLock::new(find_scopes);
    &SCOPES
}

fn find_scopes() -> Vec<Scope> {
    let catalog = Catalog::shared();
    let new = || catalog.communes_under(UnitRef::country(UnitList::L2025));
    let province_of = |unit| catalog.province_of(unit).unwrap().unit;
    let district_of = |unit| catalog.district_of(unit).map(|unit| unit.unit);
    let spread = |new: UnitRef| {
        let old: Vec<_> = catalog.predecessors(new).map(|line| line.from).collect();
        let provinces: BTreeSet<_> = old.iter().map(|old| province_of(*old)).collect();
        let districts: BTreeSet<_> = old.iter().map(|old| district_of(*old)).collect();
        (old.len(), districts.len(), provinces.len())
    };
    let mut scopes: Vec<_> = ["2022/00004", "2022/00331", "2022/00334", "2022/318", "2025/11948", "2025/00340"]
        .into_iter()
        .chain(["2022/01", "2022/001", "2025/01", "2022/99999", "2025/99999"])
        .map(unit)
        .collect();
    scopes.push(new().find(|new| spread(*new).0 == 1 && new.code.as_str() != "11948").unwrap());
    scopes.push(new().find(|new| matches!(spread(*new), (2.., 1, 1))).unwrap());
    scopes.push(new().find(|new| matches!(spread(*new), (_, 2.., 1))).unwrap());
    scopes.push(new().find(|new| spread(*new).2 > 1).unwrap());
    // A sibling of a scope above in both lists, so that sums have more than one part.
    let sibling = catalog.predecessors(unit("2025/00004")).map(|line| line.from).find(|old| *old != unit("2022/00004"));
    scopes.push(sibling.unwrap());
    scopes
}

fn team(scope: Scope, number: u8) -> DocId {
    DocId::commune_team(scope, u32::from(number))
}

fn member(scope: Scope, number: u8) -> DocId {
    DocId::member(scope, [number; 11])
}

#[derive(Debug, Clone)]
enum Step {
    Put(Scope, DocId, Row),
    Remove(DocId),
    Ask,
}

fn hamlet() -> impl Strategy<Value = HamletTag> {
    (0..3u8).prop_map(|number| HamletTag::from_name(&format!("Thôn {number}")))
}

fn team_row(scope: Scope) -> impl Strategy<Value = Row> {
    let status = prop_oneof![4 => Just(TeamStatus::Active), 1 => Just(TeamStatus::Dissolved)];
    // One more than there are: a link to a document that never comes.
    let into = prop::option::weighted(0.4, (0..=TEAMS_A_SCOPE).prop_map(move |number| team(scope, number)));
    let served = prop::option::of(hamlet());
    (status, into, served, any::<bool>(), 0..9u32, 0..9u32).prop_map(
        |(status, merged_into, hamlet, has_decision, activities, people_reached)| {
            let level = if hamlet.is_some() { TeamLevel::Hamlet } else { TeamLevel::Commune };
            Row::Team(TeamRow {
                status,
                merged_into,
                hamlet,
                has_decision,
                activities,
                people_reached,
                households_covered: activities * 7,
                ..TeamRow::active(level)
            })
        },
    )
}

fn member_row(scope: Scope) -> impl Strategy<Value = Row> {
    let of_team = prop::option::weighted(0.9, (0..=TEAMS_A_SCOPE).prop_map(move |number| team(scope, number)));
    let into = prop::option::weighted(0.3, (0..=MEMBERS_A_SCOPE).prop_map(move |number| member(scope, number)));
    let role = prop::sample::select(Role::ALL);
    let gender = prop::option::of(prop::sample::select(Gender::ALL));
    let affiliations = prop::sample::subsequence(Affiliation::ALL, 0..4);
    let courses =
        prop::collection::btree_map(prop::sample::select(Course::ALL), prop::sample::select(CourseStatus::ALL), 0..3);
    let flags = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.2));
    (of_team, into, role, gender, affiliations, courses, flags).prop_map(
        |(of_team, merged_into, role, gender, affiliations, courses, (union_member, zalo_oa_followed, left))| {
            Row::Member(MemberRow {
                team: of_team,
                merged_into,
                role,
                gender,
                affiliations: affiliations.into_iter().collect(),
                courses: courses.into_iter().collect(),
                union_member,
                zalo_oa_followed,
                left,
            })
        },
    )
}

fn commune_row() -> impl Strategy<Value = Row> {
    (prop::collection::btree_set(hamlet(), 0..3), any::<bool>()).prop_map(|(hamlets, signed_off)| {
        Row::Commune(CommuneRow { hamlets: hamlets.into_iter().collect(), signed_off })
    })
}

fn step() -> impl Strategy<Value = Step> {
    let ids = (prop::sample::select(scopes()), 0..TEAMS_A_SCOPE, 0..MEMBERS_A_SCOPE);
    ids.prop_flat_map(|(scope, t, m)| {
        prop_oneof![
            5 => team_row(scope).prop_map(move |row| Step::Put(scope, team(scope, t), row)),
            6 => member_row(scope).prop_map(move |row| Step::Put(scope, member(scope, m), row)),
            1 => commune_row().prop_map(move |row| Step::Put(scope, DocId::commune(scope), row)),
            1 => Just(Step::Remove(team(scope, t))),
            1 => Just(Step::Remove(member(scope, m))),
            1 => Just(Step::Ask),
        ]
    })
}

type Documents = BTreeMap<(Scope, DocId), Row>;

/// Ends of merge links by the definition: what is on a circle ends at itself, what leads nowhere ends where it stands.
fn end(documents: &Documents, scope: Scope, doc: DocId) -> DocId {
    let link = |doc: DocId| {
        let into = match documents.get(&(scope, doc))? {
            Row::Team(row) => row.merged_into,
            Row::Member(row) => row.merged_into,
            Row::Commune(_) | Row::Other => None,
        }?;
        (documents.contains_key(&(scope, into)) && into.kind() == doc.kind()).then_some(into)
    };
    let mut walker = Some(doc);
    for _ in 0..=documents.len() {
        walker = walker.and_then(link);
        if walker == Some(doc) {
            return doc;
        }
    }
    link(doc).map_or(doc, |next| end(documents, scope, next))
}

/// What counts of one scope, as (teams, members) with the teams' ids.
struct Recount<'a> {
    teams: Vec<&'a TeamRow>,
    members: Vec<(DocId, &'a MemberRow)>,
    signed_off: bool,
    listed: BTreeSet<HamletTag>,
}

fn recount(documents: &Documents, scope: Scope) -> Recount<'_> {
    let mut recount = Recount { teams: vec![], members: vec![], signed_off: false, listed: BTreeSet::new() };
    let mut counting = BTreeSet::new();
    for ((_, doc), row) in documents.iter().filter(|((at, _), _)| *at == scope) {
        match row {
            Row::Team(row) => {
                if row.status == TeamStatus::Active && end(documents, scope, *doc) == *doc {
                    counting.insert(*doc);
                    recount.teams.push(row);
                }
            }
            Row::Commune(row) => {
                recount.signed_off = row.signed_off;
                recount.listed = row.hamlets.iter().copied().collect();
            }
            Row::Member(_) | Row::Other => {}
        }
    }
    for ((at, doc), row) in documents {
        if let (Row::Member(row), true) = (row, *at == scope) {
            let in_team = row.team.map(|team| end(documents, scope, team)).filter(|team| counting.contains(team));
            if let Some(team) = in_team.filter(|_| !row.left && end(documents, scope, *doc) == *doc) {
                recount.members.push((team, row));
            }
        }
    }
    recount
}

/// Where a scope's figures go under a list, by the rule.
fn taker(scope: Scope, list: UnitList) -> UnitRef {
    let catalog = Catalog::shared();
    let country = UnitRef::country(list);
    if catalog.get(scope).is_none() {
        return country;
    }
    if scope.list == list {
        return scope;
    }
    if list == UnitList::L2025 {
        let default = catalog.successors(scope).iter().find(|line| line.is_default).map(|line| line.to);
        return default.unwrap_or_else(|| catalog.default_successor(catalog.province_of(scope).unwrap().unit).unwrap());
    }
    let old: Vec<_> = if catalog.is_scope(scope) {
        catalog.predecessors(scope).map(|line| line.from).collect()
    } else {
        catalog.province_predecessors(scope).collect()
    };
    // Narrowest unit that contains all: of those that do, the one with the fewest scopes below.
    let holding = catalog.units(list).filter(|unit| old.iter().all(|old| catalog.contains(unit.unit, *old)));
    holding
        .map(|unit| unit.unit)
        .min_by_key(|unit| (catalog.scopes_under(*unit).len(), std::cmp::Reverse(unit.code.as_str().len())))
        .unwrap()
}

fn takers(list: UnitList) -> &'static BTreeMap<Scope, UnitRef> {
    type Takers = BTreeMap<Scope, UnitRef>;
    static TAKERS: LazyLock<BTreeMap<UnitList, Takers>> = LazyLock::new(|| {
        let of_list = |list| scopes().iter().map(|scope| (*scope, taker(*scope, list))).collect();
        UnitList::ALL.into_iter().map(|list| (list, of_list(list))).collect()
    });
    &TAKERS[&list]
}

/// Communes of a list that have a team because these scopes have.
fn communes_with_teams(having: &BTreeSet<Scope>, list: UnitList) -> BTreeSet<UnitRef> {
    let catalog = Catalog::shared();
    let mut communes = BTreeSet::new();
    for scope in having {
        if scope.list == list {
            communes.insert(*scope);
        } else if list == UnitList::L2025 {
            communes.extend(catalog.successors(*scope).iter().map(|line| line.to));
        } else if catalog.predecessors(*scope).count() == 1 {
            communes.extend(catalog.predecessors(*scope).map(|line| line.from));
        }
    }
    communes.retain(|unit| unit.code.as_str().len() == 5 && catalog.get(*unit).is_some());
    communes
}

fn check(projector: &mut Projector, documents: &Documents) {
    let catalog = Catalog::shared();
    let scopes: BTreeSet<_> = scopes().iter().copied().collect();
    let recounts: BTreeMap<_, _> = scopes.iter().map(|scope| (*scope, recount(documents, *scope))).collect();
    let having: BTreeSet<_> = scopes.iter().copied().filter(|scope| !recounts[scope].teams.is_empty()).collect();
    for list in UnitList::ALL {
        let takers = takers(list);
        let with_teams = communes_with_teams(&having, list);
        let interesting: BTreeSet<UnitRef> = takers
            .values()
            .copied()
            .chain(with_teams.iter().copied())
            .flat_map(|unit| std::iter::once(unit).chain(catalog.ancestors(unit).map(|unit| unit.unit)))
            .collect();
        for unit in interesting {
            let under: Vec<_> = scopes.iter().filter(|scope| catalog.contains(unit, takers[scope])).collect();
            let teams = || under.iter().flat_map(|scope| recounts[scope].teams.iter());
            let members = || under.iter().flat_map(|scope| recounts[scope].members.iter().map(|(_, row)| row));
            let served = |scope: &Scope| -> BTreeSet<_> {
                recounts[scope].teams.iter().filter_map(|team| team.hamlet).collect()
            };
            let sum = |value: &dyn Fn(&Scope) -> usize| under.iter().map(|scope| value(scope) as u64).sum::<u64>();
            let who = |test: &dyn Fn(&MemberRow) -> bool| members().filter(|row| test(row)).count() as u64;

            let figures = projector.figures(unit);
            assert_eq!(figures.teams, teams().count() as u64, "teams of {unit}");
            assert_eq!(figures.members, members().count() as u64, "members of {unit}");
            let communes = with_teams.iter().filter(|commune| catalog.contains(unit, **commune)).count() as u64;
            assert_eq!(figures.communes_with_teams, communes, "communes with teams in {unit}");
            let details = figures.details;
            let hamlet_teams = teams().filter(|team| team.level == TeamLevel::Hamlet).count() as u64;
            assert_eq!(
                (details.teams_of_hamlets, details.teams_of_communes),
                (hamlet_teams, figures.teams - hamlet_teams)
            );
            assert_eq!(details.people_reached, teams().map(|team| u64::from(team.people_reached)).sum::<u64>());
            assert_eq!(details.leaders, who(&|row| row.role == Role::Leader), "leaders of {unit}");
            assert_eq!(details.women, who(&|row| row.gender == Some(Gender::Female)), "women of {unit}");
            assert_eq!(
                details.union_class_completed,
                who(&|row| row.courses.status(Course::UnionClass) == Some(CourseStatus::Completed))
            );
            assert_eq!(details.hamlets_listed, sum(&|scope| recounts[scope].listed.len()));
            assert_eq!(details.hamlets_with_teams, sum(&|scope| served(scope).len()));
            assert_eq!(
                details.hamlets_without_team,
                sum(&|scope| recounts[scope].listed.difference(&served(scope)).count())
            );
            let signed = sum(&|scope| usize::from(scope.list == list && recounts[scope].signed_off));
            // Without a unit of its own, a scope's sign-off is the country's.
            assert_eq!(details.communes_signed_off, signed, "signed off in {unit}");
            for (place, one) in Affiliation::ALL.iter().enumerate() {
                let flagged = |row: &MemberRow| row.affiliations.flags().nth(place) == Some(true);
                assert_eq!(figures.affiliations[place], who(&flagged), "{one} in {unit}");
            }

            let report = projector.report(&Query { list, unit: Some(unit.code) }, TimestampMs(0)).unwrap();
            let rows: u64 = report.rows.iter().map(|row| row.teams).sum();
            assert_eq!(rows + report.unplaced.teams, report.teams);
            if catalog.children(unit).next().is_some() {
                let here =
                    scopes.iter().filter(|scope| takers[scope] == unit).map(|scope| recounts[scope].teams.len() as u64);
                assert_eq!(report.unplaced.teams, here.sum::<u64>(), "unplaced of {unit}");
            }
            let listed = projector.teams_in(unit, None, usize::MAX).unwrap();
            assert_eq!(listed.items.iter().filter(|team| team.counts).count() as u64, figures.teams);
            assert_eq!(
                listed.items.iter().filter(|team| team.counts).map(|team| team.members).sum::<u64>(),
                figures.members
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn counters_equal_a_recount_whatever_came(steps in vec(step(), 1..100)) {
        let mut projector = Projector::new(Catalog::shared());
        let mut documents = Documents::new();
        for (step, sequence) in steps.into_iter().zip(1..) {
            match step {
                Step::Put(scope, doc, row) => {
                    documents.insert((scope, doc), row.clone());
                    projector.apply(scope, doc, row);
                }
                Step::Remove(doc) => {
                    documents.retain(|(_, other), _| *other != doc);
                    projector.remove(doc);
                }
                Step::Ask => projector.refresh(),
            }
            projector.advance(Sequence(sequence), TimestampMs(sequence));
        }
        check(&mut projector, &documents);
        let mut rebuilt = projector.rebuilt();
        prop_assert_eq!(projector.first_difference(&mut rebuilt), None);
    }

    #[test]
    fn order_does_not_matter(steps in vec(step(), 1..60), seed in any::<u64>()) {
        // The last word on each document decides, so any order of the final rows gives the same.
        let mut last = BTreeMap::new();
        for step in steps {
            if let Step::Put(scope, doc, row) = step {
                last.insert(doc, (scope, row));
            }
        }
        let mut forward = Projector::new(Catalog::shared());
        let mut shuffled = Projector::new(Catalog::shared());
        for (doc, (scope, row)) in &last {
            forward.apply(*scope, *doc, row.clone());
        }
        let mut order: Vec<_> = last.iter().collect();
        order.sort_by_key(|(doc, _)| doc.as_bytes().iter().fold(seed, |mix, byte| mix.rotate_left(7).wrapping_mul(31) ^ u64::from(*byte)));
        for (doc, (scope, row)) in order {
            shuffled.apply(*scope, *doc, row.clone());
            shuffled.refresh();
        }
        prop_assert_eq!(forward.first_difference(&mut shuffled), None);
    }
}

#[test]
fn a_difference_is_found_and_named() {
    let scope = unit("2022/00004");
    let mut one = Projector::new(Catalog::shared());
    let mut other = Projector::new(Catalog::shared());
    one.apply(scope, team(scope, 0), Row::Team(TeamRow::active(TeamLevel::Commune)));
    assert_eq!(one.first_difference(&mut other), Some(toso_projection::Difference::Rows(scope)));
    assert!(!one.equal_views(&mut other));
    one.remove(team(scope, 0));
    assert!(one.equal_views(&mut other), "a scope that lost its last document equals one that never had any");
}

#[test]
fn a_document_that_moves_is_counted_once() {
    let (from, to) = (unit("2022/00004"), unit("2022/99999"));
    let mut projector = Projector::new(Catalog::shared());
    projector.apply(from, team(from, 0), Row::Team(TeamRow::active(TeamLevel::Commune)));
    projector.apply(to, team(from, 0), Row::Team(TeamRow::active(TeamLevel::Commune)));
    let report = projector.report(&Query { list: UnitList::L2022, unit: None }, TimestampMs(0)).unwrap();
    assert_eq!((report.teams, report.unplaced.teams, report.provinces_with_teams), (1, 1, 0));
}

#[test]
fn a_commune_that_took_a_piece_has_teams_under_2025() {
    // Thịnh Liệt was split; its default successor is another, Yên Sở took a piece.
    let scope = unit("2022/00331");
    let piece = unit("2025/00340");
    assert_ne!(Catalog::shared().default_successor(scope), Some(piece));
    let mut projector = Projector::new(Catalog::shared());
    projector.apply(scope, team(scope, 0), Row::Team(TeamRow::active(TeamLevel::Commune)));
    let totals = projector.totals(piece).unwrap();
    assert_eq!((totals.teams, totals.communes_with_teams, totals.communes_total), (0, 1, 1));
    projector.remove(team(scope, 0));
    assert_eq!(projector.totals(piece).unwrap().communes_with_teams, 0);
}

#[test]
fn pages_hold_everything_once() {
    let scopes = [unit("2022/00004"), unit("2022/00331")];
    let mut projector = Projector::new(Catalog::shared());
    for scope in scopes {
        for number in 0..5 {
            projector.apply(scope, team(scope, number), Row::Team(TeamRow::active(TeamLevel::Commune)));
            projector.apply(scope, member(scope, number), Row::Member(MemberRow::of_team(team(scope, 0))));
        }
    }
    let everything = projector.teams_in(unit("2022/01"), None, 100).unwrap();
    assert_eq!((everything.items.len(), everything.next), (10, None));
    for limit in 1..=10 {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = projector.teams_in(unit("2025/01"), after, limit).unwrap();
            assert!(page.items.len() <= limit);
            seen.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, everything.items, "{limit} a page");
    }
    assert_eq!(projector.members_of(team(scopes[0], 0)).len(), 5);
    assert_eq!(projector.members_of(team(scopes[0], 1)).len(), 0);
    assert_eq!(projector.team(team(scopes[0], 0)).unwrap().members, 5);
    let members = projector.members_in(scopes[1], None, 3).unwrap();
    assert_eq!(members.next, Some(Cursor { scope: scopes[1], doc: members.items[2].doc }));
    assert!(projector.teams_in(unit("2022/99999"), None, 1).is_err());
}

#[test]
fn a_page_never_passes_its_limit() {
    let scope = unit("2022/00004");
    let mut projector = Projector::new(Catalog::shared());
    for number in 0..=toso_projection::PAGE_ITEMS_MAX {
        let doc = DocId::commune_team(scope, u32::try_from(number).unwrap());
        projector.apply(scope, doc, Row::Team(TeamRow::active(TeamLevel::Commune)));
    }
    let page = projector.teams_in(scope, None, usize::MAX).unwrap();
    assert_eq!(page.items.len(), toso_projection::PAGE_ITEMS_MAX);
    let rest = projector.teams_in(scope, page.next, usize::MAX).unwrap();
    assert_eq!((rest.items.len(), rest.next), (1, None));
}

#[test]
fn freshness_is_the_newest_change_below() {
    let (a, b) = (unit("2022/00004"), unit("2022/00331"));
    let row = || Row::Team(TeamRow::active(TeamLevel::Commune));
    let mut projector = Projector::new(Catalog::shared());
    projector.apply(a, team(a, 0), row());
    projector.advance(Sequence(3), TimestampMs(30));
    projector.apply(b, team(b, 0), row());
    projector.advance(Sequence(5), TimestampMs(50));
    let at = |unit| projector.freshness(unit).unwrap().map(|fresh| (fresh.sequence.0, fresh.at.0));
    assert_eq!(at(a), Some((3, 30)));
    assert_eq!(at(unit("2025/01")), Some((5, 50)));
    assert_eq!(at(unit("2022/02")), None);
    assert_eq!(projector.as_of(), Sequence(5));

    let mut restarted = projector.rebuilt();
    assert_eq!(restarted.freshness(a).unwrap().unwrap().sequence, Sequence(5), "a rebuild alone cannot know better");
    let mut loaded = Projector::new(Catalog::shared());
    loaded.apply(a, team(a, 0), row());
    loaded.mark(a, Sequence(3), TimestampMs(30));
    loaded.advance(Sequence(5), TimestampMs(50));
    assert_eq!(loaded.freshness(a).unwrap().unwrap().sequence, Sequence(3));
    restarted.remove(team(b, 0));
    assert!(loaded.equal_views(&mut restarted));
}
