//! Each frame's fields on the wire, writing and reading side by side. `docs/wire-format.md` has the same as tables, and
//! `tests/golden.rs` pins the bytes.

mod greeting;
mod repair;

use toso_core::change::Change;
use toso_core::chunk::RawChunk;
use toso_core::id::{AuthorId, ChangeHash, DOC_ID_BYTES, DOC_ID_UNIQUE_BYTES, Digest, DocId, Epoch, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitRef};

use super::msgpack::{
    FieldReader, Fields, Reader, write_bin, write_bool, write_int, write_list, write_nil, write_str, write_uint,
};
use super::unit_number;
use crate::error::DecodeError;
use crate::frame::{
    Ack, Carried, Challenge, ChallengeReason, Delta, DeltaGroup, DeltaItem, Erased, Frame, Goodbye, GoodbyeCode, Hello,
    Interest, Nack, NackCode, Next, Purge, Push, Receipt, RetryAfter, UnitTotals,
};
use crate::limits::{
    DELTA_ITEMS_MAX, DETAIL_BYTES_MAX, DOCS_MAX, FRAME_INFLATED_BYTES_MAX, INTERESTS_MAX, NONCE_BYTES_MAX,
    PURGE_SCOPES_MAX, PUSH_BYTES_MAX, PUSH_ITEMS_MAX, RECEIPT_TOTALS_MAX, SIGNATURE_BYTES_MAX,
};

type Result<T> = std::result::Result<T, DecodeError>;

const HELLO: u8 = 1;
const WELCOME: u8 = 2;
const CHALLENGE: u8 = 3;
const PUSH: u8 = 4;
const ACK: u8 = 5;
const NACK: u8 = 6;
const DELTA: u8 = 7;
const RECEIPT: u8 = 8;
const PURGE: u8 = 9;
const ERASED: u8 = 10;
const RETRY_AFTER: u8 = 11;
const GOODBYE: u8 = 12;
const RECONCILE: u8 = 13;
const WANT: u8 = 14;
const REVIEWED: u8 = 15;
const MOVED: u8 = 16;
const NEXT: u8 = 17;

/// A change needs no limit of its own here: the frame's is near, and a session can say better why it refuses one.
const CHANGE_IN_FRAME_BYTES_MAX: usize = FRAME_INFLATED_BYTES_MAX;

/// Marks a folded document in DELTA; a change has no mark.
const SNAPSHOT: u8 = 1;
const ERASED_CHANGE: u8 = 2;

/// Appends `[type, field, …]`.
pub(super) fn write(out: &mut Vec<u8>, frame: &Frame) {
    match frame {
        Frame::Hello(hello) => write_hello(out, hello),
        Frame::Welcome(welcome) => greeting::write_welcome(out, welcome),
        Frame::Challenge(challenge) => write_challenge(out, challenge),
        Frame::Push(push) => write_push(out, push),
        Frame::Ack(ack) => write_ack(out, ack),
        Frame::Nack(nack) => write_nack(out, nack),
        Frame::Delta(delta) => write_delta(out, delta),
        Frame::Receipt(receipt) => write_receipt(out, receipt),
        Frame::Purge(purge) => write_purge(out, purge),
        Frame::Erased(erased) => {
            let mut fields = open(out, ERASED);
            fields.required(|out| write_list(out, &erased.docs, |out, doc| write_bin(out, doc.as_bytes())));
            fields.close();
        }
        Frame::RetryAfter(retry_after) => {
            let mut fields = open(out, RETRY_AFTER);
            fields.required(|out| write_uint(out, retry_after.delay_ms));
            fields.close();
        }
        Frame::Goodbye(goodbye) => {
            let mut fields = open(out, GOODBYE);
            fields.required(|out| write_uint(out, goodbye_number(goodbye.code).into()));
            fields.optional(goodbye.detail.is_empty(), |out| write_str(out, &goodbye.detail));
            fields.close();
        }
        Frame::Reconcile(reconcile) => repair::write_reconcile(out, reconcile),
        Frame::Want(want) => repair::write_want(out, want),
        Frame::Reviewed(reviewed) => repair::write_reviewed(out, reviewed),
        Frame::Moved(moved) => repair::write_moved(out, moved),
        Frame::Next(next) => {
            let mut fields = open(out, NEXT);
            fields.optional(next.page_bytes.is_none(), |out| write_option(out, next.page_bytes, write_uint32));
            fields.close();
        }
    }
}

/// Reads `[type, field, …]`.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<Frame> {
    let mut fields = reader.fields("a frame")?;
    let tag = fields.required(|reader| reader.uint("the frame type"))?;
    let frame = match u8::try_from(tag) {
        Ok(HELLO) => Frame::Hello(read_hello(&mut fields)?),
        Ok(WELCOME) => Frame::Welcome(greeting::read_welcome(&mut fields)?),
        Ok(CHALLENGE) => Frame::Challenge(read_challenge(&mut fields)?),
        Ok(PUSH) => Frame::Push(read_push(&mut fields)?),
        Ok(ACK) => Frame::Ack(read_ack(&mut fields)?),
        Ok(NACK) => Frame::Nack(read_nack(&mut fields)?),
        Ok(DELTA) => Frame::Delta(read_delta(&mut fields)?),
        Ok(RECEIPT) => Frame::Receipt(read_receipt(&mut fields)?),
        Ok(PURGE) => Frame::Purge(read_purge(&mut fields)?),
        Ok(ERASED) => Frame::Erased(Erased {
            docs: fields.required(|reader| reader.list("ERASED documents", DOCS_MAX, read_doc))?,
        }),
        Ok(RETRY_AFTER) => {
            Frame::RetryAfter(RetryAfter { delay_ms: fields.required(|reader| reader.uint("RETRY_AFTER delay"))? })
        }
        Ok(GOODBYE) => Frame::Goodbye(Goodbye {
            code: fields.required(|reader| {
                read_code(reader, "GOODBYE code", &GoodbyeCode::ALL, goodbye_number, GoodbyeCode::Unknown)
            })?,
            detail: fields.optional(|reader| reader.text("GOODBYE detail", DETAIL_BYTES_MAX))?.unwrap_or_default(),
        }),
        Ok(RECONCILE) => Frame::Reconcile(repair::read_reconcile(&mut fields)?),
        Ok(WANT) => Frame::Want(repair::read_want(&mut fields)?),
        Ok(REVIEWED) => Frame::Reviewed(repair::read_reviewed(&mut fields)?),
        Ok(MOVED) => Frame::Moved(repair::read_moved(&mut fields)?),
        Ok(NEXT) => Frame::Next(Next { page_bytes: fields.optional(|reader| reader.uint32("NEXT page"))? }),
        _ => return Err(DecodeError::UnknownType { tag }),
    };
    fields.finish()?;
    Ok(frame)
}

fn open(out: &mut Vec<u8>, tag: u8) -> Fields<'_> {
    let mut fields = Fields::open(out);
    fields.required(|out| write_uint(out, tag.into()));
    fields
}

fn write_hello(out: &mut Vec<u8>, hello: &Hello) {
    let mut fields = open(out, HELLO);
    fields.required(|out| write_uint(out, hello.protocol.into()));
    fields.required(|out| greeting::write_proof(out, &hello.proof));
    fields.optional(hello.epoch.is_none(), |out| write_option(out, hello.epoch, |out, epoch| write_uint(out, epoch.0)));
    fields.optional(hello.interests.is_empty(), |out| {
        write_list(out, &hello.interests, |out, interest| {
            let mut fields = Fields::open(out);
            fields.required(|out| write_unit(out, interest.unit));
            fields.optional(interest.cursor == Sequence::ZERO, |out| write_uint(out, interest.cursor.0));
            fields.optional(interest.digest == Digest::default(), |out| write_uint(out, interest.digest.0));
            fields.close();
        });
    });
    fields.optional(!hello.live, |out| write_bool(out, hello.live));
    fields.optional(hello.push.is_none(), |out| {
        write_option(out, hello.push.as_ref(), |out, push| {
            let mut fields = Fields::open(out);
            write_push_fields(&mut fields, push);
            fields.close();
        });
    });
    fields.optional(hello.heard.is_none(), |out| write_option(out, hello.heard, write_uint));
    fields.optional(hello.page_bytes.is_none(), |out| write_option(out, hello.page_bytes, write_uint32));
    fields.optional(hello.receipt.is_none(), |out| {
        write_option(out, hello.receipt, |out, receipt| write_uint(out, receipt.0));
    });
    fields.close();
}

fn read_hello(fields: &mut FieldReader<'_, '_>) -> Result<Hello> {
    Ok(Hello {
        protocol: fields.required(|reader| reader.small("HELLO protocol"))?,
        proof: fields.required(greeting::read_proof)?,
        epoch: fields.optional(|reader| reader.uint("HELLO epoch"))?.map(Epoch),
        interests: fields
            .optional(|reader| reader.list("HELLO interests", INTERESTS_MAX, read_interest))?
            .unwrap_or_default(),
        live: fields.optional(|reader| reader.bool("HELLO live"))?.unwrap_or_default(),
        push: fields.optional(|reader| {
            let mut fields = reader.fields("HELLO push")?;
            let push = read_push(&mut fields)?;
            fields.finish()?;
            Ok(push)
        })?,
        heard: fields.optional(|reader| reader.uint("HELLO heard"))?,
        page_bytes: fields.optional(|reader| reader.uint32("HELLO page"))?,
        receipt: fields.optional(|reader| read_sequence(reader, "HELLO receipt"))?,
    })
}

fn read_interest(reader: &mut Reader<'_>) -> Result<Interest> {
    let mut fields = reader.fields("an interest")?;
    let interest = Interest {
        unit: fields.required(read_unit)?,
        cursor: fields.optional(|reader| read_sequence(reader, "an interest's cursor"))?.unwrap_or_default(),
        digest: fields.optional(|reader| reader.uint("an interest's digest"))?.map(Digest).unwrap_or_default(),
    };
    fields.finish()?;
    Ok(interest)
}

fn write_challenge(out: &mut Vec<u8>, challenge: &Challenge) {
    let mut fields = open(out, CHALLENGE);
    fields.required(|out| write_uint(out, challenge.at.0));
    fields.required(|out| write_bin(out, &challenge.nonce));
    fields.required(|out| write_uint(out, reason_number(challenge.reason).into()));
    fields.close();
}

fn read_challenge(fields: &mut FieldReader<'_, '_>) -> Result<Challenge> {
    Ok(Challenge {
        at: fields.required(|reader| read_time(reader, "CHALLENGE time"))?,
        nonce: fields.required(|reader| reader.bin("CHALLENGE nonce", NONCE_BYTES_MAX))?.to_vec(),
        reason: fields.required(|reader| {
            let unknown = ChallengeReason::Unknown;
            read_code(reader, "CHALLENGE reason", &ChallengeReason::ALL, reason_number, unknown)
        })?,
    })
}

fn write_push(out: &mut Vec<u8>, push: &Push) {
    let mut fields = open(out, PUSH);
    write_push_fields(&mut fields, push);
    fields.close();
}

fn write_push_fields(fields: &mut Fields<'_>, push: &Push) {
    fields.required(|out| write_uint(out, push.number));
    fields.required(|out| write_unit(out, push.scope));
    fields.required(|out| {
        write_list(out, &push.items, |out, item| {
            let mut fields = Fields::open(out);
            fields.required(|out| write_doc_of(out, item.doc, push.scope));
            fields.required(|out| write_bin(out, item.bytes()));
            fields.close();
        });
    });
    fields.optional(push.carried.is_none(), |out| {
        write_option(out, push.carried.as_ref(), |out, carried| {
            let mut fields = Fields::open(out);
            fields.required(|out| write_bin(out, &carried.author.0));
            fields.required(|out| write_bin(out, &carried.signature));
            fields.close();
        });
    });
}

fn read_push(fields: &mut FieldReader<'_, '_>) -> Result<Push> {
    let number = fields.required(|reader| reader.uint("PUSH number"))?;
    let scope = fields.required(read_unit)?;
    let items = fields.required(|reader| {
        reader.list("PUSH items", PUSH_ITEMS_MAX, |reader| {
            let mut fields = reader.fields("a PUSH item")?;
            let doc = fields.required(|reader| read_doc_of(reader, scope))?;
            let chunk = fields.required(|reader| reader.bin("a change", CHANGE_IN_FRAME_BYTES_MAX))?.into();
            fields.finish()?;
            Ok(Change { doc, chunk })
        })
    })?;
    let bytes: usize = items.iter().map(|item: &Change<RawChunk>| item.bytes().len()).sum();
    if items.len() > 1 && bytes > PUSH_BYTES_MAX {
        return Err(DecodeError::Limit { what: "change bytes of a PUSH", count: bytes, max: PUSH_BYTES_MAX });
    }
    let carried = fields.optional(|reader| {
        let mut fields = reader.fields("PUSH carried")?;
        let carried = Carried {
            author: fields.required(|reader| read_array(reader, "PUSH author")).map(AuthorId)?,
            signature: fields.required(|reader| reader.bin("PUSH signature", SIGNATURE_BYTES_MAX))?.to_vec(),
        };
        fields.finish()?;
        Ok(carried)
    })?;
    Ok(Push { number, scope, items, carried })
}

fn write_ack(out: &mut Vec<u8>, ack: &Ack) {
    let mut fields = open(out, ACK);
    fields.required(|out| write_uint(out, ack.number));
    fields.required(|out| write_uint(out, ack.through.0));
    fields.optional(!ack.settled, |out| write_bool(out, ack.settled));
    fields.close();
}

fn read_ack(fields: &mut FieldReader<'_, '_>) -> Result<Ack> {
    Ok(Ack {
        number: fields.required(|reader| reader.uint("ACK number"))?,
        through: fields.required(|reader| read_sequence(reader, "ACK through"))?,
        settled: fields.optional(|reader| reader.bool("ACK settled"))?.unwrap_or_default(),
    })
}

fn write_nack(out: &mut Vec<u8>, nack: &Nack) {
    let mut fields = open(out, NACK);
    fields.required(|out| write_uint(out, nack.number));
    fields.required(|out| write_uint(out, nack_number(nack.code).into()));
    fields.optional(nack.item.is_none(), |out| write_option(out, nack.item, |out, item| write_uint(out, item.into())));
    fields.optional(nack.detail.is_empty(), |out| write_str(out, &nack.detail));
    fields.optional(nack.retry_after_s.is_none(), |out| {
        write_option(out, nack.retry_after_s, |out, seconds| write_uint(out, seconds.into()));
    });
    fields.close();
}

fn read_nack(fields: &mut FieldReader<'_, '_>) -> Result<Nack> {
    Ok(Nack {
        number: fields.required(|reader| reader.uint("NACK number"))?,
        code: fields
            .required(|reader| read_code(reader, "NACK code", &NackCode::ALL, nack_number, NackCode::Unknown))?,
        item: fields.optional(|reader| reader.uint32("NACK item"))?,
        detail: fields.optional(|reader| reader.text("NACK detail", DETAIL_BYTES_MAX))?.unwrap_or_default(),
        retry_after_s: fields.optional(|reader| reader.uint32("NACK retry after"))?,
    })
}

fn write_delta(out: &mut Vec<u8>, delta: &Delta) {
    let mut fields = open(out, DELTA);
    fields.required(|out| write_unit(out, delta.unit));
    fields.required(|out| write_uint(out, delta.next.0));
    fields.optional(delta.groups.is_empty(), |out| {
        write_list(out, &delta.groups, |out, group| {
            let mut fields = Fields::open(out);
            fields.required(|out| write_unit(out, group.scope));
            fields.required(|out| {
                write_list(out, &group.items, |out, item| write_delta_item(out, item, group.scope));
            });
            fields.close();
        });
    });
    fields.optional(!delta.more, |out| write_bool(out, delta.more));
    fields.close();
}

/// Bytes of one item, for packing pages.
pub(super) fn write_delta_item(out: &mut Vec<u8>, item: &DeltaItem, scope: Scope) {
    let (doc, bytes, kind, by) = match item {
        DeltaItem::Change(change) => (change.doc, change.bytes(), 0, None),
        DeltaItem::Returned(change, by) => (change.doc, change.bytes(), 0, Some(by)),
        DeltaItem::Snapshot(doc, snapshot) => (*doc, snapshot.as_slice(), SNAPSHOT, None),
        DeltaItem::Erased(doc, hash) => (*doc, hash.0.as_slice(), ERASED_CHANGE, None),
    };
    let mut fields = Fields::open(out);
    fields.required(|out| write_doc_of(out, doc, scope));
    fields.required(|out| write_bin(out, bytes));
    fields.optional(kind == 0, |out| write_uint(out, kind.into()));
    fields.optional(by.is_none(), |out| write_option(out, by, |out, by| write_bin(out, &by.0)));
    fields.close();
}

fn read_delta(fields: &mut FieldReader<'_, '_>) -> Result<Delta> {
    let unit = fields.required(read_unit)?;
    let next = fields.required(|reader| read_sequence(reader, "DELTA next"))?;
    let mut room = DELTA_ITEMS_MAX;
    let groups = fields
        .optional(|reader| {
            reader.list("DELTA groups", DELTA_ITEMS_MAX, |reader| {
                let mut fields = reader.fields("a DELTA group")?;
                let scope = fields.required(read_unit)?;
                let items = fields
                    .required(|reader| reader.list("DELTA items", room, |reader| read_delta_item(reader, scope)))?;
                let items: Vec<DeltaItem> = items.into_iter().flatten().collect();
                room = room.saturating_sub(items.len());
                fields.finish()?;
                Ok(DeltaGroup { scope, items })
            })
        })?
        .unwrap_or_default();
    let more = fields.optional(|reader| reader.bool("DELTA more"))?.unwrap_or_default();
    Ok(Delta { unit, groups, next, more })
}

/// `None` for an item of a kind that only a newer version knows; it is passed over.
fn read_delta_item(reader: &mut Reader<'_>, scope: Scope) -> Result<Option<DeltaItem>> {
    let mut fields = reader.fields("a DELTA item")?;
    let doc = fields.required(|reader| read_doc_of(reader, scope))?;
    let bytes = fields.required(|reader| reader.bin("a chunk", CHANGE_IN_FRAME_BYTES_MAX))?;
    let kind = fields.optional(|reader| reader.small("a DELTA item's kind"))?.unwrap_or_default();
    let by = fields.optional(|reader| read_array(reader, "who brought a DELTA item back"))?.map(AuthorId);
    fields.finish()?;
    Ok(match (kind, by) {
        (0, None) => Some(DeltaItem::Change(Change { doc, chunk: bytes.into() })),
        (0, Some(by)) => Some(DeltaItem::Returned(Change { doc, chunk: bytes.into() }, by)),
        (SNAPSHOT, _) => Some(DeltaItem::Snapshot(doc, bytes.to_vec())),
        (ERASED_CHANGE, _) => {
            let what = "the hash of an erased change";
            let hash = bytes
                .try_into()
                .map_err(|_| DecodeError::Malformed { what, detail: format!("{} bytes instead of 32", bytes.len()) })?;
            Some(DeltaItem::Erased(doc, ChangeHash(hash)))
        }
        _ => None,
    })
}

fn write_receipt(out: &mut Vec<u8>, receipt: &Receipt) {
    let mut fields = open(out, RECEIPT);
    fields.required(|out| write_uint(out, receipt.as_of.0));
    fields.required(|out| write_uint(out, receipt.at.0));
    fields.optional(receipt.totals.is_empty(), |out| {
        write_list(out, &receipt.totals, |out, totals| {
            let mut fields = Fields::open(out);
            fields.required(|out| write_unit(out, totals.unit));
            fields.required(|out| write_uint(out, totals.teams));
            fields.required(|out| write_uint(out, totals.members));
            fields.close();
        });
    });
    fields.close();
}

fn read_receipt(fields: &mut FieldReader<'_, '_>) -> Result<Receipt> {
    Ok(Receipt {
        as_of: fields.required(|reader| read_sequence(reader, "RECEIPT as of"))?,
        at: fields.required(|reader| read_time(reader, "RECEIPT time"))?,
        totals: fields
            .optional(|reader| {
                reader.list("RECEIPT totals", RECEIPT_TOTALS_MAX, |reader| {
                    let mut fields = reader.fields("RECEIPT totals")?;
                    let totals = UnitTotals {
                        unit: fields.required(read_unit)?,
                        teams: fields.required(|reader| reader.uint("RECEIPT teams"))?,
                        members: fields.required(|reader| reader.uint("RECEIPT members"))?,
                    };
                    fields.finish()?;
                    Ok(totals)
                })
            })?
            .unwrap_or_default(),
    })
}

fn write_purge(out: &mut Vec<u8>, purge: &Purge) {
    let mut fields = open(out, PURGE);
    fields
        .optional(purge.scopes.is_empty(), |out| write_list(out, &purge.scopes, |out, scope| write_unit(out, *scope)));
    fields.optional(purge.docs.is_empty(), |out| {
        write_list(out, &purge.docs, |out, doc| write_bin(out, doc.as_bytes()));
    });
    fields.close();
}

fn read_purge(fields: &mut FieldReader<'_, '_>) -> Result<Purge> {
    Ok(Purge {
        scopes: fields.optional(|reader| reader.list("PURGE scopes", PURGE_SCOPES_MAX, read_unit))?.unwrap_or_default(),
        docs: fields.optional(|reader| reader.list("PURGE documents", DOCS_MAX, read_doc))?.unwrap_or_default(),
    })
}

fn write_option<T>(out: &mut Vec<u8>, value: Option<T>, write: impl FnOnce(&mut Vec<u8>, T)) {
    match value {
        Some(value) => write(out, value),
        None => write_nil(out),
    }
}

fn write_uint32(out: &mut Vec<u8>, value: u32) {
    write_uint(out, value.into());
}

fn write_unit(out: &mut Vec<u8>, unit: UnitRef) {
    write_int(out, unit_number::number(unit));
}

fn read_unit(reader: &mut Reader<'_>) -> Result<UnitRef> {
    unit_number::unit(reader.int("a unit")?)
        .ok_or_else(|| DecodeError::Malformed { what: "a unit", detail: "no unit has this number".to_owned() })
}

/// A document beside its scope: 12 bytes without the 4 that the scope implies, or all 16 when it is another scope's.
fn write_doc_of(out: &mut Vec<u8>, doc: DocId, scope: Scope) {
    let [kind, _, _, _, _, unique @ ..] = *doc.as_bytes();
    if doc.belongs_to(scope) {
        let mut short = [kind; 1 + DOC_ID_UNIQUE_BYTES];
        let [_, rest @ ..] = &mut short;
        *rest = unique;
        write_bin(out, &short);
    } else {
        write_bin(out, doc.as_bytes());
    }
}

fn read_doc_of(reader: &mut Reader<'_>, scope: Scope) -> Result<DocId> {
    let bytes = reader.bin("a document id", DOC_ID_BYTES)?;
    match <[u8; 1 + DOC_ID_UNIQUE_BYTES]>::try_from(bytes) {
        Ok([letter, unique @ ..]) => DocId::from_parts(letter, scope, unique).map_err(|_| no_kind()),
        Err(_) => doc_from(bytes),
    }
}

fn read_doc(reader: &mut Reader<'_>) -> Result<DocId> {
    doc_from(reader.bin("a document id", DOC_ID_BYTES)?)
}

fn doc_from(bytes: &[u8]) -> Result<DocId> {
    let bytes = bytes.try_into().map_err(|_| DecodeError::Malformed {
        what: "a document id",
        detail: format!("{} bytes is no length of an id", bytes.len()),
    })?;
    DocId::from_bytes(bytes).map_err(|_| no_kind())
}

fn no_kind() -> DecodeError {
    DecodeError::Malformed { what: "a document id", detail: "its first byte is no small letter".to_owned() }
}

fn read_array<const N: usize>(reader: &mut Reader<'_>, what: &'static str) -> Result<[u8; N]> {
    let bytes = reader.bin(what, N)?;
    bytes
        .try_into()
        .map_err(|_| DecodeError::Malformed { what, detail: format!("{} bytes instead of {N}", bytes.len()) })
}

fn read_sequence(reader: &mut Reader<'_>, what: &'static str) -> Result<Sequence> {
    reader.uint(what).map(Sequence)
}

fn read_time(reader: &mut Reader<'_>, what: &'static str) -> Result<TimestampMs> {
    reader.uint(what).map(TimestampMs)
}

/// Reads a number that stands for one of `all`, or for something that only a newer version knows.
fn read_code<T: Copy>(
    reader: &mut Reader<'_>,
    what: &'static str,
    all: &[T],
    number: impl Fn(T) -> u8,
    unknown: impl Fn(u8) -> T,
) -> Result<T> {
    let found = reader.small(what)?;
    Ok(all.iter().copied().find(|code| number(*code) == found).unwrap_or_else(|| unknown(found)))
}

const fn reason_number(reason: ChallengeReason) -> u8 {
    match reason {
        ChallengeReason::Ticket => 0,
        ChallengeReason::Clock => 1,
        ChallengeReason::Used => 2,
        ChallengeReason::Unknown(number) => number,
    }
}

const fn nack_number(code: NackCode) -> u8 {
    match code {
        NackCode::OutOfScope => 0,
        NackCode::Forbidden => 1,
        NackCode::Malformed => 2,
        NackCode::ForeignActor => 3,
        NackCode::WrongDocument => 4,
        NackCode::TooLarge => 5,
        NackCode::Unavailable => 6,
        NackCode::Held => 7,
        NackCode::Erased => 8,
        NackCode::OverQuota => 9,
        NackCode::Unknown(number) => number,
    }
}

const fn goodbye_number(code: GoodbyeCode) -> u8 {
    match code {
        GoodbyeCode::Done => 0,
        GoodbyeCode::Shutdown => 1,
        GoodbyeCode::Protocol => 2,
        GoodbyeCode::Version => 3,
        GoodbyeCode::Unauthorized => 4,
        GoodbyeCode::Revoked => 5,
        GoodbyeCode::OutOfScope => 6,
        GoodbyeCode::Overload => 7,
        GoodbyeCode::Internal => 8,
        GoodbyeCode::Unknown(number) => number,
    }
}
