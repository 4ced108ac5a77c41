//! Performs what a session wants done on the device. The owner of the connection (the IO loop, or a simulation) keeps
//! the effects of connection and display for itself and hands all others on to here, in order, one at a time.

use toso_store::StoreError;
use toso_sync::{ClientEffect, ClientEvent};
use toso_wire::Carried;

use super::Replica;
use crate::credential::Credential;

impl Replica {
    /// Performs one effect and returns what it brings back to the session. Blocks for as long as the store does.
    ///
    /// [`ClientEffect::Send`], [`ClientEffect::Progress`], [`ClientEffect::UpToDate`] and [`ClientEffect::End`] are the
    /// caller's: they change nothing here.
    pub fn perform(&self, credential: &Credential, effect: ClientEffect) -> Result<Option<ClientEvent>, StoreError> {
        match effect {
            ClientEffect::Prove(challenge) => {
                return Ok(Some(ClientEvent::Proved(self.prove(credential, challenge.at, &challenge.nonce))));
            }
            ClientEffect::ReadOutbox { after, bytes_max, resting } => {
                let own = if resting { None } else { self.outbox_batch(after, bytes_max)? };
                if let Some(batch) = own {
                    return Ok(Some(match self.foreign_author(&batch) {
                        // The server had another's change and lost it: it goes back in its author's name.
                        Some(author) => ClientEvent::Carry(batch, Carried { author, signature: Vec::new() }),
                        None => ClientEvent::Outbox(Some(batch)),
                    }));
                }
                // Own changes first; then, one by one, what is carried for others.
                let carry = |(batch, carried)| ClientEvent::Carry(batch, carried);
                return Ok(Some(self.next_carried()?.map_or(ClientEvent::Outbox(None), carry)));
            }
            ClientEffect::KeepSession { epoch, root, at, asked } => {
                self.keep_session(epoch, root.as_deref(), at, asked)?;
            }
            ClientEffect::CommitDelta(delta) => self.commit_delta(delta)?,
            ClientEffect::ReadElements { unit } => {
                return Ok(Some(ClientEvent::Elements { unit, chunks: self.elements(unit)? }));
            }
            ClientEffect::CommitChunks(delta) => self.commit_chunks(delta)?,
            ClientEffect::CommitReconciled { unit, as_of, epoch, acknowledged, lacking } => {
                self.commit_reconciled(unit, as_of, epoch, acknowledged, &lacking)?;
            }
            ClientEffect::CommitAck { accepted, through, settled } => self.commit_ack(&accepted, through, settled)?,
            ClientEffect::CommitRefused { refused } => self.commit_refused(refused)?,
            ClientEffect::Rest { delay_ms, why } => self.keep_rest(delay_ms, why)?,
            ClientEffect::KeepReceipt(receipt) => self.keep_receipt(&receipt)?,
            ClientEffect::Move(moved) => self.move_to(&moved)?,
            ClientEffect::KeepDecisions { reviewed, epoch } => self.keep_decisions(&reviewed, epoch)?,
            ClientEffect::KeepPace(pace) => self.keep_pace(pace)?,
            ClientEffect::DropHeldCopies => self.drop_held_copies()?,
            ClientEffect::Purge(purge) => {
                self.forget(&purge.docs)?;
                self.leave_scopes(&purge.scopes)?;
            }
            ClientEffect::Erase(erased) => self.forget(&erased.docs)?,
            ClientEffect::Send(_)
            | ClientEffect::Progress { .. }
            | ClientEffect::UpToDate { .. }
            | ClientEffect::End(_) => {}
        }
        Ok(None)
    }
}
