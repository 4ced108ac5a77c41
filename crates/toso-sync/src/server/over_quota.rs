//! Pushes of a device that has written its day's share: told when to come back, and ended where it does not listen.

use toso_core::chunk::ChangeHash;
use toso_wire::{Frame, GoodbyeCode, Nack, NackCode};

use super::ending::{Ending, GoesOn};
use super::live::Live;
use super::refusing::shortened;
use super::{Postponed, RefusalKind, ServerEffect, Spent};

/// Pushes of a session that may be postponed. A phone has at most four under way ([`toso_wire::limits::PUSH_WINDOW`]) when
/// it is first told, and sends nothing of its own after that; what it carries for others, 256 parcels at most, it offers once
/// a session. A device that goes on wants to make work.
pub(super) const POSTPONED_PUSHES_MAX: u32 = 264;

impl Live {
    /// The item at a place and all after it wait. One NACK says so of all of them, since on a slow link 256 would take
    /// longer than the push.
    pub(super) fn postpone(
        &mut self,
        number: u64,
        places: &[(u32, ChangeHash)],
        postponed: Postponed,
        effects: &mut Vec<ServerEffect>,
    ) -> GoesOn {
        self.postponed += 1;
        if self.postponed > POSTPONED_PUSHES_MAX {
            let detail = format!("more than {POSTPONED_PUSHES_MAX} pushes past the device's share of the day");
            return Err(Ending::Goodbye(GoodbyeCode::Overload, detail));
        }
        let seconds = u32::try_from(postponed.wait_ms.div_ceil(1_000)).unwrap_or(u32::MAX);
        let spent = match postponed.spent {
            Spent::Device => "the device has written its share of the day",
            Spent::Unit => "all devices of the unit together have written the unit's share of the day",
        };
        let detail =
            format!("{spent}; the rest waits on the device and is taken from {} minutes on", seconds.div_ceil(60));
        effects.push(ServerEffect::CountRefusal(RefusalKind::Nack(NackCode::OverQuota)));
        effects.push(ServerEffect::Send(Frame::Nack(Nack {
            number,
            item: places.get(postponed.from).map(|(place, _)| *place),
            code: NackCode::OverQuota,
            detail: shortened(&detail),
            retry_after_s: Some(seconds),
        })));
        Ok(())
    }
}
