//! Two phones that meet: a session over any pipe of bytes (Bluetooth, a local network, a cable), without a server.
//!
//! The machine takes bytes and gives effects; the owner of the pipe moves the bytes. First a Noise handshake
//! (`NN`: both sides fresh keys) makes the pipe private. Then each side shows its card, signed by the server, and signs the
//! handshake's hash with the key on the card: the hash is of this connection alone, so nobody in the middle can pass it on. From there
//! each says which parcels it has, gives those that the other lacks, what it heard of the server, and says that it is done.
//!
//! A peer may send anything: every length is checked before it is believed, and whatever does not fit ends the session with
//! an error.

use serde::{Deserialize, Serialize};
use snow::{HandshakeState, TransportState};
use toso_core::chunk::CHANGE_BYTES_MAX;
use toso_core::id::ServerId;
use toso_core::unit::UnitRef;
use toso_sync::Principal;
use toso_wire::{DeviceCard, signed_peer};

use super::CarryError;
use super::handover::{CarriedReceipt, CarriedTotals, Handover, TakeReport};
use super::keep::CARRY_PARCELS_MAX;
use super::noise::handshake;
use super::parcel::{Parcel, ParcelId};
use super::pass::{check_card, covers, verify};
use crate::identity::{Device, RandomSource};

/// The largest Noise message.
const NOISE_BYTES_MAX: usize = 65_535;
/// Bytes of content in one Noise message; the tag takes 16.
const PIECE_BYTES_MAX: usize = 32 * 1024;
/// The largest message: a parcel of one change of the largest size, with card and envelope.
const MESSAGE_BYTES_MAX: usize = CHANGE_BYTES_MAX + 64 * 1024;
/// Parcels that a peer may have, and give: its box, and its own outbox in as many batches.
const PARCELS_MAX: usize = 2 * CARRY_PARCELS_MAX;
/// Messages that a peer may send: its parcels, as many receipts, and four of the greeting and the end.
const MESSAGES_MAX: usize = 2 * PARCELS_MAX + 4;

/// Which side this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// It opened the pipe.
    Caller,
    /// It waited for the other.
    Called,
}

/// What the owner of the pipe does, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum PeerEffect {
    /// Send these bytes.
    Send(Vec<u8>),
    /// The peer has proved who it is.
    Met(Principal),
    /// Take this into the replica ([`crate::Replica::take_handover`]); stop the session when that fails.
    Take(Handover),
    /// Both sides have said everything: close the pipe after what was sent.
    End,
}

/// Why a meeting ended early. What was taken before stays.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PeerError {
    /// The peer does not speak this protocol, or somebody is in the middle.
    #[error("the other side does not speak as a phone of this register ({0}); start again on both")]
    Protocol(&'static str),
    /// The peer is nobody that this phone shares anything with, or what it gave is refused.
    #[error(transparent)]
    Carry(#[from] CarryError),
    /// The pipe ended.
    #[error("the connection ended before both sides were done; meet again, nothing is lost")]
    Lost,
}

/// What a meeting did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PeerReport {
    /// Batches given.
    pub given: usize,
    /// What was taken.
    #[serde(flatten)]
    pub taken: TakeReport,
}

#[derive(Debug, Serialize, Deserialize)]
enum Message {
    Intro {
        card: DeviceCard,
        #[serde(with = "serde_bytes")]
        signature: [u8; 64],
    },
    Have(Vec<ParcelId>),
    Parcel(Parcel),
    Receipt(CarriedReceipt),
    Totals(CarriedTotals),
    Done,
}

enum Phase {
    Handshake(Box<HandshakeState>),
    Open(Box<TransportState>),
    Ended,
}

/// How far the peer is in what it must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Heard {
    Nothing,
    Intro,
    Have,
    Done,
}

/// One meeting.
pub struct PeerSession {
    side: Side,
    device: Device,
    card: DeviceCard,
    server: ServerId,
    own: UnitRef,
    handover: Handover,
    /// Parcels that this side needs no more.
    have: Vec<ParcelId>,
    phase: Phase,
    handshake_hash: Vec<u8>,
    heard: Heard,
    peer: Option<Principal>,
    messages: usize,
    given: usize,
    /// Bytes of the pipe that are no whole Noise message yet.
    raw: Vec<u8>,
    /// Content that is no whole message yet.
    content: Vec<u8>,
}

impl std::fmt::Debug for PeerSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerSession").field("side", &self.side).field("heard", &self.heard).finish_non_exhaustive()
    }
}

impl PeerSession {
    /// A session, and what it begins with.
    pub(crate) fn new(
        side: Side,
        random: RandomSource,
        device: Device,
        card: DeviceCard,
        server: ServerId,
        handover: Handover,
        mut have: Vec<ParcelId>,
    ) -> Result<(Self, Vec<PeerEffect>), PeerError> {
        have.extend(handover.parcels.iter().filter_map(Parcel::id));
        have.sort_unstable();
        have.dedup();
        have.truncate(PARCELS_MAX);
        let noise = |_| PeerError::Protocol("the handshake cannot begin");
        let builder = handshake(random).map_err(noise)?;
        let state = match side {
            Side::Caller => builder.build_initiator(),
            Side::Called => builder.build_responder(),
        };
        let mut session = Self {
            side,
            own: card.unit,
            device,
            card,
            server,
            handover,
            have,
            phase: Phase::Handshake(Box::new(state.map_err(noise)?)),
            handshake_hash: Vec::new(),
            heard: Heard::Nothing,
            peer: None,
            messages: 0,
            given: 0,
            raw: Vec::new(),
            content: Vec::new(),
        };
        let mut effects = Vec::new();
        if side == Side::Caller {
            session.handshake(None, &mut effects)?;
        }
        Ok((session, effects))
    }

    /// Batches given so far.
    pub fn given(&self) -> usize {
        self.given
    }

    /// Takes what the pipe brought. After an error the session is over.
    pub fn handle(&mut self, bytes: &[u8]) -> Result<Vec<PeerEffect>, PeerError> {
        let mut effects = Vec::new();
        self.raw.extend_from_slice(bytes);
        while let Some(message) = take_framed(&mut self.raw) {
            match self.phase {
                Phase::Handshake(_) => self.handshake(Some(&message), &mut effects)?,
                Phase::Open(_) => self.on_noise(&message, &mut effects)?,
                Phase::Ended => return Err(PeerError::Protocol("it went on after the end")),
            }
        }
        Ok(effects)
    }

    /// The pipe has ended: an error unless the session had.
    pub fn closed(&self) -> Result<(), PeerError> {
        if matches!(self.phase, Phase::Ended) { Ok(()) } else { Err(PeerError::Lost) }
    }

    fn handshake(&mut self, received: Option<&[u8]>, effects: &mut Vec<PeerEffect>) -> Result<(), PeerError> {
        let Phase::Handshake(state) = &mut self.phase else { return Ok(()) };
        let failed = |_| PeerError::Protocol("the handshake failed");
        let mut buffer = vec![0; NOISE_BYTES_MAX];
        if let Some(received) = received {
            state.read_message(received, &mut buffer).map_err(failed)?;
        }
        if state.is_my_turn() && !state.is_handshake_finished() {
            let length = state.write_message(&[], &mut buffer).map_err(failed)?;
            effects.push(PeerEffect::Send(framed(buffer.get(..length).unwrap_or_default())));
        }
        if state.is_handshake_finished() {
            self.handshake_hash = state.get_handshake_hash().to_vec();
            if let Phase::Handshake(state) = std::mem::replace(&mut self.phase, Phase::Ended) {
                self.phase = Phase::Open(Box::new(state.into_transport_mode().map_err(failed)?));
            }
            let signature = self.device.sign(&signed_peer(self.side == Side::Called, &self.handshake_hash));
            self.say(&Message::Intro { card: self.card.clone(), signature }, effects)?;
        }
        Ok(())
    }

    fn on_noise(&mut self, message: &[u8], effects: &mut Vec<PeerEffect>) -> Result<(), PeerError> {
        let Phase::Open(state) = &mut self.phase else { return Ok(()) };
        let mut buffer = vec![0; message.len()];
        let length = state
            .read_message(message, &mut buffer)
            .map_err(|_| PeerError::Protocol("something was changed on the way"))?;
        self.content.extend_from_slice(buffer.get(..length).unwrap_or_default());
        while let Some((length, _)) = self.content.split_first_chunk::<4>() {
            let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
            if length > MESSAGE_BYTES_MAX {
                return Err(PeerError::Protocol("a message is too large"));
            }
            if self.content.len() < 4 + length {
                break;
            }
            let message: Vec<u8> = self.content.drain(..4 + length).skip(4).collect();
            self.messages += 1;
            if self.messages > MESSAGES_MAX {
                return Err(PeerError::Protocol("it says too much"));
            }
            let message = rmp_serde::from_slice(&message)
                .map_err(|_| PeerError::Protocol("a message cannot be read; it may be of a newer version"))?;
            self.on_message(message, effects)?;
        }
        Ok(())
    }

    fn on_message(&mut self, message: Message, effects: &mut Vec<PeerEffect>) -> Result<(), PeerError> {
        match (message, self.heard) {
            (Message::Intro { card, signature }, Heard::Nothing) => {
                self.heard = Heard::Intro;
                self.on_intro(&card, &signature, effects)
            }
            (Message::Have(have), Heard::Intro) => {
                self.heard = Heard::Have;
                self.on_have(&have, effects)
            }
            (Message::Parcel(parcel), Heard::Have) => {
                effects.push(PeerEffect::Take(Handover { parcels: vec![parcel], ..Handover::default() }));
                Ok(())
            }
            (Message::Receipt(receipt), Heard::Have) => {
                effects.push(PeerEffect::Take(Handover { receipts: vec![receipt], ..Handover::default() }));
                Ok(())
            }
            (Message::Totals(totals), Heard::Have) => {
                effects.push(PeerEffect::Take(Handover { totals: Some(totals), ..Handover::default() }));
                Ok(())
            }
            (Message::Done, Heard::Have) => {
                // HAVE was answered by all that this side has to say, so both are done.
                self.heard = Heard::Done;
                self.phase = Phase::Ended;
                effects.push(PeerEffect::End);
                Ok(())
            }
            _ => Err(PeerError::Protocol("a message came out of turn")),
        }
    }

    fn on_intro(
        &mut self,
        card: &DeviceCard,
        signature: &[u8; 64],
        effects: &mut Vec<PeerEffect>,
    ) -> Result<(), PeerError> {
        let peer = check_card(card, self.server)?;
        let signed = signed_peer(self.side == Side::Caller, &self.handshake_hash);
        verify(&card.key, &signed, signature)
            .map_err(|()| CarryError::Forged("the other side does not hold the key of its card"))?;
        if !covers(self.own, peer.unit) && !covers(peer.unit, self.own) {
            return Err(CarryError::OutsideUnit { unit: peer.unit, own: self.own }.into());
        }
        self.peer = Some(peer);
        effects.push(PeerEffect::Met(peer));
        let have = Message::Have(std::mem::take(&mut self.have));
        self.say(&have, effects)
    }

    fn on_have(&mut self, have: &[ParcelId], effects: &mut Vec<PeerEffect>) -> Result<(), PeerError> {
        let Some(peer) = self.peer else { return Err(PeerError::Protocol("a message came out of turn")) };
        if have.len() > PARCELS_MAX {
            return Err(PeerError::Protocol("it has too many batches"));
        }
        let handover = std::mem::take(&mut self.handover);
        for parcel in handover.parcels.into_iter().take(PARCELS_MAX) {
            let lacks = parcel.id().is_some_and(|id| !have.contains(&id));
            // Not what the other made itself, and nothing of a unit that it may not read.
            let foreign = parcel.card.device() != peer.device;
            if lacks && foreign && covers(peer.unit, parcel.scope) {
                self.given += 1;
                self.say(&Message::Parcel(parcel), effects)?;
            }
        }
        for receipt in handover.receipts.into_iter().take(PARCELS_MAX) {
            self.say(&Message::Receipt(receipt), effects)?;
        }
        if let Some(totals) = handover.totals.filter(|totals| covers(peer.unit, totals.unit)) {
            self.say(&Message::Totals(totals), effects)?;
        }
        self.say(&Message::Done, effects)
    }

    fn say(&mut self, message: &Message, effects: &mut Vec<PeerEffect>) -> Result<(), PeerError> {
        let Phase::Open(state) = &mut self.phase else { return Ok(()) };
        let failed = PeerError::Protocol("a message cannot be written");
        let message = rmp_serde::to_vec(message).map_err(|_| failed.clone())?;
        let length = u32::try_from(message.len()).map_err(|_| failed.clone())?;
        let content = [length.to_be_bytes().as_slice(), &message].concat();
        let mut buffer = vec![0; NOISE_BYTES_MAX];
        for piece in content.chunks(PIECE_BYTES_MAX) {
            let length = state.write_message(piece, &mut buffer).map_err(|_| failed.clone())?;
            effects.push(PeerEffect::Send(framed(buffer.get(..length).unwrap_or_default())));
        }
        Ok(())
    }
}

/// `length (2) ‖ Noise message`.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    [length.to_be_bytes().as_slice(), message].concat()
}

/// The next whole Noise message.
fn take_framed(raw: &mut Vec<u8>) -> Option<Vec<u8>> {
    let (length, _) = raw.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_be_bytes(*length));
    (raw.len() >= 2 + length).then(|| raw.drain(..2 + length).skip(2).collect())
}
