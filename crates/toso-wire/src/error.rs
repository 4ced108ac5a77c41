//! Why bytes are not a frame. The sender is to blame for every case; nothing of the content is repeated, since it may
//! be personal data.

/// Why bytes are not a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Over a size limit, before or after inflating; nothing was read.
    #[error("{what} has {bytes} bytes, at most {max} are accepted; send less at once")]
    TooLarge {
        /// What was measured.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The header byte is none that this version knows.
    #[error(
        "a frame begins with form byte {form:#04x}; 0x00 (plain) and 0x01 (compressed) are read here, and 0x02 of a server"
    )]
    UnknownForm {
        /// The byte.
        form: u8,
    },
    /// A frame type that this version does not know. The rest of the frame was not looked at; it may be skipped.
    #[error("frame type {tag} is unknown to this version; update the older side")]
    UnknownType {
        /// The tag.
        tag: u64,
    },
    /// The bytes end before the frame does.
    #[error("the frame ends within {what}; it was cut off on its way")]
    Truncated {
        /// What was being read.
        what: &'static str,
    },
    /// A compressed frame does not inflate, or inflates past the limit.
    #[error("a compressed frame of {bytes} bytes does not inflate within {max} bytes: {detail}")]
    Inflate {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
        /// What the decompressor said.
        detail: String,
    },
    /// Not what the format says at this place.
    #[error("{what}: {detail}")]
    Malformed {
        /// What was being read.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// More of something than a frame may carry.
    #[error("{what}: {count} in one frame, at most {max} are accepted; use several frames")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How many.
        count: usize,
        /// The limit.
        max: usize,
    },
}
