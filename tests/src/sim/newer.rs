//! A newer build among the phones and at the centre: it records a kind of document, and sends frames of a type, that this build
//! does not know. Everybody keeps and relays the first, passes over the second, and goes on with everything else.

use std::collections::BTreeSet;

use toso_core::edit::{DocEdit, MemberEdit};
use toso_core::id::{DOC_ID_UNIQUE_BYTES, DocId};
use toso_core::text::PersonName;
use toso_core::unit::Scope;
use toso_replica::Replica;
use toso_store::ChunkStore as _;

use super::workload::Wanted;
use super::world::World;

/// The phone whose app is newer. Another shares its commune, and the last one has the district above.
const NEWER_PHONE: usize = 0;
/// Of its saves, so many in a thousand are of the further kind.
const SAVES_PER_MILLE: u32 = 500;
/// Of the frames that go either way, so many in a thousand come after one of a further type.
const FRAMES_PER_MILLE: u32 = 100;
/// A frame of type 127 with one field.
pub(super) const FURTHER_FRAME: [u8; 4] = [0x00, 0x92, 0x7f, 0x01];

impl World {
    /// A save of the further kind, when it is this phone's turn.
    pub(super) fn further(&mut self, number: usize) -> Option<Wanted> {
        if !self.plan.newer || number != NEWER_PHONE || !self.rng.chance(SAVES_PER_MILLE) {
            return None;
        }
        let known: Vec<(Scope, DocId)> =
            self.phones[number].disk.documents().ok()?.into_iter().filter(|(_, doc)| doc.kind().is_none()).collect();
        let mut unique = [0; DOC_ID_UNIQUE_BYTES];
        self.rng.fill(&mut unique);
        let fresh = self.commune_of(number);
        let fresh = (fresh, Replica::further_id(fresh, unique));
        let again = known.get(self.rng.index(known.len())).copied().filter(|_| self.rng.chance(500));
        let (scope, doc) = again.unwrap_or(fresh);
        let name = format!("Lê Thị Thử {}", ["Một", "Hai", "Ba"][self.rng.index(3)]);
        let edit = DocEdit::Member(MemberEdit::FullName(PersonName::parse(&name).ok()?));
        self.count("saves of a further kind");
        Some(Wanted {
            scope,
            doc: Some(doc),
            fields: Vec::new(),
            make: Box::new(move |replica| replica.save_further(scope, doc, &[edit])),
        })
    }

    /// True when a frame of a further type goes first.
    pub(super) fn goes_further(&mut self) -> bool {
        self.plan.newer && self.rng.chance(FRAMES_PER_MILLE)
    }

    /// Phones show how much they cannot show, and everything else as if it were not there.
    pub(super) fn check_further(&mut self, number: usize) {
        let Some(replica) = self.phones[number].replica.clone() else { return };
        let documents = self.phones[number].disk.documents().unwrap_or_default();
        let further: BTreeSet<DocId> =
            documents.into_iter().map(|(_, doc)| doc).filter(|doc| doc.kind().is_none()).collect();
        let told = replica.status().map(|status| status.newer).unwrap_or_default();
        let read = replica.findings().is_ok() && replica.conflicts().is_ok() && replica.receipt_counts().is_ok();
        if told != further.len() || !read {
            let detail = format!("phone {number}: {told} of {} told, everything else read: {read}", further.len());
            self.fail("what needs a newer version is a number", detail);
        }
        *self.counts.entry("documents of a further kind at rest").or_default() += further.len() as u64;
    }
}
