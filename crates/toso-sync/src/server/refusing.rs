//! How a refusal is told: counted in the metrics, and in a text that a frame carries.

use toso_wire::limits::DETAIL_BYTES_MAX;
use toso_wire::{Frame, Nack, NackCode};

use super::{RefusalKind, ServerEffect};

pub(super) fn nack(number: u64, item: Option<u32>, code: NackCode, detail: &str, effects: &mut Vec<ServerEffect>) {
    effects.push(ServerEffect::CountRefusal(RefusalKind::Nack(code)));
    let detail = shortened(detail);
    effects.push(ServerEffect::Send(Frame::Nack(Nack { number, item, code, detail, retry_after_s: None })));
}

/// Cut at a character boundary to what a frame carries.
pub(super) fn shortened(detail: &str) -> String {
    let mut end = detail.len().min(DETAIL_BYTES_MAX);
    while !detail.is_char_boundary(end) {
        end -= 1;
    }
    detail.get(..end).unwrap_or_default().to_owned()
}
