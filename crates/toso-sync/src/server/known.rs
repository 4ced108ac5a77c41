//! A device that has proved itself, as the server's record has it.

use toso_catalog::Catalog;
use toso_core::id::AuthorId;
use toso_core::unit::UnitRef;
use toso_wire::Interest;

use super::Standing;
use crate::principal::Principal;

/// Whom a session belongs to.
#[derive(Debug)]
pub struct KnownDevice {
    /// Who it is, and what it may do.
    pub principal: Principal,
    /// Where it was before, and whether it was shut out.
    pub standing: Standing,
    /// Units of HELLO that it has to leave.
    pub(super) leaves: Vec<UnitRef>,
}

impl KnownDevice {
    /// A device that says HELLO with these interests; an error names one that never was its own.
    pub(super) fn greeted(
        catalog: &Catalog,
        principal: Principal,
        standing: Standing,
        interests: &[Interest],
    ) -> Result<Self, UnitRef> {
        let mut device = Self { principal, standing, leaves: Vec::new() };
        let asked = || interests.iter().map(|interest| interest.unit);
        let knows = asked().any(|unit| unit == principal.unit);
        for unit in asked() {
            let (inside, was_its_own) = (principal.covers(catalog, unit), device.had(catalog, unit));
            // A wider unit covers the former one; yet a device that asks for the former one has not heard of the wider.
            let unaware = !knows && device.standing.former.contains(&unit);
            if unaware || inside && device.standing.revoked || !inside && was_its_own {
                device.leaves.push(unit);
            } else if !inside && !device.standing.revoked {
                return Err(unit);
            }
        }
        Ok(device)
    }

    /// True when the unit lies in one that the device belonged to before.
    pub(super) fn had(&self, catalog: &Catalog, unit: UnitRef) -> bool {
        self.standing.former.iter().any(|former| *former == unit || catalog.covers(*former, unit))
    }

    /// The name under which its changes stand in the log.
    pub(super) fn author(&self) -> AuthorId {
        self.principal.device.author()
    }

    /// True when it follows nothing in this session: it only hands over what it has, and leaves.
    pub fn is_leaving(&self) -> bool {
        self.standing.revoked || !self.leaves.is_empty()
    }
}
