//! Frames out of the bytes of a connection: what really travelled, whatever the two ends say of it.

use toso_wire::{Frame, Hello, decode, hello_from_token};

/// A WebSocket frame's payload, unmasked, and what follows it; `None` when it is not whole.
pub fn websocket_frame(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let [_, length, rest @ ..] = bytes else { return None };
    let masked = length & 0x80 != 0;
    let (length, rest) = match length & 0x7f {
        126 => {
            let (length, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        127 => {
            let (length, rest) = rest.split_first_chunk()?;
            (usize::try_from(u64::from_be_bytes(*length)).ok()?, rest)
        }
        length => (usize::from(length), rest),
    };
    let (mask, rest) = if masked { rest.split_first_chunk()? } else { (&[0; 4], rest) };
    let (payload, rest) = rest.split_at_checked(length)?;
    Some((payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect(), rest))
}

/// What stands in a stream behind the head of its HTTP message: whole frames, and the bytes of one that is not whole.
pub fn frames(stream: &[u8]) -> (Vec<Frame>, usize) {
    let mut rest = head(stream).map_or(&[][..], |(_, rest)| rest);
    let mut frames = Vec::new();
    while let Some((payload, after)) = websocket_frame(rest) {
        frames.extend(decode(&payload).ok());
        rest = after;
    }
    (frames, rest.len())
}

/// The HELLO in an upgrade request.
pub fn hello(stream: &[u8]) -> Option<Hello> {
    let (head, _) = head(stream)?;
    let head = String::from_utf8_lossy(head);
    let value = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("Sec-WebSocket-Protocol").then_some(value)
    })?;
    hello_from_token(value.split_once(", ")?.1.trim()).ok()
}

fn head(stream: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = stream.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    stream.split_at_checked(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_unmasked_and_half_ones_are_not_taken() {
        let masked = [0x82, 0x83, 1, 2, 3, 4, b'a' ^ 1, b'b' ^ 2, b'c' ^ 3];
        assert_eq!(websocket_frame(&masked), Some((b"abc".to_vec(), &[][..])));
        assert_eq!(websocket_frame(&masked[..8]), None);
        let long = [&[0x82, 126, 0x01, 0x00][..], &[7; 257]].concat();
        assert_eq!(websocket_frame(&long), Some((vec![7; 256], &[7][..])));
        assert_eq!(frames(b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x82\x05\x00"), (Vec::new(), 3));
        assert_eq!(frames(b"HTTP/1.1 101 Swi"), (Vec::new(), 0));
    }
}
