//! Token files: the server's admin token (one line of text), or a device's own (JSON with its key).

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use toso_client::rest::Caller;
use toso_core::id::ServerId;
use toso_core::text::pasted;
use toso_replica::{Credential, Device};
use toso_server::trust::ROOT_KEY_LABEL;
use toso_wire::enrol::INVITE_PREFIX;
use zeroize::Zeroizing;

use crate::code_file;
use crate::fail::Fail;

/// A device's token file.
#[derive(Serialize, Deserialize)]
struct DeviceToken {
    token: String,
    device_key: String,
    server_id: ServerId,
}

/// What the admin token is used for in this run: what the operator says, or the command's name.
static PURPOSE: OnceLock<String> = OnceLock::new();

/// Says what for, once, before any token is read.
pub(crate) fn use_for(purpose: String) {
    // Err: it has been said, which only a test does.
    let _ = PURPOSE.set(purpose);
}

fn purpose() -> String {
    PURPOSE.get().cloned().unwrap_or_else(|| "toso".to_owned())
}

/// The shortest text that can be a token: a biscuit's signatures and keys alone take 130 bytes.
const TOKEN_CHARS_MIN: usize = 100;

/// Who a token file speaks for, however an editor or a messenger has left it.
pub(crate) fn read(path: &Path) -> Result<Caller, Fail> {
    let bytes = code_file::read(path, "token file")?;
    parse(&bytes).map_err(|why| Fail::new(format!("{} is no token file: {why}", path.display())))
}

/// Who the content of a token file speaks for, or what is wrong with it.
fn parse(bytes: &[u8]) -> Result<Caller, &'static str> {
    let text = pasted::file_text(bytes).ok_or("it is not text; write it anew")?;
    let text = Zeroizing::new(pasted::plain(&text));
    let text = without_scheme(text.trim());
    if let (Some(from), Some(to)) = (text.find('{'), text.rfind('}')) {
        return device_token(text.get(from..=to).unwrap_or_default())
            .ok_or("it is damaged; write it anew with `toso field token`");
    }
    if text.to_ascii_lowercase().contains(INVITE_PREFIX) {
        return Err("it holds an invite; a device enrols with that, and has a token then (`toso field token`)");
    }
    if text.contains(ROOT_KEY_LABEL) {
        return Err("it is the server's root key, which goes to nobody; name the admin.token beside it");
    }
    let token = pasted::whole(text).or_else(|| longest(text)).filter(|token| token.len() >= TOKEN_CHARS_MIN);
    let token = token
        .ok_or("it holds no token; name the admin.token of the server, or write a device's with `toso field token`")?;
    if URL_SAFE_NO_PAD.decode(&token).is_err() {
        return Err("its token is cut off or mistyped; copy it whole");
    }
    Ok(Caller::Bearer { token, purpose: purpose() })
}

/// A token as it stands in a header, without the word before it: the word is of the token's own characters.
fn without_scheme(text: &str) -> &str {
    let scheme = text.split_once(char::is_whitespace).filter(|(word, _)| word.eq_ignore_ascii_case("bearer"));
    scheme.map_or(text, |(_, token)| token.trim_start())
}

/// The one long code among words.
fn longest(text: &str) -> Option<String> {
    let is_code = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let mut long = text.split(|c| !is_code(c)).filter(|word| word.len() >= TOKEN_CHARS_MIN);
    long.next().filter(|_| long.next().is_none()).map(str::to_owned)
}

fn device_token(text: &str) -> Option<Caller> {
    // No value in it has a blank, so each one came on the way, as did quotes that are none of JSON's.
    let quotes = |c| if matches!(c, '“' | '”' | '„' | '«' | '»') { '"' } else { c };
    let text: Zeroizing<String> = Zeroizing::new(text.chars().filter(|c| !c.is_whitespace()).map(quotes).collect());
    let file: DeviceToken = serde_json::from_str(&text).ok()?;
    let secret = data_encoding::HEXLOWER_PERMISSIVE.decode(file.device_key.as_bytes()).ok()?;
    let device = Box::new(Device::from_secret(&<[u8; 32]>::try_from(secret).ok()?));
    URL_SAFE_NO_PAD.decode(&file.token).ok()?;
    Some(Caller::Device { token: file.token, device, server_id: file.server_id })
}

/// Writes a device's token file, readable by its owner only.
pub(crate) fn write(path: &Path, credential: &Credential, device: &Device) -> Result<(), Fail> {
    let file = DeviceToken {
        token: credential.token_text(),
        device_key: data_encoding::HEXLOWER.encode(device.secret().as_slice()),
        server_id: credential.server_id,
    };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let cannot = |error: std::io::Error| Fail::new(format!("cannot write {}: {error}", path.display()));
    let mut out = options.open(path).map_err(cannot)?;
    out.write_all(serde_json::to_string(&file)?.as_bytes()).and_then(|()| out.sync_all()).map_err(cannot)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> String {
        URL_SAFE_NO_PAD.encode([7; 200])
    }

    /// A token file that an editor had given a byte order mark was said to be an unreachable network.
    #[test]
    fn a_token_is_read_however_its_file_was_left() {
        let token = token();
        let (head, tail) = token.split_at(90);
        let utf16 = |text: &str| [vec![0xFF, 0xFE], text.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat();
        for bytes in [
            token.clone().into_bytes(),
            format!("\u{FEFF}{token}\r\n").into_bytes(),
            utf16(&format!("{token}\r\n")),
            format!("{head}\r\n{tail}\n").into_bytes(),
            format!("{head}\u{200B}{tail}\u{A0}").into_bytes(),
            format!("\"{token}\"").into_bytes(),
            format!("“{token}”").into_bytes(),
            format!("« {token} »").into_bytes(),
            format!("<{token}>.").into_bytes(),
            format!("Bearer {token}").into_bytes(),
            format!("Mã quản trị: {token}").into_bytes(),
        ] {
            let Ok(Caller::Bearer { token: read, .. }) = parse(&bytes) else { panic!("{bytes:?}") };
            assert_eq!(read, token);
        }
    }

    #[test]
    fn a_devices_token_file_is_read_however_it_was_left() {
        let json = format!(
            r#"{{"token":"{}","device_key":"{}","server_id":"{}"}}"#,
            token(),
            "0A".repeat(32),
            ServerId([3; 16])
        );
        for text in [
            json.clone(),
            format!("\u{FEFF}{json}\r\n"),
            json.replace(',', ",\r\n  "),
            json.replace(&token(), &format!("{}\n{}", &token()[..50], &token()[50..])),
            json.replace('"', "”"),
            format!("Đây là tệp: {json} cảm ơn"),
        ] {
            let read = parse(text.as_bytes());
            assert!(matches!(&read, Ok(Caller::Device { token: read, .. }) if *read == token()), "{text}");
        }
    }

    #[test]
    fn what_is_no_token_is_called_that() {
        for (bytes, said) in [
            (b"".to_vec(), "no token"),
            (b"\xC3\x28".to_vec(), "not text"),
            (b"hello".to_vec(), "no token"),
            (b"{}".to_vec(), "damaged"),
            (b"{\"token\":\"x\"".to_vec(), "no token"),
            (b"toso1.AAAA".to_vec(), "an invite"),
            (format!("{ROOT_KEY_LABEL} 00 00").into_bytes(), "root key"),
            // One character over whole groups of four is a byte that nobody wrote.
            (token().as_bytes()[..265].to_vec(), "cut off"),
            (format!("{} {} x", &token()[..265], "b".repeat(3)).into_bytes(), "cut off"),
        ] {
            let why = parse(&bytes).err().unwrap_or("it was taken for one");
            assert!(why.contains(said), "{bytes:?}: {why}");
        }
    }
}
