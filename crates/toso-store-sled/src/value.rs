//! The bytes of a value: a version, a checksum, and a body cut into parts that sled can hold well.
//!
//! A value is `version (1) ‖ parts (1) ‖ checksum (8) ‖ first part of the body`. Further parts, when the body has more
//! than fits into [`PART_BYTES_MAX`] with its header, stand under overflow keys without a header. The checksum covers the key and the
//! whole body, so a value under a wrong key, a lost part, or a part of an older body are all noticed.
//!
//! A value of an encrypted folder is `version (1) ‖ parts (1) ‖ first part of the sealed body`. It has no checksum: the
//! seal notices the same and more, and a checksum of a short body would tell the body.

use sled::IVec;

use crate::OVERFLOW_SPACE;
use crate::cipher::Cipher;

/// The version of the plain encoding.
const VALUE_VERSION: u8 = 1;
/// The version of the sealed encoding.
const SEALED_VERSION: u8 = 2;
/// Bytes of version and part count, all that stands before a sealed body.
const SEALED_HEADER_BYTES: usize = 1 + 1;
/// Bytes of version, part count and checksum.
const HEADER_BYTES: usize = 1 + 1 + CHECKSUM_BYTES;
/// Bytes of BLAKE3 that are kept: one flipped value in 2^64 would pass.
const CHECKSUM_BYTES: usize = 8;
/// The largest value handed to sled.
///
/// sled writes a page of over 128 KiB (a quarter of a segment) into a file of its own that is never synced. A page has
/// at most 17 values before it is split, and up to 3 more when a neighbour is merged into it:
/// 20 × (4 KiB + 256 B of key) = 85 KiB.
pub(crate) const PART_BYTES_MAX: usize = 4096;

/// The entries, overflow parts last, that store a body under a key; sealed when there is a cipher.
pub(crate) fn encode(key: &[u8], body: &[u8], cipher: Option<&Cipher>) -> Vec<(Vec<u8>, Vec<u8>)> {
    match cipher {
        None => cut(key, &[&[VALUE_VERSION, 0], checksum(key, body).as_slice()].concat(), body),
        Some(cipher) => cut(key, &[SEALED_VERSION, 0], &cipher.seal(key, body)),
    }
}

/// Cuts a body into parts, the first behind the header, whose second byte is set to their number.
fn cut(key: &[u8], header: &[u8], body: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (first, rest) = body.split_at_checked(PART_BYTES_MAX - header.len()).unwrap_or((body, &[]));
    let overflow = rest.chunks(PART_BYTES_MAX);
    let parts = u8::try_from(1 + overflow.len()).unwrap_or_else(|_| {
        debug_assert!(false, "limits keep bodies below 255 parts");
        u8::MAX
    });
    let mut value = [header, first].concat();
    if let Some(byte) = value.get_mut(1) {
        *byte = parts;
    }
    let mut entries = vec![(key.to_vec(), value)];
    entries.extend((1..).zip(overflow).map(|(part, bytes)| (overflow_key(key, part), bytes.to_vec())));
    entries
}

/// How many parts a value says to have.
pub(crate) fn parts(value: &[u8]) -> u8 {
    value.get(1).copied().unwrap_or(1)
}

/// The key of a further part, from 1.
pub(crate) fn overflow_key(key: &[u8], part: u8) -> Vec<u8> {
    let mut overflow = Vec::with_capacity(key.len() + 2);
    overflow.push(OVERFLOW_SPACE);
    overflow.extend_from_slice(key);
    overflow.push(part);
    overflow
}

/// Reads a body back; `part` fetches what stands under an overflow key.
pub(crate) fn decode<E>(
    key: &[u8],
    value: &[u8],
    cipher: Option<&Cipher>,
    part: impl Fn(&[u8]) -> Result<Option<IVec>, E>,
) -> Result<Result<Vec<u8>, &'static str>, E> {
    let (version, header_bytes) = match cipher {
        None => (VALUE_VERSION, HEADER_BYTES),
        Some(_) => (SEALED_VERSION, SEALED_HEADER_BYTES),
    };
    let Some((header, first)) = value.split_at_checked(header_bytes) else {
        return Ok(Err("it is shorter than its header"));
    };
    let [found, parts, stored @ ..] = header else { return Ok(Err("it is shorter than its header")) };
    if *found != version {
        return Ok(Err("its encoding has another version"));
    }
    let mut body = first.to_vec();
    for number in 1..*parts {
        match part(&overflow_key(key, number))? {
            Some(bytes) => body.extend_from_slice(&bytes),
            None => return Ok(Err("a part of it is missing")),
        }
    }
    Ok(match cipher {
        None if checksum(key, &body) == *stored => Ok(body),
        None => Err("its checksum does not match"),
        Some(cipher) => cipher.open(key, &body).ok_or("its seal does not match"),
    })
}

fn checksum(key: &[u8], body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut checksum = [0; CHECKSUM_BYTES];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(key.len() as u64).to_be_bytes()).update(key).update(body).finalize_xof().fill(&mut checksum);
    checksum
}

/// Reads fields of fixed width from the front of a body.
#[derive(Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    /// The next `count` bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    /// The next 8 bytes as a big-endian number.
    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// The next 4 bytes as a big-endian number.
    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// The next 2 bytes as a big-endian number.
    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use super::*;

    type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

    fn read(entries: &Entries, key: &[u8]) -> Result<Vec<u8>, &'static str> {
        let part = |key: &[u8]| Ok::<_, Infallible>(entries.get(key).map(|bytes| IVec::from(bytes.as_slice())));
        decode(key, &entries[key], None, part).unwrap()
    }

    fn read_sealed(entries: &Entries, key: &[u8], cipher: &Cipher) -> Result<Vec<u8>, &'static str> {
        let part = |key: &[u8]| Ok::<_, Infallible>(entries.get(key).map(|bytes| IVec::from(bytes.as_slice())));
        decode(key, &entries[key], Some(cipher), part).unwrap()
    }

    #[test]
    fn sealed_bodies_of_every_part_count_come_back_in_values_that_sled_holds_well() {
        let cipher = Cipher::new(&crate::key::DataKey::random().unwrap(), b"").unwrap();
        let first = PART_BYTES_MAX - SEALED_HEADER_BYTES - crate::cipher::SEAL_BYTES;
        for bytes in [0, 1, first - 1, first, first + 1, first + 4_096, first + 4_097, 61_440, 70_000] {
            let body: Vec<u8> = (0..bytes).map(|index| u8::try_from(index % 251).unwrap()).collect();
            let entries: Entries = encode(b"key", &body, Some(&cipher)).into_iter().collect();
            assert!(entries.values().all(|value| value.len() <= PART_BYTES_MAX));
            assert_eq!(entries.len(), 1 + (bytes.saturating_sub(first)).div_ceil(PART_BYTES_MAX));
            assert_eq!(read_sealed(&entries, b"key", &cipher).unwrap(), body);
            assert_eq!(read(&entries, b"key"), Err("its encoding has another version"));
        }
        let mut entries: Entries = encode(b"key", &[5; 9_000], Some(&cipher)).into_iter().collect();
        entries.get_mut(overflow_key(b"key", 1).as_slice()).unwrap()[3_000] ^= 1;
        assert_eq!(read_sealed(&entries, b"key", &cipher), Err("its seal does not match"));
        entries.remove(overflow_key(b"key", 1).as_slice());
        assert_eq!(read_sealed(&entries, b"key", &cipher), Err("a part of it is missing"));
        let mut downgraded: Entries = encode(b"key", b"body", None).into_iter().collect();
        assert_eq!(read_sealed(&downgraded, b"key", &cipher), Err("its encoding has another version"));
        downgraded.insert(b"key".to_vec(), vec![2]);
        assert_eq!(read_sealed(&downgraded, b"key", &cipher), Err("it is shorter than its header"));
    }

    #[test]
    fn bodies_of_every_part_count_come_back_in_values_that_sled_holds_well() {
        for bytes in [0, 1, 4_085, 4_086, 4_087, 4_086 + 4_096, 4_086 + 4_097, 61_440, 70_000] {
            let body: Vec<u8> = (0..bytes).map(|index| u8::try_from(index % 251).unwrap()).collect();
            let entries: Entries = encode(b"key", &body, None).into_iter().collect();
            assert!(entries.values().all(|value| value.len() <= PART_BYTES_MAX));
            assert_eq!(read(&entries, b"key").unwrap(), body);
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let whole: Entries = encode(b"key", &[5; 5_000], None).into_iter().collect();
        for (key, value) in &whole {
            for index in (0..value.len()).step_by(97).chain(0..HEADER_BYTES.min(value.len())) {
                let mut damaged = whole.clone();
                damaged.get_mut(key).unwrap()[index] ^= 4;
                assert!(read(&damaged, b"key").is_err(), "byte {index} of {key:?}");
            }
        }
    }

    #[test]
    fn a_value_under_another_key_and_a_lost_part_are_noticed() {
        let mut entries: Entries = encode(b"key", &[5; 5_000], None).into_iter().collect();
        let value = entries[&b"key"[..]].clone();
        entries.remove(&overflow_key(b"key", 1));
        assert_eq!(read(&entries, b"key"), Err("a part of it is missing"));
        let small = encode(b"key", b"body", None).remove(0).1;
        assert_eq!(read(&Entries::from([(b"yek".to_vec(), small)]), b"yek"), Err("its checksum does not match"));
        assert_eq!(
            read(&Entries::from([(b"k".to_vec(), value[..5].to_vec())]), b"k"),
            Err("it is shorter than its header")
        );
    }

    /// The bytes of version 1. A change here means a new format version, not a new expectation.
    #[test]
    fn the_encoding_is_pinned() {
        let [(key, value)] = encode(b"s\x01", b"toso", None).try_into().unwrap();
        assert_eq!(key, b"s\x01");
        assert_eq!(value[..2], [1, 1]);
        assert_eq!(value[2..10], blake3::hash(b"\0\0\0\0\0\0\0\x02s\x01toso").as_bytes()[..8]);
        assert_eq!(value[10..], *b"toso");
        assert_eq!(overflow_key(b"s\x01", 3), b"+s\x01\x03");
    }
}
