//! What scenarios work with: sizes, folders, servers, and phones by the hundred.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use toso_catalog::Catalog;
use toso_core::unit::{Scope, UnitList, UnitRef};

use crate::error::BenchError;
use crate::figures::Round;
use crate::online::Exchange;
use crate::parallel;
use crate::phone::{Door, Phone};
use crate::server::ServerProcess;

/// The factors that a scenario which grows runs at.
pub const FACTORS: [u32; 3] = [1, 3, 10];
/// The largest of them, at which scale 1 is the size that budgets speak of.
pub(crate) const FACTOR_MAX: u32 = 10;
/// The largest size, of scale and step together. Ten countries take 1.1 GiB of memory in the server and 1 GiB of disk, and all
/// devices are in one process beside it: twenty are what a large machine holds.
pub const SCALE_MAX: f64 = 20.0;
/// Documents of each phone that fills a server.
pub(crate) const DOCUMENTS_PER_PHONE: usize = 60;
/// Phones that are online at the same time where it is not the rush itself that is measured.
pub(crate) const ONLINE: usize = 64;
/// Threads that enrol phones: each waits for the server most of the time.
const ENROLLING: usize = 32;

/// What is to be measured, and how.
#[derive(Debug, Clone, Default)]
pub struct BenchOrder {
    /// Names of scenarios, or how they begin; all when it is empty.
    pub only: Vec<String>,
    /// How large everything is; 1 is the size that budgets speak of.
    pub scale: f64,
    /// How often each step runs.
    pub rounds: u32,
    /// The factors; [`FACTORS`], unless slopes are not wanted.
    pub factors: Vec<u32>,
    /// Leave the data folders in place.
    pub keep: bool,
}

/// What scenarios work with.
pub(crate) struct Bench {
    pub(crate) order: BenchOrder,
    folder: PathBuf,
    runtime: Arc<Runtime>,
    servers: RefCell<u32>,
    /// Data folders of stopped servers that have counted a country, by factor.
    nationals: RefCell<BTreeMap<u32, National>>,
}

/// A stopped server's folder with a country in it.
#[derive(Debug, Clone)]
pub(crate) struct National {
    pub(crate) data: PathBuf,
    /// Teams and members.
    pub(crate) documents: usize,
}

impl Bench {
    pub(crate) fn new(order: BenchOrder, folder: PathBuf) -> Result<Self, BenchError> {
        let runtime = Arc::new(tokio::runtime::Builder::new_multi_thread().enable_all().build()?);
        Ok(Self { order, folder, runtime, servers: RefCell::default(), nationals: RefCell::default() })
    }

    /// How many at this factor, where scale 1 has so many at the largest.
    pub(crate) fn sized(&self, full: usize, factor: u32) -> usize {
        let size = full as f64 * self.order.scale * f64::from(factor) / f64::from(FACTOR_MAX);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sizes are positive and small")]
        let size = size.round() as usize;
        size.max(1)
    }

    /// The part of the country (or how many times it) at this factor.
    pub(crate) fn part(&self, factor: u32) -> f64 {
        self.order.scale * f64::from(factor) / f64::from(FACTOR_MAX)
    }

    /// How often something short is done to be measured: fewer times in a small run.
    pub(crate) fn repeated(&self, times: usize) -> usize {
        self.sized(times, FACTOR_MAX).clamp((times / 10).min(5), times)
    }

    /// The rounds of a step.
    pub(crate) fn rounds(
        &self,
        name: &str,
        size: usize,
        of: &str,
        mut round: impl FnMut() -> Result<Round, BenchError>,
    ) -> Result<Vec<Round>, BenchError> {
        let rounds = self.order.rounds;
        (1..=rounds)
            .map(|number| {
                eprintln!("  {name}, {size} {of}: round {number} of {rounds}");
                round()
            })
            .collect()
    }

    /// The devices' own runtime.
    pub(crate) fn runtime(&self) -> Arc<Runtime> {
        Arc::clone(&self.runtime)
    }

    /// A folder that nobody has.
    pub(crate) fn fresh_folder(&self) -> PathBuf {
        let mut servers = self.servers.borrow_mut();
        *servers += 1;
        self.folder.join(format!("{servers:04}"))
    }

    /// Frees a folder that is not needed any more.
    pub(crate) fn drop_folder(&self, folder: &Path) {
        if !self.order.keep {
            // What is left goes with everything else in the end.
            let _ = std::fs::remove_dir_all(folder);
        }
    }

    /// A new server.
    pub(crate) fn server(&self) -> Result<ServerProcess, BenchError> {
        ServerProcess::start(&self.fresh_folder())
    }

    /// Fills a server with documents, and waits until it has counted them.
    pub(crate) fn fill(&self, door: &Door, scopes: &[Scope], documents: usize) -> Result<(), BenchError> {
        let count = documents.div_ceil(DOCUMENTS_PER_PHONE);
        let phones = phones(door, scopes, count, |phone| phone.record(documents.min(DOCUMENTS_PER_PHONE)).map(drop))?;
        self.online(&phones, ONLINE)?;
        for phone in &phones {
            door.wait_until_counted(phone.through()?)?;
        }
        Ok(())
    }

    /// Brings phones online, so many at a time; how long each took (milliseconds), and what it cost.
    pub(crate) fn online(&self, phones: &[Arc<Phone>], width: usize) -> Result<Vec<(f64, Exchange)>, BenchError> {
        let waiting = Arc::new(Mutex::new(phones.iter().cloned().enumerate().collect::<Vec<_>>()));
        self.runtime.block_on(async {
            let mut places = JoinSet::new();
            for _ in 0..width.min(phones.len()) {
                let waiting = Arc::clone(&waiting);
                places.spawn(async move {
                    let mut done = Vec::new();
                    loop {
                        // The guard must not live through the exchange below.
                        let next = waiting.lock().pop();
                        let Some((number, phone)) = next else { return Ok::<_, BenchError>(done) };
                        let begun = std::time::Instant::now();
                        let exchange = phone.come_online(number).await?;
                        done.push((crate::watch::millis(begun.elapsed()), exchange));
                    }
                });
            }
            let mut all = Vec::with_capacity(phones.len());
            while let Some(ended) = places.join_next().await {
                all.extend(ended??);
            }
            Ok(all)
        })
    }

    /// The folder of a stopped server with this part of the country; made unless there is one.
    pub(crate) fn national(
        &self,
        factor: u32,
        make: impl FnOnce() -> Result<National, BenchError>,
    ) -> Result<National, BenchError> {
        if let Some(national) = self.nationals.borrow().get(&factor) {
            return Ok(national.clone());
        }
        let national = make()?;
        self.keep_national(factor, &national);
        Ok(national)
    }

    /// Keeps a folder for [`Self::national`], in place of the one there was.
    pub(crate) fn keep_national(&self, factor: u32, national: &National) {
        if let Some(old) = self.nationals.borrow_mut().insert(factor, national.clone()) {
            self.drop_folder(&old.data);
        }
    }
}

/// The communes of 2022.
pub(crate) fn scopes() -> &'static [Scope] {
    Catalog::shared().scopes_under(UnitRef::country(UnitList::L2022))
}

/// New phones, dealt out to the communes in turn; each is prepared with `then`.
pub(crate) fn phones(
    door: &Door,
    scopes: &[Scope],
    count: usize,
    then: impl Fn(&Phone) -> Result<(), BenchError> + Sync,
) -> Result<Vec<Arc<Phone>>, BenchError> {
    let wanted: Vec<(usize, Scope)> = scopes.iter().copied().cycle().take(count).enumerate().collect();
    let made = Mutex::new(Vec::with_capacity(count));
    parallel::each(
        ENROLLING,
        &wanted,
        || door.again(),
        |door, (number, scope)| {
            let phone = Phone::enrol(door, *scope)?;
            then(&phone)?;
            made.lock().push((*number, Arc::new(phone)));
            Ok(())
        },
    )?;
    let mut made = made.into_inner();
    made.sort_by_key(|(number, _)| *number);
    Ok(made.into_iter().map(|(_, phone)| phone).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_step_of_scale_one_has_the_full_size() {
        let order = |scale| BenchOrder { scale, rounds: 1, factors: FACTORS.into(), ..BenchOrder::default() };
        let bench = |scale| Bench::new(order(scale), PathBuf::new()).unwrap();
        assert_eq!(FACTORS.map(|factor| bench(1.0).sized(10_000, factor)), [1_000, 3_000, 10_000]);
        assert_eq!(FACTORS.map(|factor| bench(0.001).sized(10_000, factor)), [1, 3, 10]);
        assert_eq!(bench(0.000_001).sized(10_000, 1), 1);
        assert_eq!([0.001, 0.1, 1.0, 7.0].map(|scale| bench(scale).repeated(300)), [5, 30, 300, 300]);
    }
}
