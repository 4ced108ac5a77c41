//! Changes in few bytes: what can be computed again is left out, and the rest is compressed together.
//!
//! An entry's change begins with four bytes that never change and four of its hash, and its hash follows from the rest of
//! it. So only that rest is kept, and both are made again when it is read; packing makes sure that they come out
//! as they were. A change of which that is not so is kept word for word. Then all changes of a run go through zstd
//! with a dictionary, since the smallest runs (one changed field) repeat nothing in themselves.
//!
//! Packed: `method (1) ‖ bytes before compression (4) ‖ block`. Before compression: for each change a number (LEB128), its
//! bytes × 2, and 1 more when it is kept word for word; then the changes, those kept word for word behind their hash (32).
//! Where some are erased ([`Kept::SomeErased`]) the number is bytes × 4 with 0, 1, or 2 of an erased one: of that its hash alone follows,
//! and the bytes are those that it had.

use std::fmt;
use std::sync::LazyLock;

use parking_lot::Mutex;
use toso_core::change::{Body, ErasedBody};
use toso_core::chunk::{CHANGE_BYTES_MAX, ChangeHash, ChangeTail, Chunk};
use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};
use zstd::zstd_safe::{CParameter, DParameter, FrameFormat};

use crate::value::Reader;

/// Dictionary 1. Never changed once a folder has been written with it: another one gets a method byte of its own.
/// `examples/train_dictionary.rs` makes one.
const DICTIONARY_1: &[u8] = include_bytes!("../../dict/changes-1.dict");

/// Not compressed, because that would be no shorter.
const STORED: u8 = 0;
/// One zstd frame without magic, sizes and checksum, with dictionary 1.
const ZSTD_1: u8 = 1;

/// zstd's level. A run is compressed once, on the way to the disk, by the one thread that commits.
const LEVEL: i32 = 3;
/// Bytes of changes, before they are packed, at which a run is full: some 60 new documents, what a phone pushes after a
/// day in the field. Packed these need about one value of sled's, and reading one of them costs unpacking so many.
pub(super) const RUN_RAW_BYTES_MAX: usize = 16 * 1024;
/// The most bytes that a run's changes have before compression: the fullest run, or one change of the largest size,
/// with its number (3 of LEB128) and hash. That they fit, a test shows.
const UNPACKED_BYTES_MAX: usize = CHANGE_BYTES_MAX + 3 + HASH_BYTES;
const HASH_BYTES: usize = 32;
/// zstd's window: covers [`UNPACKED_BYTES_MAX`].
const WINDOW_LOG_MAX: u32 = 17;
/// Decompressors kept for the next readers: as many as may read at once on the machines that servers run on.
const DECOMPRESSORS_KEPT_MAX: usize = 8;

static ENCODER: LazyLock<EncoderDictionary<'static>> = LazyLock::new(|| EncoderDictionary::copy(DICTIONARY_1, LEVEL));
static DECODER: LazyLock<DecoderDictionary<'static>> = LazyLock::new(|| DecoderDictionary::copy(DICTIONARY_1));

/// What is packed: of a run in which nothing is erased the bytes are what they always were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// All changes are whole.
    AllWhole,
    /// Some are erased.
    SomeErased,
}

/// How a change is kept, in the lowest bits of its number.
const TAIL: u64 = 0;
const VERBATIM: u64 = 1;
const ERASED: u64 = 2;

impl Kept {
    /// Bits of a number that say how its change is kept.
    const fn bits(self) -> u32 {
        match self {
            Self::AllWhole => 1,
            Self::SomeErased => 2,
        }
    }
}

/// A change to be packed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Packed<'a> {
    Whole(&'a Chunk),
    Erased(ErasedBody),
}

impl<'a> From<&'a Body> for Packed<'a> {
    fn from(body: &'a Body) -> Self {
        match body {
            Body::Whole(chunk) => Self::Whole(chunk),
            Body::Erased(erased) => Self::Erased(*erased),
        }
    }
}

/// Packs and unpacks. One compressor, since one thread at a time commits; a decompressor for each reader of the moment.
#[derive(Default)]
pub(super) struct Packer {
    compressor: Mutex<Option<Compressor<'static>>>,
    decompressors: Mutex<Vec<Decompressor<'static>>>,
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packer").finish_non_exhaustive()
    }
}

impl Packer {
    /// The changes of a run in few bytes. An erased one is among them only where that is said.
    pub(super) fn pack<'a>(&self, changes: impl Iterator<Item = Packed<'a>>, kept: Kept) -> Vec<u8> {
        let mut raw = Vec::new();
        let mut tails = Vec::new();
        let bits = kept.bits();
        for change in changes {
            match change {
                Packed::Whole(chunk) => {
                    let tail = ChangeTail::of(chunk);
                    let bytes = tail.map_or(chunk.bytes(), |tail| tail.0);
                    push_number(&mut raw, (bytes.len() as u64) << bits | if tail.is_none() { VERBATIM } else { TAIL });
                    if tail.is_none() {
                        tails.extend_from_slice(&chunk.hash().0);
                    }
                    tails.extend_from_slice(bytes);
                }
                Packed::Erased(erased) => {
                    push_number(&mut raw, u64::from(erased.size) << bits | ERASED);
                    tails.extend_from_slice(&erased.hash.0);
                }
            }
        }
        raw.append(&mut tails);
        let length = u32::try_from(raw.len()).unwrap_or(u32::MAX).to_be_bytes();
        let block = self.compress(&raw).filter(|block| block.len() < raw.len());
        let (method, block) = block.map_or((STORED, raw), |block| (ZSTD_1, block));
        [&[method], length.as_slice(), &block].concat()
    }

    /// The changes that were packed, of which `wanted` says by their places which ones are asked for; `None` when the
    /// bytes are not what [`Self::pack`] makes of `count` changes.
    pub(super) fn unpack(
        &self,
        packed: &[u8],
        count: usize,
        kept: Kept,
        wanted: impl Fn(usize) -> bool,
    ) -> Option<Vec<(usize, Body)>> {
        let mut reader = Reader(packed);
        let [method] = reader.array()?;
        let length = usize::try_from(reader.u32()?).ok().filter(|length| *length <= UNPACKED_BYTES_MAX)?;
        let inflated;
        let raw = match method {
            STORED => reader.0,
            ZSTD_1 => {
                inflated = self.decompress(reader.0, length)?;
                inflated.as_slice()
            }
            _ => return None,
        };
        if raw.len() != length {
            return None;
        }
        let mut raw = Reader(raw);
        let heads = (0..count).map(|_| read_number(&mut raw)).collect::<Option<Vec<u64>>>()?;
        let mut unpacked = Vec::new();
        let bits = kept.bits();
        for (place, head) in heads.into_iter().enumerate() {
            let (size, how) = (head >> bits, head & ((1 << bits) - 1));
            let body = match how {
                ERASED => {
                    let hash = ChangeHash(raw.array()?);
                    Body::Erased(ErasedBody { hash, size: u32::try_from(size).ok()? })
                }
                TAIL | VERBATIM => {
                    let verbatim = if how == VERBATIM { Some(ChangeHash(raw.array()?)) } else { None };
                    let bytes = raw.bytes(usize::try_from(size).ok()?)?;
                    // What is not wanted is not hashed.
                    if !wanted(place) {
                        continue;
                    }
                    Body::Whole(match verbatim {
                        Some(hash) => Chunk::trusted(bytes, hash),
                        None => ChangeTail(bytes).chunk(),
                    })
                }
                _ => return None,
            };
            if wanted(place) {
                unpacked.push((place, body));
            }
        }
        raw.0.is_empty().then_some(unpacked)
    }

    fn compress(&self, raw: &[u8]) -> Option<Vec<u8>> {
        let mut kept = self.compressor.lock();
        if kept.is_none() {
            *kept = compressor().ok();
        }
        kept.as_mut()?.compress(raw).ok()
    }

    fn decompress(&self, block: &[u8], length: usize) -> Option<Vec<u8>> {
        let kept = self.decompressors.lock().pop();
        let mut decompressor = kept.or_else(|| decompressor().ok())?;
        let raw = decompressor.decompress(block, length).ok();
        let mut kept = self.decompressors.lock();
        if kept.len() < DECOMPRESSORS_KEPT_MAX {
            kept.push(decompressor);
        }
        raw
    }
}

fn compressor() -> std::io::Result<Compressor<'static>> {
    let mut compressor = Compressor::with_prepared_dictionary(&ENCODER)?;
    compressor.set_parameter(CParameter::Format(FrameFormat::Magicless))?;
    compressor.set_parameter(CParameter::ContentSizeFlag(false))?;
    compressor.set_parameter(CParameter::ChecksumFlag(false))?;
    compressor.set_parameter(CParameter::DictIdFlag(false))?;
    Ok(compressor)
}

fn decompressor() -> std::io::Result<Decompressor<'static>> {
    let mut decompressor = Decompressor::with_prepared_dictionary(&DECODER)?;
    decompressor.set_parameter(DParameter::Format(FrameFormat::Magicless))?;
    decompressor.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))?;
    Ok(decompressor)
}

/// Appends a number in LEB128.
pub(super) fn push_number(to: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            to.push(low & 0x7f);
            return;
        }
        to.push(low | 0x80);
    }
}

/// Reads a number in LEB128.
pub(super) fn read_number(from: &mut Reader<'_>) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let [byte] = from.array()?;
        let bits = u64::from(byte & 0x7f);
        if bits.checked_shl(shift)? >> shift != bits {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use toso_core::id::{Actor, DeviceId, DocId};
    use toso_core::unit::{Scope, UnitList, UnitRef};

    use super::*;

    fn scope() -> Scope {
        UnitRef::new(UnitList::L2022, "00001").unwrap()
    }

    /// A change as a phone makes it.
    fn real(number: u8) -> Chunk {
        use toso_core::document::{Author, Document};
        use toso_core::edit::{DocEdit, MemberEdit};
        use toso_core::text::PersonName;
        use toso_core::time::TimestampMs;
        let doc = DocId::member(scope(), [number; 11]);
        let at = TimestampMs(1_662_534_000_000 + u64::from(number) * 60_000);
        let name = MemberEdit::FullName(PersonName::parse("Nguyễn Văn Thử").unwrap());
        let team = MemberEdit::Team(Some(DocId::commune_team(scope(), 0)));
        let author = Author { actor: Actor::new(DeviceId([1; 16]), [2; 8]), at };
        let change = Document::first_save(doc, author, &[DocEdit::Member(name), DocEdit::Member(team)]);
        change.unwrap().unwrap()
    }

    /// Bytes that are no change.
    fn other(number: u8, bytes: usize) -> Chunk {
        Chunk::trusted(vec![number; bytes], ChangeHash([number; 32]))
    }

    fn round_trip(items: &[Chunk]) -> usize {
        let packer = Packer::default();
        let block = packer.pack(items.iter().map(Packed::Whole), Kept::AllWhole);
        let back = packer.unpack(&block, items.len(), Kept::AllWhole, |_| true).unwrap();
        let expected: Vec<_> = items.iter().cloned().map(Body::Whole).enumerate().collect();
        assert!(back == expected, "they come back as they were");
        block.len()
    }

    #[test]
    fn changes_come_back_with_their_hashes_in_a_third_of_their_bytes() {
        let items: Vec<_> = (0..40).map(real).collect();
        let raw: usize = items.iter().map(|item| item.bytes().len()).sum();
        let block = round_trip(&items);
        assert!(block * 3 < raw, "{raw} bytes became {block}");
        let one = round_trip(&items[..1]);
        assert!(one * 3 < items[0].bytes().len() * 2, "{} bytes became {one}", items[0].bytes().len());
    }

    #[test]
    fn what_is_no_change_comes_back_word_for_word() {
        round_trip(&[]);
        for bytes in [0, 1, 7, 8, 9, 300, CHANGE_BYTES_MAX] {
            round_trip(&[other(5, bytes)]);
        }
        let mut hash = real(1).hash();
        hash.0[31] ^= 1;
        let foreign_hash = Chunk::trusted(real(1).bytes(), hash);
        let mut bytes = real(2).bytes().to_vec();
        bytes[5] ^= 1;
        let foreign_checksum = Chunk::trusted(bytes, real(2).hash());
        round_trip(&[real(3), foreign_hash, other(1, 100), foreign_checksum, real(4)]);
    }

    #[test]
    fn what_does_not_shrink_is_stored_and_has_room() {
        let mut state = 1_u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        };
        let bytes: Vec<u8> = (0..CHANGE_BYTES_MAX).map(|_| noise()).collect();
        let item = Chunk::trusted(bytes, ChangeHash([1; 32]));
        assert_eq!(round_trip(&[item]), 1 + 4 + UNPACKED_BYTES_MAX);
        // Many small ones: the fullest run has fewer bytes than one change of the largest size.
        let small: Vec<_> = (0..=255).cycle().take(RUN_RAW_BYTES_MAX / (HASH_BYTES + 2)).map(|n| other(n, 1)).collect();
        round_trip(&small);
        const { assert!(2 * RUN_RAW_BYTES_MAX < UNPACKED_BYTES_MAX) };
    }

    #[test]
    fn only_what_is_wanted_is_made_again() {
        let items: Vec<_> = (0..9).map(real).collect();
        let packer = Packer::default();
        let block = packer.pack(items.iter().map(Packed::Whole), Kept::AllWhole);
        let back = packer.unpack(&block, 9, Kept::AllWhole, |place| place == 4).unwrap();
        assert_eq!(back, vec![(4, Body::Whole(items[4].clone()))]);
    }

    #[test]
    fn a_cut_a_longer_and_a_foreign_packing_are_refused() {
        let items: Vec<_> = (0..5).map(real).collect();
        let packer = Packer::default();
        let block = packer.pack(items.iter().map(Packed::Whole), Kept::AllWhole);
        assert_eq!(block[0], ZSTD_1);
        for end in 0..block.len() {
            assert!(
                packer.unpack(&block[..end], 5, Kept::AllWhole, |_| true).is_none(),
                "{end} bytes of {}",
                block.len()
            );
        }
        assert!(packer.unpack(&block, 4, Kept::AllWhole, |_| true).is_none());
        assert!(packer.unpack(&block, 6, Kept::AllWhole, |_| true).is_none());
        let altered = |at: usize, byte: u8| {
            let mut altered = block.clone();
            altered[at] = byte;
            altered
        };
        assert!(packer.unpack(&altered(0, 9), 5, Kept::AllWhole, |_| true).is_none(), "an unknown method");
        assert!(packer.unpack(&altered(1, 0xff), 5, Kept::AllWhole, |_| true).is_none(), "a length past the limit");
        assert!(
            packer.unpack(&altered(4, block[4] - 1), 5, Kept::AllWhole, |_| true).is_none(),
            "a length that is not its own"
        );
    }

    /// One of each: of what is erased the hash and the size come back.
    #[test]
    fn whole_and_erased_ones_come_back_together() {
        let packer = Packer::default();
        let erased = |number| Body::Erased(ErasedBody { hash: ChangeHash([number; 32]), size: 60 * 1024 });
        let items = [Body::Whole(real(1)), erased(2), Body::Whole(other(3, 9)), erased(4)];
        let block = packer.pack(items.iter().map(Packed::from), Kept::SomeErased);
        let back = packer.unpack(&block, 4, Kept::SomeErased, |_| true).unwrap();
        assert_eq!(back, items.iter().cloned().enumerate().collect::<Vec<_>>());
        let one = packer.unpack(&block, 4, Kept::SomeErased, |place| place == 3).unwrap();
        assert_eq!(one, vec![(3, items[3].clone())]);
        assert!(packer.unpack(&block, 4, Kept::AllWhole, |_| true).is_none(), "another packing");
        for end in 0..block.len() {
            assert!(packer.unpack(&block[..end], 4, Kept::SomeErased, |_| true).is_none(), "{end} bytes");
        }
    }

    #[test]
    fn numbers_come_back_and_too_long_ones_do_not() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            push_number(&mut bytes, number);
            let mut reader = Reader(&bytes);
            assert_eq!(read_number(&mut reader), Some(number));
            assert!(reader.0.is_empty());
            assert_eq!(read_number(&mut Reader(&bytes[..bytes.len() - 1])), None);
        }
        assert_eq!(read_number(&mut Reader(&[0xff; 11])), None);
        assert_eq!(read_number(&mut Reader(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2])), None);
    }

    /// A folder is read with the dictionary it was written with.
    #[test]
    fn dictionary_1_is_what_was_shipped() {
        let hash = blake3::hash(DICTIONARY_1);
        assert_eq!((DICTIONARY_1.len(), &hash.to_hex()[..16]), (12_288, "3e0b42522a694a57"));
    }
}
