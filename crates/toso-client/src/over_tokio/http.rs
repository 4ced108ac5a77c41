//! HTTP/1.1 as far as `POST /v1/sync` needs it: one request after the other on a connection, and an answer that is read as
//! it comes.
//!
//! The agent that the REST calls use blocks its thread until an answer is whole; a request that is held for half a minute
//! and left when somebody saves a record needs one that can be dropped at any moment.

use std::io;
use std::sync::Arc;

use http::HeaderValue;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use toso_replica::SyncError;
use toso_replica::between::PROBLEM_TYPE;

use super::dial::{Address, Meter, Stream, connect, retry_after_ms};

/// What the server's answers to sync are.
const SYNC_TYPE: &str = "application/octet-stream";
/// The head of an answer: far more than any server or proxy sends.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Header fields of an answer.
const HEADERS_MAX: usize = 64;
/// The longest line before a part of a chunked body: 16 hexadecimal digits, and what extensions proxies add.
const CHUNK_LINE_BYTES_MAX: usize = 1_024;
/// Bytes read at a time.
const READ_BYTES: usize = 16 * 1024;

/// A connection that takes requests.
pub(super) struct HttpConnection {
    stream: Stream,
    /// Received and not read yet.
    buffer: Vec<u8>,
    /// True once a whole answer came: the next request may find that the other side has closed meanwhile.
    pub(super) used: bool,
}

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) retry_after_ms: u64,
    pub(super) body: Body,
    /// True when it is what the server answers to sync.
    pub(super) is_of_sync: bool,
    /// True for a refusal of the server's own.
    pub(super) is_problem: bool,
    /// Another request may follow on the connection.
    keeps: bool,
}

/// What is still to come of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes.
    Length(u64),
    /// Parts with their lengths.
    Chunked(Chunked),
    /// All until the connection ends.
    UntilClosed,
    /// Nothing.
    Ended,
}

/// Where a chunked body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunked {
    /// Before a length.
    Line,
    /// Within a part.
    Part(u64),
    /// After one.
    PartEnd,
    /// After the last.
    Trailer,
}

/// Why an answer cannot be read.
#[derive(Debug)]
pub(super) enum HttpError {
    /// The connection broke.
    Broken,
    /// It is no HTTP.
    Foreign(&'static str),
}

impl From<io::Error> for HttpError {
    fn from(_: io::Error) -> Self {
        Self::Broken
    }
}

impl HttpConnection {
    pub(super) async fn open(address: &Address, meter: &Arc<Meter>) -> Result<Self, SyncError> {
        Ok(Self { stream: connect(address, meter).await?, buffer: Vec::new(), used: false })
    }

    /// Sends a request and reads the head of its answer. Dropped before its end, the connection is of no use any more.
    pub(super) async fn post(&mut self, address: &Address, body: &[u8]) -> Result<Head, HttpError> {
        let mut request = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
            address.path,
            address.authority,
            body.len()
        )
        .into_bytes();
        // In one piece: it is one packet, most often.
        request.extend_from_slice(body);
        self.stream.write_all(&request).await?;
        self.stream.flush().await?;
        loop {
            if let Some((head, bytes)) = parse_head(&self.buffer)? {
                self.buffer.drain(..bytes);
                if head.status >= 200 {
                    return Ok(head);
                }
                // "Continue" and the like come before the answer.
                continue;
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Err(HttpError::Foreign("the head of the answer is too large"));
            }
            self.receive().await?;
        }
    }

    /// Reads some of a body into `out`. Cancelling it loses nothing.
    pub(super) async fn read(&mut self, head: &mut Head, out: &mut Vec<u8>) -> Result<(), HttpError> {
        loop {
            let before = out.len();
            if take_body(&mut head.body, &mut self.buffer, out)? || out.len() > before {
                return Ok(());
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                if head.body != Body::UntilClosed {
                    return Err(HttpError::Broken);
                }
                head.body = Body::Ended;
            }
        }
    }

    /// True when another request may follow, now that an answer has ended.
    pub(super) fn keeps(&mut self, head: &Head) -> bool {
        self.used = true;
        head.keeps && head.body == Body::Ended && self.buffer.is_empty()
    }

    async fn receive(&mut self) -> Result<(), HttpError> {
        self.buffer.reserve(READ_BYTES);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(HttpError::Broken),
            _ => Ok(()),
        }
    }

    /// Says that no more requests come.
    pub(super) async fn close(mut self) {
        // How the other side takes it does not matter any more.
        let _ = self.stream.shutdown().await;
    }
}

/// The head of an answer and its bytes, when it is whole.
fn parse_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, HttpError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let foreign = |_| HttpError::Foreign("the answer is no HTTP");
    let httparse::Status::Complete(length) = response.parse(bytes).map_err(foreign)? else {
        return Ok(None);
    };
    let status = response.code.unwrap_or_default();
    let header = |name: &str| {
        let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| String::from_utf8_lossy(header.value).trim().to_ascii_lowercase())
    };
    let body = match (header("transfer-encoding"), header("content-length")) {
        _ if status < 200 || status == 204 || status == 304 => Body::Ended,
        (Some(coding), _) if coding.ends_with("chunked") => Body::Chunked(Chunked::Line),
        (None, Some(length)) => match length.parse() {
            Ok(0) => Body::Ended,
            Ok(length) => Body::Length(length),
            Err(_) => return Err(HttpError::Foreign("the answer's length is no number")),
        },
        _ => Body::UntilClosed,
    };
    let old = response.version == Some(0);
    let keeps = body != Body::UntilClosed && !old && header("connection").is_none_or(|of| of != "close");
    let wait = header(RETRY_AFTER.as_str()).and_then(|text| HeaderValue::from_str(&text).ok());
    let content = header(CONTENT_TYPE.as_str());
    let is = |kind: &str| content.as_deref() == Some(kind);
    let head = Head {
        status,
        retry_after_ms: retry_after_ms(wait.as_ref()),
        body,
        is_of_sync: is(SYNC_TYPE),
        is_problem: is(PROBLEM_TYPE),
        keeps,
    };
    Ok(Some((head, length)))
}

/// Moves what has come of a body; true at its end.
fn take_body(body: &mut Body, buffer: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<bool, HttpError> {
    loop {
        match body {
            Body::Ended => return Ok(true),
            Body::UntilClosed => {
                out.append(buffer);
                return Ok(false);
            }
            Body::Length(left) => {
                *left -= take(buffer, *left, out);
                if *left > 0 {
                    return Ok(false);
                }
                *body = Body::Ended;
            }
            Body::Chunked(Chunked::Part(left)) => {
                *left -= take(buffer, *left, out);
                if *left > 0 {
                    return Ok(false);
                }
                *body = Body::Chunked(Chunked::PartEnd);
            }
            Body::Chunked(Chunked::PartEnd) => {
                let Some(line) = line(buffer)? else { return Ok(false) };
                if !line.is_empty() {
                    return Err(HttpError::Foreign("a part of the answer is longer than it said"));
                }
                *body = Body::Chunked(Chunked::Line);
            }
            Body::Chunked(Chunked::Line) => {
                let Some(line) = line(buffer)? else { return Ok(false) };
                let length = line.split(|byte| *byte == b';').next().and_then(|of| std::str::from_utf8(of).ok());
                let length = length.and_then(|of| u64::from_str_radix(of.trim(), 16).ok());
                *body = match length {
                    Some(0) => Body::Chunked(Chunked::Trailer),
                    Some(length) => Body::Chunked(Chunked::Part(length)),
                    None => return Err(HttpError::Foreign("a part of the answer has no length")),
                };
            }
            Body::Chunked(Chunked::Trailer) => {
                let Some(line) = line(buffer)? else { return Ok(false) };
                if line.is_empty() {
                    *body = Body::Ended;
                }
            }
        }
    }
}

/// Moves at most `most` bytes.
fn take(buffer: &mut Vec<u8>, most: u64, out: &mut Vec<u8>) -> u64 {
    let count = usize::try_from(most).unwrap_or(usize::MAX).min(buffer.len());
    out.extend(buffer.drain(..count));
    count as u64
}

/// A whole line, without its end.
fn line(buffer: &mut Vec<u8>) -> Result<Option<Vec<u8>>, HttpError> {
    let Some(end) = buffer.iter().position(|byte| *byte == b'\n') else {
        return if buffer.len() > CHUNK_LINE_BYTES_MAX {
            Err(HttpError::Foreign("a line between the parts of the answer does not end"))
        } else {
            Ok(None)
        };
    };
    let mut line: Vec<u8> = buffer.drain(..=end).collect();
    line.pop();
    line.pop_if(|byte| *byte == b'\r');
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> (Head, usize) {
        parse_head(text.as_bytes()).expect("is HTTP").expect("is whole")
    }

    /// The body in pieces of every size must come out the same.
    fn body_of(mut body: Body, bytes: &[u8], piece: usize) -> Option<Vec<u8>> {
        let (mut buffer, mut out) = (Vec::new(), Vec::new());
        for part in bytes.chunks(piece) {
            buffer.extend_from_slice(part);
            take_body(&mut body, &mut buffer, &mut out).ok()?;
        }
        (body == Body::Ended).then_some(out)
    }

    #[test]
    fn heads_are_read_and_say_how_their_body_ends() {
        let text = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
        let (of, length) = head(text);
        assert_eq!((of.status, of.body, of.keeps, &text[length..]), (200, Body::Length(5), true, "hello"));
        assert!(!of.is_of_sync && !of.is_problem);
        let (of, _) = head("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n");
        assert!(of.is_of_sync);
        let (of, _) = head("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nConnection: close\r\n\r\n");
        assert_eq!((of.body, of.keeps), (Body::Chunked(Chunked::Line), false));
        let (of, _) = head("HTTP/1.0 200 OK\r\n\r\n");
        assert_eq!((of.body, of.keeps), (Body::UntilClosed, false));
        let (of, _) = head("HTTP/1.1 503 No\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n");
        assert_eq!((of.status, of.retry_after_ms, of.body), (503, 9_000, Body::Ended));
        assert!(parse_head(b"HTTP/1.1 200 OK\r\ncontent-le").expect("may become one").is_none());
        assert!(parse_head(b"\x15\x03\x01\x00\x02\x02\x16").is_err());
        assert!(parse_head(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n").is_err());
    }

    #[test]
    fn chunked_bodies_come_out_whole_however_they_are_cut() {
        let bytes = b"4\r\nWiki\r\n6;x=y\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\nX: y\r\n\r\n";
        for piece in 1..=bytes.len() {
            let whole = body_of(Body::Chunked(Chunked::Line), bytes, piece);
            assert_eq!(whole.as_deref(), Some(&b"Wikipedia in \r\n\r\nchunks."[..]), "in pieces of {piece}");
        }
        assert_eq!(body_of(Body::Chunked(Chunked::Line), b"4\r\nWikipedia\r\n0\r\n\r\n", 3), None);
        assert_eq!(body_of(Body::Chunked(Chunked::Line), b"xyz\r\n", 1), None);
        assert_eq!(body_of(Body::Chunked(Chunked::Line), &[b'1'; CHUNK_LINE_BYTES_MAX + 2], 64), None);
        assert_eq!(body_of(Body::Length(3), b"abc", 1).as_deref(), Some(&b"abc"[..]));
    }
}
