//! How much a device holds.

/// The most documents on a device: a large commune has about 60 teams and 400 members; a district of 30 such communes
/// belongs on a PC with the REST interface.
pub const DOCUMENTS_MAX: usize = 5_000;
