//! The commands, one file each.

pub(crate) mod backup;
pub(crate) mod bench;
pub(crate) mod device;
pub(crate) mod field;
pub(crate) mod invite;
pub(crate) mod quarantine;
pub(crate) mod report;
pub(crate) mod review;
pub(crate) mod serve;
pub(crate) mod simulate;
