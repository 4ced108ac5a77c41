//! A parcel: changes of one author in one commune, signed by the author's device for the way.

use serde::{Deserialize, Serialize};
use toso_catalog::Catalog;
use toso_core::change::Change;
use toso_core::chunk::{ChangeHash, RawChunk};
use toso_core::id::{DocId, ServerId};
use toso_core::unit::Scope;
use toso_sync::{OutboxBatch, Principal, check_item};
use toso_wire::limits::{PUSH_BYTES_MAX, PUSH_ITEMS_MAX};
use toso_wire::{DeviceCard, signed_carried};

use super::CarryError;
use super::pass::{check_card, verify};
use crate::identity::Device;

/// A parcel's identity: the first 16 bytes of BLAKE3 over what its author signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ParcelId(#[serde(with = "serde_bytes")] pub [u8; 16]);

/// Changes with their author's card and signature; just what one PUSH holds, since the server checks the signature over
/// a whole PUSH.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    /// The author.
    pub card: DeviceCard,
    /// The scope of all changes.
    pub scope: Scope,
    /// The changes, in the order they were made.
    #[serde(with = "items")]
    pub items: Vec<Change<RawChunk>>,
    /// The author's signature over [`signed_carried`].
    #[serde(with = "serde_bytes")]
    pub signature: [u8; 64],
}

/// How changes stand in a bundle: each an array of its document and its bytes.
mod items {
    use serde::{Deserialize, Deserializer, Serializer};
    use serde_bytes::{ByteBuf, Bytes};
    use toso_core::change::Change;
    use toso_core::chunk::RawChunk;
    use toso_core::id::DocId;

    pub(super) fn serialize<S: Serializer>(items: &[Change<RawChunk>], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(items.iter().map(|item| (item.doc, Bytes::new(item.bytes()))))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Change<RawChunk>>, D::Error> {
        let items: Vec<(DocId, ByteBuf)> = Vec::deserialize(from)?;
        Ok(items.into_iter().map(|(doc, bytes)| Change { doc, chunk: bytes.into_vec().into() }).collect())
    }
}

/// A parcel that is what it says.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(crate) id: ParcelId,
    pub(crate) author: Principal,
    pub(crate) items: Vec<Change>,
}

impl Parcel {
    /// Signs a run of this device's own outbox.
    pub(crate) fn sign(device: &Device, card: &DeviceCard, batch: &OutboxBatch) -> Self {
        let changes = batch.items.iter().map(|item| (item.change.doc, item.change.hash()));
        let signature = device.sign(&signed_carried(batch.scope, device.id().author(), changes));
        let items = batch.items.iter().map(|item| item.change.raw()).collect();
        Self { card: card.clone(), scope: batch.scope, items, signature }
    }

    /// Bytes of the changes, with what stands around each.
    pub(crate) fn bytes(&self) -> usize {
        self.items.iter().map(|item| item.bytes().len() + 32).sum::<usize>() + 400
    }

    /// Checks everything: sizes, the card, each change, the signature over all of them.
    pub(crate) fn check(&self, server: ServerId) -> Result<Checked, CarryError> {
        let bytes: usize = self.items.iter().map(|item| item.bytes().len()).sum();
        let within =
            (1..=PUSH_ITEMS_MAX).contains(&self.items.len()) && (bytes <= PUSH_BYTES_MAX || self.items.len() == 1);
        if !within {
            return Err(CarryError::Refused(format!("{} changes of {bytes} bytes in one batch", self.items.len())));
        }
        let author = check_card(&self.card, server)?;
        if !author.may_push(Catalog::shared(), self.scope) {
            let refused = format!("{} of {} does not write in {}", author.role.with_article(), author.unit, self.scope);
            return Err(CarryError::Refused(refused));
        }
        let items = self.items.iter().map(|item| {
            check_item(author.device.author(), author.role, self.scope, item)
                .map_err(|(_, detail)| CarryError::Refused(detail))
        });
        let items = items.collect::<Result<Vec<_>, _>>()?;
        let changes: Vec<_> = items.iter().map(|item| (item.doc, item.hash())).collect();
        let signed = signed_carried(self.scope, author.device.author(), changes.iter().copied());
        verify(&self.card.key, &signed, &self.signature)
            .map_err(|()| CarryError::Forged("a batch is not what its author signed"))?;
        Ok(Checked { id: id_of(&signed), author, items })
    }

    /// Its identity, as far as its changes can be read.
    pub(crate) fn id(&self) -> Option<ParcelId> {
        let hashes = self.items.iter().map(|item| item.check().ok().map(|change| (change.doc, change.hash())));
        Some(id_of(&signed_carried(self.scope, self.card.device().author(), hashes.collect::<Option<Vec<_>>>()?)))
    }
}

/// The identity of a batch with these changes.
fn id_of(signed: &[u8]) -> ParcelId {
    let mut id = [0; 16];
    blake3::Hasher::new().update(signed).finalize_xof().fill(&mut id);
    ParcelId(id)
}

/// Change hashes with their documents.
pub(crate) type Refs = Vec<(DocId, ChangeHash)>;
