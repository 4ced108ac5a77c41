//! The counters that the projection keeps for every unit.

use serde::{Deserialize, Serialize};
use toso_core::record::Affiliation;

macro_rules! details {
    ($($(#[$doc:meta])* $field:ident,)+) => {
        /// What a report says beyond teams and members. Only teams and members that count are in it.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Details {
            $($(#[$doc])* pub $field: u64,)+
        }

        impl Details {
            /// The names of the fields, in their order.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($field)),+];

            /// The values, in the order of [`Self::NAMES`].
            pub fn values(&self) -> impl Iterator<Item = u64> {
                [$(self.$field),+].into_iter()
            }

            fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)+
            }

            fn sub(&mut self, other: &Self) {
                $(self.$field -= other.$field;)+
            }
        }
    };
}

details!(
    /// Teams of level commune.
    teams_of_communes,
    /// Teams of level hamlet.
    teams_of_hamlets,
    /// Teams whose founding decision has a number.
    teams_with_decision,
    /// Households that teams say they cover.
    households_covered,
    /// Activities recorded.
    activities,
    /// People reached by them; a person reached twice is two.
    people_reached,
    /// Members who lead.
    leaders,
    /// Members who are deputies.
    deputies,
    /// Members who keep the minutes.
    secretaries,
    /// Members who are women.
    women,
    /// Members known to be in the youth union.
    union_members,
    /// Members known to follow the Zalo OA.
    zalo_oa_followers,
    /// Members who enrolled in the open online course, or finished it.
    mooc_enrolled,
    /// Members who finished it.
    mooc_completed,
    /// Members who enrolled in the Union's class, or finished it.
    union_class_enrolled,
    /// Members who finished it.
    union_class_completed,
    /// Members who enrolled in the Ministry's class, or finished it.
    ministry_class_enrolled,
    /// Members who finished it.
    ministry_class_completed,
    /// Hamlets on the communes' lists that exist.
    hamlets_listed,
    /// Different hamlets that teams serve, listed or not.
    hamlets_with_teams,
    /// Hamlets on the lists that no team serves.
    hamlets_without_team,
    /// Communes whose officer signed off, under the list that the office belongs to; an office of 2022 signed for no
    /// commune of 2025.
    communes_signed_off,
);

/// A unit's counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Teams that count.
    pub teams: u64,
    /// Members that count.
    pub members: u64,
    /// Communes with at least one team that counts.
    pub communes_with_teams: u64,
    /// The rest.
    pub details: Details,
    /// Members by affiliation, in the order of [`Affiliation::ALL`]; a person with two is in both.
    pub affiliations: [u64; Affiliation::ALL.len()],
}

impl Figures {
    /// Adds another unit's counters.
    pub(crate) fn add(&mut self, other: &Self) {
        self.teams += other.teams;
        self.members += other.members;
        self.communes_with_teams += other.communes_with_teams;
        self.details.add(&other.details);
        for (mine, other) in self.affiliations.iter_mut().zip(other.affiliations) {
            *mine += other;
        }
    }

    /// Takes out what [`Self::add`] put in.
    pub(crate) fn sub(&mut self, other: &Self) {
        self.teams -= other.teams;
        self.members -= other.members;
        self.communes_with_teams -= other.communes_with_teams;
        self.details.sub(&other.details);
        for (mine, other) in self.affiliations.iter_mut().zip(other.affiliations) {
            *mine -= other;
        }
    }
}
