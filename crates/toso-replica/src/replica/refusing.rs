//! Saves that a device refuses at once, since they would lead nowhere: beyond what one edit's own values tell.

use toso_core::edit::{DocEdit, TeamEdit};
use toso_core::finding::standing_for;
use toso_core::id::DocId;
use toso_core::record::TeamLevel;

use super::{Replica, known_kind};
use crate::error::ReplicaError;

impl Replica {
    /// Refuses an edit after which a hamlet's team has no hamlet, or is a commune's.
    pub(super) fn check_level(&self, id: DocId, edits: &[DocEdit]) -> Result<(), ReplicaError> {
        let level = edits.iter().rev().find_map(|edit| match edit {
            DocEdit::Team(TeamEdit::Level(level)) => Some(*level),
            DocEdit::Team(_) | DocEdit::Commune(_) | DocEdit::Member(_) => None,
        });
        let unnamed = edits.iter().any(|edit| matches!(edit, DocEdit::Team(TeamEdit::Hamlet(None))));
        if level.is_none() && !unnamed {
            return Ok(());
        }
        let known = self.team(id)?.record.level;
        match known {
            _ if level.is_some_and(|level| level != known) => Err(ReplicaError::OtherLevel { id }),
            TeamLevel::Hamlet if unnamed => Err(ReplicaError::HamletMissing),
            TeamLevel::Hamlet | TeamLevel::Commune => Ok(()),
        }
    }

    /// Refuses a merge that would lead nowhere.
    pub(super) fn check_merge(&self, from: DocId, into: DocId) -> Result<(), ReplicaError> {
        let cannot = |reason| ReplicaError::CannotMerge { from, into, reason };
        if from == into {
            return Err(cannot("they are the same document"));
        }
        let kind = known_kind(from)?;
        if known_kind(into)? != kind {
            return Err(cannot("they are of different kinds"));
        }
        self.scope_of(into, kind)?;
        // With `from` standing for itself, `into` must not end in it.
        let link = |id| if id == from { Ok(Some(None)) } else { self.merge_link(id) };
        if standing_for(into, link)? == from {
            return Err(cannot("that would merge them in a circle"));
        }
        Ok(())
    }

    /// Refuses a save of a device whose role the server would refuse.
    pub(super) fn check_role(&self) -> Result<(), ReplicaError> {
        // What the server says of a device that is not enrolled is not known here.
        match self.credential() {
            Ok(credential) if credential.reads_only() => Err(ReplicaError::ReadsOnly { role: credential.role }),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}
