//! Documents read as plain values, with conflicts settled the way every replica settles them (Automerge's winner). What a
//! record holds is in the table of its kind ([`crate::kind`]).

pub use crate::kind::{
    ActivityKind, ActivityRecord, Affiliation, CommuneRecord, ConsentMethod, ConsentRecord, Course, CourseStatus,
    Gender, HamletKind, HamletRecord, HamletStatus, MemberRecord, Record, Role, Skill, TeamLevel, TeamRecord,
    TeamStatus,
};
