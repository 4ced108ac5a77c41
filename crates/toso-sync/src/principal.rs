//! Who a device is to a server, and what it may do.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use toso_catalog::Catalog;
use toso_core::id::DeviceId;
use toso_core::unit::{Scope, UnitRef};

/// What a device may do within its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
        match self {
            Self::Viewer => false,
            Self::Recorder | Self::Officer | Self::Admin => true,
        }
    }

    /// With its article, for sentences: `an officer`.
    pub const fn with_article(self) -> &'static str {
        match self {
            Self::Viewer => "a viewer",
            Self::Recorder => "a recorder",
            Self::Officer => "an officer",
            Self::Admin => "an admin",
        }
    }

    /// True when the role may sign a commune's figures off.
    pub const fn may_sign_off(self) -> bool {
        match self {
            Self::Viewer | Self::Recorder => false,
            Self::Officer | Self::Admin => true,
        }
    }

    /// True when the role acts on other devices at all: invites, moves, revokes, decides.
    pub const fn may_direct(self) -> bool {
        match self {
            Self::Viewer | Self::Recorder => false,
            Self::Officer | Self::Admin => true,
        }
    }
}

/// A place in the order of who acts on whom: a role, and the unit in which it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rank {
    /// What one may do.
    pub role: AccessRole,
    /// Where: this unit and everything below it, under either list.
    pub unit: UnitRef,
}

impl Rank {
    /// True when this rank stands above `other`, and so may invite, move and revoke it and decide on its work. Nobody acts
    /// on his own rank: within a unit a lesser role is below; the same role is below only in a unit that is strictly below
    /// (two units that cover each other, one of each list, are the same); a greater role is below nobody who lacks it.
    pub fn stands_above(&self, catalog: &Catalog, other: &Self) -> bool {
        let covers = |above: UnitRef, below: UnitRef| above == below || catalog.covers(above, below);
        self.role.may_direct()
            && covers(self.unit, other.unit)
            && match self.role.cmp(&other.role) {
                Ordering::Greater => true,
                Ordering::Equal => !covers(other.unit, self.unit),
                Ordering::Less => false,
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
    /// Its place among others.
    pub const fn rank(&self) -> Rank {
        Rank { role: self.role, unit: self.unit }
    }

    /// True when `unit` lies within the principal's unit.
    pub fn covers(&self, catalog: &Catalog, unit: UnitRef) -> bool {
        self.unit == unit || catalog.covers(self.unit, unit)
    }

    /// True when the principal may push into `scope`.
    pub fn may_push(&self, catalog: &Catalog, scope: Scope) -> bool {
        self.role.may_write() && catalog.is_scope(scope) && self.covers(catalog, scope)
    }
}

#[cfg(test)]
mod tests {
    use AccessRole::{Admin, Officer, Recorder, Viewer};

    use super::*;

    #[test]
    fn each_role_has_the_article_of_its_word() {
        for role in AccessRole::ALL {
            let word = role.word();
            let article = if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
            assert_eq!(role.with_article(), format!("{article} {word}"));
        }
    }

    /// An officer of a district used to invite and revoke officers of the district itself, so that one who had been caught
    /// could be replaced by a friend before the province heard of it. Who stands above whom is one table.
    #[test]
    fn who_stands_above_whom() {
        let catalog = Catalog::shared();
        let rank = |role, unit: &str| Rank { role, unit: unit.parse().unwrap() };
        let (country, province, district, commune) = ("2022/00", "2022/01", "2022/001", "2022/00001");
        let elsewhere = "2022/79";
        for (above, below, expected) in [
            // Lesser roles, anywhere within.
            (rank(Officer, district), rank(Recorder, district), true),
            (rank(Officer, district), rank(Viewer, commune), true),
            (rank(Officer, commune), rank(Recorder, commune), true),
            (rank(Admin, commune), rank(Officer, commune), true),
            // The same role, strictly below and not beside.
            (rank(Officer, province), rank(Officer, district), true),
            (rank(Officer, district), rank(Officer, commune), true),
            (rank(Officer, district), rank(Officer, district), false),
            (rank(Officer, commune), rank(Officer, commune), false),
            (rank(Admin, province), rank(Admin, commune), true),
            (rank(Admin, country), rank(Admin, country), false),
            // Above and aside.
            (rank(Officer, commune), rank(Recorder, district), false),
            (rank(Officer, district), rank(Officer, province), false),
            (rank(Officer, elsewhere), rank(Viewer, commune), false),
            (rank(Admin, elsewhere), rank(Officer, commune), false),
            // A greater role below: who could not make it does not end it.
            (rank(Officer, country), rank(Admin, commune), false),
            // The same unit under the other list is the same unit.
            (rank(Officer, "2022/00"), rank(Officer, "2025/00"), false),
            (rank(Officer, "2025/00"), rank(Officer, "2022/00"), false),
            (rank(Officer, "2025/00"), rank(Officer, "2022/01"), true),
            (rank(Officer, "2022/01"), rank(Officer, "2025/01"), false),
            // Who directs nobody.
            (rank(Recorder, country), rank(Viewer, commune), false),
            (rank(Viewer, country), rank(Viewer, commune), false),
        ] {
            assert_eq!(above.stands_above(catalog, &below), expected, "{above:?} above {below:?}");
        }
        for role in AccessRole::ALL {
            for unit in [country, province, district, commune] {
                let one = rank(role, unit);
                assert!(!one.stands_above(catalog, &one), "nobody stands above himself: {one:?}");
            }
        }
    }
}
