//! Token files: the server's admin token (one line of text), or a device's own (JSON with its key).

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use toso_client::rest::Caller;
use toso_client::{Credential, Device};
use toso_core::id::ServerId;

use crate::fail::Fail;

/// A device's token file.
#[derive(Serialize, Deserialize)]
struct DeviceToken {
    token: String,
    device_key: String,
    server_id: ServerId,
}

/// Who a token file speaks for.
pub(crate) fn read(path: &Path) -> Result<Caller, Fail> {
    let text = fs::read_to_string(path)
        .map_err(|error| Fail::new(format!("cannot read the token file {}: {error}", path.display())))?;
    let text = text.trim();
    if !text.starts_with('{') {
        return Ok(Caller::Bearer { token: text.to_owned() });
    }
    let unreadable =
        || Fail::new(format!("{} is no token file; write it anew with `toso field token`", path.display()));
    let file: DeviceToken = serde_json::from_str(text).map_err(|_| unreadable())?;
    let secret = data_encoding::HEXLOWER.decode(file.device_key.as_bytes()).map_err(|_| unreadable())?;
    let secret = <[u8; 32]>::try_from(secret).map_err(|_| unreadable())?;
    let device = Box::new(Device::from_secret(&secret));
    Ok(Caller::Device { token: file.token, device, server_id: file.server_id })
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
