//! HTTPS: the configured certificate, read anew when its file changes, as it does when it is renewed.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use affect_tflite::regular;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config;

/// The longest file that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// Certificate and key.
#[derive(Debug)]
pub(super) struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    read: Mutex<Option<Read>>,
}

struct Read {
    changed: Option<SystemTime>,
    acceptor: TlsAcceptor,
}

impl std::fmt::Debug for Read {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Read")
            .field("changed", &self.changed)
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// As configured; `None` if it is plain HTTP.
    pub(super) fn of(settings: &config::Status) -> Option<Self> {
        Some(Self {
            certificate: settings.tls_certificate.clone()?,
            key: settings.tls_key.clone()?,
            read: Mutex::default(),
        })
    }

    /// What takes connections. If the files have changed and cannot be used, the certificate from before stays.
    ///
    /// # Errors
    /// A sentence that says why there is none.
    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, String> {
        let changed = std::fs::metadata(&self.certificate)
            .and_then(|data| data.modified())
            .ok();
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = read.as_ref().filter(|before| before.changed == changed) {
            return Ok(before.acceptor.clone());
        }
        let acceptor = match (self.load(), read.as_ref()) {
            (Ok(acceptor), _) => acceptor,
            (Err(why), Some(before)) => {
                log::warn!("{why} The certificate from before stays in use.");
                before.acceptor.clone()
            }
            (Err(why), None) => return Err(why),
        };
        *read = Some(Read {
            changed,
            acceptor: acceptor.clone(),
        });
        Ok(acceptor)
    }

    fn load(&self) -> Result<TlsAcceptor, String> {
        let failed = |path: &PathBuf, why: String| {
            format!(
                "HTTPS of [status] cannot be had from `{}`: {why}.",
                path.display()
            )
        };
        let read =
            |path: &PathBuf| regular::read(path, LONGEST).map_err(|error| failed(path, error.to_string()));
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&read(&self.certificate)?)
            .collect::<Result<_, _>>()
            .map_err(|error| failed(&self.certificate, error.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?)
            .map_err(|error| failed(&self.key, error.to_string()))?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| failed(&self.certificate, error.to_string()))?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
