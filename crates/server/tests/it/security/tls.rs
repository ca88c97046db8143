//! TLS: what is agreed on, what a renewed certificate changes, and what a slow client cannot.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use factum_core::MemoryStore;
use factum_protocol::wire::v1::gossip::gossip_client::GossipClient;
use factum_server::{
    Limits, Notice, Notices, Pem, RunningServer, Security, ServeError, Server, ServerOptions, TlsError,
    TlsOptions,
};
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::codegen::Service;
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint};

use super::{Fixture, Who, assert_denied, sign_in};

fn pem(expires: i32) -> Pem {
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_after = date_time_ymd(expires, 1, 1);
    let key = KeyPair::generate().unwrap();
    let chain = params.self_signed(&key).unwrap().pem().into_bytes();
    Pem { chain, key: key.serialize_pem().into_bytes() }
}

/// A server whose certificate can be replaced, and what it says about that.
struct Tls {
    server: RunningServer,
    current: Arc<Mutex<std::io::Result<Pem>>>,
    notices: mpsc::UnboundedReceiver<Notice>,
}

async fn serve(first: Pem, limits: Limits) -> Result<Tls, ServeError> {
    let current: Arc<Mutex<std::io::Result<Pem>>> = Arc::new(Mutex::new(Ok(first)));
    let (tell, notices) = mpsc::unbounded_channel();
    let source = current.clone();
    let read = move || match &*source.lock().unwrap() {
        Ok(pem) => Ok(pem.clone()),
        Err(error) => Err(std::io::Error::from(error.kind())),
    };
    let options = ServerOptions {
        security: Security::SignIn(sign_in()),
        tls: Some(TlsOptions { check_every: Duration::from_millis(5), ..TlsOptions::new(read) }),
        notices: Notices::to(move |notice| drop(tell.send(notice))),
        limits,
        ..ServerOptions::default()
    };
    let server = Server::new(Arc::new(MemoryStore::new()), options).listen("127.0.0.1:0").await?;
    Ok(Tls { server, current, notices })
}

/// A client that trusts one certificate.
#[derive(Clone)]
struct Connector {
    server: std::net::SocketAddr,
    tls: TlsConnector,
}

impl Connector {
    fn new(server: &RunningServer, trusted: &Pem, protocol: &[u8]) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&trusted.chain).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        Self { server: server.address(), tls: Arc::new(config).into() }
    }

    async fn connect(self) -> std::io::Result<TlsStream<TcpStream>> {
        let socket = TcpStream::connect(self.server).await?;
        self.tls.connect(ServerName::try_from("localhost").unwrap(), socket).await
    }

    async fn channel(self) -> Result<Channel, tonic::transport::Error> {
        Endpoint::from_static("http://localhost").connect_with_connector(self).await
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect().await.map(TokioIo::new) })
    }
}

async fn answers(server: &RunningServer, trusted: &Pem) -> bool {
    let Ok(channel) = Connector::new(server, trusted, b"h2").channel().await else { return false };
    GossipClient::new(channel).read(Who::nobody().asks(())).await.is_ok()
}

#[tokio::test]
async fn both_protocols_are_spoken_and_users_sign_in() {
    let certificate = pem(2060);
    let tls = serve(certificate.clone(), Limits::default()).await.unwrap();
    let channel = Connector::new(&tls.server, &certificate, b"h2").channel().await.unwrap();
    let fixture = Fixture { server: tls.server, store: Arc::new(MemoryStore::new()), channel };
    fixture.append(&Who::admin(), "s", "A", "1").await.unwrap();
    assert_eq!(fixture.read(&Who::admin(), "s").await.unwrap(), ["1"]);
    assert_denied(fixture.read(&Who::nobody(), "s").await);

    let mut stream = Connector::new(&fixture.server, &certificate, b"http/1.1").connect().await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // The server need not say good-bye in TLS's words.
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 204 "), "{}", String::from_utf8_lossy(&answer));
    fixture.server.stop().await;
}

#[tokio::test]
async fn others_are_not_understood() {
    let certificate = pem(2060);
    let tls = serve(certificate.clone(), Limits::default()).await.unwrap();
    assert!(!answers(&tls.server, &pem(2060)).await, "a certificate that the client does not trust");
    let endpoint = Endpoint::try_from(format!("http://{}", tls.server.address())).unwrap();
    let plain = match endpoint.connect().await {
        Ok(channel) => GossipClient::new(channel).read(Who::nobody().asks(())).await.is_ok(),
        Err(_) => false,
    };
    assert!(!plain, "no TLS");
    let old = Connector::new(&tls.server, &certificate, b"spdy/1").connect().await;
    assert!(old.is_err(), "another protocol");
    assert!(answers(&tls.server, &certificate).await);
}

#[tokio::test]
async fn a_renewed_certificate_is_used_and_one_that_cannot_be_is_not() {
    let (first, second, third) = (pem(2060), pem(2061), pem(2062));
    let mut tls = serve(first.clone(), Limits::default()).await.unwrap();
    let old = Connector::new(&tls.server, &first, b"h2").channel().await.unwrap();
    *tls.current.lock().unwrap() = Ok(second.clone());
    let notice = tls.notices.recv().await.unwrap();
    assert!(matches!(notice, Notice::CertificateReplaced { .. }), "{notice}");
    assert!(answers(&tls.server, &second).await);
    assert!(!answers(&tls.server, &first).await);
    // Connections that are there stay.
    GossipClient::new(old).read(Who::nobody().asks(())).await.unwrap();

    let mixed = Pem { chain: first.chain.clone(), key: second.key.clone() };
    let unusable = [Ok(pem(2020)), Ok(mixed), Ok(Pem::default()), Err(std::io::ErrorKind::NotFound)];
    for bad in unusable {
        *tls.current.lock().unwrap() = bad.map_err(std::io::Error::from);
        let notice = tls.notices.recv().await.unwrap();
        assert!(matches!(notice, Notice::CertificateKept { .. }), "{notice}");
        assert!(!format!("{notice} {notice:?}").contains("PRIVATE"), "{notice:?}");
        assert!(answers(&tls.server, &second).await, "{notice}");
    }
    *tls.current.lock().unwrap() = Ok(third.clone());
    let notice = tls.notices.recv().await.unwrap();
    assert_eq!(
        notice.to_string(),
        "new connections use the new certificate, which expires at 2062-01-01T00:00:00Z"
    );
    assert!(answers(&tls.server, &third).await);
}

#[tokio::test]
async fn a_server_does_not_start_with_a_certificate_of_the_past() {
    let error = serve(pem(2020), Limits::default()).await.map(drop).unwrap_err();
    assert!(matches!(error, ServeError::Tls(TlsError::Expired { .. })), "{error}");
    assert_eq!(error.to_string(), "the certificate expired at 2020-01-01T00:00:00Z: renew it");
}

#[tokio::test]
async fn slow_handshakes_hold_up_nobody_and_end() {
    let certificate = pem(2060);
    let limits = Limits { handshake_timeout: Duration::from_millis(300), ..Limits::default() };
    let tls = serve(certificate.clone(), limits).await.unwrap();
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut socket = TcpStream::connect(tls.server.address()).await.unwrap();
        // The beginning of a first message that never comes.
        socket.write_all(&[0x16, 0x03, 0x01, 0x02]).await.unwrap();
        slow.push(socket);
    }
    // Agreed on TLS, and then silent.
    let mut silent = Connector::new(&tls.server, &certificate, b"h2").connect().await.unwrap();
    assert!(answers(&tls.server, &certificate).await);
    for mut socket in slow {
        // Closed by the server: by an end, or by a reset.
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer).await;
        assert!(answer.is_empty() || answer[0] == 0x15, "{answer:?}");
    }
    // HTTP/2's own greeting may have come before the end.
    let _ = silent.read_to_end(&mut Vec::new()).await;
    assert!(answers(&tls.server, &certificate).await);
}
