//! Which documents come into conflict, and which out of it: what an app that shows conflicts wants to be told.

use std::collections::HashMap;

use toso_core::id::DocId;

use super::{ConflictView, Replica};
use crate::error::ReplicaError;

/// What was last known of conflicts. [`super::ReplicaEvent`] says which documents to look at again.
#[derive(Debug, Default)]
pub struct ConflictWatch {
    known: HashMap<DocId, Vec<ConflictView>>,
}

impl ConflictWatch {
    /// Begins with what there is now.
    pub fn new(replica: &Replica) -> Result<Self, ReplicaError> {
        let mut watch = Self::default();
        watch.look_at_all(replica)?;
        Ok(watch)
    }

    /// Looks at documents again and returns those whose conflicts are others than before, sorted.
    pub fn look_at(&mut self, replica: &Replica, documents: &[DocId]) -> Result<Vec<DocId>, ReplicaError> {
        let mut changed = Vec::new();
        for doc in documents {
            let now = replica.conflicts_of(*doc)?;
            let before = if now.is_empty() { self.known.remove(doc) } else { self.known.insert(*doc, now.clone()) };
            if before.unwrap_or_default() != now {
                changed.push(*doc);
            }
        }
        changed.sort_unstable();
        changed.dedup();
        Ok(changed)
    }

    /// Looks at everything again, for a listener that was too slow to be told each change.
    pub fn look_at_all(&mut self, replica: &Replica) -> Result<Vec<DocId>, ReplicaError> {
        let mut documents = replica.disputed()?;
        // What is no longer here has no conflicts any more.
        documents.extend(self.known.keys());
        self.look_at(replica, &documents)
    }
}

#[cfg(test)]
mod tests;
