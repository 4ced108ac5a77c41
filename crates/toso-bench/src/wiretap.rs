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

/// How many messages stand in a stream behind the head of its HTTP message; pings and the like are none.
pub fn messages(stream: &[u8]) -> u64 {
    const BINARY: u8 = 0x02;
    let mut rest = head(stream).map_or(&[][..], |(_, rest)| rest);
    let mut count = 0;
    while let Some((_, after)) = websocket_frame(rest) {
        count += u64::from(rest.first().is_some_and(|first| first & 0x0f == BINARY));
        rest = after;
    }
    count
}

/// Bytes of the head of the HTTP message that a stream begins with.
pub fn head_bytes(stream: &[u8]) -> usize {
    head(stream).map_or(stream.len(), |(head, _)| head.len())
}

/// The HELLO in an upgrade request.
pub fn hello(stream: &[u8]) -> Option<Hello> {
    hello_from_token(&hello_token(stream)?).ok()
}

/// Bytes of HELLO's token in an upgrade request.
pub fn hello_bytes(stream: &[u8]) -> usize {
    hello_token(stream).map_or(0, |token| token.len())
}

fn hello_token(stream: &[u8]) -> Option<String> {
    let (head, _) = head(stream)?;
    let head = String::from_utf8_lossy(head);
    let value = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("Sec-WebSocket-Protocol").then_some(value)
    })?;
    Some(value.split_once(", ")?.1.trim().to_owned())
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
        let stream = b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x82\x01a\x89\x00\x82\x01b\x88\x00\x82\x05";
        assert_eq!(messages(stream), 2, "neither the ping, nor the close, nor half a message");
    }
}
