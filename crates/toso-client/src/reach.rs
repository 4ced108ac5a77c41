//! How a device reaches its server: by TLS, and by whose word.
//!
//! What volunteers record is personal data, so it crosses no network in the clear: `http://` is for a server on the very same
//! machine. A test network may be allowed it, in so many words, which the device then repeats for as long as it lasts.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};
use toso_core::text::Date;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::rest::now;

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
    /// The server's certificate is not to be trusted: signed by nobody known here, or for another name.
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

impl ReachError {
    /// What a failed connection says of the server's certificate; `None` when it failed for something else.
    #[expect(clippy::wildcard_enum_match_arm, reason = "another crate's errors: all but these are told alike")]
    pub(crate) fn of_certificate(url: &str, failed: &(dyn Error + 'static)) -> Option<Self> {
        let mut cause = Some(failed);
        while let Some(error) = cause {
            if let Some(why @ rustls::Error::InvalidCertificate(wrong)) = error.downcast_ref() {
                let detail = match wrong {
                    CertificateError::Expired | CertificateError::ExpiredContext { .. } => Some("it has ended"),
                    CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                        Some("it begins later")
                    }
                    _ => None,
                };
                if let Some(detail) = detail {
                    let clock = Date::in_vietnam(now()).display_vi();
                    return Some(Self::CertificateTime { url: url.to_owned(), clock, detail });
                }
                return Some(Self::Certificate { url: url.to_owned(), detail: why.to_string() });
            }
            // An IO error's own source leaves out the error that it was made of.
            let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            cause = within.map(|within| within as &(dyn Error + 'static)).or_else(|| error.source());
        }
        None
    }
}

impl Reach {
    /// Refuses to send anything to an address in the clear, unless it is this machine's own, or that was allowed.
    pub fn check(&self, url: &str) -> Result<(), ReachError> {
        let uri: Option<Uri> = url.trim_end_matches('/').parse().ok();
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

    /// TLS for the socket: by the private authority, or by the web's roots.
    pub(crate) fn client_tls(&self) -> Result<Arc<ClientConfig>, ReachError> {
        static OF_THE_WEB: OnceLock<Arc<ClientConfig>> = OnceLock::new();
        let Some(certificates) = self.authority()? else {
            if let Some(config) = OF_THE_WEB.get() {
                return Ok(Arc::clone(config));
            }
            let config = by_roots(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })?;
            return Ok(Arc::clone(OF_THE_WEB.get_or_init(|| config)));
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots.add(certificate).map_err(|error| ReachError::BadAuthority { detail: error.to_string() })?;
        }
        by_roots(roots)
    }

    /// TLS for requests.
    pub(crate) fn tls(&self) -> Result<TlsConfig, ReachError> {
        let Some(certificates) = self.authority()? else { return Ok(TlsConfig::default()) };
        let certificates = certificates.iter().map(|certificate| Certificate::from_der(certificate).to_owned());
        let roots = RootCerts::Specific(Arc::new(certificates.collect()));
        Ok(TlsConfig::builder().root_certs(roots).build())
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

    fn authority(&self) -> Result<Option<Vec<CertificateDer<'static>>>, ReachError> {
        let Some(pem) = &self.ca_pem else { return Ok(None) };
        let bad = |detail: String| ReachError::BadAuthority { detail };
        if pem.len() > CA_PEM_BYTES_MAX {
            return Err(bad(format!("they have {} bytes, at most {CA_PEM_BYTES_MAX} are read", pem.len())));
        }
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
        match certificates {
            Ok(certificates) if certificates.is_empty() => Err(bad("there is no certificate in it".to_owned())),
            Ok(certificates) => Ok(Some(certificates)),
            Err(error) => Err(bad(error.to_string())),
        }
    }
}

/// By ring, in so many words: an app may have linked another provider beside it, and the process then has no default.
fn by_roots(roots: RootCertStore) -> Result<Arc<ClientConfig>, ReachError> {
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions();
    let config = config.map_err(|error| ReachError::BadAuthority { detail: error.to_string() })?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
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

    /// A phone whose clock stood in 2019 was told that the network is out of reach.
    #[test]
    fn a_certificate_outside_its_time_is_told_by_the_clock() {
        let failed = |wrong| io::Error::new(io::ErrorKind::InvalidData, rustls::Error::InvalidCertificate(wrong));
        for wrong in [CertificateError::Expired, CertificateError::NotValidYet] {
            let told = ReachError::of_certificate("https://x", &failed(wrong)).unwrap();
            let today = Date::in_vietnam(now()).display_vi();
            assert!(matches!(&told, ReachError::CertificateTime { .. }), "{told}");
            assert!(told.to_string().contains(&today) && told.to_string().contains("set the clock"), "{told}");
        }
        let unknown = ReachError::of_certificate("https://x", &failed(CertificateError::UnknownIssuer)).unwrap();
        assert!(unknown.to_string().contains("--ca"), "{unknown}");
    }

    /// Windows' editors put a mark in front, and end lines by two characters; some authorities give DER.
    #[test]
    fn an_authoritys_file_is_read_as_editors_and_authorities_write_it() {
        let plain = include_str!("../../../tests/fixtures/tls/named-ca.pem");
        let certificates = |bytes: &[u8]| {
            let pem = Reach::pem_of_file(bytes).unwrap();
            Reach { insecure_http: false, ca_pem: Some(pem) }.authority().unwrap().unwrap()
        };
        let expected = certificates(plain.as_bytes());
        assert_eq!(certificates(format!("\u{FEFF}{}", plain.replace('\n', "\r\n")).as_bytes()), expected);
        assert_eq!(certificates(&expected[0]), expected);
        assert!(matches!(Reach::pem_of_file(&[0xFF, 0xFE, 0x2D, 0]), Err(ReachError::BadAuthority { .. })));
    }

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
        for url in ["", "toso.example.vn", "ftp://toso.example.vn", "http://", "https:toso"] {
            assert!(matches!(open.check(url), Err(ReachError::NotAnAddress { .. })), "{url}");
        }
    }

    #[test]
    fn without_an_authority_the_webs_roots_count() {
        let [once, again] = [Reach::default(), Reach::default()].map(|reach| reach.client_tls().unwrap());
        assert!(Arc::ptr_eq(&once, &again), "made once");
    }

    #[test]
    fn what_is_no_certificate_is_refused_before_anything_is_dialled() {
        let with = |pem: String| Reach { insecure_http: false, ca_pem: Some(pem) };
        let long = "x".repeat(CA_PEM_BYTES_MAX + 1);
        let cut = "-----BEGIN CERTIFICATE-----\nAAAA\n".to_owned();
        for pem in [String::new(), "no certificate".to_owned(), cut, long] {
            let reach = with(pem);
            assert!(matches!(reach.client_tls(), Err(ReachError::BadAuthority { .. })));
            assert!(matches!(reach.tls(), Err(ReachError::BadAuthority { .. })));
        }
    }
}
