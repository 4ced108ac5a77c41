//! Measures a log of national size and a phone's save, on the disk of a folder:
//! `cargo run --release -p toso-store-sled --example append_rate -- FOLDER [BATCHES] [THREADS…]`
//!
//! Batches are as phones push them: about 14 chunks of 150 bytes, most of them the first of their document.
#![allow(clippy::expect_used, reason = "a measurement that cannot go on has nothing to report")]

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use toso_core::change::Change;
use toso_core::chunk::Chunk;
use toso_core::id::{AuthorId, ChangeHash, DocId, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitList, UnitRef};
use toso_store::{ChunkStore, Index as _, Log as _, LogBatch, StoreError, Transaction};
use toso_store_sled::{Options, SledChangeLog, SledChunkStore, StoreKey};

const CHUNKS_PER_BATCH: u32 = 14;
const CHUNK_BYTES: usize = 150;
const COMMUNES: u32 = 10_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("the first argument is a folder for the measurement");
    let batches = arguments.next().map_or(20_000, |count| count.parse().expect("a number of batches"));
    let mut threads: Vec<u32> = arguments.map(|count| count.parse().expect("a number of threads")).collect();
    if threads.is_empty() {
        threads = vec![1, 16, 64];
    }
    let folder = Path::new(&folder);
    for threads in threads {
        measure_log(&folder.join(format!("log-{threads}")), batches, threads);
    }
    measure_phone("phone", || SledChunkStore::open(folder.join("phone"), Options::phone()));
    let key = StoreKey::from_bytes(&[7; 32]);
    let encrypted = folder.join("encrypted");
    measure_phone("encrypted phone", || SledChunkStore::open_encrypted(&encrypted, Options::phone(), &key));
}

fn measure_log(folder: &Path, batches: u32, threads: u32) {
    let log = SledChangeLog::open(folder, Options::server()).expect("the log opens");
    let next = AtomicU32::new(0);
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= batches {
                        break;
                    }
                    log.append(&[batch(number)]).expect("the batch is appended");
                }
            });
        }
    });
    let spent = started.elapsed();
    let chunks = f64::from(batches) * f64::from(CHUNKS_PER_BATCH);
    let syncs = log.syncs();
    println!(
        "{threads} threads: {:.0} chunks/s, {:.0} batches/s, {syncs} syncs, {:.1} s",
        chunks / spent.as_secs_f64(),
        f64::from(batches) / spent.as_secs_f64(),
        spent.as_secs_f64()
    );
    let reading = Instant::now();
    let mut after = Sequence::ZERO;
    loop {
        let page = log.read(after, usize::MAX, 256 * 1024).expect("the log reads");
        after = page.through;
        if !page.more {
            break;
        }
    }
    println!("  read whole: {:?}", reading.elapsed());
    let country: Vec<Scope> = (0..COMMUNES).map(commune).collect();
    let province = country.get(..300).unwrap_or(&country);
    let end = Sequence(after.0.saturating_sub(100));
    for (name, scopes, after) in [
        ("1 scope, first page", province.get(..1).unwrap_or_default(), Sequence::ZERO),
        ("300 scopes, first page", province, Sequence::ZERO),
        ("10,000 scopes, first page", &country, Sequence::ZERO),
        ("10,000 scopes, last 100", &country, end),
    ] {
        let reading = Instant::now();
        let page = log.read_scopes(scopes, after, usize::MAX, 16 * 1024).expect("the log reads");
        println!("  {name}: {:?}, {} entries", reading.elapsed(), page.entries.len());
    }
    println!("  memory: {} MiB", memory_mib());
    drop(log);
    let opening = Instant::now();
    let log = SledChangeLog::open(folder, Options::server()).expect("the log opens again");
    println!("  reopened in {:?}", opening.elapsed());
    let bytes = log.disk_bytes().expect("the size is known");
    println!("  disk: {:.0} MB, {:.0} bytes a chunk", bytes as f64 / 1e6, bytes as f64 / chunks);
}

fn measure_phone(name: &str, open: impl Fn() -> Result<SledChunkStore, StoreError>) {
    let store = open().expect("the store opens");
    let mut latencies: Vec<Duration> = (0..1_000)
        .map(|number| {
            let item = batch(0).items.swap_remove(0);
            let hash = hash(number, 99);
            let change = Change { doc: document(number % 60, 1), chunk: Chunk::trusted(item.bytes(), hash) };
            let chunks = vec![(commune(1), change)];
            let transaction = Transaction { chunks, outbox_add: vec![hash], ..Transaction::default() };
            let started = Instant::now();
            store.commit(transaction).expect("the save is kept");
            started.elapsed()
        })
        .collect();
    latencies.sort_unstable();
    let at = |percent: usize| latencies.get(latencies.len() * percent / 100).copied().unwrap_or_default();
    println!("{name}: a save takes {:?} (p50), {:?} (p99)", at(50), at(99));
    drop(store);
    let opening = Instant::now();
    let store = open().expect("the store opens again");
    println!("  reopened in {:?}", opening.elapsed());
    let reading = Instant::now();
    let documents = store.documents().expect("the store reads");
    let chunks: usize = documents.iter().map(|(_, doc)| store.chunks(*doc).map_or(0, |chunks| chunks.len())).sum();
    println!("  {} documents with {chunks} chunks read in {:?}", documents.len(), reading.elapsed());
    let bytes = store.disk_bytes().expect("the size is known");
    println!("  disk: {bytes} bytes, {:.0} a chunk", bytes as f64 / chunks as f64);
}

fn batch(number: u32) -> LogBatch {
    let item = |index| {
        let hash = hash(number, index);
        let bytes: Vec<u8> = hash.0.iter().copied().cycle().take(CHUNK_BYTES).collect();
        Change { doc: document(number, index), chunk: Chunk::trusted(bytes, hash) }
    };
    let items = (0..CHUNKS_PER_BATCH).map(item).collect();
    LogBatch { scope: commune(number % COMMUNES), author: AuthorId([1; 8]), received_at: TimestampMs(1), items }
}

fn commune(number: u32) -> Scope {
    UnitRef::new(UnitList::L2022, &format!("{number:05}")).expect("five digits are a code")
}

/// Ids as random as real ones: their order has nothing to do with the order they come in.
fn document(batch: u32, index: u32) -> DocId {
    let hash = hash(batch, 1_000 + index);
    DocId::member(commune(batch % COMMUNES), hash.0.first_chunk().copied().unwrap_or_default())
}

fn hash(batch: u32, index: u32) -> ChangeHash {
    ChangeHash(*blake3::hash(&[batch.to_be_bytes(), index.to_be_bytes()].concat()).as_bytes())
}

fn memory_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() / 1024
}
