//! What must always hold, and what must hold once everything has healed.

use std::collections::BTreeSet;
use std::sync::Arc;

use toso_core::change::Entry;
use toso_core::chunk::ChangeHash;
use toso_core::id::{DocId, DocKind, Sequence};
use toso_core::record::Record;
use toso_core::unit::UnitRef;
use toso_replica::Receipt;
use toso_replica::exchange::TouchEvent;
use toso_store::compare::first_difference;
use toso_store::memory::MemoryChangeLog;
use toso_store::records::ERASURES_TABLE;
use toso_store::{ChangeLog, ChunkStore as _, Index as _, Log as _, RecordChange, RecordStore};

use super::model::Counts;
use super::phone::Phone;
use super::server::folder;
use super::world::{Event, World, communes, covers};

/// Virtual time within which everything must be delivered once nothing breaks any more: the longest back-off (5 min)
/// after the longest wait a server may ask for (5 min), and time to exchange.
const HEALING_MS: u64 = 25 * 60_000;
/// Entries that the second server applies at a time.
const TWIN_ENTRIES: usize = 100;
/// How often it is looked whether everything has come to rest.
const LOOK_EVERY_MS: u64 = 1_000;

impl World {
    /// After every event.
    pub(super) fn check_always(&mut self) {
        self.check_log();
        for number in 0..self.phones.len() {
            self.check_phone(number);
        }
    }

    /// New entries of the log: each once, each from a device that may write there.
    fn check_log(&mut self) {
        if self.log_last() == self.log_checked {
            return;
        }
        for entry in self.log_after(self.log_checked) {
            if !self.in_log.insert((entry.change.doc, entry.change.hash())) {
                self.fail("a change is in the log once", format!("{} at {}", entry.change.doc, entry.sequence.0));
            }
            // Of a former unit only what an officer accepted; that nothing else gets there, the end shows.
            let author =
                self.phones.iter().find(|phone| phone.device.is_some_and(|device| device.author() == entry.author));
            if let Some(phone) = author
                && !phone.units.iter().any(|unit| covers(*unit, entry.scope))
            {
                let detail = format!("{} by a device of {}", entry.scope, phone.unit);
                self.fail("devices write in their unit", detail);
            }
            self.log_checked = entry.sequence;
        }
    }

    /// The log is another from here on: what it has is what counts.
    pub(super) fn restored(&mut self) {
        self.restored_after_link = Some(self.next_link);
        self.logged_before_restore = std::mem::take(&mut self.in_log);
        self.log_checked = Sequence::ZERO;
        self.check_log();
    }

    /// After a crash the log must still be what it was, and perhaps more.
    pub(super) fn recheck_log(&mut self) {
        let there: BTreeSet<(DocId, ChangeHash)> =
            self.log_after(Sequence::ZERO).into_iter().map(|entry| (entry.change.doc, entry.change.hash())).collect();
        if !self.in_log.is_subset(&there) {
            self.fail("the log keeps what it had", format!("{} of {} left", there.len(), self.in_log.len()));
        }
        for number in 0..self.phones.len() {
            if !self.phones[number].acked.is_subset(&there) {
                self.fail("acknowledged edits are in the durable log", format!("phone {number}, after a crash"));
            }
        }
    }

    fn log_after(&self, after: Sequence) -> Vec<Entry> {
        self.server.disk.read(after, usize::MAX, usize::MAX).map(|page| page.entries).unwrap_or_default()
    }

    /// A phone hears that an edit is acknowledged.
    pub(super) fn acknowledged(&mut self, number: usize, doc: DocId, hash: ChangeHash) {
        self.phones[number].acked.insert((doc, hash));
        self.count("edits acknowledged");
        // An acknowledgement of the history before a restore may still have been on its way.
        let link = self.phones[number].sync.link.unwrap_or(0);
        if self.restored_after_link.is_some_and(|last| link <= last) {
            return;
        }
        // By the log's entries and not by its own index, which is one of the things that may be wrong.
        self.check_log();
        if !self.in_log.contains(&(doc, hash)) {
            self.fail("acknowledged edits are in the durable log", format!("phone {number}, {doc}"));
        }
    }

    /// A phone's disk after it changed: the cursor's data are there, and nothing of another unit.
    fn check_phone(&mut self, number: usize) {
        // A cursor of the history before counts nothing in this one. What matters is compared once all is healed.
        if self.restored_after_link.is_some() {
            return;
        }
        let phone = &self.phones[number];
        let commits = phone.disk.commits();
        if commits == phone.checked_commits && phone.verified > Sequence::ZERO {
            return;
        }
        let unit = phone.believed_unit();
        let was_moved = phone.was_moved();
        let cursor = phone.disk.cursor(unit).unwrap_or_default();
        let verified = phone.verified.min(cursor);
        let documents = phone.disk.documents().unwrap_or_default();
        // What a device leaves goes once it has handed over what it had; that it went, the end shows.
        let foreign = documents.iter().find(|(scope, _)| !was_moved && !covers(unit, *scope)).copied();
        let missing = self.log_after(verified).into_iter().find(|entry| {
            entry.sequence <= cursor
                && covers(unit, entry.scope)
                && !phone.disk.contains(entry.change.doc, &entry.change.hash()).unwrap_or(false)
        });
        self.phones[number].verified = cursor;
        self.phones[number].checked_commits = commits;
        if let Some((scope, doc)) = foreign {
            self.fail(
                "devices hold their unit's documents only",
                format!("phone {number} of {unit}: {doc} of {scope}"),
            );
        }
        if let Some(entry) = missing {
            let detail =
                format!("phone {number}: cursor {}, {} of {} missing", cursor.0, entry.change.doc, entry.sequence.0);
            self.fail("the cursor is never ahead of its data", detail);
        }
    }

    /// Every save whose call returned is on the phone, and waits to be sent or is acknowledged.
    pub(super) fn check_returned(&mut self, number: usize) {
        let phone = &self.phones[number];
        let waiting: BTreeSet<(DocId, ChangeHash)> =
            phone.disk.outbox(0, usize::MAX).unwrap_or_default().iter().map(|entry| (entry.doc, entry.hash)).collect();
        let marked: BTreeSet<(DocId, ChangeHash)> =
            phone.disk.held().unwrap_or_default().iter().map(|mark| (mark.doc, mark.hash)).collect();
        let lost = phone.returned.iter().find(|(doc, hash)| {
            let there = phone.disk.contains(*doc, hash).unwrap_or(false) || phone.was_moved();
            if marked.contains(&(*doc, *hash)) {
                return false;
            }
            !there || !(waiting.contains(&(*doc, *hash)) || phone.acked.contains(&(*doc, *hash)))
        });
        if let Some((doc, _)) = lost.copied() {
            self.fail("a save that returned stays", format!("phone {number}: {doc}"));
        }
    }

    /// Nothing breaks any more; everything must be delivered, and be equal everywhere.
    pub(super) fn heal(&mut self) {
        self.healing = true;
        self.note("healing begins");
        self.server.skew_ms = 0;
        self.server.disk.set_full(false);
        self.outage_until = 0;
        self.start_server();
        for number in 0..self.phones.len() {
            self.phones[number].disk.set_full(false);
            self.phones[number].no_network_until = 0;
            let life = self.phones[number].life;
            self.start_phone(number, life);
            // Who has no connection is helped by a person; who believes to have one must find out.
            if self.phones[number].sync.link.is_none() {
                self.phone_hears(number, TouchEvent::DialNow);
            }
        }
        let end = self.now + HEALING_MS;
        while self.violation.is_none() && self.now < end {
            self.settle();
            self.until(self.now + LOOK_EVERY_MS);
            if self.restless().is_none() {
                break;
            }
        }
        if self.violation.is_some() {
            return;
        }
        if let Some(why) = self.restless() {
            return self.fail("everything comes to rest", why);
        }
        self.note("everything rests");
        self.check_healed();
    }

    /// Why the world is not at rest; `None` when it is.
    fn restless(&self) -> Option<String> {
        let Some(running) = &self.server.running else { return Some("the server is away".to_owned()) };
        if !running.queue.is_empty() || !running.flushing.is_empty() {
            return Some("the log is flushing".to_owned());
        }
        if running.folder.counted() < self.log_last() {
            return Some(format!("counted {} of {}", running.folder.counted().0, self.log_last().0));
        }
        if let Some(event) = self.queue.values().find(|event| self.is_under_way(event)) {
            return Some(format!("{event:?} is under way"));
        }
        if let Some((link, served)) = running.sessions.iter().find(|(_, served)| served.owed > 0) {
            return Some(format!("the session of link {link} waits for {} answers", served.owed));
        }
        if let Some(why) = self.unsettled() {
            return Some(why);
        }
        for (number, phone) in self.phones.iter().enumerate().filter(|(_, phone)| !phone.tampered) {
            let Some(link) = phone.sync.link else { return Some(format!("phone {number} has no connection")) };
            if !self.links.get(&link).is_some_and(|open| open.alive) || !running.sessions.contains_key(&link) {
                return Some(format!("phone {number} has not noticed that its connection is gone"));
            }
            let waiting = phone.disk.outbox_len().unwrap_or(0);
            if waiting > 0 {
                return Some(format!("phone {number} has {waiting} unsent"));
            }
            if !phone.sync.is_up_to_date() {
                return Some(format!("phone {number} is not up to date"));
            }
            if !phone.counted {
                return Some(format!("phone {number} has not heard that its edits are counted"));
            }
        }
        None
    }

    /// Something that will still move data.
    fn is_under_way(&self, event: &Event) -> bool {
        match event {
            Event::Up { link, .. }
            | Event::Down { link, .. }
            | Event::Accepted { link }
            | Event::Upgrade { link, .. } => self.links.get(link).is_some_and(|open| open.alive && !open.echo),
            Event::PhoneGoesOn { phone, life } => self.phones.get(*phone).is_some_and(|phone| phone.life == *life),
            Event::Worked { life, .. } | Event::News { life, .. } | Event::Flushed { life } | Event::Fold { life } => {
                *life == self.server.life
            }
            Event::Edit
            | Event::Fault
            | Event::SyncStarts { .. }
            | Event::PhoneTime { .. }
            | Event::Network { .. }
            | Event::NotReached { .. }
            | Event::Refused { .. }
            | Event::Ping { .. }
            | Event::Sign { .. }
            | Event::Closed { .. }
            | Event::PhoneNotices { .. }
            | Event::ServerNotices { .. }
            | Event::PhoneStarts { .. }
            | Event::ServerStarts
            | Event::Upheaval
            | Event::SpaceAgain { .. } => false,
        }
    }

    fn check_healed(&mut self) {
        self.check_ends();
        // What was returned, and what builds upon it, is in no figure.
        self.registered = self.model.registered(&self.in_log);
        let log = self.log_after(Sequence::ZERO);
        for number in (0..self.phones.len()).filter(|number| !self.phones[*number].tampered).collect::<Vec<_>>() {
            self.check_returned(number);
            self.check_equal(number, &log);
            self.check_receipts(number);
            self.check_further(number);
        }
        self.check_projection();
        self.check_twin();
        for scope in communes() {
            self.check_model(scope);
        }
        self.check_erasure();
    }

    /// When everything else was looked at, a person is erased: no digest moves, the figures follow, and the other servers come to
    /// the same as this one.
    fn check_erasure(&mut self) {
        let log = self.log_after(Sequence::ZERO);
        let of_person = |entry: &&Entry| entry.change.doc.kind() == Some(DocKind::Member);
        let Some(doc) = log.iter().find(of_person).map(|entry| entry.change.doc) else { return };
        let disk = Arc::clone(&self.server.disk);
        let scopes = communes();
        let before = disk.summary(&scopes, disk.last());
        let key = doc.as_bytes().to_vec();
        let erasure = RecordChange { table: ERASURES_TABLE.to_owned(), key, value: Some(Vec::new()), expect: None };
        if let Err(error) = disk.command(self.server_now(), &[erasure]) {
            return self.fail("a document can be erased", error.to_string());
        }
        *self.counts.entry("documents erased").or_default() += 1;
        let after = disk.summary(&scopes, disk.last());
        let is_gone =
            disk.document(doc).is_ok_and(|entries| entries.iter().all(|entry| entry.change.chunk().is_none()));
        if !is_gone || before.ok() != after.ok() {
            return self.fail("an erased document leaves what is compared", doc.to_string());
        }
        let Some(running) = &mut self.server.running else { return };
        loop {
            match running.folder.fold_page() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => return self.fail("folding reads the log", error.to_string()),
            }
        }
        self.check_projection();
        self.check_twin();
    }

    /// A phone holds what the log has for its unit.
    fn check_equal(&mut self, number: usize, log: &[Entry]) {
        let unit = self.phones[number].unit;
        let wanted: BTreeSet<_> = log
            .iter()
            .filter(|entry| covers(unit, entry.scope))
            .map(|entry| (entry.change.doc, entry.change.hash()))
            .collect();
        let disk = &self.phones[number].disk;
        let held: BTreeSet<_> = disk
            .documents()
            .unwrap_or_default()
            .into_iter()
            .flat_map(|(_, doc)| disk.chunks(doc).unwrap_or_default().into_iter().map(move |chunk| (doc, chunk.hash())))
            .collect();
        let returned = self.returned_here(number);
        let lacking = wanted.difference(&held).next();
        let further = held.difference(&wanted).find(|chunk| !returned.contains(*chunk));
        if lacking.is_some() || further.is_some() {
            let name = |chunk: Option<&(DocId, ChangeHash)>| {
                chunk.map_or("nothing".to_owned(), |(doc, hash)| format!("{} of {doc}", &hash.to_string()[..8]))
            };
            let (here, there) = (held.len(), wanted.len());
            let (lacking, further) = (name(lacking), name(further));
            let detail =
                format!("phone {number}: {here} changes here, {there} at the centre; lacks {lacking}, has {further}");
            self.fail("phones and centre hold the same", detail);
        }
    }

    fn check_receipts(&mut self, number: usize) {
        let Some(replica) = self.phones[number].replica.clone() else { return };
        let (Ok(teams), Ok(members)) = (replica.teams(), replica.members(None)) else {
            return self.fail("replicas can be read", format!("phone {number}"));
        };
        // Of a record that came back with an edit which was returned, the receipt says so.
        let done = |receipt| matches!(receipt, Receipt::Counted | Receipt::Held);
        let uncounted = teams.iter().filter(|team| !done(team.receipt)).count()
            + members.iter().filter(|member| !done(member.receipt)).count();
        if uncounted > 0 {
            self.fail("all receipts are counted", format!("phone {number}: {uncounted} documents are not"));
        }
        let unit = self.phones[number].unit;
        let expected = self.model_of(unit);
        let totals = replica.status().ok().and_then(|status| status.totals);
        if let (Some(expected), Some(totals)) = (expected, totals)
            && (expected.teams, expected.members) != (totals.teams, totals.members)
        {
            let (teams, members) = (totals.teams, totals.members);
            let detail = format!("phone {number} of {unit}: {teams}/{members} shown, {expected:?}");
            self.fail("phones show the centre's figures", detail);
        }
    }

    fn model_of(&self, unit: UnitRef) -> Option<Counts> {
        let mut sum = Counts::default();
        for scope in communes().into_iter().filter(|scope| covers(unit, *scope)) {
            let counts = self.registered.counts(scope)?;
            (sum.teams, sum.members) = (sum.teams + counts.teams, sum.members + counts.members);
        }
        Some(sum)
    }

    /// What was counted in steps, with restarts, equals a count from the beginning of the log.
    fn check_projection(&mut self) {
        let log: Arc<dyn ChangeLog> = Arc::clone(&self.server.disk) as _;
        let records: Arc<dyn RecordStore> = Arc::new(MemoryChangeLog::new());
        let fresh = folder(&log, &records).and_then(|(views, mut folder)| {
            while folder.fold_page().map_err(|error| error.to_string())?.is_some() {}
            Ok(views)
        });
        let fresh = match fresh {
            Ok(fresh) => fresh,
            Err(error) => return self.fail("folding reads the log", error),
        };
        let Some(running) = &self.server.running else { return };
        let difference = running.desk.views.lock().first_difference(&mut fresh.lock());
        if let Some(difference) = difference {
            self.fail("the projection equals a rebuild", format!("{difference:?}"));
        }
    }

    /// An empty server that applies this one's entries in their order has the same log, index, records and figures.
    fn check_twin(&mut self) {
        let disk = Arc::clone(&self.server.disk);
        let twin = Arc::new(MemoryChangeLog::new());
        let applied = loop {
            match disk.tail(twin.end(), TWIN_ENTRIES, usize::MAX) {
                Ok(entries) if entries.is_empty() => break Ok(()),
                Ok(entries) => {
                    if let Err(error) = twin.apply(&entries) {
                        break Err(error);
                    }
                }
                Err(error) => break Err(error),
            }
        };
        match applied.and_then(|()| first_difference(&*disk, &*twin)) {
            Ok(None) => {}
            Ok(Some(difference)) => return self.fail("the same entries give the same server", difference),
            Err(error) => return self.fail("entries can be applied", error.to_string()),
        }
        let (log, records): (Arc<dyn ChangeLog>, Arc<dyn RecordStore>) = (Arc::clone(&twin) as _, twin);
        let counted = folder(&log, &records).and_then(|(views, mut folder)| {
            while folder.fold_page().map_err(|error| error.to_string())?.is_some() {}
            Ok(views)
        });
        let counted = match counted {
            Ok(counted) => counted,
            Err(error) => return self.fail("folding reads the log", error),
        };
        let Some(running) = &self.server.running else { return };
        let difference = running.desk.views.lock().first_difference(&mut counted.lock());
        *self.counts.entry("servers compared").or_default() += 1;
        if let Some(difference) = difference {
            self.fail("the same entries give the same figures", format!("{difference:?}"));
        }
    }

    /// Figures and fields are what people wrote.
    fn check_model(&mut self, scope: UnitRef) {
        let Some(running) = &self.server.running else { return };
        let (_, totals) = running.desk.totals(&[scope]);
        let (teams, members) = totals.first().map_or((0, 0), |totals| (totals.teams, totals.members));
        if let Some(counts) = self.registered.counts(scope) {
            *self.counts.entry("communes counted by the model").or_default() += 1;
            if (counts.teams, counts.members) != (teams, members) {
                self.fail("the figures are what people wrote", format!("{scope}: {teams}/{members}, {counts:?}"));
            }
        }
        let sound = |phone: &Phone| !phone.tampered && !phone.was_moved() && covers(phone.unit, scope);
        let holder = self.phones.iter().position(sound);
        let Some(replica) = holder.and_then(|number| self.phones[number].replica.clone()) else { return };
        let documents = self.registered.documents(scope);
        let (Ok(teams), Ok(members)) = (replica.teams(), replica.members(None)) else { return };
        let records = teams.into_iter().map(|team| (team.id, Record::Team(team.record)));
        let records = records.chain(members.into_iter().map(|member| (member.id, Record::Member(member.record))));
        let records: std::collections::BTreeMap<_, _> = records.collect();
        for (doc, fields) in &documents {
            for (field, values) in fields.iter().filter(|(_, values)| values.len() == 1) {
                let expected = values.first().cloned().unwrap_or_default();
                let found = records.get(doc).and_then(|record| shown(record, field));
                if found.as_ref().is_some_and(|found| *found != expected) || !records.contains_key(doc) {
                    let detail = format!("{doc} {field}: {found:?} shown, {expected} written");
                    return self.fail("the fields are what people wrote", detail);
                }
            }
        }
    }
}

/// A field as text; `None` for one that is not compared.
fn shown(record: &Record, field: &str) -> Option<String> {
    match (record, field) {
        (Record::Team(team), "households_covered") => team.households_covered.map(|number| number.to_string()),
        (Record::Team(team), "status") => Some(team.status.word().to_owned()),
        (Record::Team(team), "merged_into") => Some(team.merged_into.map(|id| id.to_string()).unwrap_or_default()),
        (Record::Member(member), "full_name") => member.full_name.clone(),
        (Record::Member(member), "team") => member.team.map(|id| id.to_string()),
        (Record::Member(member), "merged_into") => {
            Some(member.merged_into.map(|id| id.to_string()).unwrap_or_default())
        }
        _ => None,
    }
}
