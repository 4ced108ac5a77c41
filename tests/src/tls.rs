//! TLS as operators run it: a proxy with a certificate of an authority, in front of the real server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// An authority of a register's own, and a certificate that it has given to `localhost`. `tests/fixtures/tls/make.sh` makes
/// them anew.
#[derive(Debug, Clone, Copy)]
pub struct Authority {
    /// Its certificate in PEM, as an operator hands it out.
    pub pem: &'static str,
    certificate: &'static str,
    key: &'static str,
}

impl Authority {
    /// The one that phones are told of.
    pub const NAMED: Self = Self {
        pem: include_str!("../fixtures/tls/named-ca.pem"),
        certificate: include_str!("../fixtures/tls/named.pem"),
        key: include_str!("../fixtures/tls/named.key"),
    };
    /// Another, of which they are not.
    pub const OTHER: Self = Self {
        pem: include_str!("../fixtures/tls/other-ca.pem"),
        certificate: include_str!("../fixtures/tls/other.pem"),
        key: include_str!("../fixtures/tls/other.key"),
    };

    /// A server's side of TLS.
    fn server(self) -> Arc<ServerConfig> {
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("a certificate");
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("TLS").with_no_client_auth();
        Arc::new(config.with_single_cert(vec![certificate], key).expect("a certificate and its key"))
    }
}

/// A proxy that speaks TLS with phones, and in the clear with the server behind it.
#[derive(Debug)]
pub struct TlsFront {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl TlsFront {
    /// In front of `server` (`127.0.0.1:PORT`), as `localhost`, for as long as the runtime lives.
    pub async fn start(server: &str, authority: Authority) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let server: SocketAddr = server.parse().expect("an address");
        let (tls, connections) = (TlsAcceptor::from(authority.server()), Arc::new(AtomicUsize::new(0)));
        let this = Self { address: listener.local_addr().expect("bound"), connections: Arc::clone(&connections) };
        tokio::spawn(async move {
            while let Ok((phone, _)) = listener.accept().await {
                let (tls, connections) = (tls.clone(), Arc::clone(&connections));
                tokio::spawn(async move {
                    // A phone that does not believe the certificate ends here.
                    let mut phone = tls.accept(phone).await?;
                    connections.fetch_add(1, Ordering::Relaxed);
                    let mut server = TcpStream::connect(server).await?;
                    tokio::io::copy_bidirectional(&mut phone, &mut server).await
                });
            }
        });
        this
    }

    /// Its address by a name of it.
    pub fn url(&self, name: &str) -> String {
        format!("https://{name}:{}", self.address.port())
    }

    /// Connections over which TLS came about.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}
