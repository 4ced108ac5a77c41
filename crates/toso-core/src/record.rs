//! Documents read as plain values, with conflicts settled the way every replica settles them (Automerge's winner).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::DocId;

macro_rules! word_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $word)] $variant,)+
        }
        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The word that stands for it in documents, JSON and commands.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
            /// The value of a word.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

word_enum!(
    /// Whether a team serves a hamlet or the whole commune; many provinces have both.
    TeamLevel {
        /// Tổ cấp xã.
        Commune = "commune",
        /// Tổ cấp thôn.
        Hamlet = "hamlet",
    }
);
word_enum!(
    /// Where a team stands.
    TeamStatus {
        /// Decided on, not at work yet.
        Planned = "planned",
        /// At work; the only status that counts in reports.
        Active = "active",
        /// Paused.
        Suspended = "suspended",
        /// Ended.
        Dissolved = "dissolved",
        /// Gone into another team; see `merged_into`.
        Merged = "merged",
    }
);
word_enum!(
    /// The kinds of settlement below the commune.
    HamletKind {
        /// Thôn.
        Thon = "thon",
        /// Bản.
        Ban = "ban",
        /// Ấp.
        Ap = "ap",
        /// Khóm.
        Khom = "khom",
        /// Buôn.
        Buon = "buon",
        /// Làng.
        Lang = "lang",
        /// Xóm.
        Xom = "xom",
        /// Tổ dân phố.
        ToDanPho = "to_dan_pho",
        /// Khu phố.
        KhuPho = "khu_pho",
        /// Khu dân cư.
        KhuDanCu = "khu_dan_cu",
    }
);
word_enum!(
    /// Whether a hamlet still exists.
    HamletStatus {
        /// It exists.
        Active = "active",
        /// Gone into another hamlet.
        Merged = "merged",
        /// Split into others.
        Split = "split",
        /// Abolished.
        Abolished = "abolished",
    }
);
word_enum!(
    /// A member's part in the team.
    Role {
        /// Tổ trưởng.
        Leader = "leader",
        /// Tổ phó.
        Deputy = "deputy",
        /// Thư ký.
        Secretary = "secretary",
        /// Thành viên.
        Member = "member",
    }
);
word_enum!(
    /// Gender as the person states it.
    Gender {
        /// Nữ.
        Female = "female",
        /// Nam.
        Male = "male",
        /// Khác.
        Other = "other",
    }
);
word_enum!(
    /// The organisations members come from; a person may have several.
    Affiliation {
        /// Chính quyền xã.
        CommuneAuthority = "commune_authority",
        /// Trưởng thôn, tổ trưởng tổ dân phố.
        HamletHead = "hamlet_head",
        /// Cấp ủy, chi bộ.
        PartyCell = "party_cell",
        /// Đoàn Thanh niên.
        YouthUnion = "youth_union",
        /// Hội Liên hiệp Phụ nữ.
        WomenUnion = "women_union",
        /// Hội Nông dân.
        FarmersUnion = "farmers_union",
        /// Hội Cựu chiến binh.
        Veterans = "veterans",
        /// Mặt trận Tổ quốc.
        FatherlandFront = "fatherland_front",
        /// Công an.
        Police = "police",
        /// Giáo viên.
        Teacher = "teacher",
        /// Y tế.
        Health = "health",
        /// Bưu điện, viễn thông.
        PostTelecom = "post_telecom",
        /// Doanh nghiệp công nghệ thông tin.
        ItCompany = "it_company",
        /// Ngân hàng.
        Bank = "bank",
        /// Tình nguyện viên.
        Volunteer = "volunteer",
    }
);
word_enum!(
    /// The training that the dispatch names.
    Course {
        /// The open online course (nền tảng học trực tuyến mở đại trà).
        Mooc = "mooc",
        /// The Union's class, by emulation cluster.
        UnionClass = "union_class",
        /// The Ministry's class.
        MinistryClass = "ministry_class",
    }
);
word_enum!(
    /// How far a member is in a course.
    CourseStatus {
        /// Told of it.
        Informed = "informed",
        /// Enrolled.
        Enrolled = "enrolled",
        /// Finished.
        Completed = "completed",
    }
);
word_enum!(
    /// The five basic digital skills (3240/BTTTT-CĐSQG).
    Skill {
        /// Dịch vụ công trực tuyến.
        PublicServices = "public_services",
        /// Mua sắm trực tuyến.
        Shopping = "shopping",
        /// Thanh toán trực tuyến.
        Payment = "payment",
        /// Tự bảo vệ trên không gian mạng.
        Safety = "safety",
        /// Nền tảng số khác theo đặc thù địa phương.
        LocalPlatforms = "local_platforms",
    }
);
word_enum!(
    /// What a team did.
    ActivityKind {
        /// A visit to households.
        HouseholdVisit = "household_visit",
        /// A session for a group.
        GroupSession = "group_session",
        /// A campaign.
        Campaign = "campaign",
        /// Training of the team itself.
        Training = "training",
        /// A meeting of the team.
        Meeting = "meeting",
        /// Something else.
        Other = "other",
    }
);
word_enum!(
    /// How a person's consent was given.
    ConsentMethod {
        /// Signed on paper.
        Paper = "paper",
        /// Ticked in the app by the person.
        InApp = "in_app",
        /// Spoken, with a witness.
        Spoken = "spoken",
    }
);

/// One activity of a team. People are counted, never named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityRecord {
    /// Day, ISO 8601.
    pub date: Option<String>,
    /// What it was.
    pub kind: Option<ActivityKind>,
    /// Skills covered.
    pub skills: Vec<Skill>,
    /// People reached, all.
    pub reached: i64,
    /// Of them women.
    pub reached_women: i64,
    /// Of them over 60.
    pub reached_over_60: i64,
    /// Of them of an ethnic minority.
    pub reached_minority: i64,
}

/// A team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamRecord {
    /// Level.
    pub level: TeamLevel,
    /// Hamlet served; none for a commune team.
    pub hamlet: Option<String>,
    /// Kind of the hamlet.
    pub hamlet_kind: Option<HamletKind>,
    /// The name the team goes by.
    pub local_name: Option<String>,
    /// Number of the founding decision.
    pub decision_number: Option<String>,
    /// Its date, ISO 8601.
    pub decision_date: Option<String>,
    /// Who decided.
    pub decision_body: Option<String>,
    /// Set up on, ISO 8601.
    pub established_on: Option<String>,
    /// Where it stands.
    pub status: TeamStatus,
    /// The team that this one is a duplicate of, or went into.
    pub merged_into: Option<DocId>,
    /// Link to the Zalo group.
    pub zalo_link: Option<String>,
    /// Households covered.
    pub households_covered: Option<i64>,
    /// Note.
    pub note: Option<String>,
    /// Activities by id (16 hexadecimal digits).
    pub activities: BTreeMap<String, ActivityRecord>,
}

impl Default for TeamRecord {
    /// A team of which nothing is known but that somebody recorded it: a hamlet's, at work.
    fn default() -> Self {
        Self {
            level: TeamLevel::Hamlet,
            hamlet: None,
            hamlet_kind: None,
            local_name: None,
            decision_number: None,
            decision_date: None,
            decision_body: None,
            established_on: None,
            status: TeamStatus::Active,
            merged_into: None,
            zalo_link: None,
            households_covered: None,
            note: None,
            activities: BTreeMap::new(),
        }
    }
}

impl TeamRecord {
    /// True when the team is at work. Reports count it unless another stands for it, see
    /// [`Merges`](crate::finding::Merges).
    pub fn is_active(&self) -> bool {
        self.status == TeamStatus::Active
    }
}

/// Proof that a person agreed to be recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentRecord {
    /// How it was given.
    pub method: Option<ConsentMethod>,
    /// When, ISO 8601.
    pub date: Option<String>,
    /// Version of the text that was agreed to.
    pub text_version: Option<String>,
    /// When withdrawn, ISO 8601.
    pub withdrawn_on: Option<String>,
}

/// A person in a team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRecord {
    /// Team.
    pub team: Option<DocId>,
    /// Full name.
    pub full_name: Option<String>,
    /// Year of birth.
    pub birth_year: Option<i64>,
    /// Gender.
    pub gender: Option<Gender>,
    /// Phone, E.164.
    pub phone: Option<String>,
    /// Part in the team.
    pub role: Role,
    /// Organisations.
    pub affiliations: Vec<Affiliation>,
    /// Member of the youth union (sensitive, optional).
    pub union_member: Option<bool>,
    /// Joined, ISO 8601.
    pub joined_on: Option<String>,
    /// Left, ISO 8601.
    pub left_on: Option<String>,
    /// Training.
    pub courses: BTreeMap<Course, CourseStatus>,
    /// Follows the Zalo OA "Chuyển đổi số quốc gia".
    pub zalo_oa_followed: Option<bool>,
    /// Consent.
    pub consent: ConsentRecord,
    /// The member that this one is a duplicate of.
    pub merged_into: Option<DocId>,
}

impl Default for MemberRecord {
    /// A person of whom nothing is known yet: a plain member.
    fn default() -> Self {
        Self {
            team: None,
            full_name: None,
            birth_year: None,
            gender: None,
            phone: None,
            role: Role::Member,
            affiliations: Vec::new(),
            union_member: None,
            joined_on: None,
            left_on: None,
            courses: BTreeMap::new(),
            zalo_oa_followed: None,
            consent: ConsentRecord::default(),
            merged_into: None,
        }
    }
}

impl MemberRecord {
    /// True when the member is no longer in the team.
    pub fn has_left(&self) -> bool {
        self.left_on.is_some()
    }
}

/// A hamlet of a commune.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HamletRecord {
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: Option<HamletKind>,
    /// Households.
    pub households: Option<i64>,
    /// Whether it exists.
    pub status: HamletStatus,
    /// Keys of the hamlets it came from.
    pub predecessors: Vec<String>,
    /// Keys of the hamlets it went into.
    pub successors: Vec<String>,
}

/// A commune's own document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommuneRecord {
    /// Hamlets by [`crate::text::hamlet_key`].
    pub hamlets: BTreeMap<String, HamletRecord>,
    /// The officer's sign-off: the day for which the figures are confirmed, ISO 8601.
    pub signed_off_on: Option<String>,
    /// The office that signed off.
    pub signed_off_by: Option<String>,
}

/// A document of any kind, read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Record {
    /// A commune.
    Commune(CommuneRecord),
    /// A team.
    Team(TeamRecord),
    /// A member.
    Member(MemberRecord),
}
