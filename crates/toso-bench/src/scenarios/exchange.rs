//! One phone and a server: coming online with nothing, with one edit, with nothing yet.
//!
//! Each is done directly, for its time and processor time; over a link without delay, for its bytes and messages; and over
//! a link with delay, for its round trips, which are what the delay made it longer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use toso_core::id::DocId;
use toso_core::unit::Scope;

use crate::bench::{Bench, scopes};
use crate::error::BenchError;
use crate::figures::{Round, Step, percentile};
use crate::link::{LinkShape, SlowLink};
use crate::phone::{Door, Phone, households, team_with_note};
use crate::server::ServerProcess;
use crate::watch::{Watch, millis};
use crate::wiretap;

/// Documents of the phone: 10 teams and 50 members.
const DOCUMENTS: usize = 60;
/// Documents that others have brought to the server, at the largest step.
const SERVER_DOCUMENTS: usize = 60_000;
/// Edits that the document has behind it, at the largest step.
const HISTORY: usize = 1_000;
/// Exchanges in a row whose time and processor time are taken, so that the latter, counted in hundredths of a second, says
/// something.
const TIMES: usize = 300;
/// The delay that round trips are counted with: far more than anything else takes.
const COUNTING_DELAY: Duration = Duration::from_millis(200);
/// A bad mobile network.
const FAR: Duration = Duration::from_millis(600);
/// And a slow one.
const SLOW_BITS_PER_SECOND: u32 = 30_000;
/// The text of others' first sync: 60 documents with together 68 KB.
const NOTE_BYTES: usize = 68_000 / DOCUMENTS;

/// A phone that has been in touch before, and ways to its server.
struct Scene {
    bench: Arc<tokio::runtime::Runtime>,
    server: ServerProcess,
    door: Door,
    phone: Phone,
    teams: Vec<DocId>,
    near: SlowLink,
    far: SlowLink,
    edits: u32,
}

impl Scene {
    fn set(bench: &Bench, others: usize) -> Result<Self, BenchError> {
        let server = bench.server()?;
        let door = Door::of(&server)?;
        let scopes = scopes();
        let own = scopes.first().copied().ok_or_else(|| BenchError::failed("the catalogue is empty"))?;
        bench.fill(&door, scopes.get(1..).unwrap_or_default(), others)?;
        let phone = Phone::enrol(&door, own)?;
        let teams = phone.record(DOCUMENTS)?;
        let runtime = bench.runtime();
        runtime.block_on(phone.sync())?;
        door.wait_until_counted(phone.through()?)?;
        // Hears that all is counted, so that nothing is left to be told.
        runtime.block_on(phone.sync())?;
        let near = SlowLink::to(server.address(), Duration::ZERO)?;
        let far = SlowLink::to(server.address(), COUNTING_DELAY)?;
        Ok(Self { bench: runtime, server, door, phone, teams, near, far, edits: 0 })
    }

    /// Changes one field of one team.
    fn edit(&mut self, document: usize) -> Result<Duration, BenchError> {
        self.edits += 1;
        let team = self.teams.get(document % self.teams.len()).ok_or_else(|| BenchError::failed("no team"))?;
        let begun = Instant::now();
        self.phone.replica.edit(*team, &households(self.edits % 900 + 1))?;
        Ok(begun.elapsed())
    }

    fn sync(&self) -> Result<Duration, BenchError> {
        let begun = Instant::now();
        self.bench.block_on(self.phone.sync())?;
        Ok(begun.elapsed())
    }

    /// Over a link, with whatever `before` brings; a first exchange there renews the session unmeasured.
    fn over(
        &mut self,
        link: impl Fn(&Self) -> &SlowLink,
        before: impl Fn(&mut Self) -> Result<(), BenchError>,
    ) -> Result<Duration, BenchError> {
        let (url, home) = (link(self).url().to_owned(), self.server.url().to_owned());
        self.phone.dial_at(&url)?;
        self.sync()?;
        before(self)?;
        let took = self.sync();
        self.phone.dial_at(&home)?;
        self.sync()?;
        took
    }

    /// Bytes, messages and round trips.
    fn traffic(
        &mut self,
        round: &mut Round,
        before: impl Fn(&mut Self) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        let near = self.over(|scene| &scene.near, &before)?;
        count(round, &self.near);
        let far = self.over(|scene| &scene.far, &before)?;
        round.insert("round_trips", (far.saturating_sub(near)).as_secs_f64() / COUNTING_DELAY.as_secs_f64());
        Ok(())
    }
}

/// What the last connection over a link let through.
fn count(round: &mut Round, link: &SlowLink) {
    let passed = link.passed().pop().unwrap_or_default();
    let (up, down) = (passed.up.len() as f64, passed.down.len() as f64);
    // HELLO's token in the request is what a frame would be; the rest of both heads is HTTP's.
    let token = wiretap::hello_bytes(&passed.up) as f64;
    let (head_up, head_down) = (wiretap::head_bytes(&passed.up) as f64, wiretap::head_bytes(&passed.down) as f64);
    round.insert("up_bytes", up);
    round.insert("down_bytes", down);
    round.insert("http_and_frames_bytes", up + down);
    round.insert("frames_up_bytes", up - head_up + token);
    round.insert("frames_down_bytes", down - head_down);
    round.insert("messages_up", wiretap::messages(&passed.up) as f64);
    round.insert("messages_down", wiretap::messages(&passed.down) as f64);
}

/// A phone with nothing new.
pub(super) fn reconnect(bench: &Bench, factor: u32) -> Result<Step, BenchError> {
    let others = bench.sized(SERVER_DOCUMENTS, factor);
    let mut scene = Scene::set(bench, others)?;
    let times = bench.repeated(TIMES);
    let rounds = bench.rounds("reconnect", others, "documents on the server", || {
        let mut round = Round::new();
        let watch = Watch::begin(&scene.server, &scene.door)?;
        let mut took = (0..times).map(|_| scene.sync().map(millis)).collect::<Result<Vec<_>, _>>()?;
        let cost = watch.so_far()?;
        cost.each(&mut round, times);
        round.insert("syncs_each", cost.syncs as f64 / times as f64);
        round.insert("ms", percentile(&mut took, 50));
        scene.traffic(&mut round, |_| Ok(()))?;
        Ok(round)
    })?;
    Ok(Step { size: (others + DOCUMENTS) as f64, rounds })
}

/// A phone with one edit.
pub(super) fn edit(bench: &Bench, factor: u32) -> Result<Step, BenchError> {
    let others = bench.sized(SERVER_DOCUMENTS, factor);
    let mut scene = Scene::set(bench, others)?;
    let times = bench.repeated(TIMES);
    let rounds = bench.rounds("edit", others, "documents on the server", || {
        let mut round = Round::new();
        let mut took = Vec::new();
        let watch = Watch::begin(&scene.server, &scene.door)?;
        for number in 0..times {
            scene.edit(number)?;
            took.push(millis(scene.sync()?));
        }
        let cost = watch.so_far()?;
        cost.each(&mut round, times);
        round.insert("syncs_each", cost.syncs as f64 / times as f64);
        round.insert("ms", percentile(&mut took, 50));
        let mut nothing = Round::new();
        scene.traffic(&mut nothing, |_| Ok(()))?;
        scene.traffic(&mut round, |scene| scene.edit(0).map(drop))?;
        let up = |round: &Round| round.get("frames_up_bytes").copied().unwrap_or_default();
        round.insert("edit_adds_up_bytes", up(&round) - up(&nothing));
        Ok(round)
    })?;
    Ok(Step { size: (others + DOCUMENTS) as f64, rounds })
}

/// A phone that edits one document again and again.
pub(super) fn edit_history(bench: &Bench, factor: u32) -> Result<Step, BenchError> {
    let history = bench.sized(HISTORY, factor);
    let mut scene = Scene::set(bench, 0)?;
    for _ in 0..history {
        scene.edit(0)?;
    }
    scene.sync()?;
    let times = bench.repeated(TIMES / 10);
    let rounds = bench.rounds("edit-history", history, "earlier edits", || {
        let mut round = Round::new();
        let (mut recorded, mut took) = (Vec::new(), Vec::new());
        for _ in 0..times {
            recorded.push(millis(scene.edit(0)?));
            took.push(millis(scene.sync()?));
        }
        round.insert("record_ms", percentile(&mut recorded, 50));
        round.insert("ms", percentile(&mut took, 50));
        scene.over(|scene| &scene.near, |scene| scene.edit(0).map(drop))?;
        count(&mut round, &scene.near);
        Ok(round)
    })?;
    Ok(Step { size: history as f64, rounds })
}

/// An edit that is acknowledged, and a server that dies at that moment.
pub(super) fn kept(bench: &Bench, _factor: u32) -> Result<Step, BenchError> {
    let mut server = bench.server()?;
    let own = scopes().first().copied().ok_or_else(|| BenchError::failed("the catalogue is empty"))?;
    let phone = Phone::enrol(&Door::of(&server)?, own)?;
    let team = *phone.record(1)?.first().ok_or_else(|| BenchError::failed("no team"))?;
    let runtime = bench.runtime();
    runtime.block_on(phone.sync())?;
    let mut value = 0;
    bench
        .rounds("kept", 1, "server killed", || {
            value += 1;
            phone.replica.edit(team, &households(value))?;
            runtime.block_on(phone.sync())?;
            server.kill();
            server.revive()?;
            // Somebody else must find it, from what the server has.
            let other = Phone::enrol(&Door::of(&server)?, own)?;
            runtime.block_on(other.sync())?;
            let found = other.replica.team(team)?.record.households_covered == Some(i64::from(value));
            Ok(Round::from([("kept_of_one", f64::from(u8::from(found)))]))
        })
        .map(|rounds| Step { size: 1.0, rounds })
}

/// A new phone in a commune with records.
pub(super) fn first(bench: &Bench, factor: u32) -> Result<Step, BenchError> {
    let documents = DOCUMENTS * factor as usize;
    let (server, own) = first_scene(bench, |phone| phone.record(documents).map(drop))?;
    let door = Door::of(&server)?;
    let slow = LinkShape { bits_per_second: Some(SLOW_BITS_PER_SECOND), ..LinkShape::far(FAR) };
    let rounds = bench.rounds("first", documents, "documents of the commune", || {
        let mut round = first_directly(bench, &server, &door, own)?;
        let newcomer = |link: &SlowLink| {
            let phone = Phone::enrol(&door, own)?;
            phone.dial_at(link.url())?;
            let begun = Instant::now();
            bench.runtime().block_on(phone.sync())?;
            Ok::<_, BenchError>(begun.elapsed())
        };
        let near = newcomer(&SlowLink::to(server.address(), Duration::ZERO)?)?;
        let far = newcomer(&SlowLink::to(server.address(), FAR)?)?;
        round.insert("far_ms", millis(far));
        round.insert("round_trips", far.saturating_sub(near).as_secs_f64() / FAR.as_secs_f64());
        if factor == 1 {
            let slow = newcomer(&SlowLink::shaped(server.address(), slow.clone())?)?;
            round.insert("far_and_slow_ms", millis(slow));
        }
        Ok(round)
    })?;
    Ok(Step { size: documents as f64, rounds })
}

/// A new phone in a commune whose teams have notes.
pub(super) fn first_text(bench: &Bench, _factor: u32) -> Result<Step, BenchError> {
    let (server, own) = first_scene(bench, |phone| {
        for number in 1..=DOCUMENTS {
            phone.replica.add_team(team_with_note(number, NOTE_BYTES)?)?;
        }
        Ok(())
    })?;
    let door = Door::of(&server)?;
    let rounds =
        bench.rounds("first-text", DOCUMENTS, "teams with notes", || first_directly(bench, &server, &door, own))?;
    Ok(Step { size: DOCUMENTS as f64, rounds })
}

fn first_scene(
    bench: &Bench,
    record: impl Fn(&Phone) -> Result<(), BenchError>,
) -> Result<(ServerProcess, Scope), BenchError> {
    let server = bench.server()?;
    let own = scopes().first().copied().ok_or_else(|| BenchError::failed("the catalogue is empty"))?;
    let door = Door::of(&server)?;
    let phone = Phone::enrol(&door, own)?;
    record(&phone)?;
    bench.runtime().block_on(phone.sync())?;
    door.wait_until_counted(phone.through()?)?;
    Ok((server, own))
}

/// Directly for its time, and over a link without delay for its bytes.
fn first_directly(bench: &Bench, server: &ServerProcess, door: &Door, own: Scope) -> Result<Round, BenchError> {
    let mut round = Round::new();
    let phone = Phone::enrol(door, own)?;
    let begun = Instant::now();
    let report = bench.runtime().block_on(phone.sync())?;
    round.insert("ms", millis(begun.elapsed()));
    round.insert("changes", report.pulled as f64);
    let link = SlowLink::to(server.address(), Duration::ZERO)?;
    let phone = Phone::enrol(door, own)?;
    phone.dial_at(link.url())?;
    bench.runtime().block_on(phone.sync())?;
    count(&mut round, &link);
    Ok(round)
}
