//! The words of the register as enums that Kotlin and Swift see. They are those of the rooms below, of which UniFFI is told
//! here: nothing mirrors them, and a word added below and forgotten here does not compile.

pub use toso_catalog::Level as UnitLevel;
pub use toso_core::finding::SameMemberReason;
pub use toso_core::id::DocKind;
pub use toso_core::unit::UnitList;
pub use toso_replica::{HeldState, Receipt, RightState as SyncRight, Side as MeetingSide};

/// Tells UniFFI of every word in the table of words.
macro_rules! app_words {
    ($($(#[$about:meta])* $name:ident $key:literal $capitals:literal {
        $($(#[$doc:meta])* $variant:ident = $word:literal, $vi:literal, $en:literal;)+
    })+) => {
        $(
            pub use toso_core::kind::$name;

            $(#[$about])*
            #[uniffi::remote(Enum)]
            pub enum $name {
                $(#[doc = $vi] $(#[$doc])* $variant,)+
            }
        )+
    };
}

toso_core::word_table!(app_words);

/// What a document describes.
#[uniffi::remote(Enum)]
pub enum DocKind {
    /// A commune's hamlet list and sign-off.
    Commune,
    /// A team.
    Team,
    /// A person who is or was in a team.
    Member,
}

/// How far a record has come.
#[uniffi::remote(Enum)]
pub enum Receipt {
    /// On this device only (at least one change of it).
    Saved,
    /// At least one change of it waits for an officer, or came back from one.
    Held,
    /// On the server's disk.
    Received,
    /// In the centre's figures.
    Counted,
}

/// Where a change stands that the server did not take into the register at once.
#[uniffi::remote(Enum)]
pub enum HeldState {
    /// Refused: it stays on this device.
    Refused,
    /// Waits for an officer.
    Waiting,
    /// In the register.
    Accepted,
    /// Sent back, with a note; the officer can still accept it.
    Returned,
}

/// Why two members may be one.
#[uniffi::remote(Enum)]
pub enum SameMemberReason {
    /// Same phone number.
    Phone,
    /// Same name (tones aside) and birth year.
    NameAndBirthYear,
}

/// A dated list of administrative units.
#[uniffi::remote(Enum)]
pub enum UnitList {
    /// In force on 19/9/2022: provinces, districts, communes.
    L2022,
    /// In force since 1/7/2025: provinces and communes.
    L2025,
}

/// How wide a unit is.
#[uniffi::remote(Enum)]
pub enum UnitLevel {
    /// The whole country.
    Country,
    /// Cấp tỉnh.
    Province,
    /// Cấp huyện; abolished on 1/7/2025.
    District,
    /// Cấp xã.
    Commune,
}

/// How near the end of this device's right to sync is.
#[uniffi::remote(Enum)]
pub enum SyncRight {
    /// More than 30 days off.
    Good,
    /// Within 30 days, and no sync has renewed it; the text for people has the key `token_ends_soon`.
    EndsSoon,
    /// Over: the device needs a new invite; the text for people has the key `unauthorized`.
    Ended,
}

/// Which side of a meeting of two phones this is.
#[uniffi::remote(Enum)]
pub enum MeetingSide {
    /// It opened the connection.
    Caller,
    /// It waited for the other.
    Called,
}
