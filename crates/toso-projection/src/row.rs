//! What the projection keeps of a document: a few bytes, without anything that names a person.
//!
//! The server stores rows in a table of its own to start without folding every document. The table is disposable, so a
//! row carries one version and a reader of another version refuses it; the server then rebuilds from its log.

use std::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use toso_core::id::DocId;
use toso_core::record::{
    Affiliation, CommuneRecord, Course, CourseStatus, Gender, HamletStatus, MemberRecord, Record, Role, TeamLevel,
    TeamRecord, TeamStatus,
};
use toso_core::text::hamlet_key;

/// Version of a stored row. Raise it with any change to the types of this file or to what they are made from.
pub const ROW_VERSION: u8 = 1;

/// A document as the projection keeps it. Stored as the pair (version, body).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A commune's own document.
    Commune(CommuneRow),
    /// A team.
    Team(TeamRow),
    /// A member.
    Member(MemberRow),
    /// A kind of document that this build does not know: kept, counted nowhere.
    Other,
}

impl Row {
    /// What is kept of a record.
    pub fn from_record(record: &Record) -> Self {
        match record {
            Record::Commune(record) => Self::Commune(CommuneRow::from_record(record)),
            Record::Team(record) => Self::Team(TeamRow::from_record(record)),
            Record::Member(record) => Self::Member(MemberRow::from_record(record)),
        }
    }
}

/// A hamlet within its commune: 64 bits of a hash of its [`hamlet_key`].
///
/// Two of a commune's hamlets (a few hundred at most) share one with a chance of 1 in 10^14; they would count as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HamletTag(u64);

impl HamletTag {
    /// The tag of a hamlet key.
    pub fn from_key(key: &str) -> Self {
        let mut bytes = [0; 8];
        let mut hasher = blake3::Hasher::new_derive_key("toso 2022-09-19 hamlet tag v1");
        hasher.update(key.as_bytes()).finalize_xof().fill(&mut bytes);
        Self(u64::from_be_bytes(bytes))
    }

    /// The tag of a hamlet's name.
    pub fn from_name(name: &str) -> Self {
        Self::from_key(&hamlet_key(name))
    }
}

/// A commune's own document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommuneRow {
    /// Hamlets that exist, in rising order.
    pub hamlets: Box<[HamletTag]>,
    /// Whether an officer has signed the figures off.
    pub signed_off: bool,
}

impl CommuneRow {
    fn from_record(record: &CommuneRecord) -> Self {
        let active = record.hamlets.iter().filter(|(_, hamlet)| hamlet.status == HamletStatus::Active);
        let mut hamlets: Vec<_> = active.map(|(key, _)| HamletTag::from_key(key)).collect();
        hamlets.sort_unstable();
        Self { hamlets: hamlets.into(), signed_off: record.signed_off_on.is_some() }
    }
}

/// A team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamRow {
    /// Level.
    pub level: TeamLevel,
    /// Where it stands.
    pub status: TeamStatus,
    /// The team it was merged into, as the document says; the link may be broken.
    pub merged_into: Option<DocId>,
    /// Hamlet served; none for a commune team.
    pub hamlet: Option<HamletTag>,
    /// Whether the number of its founding decision is known.
    pub has_decision: bool,
    /// Households covered.
    pub households_covered: u32,
    /// Activities recorded.
    pub activities: u32,
    /// People reached by all of them.
    pub people_reached: u32,
}

impl TeamRow {
    /// A team at work of which nothing else is known.
    pub const fn active(level: TeamLevel) -> Self {
        Self {
            level,
            status: TeamStatus::Active,
            merged_into: None,
            hamlet: None,
            has_decision: false,
            households_covered: 0,
            activities: 0,
            people_reached: 0,
        }
    }

    fn from_record(record: &TeamRecord) -> Self {
        Self {
            level: record.level,
            status: record.status,
            merged_into: record.merged_into,
            hamlet: record.hamlet.as_deref().map(HamletTag::from_name),
            has_decision: record.decision_number.is_some(),
            households_covered: clamp(record.households_covered.unwrap_or_default()),
            activities: u32::try_from(record.activities.len()).unwrap_or(u32::MAX),
            // Counters of concurrent devices can sum to anything, also below zero.
            people_reached: record
                .activities
                .values()
                .fold(0, |sum: u32, activity| sum.saturating_add(clamp(activity.reached))),
        }
    }
}

fn clamp(count: i64) -> u32 {
    u32::try_from(count.max(0)).unwrap_or(u32::MAX)
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRow {
    /// Team, as the document says; it may have been merged into another.
    pub team: Option<DocId>,
    /// The member it was merged into, as the document says; the link may be broken.
    pub merged_into: Option<DocId>,
    /// Part in the team.
    pub role: Role,
    /// Gender.
    pub gender: Option<Gender>,
    /// Organisations.
    pub affiliations: AffiliationSet,
    /// Training.
    pub courses: CourseProgress,
    /// Known to be a member of the youth union.
    pub union_member: bool,
    /// Known to follow the Zalo OA.
    pub zalo_oa_followed: bool,
    /// Whether the member has left.
    pub left: bool,
}

impl MemberRow {
    /// A member of a team of whom nothing else is known.
    pub const fn of_team(team: DocId) -> Self {
        Self {
            team: Some(team),
            merged_into: None,
            role: Role::Member,
            gender: None,
            affiliations: AffiliationSet(0),
            courses: CourseProgress(0),
            union_member: false,
            zalo_oa_followed: false,
            left: false,
        }
    }

    fn from_record(record: &MemberRecord) -> Self {
        Self {
            team: record.team,
            merged_into: record.merged_into,
            role: record.role,
            gender: record.gender,
            affiliations: record.affiliations.iter().copied().collect(),
            courses: record.courses.iter().map(|(course, status)| (*course, *status)).collect(),
            union_member: record.union_member == Some(true),
            zalo_oa_followed: record.zalo_oa_followed == Some(true),
            left: record.left_on.is_some(),
        }
    }
}

/// A set of affiliations, one bit each by place in [`Affiliation::ALL`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AffiliationSet(u16);

const _: () = assert!(Affiliation::ALL.len() <= u16::BITS as usize, "one bit for each affiliation");

impl AffiliationSet {
    /// For each affiliation, in the order of [`Affiliation::ALL`], whether it is in the set.
    pub fn flags(self) -> impl Iterator<Item = bool> {
        (0..Affiliation::ALL.len()).map(move |place| self.0 >> place & 1 == 1)
    }
}

impl FromIterator<Affiliation> for AffiliationSet {
    fn from_iter<I: IntoIterator<Item = Affiliation>>(affiliations: I) -> Self {
        let places = affiliations.into_iter().filter_map(|one| Affiliation::ALL.iter().position(|other| *other == one));
        Self(places.fold(0, |bits, place| bits | 1 << place))
    }
}

/// How far a member is in each course, two bits each by place in [`Course::ALL`]: 0 for nothing known, else 1 more
/// than the place in [`CourseStatus::ALL`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CourseProgress(u8);

const _: () = assert!(Course::ALL.len() <= 4 && CourseStatus::ALL.len() <= 3, "two bits for each of four courses");

impl CourseProgress {
    /// How far the member is in a course.
    pub fn status(self, course: Course) -> Option<CourseStatus> {
        let place = Course::ALL.iter().position(|other| *other == course)?;
        let code = usize::from(self.0 >> (2 * place) & 0b11);
        CourseStatus::ALL.get(code.checked_sub(1)?).copied()
    }
}

impl FromIterator<(Course, CourseStatus)> for CourseProgress {
    /// One status a course; the bits of a course that comes twice would run together.
    fn from_iter<I: IntoIterator<Item = (Course, CourseStatus)>>(courses: I) -> Self {
        Self(courses.into_iter().fold(0, |bits, (course, status)| {
            let place = Course::ALL.iter().position(|other| *other == course);
            let code = CourseStatus::ALL.iter().zip(1u8..).find(|(other, _)| **other == status).map(|(_, code)| code);
            place.zip(code).map_or(bits, |(place, code)| bits & !(0b11 << (2 * place)) | code << (2 * place))
        }))
    }
}

#[derive(Serialize)]
enum BodyRef<'a> {
    Commune(&'a CommuneRow),
    Team(&'a TeamRow),
    Member(&'a MemberRow),
    Other,
}

#[derive(Deserialize)]
enum Body {
    Commune(CommuneRow),
    Team(TeamRow),
    Member(MemberRow),
    Other,
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let body = match self {
            Self::Commune(row) => BodyRef::Commune(row),
            Self::Team(row) => BodyRef::Team(row),
            Self::Member(row) => BodyRef::Member(row),
            Self::Other => BodyRef::Other,
        };
        let mut pair = serializer.serialize_tuple(2)?;
        pair.serialize_element(&ROW_VERSION)?;
        pair.serialize_element(&body)?;
        pair.end()
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pair;
        impl<'de> Visitor<'de> for Pair {
            type Value = Row;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a row's version and body")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<Row, A::Error> {
                let version: u8 = pair.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
                if version != ROW_VERSION {
                    return Err(A::Error::custom(format_args!(
                        "the row has version {version}, this build reads {ROW_VERSION}; rebuild the views from the log"
                    )));
                }
                let body = pair.next_element()?.ok_or_else(|| A::Error::invalid_length(1, &self))?;
                Ok(match body {
                    Body::Commune(row) => Row::Commune(row),
                    Body::Team(row) => Row::Team(row),
                    Body::Member(row) => Row::Member(row),
                    Body::Other => Row::Other,
                })
            }
        }
        deserializer.deserialize_tuple(2, Pair)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use toso_core::record::{ActivityRecord, ConsentRecord, HamletRecord};
    use toso_core::unit::{UnitList, UnitRef};

    use super::*;

    /// 280,000 rows must fit beside the rest of a server of 1.5 GiB: 64 B × 280,000 = 18 MB.
    const ROW_BYTES_MAX: usize = 64;

    fn scope() -> UnitRef {
        UnitRef::new(UnitList::L2022, "00004").unwrap()
    }

    fn team_record() -> TeamRecord {
        let activity = |reached| ActivityRecord { reached, ..ActivityRecord::default() };
        TeamRecord {
            level: TeamLevel::Hamlet,
            hamlet: Some("Tổ 1".into()),
            hamlet_kind: None,
            local_name: Some("Tổ công nghệ số cộng đồng Thử".into()),
            decision_number: Some("1/QĐ-UBND".into()),
            decision_date: None,
            decision_body: None,
            established_on: None,
            status: TeamStatus::Active,
            merged_into: None,
            zalo_link: None,
            households_covered: Some(-3),
            note: None,
            activities: BTreeMap::from([
                ("00".into(), activity(40)),
                ("01".into(), activity(-7)),
                ("02".into(), activity(i64::MAX)),
            ]),
        }
    }

    fn member_record() -> MemberRecord {
        MemberRecord {
            team: Some(DocId::commune_team(scope(), 0)),
            full_name: Some("Nguyễn Văn Thử".into()),
            birth_year: Some(1990),
            gender: Some(Gender::Female),
            phone: Some("+84912000001".into()),
            role: Role::Deputy,
            affiliations: vec![Affiliation::Volunteer, Affiliation::CommuneAuthority],
            union_member: Some(true),
            joined_on: None,
            left_on: None,
            courses: BTreeMap::from([
                (Course::Mooc, CourseStatus::Completed),
                (Course::MinistryClass, CourseStatus::Informed),
            ]),
            zalo_oa_followed: None,
            consent: ConsentRecord::default(),
            merged_into: None,
        }
    }

    #[test]
    fn a_row_is_small() {
        assert!(size_of::<Row>() <= ROW_BYTES_MAX, "{} bytes", size_of::<Row>());
    }

    #[test]
    fn rows_keep_what_reports_need() {
        let Row::Team(team) = Row::from_record(&Record::Team(team_record())) else { panic!("a team") };
        assert_eq!(team.hamlet, Some(HamletTag::from_name("tổ  01")), "the same hamlet, typed otherwise");
        assert_eq!((team.households_covered, team.activities, team.people_reached), (0, 3, u32::MAX));
        assert!(team.has_decision);

        let Row::Member(member) = Row::from_record(&Record::Member(member_record())) else { panic!("a member") };
        let affiliations: Vec<_> = Affiliation::ALL
            .iter()
            .zip(member.affiliations.flags())
            .filter(|(_, is)| *is)
            .map(|(one, _)| *one)
            .collect();
        assert_eq!(affiliations, [Affiliation::CommuneAuthority, Affiliation::Volunteer]);
        assert_eq!(member.courses.status(Course::Mooc), Some(CourseStatus::Completed));
        assert_eq!(member.courses.status(Course::UnionClass), None);
        assert_eq!(member.courses.status(Course::MinistryClass), Some(CourseStatus::Informed));
        assert!(member.union_member && !member.zalo_oa_followed && !member.left);
    }

    #[test]
    fn only_hamlets_that_exist_are_kept() {
        let hamlet = |status| HamletRecord {
            name: String::new(),
            kind: None,
            households: None,
            status,
            predecessors: vec![],
            successors: vec![],
        };
        let record = CommuneRecord {
            hamlets: BTreeMap::from([
                ("a".into(), hamlet(HamletStatus::Active)),
                ("b".into(), hamlet(HamletStatus::Merged)),
            ]),
            signed_off_on: Some("2022-09-07".into()),
            signed_off_by: None,
        };
        let row = CommuneRow::from_record(&record);
        assert_eq!(&*row.hamlets, [HamletTag::from_key("a")]);
        assert!(row.signed_off);
    }

    #[test]
    fn a_stored_row_reads_back_and_names_nobody() {
        let commune = CommuneRow { hamlets: [HamletTag::from_key("a")].into(), signed_off: true };
        let rows = [
            Row::Commune(commune),
            Row::from_record(&Record::Team(team_record())),
            Row::from_record(&Record::Member(member_record())),
            Row::Other,
        ];
        for row in rows {
            let bytes = rmp_serde::to_vec(&row).unwrap();
            assert_eq!(rmp_serde::from_slice::<Row>(&bytes).unwrap(), row);
            assert!(!String::from_utf8_lossy(&bytes).contains("Thử"), "{row:?}");
        }
    }

    #[test]
    fn a_row_of_another_version_is_refused() {
        let mut bytes = rmp_serde::to_vec(&Row::Other).unwrap();
        assert_eq!(bytes[1], ROW_VERSION);
        bytes[1] = ROW_VERSION + 1;
        let refused = rmp_serde::from_slice::<Row>(&bytes).unwrap_err().to_string();
        assert!(refused.contains("rebuild the views"), "{refused}");
    }
}
