//! What happens at the centre: upgrades, frames, effects, group commits, folding, and the end of its process.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use toso_core::id::Sequence;
use toso_core::unit::{UnitList, UnitRef};
use toso_server::desk::{self, Work};
use toso_server::folding::FoldError;
use toso_server::hub::HubNews;
use toso_server::log_writer::{GROUP_BATCHES_MAX, UnitBatch, append_group};
use toso_server::serving::Step;
use toso_store::LogBatch;
use toso_store::faulty::{LogCall, WriteFault};
use toso_sync::server::{Answer, Appending};
use toso_sync::{AppendOutcome, Ask as _, HoldFate, HoldOutcome, PageRead, ServerEffect, ServerEvent};
use toso_wire::{DecodeError, Frame, Goodbye, GoodbyeCode, decode, encode, hello_from_token};

use super::newer::FURTHER_FRAME;
use super::plan::Planted;
use super::server::{Pushed, Served};
use super::world::{Event, World};

/// The longest read of the server's log.
const READ_MS_MAX: u64 = 40;
/// The longest wait for a page to be folded.
const FOLD_MS_MAX: u64 = 600;
/// Between two pings of a connection: as servers do that are not told otherwise.
const PING_MS: u64 = 45_000;
/// The longest that the server is away after a crash.
const SERVER_OFF_MS_MAX: u64 = 15_000;

impl World {
    pub(super) fn on_upgrade(&mut self, link: u64, token: &str) {
        if !self.links.get(&link).is_some_and(|open| open.alive) {
            return;
        }
        let sessions_max = self.weather.sessions_max;
        let healing = self.healing;
        let Some(running) = &mut self.server.running else { return self.cut(link) };
        if running.sessions.len() >= sessions_max && !healing {
            let delay_ms = self.rng.between(5_000, 35_000);
            self.count("upgrades shed");
            let at = self.arrival(link, false);
            return self.at(at, Event::Refused { link, delay_ms });
        }
        match hello_from_token(token) {
            Ok(hello) => {
                running.sessions.insert(link, Served::new());
                let at = self.arrival(link, false);
                self.at(at, Event::Accepted { link });
                self.after(PING_MS, Event::Ping { link });
                self.serve(link, ServerEvent::Frame(Frame::Hello(hello)));
            }
            Err(error) => self.fail("frames can be read", error.to_string()),
        }
    }

    pub(super) fn on_up(&mut self, link: u64, bytes: &[u8]) {
        if !self.links.get(&link).is_some_and(|open| open.alive) {
            return;
        }
        let event = match decode(bytes) {
            Ok(frame) => ServerEvent::Frame(frame),
            Err(DecodeError::UnknownType { .. }) => return self.count("frames of a further type passed over"),
            Err(error) => return self.fail("frames can be read", error.to_string()),
        };
        let Some(running) = &mut self.server.running else { return };
        let Some(served) = running.sessions.get_mut(&link) else { return };
        served.held.push_back(event);
        self.take_held(link);
    }

    /// A connection of a session that runs is pinged, as long as it runs.
    pub(super) fn ping(&mut self, link: u64) {
        let alive = self.links.get(&link).is_some_and(|open| open.alive);
        if alive && self.server.running.as_ref().is_some_and(|running| running.sessions.contains_key(&link)) {
            let at = self.arrival(link, false);
            self.at(at, Event::Sign { link });
            self.after(PING_MS, Event::Ping { link });
        }
    }

    /// Frames that came while the session was opening.
    fn take_held(&mut self, link: u64) {
        loop {
            let served = self.server.running.as_mut().and_then(|running| running.sessions.get_mut(&link));
            let ready = served.filter(|served| !served.serving.is_opening());
            let Some(event) = ready.and_then(|served| served.held.pop_front()) else { return };
            self.serve(link, event);
        }
    }

    pub(super) fn drop_serving(&mut self, link: u64) {
        if let Some(running) = &mut self.server.running {
            running.sessions.remove(&link);
        }
    }

    /// One event into a session, and everything that follows from it at once.
    pub(super) fn serve(&mut self, link: u64, event: ServerEvent) {
        let mut ready = VecDeque::from([event]);
        while let Some(event) = ready.pop_front() {
            let now = self.server_now();
            let Some(running) = &mut self.server.running else { return };
            let Some(served) = running.sessions.get_mut(&link) else { return };
            if matches!(event, ServerEvent::Answer(_) | ServerEvent::Committed(_)) {
                let Some(owed) = served.owed.checked_sub(1) else {
                    return self.fail("each question of a session is answered once", format!("{event:?}"));
                };
                served.owed = owed;
            }
            let effects = served.serving.handle(now, event);
            served.owed +=
                effects.iter().filter(|it| matches!(it, ServerEffect::Query(_) | ServerEffect::Commit(_))).count();
            for effect in effects {
                if self.server_may_die() {
                    return;
                }
                if let Some(answer) = self.do_for(link, effect) {
                    ready.push_back(answer);
                }
            }
            self.tell_counted(link, &mut ready);
        }
    }

    /// What the session cares about, told once it is counted.
    fn tell_counted(&mut self, link: u64, ready: &mut VecDeque<ServerEvent>) {
        let Some(running) = &mut self.server.running else { return };
        let current = running.folder.counted();
        let Some(served) = running.sessions.get_mut(&link) else { return };
        ready.extend(served.serving.tell_counted(current));
    }

    fn do_for(&mut self, link: u64, effect: ServerEffect) -> Option<ServerEvent> {
        let now = self.server_now();
        let everyone_may = self.planted(Planted::EveryoneMayAll);
        let holds_nothing = self.planted(Planted::HoldsNothing);
        let running = self.server.running.as_mut()?;
        let served = running.sessions.get_mut(&link)?;
        match served.serving.step(&running.desk, &running.hub, now, effect) {
            Step::Answer(event) => Some(self.told(event)),
            Step::Prove(proving) => {
                let proved = proving.check(&running.desk, now);
                let event = served.serving.proved(&running.hub, proved);
                Some(self.told(event))
            }
            Step::Count(_) => None,
            Step::Work(work) => self.work(link, work),
            // Who is let in as another has no record that says so.
            Step::Moved(open) if everyone_may => self.work(link, Work::Open(open)),
            Step::Append(push, batch) => self.append(link, push, batch),
            Step::Hold(hold) if holds_nothing => {
                let fates = vec![HoldFate::Held; hold.items.len()];
                Some(hold.answer(Ok(HoldOutcome { fates, ..HoldOutcome::default() })))
            }
            Step::Hold(hold) => Some(running.desk.hold(hold, now)),
            Step::Send(frame) => {
                self.send_down(link, &encode(&frame), frame.name());
                None
            }
            Step::Moved(_) => {
                self.dismiss(link, GoodbyeCode::Shutdown);
                None
            }
            Step::Ended => {
                self.dismiss(link, GoodbyeCode::Unauthorized);
                None
            }
            Step::Close => {
                running.sessions.remove(&link);
                // What was sent still arrives; the end of the connection after it.
                let at = self.arrival(link, false);
                self.at(at + 1, Event::PhoneNotices { link });
                None
            }
        }
    }

    fn work(&mut self, link: u64, work: Work) -> Option<ServerEvent> {
        let (wait, life) = (self.rng.below(READ_MS_MAX), self.server.life);
        self.after(wait, Event::Worked { link, life, work: Box::new(work) });
        None
    }

    /// An answer as the session hears it.
    fn told(&mut self, mut event: ServerEvent) -> ServerEvent {
        if let ServerEvent::Answer(Answer::Authenticated(Ok(known))) = &mut event {
            // The device told of a move: sessions of its other copies hear of it, whatever else happens.
            if known.standing.reminded {
                self.tell_news();
            }
            if self.planted(Planted::EveryoneMayAll) {
                known.principal.unit = UnitRef::country(UnitList::L2022);
            }
        }
        event
    }

    fn append(&mut self, link: u64, push: Appending, batch: UnitBatch) -> Option<ServerEvent> {
        let planted = self.planted(Planted::AckBeforeFlush);
        let running = self.server.running.as_mut()?;
        let waiting: usize =
            running.queue.iter().chain(&running.flushing).map(|push| push.batch.batch.items.len()).sum();
        let through = Sequence(toso_store::Log::end(&*self.server.disk).0 + (waiting + batch.batch.items.len()) as u64);
        let early =
            AppendOutcome { first_new: None, new: 0, through, refused: Vec::new(), postponed: None, before: None };
        // Under this bug the flush answers nothing more.
        let (push, answer) = if planted { (None, Some(push.answer(Ok(early)))) } else { (Some(push), None) };
        running.queue.push_back(Pushed { link, push, batch });
        self.flush();
        answer
    }

    /// Whatever has queued up goes to the disk together; what comes meanwhile rides the next.
    fn flush(&mut self) {
        let Some(running) = &mut self.server.running else { return };
        if !running.flushing.is_empty() || running.queue.is_empty() {
            return;
        }
        let count = running.queue.len().min(GROUP_BATCHES_MAX);
        running.flushing = running.queue.drain(..count).collect();
        let life = self.server.life;
        let wait = self.rng.below(self.weather.flush_ms_max) + 1;
        self.note(&format!("the log flushes {count} batches"));
        self.after(wait, Event::Flushed { life });
    }

    pub(super) fn on_flushed(&mut self, life: u32) {
        if self.server.life != life || self.server_may_die() {
            return;
        }
        if self.chance(self.weather.server_disk_per_mille) {
            let fault = [WriteFault::Full, WriteFault::Lost, WriteFault::Unanswered][self.rng.index(3)];
            self.server.disk.fail_next(fault);
            self.count("server writes failed");
        }
        let Some(running) = &mut self.server.running else { return };
        let pushed = std::mem::take(&mut running.flushing);
        let batches: Vec<UnitBatch> = pushed.iter().map(|push| push.batch.clone()).collect();
        let outcomes = append_group(&*self.server.disk, &running.quotas, batches);
        let mut grown = false;
        for (push, outcome) in pushed.iter().zip(&outcomes) {
            if let Ok(appended) = outcome
                && let Some(first) = appended.appended.first_new
            {
                running.hub.grew(push.batch.batch.scope, Sequence(first.0 + appended.appended.new as u64 - 1));
                grown = true;
            }
        }
        let links: Vec<u64> = running.sessions.keys().copied().collect();
        self.note(&format!("flushed {} batches, log at {}", pushed.len(), self.log_last().0));
        for (Pushed { link, push, .. }, outcome) in pushed.into_iter().zip(outcomes) {
            if let Some(push) = push {
                self.serve(link, push.answer(outcome.map(desk::outcome)));
            }
        }
        if grown {
            for link in links {
                let wait = self.rng.below(5);
                self.after(wait, Event::News { link, life });
            }
            self.plan_fold();
        }
        if self.server.disk.is_poisoned() {
            // An operator restarts it.
            return self.crash_server("its disk refuses writes");
        }
        self.flush();
    }

    pub(super) fn plan_fold(&mut self) {
        let life = self.server.life;
        let Some(running) = &mut self.server.running else { return };
        if !std::mem::replace(&mut running.fold_planned, true) {
            let wait = self.rng.below(FOLD_MS_MAX);
            self.after(wait, Event::Fold { life });
        }
    }

    pub(super) fn on_fold(&mut self, life: u32) {
        if self.server.life != life || self.server_may_die() {
            return;
        }
        let loses = !self.healing && self.server.loses_a_batch();
        let Some(running) = &mut self.server.running else { return };
        running.fold_planned = false;
        self.server.disk.end_callers_of(loses.then_some(LogCall::Document));
        let folded = running.folder.fold_page();
        self.server.disk.end_callers_of(None);
        match folded {
            Ok(Some(counted)) => {
                let links: Vec<u64> = running.sessions.keys().copied().collect();
                self.note(&format!("counted up to {}", counted.0));
                for link in links {
                    let mut ready = VecDeque::new();
                    self.tell_counted(link, &mut ready);
                    for event in ready {
                        self.serve(link, event);
                    }
                }
                if counted < self.log_last() {
                    self.plan_fold();
                }
            }
            Ok(None) => {}
            // The server notices that a part of it is gone, ends, and is started again.
            Err(FoldError::LostBatch) => {
                self.count("folding batches lost");
                self.crash_server("a folding worker is gone");
            }
            Err(FoldError::Store(error)) => self.fail("folding reads the log", error.to_string()),
        }
    }

    pub(super) fn on_worked(&mut self, link: u64, life: u32, work: Work) {
        if self.server.life != life || self.server_may_die() {
            return;
        }
        let (foreign, now) = (self.planted(Planted::ForeignPages), self.server_now());
        let ignored = self.planted(Planted::ComparisonsIgnored);
        let Some(running) = self.server.running.as_ref().filter(|running| running.sessions.contains_key(&link)) else {
            return;
        };
        let answer = match work {
            Work::ReadPage(read) if foreign => {
                let page = running.desk.read_page(UnitRef::country(UnitList::L2022), read.after);
                page.map(|page| {
                    let unit = read.unit;
                    read.answer(PageRead { unit, ..page })
                })
            }
            Work::Open(open) if ignored => running.desk.open(open.epoch, &open.interests).map(|mut opened| {
                for (told, interest) in open.interests.iter().zip(&mut opened.interests) {
                    interest.reconcile = None;
                    interest.cursor = told.cursor.min(toso_store::Log::last(&*self.server.disk));
                }
                open.answer(opened)
            }),
            work @ (Work::Open(_)
            | Work::ReadPage(_)
            | Work::ReadElements(_)
            | Work::ReadWanted(_)
            | Work::ReadTotals(_)
            | Work::VerifyCarried(_)
            | Work::KeepTold(_)) => running.desk.perform(work, now),
        };
        match answer {
            Ok(event) => {
                self.serve(link, event);
                self.take_held(link);
            }
            Err(error) => self.fail("the desk answers reads", error.to_string()),
        }
    }

    pub(super) fn on_news(&mut self, link: u64, life: u32) {
        if self.server.life != life {
            return;
        }
        let served = self.server.running.as_ref().and_then(|running| running.sessions.get(&link));
        let Some(subscription) = served.and_then(|served| served.serving.subscription()) else { return };
        let ready = {
            let mut news = std::pin::pin!(subscription.news());
            match news.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(ready) => ready,
                Poll::Pending => return,
            }
        };
        match ready {
            HubNews::Grew(grown) => {
                for (unit, through) in grown {
                    self.serve(link, ServerEvent::Grew { unit, through });
                }
            }
            HubNews::Decided => self.serve(link, ServerEvent::Decided),
            HubNews::Moved => return self.dismiss(link, GoodbyeCode::Shutdown),
            HubNews::Replaced => return self.dismiss(link, GoodbyeCode::Overload),
            // Nobody is revoked here.
            other @ HubNews::Revoked => {
                return self.fail("sessions hear what there is", format!("link {link}: {other:?}"));
            }
        }
        // There may be more.
        self.after(1, Event::News { link, life });
    }

    /// The driver ends a session for a reason of its own.
    fn dismiss(&mut self, link: u64, code: GoodbyeCode) {
        self.send_down(link, &encode(&Frame::Goodbye(Goodbye { code, detail: String::new() })), "GOODBYE");
        self.drop_serving(link);
        let at = self.arrival(link, false);
        self.at(at + 1, Event::PhoneNotices { link });
    }

    fn send_down(&mut self, link: u64, bytes: &[u8], name: &str) {
        self.trace.absorb(bytes);
        if !self.links.get(&link).is_some_and(|open| open.alive) {
            return;
        }
        self.note(&format!("link {link} down {name} of {} bytes", bytes.len()));
        if self.cut_within_frame(link) {
            return;
        }
        if self.goes_further() {
            let at = self.arrival(link, false);
            self.at(at, Event::Down { link, bytes: FURTHER_FRAME.to_vec() });
        }
        let at = self.arrival(link, false);
        self.at(at, Event::Down { link, bytes: bytes.to_vec() });
    }

    pub(super) fn server_may_die(&mut self) -> bool {
        // Its boundaries are crossed for all phones, so each crossing is less likely to be the last.
        let dies = self.weather.kill_per_mille > 0 && self.chance(1) && self.chance(150);
        if dies {
            self.crash_server("between two effects");
        }
        dies
    }

    /// The server's process ends at once, with whatever its disk was doing.
    pub(super) fn crash_server(&mut self, why: &str) {
        let Some(running) = self.server.running.take() else { return };
        self.count("server crashes");
        let torn = self.rng.index(running.flushing.len() + 1);
        let kept = self.rng.index(self.server.disk.unflushed() + 1);
        let batches: Vec<LogBatch> = running.flushing.iter().take(torn).map(|push| push.batch.batch.clone()).collect();
        let links: Vec<u64> = running.sessions.keys().copied().collect();
        drop(running);
        self.server.life += 1;
        self.server.disk.crash(&batches, kept);
        self.note(&format!("the server dies: {why}; {torn} batches under way were written, {kept} disposable writes"));
        for link in links {
            self.cut(link);
        }
        self.recheck_log();
        let off = self.rng.between(100, SERVER_OFF_MS_MAX);
        self.after(off, Event::ServerStarts);
    }

    /// The server says GOODBYE to its sessions and ends.
    pub(super) fn stop_server(&mut self) {
        let Some(running) = &self.server.running else { return };
        let links: Vec<u64> = running.sessions.keys().copied().collect();
        self.note("the server stops");
        for link in links {
            self.serve(link, ServerEvent::Shutdown);
        }
        self.crash_server("its operator stopped it");
    }

    pub(super) fn start_server(&mut self) {
        if self.server.running.is_some() {
            return;
        }
        match self.server.start(self.server_now()) {
            Ok(()) => {
                self.note(&format!(
                    "the server starts, log at {}, counted {}",
                    self.log_last().0,
                    self.server.counted().0
                ));
                self.plan_fold();
            }
            Err(error) => self.fail("the server starts", error),
        }
    }

    pub(super) fn log_last(&self) -> Sequence {
        toso_store::Log::last(&*self.server.disk)
    }
}
