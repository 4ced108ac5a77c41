//! The words of the register: roles, organisations, statuses and the like. One table, from which their enums come, and what
//! people read for them in Vietnamese and English.

use std::borrow::Cow;

use automerge::{ScalarValue, ValueRef};

use super::input::Refusal;
use super::part::MemberKey;
use super::value::{FieldValue, Is, WORD_BYTES_MAX};
use crate::document::value::str;
use crate::edit::EditError;
use crate::text::canonical;

/// What people read for a word or a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wording {
    /// `role.leader` for a word, `field.team.level` for a field.
    pub key: Cow<'static, str>,
    /// Vietnamese.
    pub vi: &'static str,
    /// English.
    pub en: &'static str,
}

/// Hands the table of words to a macro: of each enum its docstring, its name, its key among texts, and what stands for one
/// of its words in a list of fields; of each word its variant, how it is stored, and what people read.
#[macro_export]
macro_rules! word_table {
    ($take:ident) => {
        $take! {
            /// Whether a team serves a hamlet or the whole commune; many provinces have both.
            TeamLevel "team_level" "LEVEL" {
                Commune = "commune", "Tổ cấp xã", "Commune team";
                Hamlet = "hamlet", "Tổ cấp thôn", "Hamlet team";
            }
            /// Where a team stands.
            TeamStatus "team_status" "STATUS" {
                /// Decided on, not at work yet.
                Planned = "planned", "Dự kiến", "Planned";
                /// At work; the only status that counts in reports.
                Active = "active", "Đang hoạt động", "Active";
                /// Paused.
                Suspended = "suspended", "Tạm dừng", "Suspended";
                /// Ended.
                Dissolved = "dissolved", "Đã giải thể", "Dissolved";
                /// Gone into another team; see `merged_into`.
                Merged = "merged", "Đã nhập vào tổ khác", "Merged";
            }
            /// The kinds of settlement below the commune.
            HamletKind "hamlet_kind" "KIND" {
                Thon = "thon", "Thôn", "Thôn (village)";
                Ban = "ban", "Bản", "Bản (mountain village)";
                Ap = "ap", "Ấp", "Ấp (southern hamlet)";
                Khom = "khom", "Khóm", "Khóm (southern block)";
                Buon = "buon", "Buôn", "Buôn (highland village)";
                Lang = "lang", "Làng", "Làng (village)";
                Xom = "xom", "Xóm", "Xóm (hamlet)";
                ToDanPho = "to_dan_pho", "Tổ dân phố", "Residential group";
                KhuPho = "khu_pho", "Khu phố", "Quarter";
                KhuDanCu = "khu_dan_cu", "Khu dân cư", "Residential area";
            }
            /// Whether a hamlet still exists.
            HamletStatus "hamlet_status" "STATUS" {
                /// It exists.
                Active = "active", "Đang có", "Exists";
                /// Gone into another hamlet.
                Merged = "merged", "Đã sáp nhập", "Merged";
                /// Split into others.
                Split = "split", "Đã chia tách", "Split";
                Abolished = "abolished", "Đã bỏ", "Abolished";
            }
            /// A member's part in the team.
            Role "role" "ROLE" {
                Leader = "leader", "Tổ trưởng", "Leader";
                Deputy = "deputy", "Tổ phó", "Deputy";
                Secretary = "secretary", "Thư ký", "Secretary";
                Member = "member", "Thành viên", "Member";
            }
            /// Gender as the person states it.
            Gender "gender" "GENDER" {
                Female = "female", "Nữ", "Female";
                Male = "male", "Nam", "Male";
                Other = "other", "Khác", "Other";
            }
            /// The organisations members come from; a person may have several.
            Affiliation "affiliation" "ORGANISATION" {
                CommuneAuthority = "commune_authority", "Chính quyền xã", "Commune authority";
                HamletHead = "hamlet_head", "Trưởng thôn, tổ trưởng tổ dân phố", "Head of the hamlet";
                PartyCell = "party_cell", "Cấp ủy, chi bộ", "Party cell";
                YouthUnion = "youth_union", "Đoàn Thanh niên", "Youth Union";
                WomenUnion = "women_union", "Hội Liên hiệp Phụ nữ", "Women's Union";
                FarmersUnion = "farmers_union", "Hội Nông dân", "Farmers' Union";
                Veterans = "veterans", "Hội Cựu chiến binh", "Veterans' Association";
                FatherlandFront = "fatherland_front", "Mặt trận Tổ quốc", "Fatherland Front";
                Police = "police", "Công an", "Police";
                Teacher = "teacher", "Giáo viên", "Teachers";
                Health = "health", "Y tế", "Health workers";
                PostTelecom = "post_telecom", "Bưu điện, viễn thông", "Post and telecom";
                ItCompany = "it_company", "Doanh nghiệp công nghệ thông tin", "IT company";
                Bank = "bank", "Ngân hàng", "Bank";
                Volunteer = "volunteer", "Tình nguyện viên", "Volunteer";
            }
            /// The training that the dispatch names.
            Course "course" "COURSE" {
                /// The open online course (nền tảng học trực tuyến mở đại trà).
                Mooc = "mooc", "Học trực tuyến mở đại trà", "Open online course";
                /// The Union's class, by emulation cluster.
                UnionClass = "union_class", "Lớp của Đoàn", "Youth Union class";
                /// The Ministry's class.
                MinistryClass = "ministry_class", "Lớp của Bộ", "Ministry class";
            }
            /// How far a member is in a course.
            CourseStatus "course_status" "STATUS" {
                /// Told of it.
                Informed = "informed", "Đã phổ biến", "Informed";
                Enrolled = "enrolled", "Đã đăng ký", "Enrolled";
                /// Finished.
                Completed = "completed", "Đã hoàn thành", "Completed";
            }
            /// The five basic digital skills (3240/BTTTT-CĐSQG).
            Skill "skill" "SKILL" {
                PublicServices = "public_services", "Dịch vụ công trực tuyến", "Public services online";
                Shopping = "shopping", "Mua sắm trực tuyến", "Shopping online";
                Payment = "payment", "Thanh toán trực tuyến", "Paying online";
                Safety = "safety", "Tự bảo vệ trên không gian mạng", "Safety online";
                /// Nền tảng số khác theo đặc thù địa phương.
                LocalPlatforms = "local_platforms", "Nền tảng số của địa phương", "Local platforms";
            }
            /// What a team did.
            ActivityKind "activity_kind" "KIND" {
                /// A visit to households.
                HouseholdVisit = "household_visit", "Thăm hộ gia đình", "Household visit";
                /// A session for a group.
                GroupSession = "group_session", "Hướng dẫn theo nhóm", "Group session";
                /// A campaign.
                Campaign = "campaign", "Ra quân, chiến dịch", "Campaign";
                /// Training of the team itself.
                Training = "training", "Tập huấn", "Training";
                /// A meeting of the team.
                Meeting = "meeting", "Họp tổ", "Team meeting";
                /// Something else.
                Other = "other", "Khác", "Other";
            }
            /// How a person's consent was given.
            ConsentMethod "consent_method" "METHOD" {
                Paper = "paper", "Ký giấy", "Signed on paper";
                /// Ticked in the app by the person.
                InApp = "in_app", "Đồng ý trong ứng dụng", "Ticked in the app";
                Spoken = "spoken", "Nói, có người chứng kiến", "Spoken, with a witness";
            }
        }
    };
}

macro_rules! words {
    ($($(#[$about:meta])* $name:ident $key:literal $capitals:literal {
        $($(#[$doc:meta])* $variant:ident = $word:literal, $vi:literal, $en:literal;)+
    })+) => {
        /// What people read for every word, by enum.
        pub static WORDS: &[Wording] =
            &[$($(Wording { key: Cow::Borrowed(concat!($key, ".", $word)), vi: $vi, en: $en },)+)+];

        $(
            $(#[$about])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
            pub enum $name {
                $(
                    #[doc = concat!($vi, " (", $en, ").")]
                    $(#[doc = ""] #[$doc])*
                    #[serde(rename = $word)]
                    $variant,
                )+
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

            impl FieldValue for $name {
                type Given = Self;
                type Shown = Self;
                const IS: Is = Is::Other;

                fn parse(text: &str) -> Result<Self, Refusal> {
                    Self::from_word(&canonical(text).to_lowercase()).ok_or_else(|| Refusal::choice([$($word),+]))
                }
                fn scalar(given: &Self) -> ScalarValue {
                    given.word().into()
                }
                fn read(value: &ValueRef<'_>) -> Option<Self> {
                    str(value, WORD_BYTES_MAX).and_then(Self::from_word)
                }
            }

            impl MemberKey for $name {
                type Given = Self;
                type Shown = Self;
                const CAPITALS: &'static str = $capitals;
                const MAX: usize = Self::ALL.len();

                fn parse(text: &str, set: &str) -> Result<Self, EditError> {
                    Self::from_word(text).ok_or_else(|| Refusal::choice([$($word),+]).at(set))
                }
                fn text(given: &Self) -> &str {
                    given.word()
                }
                fn check(_: &Self) -> Result<(), EditError> {
                    Ok(())
                }
                fn read(text: &str) -> Option<Self> {
                    Self::from_word(text)
                }
            }
        )+
    };
}

word_table!(words);
