//! A commune as volunteers record it, made from a seed: real documents, saved by several devices. Names and phones are
//! invented. Used to train the dictionary and, with other seeds, to measure it.

#![allow(dead_code, reason = "each user needs a part")]

use toso_core::document::{Author, Document};
use toso_core::edit::{ActivityId, CommuneEdit, DocEdit, MemberEdit, Reached, TeamEdit};
use toso_core::id::{Actor, DeviceId, DocId};
use toso_core::record::{
    ActivityKind, Affiliation, ConsentMethod, Course, CourseStatus, Gender, HamletKind, Role, Skill, TeamLevel,
};
use toso_core::text::{Date, DocumentNumber, Label, Link, Note, PersonName, Phone, PlaceName, hamlet_key};
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitList, UnitRef};

/// 19/9/2022, 08:00 in Hanoi.
const START_MS: u64 = 1_663_549_200_000;

const FAMILY: [&str; 14] =
    ["Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Huỳnh", "Phan", "Vũ", "Võ", "Đặng", "Bùi", "Đỗ", "Hồ", "Lường"];
const MIDDLE: [&str; 12] =
    ["Văn", "Thị", "Hữu", "Đức", "Minh", "Ngọc", "Thị Thu", "Quang", "Xuân", "Thị Thanh", "Công", "Thị Hồng"];
const GIVEN: [&str; 40] = [
    "Thử", "An", "Bình", "Chi", "Dũng", "Giang", "Hà", "Hải", "Hạnh", "Hằng", "Hiếu", "Hòa", "Hùng", "Hương", "Khánh",
    "Lan", "Linh", "Long", "Mai", "Nam", "Nga", "Nhung", "Oanh", "Phong", "Phúc", "Phương", "Quân", "Quỳnh", "Sơn",
    "Tâm", "Thảo", "Thắng", "Thủy", "Toàn", "Trang", "Trung", "Tú", "Tuấn", "Vinh", "Yến",
];
const HAMLETS: [&str; 16] = [
    "Đông",
    "Đoài",
    "Nam Sơn",
    "Bắc Hà",
    "Nà Phặc",
    "Bản Mới",
    "Cây Đa",
    "Giữa",
    "Trung Tâm",
    "Tân Lập",
    "Hòa Bình",
    "Phú Thịnh",
    "Đồng Tiến",
    "Xuân Lai",
    "Mỹ Hưng",
    "Lũng Luông",
];
const KINDS: [(HamletKind, &str); 5] = [
    (HamletKind::Thon, "Thôn"),
    (HamletKind::Ban, "Bản"),
    (HamletKind::Ap, "Ấp"),
    (HamletKind::ToDanPho, "Tổ dân phố"),
    (HamletKind::Xom, "Xóm"),
];
/// Phones to train from, 0912 000 000 to 0912 000 999: what ends in a dictionary is nobody's.
const PHONES_INVENTED: u64 = 1_000;
/// Phones to measure with, as various as real ones; they are never stored.
pub(crate) const PHONES_VARIOUS: u64 = 1_000_000;

/// SplitMix64: the same numbers everywhere, for ever.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next().to_be_bytes()[0])
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let at = usize::try_from(self.below(items.len() as u64)).expect("small");
        &items[at]
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// One saved change.
#[derive(Debug, Clone)]
pub(crate) struct Saved {
    pub(crate) scope: Scope,
    pub(crate) doc: DocId,
    pub(crate) change: Vec<u8>,
}

/// A commune being recorded.
pub(crate) struct Register {
    pub(crate) random: Random,
    pub(crate) scope: Scope,
    actors: Vec<Actor>,
    now_ms: u64,
    teams: Vec<Document>,
    members: Vec<Document>,
    phones: u64,
    /// Every change, in the order it was saved.
    pub(crate) saved: Vec<Saved>,
}

impl Register {
    /// An empty commune with one to three devices.
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let list = if random.chance(80) { UnitList::L2022 } else { UnitList::L2025 };
        let code = format!("{:05}", 1 + random.below(32_000));
        let scope = UnitRef::new(list, &code).expect("five digits");
        let actors = (0..=random.below(3)).map(|_| Actor::new(DeviceId(random.bytes()), random.bytes())).collect();
        let now_ms = START_MS + random.below(300 * 86_400_000);
        Self {
            random,
            scope,
            actors,
            now_ms,
            teams: Vec::new(),
            members: Vec::new(),
            phones: PHONES_INVENTED,
            saved: Vec::new(),
        }
    }

    /// A commune with its hamlets, `teams` teams and `members` members, each saved once.
    pub(crate) fn filled(seed: u64, teams: usize, members: usize) -> Self {
        Self::new(seed).fill(teams, members)
    }

    /// Like [`Self::filled`], for measuring: with phones as various as real ones.
    pub(crate) fn various(seed: u64, teams: usize, members: usize) -> Self {
        Self { phones: PHONES_VARIOUS, ..Self::new(seed) }.fill(teams, members)
    }

    fn fill(mut self, teams: usize, members: usize) -> Self {
        for _ in 0..teams {
            self.add_team();
        }
        for _ in 0..members {
            self.add_member();
        }
        self
    }

    fn author(&mut self) -> Author {
        self.now_ms += 20_000 + self.random.below(600_000);
        Author { actor: *self.random.pick(&self.actors), at: TimestampMs(self.now_ms) }
    }

    fn save(&mut self, document: &mut Document, edits: &[DocEdit]) {
        let author = self.author();
        if let Some(chunk) = document.edit(author, edits).expect("valid edits") {
            self.saved.push(Saved { scope: self.scope, doc: document.id(), change: chunk.bytes().to_vec() });
        }
    }

    fn date(&mut self) -> Date {
        let (month, day) = (1 + self.random.below(9), 1 + self.random.below(28));
        Date::parse(&format!("2022-{month:02}-{day:02}")).expect("a date")
    }

    /// Records the commune's hamlet list.
    pub(crate) fn add_hamlets(&mut self) {
        let mut commune = Document::new(DocId::commune(self.scope)).expect("a known kind");
        for at in 0..=5 {
            let (kind, word) = *self.random.pick(&KINDS);
            let name = format!("{word} {} {at}", self.random.pick(&HAMLETS));
            let key = hamlet_key(&name);
            let households = Some(40 + u32::try_from(self.random.below(400)).expect("small"));
            let name = PlaceName::parse(&name).expect("a name");
            let edits = [
                CommuneEdit::HamletName { key: key.clone(), name },
                CommuneEdit::HamletKind { key: key.clone(), kind: Some(kind) },
                CommuneEdit::HamletHouseholds { key, households },
            ];
            self.save(&mut commune, &edits.map(DocEdit::Commune));
        }
        let edit =
            CommuneEdit::SignOff { date: Some(self.date()), by: Some(Label::parse("UBND xã").expect("a label")) };
        self.save(&mut commune, &[DocEdit::Commune(edit)]);
    }

    /// Records a hamlet's team.
    pub(crate) fn add_team(&mut self) {
        let (kind, word) = *self.random.pick(&KINDS);
        let mut name = format!("{word} {}", self.random.pick(&HAMLETS));
        if self.random.chance(60) {
            name = format!("{name} {}", 1 + self.random.below(20));
        }
        let ordinal = u32::try_from(self.teams.len()).expect("small");
        let mut team =
            Document::new(DocId::hamlet_team(self.scope, &hamlet_key(&name), ordinal)).expect("a known kind");
        let mut edits = vec![
            TeamEdit::Level(TeamLevel::Hamlet),
            TeamEdit::Hamlet(Some(PlaceName::parse(&name).expect("a name"))),
            TeamEdit::HamletKind(Some(kind)),
        ];
        if self.random.chance(80) {
            edits.extend([self.decision_number(), TeamEdit::DecisionDate(Some(self.date()))]);
        }
        if self.random.chance(50) {
            edits.push(TeamEdit::EstablishedOn(Some(self.date())));
        }
        if self.random.chance(20) {
            edits.push(TeamEdit::DecisionBody(Some(Label::parse("UBND xã").expect("a label"))));
        }
        let edits: Vec<DocEdit> = edits.into_iter().map(DocEdit::Team).collect();
        self.save(&mut team, &edits);
        self.teams.push(team);
    }

    fn decision_number(&mut self) -> TeamEdit {
        let text = format!("{}/QĐ-UBND", 1 + self.random.below(400));
        TeamEdit::DecisionNumber(Some(DocumentNumber::parse(&text).expect("a number")))
    }

    /// Records a member of one of the teams.
    pub(crate) fn add_member(&mut self) {
        let mut member = Document::new(DocId::member(self.scope, self.random.bytes())).expect("a known kind");
        let team = self.team_id();
        let mut edits = vec![
            MemberEdit::Team(Some(team)),
            MemberEdit::FullName(self.name()),
            MemberEdit::Role(*self.random.pick(&[
                Role::Leader,
                Role::Deputy,
                Role::Member,
                Role::Member,
                Role::Member,
            ])),
        ];
        if self.random.chance(85) {
            edits.push(MemberEdit::Phone(Some(self.phone())));
        }
        if self.random.chance(70) {
            edits.push(self.birth_year());
        }
        if self.random.chance(70) {
            edits.push(MemberEdit::Gender(Some(*self.random.pick(&[Gender::Female, Gender::Male]))));
        }
        if self.random.chance(70) {
            edits.push(self.affiliation());
        }
        if self.random.chance(40) {
            edits.push(MemberEdit::UnionMember(Some(true)));
        }
        if self.random.chance(30) {
            let text_version = Label::parse("1").expect("a label");
            edits.push(MemberEdit::Consent { method: ConsentMethod::Paper, date: self.date(), text_version });
        }
        let edits: Vec<DocEdit> = edits.into_iter().map(DocEdit::Member).collect();
        self.save(&mut member, &edits);
        self.members.push(member);
    }

    fn team_id(&mut self) -> DocId {
        if self.teams.is_empty() {
            self.add_team();
        }
        self.random.pick(&self.teams).id()
    }

    fn name(&mut self) -> PersonName {
        let name = format!("{} {} {}", self.random.pick(&FAMILY), self.random.pick(&MIDDLE), self.random.pick(&GIVEN));
        PersonName::parse(&name).expect("a name")
    }

    fn phone(&mut self) -> Phone {
        let phone = format!("0912{:06}", self.random.below(self.phones));
        Phone::parse(&phone).expect("a phone")
    }

    fn birth_year(&mut self) -> MemberEdit {
        MemberEdit::BirthYear(Some(1955 + u16::try_from(self.random.below(50)).expect("small")))
    }

    fn affiliation(&mut self) -> MemberEdit {
        MemberEdit::Affiliation { affiliation: *self.random.pick(Affiliation::ALL), present: true }
    }

    /// Changes one field of a member.
    pub(crate) fn edit_member(&mut self) {
        if self.members.is_empty() {
            self.add_member();
        }
        let at = usize::try_from(self.random.below(self.members.len() as u64)).expect("small");
        let mut member = self.members.swap_remove(at);
        let edit = match self.random.below(8) {
            0 => MemberEdit::FullName(self.name()),
            1 => MemberEdit::Phone(Some(self.phone())),
            2 => self.birth_year(),
            3 => MemberEdit::Role(*self.random.pick(Role::ALL)),
            4 => self.affiliation(),
            5 => MemberEdit::Course {
                course: *self.random.pick(Course::ALL),
                status: Some(*self.random.pick(CourseStatus::ALL)),
            },
            6 => MemberEdit::ZaloOaFollowed(Some(self.random.chance(50))),
            _ => MemberEdit::LeftOn(Some(self.date())),
        };
        self.save(&mut member, &[DocEdit::Member(edit)]);
        self.members.push(member);
    }

    /// Changes one field of a team.
    pub(crate) fn edit_team(&mut self) {
        if self.teams.is_empty() {
            self.add_team();
        }
        let at = usize::try_from(self.random.below(self.teams.len() as u64)).expect("small");
        let mut team = self.teams.swap_remove(at);
        let edit = match self.random.below(8) {
            0 => self.decision_number(),
            1 => TeamEdit::DecisionDate(Some(self.date())),
            2 | 3 => TeamEdit::HouseholdsCovered(Some(20 + u32::try_from(self.random.below(300)).expect("small"))),
            4 => TeamEdit::EstablishedOn(Some(self.date())),
            5 => {
                let code: u64 = self.random.below(1 << 30);
                TeamEdit::ZaloLink(Some(Link::parse(&format!("https://zalo.me/g/thu{code:06x}")).expect("a link")))
            }
            6 => {
                let words = *self.random.pick(&["Đã tập huấn", "Họp thứ bảy", "Chưa có máy", "Thiếu tổ trưởng"]);
                TeamEdit::Note(Some(Note::parse(words).expect("a note")))
            }
            _ => self.activity(),
        };
        self.save(&mut team, &[DocEdit::Team(edit)]);
        self.teams.push(team);
    }

    /// From now on all saves are one device's.
    pub(crate) fn one_device(&mut self) {
        self.actors.truncate(1);
    }

    /// Changes the households of a team, the field that changes most often.
    pub(crate) fn edit_households(&mut self) {
        let mut team = self.teams.pop().expect("a team");
        let households = Some(20 + u32::try_from(self.random.below(300)).expect("small"));
        self.save(&mut team, &[DocEdit::Team(TeamEdit::HouseholdsCovered(households))]);
        self.teams.push(team);
    }

    fn activity(&mut self) -> TeamEdit {
        let total = i64::try_from(5 + self.random.below(80)).expect("small");
        TeamEdit::AddActivity {
            id: ActivityId(self.random.bytes()),
            date: self.date(),
            kind: *self.random.pick(ActivityKind::ALL),
            skills: vec![*self.random.pick(Skill::ALL)],
            reached: Reached { total, women: total / 2, over_60: total / 5, minority: 0 },
        }
    }
}
