//! A document as plain values. Whatever a hostile or a newer client wrote, this reads what it understands.

use std::collections::BTreeMap;

use automerge::{Automerge, ReadDoc, ValueRef};

use super::value::{boolean, count, counter, doc, str};
use super::{genesis, guarded};
use crate::edit::{ActivityField, HOUSEHOLDS_MAX, HamletPath, REACHED, activity_path, hamlet_path};
use crate::id::DocKind;
use crate::record::{
    ActivityKind, ActivityRecord, Affiliation, CommuneRecord, ConsentMethod, ConsentRecord, Course, CourseStatus,
    Gender, HamletKind, HamletRecord, HamletStatus, MemberRecord, Record, Role, TeamLevel, TeamRecord, TeamStatus,
};
use crate::text::{
    BIRTH_YEARS, DOCUMENT_NUMBER_CHARS_MAX, LABEL_BYTES_MAX, LINK_BYTES_MAX, NOTE_BYTES_MAX, PERSON_NAME_BYTES_MAX,
    PLACE_NAME_BYTES_MAX,
};

/// The most hamlets read of one commune: the communes of 2025 have at most about 150.
pub(super) const HAMLETS_MAX: usize = 2_000;
/// The most activities read of one team: three a day for ten years.
pub(super) const ACTIVITIES_MAX: usize = 11_000;
/// The most links read of one hamlet.
const SUCCESSORS_MAX: usize = 64;
/// A date has 10 bytes (`2022-09-19`).
const DATE_BYTES: usize = 10;
/// E.164: a plus and at most 15 digits.
const PHONE_BYTES_MAX: usize = 16;
/// 4 bytes a character.
const DOCUMENT_NUMBER_BYTES_MAX: usize = DOCUMENT_NUMBER_CHARS_MAX * 4;

pub(super) fn read(kind: DocKind, doc: &Automerge) -> Record {
    // Every change was probed when it came, so nothing is known that panics here.
    guarded(|| probe(kind, doc)).unwrap_or_else(|_| empty(kind))
}

fn empty(kind: DocKind) -> Record {
    match kind {
        DocKind::Commune => Record::Commune(CommuneRecord::default()),
        DocKind::Team => Record::Team(TeamRecord::default()),
        DocKind::Member => Record::Member(MemberRecord::default()),
    }
}

/// Reads; panics when a hostile change has broken the document.
pub(super) fn probe(kind: DocKind, doc: &Automerge) -> Record {
    let mut reading = Reading::new(kind);
    for (map, id) in genesis::places(kind) {
        for item in doc.map_range(&id, ..) {
            reading.item(map, &item.key, &item.value);
        }
    }
    reading.finish()
}

/// A record that is being read, wherever its values come from: map by map in the order of genesis, each by rising key.
pub(super) struct Reading(Record);

impl Reading {
    /// Nothing read.
    pub(super) fn new(kind: DocKind) -> Self {
        Self(empty(kind))
    }

    /// The value that a key shows.
    pub(super) fn item(&mut self, map: Option<&str>, key: &str, value: &ValueRef<'_>) {
        match &mut self.0 {
            Record::Commune(commune) => read_commune(commune, map, key, value),
            Record::Team(team) => read_team(team, map, key, value),
            Record::Member(member) => read_member(member, map, key, value),
        }
    }

    /// The record, once all is read.
    pub(super) fn finish(self) -> Record {
        let mut record = self.0;
        match &mut record {
            Record::Commune(commune) => link_predecessors(commune),
            Record::Member(member) => member.affiliations.sort_unstable(),
            Record::Team(team) => team.activities.values_mut().for_each(|activity| activity.skills.sort_unstable()),
        }
        record
    }
}

fn read_commune(commune: &mut CommuneRecord, map: Option<&str>, key: &str, value: &ValueRef<'_>) {
    match (map, key) {
        (None, "signed_off_on") => commune.signed_off_on = date(value),
        (None, "signed_off_by") => commune.signed_off_by = text(value, LABEL_BYTES_MAX),
        (Some("hamlets"), path) => read_hamlet(&mut commune.hamlets, path, value),
        _ => {}
    }
}

fn read_hamlet(hamlets: &mut BTreeMap<String, HamletRecord>, path: &str, value: &ValueRef<'_>) {
    let Some(path) = hamlet_path(path) else { return };
    let (HamletPath::Field(key, _) | HamletPath::Successor(key, _)) = path;
    if key.len() > PLACE_NAME_BYTES_MAX || (hamlets.len() >= HAMLETS_MAX && !hamlets.contains_key(key)) {
        return;
    }
    let hamlet = hamlets.entry(key.to_owned()).or_insert_with(|| HamletRecord {
        name: key.to_owned(),
        kind: None,
        households: None,
        status: HamletStatus::Active,
        predecessors: Vec::new(),
        successors: Vec::new(),
    });
    match path {
        HamletPath::Field(_, "name") => {
            if let Some(name) = text(value, PLACE_NAME_BYTES_MAX) {
                hamlet.name = name;
            }
        }
        HamletPath::Field(_, "kind") => hamlet.kind = word(value, HamletKind::from_word),
        HamletPath::Field(_, "households") => hamlet.households = count(value, HOUSEHOLDS_MAX),
        HamletPath::Field(_, "status") => {
            hamlet.status = word(value, HamletStatus::from_word).unwrap_or(HamletStatus::Active);
        }
        HamletPath::Field(..) => {}
        HamletPath::Successor(_, other) => {
            let room = hamlet.successors.len() < SUCCESSORS_MAX && other.len() <= PLACE_NAME_BYTES_MAX;
            if room && other != key && boolean(value) == Some(true) {
                hamlet.successors.push(other.to_owned());
            }
        }
    }
}

/// The other direction of the successor links is computed, so that the two can never disagree.
fn link_predecessors(commune: &mut CommuneRecord) {
    let links: Vec<(String, String)> = commune
        .hamlets
        .iter()
        .flat_map(|(key, hamlet)| hamlet.successors.iter().map(|successor| (successor.clone(), key.clone())))
        .collect();
    for (successor, predecessor) in links {
        if let Some(hamlet) = commune.hamlets.get_mut(&successor) {
            hamlet.predecessors.push(predecessor);
        }
    }
}

fn read_team(team: &mut TeamRecord, map: Option<&str>, key: &str, value: &ValueRef<'_>) {
    match (map, key) {
        (None, "level") => team.level = word(value, TeamLevel::from_word).unwrap_or(team.level),
        (None, "hamlet") => team.hamlet = text(value, PLACE_NAME_BYTES_MAX),
        (None, "hamlet_kind") => team.hamlet_kind = word(value, HamletKind::from_word),
        (None, "local_name") => team.local_name = text(value, PLACE_NAME_BYTES_MAX),
        (None, "decision_number") => team.decision_number = text(value, DOCUMENT_NUMBER_BYTES_MAX),
        (None, "decision_date") => team.decision_date = date(value),
        (None, "decision_body") => team.decision_body = text(value, LABEL_BYTES_MAX),
        (None, "established_on") => team.established_on = date(value),
        (None, "status") => team.status = word(value, TeamStatus::from_word).unwrap_or(team.status),
        (None, "merged_into") => team.merged_into = doc(value, DocKind::Team),
        (None, "zalo_link") => team.zalo_link = text(value, LINK_BYTES_MAX),
        (None, "households_covered") => team.households_covered = count(value, HOUSEHOLDS_MAX),
        (None, "note") => team.note = text(value, NOTE_BYTES_MAX),
        (Some("activities"), path) => read_activity(&mut team.activities, path, value),
        _ => {}
    }
}

fn read_activity(activities: &mut BTreeMap<String, ActivityRecord>, path: &str, value: &ValueRef<'_>) {
    let Some((id, field)) = activity_path(path) else { return };
    if activities.len() >= ACTIVITIES_MAX && !activities.contains_key(id) {
        return;
    }
    let activity = activities.entry(id.to_owned()).or_default();
    match field {
        ActivityField::Date => activity.date = date(value),
        ActivityField::Kind => activity.kind = word(value, ActivityKind::from_word),
        ActivityField::Skill(skill) => {
            if boolean(value) == Some(true) {
                activity.skills.push(skill);
            }
        }
        ActivityField::Reached(index) => {
            let counters = [
                &mut activity.reached,
                &mut activity.reached_women,
                &mut activity.reached_over_60,
                &mut activity.reached_minority,
            ];
            debug_assert_eq!(counters.len(), REACHED.len());
            if let (Some(slot), Some(count)) = (counters.into_iter().nth(index), counter(value)) {
                // Corrections made apart may go below nothing.
                *slot = count.max(0);
            }
        }
    }
}

fn read_member(member: &mut MemberRecord, map: Option<&str>, key: &str, value: &ValueRef<'_>) {
    match (map, key) {
        (None, "team") => member.team = doc(value, DocKind::Team),
        (None, "full_name") => member.full_name = text(value, PERSON_NAME_BYTES_MAX),
        (None, "birth_year") => {
            member.birth_year =
                count(value, u32::from(*BIRTH_YEARS.end())).filter(|year| *year >= i64::from(*BIRTH_YEARS.start()));
        }
        (None, "gender") => member.gender = word(value, Gender::from_word),
        (None, "phone") => member.phone = text(value, PHONE_BYTES_MAX),
        (None, "role") => member.role = word(value, Role::from_word).unwrap_or(member.role),
        (None, "union_member") => member.union_member = boolean(value),
        (None, "joined_on") => member.joined_on = date(value),
        (None, "left_on") => member.left_on = date(value),
        (None, "zalo_oa_followed") => member.zalo_oa_followed = boolean(value),
        (None, "merged_into") => member.merged_into = doc(value, DocKind::Member),
        (Some("affiliations"), key) => {
            if let (Some(affiliation), Some(true)) = (Affiliation::from_word(key), boolean(value)) {
                member.affiliations.push(affiliation);
            }
        }
        (Some("courses"), key) => {
            if let (Some(course), Some(status)) = (Course::from_word(key), word(value, CourseStatus::from_word)) {
                member.courses.insert(course, status);
            }
        }
        (Some("consent"), key) => read_consent(&mut member.consent, key, value),
        _ => {}
    }
}

fn read_consent(consent: &mut ConsentRecord, key: &str, value: &ValueRef<'_>) {
    match key {
        "method" => consent.method = word(value, ConsentMethod::from_word),
        "date" => consent.date = date(value),
        "text_version" => consent.text_version = text(value, LABEL_BYTES_MAX),
        "withdrawn_on" => consent.withdrawn_on = date(value),
        _ => {}
    }
}

fn text(value: &ValueRef<'_>, bytes_max: usize) -> Option<String> {
    str(value, bytes_max).map(str::to_owned)
}

fn date(value: &ValueRef<'_>) -> Option<String> {
    str(value, DATE_BYTES).filter(|date| date.len() == DATE_BYTES).map(str::to_owned)
}

fn word<T>(value: &ValueRef<'_>, from_word: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    str(value, DATE_BYTES.max(32)).and_then(from_word)
}
