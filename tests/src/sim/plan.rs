//! What a run of the simulation is to be: its seed, its weather, and a planted bug if any.

use super::rng::Rng;

/// A bug planted in the simulated surroundings, never in production code, to prove that the checks would see the like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// The server acknowledges a push before the flush.
    AckBeforeFlush,
    /// A phone's disk writes cursors before the rest of their transaction.
    CursorBeforeData,
    /// The server's log does not know which chunks it has.
    LostIdentities,
    /// Every device is let in as one that may see and write everything.
    EveryoneMayAll,
    /// Pages are read from the whole country instead of the unit asked for.
    ForeignPages,
    /// The server's disk silently loses a chunk now and then.
    ServerDropsChunks,
    /// A phone's disk silently loses a pulled chunk now and then.
    PhoneDropsChunks,
    /// The server never compares, whatever digests say; its restore goes on under the old epoch.
    ComparisonsIgnored,
    /// The review queue says that it holds an edit, and does not.
    HoldsNothing,
    /// A folding worker loses a batch, and counting goes on as if nothing had been in it.
    CountsOverLostBatches,
}

/// What to simulate.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Decides everything.
    pub seed: u64,
    /// The planted bug.
    pub planted: Option<Planted>,
    /// One phone and the server are of a newer build, which knows a further kind of document and a further type of frame.
    pub newer: bool,
    /// Print the trace as it happens.
    pub print: bool,
}

impl Plan {
    /// A plain run of a seed.
    pub fn of(seed: u64) -> Self {
        Self { seed, planted: None, newer: false, print: false }
    }
}

/// How rough it is; drawn from the seed, so that some seeds are calm (long sessions, paging, live changes) and others
/// wild (nothing ever finishes).
#[derive(Debug, Clone)]
pub(super) struct Weather {
    /// Phones.
    pub(super) phones: usize,
    /// Virtual time with edits and faults.
    pub(super) storm_ms: u64,
    /// Between two edits, on average.
    pub(super) edit_every_ms: u64,
    /// Between two faults, on average.
    pub(super) fault_every_ms: u64,
    /// The longest way of a frame.
    pub(super) delay_ms_max: u64,
    /// The longest flush.
    pub(super) flush_ms_max: u64,
    /// A phone is killed at an effect, so often in a thousand.
    pub(super) kill_per_mille: u32,
    /// A frame is the last that its connection carries, so often in a thousand.
    pub(super) cut_per_mille: u32,
    /// An upgrade request arrives twice, so often in a thousand.
    pub(super) twice_per_mille: u32,
    /// A write of a phone fails, so often in a thousand.
    pub(super) phone_disk_per_mille: u32,
    /// A write of the server fails, so often in a thousand.
    pub(super) server_disk_per_mille: u32,
    /// Sessions that the server takes.
    pub(super) sessions_max: usize,
}

impl Weather {
    /// The weather of a seed.
    pub(super) fn of(rng: &mut Rng) -> Self {
        let rough = [0, 1, 1, 3][rng.index(4)];
        Self {
            phones: 2 + rng.index(5),
            storm_ms: rng.between(60_000, 400_000),
            edit_every_ms: rng.between(500, 8_000),
            fault_every_ms: if rough == 0 { 200_000 } else { rng.between(3_000, 40_000) },
            delay_ms_max: [20, 300, 1_500, 6_000][rng.index(4)],
            flush_ms_max: [5, 60, 900, 5_000][rng.index(4)],
            kill_per_mille: rough * u32::try_from(rng.below(8)).unwrap_or(0),
            cut_per_mille: rough * u32::try_from(rng.below(25)).unwrap_or(0),
            twice_per_mille: rough * u32::try_from(rng.below(80)).unwrap_or(0),
            phone_disk_per_mille: rough * u32::try_from(rng.below(12)).unwrap_or(0),
            server_disk_per_mille: rough * u32::try_from(rng.below(25)).unwrap_or(0),
            sessions_max: 2 + rng.index(20),
        }
    }
}
