//! The frames that put things right: comparing both sides' chunks, decisions about held changes, a device's new unit.

use toso_core::id::{ChangeHash, ChunkKey};

use super::super::msgpack::{FieldReader, Fields, write_bin, write_bool, write_list, write_str, write_uint};
use super::{
    MOVED, RECONCILE, REVIEWED, Result, WANT, open, read_array, read_doc, read_sequence, read_unit, write_unit,
};
use crate::frame::{Decision, Moved, Reconcile, Reviewed, Want};
use crate::limits::{
    DECISIONS_MAX, DETAIL_BYTES_MAX, RECONCILE_BYTES_MAX, ROLE_BYTES_MAX, TOKEN_BYTES_MAX, WANT_KEYS_MAX,
};

pub(super) fn write_reconcile(out: &mut Vec<u8>, reconcile: &Reconcile) {
    let mut fields = open(out, RECONCILE);
    fields.required(|out| write_unit(out, reconcile.unit));
    fields.required(|out| write_uint(out, reconcile.as_of.0));
    fields.optional(reconcile.message.is_empty(), |out| write_bin(out, &reconcile.message));
    fields.close();
}

pub(super) fn read_reconcile(fields: &mut FieldReader<'_, '_>) -> Result<Reconcile> {
    Ok(Reconcile {
        unit: fields.required(read_unit)?,
        as_of: fields.required(|reader| read_sequence(reader, "RECONCILE as of"))?,
        message: fields
            .optional(|reader| reader.bin("RECONCILE message", RECONCILE_BYTES_MAX))?
            .unwrap_or_default()
            .to_vec(),
    })
}

pub(super) fn write_want(out: &mut Vec<u8>, want: &Want) {
    let mut fields = open(out, WANT);
    fields.required(|out| write_unit(out, want.unit));
    fields.required(|out| write_uint(out, want.as_of.0));
    fields.optional(want.keys.is_empty(), |out| write_list(out, &want.keys, |out, key| write_bin(out, &key.0)));
    fields.optional(!want.last, |out| write_bool(out, want.last));
    fields.close();
}

pub(super) fn read_want(fields: &mut FieldReader<'_, '_>) -> Result<Want> {
    Ok(Want {
        unit: fields.required(read_unit)?,
        as_of: fields.required(|reader| read_sequence(reader, "WANT as of"))?,
        keys: fields
            .optional(|reader| {
                reader.list("WANT keys", WANT_KEYS_MAX, |reader| read_array(reader, "a chunk key").map(ChunkKey))
            })?
            .unwrap_or_default(),
        last: fields.optional(|reader| reader.bool("WANT last"))?.unwrap_or_default(),
    })
}

pub(super) fn write_reviewed(out: &mut Vec<u8>, reviewed: &Reviewed) {
    let mut fields = open(out, REVIEWED);
    fields.required(|out| write_uint(out, reviewed.number));
    fields.optional(reviewed.decisions.is_empty(), |out| {
        write_list(out, &reviewed.decisions, |out, decision| {
            let mut fields = Fields::open(out);
            fields.required(|out| write_bin(out, decision.doc.as_bytes()));
            fields.required(|out| write_bin(out, &decision.hash.0));
            fields.required(|out| write_bool(out, decision.accepted));
            fields.optional(decision.note.is_empty(), |out| write_str(out, &decision.note));
            fields.close();
        });
    });
    fields.close();
}

pub(super) fn read_reviewed(fields: &mut FieldReader<'_, '_>) -> Result<Reviewed> {
    Ok(Reviewed {
        number: fields.required(|reader| reader.uint("REVIEWED number"))?,
        decisions: fields
            .optional(|reader| {
                reader.list("REVIEWED decisions", DECISIONS_MAX, |reader| {
                    let mut fields = reader.fields("a decision")?;
                    let decision = Decision {
                        doc: fields.required(read_doc)?,
                        hash: fields.required(|reader| read_array(reader, "a change hash")).map(ChangeHash)?,
                        accepted: fields.required(|reader| reader.bool("a decision"))?,
                        note: fields
                            .optional(|reader| reader.text("a decision's note", DETAIL_BYTES_MAX))?
                            .unwrap_or_default(),
                    };
                    fields.finish()?;
                    Ok(decision)
                })
            })?
            .unwrap_or_default(),
    })
}

pub(super) fn write_moved(out: &mut Vec<u8>, moved: &Moved) {
    let mut fields = open(out, MOVED);
    fields.required(|out| write_unit(out, moved.unit));
    fields.required(|out| write_str(out, &moved.role));
    fields.required(|out| write_bin(out, &moved.token));
    fields.close();
}

pub(super) fn read_moved(fields: &mut FieldReader<'_, '_>) -> Result<Moved> {
    Ok(Moved {
        unit: fields.required(read_unit)?,
        role: fields.required(|reader| reader.text("MOVED role", ROLE_BYTES_MAX))?,
        token: fields.required(|reader| reader.bin("MOVED token", TOKEN_BYTES_MAX))?.to_vec(),
    })
}
