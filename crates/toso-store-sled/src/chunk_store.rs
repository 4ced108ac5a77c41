//! A phone's store.
//!
//! Key spaces, by their first byte (numbers are big-endian, `unit` is [`UnitRef::to_key`]):
//!
//! | key | body |
//! | --- | --- |
//! | `m` `counters` | last outbox number (8), last chunk number (8) |
//! | `d` doc (16) | scope (8), then what the document shows, behind a byte 1, when that is kept |
//! | `c` doc (16) hash (32) | chunk number (8), the change; of an erased one the number alone |
//! | `e` doc (16) | scope (8) of a document of which something was erased; it has no `d` key |
//! | `r` doc (16) hash (32) | receipt: sequence (8) |
//! | `o` outbox number (8) | scope (8), doc (16), hash (32) |
//! | `h` doc (16) hash (32) | why the chunk is held |
//! | `k` doc (16) hash (32) | copy of a held chunk: scope (8), the change |
//! | `u` unit (8) | cursor: sequence (8) |
//! | `s` key | setting |

mod layout;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use parking_lot::Mutex;
use toso_core::change::Change;
use toso_core::chunk::{ChangeHash, Chunk};
use toso_core::id::{DocId, Sequence};
use toso_core::unit::{Scope, UnitRef};
use toso_store::{ChunkStore, HeldChunk, Listed, OutboxEntry, StoreError, Transaction};

use crate::engine::Engine;
use crate::folder::Kind;
use crate::group::GroupCommit;
use crate::key::StoreKey;
use crate::options::Options;
use crate::staged::Staged;
use crate::value::Reader;
use layout::{
    cursor_key, doc_in, document_key, hash_in, of_chunk, of_document, outbox_key, parse_chunk, parse_document,
    parse_outbox, parse_scope, parse_sequence, setting_key,
};

const COUNTERS_KEY: &[u8] = b"mcounters";
const DOCUMENT_SPACE: u8 = b'd';
const ERASED_SPACE: u8 = b'e';
const CHUNK_SPACE: u8 = b'c';
const RECEIPT_SPACE: u8 = b'r';
const OUTBOX_SPACE: u8 = b'o';
const HELD_SPACE: u8 = b'h';
const COPY_SPACE: u8 = b'k';
const CURSOR_SPACE: u8 = b'u';
const SETTING_SPACE: u8 = b's';
/// Before what a document shows.
const SHOWN: u8 = 1;
/// The spaces whose keys begin with a document id, which an encrypted folder hides.
const ID_SPACES: &[u8] = &[DOCUMENT_SPACE, ERASED_SPACE, CHUNK_SPACE, RECEIPT_SPACE, HELD_SPACE, COPY_SPACE];

/// Every space: all that the store keeps, but for its counters.
const ALL_SPACES: &[u8] = &[
    DOCUMENT_SPACE,
    ERASED_SPACE,
    CHUNK_SPACE,
    RECEIPT_SPACE,
    OUTBOX_SPACE,
    HELD_SPACE,
    COPY_SPACE,
    CURSOR_SPACE,
    SETTING_SPACE,
];

/// A phone's store on sled.
#[derive(Debug)]
pub struct SledChunkStore {
    engine: Engine,
    commits: GroupCommit<Transaction, Result<(), StoreError>>,
    counters: Mutex<Counters>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counters {
    outbox_last: u64,
    outbox_len: usize,
    chunk_last: u64,
    documents_len: usize,
    /// True once they are in the store, where they stay when all else is removed.
    are_stored: bool,
}

impl Counters {
    /// What a store holds at least that has had a transaction: that, and the chunks that were ever stored. It never falls.
    fn held(self) -> u64 {
        self.chunk_last.saturating_add(1)
    }
}

impl SledChunkStore {
    /// Opens the store in a folder, making it when it is not there.
    pub fn open(folder: impl AsRef<Path>, options: Options) -> Result<Self, StoreError> {
        Self::over(Engine::open(folder.as_ref(), Kind::Field, options)?)
    }

    /// Opens the store in an encrypted folder, making it when it is not there. The key is the app's to keep: without it
    /// nothing in the folder can be read again.
    pub fn open_encrypted(folder: impl AsRef<Path>, options: Options, key: &StoreKey) -> Result<Self, StoreError> {
        Self::over(Engine::open_encrypted(folder.as_ref(), Kind::Field, key, ID_SPACES, options)?)
    }

    /// Makes `new` the key that opens this encrypted folder, instead of `old`, which must be the present one. Whole or
    /// not at all: after a crash exactly one of the two opens it. The data is not encrypted anew, so a thief who has a
    /// copy of the folder and the old key keeps both; write everything into a new folder after such a theft.
    pub fn rotate_key(&self, old: &StoreKey, new: &StoreKey) -> Result<(), StoreError> {
        self.engine.rotate_key(old, new)
    }

    fn over(engine: Engine) -> Result<Self, StoreError> {
        let mut counters = Counters::default();
        if let Some(body) = engine.get(COUNTERS_KEY)? {
            let mut reader = Reader(&body);
            (counters.outbox_last, counters.chunk_last) = reader
                .u64()
                .zip(reader.u64())
                .ok_or_else(|| engine.damaged(COUNTERS_KEY, "it does not hold two numbers"))?;
            counters.are_stored = true;
        }
        counters.outbox_len = engine.tree().scan_prefix([OUTBOX_SPACE]).count();
        counters.documents_len = engine.tree().scan_prefix([DOCUMENT_SPACE]).keys().count();
        // Until the first transaction there is nothing at all.
        if engine.tree().is_empty() {
            engine.low_water().check(0)?;
        } else {
            engine.low_water().check(counters.held())?;
            engine.low_water().note_in_time(counters.held());
        }
        Ok(Self { engine, commits: GroupCommit::default(), counters: Mutex::new(counters) })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.engine.path()
    }

    /// How often this opening has synced the disk: at least once before every commit returned, unless shared.
    pub fn syncs(&self) -> u64 {
        self.engine.syncs()
    }

    /// Bytes that the store takes on the disk.
    pub fn disk_bytes(&self) -> Result<u64, StoreError> {
        self.engine.disk_bytes()
    }

    /// Applies each transaction on its own, so that one which fails leaves the others alone; one flush for all.
    fn commit_group(&self, transactions: Vec<Transaction>) -> Vec<Result<(), StoreError>> {
        let mut answers: Vec<_> =
            transactions.into_iter().map(|transaction| self.engine.contain(|| self.apply(&transaction))).collect();
        if answers.iter().any(Result::is_ok)
            && let Err(error) = self.engine.contain(|| self.engine.make_durable())
        {
            answers.fill(Err(error));
        }
        if answers.iter().any(Result::is_ok) {
            let held = self.counters.lock().held();
            self.engine.low_water().note_in_time(held);
        }
        answers
    }

    fn apply(&self, transaction: &Transaction) -> Result<(), StoreError> {
        self.engine.check_writable(bytes(transaction))?;
        // Only the leader of a group is here, so nobody else changes the counters meanwhile.
        let mut counters = *self.counters.lock();
        let mut staged = Staged::new(&self.engine);
        stage(transaction, &mut counters, &mut staged, &self.engine)?;
        self.engine.apply(staged.into_batch(), || *self.counters.lock() = counters)
    }

    fn entries<T>(
        &self,
        prefix: &[u8],
        parse: impl Fn(&[u8], &[u8]) -> Option<T>,
    ) -> impl Iterator<Item = Result<T, StoreError>> {
        self.engine.scan(prefix).map(move |entry| {
            let (key, body) = entry?;
            parse(&key, &body).ok_or_else(|| self.engine.damaged(&key, "its fields cannot be read"))
        })
    }

    fn value<T>(&self, key: &[u8], parse: impl Fn(&[u8]) -> Option<T>) -> Result<Option<T>, StoreError> {
        let body = self.engine.get(key)?;
        body.map(|body| parse(&body).ok_or_else(|| self.engine.damaged(key, "its fields cannot be read"))).transpose()
    }
}

impl ChunkStore for SledChunkStore {
    fn commit(&self, transaction: Transaction) -> Result<(), StoreError> {
        transaction.check()?;
        let bytes = bytes(&transaction);
        self.commits.submit(transaction, bytes, |transactions| self.commit_group(transactions))
    }

    fn chunks(&self, doc: DocId) -> Result<Vec<Chunk>, StoreError> {
        let _whole = self.engine.read_whole();
        let parse = |key: &[u8], body: &[u8]| {
            let (number, bytes) = parse_chunk(body)?;
            let hash = hash_in(key)?;
            Some((number, bytes.map(|bytes| Chunk::trusted(bytes, hash))))
        };
        let mut chunks = self.entries(&of_document(CHUNK_SPACE, doc), parse).collect::<Result<Vec<_>, _>>()?;
        chunks.sort_unstable_by_key(|(number, _)| *number);
        // What is left of a document of which something was erased is none.
        let whole: Option<Vec<_>> = chunks.into_iter().map(|(_, chunk)| chunk).collect();
        Ok(whole.unwrap_or_default())
    }

    fn contains(&self, doc: DocId, hash: &ChangeHash) -> Result<bool, StoreError> {
        self.engine.contains(&of_chunk(CHUNK_SPACE, doc, hash))
    }

    fn documents(&self) -> Result<Vec<(Scope, DocId)>, StoreError> {
        let _whole = self.engine.read_whole();
        let documents = self.entries(&[DOCUMENT_SPACE], |key, body| Some((parse_scope(body)?, doc_in(key)?)));
        let mut documents = documents.collect::<Result<Vec<_>, _>>()?;
        // The keys of an encrypted folder are in no order.
        documents.sort_unstable_by_key(|(_, doc)| *doc);
        Ok(documents)
    }

    fn erased_documents(&self) -> Result<Vec<(Scope, DocId)>, StoreError> {
        let _whole = self.engine.read_whole();
        let documents = self.entries(&[ERASED_SPACE], |key, body| Some((parse_scope(body)?, doc_in(key)?)));
        let mut documents = documents.collect::<Result<Vec<_>, _>>()?;
        documents.sort_unstable_by_key(|(_, doc)| *doc);
        Ok(documents)
    }

    fn documents_len(&self) -> Result<usize, StoreError> {
        let _whole = self.engine.read_whole();
        Ok(self.counters.lock().documents_len)
    }

    fn listed(&self) -> Result<Vec<Listed>, StoreError> {
        let _whole = self.engine.read_whole();
        let listed = self.entries(&[DOCUMENT_SPACE], |key, body| {
            let (scope, shown) = parse_document(body)?;
            Some(Listed { scope, doc: doc_in(key)?, shown: shown.map(<[u8]>::to_vec) })
        });
        let mut listed = listed.collect::<Result<Vec<_>, _>>()?;
        listed.sort_unstable_by_key(|listed| listed.doc);
        Ok(listed)
    }

    fn shown(&self, doc: DocId) -> Result<Option<Vec<u8>>, StoreError> {
        let _whole = self.engine.read_whole();
        let shown = |body: &[u8]| parse_document(body).map(|(_, shown)| shown.map(<[u8]>::to_vec));
        Ok(self.value(&document_key(doc), shown)?.flatten())
    }

    fn scope_of(&self, doc: DocId) -> Result<Option<Scope>, StoreError> {
        self.value(&document_key(doc), parse_scope)
    }

    fn outbox(&self, after: u64, limit: usize) -> Result<Vec<OutboxEntry>, StoreError> {
        let Some(first) = after.checked_add(1) else { return Ok(Vec::new()) };
        let _whole = self.engine.read_whole();
        let range = outbox_key(first)..=outbox_key(u64::MAX);
        let entries = self.engine.tree().range(range).take(limit);
        entries
            .map(|entry| {
                let (key, body) = self.engine.entry(entry)?;
                parse_outbox(&key, &body).ok_or_else(|| self.engine.damaged(&key, "its fields cannot be read"))
            })
            .collect()
    }

    fn outbox_len(&self) -> Result<usize, StoreError> {
        let _whole = self.engine.read_whole();
        Ok(self.counters.lock().outbox_len)
    }

    fn chunk(&self, doc: DocId, hash: &ChangeHash) -> Result<Chunk, StoreError> {
        let _whole = self.engine.read_whole();
        let chunk = self.value(&of_chunk(CHUNK_SPACE, doc, hash), |body| {
            parse_chunk(body).map(|(_, bytes)| bytes.map(|bytes| Chunk::trusted(bytes, *hash)))
        })?;
        chunk.flatten().ok_or(StoreError::NotFound(*hash))
    }

    fn receipts(&self, doc: DocId) -> Result<Vec<(ChangeHash, Sequence)>, StoreError> {
        let _whole = self.engine.read_whole();
        let prefix = of_document(RECEIPT_SPACE, doc);
        self.entries(&prefix, |key, body| Some((hash_in(key)?, parse_sequence(body)?))).collect()
    }

    fn last_receipt(&self) -> Result<Sequence, StoreError> {
        let _whole = self.engine.read_whole();
        let mut receipts = self.entries(&[RECEIPT_SPACE], |_, body| parse_sequence(body));
        receipts.try_fold(Sequence::ZERO, |last, receipt| Ok(last.max(receipt?)))
    }

    fn last_receipts(&self) -> Result<BTreeMap<DocId, Sequence>, StoreError> {
        let _whole = self.engine.read_whole();
        let mut last: BTreeMap<DocId, Sequence> = BTreeMap::new();
        for receipt in self.entries(&[RECEIPT_SPACE], |key, body| Some((doc_in(key)?, parse_sequence(body)?))) {
            let (doc, sequence) = receipt?;
            let entry = last.entry(doc).or_default();
            *entry = (*entry).max(sequence);
        }
        Ok(last)
    }

    fn keys(&self) -> Result<Vec<(Scope, DocId, ChangeHash)>, StoreError> {
        let _whole = self.engine.read_whole();
        let parse = |key: &[u8], body: &[u8]| Some((doc_in(key)?, parse_scope(body)?));
        let scopes = self.entries(&[DOCUMENT_SPACE], parse).chain(self.entries(&[ERASED_SPACE], parse));
        let scopes = scopes.collect::<Result<HashMap<_, _>, _>>()?;
        let chunks = self.entries(&[CHUNK_SPACE], |key, body| {
            let doc = doc_in(key)?;
            Some((Reader(body).u64()?, (*scopes.get(&doc)?, doc, hash_in(key)?)))
        });
        let mut chunks = chunks.collect::<Result<Vec<_>, _>>()?;
        chunks.sort_unstable_by_key(|(number, _)| *number);
        Ok(chunks.into_iter().map(|(_, key)| key).collect())
    }

    fn held(&self) -> Result<Vec<HeldChunk>, StoreError> {
        let _whole = self.engine.read_whole();
        let held = self.entries(&[HELD_SPACE], |key, body| {
            Some(HeldChunk { doc: doc_in(key)?, hash: hash_in(key)?, why: body.to_vec() })
        });
        let mut held = held.collect::<Result<Vec<_>, _>>()?;
        held.sort_unstable_by_key(|held| (held.doc, held.hash));
        Ok(held)
    }

    fn held_copy(&self, doc: DocId, hash: &ChangeHash) -> Result<Option<(Scope, Chunk)>, StoreError> {
        let _whole = self.engine.read_whole();
        self.value(&of_chunk(COPY_SPACE, doc, hash), |body| {
            let mut body = Reader(body);
            let scope = UnitRef::from_key(body.array()?).ok()?;
            Some((scope, Chunk::trusted(body.0, *hash)))
        })
    }

    fn cursor(&self, unit: UnitRef) -> Result<Sequence, StoreError> {
        Ok(self.value(&cursor_key(unit), parse_sequence)?.unwrap_or_default())
    }

    fn setting(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let _whole = self.engine.read_whole();
        self.engine.get(&setting_key(key))
    }
}

/// Turns a transaction into changes of keys, in the order that [`Transaction`] documents.
fn stage(
    transaction: &Transaction,
    counters: &mut Counters,
    staged: &mut Staged<'_>,
    engine: &Engine,
) -> Result<(), StoreError> {
    let before = *counters;
    if transaction.empty {
        for space in ALL_SPACES {
            for key in staged.keys(&[*space])? {
                staged.remove(&key)?;
            }
        }
        (counters.outbox_len, counters.documents_len) = (0, 0);
    }
    remove_documents(&transaction.remove_documents, counters, staged, engine)?;
    let mut grown = BTreeSet::new();
    for (scope, change) in &transaction.chunks {
        let key = of_chunk(CHUNK_SPACE, change.doc, &change.hash());
        if staged.contains(&key)? {
            continue;
        }
        counters.chunk_last += 1;
        staged.insert(&key, &[&counters.chunk_last.to_be_bytes(), change.bytes()].concat());
        let document = document_key(change.doc);
        if staged.contains(&document)? {
            grown.insert(change.doc);
        } else if !staged.contains(&of_document(ERASED_SPACE, change.doc))? {
            counters.documents_len += 1;
            staged.insert(&document, &scope.to_key());
        }
    }
    erase_chunks(&transaction.erased, counters, staged, engine)?;
    stage_shown(transaction, grown, staged, engine)?;
    if let Some(reset) = transaction.receipts_reset {
        for key in staged.keys(&[RECEIPT_SPACE])? {
            staged.put(&key, &reset.0.to_be_bytes())?;
        }
    }
    for (doc, hash, sequence) in &transaction.receipts {
        if staged.contains(&of_chunk(CHUNK_SPACE, *doc, hash))? {
            staged.put(&of_chunk(RECEIPT_SPACE, *doc, hash), &sequence.0.to_be_bytes())?;
        }
    }
    for number in &transaction.outbox_remove {
        counters.outbox_len -= usize::from(staged.remove(&outbox_key(*number))?);
    }
    for (doc, hash) in resolve_outbox(transaction, staged)? {
        let body = staged.get(&of_chunk(CHUNK_SPACE, doc, &hash))?;
        if body.as_deref().and_then(parse_chunk).is_some_and(|(_, bytes)| bytes.is_none()) {
            continue;
        }
        let document = document_key(doc);
        let body = match staged.get(&document)? {
            Some(body) => Some(body),
            None => staged.get(&of_document(ERASED_SPACE, doc))?,
        };
        let scope = body.as_deref().and_then(parse_scope);
        let scope = scope.ok_or_else(|| engine.damaged(&document, "it is missing beside its chunks"))?;
        counters.outbox_last += 1;
        counters.outbox_len += 1;
        let body = [scope.to_key().as_slice(), doc.as_bytes(), &hash.0].concat();
        staged.insert(&outbox_key(counters.outbox_last), &body);
    }
    for (doc, hash, why) in &transaction.held {
        let key = of_chunk(HELD_SPACE, *doc, hash);
        if let Some(why) = why {
            staged.put(&key, why)?;
        } else {
            staged.remove(&key)?;
            staged.remove(&of_chunk(COPY_SPACE, *doc, hash))?;
        }
    }
    for (doc, hash, copy) in &transaction.held_copies {
        let key = of_chunk(COPY_SPACE, *doc, hash);
        match copy {
            Some(_) if !staged.contains(&of_chunk(HELD_SPACE, *doc, hash))? => {}
            Some((scope, chunk)) => staged.put(&key, &[scope.to_key().as_slice(), chunk.bytes()].concat())?,
            None => _ = staged.remove(&key)?,
        }
    }
    for (unit, sequence) in &transaction.cursors {
        staged.put(&cursor_key(*unit), &sequence.0.to_be_bytes())?;
    }
    for (key, value) in &transaction.settings {
        match value {
            Some(value) => staged.put(&setting_key(key), value)?,
            None => _ = staged.remove(&setting_key(key))?,
        }
    }
    if !before.are_stored || (counters.outbox_last, counters.chunk_last) != (before.outbox_last, before.chunk_last) {
        counters.are_stored = true;
        let body = [counters.outbox_last.to_be_bytes(), counters.chunk_last.to_be_bytes()].concat();
        staged.put(COUNTERS_KEY, &body)?;
    }
    Ok(())
}

/// Sets what documents show; of those that have grown without it, nothing stays.
fn stage_shown(
    transaction: &Transaction,
    grown: BTreeSet<DocId>,
    staged: &mut Staged<'_>,
    engine: &Engine,
) -> Result<(), StoreError> {
    let mut shown: BTreeMap<DocId, Option<&[u8]>> = grown.into_iter().map(|doc| (doc, None)).collect();
    shown.extend(transaction.shown.iter().map(|(doc, shown)| (*doc, Some(shown.as_slice()))));
    for (doc, shown) in shown {
        let key = document_key(doc);
        let Some(body) = staged.get(&key)? else { continue };
        let (scope, before) = parse_document(&body).ok_or_else(|| engine.damaged(&key, "its fields cannot be read"))?;
        match shown {
            Some(shown) => staged.put(&key, &[&scope.to_key(), [SHOWN].as_slice(), shown].concat())?,
            None if before.is_some() => staged.put(&key, &scope.to_key())?,
            None => {}
        }
    }
    Ok(())
}

/// Takes the bytes of chunks away, and their documents out of those that are listed.
fn erase_chunks(
    chunks: &[(Scope, DocId, ChangeHash)],
    counters: &mut Counters,
    staged: &mut Staged<'_>,
    engine: &Engine,
) -> Result<(), StoreError> {
    for (scope, doc, hash) in chunks {
        let key = of_chunk(CHUNK_SPACE, *doc, hash);
        let number = if let Some(body) = staged.get(&key)? {
            Reader(&body).u64().ok_or_else(|| engine.damaged(&key, "its fields cannot be read"))?
        } else {
            counters.chunk_last += 1;
            counters.chunk_last
        };
        staged.put(&key, &number.to_be_bytes())?;
        staged.remove(&of_chunk(COPY_SPACE, *doc, hash))?;
        let (document, erased) = (document_key(*doc), of_document(ERASED_SPACE, *doc));
        let before = staged.get(&document)?.as_deref().and_then(parse_scope);
        counters.documents_len -= usize::from(staged.remove(&document)?);
        if !staged.contains(&erased)? {
            staged.insert(&erased, &before.unwrap_or(*scope).to_key());
        }
    }
    if chunks.is_empty() || counters.outbox_len == 0 {
        return Ok(());
    }
    for entry in engine.scan(&[OUTBOX_SPACE]) {
        let (key, body) = entry?;
        let entry = parse_outbox(&key, &body).ok_or_else(|| engine.damaged(&key, "its fields cannot be read"))?;
        if chunks.iter().any(|(_, doc, hash)| (*doc, *hash) == (entry.doc, entry.hash)) {
            counters.outbox_len -= usize::from(staged.remove(&key)?);
        }
    }
    Ok(())
}

fn remove_documents(
    documents: &[DocId],
    counters: &mut Counters,
    staged: &mut Staged<'_>,
    engine: &Engine,
) -> Result<(), StoreError> {
    let removed: HashSet<_> = documents.iter().copied().collect();
    for doc in &removed {
        for space in [CHUNK_SPACE, RECEIPT_SPACE] {
            for key in staged.keys(&of_document(space, *doc))? {
                staged.remove(&key)?;
            }
        }
        counters.documents_len -= usize::from(staged.remove(&document_key(*doc))?);
        staged.remove(&of_document(ERASED_SPACE, *doc))?;
    }
    if removed.is_empty() || counters.outbox_len == 0 {
        return Ok(());
    }
    for entry in engine.scan(&[OUTBOX_SPACE]) {
        let (key, body) = entry?;
        let entry = parse_outbox(&key, &body).ok_or_else(|| engine.damaged(&key, "its fields cannot be read"))?;
        if removed.contains(&entry.doc) {
            counters.outbox_len -= usize::from(staged.remove(&key)?);
        }
    }
    Ok(())
}

/// Finds the documents of the hashes that go into the outbox, as [`Transaction::outbox_add`] says.
fn resolve_outbox(transaction: &Transaction, staged: &Staged<'_>) -> Result<Vec<(DocId, ChangeHash)>, StoreError> {
    let mut resolved = Vec::with_capacity(transaction.outbox_add.len());
    let mut used = vec![false; transaction.chunks.len()];
    // Read only when some hash is not in the transaction, which is rare: all chunks are looked through.
    let mut stored = None;
    for hash in &transaction.outbox_add {
        let mut found = None;
        let matching = transaction.chunks.iter().zip(&mut used).filter(|((_, change), _)| change.hash() == *hash);
        for ((_, Change { doc, .. }), used) in matching {
            found = Some(*doc);
            if !*used {
                *used = true;
                break;
            }
        }
        if let Some(doc) = found {
            resolved.push((doc, *hash));
            continue;
        }
        let keys = match &mut stored {
            Some(keys) => keys,
            None => stored.insert(staged.keys(&[CHUNK_SPACE])?),
        };
        let before = resolved.len();
        let matching = keys.iter().filter(|key| hash_in(key) == Some(*hash));
        resolved.extend(matching.filter_map(|key| Some((doc_in(key)?, *hash))));
        if resolved.len() == before {
            return Err(StoreError::NotFound(*hash));
        }
    }
    Ok(resolved)
}

/// Bytes that a transaction writes, roughly.
fn bytes(transaction: &Transaction) -> usize {
    let chunks: usize = transaction.chunks.iter().map(|(_, change)| change.bytes().len() + 100).sum();
    let shown: usize = transaction.shown.iter().map(|(_, shown)| shown.len() + 50).sum();
    let settings: usize = transaction.settings.iter().map(|(_, value)| value.as_ref().map_or(0, Vec::len)).sum();
    let held: usize = transaction.held.iter().map(|(_, _, why)| why.as_ref().map_or(0, Vec::len) + 100).sum();
    let copies = transaction.held_copies.iter().filter_map(|(_, _, copy)| copy.as_ref());
    let copies: usize = copies.map(|(_, chunk)| chunk.bytes().len() + 100).sum();
    chunks
        + shown
        + settings
        + held
        + copies
        + 150 * transaction.erased.len()
        + 100 * (transaction.outbox_add.len() + transaction.receipts.len())
}
