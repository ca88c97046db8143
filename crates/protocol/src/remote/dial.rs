//! How is a node connected to?

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

use super::connection_string::{ConnectionString, Node, Tls};

/// Longest time from the first packet to an encrypted connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that may be under way on one call; the smallest windows would make every page wait for the other side.
const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// Bytes that may be under way on one connection.
const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// Why connections cannot be encrypted as asked.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file of certificates was named, and not handed over.
    #[error("the connection string names the certificates in '{file}': hand them over with `with_ca`")]
    CaNotGiven {
        /// The file.
        file: String,
    },
    /// The certificates cannot be read.
    #[error("the certificates to trust cannot be read: {why}")]
    Ca {
        /// What is wrong.
        why: String,
    },
    /// The system has none.
    #[error(
        "this system lists no certificates that it trusts: name a file with tlsCaFile, or give tls=false"
    )]
    NoRoots,
    /// The library refuses the settings.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// Opens connections as a connection string asks for.
#[derive(Clone)]
pub(super) struct Dialler {
    tls: Option<TlsConnector>,
    keep_alive_interval: Option<Duration>,
    keep_alive_timeout: Duration,
}

impl Dialler {
    pub(super) fn new(settings: &ConnectionString) -> Result<Self, TlsError> {
        let tls = match settings.tls {
            Tls::Off => None,
            Tls::Verify | Tls::TrustAnybody => Some(TlsConnector::from(Arc::new(tls_config(settings)?))),
        };
        Ok(Self {
            tls,
            keep_alive_interval: settings.keep_alive_interval,
            keep_alive_timeout: settings.keep_alive_timeout,
        })
    }

    /// Connects to `node`.
    pub(super) async fn connect(&self, node: &Node) -> Result<Channel, String> {
        // The connector speaks TLS itself, so that what is dialled is always plain; what requests name is not.
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let uri = |scheme: &str| format!("{scheme}://{node}").parse::<http::Uri>().map_err(|e| e.to_string());
        let mut endpoint = Endpoint::from(uri("http")?)
            .origin(uri(scheme)?)
            .connect_timeout(CONNECT_TIMEOUT)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .keep_alive_timeout(self.keep_alive_timeout)
            .keep_alive_while_idle(true);
        if let Some(interval) = self.keep_alive_interval {
            endpoint = endpoint.http2_keep_alive_interval(interval);
        }
        let connector = Connector { dialler: self.clone(), node: node.clone() };
        let connecting = endpoint.connect_with_connector(connector);
        connecting.await.map_err(|error| with_causes(&error))
    }

    async fn stream(&self, node: &Node) -> io::Result<Box<dyn Stream>> {
        let socket = TcpStream::connect((node.host.as_str(), node.port)).await?;
        socket.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return Ok(Box::new(socket)) };
        let name = ServerName::try_from(node.host.clone()).map_err(io::Error::other)?;
        Ok(Box::new(tls.connect(name, socket).await?))
    }
}

/// An error and what caused it, in one line.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

struct Connector {
    dialler: Dialler,
    node: Node,
}

impl tower_service::Service<http::Uri> for Connector {
    type Response = TokioIo<Box<dyn Stream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Uri) -> Self::Future {
        let (dialler, node) = (self.dialler.clone(), self.node.clone());
        Box::pin(async move { dialler.stream(&node).await.map(TokioIo::new) })
    }
}

fn tls_config(settings: &ConnectionString) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let mut config = if settings.tls == Tls::TrustAnybody {
        let anybody = Arc::new(TrustAnybody(provider));
        builder.dangerous().with_custom_certificate_verifier(anybody).with_no_client_auth()
    } else {
        builder.with_root_certificates(roots(settings)?).with_no_client_auth()
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn roots(settings: &ConnectionString) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    match (&settings.ca, settings.ca_file()) {
        (Some(pem), _) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|e| TlsError::Ca { why: e.to_string() })?;
                roots.add(certificate)?;
            }
            if roots.is_empty() {
                return Err(TlsError::Ca { why: "there is no certificate in PEM in it".to_owned() });
            }
        }
        (None, Some(file)) => return Err(TlsError::CaNotGiven { file: file.to_owned() }),
        (None, None) => {
            // One that the library does not understand leaves the others to be trusted.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(TlsError::NoRoots);
            }
        }
    }
    Ok(roots)
}

/// Takes any certificate, but still wants proof that the other side has its key.
#[derive(Debug)]
struct TrustAnybody(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustAnybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
