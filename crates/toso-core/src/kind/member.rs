//! A person who is or was in a team. The table, and the rules between its fields.

use super::{
    Affiliation, Always, BirthYear, ConsentMethod, Course, CourseStatus, Edit, Gender, Group, Map, MemberId, Required,
    Role, Rules, Set, TeamId, TextVersion, YesNo, merged_into_another,
};
use crate::edit::{EditError, Write};
use crate::id::DocId;
use crate::text::{Date, Label, PersonName, Phone};

/// Hands the table of a member to a macro.
#[macro_export]
macro_rules! member_table {
    ($take:ident) => {
        $take! {
            /// A person in a team. One of whom nothing is known yet is a plain member.
            MemberKind "member", genesis [["affiliations", "courses", "consent"]], record MemberRecord as Member;
            /// A change to a member. `None` clears a field.
            edit MemberEdit;
            fields {
                /// Team.
                team: Option<TeamId> => Team(team), "Tổ", "Team";
                /// Full name, family name first.
                full_name: Required<PersonName> => FullName(name), "Họ và tên", "Full name";
                /// Year of birth.
                birth_year: Option<BirthYear> => BirthYear(year), "Năm sinh", "Year of birth";
                /// Gender.
                gender: Option<Gender> => Gender(gender), "Giới tính", "Gender";
                /// Phone, E.164.
                phone: Option<Phone> => Phone(phone), "Số điện thoại", "Phone";
                /// Part in the team.
                role: Always<Role> = Role::Member => Role(role), "Vai trò", "Part in the team";
                /// Organisations. The edit adds or removes (false) one.
                affiliations: Set<Affiliation> => Affiliation[affiliation, present], "Thành phần", "Organisations";
                /// Member of the youth union (sensitive, optional).
                union_member: Option<YesNo> => UnionMember(is_member), "Đoàn viên", "Member of the youth union";
                /// Joined the team on, ISO 8601.
                joined_on: Option<Date> => JoinedOn(date), "Ngày tham gia", "Joined on";
                /// Left the team on, ISO 8601.
                left_on: Option<Date> => LeftOn(date), "Ngày thôi tham gia", "Left on";
                /// Training: how far the member is in each course.
                courses: Map<Course, CourseStatus> => Course[course, status], "Tập huấn", "Training";
                /// Follows the Zalo OA "Chuyển đổi số quốc gia".
                zalo_oa_followed: Option<YesNo> => ZaloOaFollowed(followed), "Theo dõi Zalo OA", "Follows the Zalo OA";
                /// Consent.
                consent: Group<ConsentRecord> {
                    /// Proof that a person agreed to be recorded.
                    ConsentRecord as Consent {
                        /// How it was given.
                        method: Required<ConsentMethod> => ConsentMethod(method), "Cách đồng ý", "How consent was given";
                        /// When, ISO 8601.
                        date: Required<Date> => ConsentDate(date), "Ngày đồng ý", "Consent given on";
                        /// Version of the text that was agreed to.
                        text_version: Required<TextVersion> => ConsentTextVersion(text_version), "Phiên bản nội dung", "Version of the text";
                        /// When withdrawn, ISO 8601.
                        withdrawn_on: Option<Date> => ConsentWithdrawn(date), "Ngày rút đồng ý", "Consent withdrawn on";
                    }
                };
                /// The member that this one is a duplicate of.
                merged_into: Option<MemberId> => MergedInto(into), "Gộp vào thành viên", "Merged into", through merge;
            }
            together {
                /// Records consent, and takes back an earlier withdrawal.
                Consent {
                    /// How it was given.
                    method: ConsentMethod => "consent/method",
                    /// When.
                    date: Date => "consent/date",
                    /// Version of the text that was agreed to.
                    text_version: Label => "consent/text_version",
                } as consent;
            }
        }
    };
}

member_table!(kind);

impl MemberRecord {
    /// True when the member is no longer in the team.
    pub fn has_left(&self) -> bool {
        self.left_on.is_some()
    }
}

fn consent(method: ConsentMethod, date: Date, text_version: Label) -> Vec<Write> {
    let given = [
        MemberEdit::ConsentMethod { method },
        MemberEdit::ConsentDate { date },
        MemberEdit::ConsentTextVersion { text_version },
        MemberEdit::ConsentWithdrawn { date: None },
    ];
    given.iter().flat_map(Edit::writes).collect()
}

impl Rules for MemberKind {
    const IN_ORDER: &'static [(&'static str, &'static str)] = &[
        ("joined_on", "left_on"),
        ("consent/date", "consent/withdrawn_on"),
        ("birth_year", "joined_on"),
        ("birth_year", "left_on"),
        ("birth_year", "consent/date"),
        ("birth_year", "consent/withdrawn_on"),
    ];

    fn check(edit: &MemberEdit, document: DocId) -> Result<(), EditError> {
        if let MemberEdit::MergedInto(into) = edit {
            merged_into_another(*into, document)?;
        }
        Ok(())
    }
}
