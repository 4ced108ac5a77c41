//! Who a device is to a server, and what it may do.

use std::fmt;
use std::str::FromStr;

use toso_catalog::Catalog;
use toso_core::id::DeviceId;
use toso_core::unit::{Scope, UnitRef};

/// What a device may do within its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AccessRole {
    /// Reads.
    Viewer,
    /// Reads and records.
    Recorder,
    /// Reads, records, signs off, invites below itself.
    Officer,
    /// Everything, and invites officers.
    Admin,
}

impl AccessRole {
    /// Every role, least first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Recorder, Self::Officer, Self::Admin];

    /// The word for it in tokens and commands.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Recorder => "recorder",
            Self::Officer => "officer",
            Self::Admin => "admin",
        }
    }

    /// True when the role may push changes.
    pub const fn may_write(self) -> bool {
        !matches!(self, Self::Viewer)
    }

    /// True when the role may sign a commune's figures off.
    pub const fn may_sign_off(self) -> bool {
        matches!(self, Self::Officer | Self::Admin)
    }

    /// True when the role may invite a device with role `other`.
    pub const fn may_invite(self, other: Self) -> bool {
        match self {
            Self::Admin => true,
            Self::Officer => !matches!(other, Self::Admin),
            Self::Viewer | Self::Recorder => false,
        }
    }
}

impl fmt::Display for AccessRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for AccessRole {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.word() == text).ok_or(UnknownRole)
    }
}

/// A word that is no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such role; the roles are viewer, recorder, officer and admin")]
pub struct UnknownRole;

/// An authenticated device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Principal {
    /// The device.
    pub device: DeviceId,
    /// What it may do.
    pub role: AccessRole,
    /// Where: this unit and everything below it, under either list.
    pub unit: UnitRef,
}

impl Principal {
    /// True when `unit` lies within the principal's unit.
    pub fn covers(&self, catalog: &Catalog, unit: UnitRef) -> bool {
        self.unit == unit || catalog.covers(self.unit, unit)
    }

    /// True when the principal may push into `scope`.
    pub fn may_push(&self, catalog: &Catalog, scope: Scope) -> bool {
        self.role.may_write() && catalog.is_scope(scope) && self.covers(catalog, scope)
    }
}
