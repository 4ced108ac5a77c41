//! What a power cut would leave: files rebuilt from a trace of a process's writes and syncs.
//!
//! The model of the disk is as unkind as the contract of `fsync` allows. Only what a write had brought before a sync of
//! its file began, and that sync returned, is certain. Of everything later each page of 4 KiB is, independently of all
//! others, as it was after any of its writes or before the first, or torn: each of its 512-byte sectors from one of two
//! such versions. `sync_file_range` counts for nothing. Lengths of files come and go like pages. Names (made, renamed,
//! removed) follow each other in order, since file systems journal them, and those after the last sync of their folder
//! may be missing from some point on.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::trace::{Call, Trace, What};

const PAGE_BYTES: usize = 4096;
/// What a drive writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// How unkind a power cut is to what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// All of it is gone.
    Gone,
    /// All of it is there, as after a kill.
    There,
    /// Page by page by chance, torn ones among them.
    Chance,
}

/// The files of one folder over a trace.
#[derive(Debug)]
pub struct Folder<'a> {
    prefix: String,
    trace: &'a Trace,
    calls: Vec<&'a Call>,
}

/// A file's contents, as the system's cache has it and as the disk is sure to.
#[derive(Debug, Default, Clone)]
struct File {
    durable: Vec<u8>,
    /// Operations since, with the moment they returned.
    pending: Vec<Operation>,
}

#[derive(Debug, Clone)]
struct Operation {
    done: usize,
    change: Change,
}

#[derive(Debug, Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

/// Names since the last sync of the folder.
#[derive(Debug, Clone)]
enum Naming {
    Made(String, usize),
    Renamed(String, String),
    Removed(String),
}

impl<'a> Folder<'a> {
    /// The calls of a trace that concern a folder's own files.
    pub fn of(trace: &'a Trace, folder: &Path) -> Self {
        let prefix = format!("{}/", folder.display());
        let within = |path: &str| path.strip_prefix(&prefix).is_some_and(|name| !name.contains('/'));
        let calls = trace.calls.iter().filter(|call| match &call.what {
            What::Write { to: file, .. }
            | What::Truncate { file, .. }
            | What::Create { file, .. }
            | What::Unlink { file }
            | What::Rename { to: file, .. } => within(file),
            What::Sync { file } => within(file) || prefix.strip_suffix('/') == Some(file),
            What::SyncRange { .. } => false,
        });
        Self { calls: calls.collect(), trace, prefix }
    }

    /// The moments at which something begins to change in the folder, in their order: between two of them a power cut
    /// leaves what it leaves at the former.
    pub fn moments(&self) -> impl Iterator<Item = usize> {
        self.calls.iter().map(|call| call.begin)
    }

    /// Writes what a power cut at `moment` leaves of the folder into `into`.
    pub fn after_power_cut(&self, moment: usize, fate: Fate, rng: &mut StdRng, into: &Path) {
        let mut disk = Disk::default();
        for call in self.calls.iter().filter(|call| call.begin <= moment) {
            // A call under way when the power goes may have done its work, except that a sync under way, or cut off by
            // the end of its process, promises none.
            let promises = call.end.is_some_and(|(end, _)| end <= moment);
            if call.end.is_some_and(|(_, result)| result < 0) || !promises && matches!(call.what, What::Sync { .. }) {
                continue;
            }
            self.follow(&mut disk, call, self.trace.done(call));
        }
        disk.lay_down(fate, rng, into);
    }

    fn follow(&self, disk: &mut Disk, call: &Call, done: usize) {
        let name = |path: &str| path.strip_prefix(&self.prefix).unwrap_or_default().to_owned();
        match &call.what {
            What::Write { to, offset, data } => disk.change(&name(to), |file| {
                let end =
                    file.pending.iter().fold(file.durable.len() as u64, |len, operation| match &operation.change {
                        Change::Write(offset, data) => len.max(offset + data.len() as u64),
                        Change::Length(len) => *len,
                    });
                let change = Change::Write(offset.unwrap_or(end), data.clone());
                file.pending.push(Operation { done, change });
            }),
            What::Truncate { file, len } => {
                disk.change(&name(file), |file| file.pending.push(Operation { done, change: Change::Length(*len) }));
            }
            What::Create { file, truncate } => {
                let name = name(file);
                if !disk.names.contains_key(&name) {
                    disk.files.push(File::default());
                    disk.name(Naming::Made(name, disk.files.len() - 1));
                } else if *truncate {
                    disk.change(&name, |file| file.pending.push(Operation { done, change: Change::Length(0) }));
                }
            }
            What::Rename { from, to } => disk.name(Naming::Renamed(name(from), name(to))),
            What::Unlink { file } => disk.name(Naming::Removed(name(file))),
            What::Sync { file } if Some(file.as_str()) == self.prefix.strip_suffix('/') => {
                disk.durable_names = disk.names.clone();
                disk.pending_names.clear();
            }
            What::Sync { file } => disk.change(&name(file), |file| file.sync(call.begin)),
            What::SyncRange { .. } => {}
        }
    }
}

#[derive(Debug, Default)]
struct Disk {
    files: Vec<File>,
    /// Names as the running system sees them.
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    pending_names: Vec<Naming>,
}

impl Disk {
    fn change(&mut self, name: &str, change: impl FnOnce(&mut File)) {
        if let Some(file) = self.names.get(name).and_then(|index| self.files.get_mut(*index)) {
            change(file);
        }
    }

    fn name(&mut self, naming: Naming) {
        apply(&mut self.names, &naming);
        self.pending_names.push(naming);
    }

    fn lay_down(&self, fate: Fate, rng: &mut StdRng, into: &Path) {
        let kept = match fate {
            Fate::Gone => 0,
            Fate::There => self.pending_names.len(),
            Fate::Chance => rng.random_range(0..=self.pending_names.len()),
        };
        let mut names = self.durable_names.clone();
        for naming in self.pending_names.iter().take(kept) {
            apply(&mut names, naming);
        }
        fs::create_dir_all(into).expect("a temporary folder");
        for (name, index) in names {
            let content = self.files[index].after_power_cut(fate, rng);
            fs::write(into.join(name), content).expect("the image is written");
        }
    }
}

fn apply(names: &mut BTreeMap<String, usize>, naming: &Naming) {
    match naming {
        Naming::Made(name, file) => {
            names.insert(name.clone(), *file);
        }
        Naming::Renamed(from, to) => {
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
        Naming::Removed(name) => {
            names.remove(name);
        }
    }
}

impl File {
    /// What had returned before a sync began is certain once it has returned.
    fn sync(&mut self, began: usize) {
        let (certain, pending): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.pending).into_iter().partition(|operation| operation.done < began);
        for operation in certain {
            perform(&mut self.durable, &operation.change);
        }
        self.pending = pending;
    }

    fn after_power_cut(&self, fate: Fate, rng: &mut StdRng) -> Vec<u8> {
        if fate == Fate::Gone || self.pending.is_empty() {
            return self.durable.clone();
        }
        // Every state the file went through, as the pages that changed in it.
        let mut latest = self.durable.clone();
        let mut lengths = vec![latest.len()];
        let mut versions: BTreeMap<usize, Vec<Vec<u8>>> = BTreeMap::new();
        for operation in &self.pending {
            let range = match &operation.change {
                Change::Write(offset, data) => place(*offset)..place(*offset) + data.len(),
                Change::Length(len) => place(*len)..latest.len(),
            };
            let pages = range.start / PAGE_BYTES..range.end.div_ceil(PAGE_BYTES);
            for number in pages.clone() {
                versions.entry(number).or_insert_with(|| vec![page(&latest, number)]);
            }
            perform(&mut latest, &operation.change);
            lengths.push(latest.len());
            for number in pages {
                versions.entry(number).or_default().push(page(&latest, number));
            }
        }
        if fate == Fate::There {
            return latest;
        }
        let mut content = self.durable.clone();
        content.resize(lengths.iter().copied().max().unwrap_or_default().next_multiple_of(PAGE_BYTES), 0);
        for (number, versions) in versions {
            let (Some(one), Some(other)) = (versions.choose(rng), versions.choose(rng)) else { continue };
            let torn = rng.random_ratio(1, 4);
            let start = number * PAGE_BYTES;
            for sector in (0..PAGE_BYTES).step_by(SECTOR_BYTES) {
                let from = if torn && rng.random() { other } else { one };
                content[start + sector..start + sector + SECTOR_BYTES]
                    .copy_from_slice(&from[sector..sector + SECTOR_BYTES]);
            }
        }
        content.truncate(*lengths.choose(rng).expect("at least one"));
        content
    }
}

fn perform(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(offset, data) => {
            let start = place(*offset);
            let end = start + data.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            content[start..end].copy_from_slice(data);
        }
        Change::Length(len) => content.resize(place(*len), 0),
    }
}

fn page(content: &[u8], number: usize) -> Vec<u8> {
    let start = (number * PAGE_BYTES).min(content.len());
    let mut page = content[start..content.len().min(start + PAGE_BYTES)].to_vec();
    page.resize(PAGE_BYTES, 0);
    page
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).expect("files of a test fit memory")
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn call(moment: usize, what: What) -> Call {
        Call { what, begin: moment, end: Some((moment, 0)) }
    }

    fn write(moment: usize, offset: u64, byte: u8, len: usize) -> Call {
        call(moment, What::Write { to: "/d/db".to_owned(), offset: Some(offset), data: vec![byte; len] })
    }

    /// A file of two pages of 1, synced; then page 0 gets 2 and page 1 gets 3, not synced.
    fn trace() -> Trace {
        let create = What::Create { file: "/d/db".to_owned(), truncate: false };
        let calls = vec![
            call(0, create),
            write(1, 0, 1, 2 * PAGE_BYTES),
            call(2, What::Sync { file: "/d/db".to_owned() }),
            call(3, What::Sync { file: "/d".to_owned() }),
            write(4, 0, 2, PAGE_BYTES),
            write(5, PAGE_BYTES as u64, 3, PAGE_BYTES),
            call(6, What::SyncRange { file: "/d/db".to_owned() }),
        ];
        Trace { calls, moments: 7, ended: Vec::new() }
    }

    fn after(trace: &Trace, moment: usize, fate: Fate, seed: u64) -> Option<Vec<u8>> {
        let into = tempfile::TempDir::new().expect("a temporary folder");
        let mut rng = StdRng::seed_from_u64(seed);
        Folder::of(trace, Path::new("/d")).after_power_cut(moment, fate, &mut rng, into.path());
        fs::read(into.path().join("db")).ok()
    }

    #[test]
    fn what_was_synced_stays_and_the_rest_comes_page_by_page() {
        let trace = trace();
        assert_eq!(after(&trace, 7, Fate::Gone, 0), Some(vec![1; 2 * PAGE_BYTES]));
        let all = [vec![2; PAGE_BYTES], vec![3; PAGE_BYTES]].concat();
        assert_eq!(after(&trace, 7, Fate::There, 0), Some(all.clone()));
        assert_eq!(after(&trace, 3, Fate::Chance, 0), Some(vec![1; 2 * PAGE_BYTES]), "nothing is pending");
        let images: Vec<Vec<u8>> = (0..64).filter_map(|seed| after(&trace, 7, Fate::Chance, seed)).collect();
        let second_without_first = |image: &Vec<u8>| image[0] == 1 && image[PAGE_BYTES] == 3;
        let torn = |image: &Vec<u8>| image[..PAGE_BYTES].windows(2).any(|pair| pair[0] != pair[1]);
        assert!(images.iter().any(second_without_first), "a later page may be there without an earlier one");
        assert!(images.iter().any(torn), "pages can be torn");
        assert!(images.contains(&all));
        assert!(images.iter().flatten().all(|byte| (1..=3).contains(byte)));
    }

    #[test]
    fn a_name_without_a_sync_of_its_folder_may_be_missing() {
        let mut trace = trace();
        assert!(after(&trace, 2, Fate::Gone, 0).is_none(), "the file is synced, its name is not");
        trace.calls.push(call(7, What::Rename { from: "/d/db".to_owned(), to: "/d/other".to_owned() }));
        trace.moments = 8;
        let there = (0..64).filter(|seed| after(&trace, 8, Fate::Chance, *seed).is_some()).count();
        assert!((1..64).contains(&there), "the old name is there {there} times of 64");
    }

    #[test]
    fn a_sync_under_way_promises_nothing_and_one_takes_only_what_returned_before_it_began() {
        let mut trace = trace();
        trace.calls[2].end = Some((3, 0));
        assert_eq!(after(&trace, 2, Fate::Gone, 0), None);
        trace.calls[1].end = Some((3, 0));
        trace.calls[2] = Call { begin: 2, end: Some((4, 0)), ..trace.calls[2].clone() };
        trace.calls[3] = call(4, What::Sync { file: "/d".to_owned() });
        assert_eq!(after(&trace, 4, Fate::Gone, 0), Some(Vec::new()));
    }

    /// A process that ends in the midst of a write has done with it: the next one's write to that place stands.
    #[test]
    fn a_write_cut_off_by_the_end_of_its_process_is_not_done_again_after_the_next_ones() {
        let mut trace = trace();
        trace.calls.truncate(4);
        trace.calls.push(Call { end: None, ..write(4, 0, 2, PAGE_BYTES) });
        trace.ended.push(5);
        trace.calls.push(write(6, 0, 3, PAGE_BYTES));
        trace.calls.push(call(7, What::Sync { file: "/d/db".to_owned() }));
        trace.moments = 8;
        let next = [vec![3; PAGE_BYTES], vec![1; PAGE_BYTES]].concat();
        for fate in [Fate::Gone, Fate::There, Fate::Chance] {
            assert_eq!(after(&trace, 7, fate, 0), Some(next.clone()), "{fate:?}");
        }
    }
}
