//! Recording: teams, members, activities, hamlets. What is printed is the new record's id, alone on stdout.

use toso_core::edit::{ActivityId, CommuneEdit, DocEdit, MemberEdit, Reached, TeamEdit};
use toso_core::id::{DocId, DocKind};
use toso_core::record::{ActivityKind, HamletKind, Skill, TeamLevel};
use toso_core::text::{Date, PlaceName, hamlet_key};
use toso_core::unit::{Scope, UnitRef};
use toso_replica::{Replica, TeamDraft};
use toso_sync::AccessRole;

use super::show;
use crate::args::{
    ActivityCommand, CommuneCommand, ConvertFlag, EditArgs, HamletCommand, MemberCommand, ShowArgs, TeamCommand,
};
use crate::fail::Fail;
use crate::{input, output};

/// What is said of a command that found everything as it was to be.
const NOTHING_TO_CHANGE: &str = "nothing to change: these are its values already";

pub(super) fn team(replica: &Replica, command: TeamCommand) -> Result<(), Fail> {
    match command {
        TeamCommand::Add {
            hamlet,
            hamlet_kind,
            level,
            decision,
            decided,
            established,
            commune,
            another,
            set,
            convert,
        } => {
            let level = word("level", &level, TeamLevel::from_word, TeamLevel::ALL)?;
            let named = [
                ("hamlet_kind", hamlet_kind),
                ("decision_number", decision),
                ("decision_date", decided),
                ("established_on", established),
            ];
            let draft = TeamDraft {
                commune: commune.map(|code| scope(replica, &code)).transpose()?,
                level: Some(level),
                hamlet: hamlet.as_deref().map(|name| input::place_name(name, convert)).transpose()?,
                another,
                edits: edits(DocKind::Team, named, &set, convert, |edit| match edit {
                    DocEdit::Team(edit) => Some(edit),
                    DocEdit::Commune(_) | DocEdit::Member(_) => None,
                })?,
            };
            output::done(&replica.add_team(draft)?.to_string())
        }
        TeamCommand::Edit(args) => edit(replica, &args, DocKind::Team),
        TeamCommand::List(flag) => show::teams(replica, flag.json),
        TeamCommand::Show(ShowArgs { id, json }) => {
            show::one(&replica.team(input::doc_id(&id, DocKind::Team)?)?, json.json)
        }
        TeamCommand::Merge(args) => merge(replica, &args.from, Some(&args.into), DocKind::Team),
        TeamCommand::Unmerge(args) => merge(replica, &args.from, None, DocKind::Team),
    }
}

pub(super) fn member(replica: &Replica, command: MemberCommand) -> Result<(), Fail> {
    match command {
        MemberCommand::Add { team, name, phone, birth_year, role, gender, affiliation, joined, set, convert } => {
            let team = input::doc_id(&team, DocKind::Team)?;
            let named = [
                ("full_name", Some(name)),
                ("phone", phone),
                ("birth_year", birth_year),
                ("role", Some(role)),
                ("gender", gender),
                ("joined_on", joined),
            ];
            let affiliations = affiliation.iter().map(|organisation| format!("affiliations/{organisation}=yes"));
            let set: Vec<String> = affiliations.chain(set).collect();
            let edits: Vec<MemberEdit> = edits(DocKind::Member, named, &set, convert, |edit| match edit {
                DocEdit::Member(edit) => Some(edit),
                DocEdit::Commune(_) | DocEdit::Team(_) => None,
            })?;
            output::done(&replica.add_member(team, edits)?.to_string())
        }
        MemberCommand::Edit(args) => edit(replica, &args, DocKind::Member),
        MemberCommand::List { team, json } => {
            let team = team.map(|id| input::doc_id(&id, DocKind::Team)).transpose()?;
            show::members(replica, team, json.json)
        }
        MemberCommand::Show(ShowArgs { id, json }) => {
            show::one(&replica.member(input::doc_id(&id, DocKind::Member)?)?, json.json)
        }
        MemberCommand::Merge(args) => merge(replica, &args.from, Some(&args.into), DocKind::Member),
        MemberCommand::Unmerge(args) => merge(replica, &args.from, None, DocKind::Member),
    }
}

pub(super) fn activity(replica: &Replica, command: &ActivityCommand) -> Result<(), Fail> {
    let reached = |n: u32| Reached { total: i64::from(n), ..Reached::default() };
    match command {
        ActivityCommand::Add { team, date, kind, reached: people, skill } => {
            let mut id = [0; 8];
            getrandom::fill(&mut id).map_err(Fail::new)?;
            let edit = TeamEdit::AddActivity {
                id: ActivityId(id),
                date: Date::parse(date)?,
                kind: word("kind", kind, ActivityKind::from_word, ActivityKind::ALL)?,
                skills: skill
                    .iter()
                    .map(|skill| word("skill", skill, Skill::from_word, Skill::ALL))
                    .collect::<Result<_, _>>()?,
                reached: reached(*people),
            };
            replica.edit(input::doc_id(team, DocKind::Team)?, &[DocEdit::Team(edit)])?;
            output::done(&ActivityId(id).to_string())
        }
        ActivityCommand::Reach { team, activity, more } => {
            let team = input::doc_id(team, DocKind::Team)?;
            let id = input::activity_id(activity)?;
            if !replica.team(team)?.record.activities.contains_key(&id.to_string()) {
                return Err(Fail::new(format!("team {team} has no activity {id}; `team show` lists them")));
            }
            replica.edit(team, &[DocEdit::Team(TeamEdit::AddReached { id, more: reached(*more) })])?;
            Ok(())
        }
        ActivityCommand::List { team, json } => {
            let team = team.as_deref().map(|id| input::doc_id(id, DocKind::Team)).transpose()?;
            show::activities(replica, team, json.json)
        }
    }
}

pub(super) fn hamlet(replica: &Replica, command: HamletCommand) -> Result<(), Fail> {
    match command {
        HamletCommand::Add { name, kind, households, commune, convert } => {
            let commune = commune.map(|code| scope(replica, &code)).transpose()?;
            let name = input::place_name(&name, convert)?;
            let key = hamlet_key(name.as_str());
            let mut edits = vec![CommuneEdit::HamletName { key: key.clone(), name }];
            if let Some(kind) = kind {
                let kind = Some(word("kind", &kind, HamletKind::from_word, HamletKind::ALL)?);
                edits.push(CommuneEdit::HamletKind { key: key.clone(), kind });
            }
            if households.is_some() {
                edits.push(CommuneEdit::HamletHouseholds { key, households });
            }
            let edits: Vec<DocEdit> = edits.into_iter().map(DocEdit::Commune).collect();
            saved(replica.edit_commune(commune, &edits)?)
        }
        HamletCommand::Edit { name, changes, commune, convert } => {
            let commune = commune.map(|code| scope(replica, &code)).transpose()?;
            let name = input::place_name(&name, convert)?;
            let key = listed(replica, commune, &name)?;
            let changes: Vec<String> = changes.iter().map(|change| format!("hamlets/{key}/{change}")).collect();
            let (_, is_new) = replica.edit_commune(commune, &input::changes(DocKind::Commune, &changes, convert)?)?;
            say_unless(is_new, NOTHING_TO_CHANGE);
            Ok(())
        }
        HamletCommand::List(flag) => show::communes(replica, flag.json),
    }
}

/// The key of a hamlet that is on the commune's list: the mistyped name of one must not make another.
fn listed(replica: &Replica, commune: Option<Scope>, name: &PlaceName) -> Result<String, Fail> {
    let key = hamlet_key(name.as_str());
    let communes = replica.communes()?;
    let mut here = communes.iter().filter(|view| commune.is_none_or(|commune| view.commune == commune));
    if here.any(|view| view.record.hamlets.contains_key(&key)) {
        return Ok(key);
    }
    Err(Fail::new(format!(
        "no hamlet {name} is on the commune's list; `hamlet list` shows those that are, `hamlet add` adds one"
    )))
}

pub(super) fn commune(replica: &Replica, command: CommuneCommand) -> Result<(), Fail> {
    match command {
        CommuneCommand::Show(flag) => show::sign_offs(replica, flag.json),
        CommuneCommand::SignOff { date, by, withdraw, commune, convert } => {
            // The centre would refuse it, at the next sync.
            let role: AccessRole = replica.credential()?.role.parse()?;
            if !role.may_sign_off() {
                return Err(Fail::new(format!(
                    "signing off is for officers, and this device is {}'s; ask your officer",
                    role.with_article()
                )));
            }
            let commune = commune.map(|code| scope(replica, &code)).transpose()?;
            // A withdrawal clears both; else what is not named stays as it is.
            let named = [("signed_off_on", date), ("signed_off_by", by)];
            let named = named.into_iter().filter(|(_, value)| withdraw || value.is_some());
            let edits = named
                .map(|(field, value)| input::field_value(DocKind::Commune, field, &value.unwrap_or_default(), convert));
            let edits = edits.collect::<Result<Vec<_>, _>>()?;
            let (id, changed) = replica.edit_commune(commune, &edits)?;
            if withdraw && !changed {
                output::say(&format!(
                    "there is no sign-off to withdraw: {} is not signed off on this device; `commune show` lists what is, \
                     `sync` fetches what the centre has",
                    commune.map_or_else(|| "the commune".to_owned(), |commune| format!("commune {commune}"))
                ));
                return Ok(());
            }
            saved((id, changed))
        }
    }
}

/// The id of a commune's document that was to be changed.
fn saved((id, changed): (DocId, bool)) -> Result<(), Fail> {
    say_unless(changed, NOTHING_TO_CHANGE);
    output::done(&id.to_string())
}

/// A command that changes nothing is done, and says so.
fn say_unless(changed: bool, nothing: &str) {
    if !changed {
        output::say(nothing);
    }
}

fn edit(replica: &Replica, args: &EditArgs, kind: DocKind) -> Result<(), Fail> {
    let id = input::doc_id(&args.id, kind)?;
    say_unless(replica.edit(id, &input::changes(kind, &args.changes, args.convert)?)?, NOTHING_TO_CHANGE);
    Ok(())
}

fn merge(replica: &Replica, from: &str, into: Option<&str>, kind: DocKind) -> Result<(), Fail> {
    let from = input::doc_id(from, kind)?;
    match into {
        Some(into) => {
            let changed = replica.merge(from, input::doc_id(into, kind)?)?;
            say_unless(changed, &format!("nothing to change: {from} is merged into {into} already"));
        }
        None => {
            say_unless(replica.unmerge(from)?, &format!("there is no merge to take back: {from} is merged into none"));
        }
    }
    Ok(())
}

/// Options and `--set` texts as edits of one kind.
fn edits<E, const N: usize>(
    kind: DocKind,
    named: [(&str, Option<String>); N],
    set: &[String],
    convert: ConvertFlag,
    narrow: impl Fn(DocEdit) -> Option<E>,
) -> Result<Vec<E>, Fail> {
    let mut edits = Vec::new();
    for (field, value) in named {
        if let Some(value) = value {
            edits.push(input::field_value(kind, field, &value, convert)?);
        }
    }
    edits.extend(input::changes(kind, set, convert)?);
    Ok(edits.into_iter().filter_map(narrow).collect())
}

/// A commune's code, in the list of the device's unit.
fn scope(replica: &Replica, code: &str) -> Result<Scope, Fail> {
    let list = replica.credential()?.unit.list;
    Ok(UnitRef::new(list, code)?)
}

fn word<T: Copy + std::fmt::Display>(
    what: &str,
    text: &str,
    from_word: impl Fn(&str) -> Option<T>,
    all: &[T],
) -> Result<T, Fail> {
    from_word(text).ok_or_else(|| {
        let known: Vec<String> = all.iter().map(ToString::to_string).collect();
        Fail::new(format!("{what} is one of {}", known.join(", ")))
    })
}
