//! Certificates and keys in files: PEM, and what people have instead of it.

use std::path::Path;

use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::Fault;
use crate::credential;

/// Longest file that is read, in bytes: a system's whole list of CAs has a quarter of a megabyte.
const LONGEST: u64 = 4 << 20;
/// How every container of PKCS#12 says what it holds: the object identifier of PKCS#7 data.
const PKCS12: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";

/// All certificates of a file, at least one, in their order.
pub(super) fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let bytes = text(key, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(no_certificate(key, path, &bytes)),
        Err(error) => Err(damaged(key, path, &error)),
    }
}

/// The private key of a file.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Fault> {
    const KEY: &str = "key";
    let bytes = text(KEY, path)?;
    if has(&bytes, "-----BEGIN ENCRYPTED PRIVATE KEY") || has(&bytes, "Proc-Type: 4,ENCRYPTED") {
        return Err(Fault::new(
            KEY,
            path,
            "the key in it has a passphrase, and nobody is there to type it",
            format!(
                "take it off with `openssl pkey -in {0} -out NEW`, and let the service alone read NEW",
                path.display()
            ),
        ));
    }
    match PrivateKeyDer::from_pem_slice(&bytes) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) if has(&bytes, "-----BEGIN CERTIFICATE-----") => Err(Fault::new(
            KEY,
            path,
            "it holds a certificate and no private key",
            "give the file of the key as `key`, and that of the certificate as `certificate`",
        )),
        Err(pem::Error::NoItemsFound) => Err(Fault::new(
            KEY,
            path,
            "there is no private key in it",
            "it has to hold `-----BEGIN PRIVATE KEY-----` (PEM)",
        )),
        Err(error) => Err(damaged(KEY, path, &error)),
    }
}

/// The bytes of a file that may be PEM.
fn text(key: &'static str, path: &Path) -> Result<Vec<u8>, Fault> {
    let fault = |what: String, note: String| Fault::new(key, path, what, note);
    let mut bytes = credential::read(path, LONGEST).map_err(|why| {
        let advice = match key {
            "key" => format!(
                "put it into {0}/affectd.mqtt-key (owner root, mode 0600) and write key = \"{1}/affectd.mqtt-key\": systemd hands it to the service alone",
                credential::STORE,
                credential::FOLDER
            ),
            _ => "the service has to be able to read it: for a file in /etc/affectd, mode 0644".to_owned(),
        };
        fault(why, advice)
    })?;
    let shown = path.display();
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(fault(
            "it is empty".to_owned(),
            "copy it to this device again".to_owned(),
        ));
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(fault(
            "it is text as UTF-16".to_owned(),
            "save it as UTF-8, or copy it again without an editor".to_owned(),
        ));
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    // A sequence of ASN.1: the same things without the text around them.
    if bytes.starts_with(b"\x30") && !bytes.is_ascii() {
        if bytes.windows(PKCS12.len()).any(|part| part == PKCS12) {
            return Err(fault(
                "it is a container of PKCS#12 (.p12, .pfx), and affectd reads PEM".to_owned(),
                format!(
                    "take it apart: `openssl pkcs12 -in {shown} -nokeys -out cert.pem` and `openssl pkcs12 -in {shown} -nocerts -nodes -out key.pem`"
                ),
            ));
        }
        let command = match key {
            "key" => "pkey",
            _ => "x509",
        };
        return Err(fault(
            "it is DER, and affectd reads PEM".to_owned(),
            format!("convert it: `openssl {command} -inform der -in {shown} -out {shown}.pem`"),
        ));
    }
    Ok(bytes)
}

/// Why there is no certificate in a file of text.
fn no_certificate(key: &'static str, path: &Path, bytes: &[u8]) -> Fault {
    let (what, note) = if has(bytes, "PRIVATE KEY-----") {
        (
            "it holds a private key and no certificate",
            "give the file of the certificate; a private key belongs into `key` alone",
        )
    } else if has(bytes, "-----BEGIN CERTIFICATE REQUEST") || has(bytes, "-----BEGIN NEW CERTIFICATE REQUEST")
    {
        (
            "it holds a request for a certificate, not the certificate",
            "give the file that the CA made of the request",
        )
    } else {
        (
            "there is no certificate in it",
            "it has to hold `-----BEGIN CERTIFICATE-----` (PEM)",
        )
    };
    Fault::new(key, path, what, note)
}

fn damaged(key: &'static str, path: &Path, error: &pem::Error) -> Fault {
    let what = match error {
        pem::Error::MissingSectionEnd { .. } => "it is cut off: an `-----END` is missing".to_owned(),
        error => format!("it is damaged ({error})"),
    };
    Fault::new(key, path, what, "copy it to this device again")
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}
