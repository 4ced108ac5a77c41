//! The words of the register as enums that Kotlin and Swift see: each mirrors one of the rooms below, value by value.

use toso_catalog as catalog;
use toso_core::{finding, id, record, unit};

/// Defines an enum that mirrors one of another crate, and the ways between them.
macro_rules! mirrors {
    ($(#[$doc:meta])* $name:ident = $other:path { $($(#[$vdoc:meta])* $variant:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, uniffi::Enum)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
        }
        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
        }
        impl From<$other> for $name {
            fn from(other: $other) -> Self {
                match other {
                    $(<$other>::$variant => Self::$variant,)+
                }
            }
        }
        impl From<$name> for $other {
            fn from(this: $name) -> Self {
                match this {
                    $($name::$variant => <$other>::$variant,)+
                }
            }
        }
    };
}

mirrors!(
    /// Whether a team serves a hamlet or the whole commune.
    TeamLevel = record::TeamLevel {
        /// Tổ cấp xã.
        Commune,
        /// Tổ cấp thôn.
        Hamlet,
    }
);
mirrors!(
    /// Where a team stands.
    TeamStatus = record::TeamStatus {
        /// Decided on, not at work yet.
        Planned,
        /// At work; the only status that counts in reports.
        Active,
        /// Paused.
        Suspended,
        /// Ended.
        Dissolved,
        /// Gone into another team by decision.
        Merged,
    }
);
mirrors!(
    /// The kinds of settlement below the commune.
    HamletKind = record::HamletKind {
        /// Thôn.
        Thon,
        /// Bản.
        Ban,
        /// Ấp.
        Ap,
        /// Khóm.
        Khom,
        /// Buôn.
        Buon,
        /// Làng.
        Lang,
        /// Xóm.
        Xom,
        /// Tổ dân phố.
        ToDanPho,
        /// Khu phố.
        KhuPho,
        /// Khu dân cư.
        KhuDanCu,
    }
);
mirrors!(
    /// Whether a hamlet still exists.
    HamletStatus = record::HamletStatus {
        /// It exists.
        Active,
        /// Gone into another hamlet.
        Merged,
        /// Split into others.
        Split,
        /// Abolished.
        Abolished,
    }
);
mirrors!(
    /// A member's part in the team.
    Role = record::Role {
        /// Tổ trưởng.
        Leader,
        /// Tổ phó.
        Deputy,
        /// Thư ký.
        Secretary,
        /// Thành viên.
        Member,
    }
);
mirrors!(
    /// Gender as the person states it.
    Gender = record::Gender {
        /// Nữ.
        Female,
        /// Nam.
        Male,
        /// Khác.
        Other,
    }
);
mirrors!(
    /// The organisations members come from; a person may have several.
    Affiliation = record::Affiliation {
        /// Chính quyền xã.
        CommuneAuthority,
        /// Trưởng thôn, tổ trưởng tổ dân phố.
        HamletHead,
        /// Cấp ủy, chi bộ.
        PartyCell,
        /// Đoàn Thanh niên.
        YouthUnion,
        /// Hội Liên hiệp Phụ nữ.
        WomenUnion,
        /// Hội Nông dân.
        FarmersUnion,
        /// Hội Cựu chiến binh.
        Veterans,
        /// Mặt trận Tổ quốc.
        FatherlandFront,
        /// Công an.
        Police,
        /// Giáo viên.
        Teacher,
        /// Y tế.
        Health,
        /// Bưu điện, viễn thông.
        PostTelecom,
        /// Doanh nghiệp công nghệ thông tin.
        ItCompany,
        /// Ngân hàng.
        Bank,
        /// Tình nguyện viên.
        Volunteer,
    }
);
mirrors!(
    /// The training that the dispatch names.
    Course = record::Course {
        /// The open online course.
        Mooc,
        /// The Union's class, by emulation cluster.
        UnionClass,
        /// The Ministry's class.
        MinistryClass,
    }
);
mirrors!(
    /// How far a member is in a course.
    CourseStatus = record::CourseStatus {
        /// Told of it.
        Informed,
        /// Enrolled.
        Enrolled,
        /// Finished.
        Completed,
    }
);
mirrors!(
    /// The five basic digital skills.
    Skill = record::Skill {
        /// Dịch vụ công trực tuyến.
        PublicServices,
        /// Mua sắm trực tuyến.
        Shopping,
        /// Thanh toán trực tuyến.
        Payment,
        /// Tự bảo vệ trên không gian mạng.
        Safety,
        /// Nền tảng số khác theo đặc thù địa phương.
        LocalPlatforms,
    }
);
mirrors!(
    /// What a team did.
    ActivityKind = record::ActivityKind {
        /// A visit to households.
        HouseholdVisit,
        /// A session for a group.
        GroupSession,
        /// A campaign.
        Campaign,
        /// Training.
        Training,
        /// A meeting of the team.
        Meeting,
        /// Something else.
        Other,
    }
);
mirrors!(
    /// How a person's consent was given.
    ConsentMethod = record::ConsentMethod {
        /// Signed on paper.
        Paper,
        /// Ticked in the app by the person.
        InApp,
        /// Spoken, with a witness.
        Spoken,
    }
);
mirrors!(
    /// What a document describes.
    DocKind = id::DocKind {
        /// A commune's hamlet list and sign-off.
        Commune,
        /// A team.
        Team,
        /// A person who is or was in a team.
        Member,
    }
);
mirrors!(
    /// How far a record has come.
    Receipt = toso_client::Receipt {
        /// On this device only (at least one change of it).
        Saved,
        /// At least one change of it waits for an officer, or came back from one.
        Held,
        /// On the server's disk.
        Received,
        /// In the centre's figures.
        Counted,
    }
);
mirrors!(
    /// Where a change stands that the server did not take into the register at once.
    HeldState = toso_client::HeldState {
        /// Refused: it stays on this device.
        Refused,
        /// Waits for an officer.
        Waiting,
        /// In the register.
        Accepted,
        /// Sent back, with a note; the officer can still accept it.
        Returned,
    }
);
mirrors!(
    /// Why two members may be one.
    SameMemberReason = finding::SameMemberReason {
        /// Same phone number.
        Phone,
        /// Same name (tones aside) and birth year.
        NameAndBirthYear,
    }
);
mirrors!(
    /// A dated list of administrative units.
    UnitList = unit::UnitList {
        /// In force on 19/9/2022: provinces, districts, communes.
        L2022,
        /// In force since 1/7/2025: provinces and communes.
        L2025,
    }
);
mirrors!(
    /// How wide a unit is.
    UnitLevel = catalog::Level {
        /// The whole country.
        Country,
        /// Cấp tỉnh.
        Province,
        /// Cấp huyện; abolished on 1/7/2025.
        District,
        /// Cấp xã.
        Commune,
    }
);
mirrors!(
    /// How near the end of this device's right to sync is.
    SyncRight = toso_client::RightState {
        /// More than 30 days off.
        Good,
        /// Within 30 days, and no sync has renewed it; the text for people has the key `token_ends_soon`.
        EndsSoon,
        /// Over: the device needs a new invite; the text for people has the key `unauthorized`.
        Ended,
    }
);
mirrors!(
    /// Which side of a meeting of two phones this is.
    MeetingSide = toso_client::Side {
        /// It opened the connection.
        Caller,
        /// It waited for the other.
        Called,
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    /// Every value of the rooms below has one of its own here; a value added there and forgotten here panics in `from`.
    fn mirrored<T: Copy + PartialEq + std::fmt::Debug, U: Copy + From<T> + Into<T>>(theirs: &[T], ours: usize) {
        assert_eq!(theirs.len(), ours);
        for value in theirs {
            assert_eq!(U::from(*value).into(), *value);
        }
    }

    #[test]
    fn every_word_of_the_rooms_below_is_mirrored() {
        mirrored::<_, TeamLevel>(record::TeamLevel::ALL, TeamLevel::ALL.len());
        mirrored::<_, TeamStatus>(record::TeamStatus::ALL, TeamStatus::ALL.len());
        mirrored::<_, HamletKind>(record::HamletKind::ALL, HamletKind::ALL.len());
        mirrored::<_, HamletStatus>(record::HamletStatus::ALL, HamletStatus::ALL.len());
        mirrored::<_, Role>(record::Role::ALL, Role::ALL.len());
        mirrored::<_, Gender>(record::Gender::ALL, Gender::ALL.len());
        mirrored::<_, Affiliation>(record::Affiliation::ALL, Affiliation::ALL.len());
        mirrored::<_, Course>(record::Course::ALL, Course::ALL.len());
        mirrored::<_, CourseStatus>(record::CourseStatus::ALL, CourseStatus::ALL.len());
        mirrored::<_, Skill>(record::Skill::ALL, Skill::ALL.len());
        mirrored::<_, ActivityKind>(record::ActivityKind::ALL, ActivityKind::ALL.len());
        mirrored::<_, ConsentMethod>(record::ConsentMethod::ALL, ConsentMethod::ALL.len());
        mirrored::<_, DocKind>(&id::DocKind::ALL, DocKind::ALL.len());
        mirrored::<_, UnitList>(&unit::UnitList::ALL, UnitList::ALL.len());
    }
}
