//! The server is restored from an older copy: in the middle of some storms its disk is copied, and at their end the copy
//! takes its place under a new epoch. What was acknowledged since is gone from it, and the phones must give it back: the
//! checks after healing ask for everything that anybody wrote. In some seeds the copy is an empty store under the old
//! keys, which has to learn the devices again by their tokens.

use std::sync::Arc;

use toso_store::faulty::FaultyChangeLog;
use toso_store::{Log as _, RecordChange, RecordStore as _};

use super::plan::Planted;
use super::world::World;

/// One seed in so many is restored.
const RESTORED_EVERY: u64 = 4;
/// One seed in so many goes on with nothing.
const EMPTIED_EVERY: u64 = 8;

impl World {
    /// The storm, with a restore at its end where the seed has one.
    pub(super) fn storm(&mut self) {
        // A server that never compares needs something that only a comparison shows: a copy that goes on under its old epoch.
        let unsaid = self.planted(Planted::ComparisonsIgnored);
        if !(self.plan.seed.is_multiple_of(RESTORED_EVERY) || unsaid) {
            return self.until(self.weather.storm_ms);
        }
        self.until(self.weather.storm_ms / 2);
        let emptied = self.plan.seed.is_multiple_of(EMPTIED_EVERY) && !unsaid;
        let copy = if emptied { FaultyChangeLog::new() } else { (*self.server.disk).clone() };
        self.note("the server's disk is copied");
        self.until(self.weather.storm_ms);
        if self.violation.is_some() {
            return;
        }
        self.crash_server("for good");
        let lost = self.log_last().0.saturating_sub(copy.last().0);
        // As a copy is: nothing under way, nothing broken.
        copy.crash(&[], 0);
        copy.set_full(false);
        let epoch = 1 + self.rng.below(1 << 50);
        let record = |key: &[u8], value: &[u8]| RecordChange {
            table: "server".to_owned(),
            key: key.to_vec(),
            value: Some(value.to_vec()),
            expect: None,
        };
        let from = [1, copy.end().0, self.server_now().0].map(u64::to_be_bytes).concat();
        let changes = [record(b"restored_from", &from), record(b"epoch", &epoch.to_be_bytes())];
        let changes = if unsaid { &changes[..1] } else { &changes[..] };
        if let Err(error) = copy.command(self.server_now(), changes) {
            return self.fail("a copy takes its new epoch", error.to_string());
        }
        self.server.disk = Arc::new(copy);
        self.restored();
        self.count("restores");
        self.note(&format!("the server is restored from its copy, without the last {lost} changes"));
    }
}
