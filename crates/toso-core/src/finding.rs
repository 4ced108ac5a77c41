//! What a merge can break, and suspected duplicates: computed on read, shown to people, never a rejection.

use serde::Serialize;

use crate::id::DocId;
use crate::record::{CommuneRecord, MemberRecord, TeamRecord};

/// Something a person should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Finding {
    /// A team with more than one leader.
    SeveralLeaders { team: DocId, leaders: Vec<DocId> },
    /// A team at work without a leader.
    NoLeader { team: DocId },
    /// A team at work without members.
    NoMembers { team: DocId },
    /// A member whose team is dissolved, merged away or unknown here.
    MemberWithoutTeam { member: DocId, team: Option<DocId> },
    /// Two members that may be one person: same phone, or same tone-insensitive name and birth year.
    SameMember { a: DocId, b: DocId, reason: SameMemberReason },
    /// Two teams at work for the same hamlet (after a correction of the hamlet's name).
    SameTeam { a: DocId, b: DocId },
    /// A team whose hamlet is not on the commune's list, or no longer exists.
    UnknownHamlet { team: DocId, hamlet: String },
    /// A merge that leads in a circle or to a document that is not here.
    BrokenMerge { from: DocId, into: DocId },
    /// A member recorded without consent.
    NoConsent { member: DocId },
}

/// Why two members may be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SameMemberReason {
    /// Same phone number.
    Phone,
    /// Same name (tones aside) and birth year.
    NameAndBirthYear,
}

/// All findings of one scope, in a stable order.
pub fn findings(
    _commune: Option<&CommuneRecord>,
    _teams: &[(DocId, TeamRecord)],
    _members: &[(DocId, MemberRecord)],
) -> Vec<Finding> {
    todo!()
}
