//! A look at a token's outermost layer, before any signature is checked: how many blocks it has.
//!
//! A biscuit is a protobuf message: root key id (field 1), the authority's block (2), any number of appended blocks (3),
//! and a proof (4). Each appended block would cost a signature's check and a parse of what a stranger wrote.

/// Field number of appended blocks.
const APPENDED_BLOCKS: u64 = 3;
/// The largest field of a biscuit's outermost layer.
const FIELD_MAX: u64 = 4;
/// Protobuf's wire types that a biscuit's outermost layer uses: a varint, and bytes with their length before them.
const VARINT: u64 = 0;
const BYTES: u64 = 2;

/// True for a message of known fields without an appended block. Walks over it once; never reads past its end.
pub(super) fn has_one_block(token: &[u8]) -> bool {
    let mut rest = token;
    while !rest.is_empty() {
        let Some(tag) = varint(&mut rest) else { return false };
        let field = tag >> 3;
        if field == 0 || field == APPENDED_BLOCKS || field > FIELD_MAX {
            return false;
        }
        let skipped = match tag & 7 {
            VARINT => varint(&mut rest).map(|_| ()),
            BYTES => varint(&mut rest).and_then(|length| {
                let (_, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
                rest = after;
                Some(())
            }),
            _ => None,
        };
        if skipped.is_none() {
            return false;
        }
    }
    true
}

/// A number of 7 bits a byte, the lowest first, of at most 10 bytes.
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appended_blocks_unknown_fields_and_broken_lengths_are_seen() {
        assert!(has_one_block(&[0x12, 2, 9, 9, 0x22, 1, 9]), "authority and proof");
        assert!(has_one_block(&[0x08, 0x96, 0x01, 0x12, 0]), "with a root key id");
        assert!(!has_one_block(&[0x12, 0, 0x1a, 0]), "an appended block, even an empty one");
        assert!(!has_one_block(&[0x12, 0, 0x18, 0]), "in another wire type");
        assert!(!has_one_block(&[0x12, 0, 0x9a, 0x00, 0]), "under a longer spelling of its number");
        assert!(!has_one_block(&[0x2a, 0]), "a field that no biscuit has");
        assert!(!has_one_block(&[0x02, 0]), "field 0");
        assert!(!has_one_block(&[0x12, 3, 9, 9]), "a length past the end");
        assert!(!has_one_block(&[0x13]), "a group");
        assert!(!has_one_block(&[0xff; 11]), "a number without end");
    }
}
