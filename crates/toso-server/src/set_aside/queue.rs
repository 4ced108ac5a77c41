//! What folding is to make again, each document once: however often it was decided about meanwhile, it is made of what
//! stands when its turn comes.
//!
//! So a loop of setting aside and undoing keeps no queue of its own: 960 documents decided about a thousand times are 960
//! documents to be made.

use std::collections::{HashSet, VecDeque};

use toso_core::id::DocId;

/// Documents that folding makes again at a time: each is read whole, and merged where others' changes are written anew, in
/// some milliseconds. Two such parts may be under way when a fresh page comes, so it waits for a quarter of a second.
pub(super) const AGAIN_MAX: usize = 32;

/// A decision as counting follows it: its number, and whether it is undone.
pub(crate) type Settles = (u32, bool);

/// Documents that are to be made again.
#[derive(Debug, Default)]
pub(crate) struct Again {
    /// With their places in the queue.
    documents: Vec<(u64, DocId)>,
    /// The decisions that counting has followed with these.
    pub(crate) settles: Vec<Settles>,
}

impl Again {
    /// Which.
    pub(crate) fn documents(&self) -> Vec<DocId> {
        self.documents.iter().map(|(_, doc)| *doc).collect()
    }
}

#[derive(Default)]
pub(super) struct Queue {
    waiting: VecDeque<(u64, DocId)>,
    queued: HashSet<DocId>,
    /// The place of the next document.
    next: u64,
    /// Decisions with the place before which all their documents lie, in its order.
    settling: VecDeque<(u64, Settles)>,
}

impl Queue {
    /// Documents of a decision. One that waits already is made once, after this.
    pub(super) fn add(&mut self, settles: Settles, documents: &[DocId]) {
        for doc in documents {
            if self.queued.insert(*doc) {
                self.waiting.push_back((self.next, *doc));
                self.next += 1;
            }
        }
        self.settling.push_back((self.next, settles));
    }

    /// The next part, with the decisions that it ends.
    pub(super) fn pop(&mut self) -> Option<Again> {
        let count = self.waiting.len().min(AGAIN_MAX);
        let documents: Vec<(u64, DocId)> = self.waiting.drain(..count).collect();
        for (_, doc) in &documents {
            self.queued.remove(doc);
        }
        let reached = self.waiting.front().map_or(self.next, |(place, _)| *place);
        let ended = self.settling.iter().take_while(|(end, _)| *end <= reached).count();
        let settles: Vec<Settles> = self.settling.drain(..ended).map(|(_, settles)| settles).collect();
        (!documents.is_empty() || !settles.is_empty()).then_some(Again { documents, settles })
    }

    /// What could not be made comes first next time.
    pub(super) fn put_back(&mut self, again: Again) {
        let reached = again.documents.last().map_or(0, |(place, _)| place + 1);
        for settles in again.settles.into_iter().rev() {
            self.settling.push_front((reached, settles));
        }
        for (place, doc) in again.documents.into_iter().rev() {
            // One that was decided about meanwhile waits at its later place, too; making it twice harms nobody.
            self.queued.insert(doc);
            self.waiting.push_front((place, doc));
        }
    }

    /// Documents that wait.
    pub(super) fn documents(&self) -> HashSet<DocId> {
        self.waiting.iter().map(|(_, doc)| *doc).collect()
    }
}

#[cfg(test)]
mod tests {
    use toso_core::unit::{UnitList, UnitRef};

    use super::*;

    fn documents(count: u32) -> Vec<DocId> {
        let unit = UnitRef::new(UnitList::L2022, "00001").unwrap();
        (0..count).map(|number| DocId::commune_team(unit, number)).collect()
    }

    /// The story: 271 decisions about the same 960 documents were 260,160 documents to be made.
    #[test]
    fn what_is_decided_about_again_and_again_is_made_once() {
        let (mut queue, documents) = (Queue::default(), documents(960));
        for number in 0..271 {
            queue.add((number, false), &documents);
            queue.add((number, true), &documents);
        }
        let (mut made, mut settled) = (Vec::new(), Vec::new());
        while let Some(again) = queue.pop() {
            assert!(again.documents.len() <= AGAIN_MAX);
            made.extend(again.documents());
            settled.extend(again.settles);
        }
        assert_eq!(made, documents);
        assert_eq!(settled.len(), 2 * 271, "each decision is followed once");
        assert!(queue.queued.is_empty() && queue.settling.is_empty());
    }

    #[test]
    fn a_decision_is_followed_with_the_last_of_its_documents_and_not_before() {
        let (mut queue, documents) = (Queue::default(), documents(u32::try_from(2 * AGAIN_MAX).unwrap()));
        let (first, both) = (&documents[..AGAIN_MAX], &documents[..]);
        queue.add((1, false), first);
        queue.add((2, false), both);
        let again = queue.pop().unwrap();
        assert_eq!((again.documents(), again.settles.as_slice()), (first.to_vec(), [(1, false)].as_slice()));
        // Under way already, so it has to be made once more.
        queue.add((1, true), first);
        queue.put_back(again);
        let settles: Vec<_> = std::iter::from_fn(|| queue.pop()).map(|again| again.settles).collect();
        assert_eq!(settles, [vec![(1, false)], vec![(2, false)], vec![(1, true)]]);
        queue.add((3, false), &[]);
        assert_eq!(queue.pop().unwrap().settles, [(3, false)], "one that changes nothing is followed at once");
        assert!(queue.pop().is_none());
    }
}
