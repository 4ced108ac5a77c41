//! What a stretch of work costs: time, processor time of the server and of the devices apart, syncs of the server's disk.

use std::time::{Duration, Instant};

use crate::error::BenchError;
use crate::figures::Round;
use crate::phone::Door;
use crate::process::Process;
use crate::server::ServerProcess;

/// Counts syncs of the server's disk.
const SYNCS: &str = "toso_storage_syncs_total";

/// A stretch of work that has begun.
pub(crate) struct Watch {
    door: Door,
    server: Process,
    server_cpu: Duration,
    own_cpu: Duration,
    syncs: u64,
    begun: Instant,
}

/// What it cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    pub(crate) server_cpu: Duration,
    pub(crate) own_cpu: Duration,
    pub(crate) syncs: u64,
}

impl Watch {
    /// Begins.
    pub(crate) fn begin(server: &ServerProcess, door: &Door) -> Result<Self, BenchError> {
        let process = server.process();
        Ok(Self {
            door: door.clone(),
            syncs: door.metric(SYNCS)?,
            server: process,
            server_cpu: process.cpu().unwrap_or_default(),
            own_cpu: Process::own().cpu().unwrap_or_default(),
            begun: Instant::now(),
        })
    }

    /// What it has cost so far.
    pub(crate) fn so_far(&self) -> Result<Cost, BenchError> {
        let wall = self.begun.elapsed();
        Ok(Cost {
            wall,
            server_cpu: self.server.cpu().unwrap_or_default().saturating_sub(self.server_cpu),
            own_cpu: Process::own().cpu().unwrap_or_default().saturating_sub(self.own_cpu),
            syncs: self.door.metric(SYNCS)?.saturating_sub(self.syncs),
        })
    }
}

impl Cost {
    /// Processor times, shared among so many things.
    pub(crate) fn each(&self, round: &mut Round, things: usize) {
        round.insert("server_cpu_each_ms", millis(self.server_cpu) / things as f64);
        round.insert("client_cpu_each_ms", millis(self.own_cpu) / things as f64);
    }
}

/// In milliseconds.
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
