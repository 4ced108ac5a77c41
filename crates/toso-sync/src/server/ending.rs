//! How a session ends: a room says so by its result, and the session says it to the device.

use toso_wire::{Frame, Goodbye, GoodbyeCode, RetryAfter};

use super::refusing::shortened;
use super::{RefusalKind, ServerEffect};

/// Whether a session goes on.
pub(super) type GoesOn = Result<(), Ending>;

/// Why it does not.
#[derive(Debug)]
pub(super) enum Ending {
    /// The device is told why.
    Goodbye(GoodbyeCode, String),
    /// The device has said GOODBYE.
    Left,
    /// The device is asked to come later.
    Shed {
        /// How much later.
        delay_ms: u64,
    },
}

impl Ending {
    /// The device broke the protocol.
    pub(super) fn protocol(detail: impl Into<String>) -> Self {
        Self::Goodbye(GoodbyeCode::Protocol, detail.into())
    }

    /// The last effects.
    pub(super) fn say(self, effects: &mut Vec<ServerEffect>) {
        match self {
            Self::Goodbye(code, detail) => {
                if code != GoodbyeCode::Shutdown {
                    effects.push(ServerEffect::CountRefusal(RefusalKind::Goodbye(code)));
                }
                effects.push(ServerEffect::Send(Frame::Goodbye(Goodbye { code, detail: shortened(&detail) })));
            }
            Self::Left => {}
            Self::Shed { delay_ms } => {
                effects.push(ServerEffect::CountRefusal(RefusalKind::Shed));
                effects.push(ServerEffect::Send(Frame::RetryAfter(RetryAfter { delay_ms })));
            }
        }
        effects.push(ServerEffect::Close);
    }
}
