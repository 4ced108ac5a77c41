//! How a device reaches its server: by TLS, and by whose word.
//!
//! What volunteers record is personal data, so it crosses no network in the clear: `http://` is for a server on the very same
//! machine. A test network may be allowed it, in so many words, which the device then repeats for as long as it lasts.

use core::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use serde::{Deserialize, Serialize};

/// The longest text of a private authority's certificates: some ten of 1.5 KiB each, within a setting's 32 KiB.
pub const CA_PEM_BYTES_MAX: usize = 16 * 1024;

/// What is agreed about the way to a server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Speak `http://` over a network, too: for tests alone. Everybody on the way reads and changes everything.
    pub insecure_http: bool,
    /// The certificates, in PEM, of a private authority that the server's own is signed by. Then the web's count for
    /// nothing.
    pub ca_pem: Option<String>,
}

/// Why a server is not dialled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReachError {
    /// Not an address.
    #[error("{url} is no address of a server; it must be https://host[:port]")]
    NotAnAddress {
        /// The address.
        url: String,
    },
    /// In the clear, over a network.
    #[error(
        "{url} would send everything in the clear over the network; ask for an address with https:// \
         (http:// is for the same machine, or with --insecure-http for a test network)"
    )]
    InTheClear {
        /// The address.
        url: String,
    },
    /// The authority's file holds no certificate that can be used.
    #[error(
        "the authority's certificates cannot be used: {detail}; give a PEM file that begins with -----BEGIN CERTIFICATE-----"
    )]
    BadAuthority {
        /// Why.
        detail: String,
    },
    /// The server's certificate is not good at the time that this device's clock shows.
    #[error(
        "this device's clock says {clock}, and the certificate of {url} is not good on that day ({detail}): set the clock, and \
         try again; if the clock is right, tell the operator of the server"
    )]
    CertificateTime {
        /// The address.
        url: String,
        /// The day by the device's clock, in Vietnam.
        clock: String,
        /// Too early or too late.
        detail: &'static str,
    },
    /// The server's certificate is for another name.
    #[error(
        "the certificate of {url} is for another name: it is for {names}; check the address, or ask the operator for one that \
         the certificate has"
    )]
    CertificateName {
        /// The address.
        url: String,
        /// The names that it has.
        names: String,
    },
    /// The server's certificate is not to be trusted: signed by nobody known here, or broken.
    #[error(
        "the certificate of {url} cannot be trusted: {detail}; where the register has an authority of its own, join with \
         its certificates (--ca FILE); else check the address, the network and this device's clock"
    )]
    Certificate {
        /// The address.
        url: String,
        /// Why.
        detail: String,
    },
}

impl Reach {
    /// Refuses to send anything to an address in the clear, unless it is this machine's own, or that was allowed.
    pub fn check(&self, url: &str) -> Result<(), ReachError> {
        // Paths are added to its end; a question would swallow them.
        let uri: Option<Uri> = url.trim_end_matches('/').parse().ok().filter(|_| !url.contains(['?', '#']));
        let parts = uri.as_ref().and_then(|uri| Some((uri.scheme_str()?, uri.host()?)));
        match parts {
            Some(("https" | "wss", _)) => Ok(()),
            Some(("http" | "ws", host)) if self.insecure_http || is_loopback(host) => Ok(()),
            Some(("http" | "ws", _)) => Err(ReachError::InTheClear { url: url.to_owned() }),
            _ => Err(ReachError::NotAnAddress { url: url.to_owned() }),
        }
    }

    /// What to show a person while everything goes over a network in the clear.
    pub fn warning(&self, url: &str) -> Option<String> {
        let careful = Self { insecure_http: false, ..self.clone() };
        let is_open = self.insecure_http && matches!(careful.check(url), Err(ReachError::InTheClear { .. }));
        is_open.then(|| {
            format!("WARNING: everything goes to {url} in the clear; anybody on the network can read and change it")
        })
    }

    /// The certificates of a file as [`Self::ca_pem`] keeps them: PEM, with or without the mark that Windows' editors put in
    /// front, or one certificate in DER.
    pub fn pem_of_file(bytes: &[u8]) -> Result<String, ReachError> {
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        // A DER certificate is a SEQUENCE of a length of two bytes.
        if bytes.starts_with(&[0x30, 0x82]) {
            let lines = STANDARD.encode(bytes);
            return Ok(format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"));
        }
        let text = std::str::from_utf8(bytes).map(str::to_owned);
        text.map_err(|_| ReachError::BadAuthority { detail: "it is neither PEM nor a certificate in DER".to_owned() })
    }
}

/// True for this machine itself.
fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse().is_ok_and(|ip: Ipv4Addr| ip.is_loopback())
        || host
            .parse()
            .is_ok_and(|ip: Ipv6Addr| ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_clear_only_this_very_machine_is_reached() {
        let (careful, open) = (Reach::default(), Reach { insecure_http: true, ca_pem: None });
        for url in [
            "http://127.0.0.1:7878",
            "http://127.255.0.9",
            "http://localhost:80/",
            "http://LOCALHOST",
            "ws://[::1]:9",
            "http://[::ffff:127.0.0.1]",
            "https://toso.example.vn/tinh/",
            "wss://10.0.0.1",
        ] {
            assert_eq!(careful.check(url), Ok(()), "{url}");
            assert_eq!(open.warning(url), None, "{url}");
        }
        for url in [
            "http://toso.example.vn",
            "http://128.0.0.1",
            "http://10.0.0.1:7878",
            "http://0.0.0.0",
            "http://localhost.example",
            "http://127.0.0.1.example",
            "http://127.0.0.1@example.vn/",
            "http://127.1.example:80",
            "ws://[::2]:9",
            "http://[::ffff:10.0.0.1]",
        ] {
            assert_eq!(careful.check(url), Err(ReachError::InTheClear { url: url.to_owned() }), "{url}");
            assert_eq!(careful.warning(url), None);
            assert_eq!(open.check(url), Ok(()));
            assert!(open.warning(url).is_some_and(|text| text.contains(url)));
        }
        for url in [
            "",
            "toso.example.vn",
            "ftp://toso.example.vn",
            "http://",
            "https:toso",
            "https://x.vn/?a",
            "https://x.vn#a",
        ] {
            assert!(matches!(open.check(url), Err(ReachError::NotAnAddress { .. })), "{url}");
        }
    }
}
