//! A replica: the documents of a device's scopes, edited here, merged with what comes.

mod carry;
mod days;
mod held;
mod leaving;
mod link;
pub mod names;
mod naming;
#[cfg(feature = "newer-build")]
mod newer;
mod performing;
mod read;
mod receipts;
mod reconciling;
mod refusing;
mod resting;
mod returned;
mod right;
mod search;
mod session;
mod shown;
mod view;
mod watch;

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use lru::LruCache;
use parking_lot::Mutex;
use toso_catalog::Catalog;
use toso_core::change::Change;
use toso_core::chunk::{ChangeHash, Chunk};
use toso_core::document::{Author, Document, DocumentSize, NoRoom};
use toso_core::edit::{DocEdit, MemberEdit, TeamEdit};
use toso_core::id::{Actor, DOC_ID_UNIQUE_BYTES, Digest, DocId, DocKind};
use toso_core::record::TeamLevel;
use toso_core::text::{PlaceName, former_hamlet_key, hamlet_key};
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitRef};
use toso_store::{ChunkStore, StoreError, Transaction};
use toso_sync::AccessRole;

use crate::credential::{Credential, CredentialError};
use crate::error::ReplicaError;
use crate::identity::{Device, RandomSource, random_from};
use crate::limits::DOCUMENTS_MAX;
use crate::observer::{News, Observer, Observers, ReplicaEvent};

use shown::Shown;

pub use link::SOCKET_AGAIN_MS;
pub use names::DeviceNames;
pub use naming::AskingNames;
pub use performing::Work;
pub use returned::BroughtBack;
pub use right::{RightState, SyncRight};
pub use search::{Found, SEARCH_CHARS_MAX};
pub use view::{
    Candidate, CentreTotals, ConflictView, DocView, Held, HeldState, Receipt, ReceiptCounts, ReplicaStatus, SaveView,
};
pub use watch::ConflictWatch;

/// Documents kept in memory: each takes 20 to 50 KB, so at most about 3 MB.
const DOCUMENT_CACHE: usize = 64;

/// Tells the time, in milliseconds of Unix time.
pub type Clock = Arc<dyn Fn() -> TimestampMs + Send + Sync>;

/// How a replica is opened.
#[derive(Clone)]
pub struct ReplicaOptions {
    /// The device's clock.
    pub clock: Clock,
    /// Documents kept in memory.
    pub document_cache: usize,
    /// Keys, actors, ids of members and nonces come from here. Code that replaces the system's generator must never let
    /// two openings of a store draw the same bytes: an actor that comes twice loses edits.
    pub random: RandomSource,
}

impl ReplicaOptions {
    /// A replica with this clock and this random source, and otherwise as usual.
    pub fn new(clock: Clock, random: RandomSource) -> Self {
        Self { clock, document_cache: DOCUMENT_CACHE, random }
    }
}

/// A new team.
#[derive(Debug, Clone, Default)]
pub struct TeamDraft {
    /// The commune; the device's own when it has one only.
    pub commune: Option<Scope>,
    /// Level; hamlet by default.
    pub level: Option<TeamLevel>,
    /// The hamlet; required at level hamlet.
    pub hamlet: Option<PlaceName>,
    /// 0 for the first team of a hamlet; the next free number when `another`.
    pub another: bool,
    /// Further fields.
    pub edits: Vec<TeamEdit>,
}

/// A document as merged from all that is stored of it, and what that comes to: counted once, since an edit must not read the
/// document's history to see that there is room.
struct Merged {
    document: Document,
    size: DocumentSize,
    /// What of it this device has written.
    own: DocumentSize,
}

/// The documents of a device.
pub struct Replica {
    store: Arc<dyn ChunkStore>,
    device: Device,
    /// Of this opening, and another one after each time that documents were forgotten.
    actor: Mutex<Actor>,
    clock: Clock,
    random: RandomSource,
    catalog: &'static Catalog,
    /// Held while a document is read, edited and committed, so that one document has one writer.
    documents: Mutex<LruCache<DocId, Merged>>,
    observers: Observers,
    carry: Mutex<carry::CarryState>,
    /// Of everything here of a unit, once settled; absent until it is asked for again.
    digest: Mutex<Option<(UnitRef, Digest)>>,
    /// What is in the outbox; absent until it is asked for again.
    unsent: Mutex<Option<Unsent>>,
    /// Names of devices are being asked for.
    naming: AtomicBool,
    /// The document whose save is being committed. The store shows the save a moment before [`Self::unsent`] is read anew.
    saving: Mutex<Option<DocId>>,
}

/// Changes in the outbox: 48 bytes for each.
type Unsent = Arc<[(DocId, ChangeHash)]>;

impl Replica {
    /// Opens the replica of a store. Each opening gets an actor of its own.
    pub fn open(store: Arc<dyn ChunkStore>, options: &ReplicaOptions) -> Result<Self, ReplicaError> {
        let random = Arc::clone(&options.random);
        let device = Device::of_store(store.as_ref(), &*random)?;
        let cache = NonZeroUsize::new(options.document_cache).unwrap_or(NonZeroUsize::MIN);
        Ok(Self {
            actor: Mutex::new(device.new_actor(&*random)),
            device,
            store,
            clock: Arc::clone(&options.clock),
            random,
            catalog: Catalog::shared(),
            documents: Mutex::new(LruCache::new(cache)),
            observers: Observers::default(),
            carry: Mutex::default(),
            digest: Mutex::default(),
            unsent: Mutex::default(),
            naming: AtomicBool::new(false),
            saving: Mutex::default(),
        })
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The store below.
    pub fn store(&self) -> &dyn ChunkStore {
        self.store.as_ref()
    }

    /// What enrolment gave.
    pub fn credential(&self) -> Result<Credential, CredentialError> {
        Credential::load(self.store.as_ref())
    }

    /// Tells an observer of what happens here, until it listens no more.
    pub fn observe(&self, observer: Box<dyn Observer>) {
        self.observers.add(observer);
    }

    /// Records a team and returns its id, once it is durable here.
    pub fn add_team(&self, draft: TeamDraft) -> Result<DocId, ReplicaError> {
        let scope = self.commune(draft.commune)?;
        let level = draft.level.unwrap_or(TeamLevel::Hamlet);
        let mut edits = vec![DocEdit::Team(TeamEdit::Level(level))];
        // The team that an older build made of the same name.
        let former = draft.hamlet.as_ref().filter(|_| level == TeamLevel::Hamlet);
        let former = former.map(|hamlet| DocId::hamlet_team(scope, &former_hamlet_key(hamlet.as_str()), 0));
        let key = match (level, draft.hamlet) {
            (TeamLevel::Commune, hamlet) => {
                edits.extend(hamlet.map(|hamlet| DocEdit::Team(TeamEdit::Hamlet(Some(hamlet)))));
                None
            }
            (_, Some(hamlet)) => {
                let key = hamlet_key(hamlet.as_str());
                edits.push(DocEdit::Team(TeamEdit::Hamlet(Some(hamlet))));
                Some(key)
            }
            (_, None) => return Err(ReplicaError::HamletMissing),
        };
        edits.extend(draft.edits.into_iter().map(DocEdit::Team));
        let id_of = |ordinal| match &key {
            Some(key) => DocId::hamlet_team(scope, key, ordinal),
            None => DocId::commune_team(scope, ordinal),
        };
        if let Some(id) = former.filter(|_| !draft.another)
            && self.store.scope_of(id)?.is_some()
        {
            return Err(ReplicaError::TeamExists { id });
        }
        let mut documents = self.documents.lock();
        let mut ordinal = 0;
        while self.store.scope_of(id_of(ordinal))?.is_some() {
            if !draft.another {
                let id = id_of(ordinal);
                return Err(match key {
                    Some(_) => ReplicaError::TeamExists { id },
                    None => ReplicaError::CommuneTeamExists { id },
                });
            }
            ordinal += 1;
        }
        self.create(&mut documents, scope, id_of(ordinal), &edits)
    }

    /// Records a member of a team and returns its id, once it is durable here.
    pub fn add_member(&self, team: DocId, edits: Vec<MemberEdit>) -> Result<DocId, ReplicaError> {
        let scope = self.scope_of(team, DocKind::Team)?;
        let id = DocId::member(scope, random_from::<DOC_ID_UNIQUE_BYTES>(&*self.random));
        let mut all = vec![DocEdit::Member(MemberEdit::Team(Some(team)))];
        all.extend(edits.into_iter().map(DocEdit::Member));
        self.create(&mut self.documents.lock(), scope, id, &all)
    }

    /// Opens the commune's own document for edits (hamlets, sign-off) and returns its id; `false` when everything had these
    /// values already.
    pub fn edit_commune(&self, commune: Option<Scope>, edits: &[DocEdit]) -> Result<(DocId, bool), ReplicaError> {
        let scope = self.commune(commune)?;
        let id = DocId::commune(scope);
        let changed = self.save(&mut self.documents.lock(), scope, id, edits)?;
        Ok((id, changed))
    }

    /// Saves edits of an existing document: one change. `false` when everything had these values already.
    pub fn edit(&self, id: DocId, edits: &[DocEdit]) -> Result<bool, ReplicaError> {
        let scope = self.scope_of(id, known_kind(id)?)?;
        for edit in edits {
            if let DocEdit::Team(TeamEdit::MergedInto(Some(into)))
            | DocEdit::Member(MemberEdit::MergedInto(Some(into))) = edit
            {
                self.check_merge(id, *into)?;
            }
        }
        self.check_level(id, edits)?;
        self.save(&mut self.documents.lock(), scope, id, edits)
    }

    /// Settles a field that has several values.
    pub fn resolve(&self, id: DocId, field: &str, value: &str) -> Result<(), ReplicaError> {
        let kind = known_kind(id)?;
        let scope = self.scope_of(id, kind)?;
        let edit = DocEdit::parse(kind, field, value)?;
        let mut documents = self.documents.lock();
        let mut merged = self.take(&mut documents, id)?;
        self.check_days(std::slice::from_ref(&edit), Some(&merged.document))?;
        if !merged.document.conflicts().iter().any(|conflict| conflict.field == field) {
            documents.put(id, merged);
            return Err(ReplicaError::NoConflict { id, field: field.to_owned() });
        }
        let mut chunks = merged.document.make_room(self.author(), std::slice::from_ref(&edit))?;
        chunks.push(merged.document.resolve(self.author(), &edit)?);
        self.commit_edit(&mut documents, scope, merged, &chunks)
    }

    /// Marks `from` as a duplicate of `into`. Nothing is lost; [`Self::unmerge`] takes it back.
    pub fn merge(&self, from: DocId, into: DocId) -> Result<bool, ReplicaError> {
        self.edit(from, &[merge_edit(from, Some(into))])
    }

    /// Takes a merge back; `false` when the record was merged into none.
    pub fn unmerge(&self, from: DocId) -> Result<bool, ReplicaError> {
        self.edit(from, &[merge_edit(from, None)])
    }

    /// The commune a new record belongs to.
    fn commune(&self, asked: Option<Scope>) -> Result<Scope, ReplicaError> {
        let own = self.credential()?.unit;
        match asked {
            Some(scope) if self.catalog.is_scope(scope) && (scope == own || self.catalog.covers(own, scope)) => {
                Ok(scope)
            }
            Some(scope) => Err(ReplicaError::OutsideUnit { unit: scope.to_string(), own: own.to_string() }),
            None if self.catalog.is_scope(own) => Ok(own),
            None => Err(ReplicaError::CommuneNeeded { unit: own.to_string() }),
        }
    }

    fn create(
        &self,
        documents: &mut LruCache<DocId, Merged>,
        scope: Scope,
        id: DocId,
        edits: &[DocEdit],
    ) -> Result<DocId, ReplicaError> {
        if self.store.documents_len()? >= DOCUMENTS_MAX {
            return Err(ReplicaError::TooManyDocuments);
        }
        self.check_role()?;
        self.check_days(edits, None)?;
        // Not put into memory: each reader reads it from the store.
        documents.pop(&id);
        if let Some(chunk) = Document::first_save(id, self.author(), edits)? {
            let shown = Document::first_record(id, edits).map(|record| Shown { record, disputed: false });
            self.store_edit(scope, id, std::slice::from_ref(&chunk), shown.and_then(|shown| shown.encode()))?;
            self.announce_edit(id);
        }
        Ok(id)
    }

    fn save(
        &self,
        documents: &mut LruCache<DocId, Merged>,
        scope: Scope,
        id: DocId,
        edits: &[DocEdit],
    ) -> Result<bool, ReplicaError> {
        self.check_role()?;
        let mut merged = self.take(documents, id)?;
        self.check_days(edits, Some(&merged.document))?;
        // A refused edit may have left its mark on the copy in memory: it is read anew next time.
        let mut chunks = merged.document.make_room(self.author(), edits)?;
        if let Some(chunk) = merged.document.edit(self.author(), edits)? {
            chunks.push(chunk);
            return self.commit_edit(documents, scope, merged, &chunks).map(|()| true);
        }
        // What has made room for nothing is in no store.
        if chunks.is_empty() {
            documents.put(id, merged);
        }
        Ok(false)
    }

    /// One save: its change, and before it those that make room for it. Durable first, then visible in memory; a document whose
    /// commit failed is not kept.
    fn commit_edit(
        &self,
        documents: &mut LruCache<DocId, Merged>,
        scope: Scope,
        mut merged: Merged,
        chunks: &[Chunk],
    ) -> Result<(), ReplicaError> {
        let (doc, size) = (merged.document.id(), merged.size);
        for chunk in chunks {
            if let Some(why) = self.no_room(&merged) {
                return Err(ReplicaError::DocumentFull { id: doc, size, why });
            }
            merged.size.add(chunk.bytes().len());
            merged.own.add(chunk.bytes().len());
        }
        self.store_edit(scope, doc, chunks, Self::shown_of(&merged.document))?;
        documents.put(doc, merged);
        self.announce_edit(doc);
        Ok(())
    }

    /// Why the centre would not take a change of this device to a document, as far as it can be known here.
    fn no_room(&self, merged: &Merged) -> Option<NoRoom> {
        let for_role = |is_officer| {
            let Ok(no_room) = merged.size.no_room(is_officer, || Ok::<_, Infallible>(merged.own));
            no_room
        };
        let no_room = for_role(false)?;
        let role = self.credential().ok().and_then(|credential| credential.role.parse().ok());
        if role.is_some_and(AccessRole::may_sign_off) { for_role(true) } else { Some(no_room) }
    }

    fn store_edit(&self, scope: Scope, doc: DocId, chunks: &[Chunk], shown: Option<Vec<u8>>) -> Result<(), StoreError> {
        let transaction = Transaction {
            chunks: chunks.iter().map(|chunk| (scope, Change { doc, chunk: chunk.clone() })).collect(),
            shown: shown.map(|shown| (doc, shown)).into_iter().collect(),
            outbox_add: chunks.iter().map(Chunk::hash).collect(),
            ..Transaction::default()
        };
        // One save at a time: the documents are locked.
        *self.saving.lock() = Some(doc);
        let committed = self.store.commit(transaction);
        self.chunks_changed();
        *self.saving.lock() = None;
        committed
    }

    fn announce_edit(&self, doc: DocId) {
        self.announce(ReplicaEvent::Documents(vec![doc]));
        self.observers.tell(News::OutboxGrew);
    }

    /// The document out of the cache, or rebuilt from its chunks.
    fn take(&self, documents: &mut LruCache<DocId, Merged>, id: DocId) -> Result<Merged, ReplicaError> {
        match documents.pop(&id) {
            Some(merged) => Ok(merged),
            None => self.rebuild(id),
        }
    }

    fn rebuild(&self, id: DocId) -> Result<Merged, ReplicaError> {
        let mut document = Document::new(id).ok_or(ReplicaError::NeedsNewerVersion { id })?;
        let chunks = self.store.chunks(id)?;
        // What is stored was checked when it came; a chunk that cannot be read any more is left out, not fatal.
        document.apply(&chunks);
        let is_own = |chunk: &&Chunk| chunk.facts().is_ok_and(|of| of.actor.author() == self.device.id().author());
        let size = |chunk: &Chunk| chunk.bytes().len();
        let own = DocumentSize::of(chunks.iter().filter(is_own).map(size));
        Ok(Merged { document, size: DocumentSize::of(chunks.iter().map(size)), own })
    }

    fn author(&self) -> Author {
        Author { actor: *self.actor.lock(), at: (self.clock)() }
    }

    /// To be called whenever documents are forgotten, before the next edit: one that comes back without an edit of this
    /// device, since that is held or was returned, would give the edit's sequence number to another one.
    fn renew_actor(&self) {
        *self.actor.lock() = self.device.new_actor(&*self.random);
    }

    fn scope_of(&self, id: DocId, kind: DocKind) -> Result<Scope, ReplicaError> {
        let scope = if id.kind() == Some(kind) { self.store.scope_of(id)? } else { None };
        scope.ok_or(ReplicaError::NotFound { kind: kind_word(kind), id })
    }

    /// Observers read what they are told of, so they hear of what this version can read.
    fn announce(&self, event: ReplicaEvent) {
        let known = |docs: Vec<DocId>| -> Vec<DocId> { docs.into_iter().filter(|doc| doc.kind().is_some()).collect() };
        let event = match event {
            ReplicaEvent::Documents(docs) => ReplicaEvent::Documents(known(docs)),
            ReplicaEvent::Removed(docs) => ReplicaEvent::Removed(known(docs)),
            other @ (ReplicaEvent::Receipts | ReplicaEvent::Held | ReplicaEvent::Right | ReplicaEvent::Names) => other,
        };
        self.observers.tell(News::Event(&event));
    }
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replica").field("device", &self.device.id()).finish_non_exhaustive()
    }
}

/// Where a kind's word is shown, for one that only a newer version knows.
const NEWER_KIND: &str = "newer";

pub(crate) const fn kind_word(kind: DocKind) -> &'static str {
    match kind {
        DocKind::Commune => "commune",
        DocKind::Team => "team",
        DocKind::Member => "member",
    }
}

fn known_kind(id: DocId) -> Result<DocKind, ReplicaError> {
    id.kind().ok_or(ReplicaError::NeedsNewerVersion { id })
}

fn merge_edit(from: DocId, into: Option<DocId>) -> DocEdit {
    if from.kind() == Some(DocKind::Team) {
        DocEdit::Team(TeamEdit::MergedInto(into))
    } else {
        DocEdit::Member(MemberEdit::MergedInto(into))
    }
}
