//! Certificates, and how a connection becomes one that nobody can read.
//!
//! Where certificates come from is not decided here: a [`CertificateSource`] reads them. It is asked again and again, so
//! that a renewed certificate is used without a restart; one that cannot be used changes nothing.

mod validity;

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use factum_core::{Clock, Timestamp};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroize;

use crate::notice::{Notice, Notices};
use crate::stopping::Stopping;

/// How often a source is asked whether its certificate is another one.
const CHECK_EVERY: Duration = Duration::from_secs(10);
/// What is spoken on a connection, best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A chain of certificates and the key of its first one, in PEM.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Pem {
    /// The server's certificate, and those that lead to one that clients trust.
    pub chain: Vec<u8>,
    /// The private key: PKCS#8, PKCS#1 or SEC1.
    pub key: Vec<u8>,
}

impl Drop for Pem {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pem(..)")
    }
}

/// Reads certificates from where they are kept.
pub trait CertificateSource: Send + Sync + 'static {
    /// What is there now. May block.
    ///
    /// # Errors
    /// Where nothing can be read.
    fn read(&self) -> io::Result<Pem>;
}

impl<F: Fn() -> io::Result<Pem> + Send + Sync + 'static> CertificateSource for F {
    fn read(&self) -> io::Result<Pem> {
        self()
    }
}

/// What may be chosen about certificates.
#[derive(Clone)]
pub struct TlsOptions {
    /// Reads them.
    pub source: Arc<dyn CertificateSource>,
    /// How often it is asked for another one.
    pub check_every: Duration,
}

impl TlsOptions {
    /// Certificates from this source, asked every ten seconds.
    pub fn new(source: impl CertificateSource) -> Self {
        Self { source: Arc::new(source), check_every: CHECK_EVERY }
    }
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions").field("check_every", &self.check_every).finish_non_exhaustive()
    }
}

/// Why a certificate cannot be used. Nothing of a key is in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// It cannot be read.
    #[error("the certificate or its key cannot be read: {0}")]
    Read(#[source] io::Error),
    /// There is no certificate in the text.
    #[error("there is no certificate in PEM in the file of the chain")]
    NoCertificate,
    /// There is no key in the text.
    #[error("there is no private key in PEM (PKCS#8, PKCS#1 or SEC1) in the file of the key")]
    NoKey,
    /// The certificate is not one.
    #[error("the first certificate of the chain cannot be understood")]
    Malformed,
    /// It is of the past.
    #[error("the certificate expired at {expired}: renew it")]
    Expired {
        /// When.
        expired: Timestamp,
    },
    /// It is of the future.
    #[error("the certificate is not valid before {from}: wait, or set the clock")]
    NotYetValid {
        /// From when on it is valid.
        from: Timestamp,
    },
    /// The parts do not fit together.
    #[error("the certificate and its key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// A certificate that is used.
struct Usable {
    config: Arc<ServerConfig>,
    expires: Timestamp,
}

fn usable(pem: &Pem, now: Timestamp) -> Result<Usable, TlsError> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem.chain)
        .collect::<Result<_, _>>()
        .map_err(|_| TlsError::NoCertificate)?;
    let first = chain.first().ok_or(TlsError::NoCertificate)?;
    let validity = validity::of(first).ok_or(TlsError::Malformed)?;
    if now > validity.not_after {
        return Err(TlsError::Expired { expired: validity.not_after });
    }
    if now < validity.not_before {
        return Err(TlsError::NotYetValid { from: validity.not_before });
    }
    let key = PrivateKeyDer::from_pem_slice(&pem.key).map_err(|_| TlsError::NoKey)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = PROTOCOLS.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Usable { config: Arc::new(config), expires: validity.not_after })
}

/// The certificate that new connections are given.
pub(crate) struct Certificates {
    /// Behind a lock that is held to copy a pointer.
    current: RwLock<TlsAcceptor>,
}

impl Certificates {
    /// Reads the first certificate.
    ///
    /// # Errors
    /// `TlsError` where it cannot be used.
    pub(crate) async fn read(options: &TlsOptions, clock: &dyn Clock) -> Result<(Arc<Self>, Pem), TlsError> {
        let pem = read(options.source.clone()).await?;
        let usable = usable(&pem, clock.now())?;
        Ok((Arc::new(Self { current: RwLock::new(usable.config.into()) }), pem))
    }

    /// What makes a connection unreadable for others.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        // The lock guards one pointer: there is nothing half-done under it.
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks for other certificates until the server stops.
    pub(crate) async fn renew(
        self: Arc<Self>,
        mut seen: Pem,
        options: TlsOptions,
        clock: Arc<dyn Clock>,
        notices: Notices,
        mut stopping: Stopping,
    ) {
        let mut unreadable = false;
        loop {
            tokio::select! {
                () = stopping.wait() => return,
                () = tokio::time::sleep(options.check_every) => {}
            }
            let pem = match read(options.source.clone()).await {
                Ok(pem) => pem,
                Err(error) => {
                    // Said once, until it can be read again.
                    if !std::mem::replace(&mut unreadable, true) {
                        notices.tell(Notice::CertificateKept { error });
                    }
                    continue;
                }
            };
            unreadable = false;
            if pem == seen {
                continue;
            }
            // Two files are not written in one instant: what does not fit together now is looked at again when it changes.
            match usable(&pem, clock.now()) {
                Ok(Usable { config, expires }) => {
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = config.into();
                    notices.tell(Notice::CertificateReplaced { expires });
                }
                Err(error) => notices.tell(Notice::CertificateKept { error }),
            }
            seen = pem;
        }
    }
}

async fn read(source: Arc<dyn CertificateSource>) -> Result<Pem, TlsError> {
    let read = tokio::task::spawn_blocking(move || source.read()).await;
    read.map_err(io::Error::other).and_then(|pem| pem).map_err(TlsError::Read)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn pem(params: &CertificateParams) -> Pem {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Pem { chain: certificate.pem().into_bytes(), key: key.serialize_pem().into_bytes() }
    }

    fn params() -> CertificateParams {
        CertificateParams::new(["localhost".to_owned()]).expect("a name")
    }

    fn moment(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a moment")
    }

    #[test]
    fn a_certificate_is_used_within_its_time() {
        let mut params = params();
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2060, 1, 1);
        let pem = pem(&params);
        let used = usable(&pem, moment("2026-06-01T00:00:00Z")).expect("usable");
        assert_eq!(used.expires, moment("2060-01-01T00:00:00Z"));
        assert_eq!(used.config.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
        let early = usable(&pem, moment("2025-12-31T23:59:59Z")).map(drop).expect_err("too early");
        assert!(matches!(early, TlsError::NotYetValid { .. }), "{early}");
        let late = usable(&pem, moment("2060-01-01T00:00:01Z")).map(drop).expect_err("too late");
        assert!(matches!(late, TlsError::Expired { .. }), "{late}");
    }

    #[test]
    fn what_does_not_fit_together_is_said_without_the_key() {
        let (one, other) = (pem(&params()), pem(&params()));
        let now = moment("2026-06-01T00:00:00Z");
        let of = |chain: &[u8], key: &[u8]| {
            usable(&Pem { chain: chain.to_vec(), key: key.to_vec() }, now).map(drop).expect_err("unusable")
        };
        assert!(matches!(of(&one.chain, &other.key), TlsError::Unusable(_)));
        assert!(matches!(of(b"", &one.key), TlsError::NoCertificate));
        assert!(matches!(of(&one.key, &one.key), TlsError::NoCertificate));
        assert!(matches!(of(&one.chain, b""), TlsError::NoKey));
        let no_certificate = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(of(no_certificate, &one.key), TlsError::Malformed));
        let shown = format!("{one:?} {:?}", of(&one.chain, &other.key));
        assert!(!shown.contains("PRIVATE"), "{shown}");
    }
}
