//! Edits: each returns when it is on the disk, and would survive `kill -9` and the loss of power.

use std::sync::Arc;

use toso_client::rest::{Rest, RestError};
use toso_client::{enrol, fetch_device_names};
use toso_core::edit::DocEdit;
use toso_core::text::PersonName;

use super::{TosoClient, store_key, whole};
use crate::edits::{NewMember, NewTeam, commune_edits, draft, member_edits, scope, team_edits};
use crate::error::TosoError;
use crate::ids::doc_id;
use crate::kinds::{CommuneEdit, FromApp, MemberEdit, TeamEdit};
use crate::records::{AdminUnit, count};
use crate::stop::StopSignal;

#[uniffi::export]
impl TosoClient {
    /// Joins by an invite: the text of the scanned QR code. Needs the network; repeating it with the same invite does no
    /// harm, also after it was stopped. Returns the unit that was joined.
    #[uniffi::method(default(stop = None))]
    pub async fn enrol(&self, invite: &str, stop: Option<Arc<StopSignal>>) -> Result<AdminUnit, TosoError> {
        let invite = toso_client::Invite::parse(invite)?;
        // Not when the folder is opened: what was recorded under such a name must stay in reach.
        self.with(|core| whole("device_name", "the device's name", &core.joining.device_name))?;
        let unit = self
            .off_thread_until(stop, move |_, store, joining| {
                let name = Some(joining.device_name.as_str()).filter(|name| !name.is_empty());
                let rest = Rest::reaching(&joining.reach).map_err(RestError::from)?;
                enrol(store, &rest, &invite, name).map(|credential| credential.unit)
            })
            .await?;
        tracing::info!(%unit, "enrolled");
        self.refresh()?;
        Ok(AdminUnit::of(unit))
    }

    /// Asks the server what the devices are called that wrote the values in conflict here and the saves of these documents;
    /// `who_is` tells it from then on, also without network. Returns how many names are new. Needs the network.
    #[uniffi::method(default(documents = []))]
    pub async fn fetch_device_names(&self, documents: Vec<String>) -> Result<u32, TosoError> {
        let documents = documents.iter().map(|id| doc_id(id)).collect::<Result<Vec<_>, _>>()?;
        self.write(move |replica| fetch_device_names(replica, &documents)).await.map(count)
    }

    /// Records a team and returns its id. [`TosoError::TeamExists`] names the team that the hamlet has.
    pub async fn add_team(&self, team: NewTeam) -> Result<String, TosoError> {
        let draft = draft(team)?;
        self.write(move |replica| replica.add_team(draft)).await.map(|id| id.to_string())
    }

    /// Records a member and returns its id.
    pub async fn add_member(&self, member: NewMember) -> Result<String, TosoError> {
        let team = doc_id(&member.team)?;
        let mut edits = member_edits(vec![MemberEdit::FullName { name: member.full_name }])?;
        edits.extend(member_edits(member.edits)?);
        self.write(move |replica| replica.add_member(team, edits)).await.map(|id| id.to_string())
    }

    /// Changes a team: one save. False when everything had these values already.
    pub async fn edit_team(&self, id: &str, edits: Vec<TeamEdit>) -> Result<bool, TosoError> {
        let id = doc_id(id)?;
        let edits: Vec<DocEdit> = team_edits(edits)?.into_iter().map(DocEdit::Team).collect();
        self.write(move |replica| replica.edit(id, &edits)).await
    }

    /// Changes a member: one save. False when everything had these values already.
    pub async fn edit_member(&self, id: &str, edits: Vec<MemberEdit>) -> Result<bool, TosoError> {
        let id = doc_id(id)?;
        let edits: Vec<DocEdit> = member_edits(edits)?.into_iter().map(DocEdit::Member).collect();
        self.write(move |replica| replica.edit(id, &edits)).await
    }

    /// Changes a commune's hamlet list or sign-off: one save. The device's own commune when none is said. Returns the
    /// document's id.
    #[uniffi::method(default(commune = None))]
    pub async fn edit_commune(&self, edits: Vec<CommuneEdit>, commune: Option<String>) -> Result<String, TosoError> {
        let commune = scope(commune.as_ref())?;
        let edits = commune_edits(edits)?;
        self.write(move |replica| replica.edit_commune(commune, &edits)).await.map(|(id, _)| id.to_string())
    }

    /// Settles a field that has several values, by one of them or by another value, written as conflicts show them.
    pub async fn resolve(&self, id: &str, field: &str, value: &str) -> Result<(), TosoError> {
        let id = doc_id(id)?;
        let (field, value) = (field.to_owned(), value.to_owned());
        self.write(move |replica| replica.resolve(id, &field, &value)).await
    }

    /// Marks a record as a duplicate of another of its kind. Nothing is lost; `unmerge` takes it back.
    pub async fn merge(&self, from: &str, into: &str) -> Result<(), TosoError> {
        let (from, into) = (doc_id(from)?, doc_id(into)?);
        self.write(move |replica| replica.merge(from, into)).await.map(drop)
    }

    /// Takes a merge back.
    pub async fn unmerge(&self, from: &str) -> Result<(), TosoError> {
        let from = doc_id(from)?;
        self.write(move |replica| replica.unmerge(from)).await.map(drop)
    }

    /// Takes from the list of what was held all that officers have decided. Returns how many.
    pub async fn dismiss_held(&self) -> Result<u32, TosoError> {
        self.write(|replica| replica.dismiss_held()).await.map(count)
    }

    /// Makes `new_key` the key that opens the folder instead of `old_key`. After a crash exactly one of the two opens it, so
    /// keep both until this has returned. The data is not encrypted anew.
    pub async fn rotate_key(&self, old_key: Vec<u8>, new_key: Vec<u8>) -> Result<(), TosoError> {
        let (old_key, new_key) = (store_key(old_key)?, store_key(new_key)?);
        self.off_thread(move |_, store, _| store.rotate_key(&old_key, &new_key)).await
    }
}

/// What an invite says, to be shown before it is used.
#[uniffi::export]
pub fn read_invite(invite: &str) -> Result<crate::records::Invite, TosoError> {
    Ok(toso_client::Invite::parse(invite)?.into())
}

/// The key of a hamlet's name: two spellings with one key are one hamlet.
#[uniffi::export]
pub fn hamlet_key(name: &str) -> String {
    // As the name will be stored: with hyphens for whatever is drawn as one.
    toso_core::text::hamlet_key(&toso_core::text::canonical_name(name))
}

/// What a text of an older encoding (TCVN3, VNI, misread UTF-8, Telex) means; none for any other text. To be offered when a
/// save is refused as `LegacyText`.
#[uniffi::export]
pub fn converted_text(text: &str) -> Option<String> {
    toso_core::text::legacy_text(text).map(|found| found.proposal.as_str().to_owned())
}

/// An id for a new activity.
#[uniffi::export]
pub fn new_activity_id() -> String {
    toso_client::system::new_activity_id().to_string()
}

/// Checks a person's name before it is saved: what it will be stored as.
#[uniffi::export]
pub fn check_person_name(name: &str) -> Result<String, TosoError> {
    Ok(PersonName::from_app(name.to_owned(), "full_name")?.to_string())
}
