//! What a server notices about itself, for whoever runs it.

use std::fmt;
use std::sync::Arc;

use factum_core::Timestamp;

use crate::tls::TlsError;

/// Something that whoever runs the server wants to know.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice {
    /// New connections are given another certificate.
    CertificateReplaced {
        /// When it expires.
        expires: Timestamp,
    },
    /// There is another certificate, but it cannot be used: the one before goes on being used.
    CertificateKept {
        /// What is wrong with the new one.
        error: TlsError,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::CertificateReplaced { expires } => {
                write!(f, "new connections use the new certificate, which expires at {expires}")
            }
            Notice::CertificateKept { error } => {
                write!(f, "the new certificate is not used, and the one before still is: {error}")
            }
        }
    }
}

/// Who is told.
#[derive(Clone)]
pub struct Notices(Arc<dyn Fn(Notice) + Send + Sync>);

impl Notices {
    /// Calls `tell` with each notice, on a thread of the runtime: it may not take long.
    pub fn to(tell: impl Fn(Notice) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    pub(crate) fn tell(&self, notice: Notice) {
        (self.0)(notice);
    }
}

impl Default for Notices {
    /// Nobody.
    fn default() -> Self {
        Self::to(drop)
    }
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notices(..)")
    }
}
