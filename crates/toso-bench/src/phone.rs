//! A phone of the scenarios: enrolled in a commune, with a store in memory, recording small documents.

use std::sync::Arc;
use std::time::{Duration, Instant};

use toso_client::rest::{Caller, Rest};
use toso_client::{Invite, enrol, make_invite, sync_once};
use toso_core::edit::{DocEdit, MemberEdit, TeamEdit};
use toso_core::id::{DocId, Sequence};
use toso_core::record::{Affiliation, Gender, HamletKind, Role};
use toso_core::text::{Date, DocumentNumber, Label, Note, PersonName, Phone as PhoneNumber, PlaceName};
use toso_core::unit::Scope;
use toso_replica::{Credential, Replica, ReplicaOptions, SyncOptions, SyncReport, TeamDraft};
use toso_store::ChunkStore;
use toso_store::memory::MemoryChunkStore;

use crate::error::BenchError;
use crate::online::{Exchange, come_online};
use crate::patience::Patience;
use crate::server::ServerProcess;

/// How long an invite is good: the phones use it at once.
const INVITE_LIFE: Duration = Duration::from_secs(60 * 60);
/// The server counting nothing new for this long, while it has not counted everything, is a failure.
const COUNTING_STALLED_AFTER: Duration = Duration::from_secs(60);
/// Time between two looks at what it has counted.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Merged documents in memory, where thousands of phones share a machine.
const DOCUMENT_CACHE: usize = 4;
/// Members of a team.
pub(crate) const MEMBERS_PER_TEAM: usize = 5;
/// Leaves once everything is exchanged; whether it is counted is looked at elsewhere.
pub(crate) const AT_ONCE: SyncOptions = SyncOptions {
    connect_timeout: toso_replica::exchange::report::CONNECT_TIMEOUT,
    silence_max: toso_replica::exchange::report::SILENCE_MAX,
    linger: Duration::ZERO,
    greeting_max: toso_replica::exchange::report::GREETING_MAX,
    answer_max: toso_replica::exchange::report::ANSWER_MAX,
};

/// One phone.
pub(crate) struct Phone {
    pub(crate) store: Arc<dyn ChunkStore>,
    pub(crate) replica: Arc<Replica>,
}

/// An open door to a server: who invites, and a kept connection for it.
#[derive(Clone)]
pub(crate) struct Door {
    url: String,
    admin: Caller,
    rest: Rest,
}

impl Door {
    /// The door of a server.
    pub(crate) fn of(server: &ServerProcess) -> Result<Self, BenchError> {
        Ok(Self { url: server.url().to_owned(), admin: server.admin()?, rest: Rest::default() })
    }

    /// Another one to the same server, with a connection of its own.
    pub(crate) fn again(&self) -> Self {
        Self { url: self.url.clone(), admin: self.admin.clone(), rest: Rest::default() }
    }

    /// A number of the server's metrics; 0 when it has none of that name.
    pub(crate) fn metric(&self, name: &str) -> Result<u64, BenchError> {
        let text = self.get("/metrics")?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.and_then(|value| value.trim().parse().ok()).unwrap_or_default())
    }

    /// What the server answers.
    pub(crate) fn get(&self, path: &str) -> Result<String, BenchError> {
        Ok(self.rest.get_text(&self.url, path, &self.admin)?)
    }

    /// Waits until the server has counted up to there.
    pub(crate) fn wait_until_counted(&self, through: Sequence) -> Result<(), BenchError> {
        let (mut counted, mut moved) = (0, Instant::now());
        loop {
            let now = self.metric("toso_counted_sequence")?;
            if now >= through.0 {
                return Ok(());
            }
            if now > counted {
                (counted, moved) = (now, Instant::now());
            } else if moved.elapsed() > COUNTING_STALLED_AFTER {
                return Err(BenchError::failed(format!("the server counts nothing past {now} of {}", through.0)));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

impl Phone {
    /// A phone that has joined and holds nothing, with its store in memory. Blocks.
    pub(crate) fn enrol(door: &Door, scope: Scope) -> Result<Self, BenchError> {
        Self::enrol_with(door, scope, Arc::new(MemoryChunkStore::new()))
    }

    /// A phone that has joined with this store. Blocks.
    pub(crate) fn enrol_with(door: &Door, scope: Scope, store: Arc<dyn ChunkStore>) -> Result<Self, BenchError> {
        let invite = make_invite(&door.rest, &door.url, &door.admin, scope, "recorder", INVITE_LIFE)?;
        enrol(store.as_ref(), &door.rest, &Invite::parse(&invite.text)?, None)?;
        Self::open(store)
    }

    /// The phone of a store.
    pub(crate) fn open(store: Arc<dyn ChunkStore>) -> Result<Self, BenchError> {
        let options = ReplicaOptions { document_cache: DOCUMENT_CACHE, ..toso_client::system::options() };
        let replica = Arc::new(Replica::open(Arc::clone(&store), &options)?);
        Ok(Self { store, replica })
    }

    /// From now on it dials the server at another address: that of a link.
    pub(crate) fn dial_at(&self, url: &str) -> Result<(), BenchError> {
        let mut credential = self.replica.credential().map_err(toso_replica::ReplicaError::from)?;
        url.clone_into(&mut credential.server_url);
        Ok(Credential::keep(&credential, self.store.as_ref()).map_err(toso_replica::ReplicaError::from)?)
    }

    /// Records so many documents, offline: teams with five members each, the last with what is left. Returns its teams.
    pub(crate) fn record(&self, documents: usize) -> Result<Vec<DocId>, BenchError> {
        record(&self.replica, documents)
    }

    /// Records so many teams with a note of so many bytes, offline.
    pub(crate) fn record_notes(&self, teams: usize, bytes: usize) -> Result<(), BenchError> {
        (1..=teams).try_for_each(|number| {
            self.replica.add_team(team_with_note(number, bytes)?)?;
            Ok(())
        })
    }

    /// One exchange that must come to its end.
    pub(crate) async fn sync(&self) -> Result<SyncReport, BenchError> {
        let (report, result) = sync_once(&self.replica, AT_ONCE, |_, _| {}).await;
        result?;
        if report.refused > 0 || !report.up_to_date {
            return Err(BenchError::failed(format!("an exchange ended before its end: {report:?}")));
        }
        Ok(report)
    }

    /// Comes online until everything is exchanged, however often the server asks to come back.
    pub(crate) async fn come_online(&self, seed: usize) -> Result<Exchange, BenchError> {
        come_online(&self.replica, AT_ONCE, Patience::new(seed as u64)).await
    }

    /// The sequence up to which the server has everything that was recorded here.
    pub(crate) fn through(&self) -> Result<Sequence, BenchError> {
        let mut through = Sequence::ZERO;
        for (_, doc) in self.store.documents()? {
            through = self.store.receipts(doc)?.into_iter().map(|(_, at)| at).fold(through, Sequence::max);
        }
        Ok(through)
    }
}

/// Records so many documents; see [`Phone::record`].
pub(crate) fn record(replica: &Replica, documents: usize) -> Result<Vec<DocId>, BenchError> {
    let mut teams = Vec::new();
    let mut left = documents;
    while left > 0 {
        let team = replica.add_team(team(teams.len() + 1)?)?;
        teams.push(team);
        left -= 1;
        for place in 0..MEMBERS_PER_TEAM.min(left) {
            replica.add_member(team, member(teams.len(), place)?)?;
            left -= 1;
        }
    }
    Ok(teams)
}

/// The only field that edits of the scenarios change.
pub(crate) fn households(value: u32) -> [DocEdit; 1] {
    [DocEdit::Team(TeamEdit::HouseholdsCovered(Some(value)))]
}

/// A team with a note of so many bytes, made of words as people write them.
pub(crate) fn team_with_note(number: usize, bytes: usize) -> Result<TeamDraft, BenchError> {
    let mut draft = team(number)?;
    draft.edits.push(TeamEdit::Note(Some(Note::parse(&prose(number, bytes))?)));
    Ok(draft)
}

pub(crate) fn team(number: usize) -> Result<TeamDraft, BenchError> {
    let decision = format!("{}/QĐ-UBND", 100 + number);
    Ok(TeamDraft {
        hamlet: Some(PlaceName::parse(&format!("Tổ dân phố số {number}"))?),
        edits: vec![
            TeamEdit::HamletKind(Some(HamletKind::ToDanPho)),
            TeamEdit::DecisionNumber(Some(DocumentNumber::parse(&decision)?)),
            TeamEdit::DecisionDate(Some(Date::new(2022, 7, 15)?)),
            TeamEdit::EstablishedOn(Some(Date::new(2022, 7, 20)?)),
        ],
        ..TeamDraft::default()
    })
}

fn member(team: usize, place: usize) -> Result<Vec<MemberEdit>, BenchError> {
    const NAMES: [&str; MEMBERS_PER_TEAM] =
        ["Nguyễn Văn Thử", "Trần Thị Mẫu", "Lê Văn Thí", "Phạm Thị Dụ", "Hoàng Văn Giả"];
    let name = NAMES.get(place).copied().unwrap_or("Nguyễn Văn Thử");
    let phone = format!("0912{:06}", (team * MEMBERS_PER_TEAM + place) % 1_000_000);
    Ok(vec![
        MemberEdit::FullName(PersonName::parse(&format!(
            "{name} {}",
            WORDS.get(team % WORDS.len()).unwrap_or(&"Một")
        ))?),
        MemberEdit::BirthYear(Some(1_970 + u16::try_from((team + 7 * place) % 30).unwrap_or_default())),
        MemberEdit::Gender(Some(if place.is_multiple_of(2) { Gender::Male } else { Gender::Female })),
        MemberEdit::Role(if place == 0 { Role::Leader } else { Role::Member }),
        MemberEdit::Affiliation { affiliation: Affiliation::YouthUnion, present: true },
        MemberEdit::Phone(Some(PhoneNumber::parse(&phone)?)),
        MemberEdit::Consent {
            method: toso_core::record::ConsentMethod::Paper,
            date: Date::new(2022, 7, 20)?,
            text_version: Label::parse("2022-04")?,
        },
    ])
}

/// Words that reports of teams are made of.
const WORDS: [&str; 48] = [
    "Một", "hộ", "dân", "thôn", "tổ", "viên", "hướng", "dẫn", "cài", "đặt", "dịch", "vụ", "công", "trực", "tuyến",
    "thanh", "toán", "không", "dùng", "tiền", "mặt", "buổi", "họp", "nhà", "văn", "hóa", "người", "cao", "tuổi",
    "điện", "thoại", "mạng", "yếu", "đã", "đến", "từng", "tuần", "sau", "sẽ", "tiếp", "tục", "bán", "hàng", "trên",
    "sàn", "và", "an", "toàn",
];

/// One word in so many is a number: 60 texts of 1,133 bytes then take 18,037 bytes after gzip, like the text that others
/// were measured with.
const WORDS_PER_NUMBER: u64 = 12;

/// A text of about so many bytes. The same number gives the same text.
fn prose(number: usize, bytes: usize) -> String {
    // The constants of a linear congruential generator (Knuth); only variety is wanted.
    let mut state = number as u64 + 1;
    let mut text = String::new();
    while text.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let word = usize::try_from(state >> 33).unwrap_or_default() % WORDS.len();
        if (state >> 50).is_multiple_of(WORDS_PER_NUMBER) {
            text.push_str(&((state >> 20) % 1_000).to_string());
        } else {
            text.push_str(WORDS.get(word).copied().unwrap_or_default());
        }
        text.push(if state >> 60 == 0 { '.' } else { ' ' });
    }
    text
}
