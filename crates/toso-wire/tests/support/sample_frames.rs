//! Frames as phones and the server exchange them, around the changes of a [`Register`].

#![allow(dead_code, reason = "each user needs a part")]

use toso_core::change::Change;
use toso_core::id::{Digest, Epoch, Sequence};
use toso_wire::limits::PROTOCOL_VERSION;
use toso_wire::{Delta, DeltaItem, Hello, Interest, Proof, Push, TicketProof, pack_delta};

use crate::register::{Random, Register, Saved};

/// A PUSH of some changes of one commune.
pub(crate) fn push(number: u64, saved: &[Saved]) -> Push {
    let scope = saved.first().expect("a change").scope;
    let items = saved.iter().map(|saved| Change { doc: saved.doc, chunk: saved.change.as_slice().into() }).collect();
    Push { number, scope, items, carried: None }
}

/// The HELLO of a phone that resumes with a ticket.
pub(crate) fn hello(random: &mut Random, register: &Register, push: Option<Push>) -> Hello {
    let cursor = Sequence(100_000 + random.below(900_000));
    Hello {
        protocol: PROTOCOL_VERSION,
        proof: Proof::Ticket(TicketProof::from_bytes(&random.bytes::<28>())),
        epoch: Some(Epoch(random.next())),
        interests: vec![Interest { unit: register.scope, cursor, digest: Digest(random.next()) }],
        live: true,
        push,
        heard: None,
        page_bytes: None,
        receipt: None,
    }
}

/// The pages that bring a commune to a new phone.
pub(crate) fn pages(register: &Register, page_bytes_max: usize) -> Vec<Delta> {
    let mut rest = register.saved.as_slice();
    let mut pages = Vec::new();
    while !rest.is_empty() {
        let first = 100_000 + (register.saved.len() - rest.len()) as u64;
        let entries = rest.iter().zip(first..).map(|(saved, sequence)| {
            (
                Sequence(sequence),
                saved.scope,
                DeltaItem::Change(Change { doc: saved.doc, chunk: saved.change.as_slice().into() }),
            )
        });
        let (page, packed) = pack_delta(register.scope, entries, page_bytes_max);
        assert!(packed > 0, "a change always fits into a frame");
        pages.push(page);
        rest = &rest[packed..];
    }
    pages
}
