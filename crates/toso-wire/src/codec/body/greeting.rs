//! HELLO's proof and WELCOME on the wire.

use toso_core::id::Epoch;
use toso_core::time::TimestampMs;

use super::super::msgpack::{FieldReader, Fields, Reader, write_bin, write_nil, write_uint};
use super::{Result, WELCOME, open, read_array, read_time, write_option};
use crate::error::DecodeError;
use crate::limits::{NONCE_BYTES_MAX, SIGNATURE_BYTES_MAX, TOKEN_BYTES_MAX};
use crate::proof::{MAC_BYTES, Proof, RootProof, Ticket, TicketProof, TicketSecret, Welcome, WelcomeProof};

pub(super) fn write_proof(out: &mut Vec<u8>, proof: &Proof) {
    match proof {
        Proof::Ticket(shown) => write_bin(out, &shown.to_bytes()),
        Proof::Token { token, at, nonce, signature } => {
            let mut fields = Fields::open(out);
            fields.required(|out| write_bin(out, token));
            fields.required(|out| write_uint(out, at.0));
            fields.required(|out| write_bin(out, nonce));
            fields.required(|out| write_bin(out, signature));
            fields.close();
        }
    }
}

pub(super) fn read_proof(reader: &mut Reader<'_>) -> Result<Proof> {
    if reader.at_bin() {
        return Ok(Proof::Ticket(TicketProof::from_bytes(&read_array(reader, "HELLO ticket")?)));
    }
    let mut fields = reader.fields("HELLO proof")?;
    let proof = Proof::Token {
        token: fields.required(|reader| reader.bin("HELLO token", TOKEN_BYTES_MAX))?.to_vec(),
        at: fields.required(|reader| read_time(reader, "HELLO time"))?,
        nonce: fields.required(|reader| reader.bin("HELLO nonce", NONCE_BYTES_MAX))?.to_vec(),
        signature: fields.required(|reader| reader.bin("HELLO signature", SIGNATURE_BYTES_MAX))?.to_vec(),
    };
    fields.finish()?;
    Ok(proof)
}

pub(super) fn write_welcome(out: &mut Vec<u8>, welcome: &Welcome) {
    let mut fields = open(out, WELCOME);
    fields.required(|out| match welcome.epoch {
        Some(epoch) => write_uint(out, epoch.0),
        None => write_nil(out),
    });
    fields.required(|out| write_uint(out, welcome.at.seconds()));
    fields.required(|out| match &welcome.proof {
        WelcomeProof::Ticket(mac) => write_uint(out, u64::from_be_bytes(*mac)),
        WelcomeProof::Root(root) => write_root(out, root),
    });
    fields.optional(welcome.pending == 0, |out| write_uint(out, welcome.pending));
    fields.close();
}

pub(super) fn read_welcome(fields: &mut FieldReader<'_, '_>) -> Result<Welcome> {
    Ok(Welcome {
        epoch: fields.optional(|reader| reader.uint("WELCOME epoch"))?.map(Epoch),
        at: fields.required(|reader| read_seconds(reader, "WELCOME time"))?,
        proof: fields.required(|reader| {
            if reader.at_array() {
                return Ok(WelcomeProof::Root(Box::new(read_root(reader)?)));
            }
            let mac: [u8; MAC_BYTES] = reader.uint("WELCOME proof")?.to_be_bytes();
            Ok(WelcomeProof::Ticket(mac))
        })?,
        pending: fields.optional(|reader| reader.uint("WELCOME pending"))?.unwrap_or_default(),
    })
}

fn write_root(out: &mut Vec<u8>, root: &RootProof) {
    let mut fields = Fields::open(out);
    fields.required(|out| write_bin(out, &root.root));
    fields.required(|out| write_bin(out, &root.signature));
    fields.required(|out| write_uint(out, root.token_ends.0));
    fields.optional(root.ticket.is_none(), |out| {
        write_option(out, root.ticket.as_ref(), |out, ticket| {
            let mut fields = Fields::open(out);
            fields.required(|out| write_bin(out, &ticket.secret.0));
            fields.required(|out| write_uint(out, ticket.expires_at.seconds()));
            fields.close();
        });
    });
    fields.optional(root.token.is_empty(), |out| write_bin(out, &root.token));
    fields.close();
}

fn read_root(reader: &mut Reader<'_>) -> Result<RootProof> {
    let mut fields = reader.fields("WELCOME proof")?;
    let root = RootProof {
        root: fields.required(|reader| read_array(reader, "WELCOME root key"))?,
        signature: fields.required(|reader| read_array(reader, "WELCOME signature"))?,
        token_ends: fields.required(|reader| read_time(reader, "WELCOME token's end"))?,
        ticket: fields.optional(|reader| {
            let mut fields = reader.fields("WELCOME ticket")?;
            let ticket = Ticket {
                secret: TicketSecret(fields.required(|reader| read_array(reader, "WELCOME ticket"))?),
                expires_at: fields.required(|reader| read_seconds(reader, "WELCOME ticket's end"))?,
            };
            fields.finish()?;
            Ok(ticket)
        })?,
        token: fields
            .optional(|reader| reader.bin("WELCOME token", TOKEN_BYTES_MAX).map(<[u8]>::to_vec))?
            .unwrap_or_default(),
    };
    fields.finish()?;
    Ok(root)
}

/// A time to the second.
fn read_seconds(reader: &mut Reader<'_>, what: &'static str) -> Result<TimestampMs> {
    let seconds = reader.uint(what)?;
    let ms = seconds.checked_mul(1000);
    ms.map(TimestampMs).ok_or_else(|| DecodeError::Malformed { what, detail: format!("{seconds} s is no time") })
}
