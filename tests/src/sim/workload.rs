//! What people do, and what breaks.

use std::collections::BTreeSet;

use toso_core::chunk::{ChangeHash, Chunk};
use toso_core::document::Document;
use toso_core::edit::{DocEdit, MemberEdit, TeamEdit};
use toso_core::id::{DocId, DocKind};
use toso_core::text::{PersonName, PlaceName};
use toso_core::unit::Scope;
use toso_replica::exchange::TouchEvent;
use toso_replica::{ReplicaError, TeamDraft};
use toso_store::{ChunkStore as _, StoreError};

use super::model::Saved;
use super::phone_side::SharedReplica;
use super::world::{Event, World, communes};

/// Hamlets of a commune: few, so that phones meet in them.
const HAMLETS: u64 = 4;
/// Milliseconds of a year.
const YEAR_MS: i64 = 365 * 24 * 3600 * 1000;

/// How a save is made.
pub(super) type Make = Box<dyn FnOnce(&SharedReplica) -> Result<(), ReplicaError>>;

/// A save that is about to be made.
pub(super) struct Wanted {
    pub(super) scope: Scope,
    pub(super) doc: Option<DocId>,
    pub(super) fields: Vec<(&'static str, String)>,
    pub(super) make: Make,
}

impl World {
    pub(super) fn edit_somewhere(&mut self) {
        let number = self.rng.index(self.phones.len());
        if !self.phones[number].tampered
            && let Some(replica) = self.phones[number].replica.clone()
            && let Some(wanted) = self.choose(number, &replica)
        {
            self.save(number, &replica, wanted);
        }
        if !self.healing {
            let wait = self.rng.below(2 * self.weather.edit_every_ms) + 1;
            self.after(wait, Event::Edit);
        }
    }

    fn choose(&mut self, number: usize, replica: &SharedReplica) -> Option<Wanted> {
        if let Some(further) = self.further(number) {
            return Some(further);
        }
        let documents = self.phones[number].disk.documents().ok()?;
        let of_kind = |kind| -> Vec<(Scope, DocId)> {
            documents.iter().copied().filter(|(_, doc)| doc.kind() == Some(kind)).collect()
        };
        let (teams, members) = (of_kind(DocKind::Team), of_kind(DocKind::Member));
        let any = |rng: &mut super::rng::Rng, list: &[(Scope, DocId)]| list.get(rng.index(list.len())).copied();
        match self.rng.below(100) {
            0..30 => Some(self.new_team(number)),
            30..55 => {
                let (scope, doc) = any(&mut self.rng, &teams)?;
                let households = self.rng.below(500).to_string();
                Some(plain(scope, doc, "households_covered", households))
            }
            55..75 => {
                let (scope, team) = any(&mut self.rng, &teams)?;
                let name = format!("Nguyễn Văn Thử {}", ["An", "Bình", "Chi", "Dung"][self.rng.index(4)]);
                let edit = MemberEdit::FullName(PersonName::parse(&name).ok()?);
                Some(Wanted {
                    scope,
                    doc: None,
                    fields: vec![("team", team.to_string()), ("full_name", name)],
                    make: Box::new(move |replica| replica.add_member(team, vec![edit]).map(|_| ())),
                })
            }
            75..82 => {
                let (scope, doc) = any(&mut self.rng, &members)?;
                let name = format!("Trần Thị Thử {}", ["Hoa", "Lan", "Mai"][self.rng.index(3)]);
                Some(plain(scope, doc, "full_name", name))
            }
            82..86 => {
                let (scope, doc) = any(&mut self.rng, &teams)?;
                let status = ["active", "suspended"][self.rng.index(2)].to_owned();
                Some(plain(scope, doc, "status", status))
            }
            86..91 => {
                let list = if self.rng.chance(500) { &teams } else { &members };
                let (scope, from) = any(&mut self.rng, list)?;
                let (other, into) = any(&mut self.rng, list)?;
                (scope == other).then(|| Wanted {
                    scope,
                    doc: Some(from),
                    fields: vec![("merged_into", into.to_string())],
                    make: Box::new(move |replica| replica.merge(from, into).map(drop)),
                })
            }
            91..93 => {
                let list = if self.rng.chance(500) { &teams } else { &members };
                let (scope, from) = any(&mut self.rng, list)?;
                Some(Wanted {
                    scope,
                    doc: Some(from),
                    fields: vec![("merged_into", String::new())],
                    make: Box::new(move |replica| replica.unmerge(from).map(drop)),
                })
            }
            _ => {
                let conflicts = replica.conflicts().ok()?;
                let conflict = conflicts.get(self.rng.index(conflicts.len()))?;
                let value = conflict.values.get(self.rng.index(conflict.values.len()))?.written.value.clone();
                let known = ["households_covered", "full_name", "status", "merged_into", "local_name"];
                let field = known.into_iter().find(|known| *known == conflict.field)?;
                let scope = self.phones[number].disk.scope_of(conflict.id).ok()??;
                let (doc, text) = (conflict.id, value.clone());
                Some(Wanted {
                    scope,
                    doc: Some(doc),
                    fields: vec![(field, value)],
                    make: Box::new(move |replica| replica.resolve(doc, field, &text)),
                })
            }
        }
    }

    /// Where a phone records something new.
    pub(super) fn commune_of(&mut self, number: usize) -> Scope {
        let unit = self.phones[number].unit;
        if communes().contains(&unit) { unit } else { communes()[self.rng.index(3)] }
    }

    fn new_team(&mut self, number: usize) -> Wanted {
        let scope = self.commune_of(number);
        let hamlet = format!("Thôn {}", 1 + self.rng.below(HAMLETS));
        let households = self.rng.below(500);
        let place = PlaceName::parse(&hamlet).expect("a name");
        let edits = vec![TeamEdit::HouseholdsCovered(u32::try_from(households).ok())];
        Wanted {
            scope,
            doc: None,
            fields: vec![
                ("level", "hamlet".to_owned()),
                ("hamlet", hamlet),
                ("households_covered", households.to_string()),
            ],
            make: Box::new(move |replica| {
                let draft = TeamDraft { commune: Some(scope), hamlet: Some(place), edits, ..TeamDraft::default() };
                replica.add_team(draft).map(|_| ())
            }),
        }
    }

    /// Makes a save, on a disk that may fail, in a process that may be killed before the call returns.
    fn save(&mut self, number: usize, replica: &SharedReplica, wanted: Wanted) {
        let Wanted { scope, doc, fields, make } = wanted;
        let saved = Saved { scope, doc: doc.unwrap_or(DocId::commune(scope)), fields, seen: BTreeSet::new() };
        self.phone_disk_may_fail(number);
        self.count("edits tried");
        // What the author has of every document: which one it is comes out with the save.
        let before = self.phones[number].disk.clone();
        // What waits for a change that it builds on is not in the document yet.
        let known = |doc: DocId| in_document(doc, &before.chunks(doc).unwrap_or_default());
        let seen = doc.map(known).unwrap_or_default();
        let saved = Saved { seen, ..saved };
        match make(replica) {
            Ok(()) => {
                let found = self.adopt(number, Some(saved), true);
                if found {
                    self.count("edits saved");
                    self.local_edit(number);
                }
            }
            Err(ReplicaError::Store(error)) => {
                self.count("phone writes failed");
                self.note(&format!("phone {number} cannot save: {error}"));
                if !matches!(error, StoreError::Poisoned { .. } | StoreError::Full { .. }) {
                    self.phones[number].unanswered = Some(saved);
                }
                if self.chance(500) {
                    self.kill_phone(number, "while it saved");
                } else {
                    self.phone_disk_failed(number);
                }
            }
            // Refused by a rule: the hamlet has a team, the merge would be a circle, and the like.
            Err(_) => {}
        }
    }

    /// Takes what is new in a phone's outbox into the model; `false` when there is nothing.
    fn adopt(&mut self, number: usize, saved: Option<Saved>, returned: bool) -> bool {
        let mut entries =
            self.phones[number].disk.outbox(self.phones[number].outbox_seen, usize::MAX).unwrap_or_default();
        let Some(last) = entries.last().map(|entry| entry.number) else { return false };
        self.phones[number].outbox_seen = last;
        // What a comparison put there again is no save, nor what is handed over again.
        entries.retain(|entry| {
            let again = self.logged_before_restore.contains(&(entry.doc, entry.hash));
            !again && !self.model.has(entry.doc, entry.hash)
        });
        let Some(entry) = entries.first() else { return false };
        if entries.len() > 1 {
            self.fail("one save is one change", format!("phone {number}: {} entries", entries.len()));
        }
        let Some(mut saved) = saved else {
            self.fail("nothing is saved that nobody made", format!("phone {number}: {}", entry.doc));
            return false;
        };
        saved.doc = entry.doc;
        if entry.scope != saved.scope {
            self.fail("a save stays in its commune", format!("{} in {}", entry.doc, entry.scope));
        }
        let [a, b, c, d, ..] = entry.hash.0;
        let hash = format!("{:08x}", u32::from_be_bytes([a, b, c, d]));
        let fields: Vec<String> = saved.fields.iter().map(|(field, value)| format!("{field}={value}")).collect();
        self.note(&format!("phone {number} saves {hash} of {}: {}", entry.doc, fields.join(" ")));
        if returned {
            self.phones[number].returned.insert((entry.doc, entry.hash));
        }
        self.model.save(entry.hash, saved);
        true
    }

    /// After a start: what came to light, and whether everything is there that must be.
    pub(super) fn after_restart(&mut self, number: usize) {
        let unanswered = self.phones[number].unanswered.take();
        // A call that never returned may have saved or not; from now on it is as any other.
        if self.phones[number].disk.outbox(self.phones[number].outbox_seen, 1).is_ok_and(|new| !new.is_empty()) {
            self.adopt(number, unanswered, true);
            self.count("unanswered saves that came to light");
        }
        self.check_returned(number);
    }

    /// Something breaks.
    pub(super) fn break_something(&mut self) {
        if self.healing {
            return;
        }
        let number = self.rng.index(self.phones.len());
        let calm = self.weather.fault_every_ms >= 200_000;
        match self.rng.below(100) {
            _ if calm => {}
            0..18 => self.kill_phone(number, "by its owner"),
            18..30 => self.crash_server("power failure"),
            30..35 => self.stop_server(),
            35..53 => {
                if let Some(link) = self.phones[number].sync.link {
                    self.count("connections cut");
                    self.note(&format!("link {link} breaks"));
                    self.cut(link);
                }
            }
            53..57 => {
                self.count("networks changed");
                self.note(&format!("phone {number} is in another network"));
                self.phone_hears(number, TouchEvent::Network { online: true });
            }
            57..60 => {
                self.count("syncs asked for");
                self.note(&format!("phone {number} is told to sync now"));
                self.phone_hears(number, TouchEvent::DialNow);
            }
            60..70 => {
                let until = self.now + self.rng.between(1_000, 90_000);
                self.note(&format!("phone {number} has no network"));
                self.phones[number].no_network_until = until;
                if let Some(link) = self.phones[number].sync.link {
                    self.cut(link);
                }
                // Not every platform tells.
                if self.rng.chance(500) {
                    self.phone_hears(number, TouchEvent::Network { online: false });
                    self.at(until + 1, Event::Network { phone: number, online: true });
                }
            }
            70..74 => self.outage(),
            74..84 => {
                let years = i64::try_from(self.rng.below(21)).unwrap_or(0) - 10;
                let jitter = i64::try_from(self.rng.below(7_200_000)).unwrap_or(0);
                self.phones[number].skew_ms = years * YEAR_MS + jitter;
                self.count("clocks moved");
                self.note(&format!("phone {number}'s clock is off by {} ms", self.phones[number].skew_ms));
            }
            84..89 => {
                let steps = [0, -3_600_000, 3_600_000, 10 * 24 * 3_600_000, -10 * 24 * 3_600_000, 2 * YEAR_MS];
                self.server.skew_ms = steps[self.rng.index(steps.len())];
                self.count("clocks moved");
                self.note(&format!("the server's clock is off by {} ms", self.server.skew_ms));
            }
            89..95 => {
                self.phones[number].disk.set_full(true);
                self.count("disks full");
                self.note(&format!("phone {number}'s disk is full"));
                let wait = self.rng.between(1_000, 40_000);
                self.after(wait, Event::SpaceAgain { phone: Some(number) });
            }
            _ => {
                self.server.disk.set_full(true);
                self.count("disks full");
                self.note("the server's disk is full");
                let wait = self.rng.between(1_000, 20_000);
                self.after(wait, Event::SpaceAgain { phone: None });
            }
        }
        let wait = self.rng.below(2 * self.weather.fault_every_ms) + 1;
        self.after(wait, Event::Fault);
    }

    /// The whole network goes, and everybody comes back at once.
    fn outage(&mut self) {
        let length = self.rng.between(1_000, 60_000);
        self.outage_until = self.now + length;
        self.count("outages");
        self.note(&format!("no network anywhere for {length} ms"));
        let links: Vec<u64> = self.links.iter().filter(|(_, open)| open.alive).map(|(link, _)| *link).collect();
        for link in links {
            self.cut(link);
        }
        // The platform says that the network is back: all dial in the same second.
        for phone in 0..self.phones.len() {
            let at = length + 1 + self.rng.below(200);
            self.after(at, Event::Network { phone, online: true });
        }
    }
}

/// Those of a document's changes that do not wait for one which is not here; all of a kind that nobody reads.
fn in_document(doc: DocId, stored: &[Chunk]) -> BTreeSet<ChangeHash> {
    let Some((document, _)) = Document::fold(doc, stored) else { return stored.iter().map(Chunk::hash).collect() };
    document
        .history()
        .into_iter()
        .map(|entry| entry.hash)
        .filter(|hash| stored.iter().any(|chunk| chunk.hash() == *hash))
        .collect()
}

fn plain(scope: Scope, doc: DocId, field: &'static str, value: String) -> Wanted {
    let text = value.clone();
    Wanted {
        scope,
        doc: Some(doc),
        fields: vec![(field, value)],
        make: Box::new(move |replica| {
            let edit = DocEdit::parse(doc.kind().expect("a known kind"), field, &text)?;
            replica.edit(doc, &[edit]).map(|_| ())
        }),
    }
}
