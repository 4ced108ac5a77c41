//! Reading a replica: lists in Vietnamese order, single documents, conflicts, findings, history.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use toso_core::document::{Conflict, ConflictValue, Document};
use toso_core::finding::{Finding, findings, standing_for};
use toso_core::id::{DocId, DocKind};
use toso_core::record::{CommuneRecord, MemberRecord, Record, TeamRecord};
use toso_core::text::Collator;
use toso_core::unit::Scope;

use super::receipts::{ReceiptReader, SETTING_TOTALS, read_setting};
use super::view::{Candidate, CentreTotals, ConflictView, DocView, Receipt, ReceiptCounts, ReplicaStatus, SaveView};
use super::{Replica, RightState, known_kind};
use crate::credential::Credential;
use crate::error::ReplicaError;

/// A commune's own record, its teams and its members.
type Commune = Option<(DocId, CommuneRecord)>;
type Teams = Vec<(DocId, TeamRecord)>;
type Members = Vec<(DocId, MemberRecord)>;

impl Replica {
    /// The teams here, by hamlet.
    pub fn teams(&self) -> Result<Vec<DocView<TeamRecord>>, ReplicaError> {
        let mut teams = self.views(DocKind::Team, |record| match record {
            Record::Team(team) => Some(team),
            Record::Commune(_) | Record::Member(_) => None,
        })?;
        let collator = Collator::shared();
        teams.sort_by_cached_key(|team| {
            let name = team.record.hamlet.as_deref().or(team.record.local_name.as_deref()).unwrap_or_default();
            (team.commune, collator.sort_key(name), team.id)
        });
        Ok(teams)
    }

    /// The members here, of one team or of all, by given name.
    pub fn members(&self, team: Option<DocId>) -> Result<Vec<DocView<MemberRecord>>, ReplicaError> {
        let mut members = self.views(DocKind::Member, |record| match record {
            Record::Member(member) => Some(member),
            Record::Commune(_) | Record::Team(_) => None,
        })?;
        if let Some(team) = team {
            self.scope_of(team, DocKind::Team)?;
            // A team and every team that it stands for, each followed once however many members name it.
            let mut links: HashMap<DocId, Option<DocId>> = HashMap::new();
            self.each_shown(
                |kind| kind == DocKind::Team,
                |_, id, shown| {
                    links.insert(id, merged_into(&shown.record));
                    Ok(())
                },
            )?;
            let mut stands: HashMap<DocId, DocId> = HashMap::new();
            for own in members.iter().filter_map(|member| member.record.team) {
                if let Entry::Vacant(entry) = stands.entry(own) {
                    entry.insert(standing_for(own, |id| Ok::<_, ReplicaError>(links.get(&id).copied()))?);
                }
            }
            members.retain(|member| {
                let own = member.record.team;
                own == Some(team) || own.is_some_and(|own| stands.get(&own) == Some(&team))
            });
        }
        let collator = Collator::shared();
        members.sort_by_cached_key(|member| {
            (collator.person_sort_key(member.record.full_name.as_deref().unwrap_or_default()), member.id)
        });
        Ok(members)
    }

    /// One team.
    pub fn team(&self, id: DocId) -> Result<DocView<TeamRecord>, ReplicaError> {
        match self.view(id, DocKind::Team)? {
            DocView { record: Record::Team(record), id, commune, receipt } => {
                Ok(DocView { id, commune, record, receipt })
            }
            _ => Err(ReplicaError::NotFound { kind: "team", id }),
        }
    }

    /// One member.
    pub fn member(&self, id: DocId) -> Result<DocView<MemberRecord>, ReplicaError> {
        match self.view(id, DocKind::Member)? {
            DocView { record: Record::Member(record), id, commune, receipt } => {
                Ok(DocView { id, commune, record, receipt })
            }
            _ => Err(ReplicaError::NotFound { kind: "member", id }),
        }
    }

    /// The commune documents here.
    pub fn communes(&self) -> Result<Vec<DocView<CommuneRecord>>, ReplicaError> {
        self.views(DocKind::Commune, |record| match record {
            Record::Commune(commune) => Some(commune),
            Record::Team(_) | Record::Member(_) => None,
        })
    }

    /// Every field with several values. One value in several spellings is one: the later is shown, and nothing is to settle.
    pub fn conflicts(&self) -> Result<Vec<ConflictView>, ReplicaError> {
        let mut found = Vec::new();
        for id in self.disputed()? {
            found.extend(self.conflicts_of(id)?);
        }
        Ok(found)
    }

    /// The fields of one document with several values; none for a document that is not here.
    pub fn conflicts_of(&self, id: DocId) -> Result<Vec<ConflictView>, ReplicaError> {
        let conflicts = self.with_document(id, Document::conflicts)?;
        let brought_back = self.brought_back_by(id)?;
        let history = if conflicts.is_empty() || brought_back.is_empty() {
            Vec::new()
        } else {
            self.with_document(id, Document::history)?
        };
        // A value tells its device and moment, and that is the save which wrote the field then.
        let by = |field: &str, value: &ConflictValue| {
            let mut saves = history.iter().filter(|save| (save.device, save.at) == (value.device, value.at));
            let save = saves.find(|save| save.changes.iter().any(|(of, _)| of == field))?;
            brought_back.by(&save.hash)
        };
        let view = |Conflict { field, values, .. }: Conflict| {
            let candidate = |written| Candidate { brought_back_by: by(&field, &written), written };
            ConflictView { id, values: values.into_iter().map(candidate).collect(), field }
        };
        Ok(conflicts.into_iter().map(view).collect())
    }

    /// Records that may be one: the part of [`Self::findings`] that [`Self::merge`] settles.
    pub fn duplicates(&self) -> Result<Vec<Finding>, ReplicaError> {
        let found = self.findings()?.into_iter();
        Ok(found.filter(|finding| matches!(finding, Finding::SameMember { .. } | Finding::SameTeam { .. })).collect())
    }

    /// How many records have come how far, of those that this version can show.
    pub fn receipt_counts(&self) -> Result<ReceiptCounts, ReplicaError> {
        let documents = self.store.documents()?;
        let receipts = ReceiptReader::of_all(self)?;
        let mut counts = ReceiptCounts::default();
        for (_, id) in documents.into_iter().filter(|(_, id)| id.kind().is_some()) {
            *match receipts.of(id)? {
                Receipt::Saved => &mut counts.saved,
                Receipt::Held => &mut counts.held,
                Receipt::Received => &mut counts.received,
                Receipt::Counted => &mut counts.counted,
            } += 1;
        }
        Ok(counts)
    }

    /// The centre's figures for the device's unit, as last heard.
    pub fn totals(&self) -> Result<Option<CentreTotals>, ReplicaError> {
        Ok(read_setting(self.store.as_ref(), SETTING_TOTALS)?)
    }

    /// What people should look at, commune by commune.
    pub fn findings(&self) -> Result<Vec<Finding>, ReplicaError> {
        let mut communes: BTreeMap<Scope, (Commune, Teams, Members)> = BTreeMap::new();
        self.each_shown(
            |_| true,
            |scope, id, shown| {
                let (commune, teams, members) = communes.entry(scope).or_default();
                match shown.record {
                    Record::Commune(record) => *commune = Some((id, record)),
                    Record::Team(record) => teams.push((id, record)),
                    Record::Member(record) => members.push((id, record)),
                }
                Ok(())
            },
        )?;
        let today = self.likely_today()?;
        let found = communes.values().map(|(commune, teams, members)| {
            findings(commune.as_ref().map(|(id, record)| (*id, record)), teams, members, &today)
        });
        Ok(found.flatten().collect())
    }

    /// Every save of a document, oldest first.
    pub fn history(&self, id: DocId) -> Result<Vec<SaveView>, ReplicaError> {
        self.scope_of(id, known_kind(id)?)?;
        let saves = self.with_document(id, Document::history)?;
        let brought_back = self.brought_back_by(id)?;
        let saves = saves.into_iter().map(|save| SaveView { brought_back_by: brought_back.by(&save.hash), save });
        Ok(saves.collect())
    }

    /// The replica at a glance.
    pub fn status(&self) -> Result<ReplicaStatus, ReplicaError> {
        let credential = self.credential().ok();
        let right = self.sync_right()?;
        let warning = credential.as_ref().and_then(|known| known.reach.warning(&known.server_url));
        let rest = self.rest()?;
        let unsent = self.store.outbox_len()?;
        let reads_only = credential.as_ref().is_some_and(Credential::reads_only);
        Ok(ReplicaStatus {
            device: self.device.id(),
            unit: credential.as_ref().map(|credential| credential.unit),
            role: credential.as_ref().map(|credential| credential.role.clone()),
            server: credential.map(|credential| credential.server_url),
            token_ends: right.map(|right| right.ends),
            token_ends_soon: right.is_some_and(|right| right.state != RightState::Good),
            in_the_clear: warning.is_some(),
            documents: self.store.documents_len()?,
            newer: self.store.documents()?.iter().filter(|(_, id)| id.kind().is_none()).count(),
            unsent,
            waits_for_role: if reads_only { unsent } else { 0 },
            shut_out: self.is_shut_out()?,
            rests_for_s: rest.as_ref().map(|(left_ms, _)| left_ms.div_ceil(1_000)),
            rests_why: rest.map(|(_, why)| why),
            held: self.held()?,
            totals: self.totals()?,
        })
    }

    fn view(&self, id: DocId, kind: DocKind) -> Result<DocView<Record>, ReplicaError> {
        let commune = self.scope_of(id, kind)?;
        let record = self.record(id)?;
        Ok(DocView { id, commune, record, receipt: ReceiptReader::new(self)?.of(id)? })
    }

    fn views<R>(&self, kind: DocKind, narrow: impl Fn(Record) -> Option<R>) -> Result<Vec<DocView<R>>, ReplicaError> {
        let mut views = Vec::new();
        self.each_shown(
            |of| of == kind,
            |commune, id, shown| {
                if let Some(record) = narrow(shown.record) {
                    views.push(DocView { id, commune, record, receipt: Receipt::Saved });
                }
                Ok(())
            },
        )?;
        let receipts = ReceiptReader::of_all(self)?;
        for view in &mut views {
            view.receipt = receipts.of(view.id)?;
        }
        Ok(views)
    }

    /// A document's `merged_into`; `None` when it is not here.
    #[allow(clippy::option_option, reason = "not here, not merged, merged: the three cases that core's rule asks for")]
    pub(super) fn merge_link(&self, id: DocId) -> Result<Option<Option<DocId>>, ReplicaError> {
        if self.store.scope_of(id)?.is_none() {
            return Ok(None);
        }
        Ok(Some(merged_into(&self.record(id)?)))
    }

    fn with_document<T>(&self, id: DocId, read: impl FnOnce(&Document) -> T) -> Result<T, ReplicaError> {
        let mut documents = self.documents.lock();
        let merged = self.take(&mut documents, id)?;
        let value = read(&merged.document);
        documents.put(id, merged);
        Ok(value)
    }
}

fn merged_into(record: &Record) -> Option<DocId> {
    match record {
        Record::Team(team) => team.merged_into,
        Record::Member(member) => member.merged_into,
        Record::Commune(_) => None,
    }
}
