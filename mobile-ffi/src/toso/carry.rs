//! Phone to phone, with no server in reach: bundles in files, and meetings over any pipe of bytes.

use std::sync::Arc;

use parking_lot::Mutex;
use toso_client::fetch_carry_pass;
use toso_replica::meeting::Meeting as ClientMeeting;

use super::TosoClient;
use crate::edits::scope;
use crate::error::{ErrorInfo, TosoError};
use crate::records::{SealedBundle, Taken, count};
use crate::stop::StopSignal;
use crate::words::MeetingSide;

#[uniffi::export]
impl TosoClient {
    /// Makes a bundle of everything here that waits for the server: encrypted for the unit (this device's own when none is
    /// said) and signed, to be sent by Zalo, Bluetooth or cable.
    #[uniffi::method(default(unit = None))]
    pub async fn make_bundle(&self, unit: Option<String>) -> Result<SealedBundle, TosoError> {
        let unit = scope(unit.as_ref())?;
        let (bytes, report) = self.write(move |replica| replica.make_bundle(unit)).await?;
        Ok(SealedBundle { bytes, batches: count(report.parcels), left: count(report.left) })
    }

    /// Opens a bundle and takes what is in it: shown here, carried to the server at the next sync. Opening it again changes
    /// nothing.
    pub async fn open_bundle(&self, bytes: Vec<u8>) -> Result<Taken, TosoError> {
        self.write(move |replica| replica.open_bundle(&bytes)).await.map(Into::into)
    }

    /// Asks the server for the key of a unit's bundles (this device's own when none is said). Enrolment brings the first;
    /// after a device was revoked there is a new one. Needs the network.
    #[uniffi::method(default(unit = None, stop = None))]
    pub async fn fetch_bundle_key(&self, unit: Option<String>, stop: Option<Arc<StopSignal>>) -> Result<(), TosoError> {
        let unit = scope(unit.as_ref())?;
        self.off_thread_until(stop, move |replica, _, _| fetch_carry_pass(replica, unit)).await
    }

    /// Begins a meeting with another phone, over a pipe of bytes that the app has (Wi-Fi Direct, Bluetooth, a hotspot).
    pub async fn meet(self: Arc<Self>, side: MeetingSide) -> Result<Arc<PeerSession>, TosoError> {
        let (meeting, first) = self.write(move |replica| ClientMeeting::start(replica, side)).await?;
        Ok(Arc::new(PeerSession { toso: self, meeting: Arc::new(Mutex::new(Some(meeting))), first: Mutex::new(first) }))
    }
}

/// A meeting of two phones: bytes in, bytes out. Send what `start` gives, hand everything that the pipe brings to
/// `receive` and send what it gives, in order, until `ended`; then close the pipe. Say `closed` when the pipe ends.
#[derive(uniffi::Object)]
pub struct PeerSession {
    toso: Arc<TosoClient>,
    /// `None` after an error.
    meeting: Arc<Mutex<Option<ClientMeeting>>>,
    first: Mutex<Vec<Vec<u8>>>,
}

impl std::fmt::Debug for PeerSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PeerSession(…)")
    }
}

/// What to do after a step of a meeting.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct PeerStep {
    /// Send these, in order.
    pub send: Vec<Vec<u8>>,
    /// Both sides are done: close the pipe after what was sent.
    pub ended: bool,
}

impl std::fmt::Debug for PeerStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerStep").field("send", &self.send.len()).field("ended", &self.ended).finish()
    }
}

/// What a meeting has done.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct PeerReport {
    /// The other device's id, once it has proved who it is.
    pub peer: Option<String>,
    /// The other's unit.
    pub peer_unit: Option<String>,
    /// Batches given.
    pub given: u32,
    /// What was taken.
    pub taken: Taken,
}

#[uniffi::export]
impl PeerSession {
    /// What to send first; nothing for the side that was called.
    pub fn start(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.first.lock())
    }

    /// Takes what the pipe brought, in pieces of any size. After an error the meeting is over; what was taken before stays.
    pub async fn receive(&self, bytes: Vec<u8>) -> Result<PeerStep, TosoError> {
        let meeting = Arc::clone(&self.meeting);
        self.toso
            .write(move |replica| {
                let mut slot = meeting.lock();
                // Put back only when the step has worked.
                let mut meeting = slot.take().ok_or_else(over)?;
                let send = meeting.receive(replica, &bytes).map_err(TosoError::from)?;
                let ended = meeting.has_ended();
                *slot = Some(meeting);
                Ok::<_, TosoError>(PeerStep { send, ended })
            })
            .await
    }

    /// The pipe has ended: an error unless both sides were done.
    pub fn closed(&self) -> Result<(), TosoError> {
        let meeting = self.meeting.lock();
        Ok(meeting.as_ref().ok_or_else(over)?.closed()?)
    }

    /// What it has done so far.
    pub fn report(&self) -> Result<PeerReport, TosoError> {
        let meeting = self.meeting.lock();
        let meeting = meeting.as_ref().ok_or_else(over)?;
        let (peer, report) = (meeting.peer(), meeting.report());
        Ok(PeerReport {
            peer: peer.map(|peer| peer.device.to_string()),
            peer_unit: peer.map(|peer| peer.unit.to_string()),
            given: count(report.given),
            taken: report.taken.into(),
        })
    }
}

fn over() -> TosoError {
    TosoError::BadBundle { info: ErrorInfo::new("peer.over", &"this meeting has failed; start another") }
}
