//! Says which layer of a stopped server's database takes how much of the disk:
//! `cargo run --release -p toso-store-sled --example layers -- DATA/log [FRESH]`
//!
//! Keys and values are counted by space, records by table. What sled adds (pages, segments, free space) is what the files
//! have more than these. With FRESH, a folder that is not there yet, the same keys and values are also written into it in
//! key order, by batches of 1,000: what sled makes of them at best.
#![allow(clippy::expect_used, reason = "a measurement that cannot go on has nothing to report")]

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sled::{Batch, Db};

/// Pairs that are written at a time.
const BATCH_PAIRS: usize = 1_000;

#[derive(Default)]
struct Layer {
    pairs: u64,
    key_bytes: u64,
    value_bytes: u64,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("the first argument is the folder of a database");
    let db = open(Path::new(&folder));
    let mut layers: BTreeMap<String, Layer> = BTreeMap::new();
    for pair in db.iter() {
        let (key, value) = pair.expect("the database can be read");
        let layer = layers.entry(layer_of(&key)).or_default();
        layer.pairs += 1;
        layer.key_bytes += key.len() as u64;
        layer.value_bytes += value.len() as u64;
    }
    let documents = layers.get("d").or(layers.get("x")).map_or(1, |layer| layer.pairs).max(1);
    println!("{:24} {:>9} {:>12} {:>12} {:>10}", "layer", "pairs", "keys, B", "values, B", "B a doc");
    let mut total = 0;
    for (name, Layer { pairs, key_bytes, value_bytes }) in &layers {
        total += key_bytes + value_bytes;
        let each = (key_bytes + value_bytes) / documents;
        println!("{name:24} {pairs:9} {key_bytes:12} {value_bytes:12} {each:10}");
    }
    println!("{:24} {:9} {:>12} {total:12} {:10}", "together", "", "", total / documents);
    drop_and_print("files", db, Path::new(&folder), documents);
    if let Some(fresh) = arguments.next() {
        let db = open(Path::new(&folder));
        let copy = open(Path::new(&fresh));
        let mut batch = (Batch::default(), 0);
        for pair in db.iter() {
            let (key, value) = pair.expect("the database can be read");
            batch.0.insert(key, value);
            batch.1 += 1;
            if batch.1 == BATCH_PAIRS {
                batch.1 = 0;
                copy.apply_batch(std::mem::take(&mut batch).0).expect("the copy can be written");
                copy.flush().expect("the copy can be written");
            }
        }
        copy.apply_batch(batch.0).expect("the copy can be written");
        copy.flush().expect("the copy can be written");
        drop_and_print("files, in key order", copy, Path::new(&fresh), documents);
    }
}

fn open(folder: &Path) -> Db {
    sled::Config::new().path(folder).flush_every_ms(None).open().expect("a database that no process has open")
}

fn drop_and_print(what: &str, db: Db, folder: &Path, documents: u64) {
    drop(db);
    let mut bytes = 0;
    for entry in folder.read_dir().expect("the folder can be read") {
        let entry = entry.expect("the folder can be read");
        let metadata = entry.metadata().expect("the folder can be read");
        let taken = metadata.blocks() * 512;
        println!("  {:22} {:>9} {:12} {taken:12}", entry.file_name().to_string_lossy(), "", metadata.len());
        bytes += taken;
    }
    println!("{what:24} {:9} {:>12} {bytes:12} {:10}", "", "", bytes / documents);
}

/// The space of a key, for a record its table; a further part of a value belongs to the value's.
fn layer_of(key: &[u8]) -> String {
    match key {
        [b'+', of @ ..] => layer_of(of),
        [b't', length, rest @ ..] => {
            let table = rest.get(..usize::from(*length)).unwrap_or_default();
            format!("t {}", String::from_utf8_lossy(table))
        }
        [space, ..] => char::from(*space).to_string(),
        [] => String::new(),
    }
}
