//! What the server did not take into the register, and what became of it: refused, held for an officer's review, accepted,
//! returned.
//!
//! The marks live beside the documents, since a record that is held is one the device has to forget: the volunteer must
//! still be able to read what waits, and how it ended.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use toso_core::change::Change;
use toso_core::id::{ChangeHash, DocId, DocKind, Epoch};
use toso_core::record::Record;
use toso_core::unit::Scope;
use toso_store::{HeldChunk, StoreError, Transaction};
use toso_sync::OutboxItem;
use toso_wire::limits::DETAIL_BYTES_MAX;
use toso_wire::{NackCode, Reviewed};

use super::receipts::{read_setting, setting};
use super::reconciling::author_of;
use super::view::{Held, HeldState};
use super::{NEWER_KIND, Replica, kind_word};
use crate::credential::{Credential, SETTING_OFFERED_AGAIN};
use crate::observer::ReplicaEvent;

/// The longest label, in bytes: a long name. With detail and note (300 each) a mark stays below what a store keeps of one
/// (1,024).
const LABEL_BYTES_MAX: usize = 200;

/// The last decisions of officers that were kept: epoch and number.
const SETTING_HEARD_DECISIONS: &str = "heard-decisions";
/// Change bytes of one transaction that hands over again: a sixteenth of what a store takes at once.
const HANDED_OVER_BYTES: usize = 256 * 1024;

/// The code of a mark on another's change: it was brought back to a server that had lost it, and is not in the register
/// there. No list shows it, since nothing of this device waits; it says that the server need not be told again.
const BROUGHT_BACK: &str = "brought_back";

/// Marks to set.
type Marks = Vec<(DocId, ChangeHash, Option<Vec<u8>>)>;

/// What is kept with a mark.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Why {
    code: String,
    detail: String,
    commune: Option<Scope>,
    label: String,
    state: HeldState,
    note: String,
}

impl Why {
    /// A mark of another version still says that something was not taken.
    fn unreadable() -> Self {
        Self {
            code: "refused".to_owned(),
            detail: String::new(),
            commune: None,
            label: String::new(),
            state: HeldState::Refused,
            note: String::new(),
        }
    }

    fn of(mark: &HeldChunk) -> Self {
        rmp_serde::from_slice(&mark.why).unwrap_or_else(|_| Self::unreadable())
    }

    fn encode(&self) -> Option<Vec<u8>> {
        // Plain texts always encode.
        rmp_serde::to_vec(self).ok()
    }
}

impl Replica {
    /// What the server did not take, and what officers decided about it.
    pub fn held(&self) -> Result<Vec<Held>, StoreError> {
        let held = self.store.held()?.into_iter().map(|mark| self.held_of(&mark));
        Ok(held.filter(|held| held.code != BROUGHT_BACK).collect())
    }

    /// What is here and, by the server's own word, not in its register.
    pub(super) fn not_registered(&self) -> Result<HashSet<(DocId, ChangeHash)>, StoreError> {
        let marks = self.store.held()?.into_iter();
        let marks = marks.filter(|mark| Why::of(mark).state != HeldState::Accepted);
        Ok(marks.map(|mark| (mark.doc, mark.hash)).collect())
    }

    /// Others' changes that a server has not taken: another server is to be told of them again.
    pub(super) fn brought_back(&self) -> Result<Vec<(DocId, ChangeHash)>, StoreError> {
        let marks = self.store.held()?.into_iter().filter(|mark| Why::of(mark).code == BROUGHT_BACK);
        Ok(marks.map(|mark| (mark.doc, mark.hash)).collect())
    }

    /// Takes from the list what has been decided. Returns how many.
    pub fn dismiss_held(&self) -> Result<usize, StoreError> {
        let decided = self.held()?.into_iter().filter(|held| held.state.is_decided());
        let held: Vec<_> = decided.map(|held| (held.doc, held.hash, None)).collect();
        let count = held.len();
        if count > 0 {
            self.store.commit(Transaction { held, ..Transaction::default() })?;
            self.chunks_changed();
            self.announce(ReplicaEvent::Held);
        }
        Ok(count)
    }

    fn held_of(&self, mark: &HeldChunk) -> Held {
        let why = Why::of(mark);
        Held {
            doc: mark.doc,
            hash: mark.hash,
            code: why.code,
            detail: why.detail,
            kind: mark.doc.kind().map_or(NEWER_KIND, kind_word),
            label: why.label,
            unit_name: why.commune.map(|commune| self.catalog.display_path(commune)),
            commune: why.commune,
            state: why.state,
            note: why.note,
        }
    }

    /// The marks, with "accepted" on them, of what has turned out to be in the register; of others' changes no mark is left.
    pub(super) fn accepted_marks(
        &self,
        is_registered: impl Fn(DocId, ChangeHash) -> Result<bool, StoreError>,
    ) -> Result<Marks, StoreError> {
        let mut marks = Marks::new();
        for mark in self.store.held()? {
            let mut why = Why::of(&mark);
            if why.state != HeldState::Accepted && is_registered(mark.doc, mark.hash)? {
                why.state = HeldState::Accepted;
                let still = (why.code != BROUGHT_BACK).then(|| why.encode()).flatten();
                marks.push((mark.doc, mark.hash, still));
            }
        }
        Ok(marks)
    }

    /// The last decisions that were kept under an epoch; `None` when none are waited for.
    pub(super) fn heard(&self, epoch: Option<Epoch>) -> Result<Option<u64>, StoreError> {
        let waits = self.held()?.iter().any(|held| matches!(held.state, HeldState::Waiting | HeldState::Returned));
        if !waits {
            return Ok(None);
        }
        let heard: Option<(Option<Epoch>, u64)> = read_setting(self.store.as_ref(), SETTING_HEARD_DECISIONS)?;
        Ok(Some(heard.filter(|(of, _)| *of == epoch).map_or(0, |(_, number)| number)))
    }

    /// Puts what was handed over for review into the outbox again: this server may have lost it. What it has, it knows by
    /// its hash. What was accepted goes too, since the register may have lost it and no other device may have it.
    pub(super) fn hand_over_again(&self) -> Result<(), StoreError> {
        let waiting: HashSet<_> =
            self.store.outbox(0, usize::MAX)?.into_iter().map(|entry| (entry.doc, entry.hash)).collect();
        let mut transaction = Transaction::default();
        let mut bytes = 0;
        for mark in self.store.held()? {
            let handed_over = Why::of(&mark).state != HeldState::Refused;
            if !handed_over || waiting.contains(&(mark.doc, mark.hash)) {
                continue;
            }
            let Some((scope, chunk)) = self.store.held_copy(mark.doc, &mark.hash)? else { continue };
            bytes += chunk.bytes().len();
            transaction.outbox_add.push(mark.hash);
            transaction.chunks.push((scope, Change { doc: mark.doc, chunk }));
            if bytes >= HANDED_OVER_BYTES {
                self.take_back(std::mem::take(&mut transaction))?;
                bytes = 0;
            }
        }
        if transaction.chunks.is_empty() { Ok(()) } else { self.take_back(transaction) }
    }

    /// Puts what was refused for the device's role into the outbox again, once under each credential that writes: it may
    /// write now what it might not then, and later edits of the same records count only with these. What is refused again
    /// stays so until the next invite.
    pub(super) fn offer_again(&self, credential: &Credential) -> Result<(), StoreError> {
        if credential.reads_only() || self.store.setting(SETTING_OFFERED_AGAIN)?.is_some() {
            return Ok(());
        }
        let mut transaction =
            Transaction { settings: vec![setting(SETTING_OFFERED_AGAIN, &true)], ..Transaction::default() };
        let waiting: HashSet<_> =
            self.store.outbox(0, usize::MAX)?.into_iter().map(|entry| (entry.doc, entry.hash)).collect();
        for mark in self.store.held()? {
            let why = Why::of(&mark);
            let of_role = why.state == HeldState::Refused && why.code == nack_word(NackCode::Forbidden);
            if of_role && self.store.contains(mark.doc, &mark.hash)? {
                transaction.held.push((mark.doc, mark.hash, None));
                if !waiting.contains(&(mark.doc, mark.hash)) {
                    transaction.outbox_add.push(mark.hash);
                }
            }
        }
        let any = !transaction.held.is_empty();
        self.store.commit(transaction)?;
        if any {
            self.chunks_changed();
            self.announce(ReplicaEvent::Held);
        }
        Ok(())
    }

    /// Stores changes that are to be handed over again; their documents go once that is done, as when they were left.
    fn take_back(&self, mut transaction: Transaction) -> Result<(), StoreError> {
        let docs: Vec<DocId> = transaction.chunks.iter().map(|(_, change)| change.doc).collect();
        self.leave_again(&mut transaction)?;
        let mut documents = self.documents.lock();
        self.store.commit(transaction)?;
        for doc in &docs {
            documents.pop(doc);
        }
        drop(documents);
        self.chunks_changed();
        self.announce(ReplicaEvent::Documents(docs));
        Ok(())
    }

    /// A device that is shut out keeps what officers decide, and no records.
    pub(super) fn drop_held_copies(&self) -> Result<(), StoreError> {
        let marks = self.store.held()?.into_iter();
        let held_copies = marks.map(|mark| (mark.doc, mark.hash, None)).collect();
        self.store.commit(Transaction { held_copies, ..Transaction::default() })
    }

    /// Takes refused and held entries out of the outbox and marks them. The words that help to recognise a record are
    /// taken now, before it may have to go.
    pub(super) fn commit_refused(&self, refused: Vec<(OutboxItem, NackCode, String)>) -> Result<(), StoreError> {
        let (carried, refused): (Vec<_>, Vec<_>) = refused.into_iter().partition(|(item, ..)| item.number == 0);
        // What was refused of another's is the author's to know, who asks the server itself; here it is only carried no more.
        self.not_deliverable(&carried.into_iter().map(|(item, ..)| item).collect::<Vec<_>>())?;
        if refused.is_empty() {
            return Ok(());
        }
        let mut transaction = Transaction::default();
        let known: HashMap<_, _> =
            self.store.held()?.iter().map(|mark| ((mark.doc, mark.hash), Why::of(mark))).collect();
        for (item, code, detail) in refused {
            transaction.outbox_remove.push(item.number);
            let (doc, hash) = (item.change.doc, item.change.hash());
            // Another's change, returned to a server that had lost it: nothing of this device is held. Without a mark it would
            // be missed at the server by every further comparison, and returned again.
            if author_of(&item).is_some_and(|author| author != self.device.id().author()) {
                let why = Why { code: BROUGHT_BACK.to_owned(), ..Why::unreadable() };
                transaction.held.push((doc, hash, why.encode()));
                continue;
            }
            let commune = self.store.scope_of(doc)?;
            let is_held = code == NackCode::Held;
            if is_held {
                // A decision about it may have come before its mark was here.
                transaction.settings.push((SETTING_HEARD_DECISIONS.to_owned(), None));
            }
            let mut why = Why {
                code: nack_word(code).to_owned(),
                detail: shortened(detail, DETAIL_BYTES_MAX),
                commune,
                label: shortened(self.label(doc), LABEL_BYTES_MAX),
                state: if is_held { HeldState::Waiting } else { HeldState::Refused },
                note: String::new(),
            };
            if let Some(known) = known.get(&(doc, hash)).filter(|_| is_held) {
                // Handed over again: alone, the change may not tell any more what its record is called. What an officer has
                // returned is so until the next decision.
                why.label.clone_from(&known.label);
                if known.state == HeldState::Returned {
                    (why.state, why.note) = (known.state, known.note.clone());
                }
            }
            if let Some(scope) = commune.filter(|_| is_held) {
                transaction.held_copies.push((doc, hash, Some((scope, item.change.chunk))));
            }
            transaction.held.push((doc, hash, why.encode()));
        }
        self.store.commit(transaction)?;
        self.chunks_changed();
        self.announce(ReplicaEvent::Held);
        self.forget_what_was_left()
    }

    /// Keeps what officers decided. What the device no longer lists is of no interest to it.
    pub(super) fn keep_decisions(&self, reviewed: &Reviewed, epoch: Epoch) -> Result<(), StoreError> {
        let heard = setting(SETTING_HEARD_DECISIONS, &(Some(epoch), reviewed.number));
        let mut transaction = Transaction { settings: vec![heard], ..Transaction::default() };
        for mark in self.store.held()? {
            let decision = reviewed.decisions.iter().rfind(|made| made.doc == mark.doc && made.hash == mark.hash);
            let Some((decision, mut why)) = decision.zip(rmp_serde::from_slice::<Why>(&mark.why).ok()) else {
                continue;
            };
            why.state = if decision.accepted { HeldState::Accepted } else { HeldState::Returned };
            why.note = shortened(decision.note.clone(), DETAIL_BYTES_MAX);
            transaction.held.push((mark.doc, mark.hash, why.encode()));
        }
        let decided = !transaction.held.is_empty();
        self.store.commit(transaction)?;
        if decided {
            self.chunks_changed();
            self.announce(ReplicaEvent::Held);
        }
        Ok(())
    }

    /// What the volunteer calls a record: its hamlet, team or person.
    fn label(&self, doc: DocId) -> String {
        let named = match self.record(doc) {
            Ok(Record::Team(team)) => team.hamlet.or(team.local_name),
            Ok(Record::Member(member)) => member.full_name,
            Ok(Record::Commune(commune)) => commune.hamlets.into_values().next().map(|hamlet| hamlet.name),
            _ => None,
        };
        named.unwrap_or_else(|| match doc.kind() {
            Some(DocKind::Team) => "(toàn xã)".to_owned(),
            Some(DocKind::Commune | DocKind::Member) | None => String::new(),
        })
    }
}

/// Cut at a character boundary.
fn shortened(mut text: String, bytes_max: usize) -> String {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

fn nack_word(code: NackCode) -> &'static str {
    match code {
        NackCode::OutOfScope => "out_of_scope",
        NackCode::Forbidden => "forbidden",
        NackCode::Malformed => "malformed",
        NackCode::ForeignActor => "foreign_actor",
        NackCode::WrongDocument => "wrong_document",
        NackCode::TooLarge => "too_large",
        NackCode::Unavailable => "unavailable",
        NackCode::Held => "held_for_review",
        NackCode::Erased => "erased",
        NackCode::OverQuota | NackCode::Unknown(_) => "refused",
    }
}
