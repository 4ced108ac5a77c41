//! TLS as it was agreed: for sockets and for requests, by a private authority or by the web's roots.

use std::error::Error;
use std::io;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use toso_core::text::{Date, inert};
use toso_replica::reach::CA_PEM_BYTES_MAX;
use toso_replica::{Reach, ReachError};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::system::now;

/// What a failed connection says of the server's certificate; `None` when it failed for something else.
#[expect(clippy::wildcard_enum_match_arm, reason = "another crate's errors: all but these are told alike")]
pub(crate) fn of_certificate(url: &str, failed: &(dyn Error + 'static)) -> Option<ReachError> {
    let mut cause = Some(failed);
    while let Some(error) = cause {
        if let Some(why @ rustls::Error::InvalidCertificate(wrong)) = error.downcast_ref() {
            if let CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } = wrong {
                return Some(ReachError::CertificateName { url: url.to_owned(), names: names_of(wrong) });
            }
            let detail = match wrong {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => Some("it has ended"),
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Some("it begins later"),
                _ => None,
            };
            if let Some(detail) = detail {
                let clock = Date::in_vietnam(now()).display_vi();
                return Some(ReachError::CertificateTime { url: url.to_owned(), clock, detail });
            }
            return Some(ReachError::Certificate { url: url.to_owned(), detail: why.to_string() });
        }
        // An IO error's own source leaves out the error that it was made of.
        let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = within.map(|within| within as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}

/// Names of a certificate that are shown: more help nobody.
const NAMES_SHOWN_MAX: usize = 5;
/// Characters shown of one: a name of DNS has at most 253.
const NAME_CHARS_SHOWN_MAX: usize = 253;

/// The names that a certificate for another host has. Its maker chose them, so they are shown harmless.
#[expect(clippy::wildcard_enum_match_arm, reason = "another crate's errors: only this one has names")]
fn names_of(wrong: &CertificateError) -> String {
    let presented = match wrong {
        CertificateError::NotValidForNameContext { presented, .. } => presented.as_slice(),
        _ => &[],
    };
    // rustls writes `DnsName("localhost")` and `IpAddress(…)`.
    let plain = |name: &String| {
        let name = name.strip_prefix("DnsName(\"").and_then(|name| name.strip_suffix("\")")).unwrap_or(name);
        inert(&name.chars().take(NAME_CHARS_SHOWN_MAX).collect::<String>()).into_owned()
    };
    let mut names: Vec<String> = presented.iter().take(NAMES_SHOWN_MAX).map(plain).collect();
    if presented.len() > names.len() {
        names.push("…".to_owned());
    }
    if names.is_empty() { "names that it does not say".to_owned() } else { names.join(", ") }
}

/// TLS for the socket: by the private authority, or by the web's roots.
pub(crate) fn client_tls(reach: &Reach) -> Result<Arc<ClientConfig>, ReachError> {
    static OF_THE_WEB: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let Some(certificates) = authority(reach)? else {
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
pub(crate) fn request_tls(reach: &Reach) -> Result<TlsConfig, ReachError> {
    let Some(certificates) = authority(reach)? else { return Ok(TlsConfig::default()) };
    let certificates = certificates.iter().map(|certificate| Certificate::from_der(certificate).to_owned());
    let roots = RootCerts::Specific(Arc::new(certificates.collect()));
    Ok(TlsConfig::builder().root_certs(roots).build())
}

fn authority(reach: &Reach) -> Result<Option<Vec<CertificateDer<'static>>>, ReachError> {
    let Some(pem) = &reach.ca_pem else { return Ok(None) };
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

/// By ring, in so many words: an app may have linked another provider beside it, and the process then has no default.
fn by_roots(roots: RootCertStore) -> Result<Arc<ClientConfig>, ReachError> {
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions();
    let config = config.map_err(|error| ReachError::BadAuthority { detail: error.to_string() })?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A phone whose clock stood in 2019 was told that the network is out of reach.
    #[test]
    fn a_certificate_outside_its_time_is_told_by_the_clock() {
        let failed = |wrong| io::Error::new(io::ErrorKind::InvalidData, rustls::Error::InvalidCertificate(wrong));
        for wrong in [CertificateError::Expired, CertificateError::NotValidYet] {
            let told = of_certificate("https://x", &failed(wrong)).unwrap();
            let today = Date::in_vietnam(now()).display_vi();
            assert!(matches!(&told, ReachError::CertificateTime { .. }), "{told}");
            assert!(told.to_string().contains(&today) && told.to_string().contains("set the clock"), "{told}");
        }
        // The story: a mistyped host was told to bring an authority's certificates.
        let other = |presented: &[String]| CertificateError::NotValidForNameContext {
            expected: "x".try_into().unwrap(),
            presented: presented.to_vec(),
        };
        let named = |presented: &[String]| of_certificate("https://x", &failed(other(presented))).unwrap().to_string();
        let told = named(&["DnsName(\"toso.example.vn\")".to_owned(), "DnsName(\"\u{1b}[2J.vn\")".to_owned()]);
        assert!(told.contains("for another name: it is for toso.example.vn, \\u{1b}[2J.vn;"), "{told}");
        let many: Vec<String> = (0..=NAMES_SHOWN_MAX).map(|number| format!("DnsName(\"n{number}\")")).collect();
        assert!(named(&many).contains("n4, …;") && !named(&many).contains("n5"), "{}", named(&many));
        assert!(named(&many[..NAMES_SHOWN_MAX]).contains("n4;"));
        let unknown = of_certificate("https://x", &failed(CertificateError::UnknownIssuer)).unwrap();
        assert!(unknown.to_string().contains("--ca"), "{unknown}");
    }

    /// Windows' editors put a mark in front, and end lines by two characters; some authorities give DER.
    #[test]
    fn an_authoritys_file_is_read_as_editors_and_authorities_write_it() {
        let plain = include_str!("../../../tests/fixtures/tls/named-ca.pem");
        let certificates = |bytes: &[u8]| {
            let pem = Reach::pem_of_file(bytes).unwrap();
            authority(&Reach { insecure_http: false, ca_pem: Some(pem) }).unwrap().unwrap()
        };
        let expected = certificates(plain.as_bytes());
        assert_eq!(certificates(format!("\u{FEFF}{}", plain.replace('\n', "\r\n")).as_bytes()), expected);
        assert_eq!(certificates(&expected[0]), expected);
        assert!(matches!(Reach::pem_of_file(&[0xFF, 0xFE, 0x2D, 0]), Err(ReachError::BadAuthority { .. })));
    }

    #[test]
    fn without_an_authority_the_webs_roots_count() {
        let [once, again] = [Reach::default(), Reach::default()].map(|reach| client_tls(&reach).unwrap());
        assert!(Arc::ptr_eq(&once, &again), "made once");
    }

    #[test]
    fn what_is_no_certificate_is_refused_before_anything_is_dialled() {
        let with = |pem: String| Reach { insecure_http: false, ca_pem: Some(pem) };
        let long = "x".repeat(CA_PEM_BYTES_MAX + 1);
        let cut = "-----BEGIN CERTIFICATE-----\nAAAA\n".to_owned();
        for pem in [String::new(), "no certificate".to_owned(), cut, long] {
            let reach = with(pem);
            assert!(matches!(client_tls(&reach), Err(ReachError::BadAuthority { .. })));
            assert!(matches!(request_tls(&reach), Err(ReachError::BadAuthority { .. })));
        }
    }
}
