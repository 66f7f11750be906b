//! TLS towards the broker: the files that `[mqtt.tls]` names, the connection made of them, and words for what fails.
//!
//! Whose certificate is not verified is not let in, and nothing switches that off.

mod explain;
mod pem;
mod validity;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig, InconsistentKeys, RootCertStore};
use tokio_rustls::{TlsConnector, client::TlsStream};

pub(crate) use explain::{in_words, is_tls};
pub(crate) use validity::{Expiry, Whose};

/// What `[mqtt.tls]` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Files {
    /// The CAs that may have signed the broker's certificate; without it, those that the system trusts.
    pub(crate) ca: Option<PathBuf>,
    /// This device's certificate, and those between it and its CA.
    pub(crate) certificate: Option<PathBuf>,
    /// The key that belongs to it.
    pub(crate) key: Option<PathBuf>,
    /// The name that the broker's certificate is for, if that is not its host.
    pub(crate) server_name: Option<String>,
}

/// Why there can be no TLS with these files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The key of `[mqtt.tls]` that it is about.
    pub(crate) key: &'static str,
    /// A sentence part that says what is wrong, with the file.
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) note: String,
}

impl Fault {
    fn new(key: &'static str, path: &Path, what: impl AsRef<str>, note: impl Into<String>) -> Self {
        Self {
            key,
            what: format!("{}: {}", path.display(), what.as_ref()),
            note: note.into(),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[mqtt.tls] {}: {}; {}", self.key, self.what, self.note)
    }
}

/// All that a connection needs.
#[derive(Debug)]
pub(crate) struct Ready {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    /// When our own certificate and the given CAs end.
    expiries: Vec<Expiry>,
}

impl Files {
    /// Reads the files, for a broker that is called `host`. They are read for each connection, so that a renewed
    /// certificate is used from the next one on.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub(crate) fn read(&self, host: &str) -> Result<Ready, Fault> {
        let mut expiries = Vec::new();
        let mut roots = RootCertStore::empty();
        match &self.ca {
            Some(path) => {
                let certificates = pem::certificates("ca", path)?;
                expiries.extend(Expiry::of(Whose::Ca, &certificates));
                for certificate in certificates {
                    roots.add(certificate).map_err(|error| {
                        let what = format!("a certificate in it cannot be read ({error})");
                        Fault::new("ca", path, what, "copy it to this device again")
                    })?;
                }
            }
            // One that cannot be read is none that signed the broker's.
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if roots.is_empty() {
            return Err(Fault {
                key: "ca",
                what: "this system trusts no CA at all".to_owned(),
                note: "install them (`apt-get install ca-certificates`), or give the CA of the broker"
                    .to_owned(),
            });
        }
        let name = self.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(|_| Fault {
            key: "server_name",
            what: format!("no certificate can be for `{name}`"),
            note: "give the broker's host name or address as its certificate has it".to_owned(),
        })?;
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| self.unusable(&error))?
            .with_root_certificates(roots);
        let config = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let chain = pem::certificates("certificate", certificate)?;
                expiries.extend(Expiry::of(Whose::Client, &chain));
                let key = pem::private_key(key)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| self.unusable(&error))?
            }
            _ => builder.with_no_client_auth(),
        };
        Ok(Ready {
            config: Arc::new(config),
            name,
            expiries,
        })
    }

    /// Why certificate and key cannot be used.
    fn unusable(&self, error: &rustls::Error) -> Fault {
        let nowhere = PathBuf::new();
        let certificate = self.certificate.as_ref().unwrap_or(&nowhere);
        let key = self.key.as_ref().unwrap_or(&nowhere);
        match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Fault::new(
                "key",
                key,
                format!("it is not the key of the certificate {}", certificate.display()),
                "give the two that were made together; in the file of the certificate, this device's own comes first",
            ),
            rustls::Error::InvalidCertificate(_) => Fault::new(
                "certificate",
                certificate,
                format!("it cannot be used ({error})"),
                "copy it to this device again",
            ),
            error => Fault::new(
                "key",
                key,
                format!("it cannot be used ({error})"),
                "use a key of RSA (2048 bits or more), ECDSA (P-256, P-384) or Ed25519",
            ),
        }
    }
}

impl Ready {
    /// Encrypts `stream`. Also when the certificates end that were looked at.
    ///
    /// # Errors
    /// As the handshake gives it; [`in_words`] says what it means.
    pub(crate) async fn connect<S>(self, stream: S) -> std::io::Result<(TlsStream<S>, Vec<Expiry>)>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let Self {
            config,
            name,
            mut expiries,
        } = self;
        let stream = TlsConnector::from(config).connect(name, stream).await?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        expiries.extend(Expiry::of(Whose::Broker, chain));
        Ok((stream, expiries))
    }
}
