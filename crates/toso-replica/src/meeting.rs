//! A meeting as the owner of the pipe needs it: bytes in, bytes out. It performs what the session wants of the replica.

use toso_sync::Principal;

use crate::carry::peer::{PeerEffect, PeerError, PeerReport, PeerSession, Side};
use crate::replica::Replica;

/// One meeting of two phones. Nothing here keeps the replica: it is lent for each step.
#[derive(Debug)]
pub struct Meeting {
    session: PeerSession,
    report: PeerReport,
    peer: Option<Principal>,
    ended: bool,
}

impl Meeting {
    /// A meeting, and the bytes to send first (none for the side that was called).
    pub fn start(replica: &Replica, side: Side) -> Result<(Self, Vec<Vec<u8>>), PeerError> {
        let (session, effects) = replica.meet(side)?;
        let mut meeting = Self { session, report: PeerReport::default(), peer: None, ended: false };
        let send = meeting.perform(replica, effects)?;
        Ok((meeting, send))
    }

    /// Takes what the pipe brought and returns what is to be sent, in order. After an error the meeting is over; what was
    /// taken before it stays.
    pub fn receive(&mut self, replica: &Replica, bytes: &[u8]) -> Result<Vec<Vec<u8>>, PeerError> {
        let effects = self.session.handle(bytes)?;
        self.perform(replica, effects)
    }

    /// The pipe has ended: an error unless both sides were done.
    pub fn closed(&self) -> Result<(), PeerError> {
        self.session.closed()
    }

    /// Who the other is, once it has proved it.
    pub fn peer(&self) -> Option<Principal> {
        self.peer
    }

    /// True once both sides have said everything: close the pipe after what was sent.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// What the meeting has done so far.
    pub fn report(&self) -> PeerReport {
        PeerReport { given: self.session.given(), ..self.report }
    }

    fn perform(&mut self, replica: &Replica, effects: Vec<PeerEffect>) -> Result<Vec<Vec<u8>>, PeerError> {
        let mut send = Vec::new();
        for effect in effects {
            match effect {
                PeerEffect::Send(bytes) => send.push(bytes),
                PeerEffect::Met(peer) => self.peer = Some(peer),
                PeerEffect::Take(handover) => self.report.taken.add(replica.take_handover(handover)?),
                PeerEffect::End => self.ended = true,
            }
        }
        Ok(send)
    }
}
