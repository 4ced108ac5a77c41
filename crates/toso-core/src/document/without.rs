//! A document as if some of its changes had never been made.
//!
//! What a device wrote may have to be set aside while everything else stays. Leaving the changes out is not enough: what
//! others made on top of them names them as dependencies and would wait for ever, an officer's sign-off on a sheet that a
//! rogue device has filled above all. So what builds on them is **written anew**, as it would be had they never been made:
//! it depends on what they depended on, its operations have the numbers that follow from that, and it replaces what they
//! replaced. Changes that do not build on them keep their bytes.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::num::NonZeroU64;

use automerge::legacy::{OpId, OpType};
use automerge::{ActorId, Change, ExpandedChange};

use super::{genesis, guarded};
use crate::chunk::Chunk;
use crate::id::{ChangeHash, DocKind};

/// A change that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its place among the changes that were given.
    pub place: usize,
    /// The change now; another than before when it was written anew.
    pub chunk: Chunk,
}

/// The changes of a document without those that are `aside`, in their order. What nobody can read, or waits for what is
/// not among them, stays as it is.
pub fn without(kind: DocKind, changes: &[&Chunk], aside: impl Fn(usize) -> bool) -> Vec<Kept> {
    guarded(|| Leaving::new(kind).leave_out(changes, &aside)).unwrap_or_default()
}

/// An operation: its counter and its actor.
type Id = (u64, ActorId);

struct Leaving {
    /// What each change has become.
    now: HashMap<ChangeHash, Became>,
    /// The last operation of changes as they are now.
    max_ops: HashMap<ChangeHash, u64>,
    /// What operations have become: another, or those that they had replaced.
    ops: HashMap<Id, Vec<Id>>,
    /// The sequence numbers of each actor's changes that are gone.
    gone: HashMap<ActorId, BTreeSet<u64>>,
}

/// What a change has become.
enum Became {
    This(ChangeHash),
    /// Gone: what it depended on stands for it.
    These(Vec<ChangeHash>),
}

/// A change on its way.
struct Read<'a> {
    place: usize,
    chunk: &'a Chunk,
    change: Change,
}

impl Leaving {
    fn new(kind: DocKind) -> Self {
        let genesis = &genesis::genesis(kind).max_ops;
        Self {
            now: genesis.iter().map(|(hash, _)| (*hash, Became::This(*hash))).collect(),
            max_ops: genesis.iter().copied().collect(),
            ops: HashMap::new(),
            gone: HashMap::new(),
        }
    }

    fn leave_out(mut self, changes: &[&Chunk], aside: &impl Fn(usize) -> bool) -> Vec<Kept> {
        let mut kept = Vec::with_capacity(changes.len());
        let mut parsed = Vec::with_capacity(changes.len());
        for (place, chunk) in changes.iter().copied().enumerate() {
            match chunk.change() {
                Ok(change) => {
                    if aside(place) {
                        self.gone.entry(change.actor_id().clone()).or_default().insert(change.seq());
                    }
                    parsed.push(Some(Read { place, chunk, change }));
                }
                Err(_) => kept.push(Kept { place, chunk: chunk.clone() }),
            }
        }
        // In the order of dependencies, whatever order they came in: each waits for those that it depends on, by hash.
        let mut waiting_for: HashMap<ChangeHash, Vec<usize>> = HashMap::new();
        let mut missing: Vec<usize> = Vec::with_capacity(parsed.len());
        for (number, read) in parsed.iter().flatten().enumerate() {
            let deps = read.change.deps().iter().map(|dep| ChangeHash(dep.0));
            let open: Vec<ChangeHash> = deps.filter(|dep| !self.now.contains_key(dep)).collect();
            missing.push(open.len());
            for dep in open {
                waiting_for.entry(dep).or_default().push(number);
            }
        }
        let mut ready: VecDeque<usize> =
            (0..).zip(&missing).filter(|(_, of)| **of == 0).map(|(number, _)| number).collect();
        while let Some(number) = ready.pop_front() {
            let Some(read) = parsed.get_mut(number).and_then(Option::take) else { continue };
            let hash = ChangeHash(read.change.hash().0);
            let became = if aside(read.place) { Rewritten::Gone } else { self.rewrite(&read.change) };
            let (now, max_op) = match became {
                Rewritten::Same => (Some(read.chunk.clone()), read.change.max_op()),
                Rewritten::Anew(change) => (Some(anew(&change)), change.max_op()),
                Rewritten::Gone => (None, 0),
            };
            match now {
                Some(chunk) => {
                    self.now.insert(hash, Became::This(chunk.hash()));
                    self.max_ops.insert(chunk.hash(), max_op);
                    kept.push(Kept { place: read.place, chunk });
                }
                None => self.drop_out(hash, &read.change),
            }
            for number in waiting_for.remove(&hash).into_iter().flatten() {
                let Some(of) = missing.get_mut(number) else { continue };
                *of -= 1;
                if *of == 0 {
                    ready.push_back(number);
                }
            }
        }
        let waiting = parsed.into_iter().flatten().filter(|read| !aside(read.place));
        kept.extend(waiting.map(|read| Kept { place: read.place, chunk: read.chunk.clone() }));
        kept.sort_by_key(|kept| kept.place);
        kept
    }

    /// What a change depends on now.
    fn deps(&self, change: &Change) -> Vec<ChangeHash> {
        let mut deps = BTreeSet::new();
        for dep in change.deps() {
            match self.now.get(&ChangeHash(dep.0)) {
                Some(Became::This(hash)) => _ = deps.insert(*hash),
                Some(Became::These(hashes)) => deps.extend(hashes),
                None => {}
            }
        }
        deps.into_iter().collect()
    }

    /// What an operation has become.
    fn now(&self, op: &OpId) -> Vec<Id> {
        let id = (op.counter(), op.actor().clone());
        self.ops.get(&id).cloned().unwrap_or_else(|| vec![id])
    }

    fn preds<'a>(&self, preds: impl Iterator<Item = &'a OpId>) -> Vec<Id> {
        let now: BTreeSet<Id> = preds.flat_map(|pred| self.now(pred)).collect();
        now.into_iter().collect()
    }

    /// A change is gone: its dependencies stand for it, and what it replaced stands again.
    fn drop_out(&mut self, hash: ChangeHash, change: &Change) {
        let deps = self.deps(change);
        let actor = change.actor_id().clone();
        self.gone.entry(actor.clone()).or_default().insert(change.seq());
        for (counter, op) in (change.start_op().get()..).zip(change.decode().operations) {
            let before = self.preds(op.pred.iter());
            // What is added to a counter is no value: nothing replaces it, and the counter stays what it was.
            if !matches!(op.action, OpType::Increment(_)) {
                self.ops.insert((counter, actor.clone()), before);
            }
        }
        self.now.insert(hash, Became::These(deps));
    }

    /// The change as it is now.
    fn rewrite(&mut self, change: &Change) -> Rewritten {
        let deps = self.deps(change);
        let before = deps.iter().filter_map(|dep| self.max_ops.get(dep)).max().copied().unwrap_or_default();
        let actor = change.actor_id().clone();
        let earlier = self.gone.get(&actor).map_or(0, |gone| gone.range(..change.seq()).count() as u64);
        let expanded = change.decode();
        let (old_start, start) = (change.start_op().get(), before + 1);
        let replaces_gone = expanded
            .operations
            .iter()
            .flat_map(|op| op.pred.iter())
            .any(|pred| self.ops.contains_key(&(pred.counter(), pred.actor().clone())));
        let same_deps = change.deps().len() == deps.len()
            && change.deps().iter().collect::<HashSet<_>>()
                == deps.iter().map(|dep| automerge::ChangeHash(dep.0)).collect::<Vec<_>>().iter().collect();
        // A counter that does not follow is for the merge to refuse, as before.
        if same_deps && earlier == 0 && !replaces_gone {
            return Rewritten::Same;
        }
        let mut operations = Vec::with_capacity(expanded.operations.len());
        for (counter, mut op) in (old_start..).zip(expanded.operations) {
            let had = !op.pred.is_empty();
            let preds = self.preds(op.pred.iter());
            let is_left = match op.action {
                OpType::Delete | OpType::Increment(_) => !preds.is_empty() || !had,
                OpType::Make(_) | OpType::Put(_) | OpType::MarkBegin(_) | OpType::MarkEnd(_) => true,
            };
            let id = (counter, actor.clone());
            if is_left {
                self.ops.insert(id, vec![(start + operations.len() as u64, actor.clone())]);
                op.pred = preds.iter().map(|(counter, actor)| OpId::new(*counter, actor)).collect();
                operations.push(op);
            } else {
                self.ops.insert(id, preds);
            }
        }
        let Some(start_op) = NonZeroU64::new(start).filter(|_| !operations.is_empty()) else { return Rewritten::Gone };
        let rewritten = ExpandedChange {
            operations,
            hash: None,
            seq: change.seq() - earlier,
            start_op,
            deps: deps.iter().map(|dep| automerge::ChangeHash(dep.0)).collect(),
            ..expanded
        };
        Rewritten::Anew(Box::new(Change::from(rewritten)))
    }
}

/// What is left of a change.
enum Rewritten {
    Same,
    Anew(Box<Change>),
    Gone,
}

/// A change that was written here from one that was read: its limits hold as before.
fn anew(change: &Change) -> Chunk {
    Chunk::trusted(change.raw_bytes(), ChangeHash(change.hash().0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Author, Document};
    use crate::edit::{ActivityId, DocEdit, Reached, TeamEdit};
    use crate::id::{Actor, DeviceId, DocId};
    use crate::record::ActivityKind;
    use crate::text::Date;
    use crate::time::TimestampMs;
    use crate::unit::{UnitList, UnitRef};

    const ROGUE: u8 = 9;

    fn doc() -> DocId {
        DocId::hamlet_team(UnitRef::new(UnitList::L2022, "00001").unwrap(), "thôn 1", 0)
    }

    fn author(device: u8) -> Author {
        Author { actor: Actor::new(DeviceId([device; 16]), [1; 8]), at: TimestampMs(1_663_545_600_000) }
    }

    fn households(number: u32) -> DocEdit {
        DocEdit::Team(TeamEdit::HouseholdsCovered(Some(number)))
    }

    fn remade(chunks: &[Chunk]) -> Vec<Chunk> {
        let all: Vec<&Chunk> = chunks.iter().collect();
        let aside = |place: usize| chunks[place].facts().unwrap().actor.author() == DeviceId([ROGUE; 16]).author();
        let kept = without(DocKind::Team, &all, aside);
        kept.iter().map(|kept| Chunk::parse(kept.chunk.bytes()).expect("a sound change")).collect()
    }

    /// The sign-off on a sheet that a rogue device has filled: it must not go with what it was made on top of.
    #[test]
    fn what_was_made_on_top_stays_and_what_was_replaced_stands_again() {
        let mut document = Document::new(doc()).unwrap();
        let mut chunks = Vec::new();
        let mut save = |device, edits: &[DocEdit]| {
            chunks.extend(document.edit(author(device), edits).unwrap());
        };
        let note = |text: &str| DocEdit::parse(DocKind::Team, "note", text).unwrap();
        save(1, &[households(1), note("thử")]);
        save(ROGUE, &[households(666), note("phá")]);
        save(2, &[DocEdit::parse(DocKind::Team, "local_name", "Tổ thử").unwrap(), households(2)]);
        save(ROGUE, &[households(667)]);
        save(1, &[DocEdit::parse(DocKind::Team, "decision_number", "12/QĐ-UBND").unwrap()]);
        let kept = remade(&chunks);
        assert_eq!(kept.len(), 3);
        assert_eq!(kept[0], chunks[0], "what does not build on it is as it was");
        let (after, applied) = Document::fold(doc(), &kept).unwrap();
        assert_eq!((applied.applied, applied.waiting, applied.quarantined.len()), (3, 0, 0));
        let crate::record::Record::Team(team) = after.read() else { panic!("a team") };
        assert_eq!(team.households_covered, Some(2));
        assert_eq!(team.note.as_deref(), Some("thử"), "what was replaced stands again");
        assert_eq!(team.local_name.as_deref(), Some("Tổ thử"));
        assert_eq!(team.decision_number.as_deref(), Some("12/QĐ-UBND"));
        assert!(after.conflicts().is_empty());
    }

    /// A hundred phones that recorded apart leave as many heads; the rogue device joins them, and an officer saves on top. Without
    /// the joins the officer's save stands for all that they had joined, which is more than a change that is pushed may name.
    #[test]
    fn what_was_saved_on_top_of_joined_heads_stays() {
        let apart =
            (10..110).map(|device| Document::first_save(doc(), author(device), &[households(u32::from(device))]));
        let mut chunks: Vec<Chunk> = apart.map(|chunk| chunk.unwrap().unwrap()).collect();
        let mut document = Document::fold(doc(), &chunks).unwrap().0;
        let joins = document.make_room(author(ROGUE), &[]).unwrap();
        assert_eq!(joins.len(), 1);
        chunks.extend(joins);
        chunks.extend(document.edit(author(ROGUE), &[households(666)]).unwrap());
        chunks.extend(
            document.edit(author(2), &[DocEdit::parse(DocKind::Team, "local_name", "Tổ thử").unwrap()]).unwrap(),
        );
        chunks.extend(document.edit(author(2), &[households(7)]).unwrap());
        let all: Vec<&Chunk> = chunks.iter().collect();
        let rogue = DeviceId([ROGUE; 16]).author();
        let kept = without(DocKind::Team, &all, |place| chunks[place].facts().unwrap().actor.author() == rogue);
        let kept: Vec<Chunk> = kept.into_iter().map(|kept| kept.chunk).collect();
        let (after, applied) = Document::fold(doc(), &kept).unwrap();
        assert_eq!((applied.applied, applied.waiting, applied.quarantined), (102, 0, vec![]));
        let crate::record::Record::Team(team) = after.read() else { panic!("a team") };
        assert_eq!((team.local_name.as_deref(), team.households_covered), (Some("Tổ thử"), Some(7)));
        assert_eq!((after.heads().len(), after.conflicts().len(), after.chunks().len()), (1, 0, 102));
        let mut flat = crate::document::FlatDocument::new(doc()).unwrap();
        assert!(kept.iter().all(|chunk| flat.apply(chunk).is_ok()), "and is read without Automerge");
    }

    /// Three devices edit fields and counters, apart and together, and pass on what they have. Without the rogue one's
    /// changes the document is the one that the same work gives when it does not take part; in any order of the log.
    #[test]
    fn it_is_as_if_the_changes_had_never_been_made() {
        for seed in 0..60_u64 {
            let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
            let mut draw = |below: u64| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state % below
            };
            let script: Vec<(u8, u64, u64)> =
                (0..40).map(|_| (u8::try_from(draw(3)).unwrap(), draw(8), draw(1_000))).collect();
            let play = |with_rogue: bool| {
                let mut copies: Vec<Document> = (0..3).map(|_| Document::new(doc()).unwrap()).collect();
                let mut chunks: Vec<Chunk> = Vec::new();
                for (step, (who, what, value)) in script.iter().enumerate() {
                    let device = if *who == 2 { ROGUE } else { *who };
                    let silent = *who == 2 && !with_rogue;
                    let edit = match what {
                        0..=2 => households(u32::try_from(1_000 * step).unwrap() + u32::try_from(*value).unwrap()),
                        3 | 4 => DocEdit::parse(DocKind::Team, "note", &format!("ghi {step} {value}")).unwrap(),
                        _ => {
                            // Everybody hears of everything.
                            for copy in &mut copies {
                                copy.apply(&chunks);
                            }
                            continue;
                        }
                    };
                    if !silent {
                        chunks.extend(copies[usize::from(*who)].edit(author(device), &[edit]).unwrap());
                    }
                }
                chunks
            };
            let (mut all, honest) = (play(true), play(false));
            if seed % 2 == 1 {
                all.reverse();
            }
            let kept = remade(&all);
            let (left, applied) = Document::fold(doc(), &kept).unwrap();
            assert_eq!((applied.waiting, applied.quarantined.len()), (0, 0), "seed {seed}");
            let (never, _) = Document::fold(doc(), &honest).unwrap();
            assert_eq!(left.read(), never.read(), "seed {seed}");
            assert_eq!(left.conflicts(), never.conflicts(), "seed {seed}");
        }
    }

    #[test]
    fn counts_of_others_stay_and_those_set_aside_go() {
        let mut document = Document::new(doc()).unwrap();
        let id = ActivityId([3; 8]);
        let reached = |total| Reached { total, ..Reached::default() };
        let first = DocEdit::Team(TeamEdit::AddActivity {
            id,
            date: Date::parse("2022-09-19").unwrap(),
            kind: ActivityKind::ALL[0],
            skills: Vec::new(),
            reached: reached(10),
        });
        let add = |total| DocEdit::Team(TeamEdit::AddReached { id, more: reached(total) });
        let mut chunks = Vec::new();
        for (device, edit) in [(1, first), (ROGUE, add(500)), (2, add(7)), (ROGUE, add(600)), (1, add(3))] {
            chunks.extend(document.edit(author(device), &[edit]).unwrap());
        }
        let (left, applied) = Document::fold(doc(), &remade(&chunks)).unwrap();
        assert_eq!((applied.applied, applied.waiting), (3, 0));
        let crate::record::Record::Team(team) = left.read() else { panic!("a team") };
        assert_eq!(team.activities.values().next().unwrap().reached, 20);
    }
}
