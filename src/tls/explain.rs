//! Handshakes that fail: a sentence part for each cause, that says what to do.

use std::io;
use std::time::{Duration, SystemTime};

use tokio_rustls::rustls::pki_types::UnixTime;
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error};

use super::Files;
use crate::clock::{for_people, system_clock_synced};

/// What TLS says of a connection that failed; `None` if it is not about TLS.
pub(crate) fn in_words(error: &io::Error, host: &str, files: &Files) -> Option<String> {
    let error = tls(error)?;
    Some(words(error, host, files, system_clock_synced()))
}

/// Whether it is TLS that failed, and not the connection under it.
pub(crate) fn is_tls(error: &io::Error) -> bool {
    tls(error).is_some_and(|error| !matches!(error, Error::InvalidMessage(_)))
}

fn tls(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// `clock_set`: whether this device knows what time it is.
fn words(error: &Error, host: &str, files: &Files, clock_set: bool) -> String {
    match error {
        Error::InvalidCertificate(error) => certificate(error, host, files, clock_set),
        Error::AlertReceived(alert) => refused(*alert, files),
        Error::PeerIncompatible(why) => format!(
            "it speaks no TLS that is safe ({why:?}): affectd takes TLS 1.2 and 1.3; switch one of them on at the broker"
        ),
        Error::NoCertificatesPresented => "it shows no certificate: give it one".to_owned(),
        error => format!("the encrypted connection fails ({error}): the broker's log may say more"),
    }
}

/// The broker's certificate is not what it should be.
fn certificate(error: &CertificateError, host: &str, files: &Files, clock_set: bool) -> String {
    use CertificateError as E;
    let name = files.server_name.as_deref().unwrap_or(host);
    match error {
        E::NotValidYetContext { not_before, .. } => not_yet(Some(time(*not_before)), clock_set),
        E::NotValidYet => not_yet(None, clock_set),
        E::ExpiredContext { not_after, .. } => over(Some(time(*not_after)), clock_set),
        E::Expired => over(None, clock_set),
        E::UnknownIssuer => match &files.ca {
            Some(ca) => format!(
                "its certificate is not signed by a CA in [mqtt.tls] ca ({}): give the CA that signed it, as PEM; if that one is in it, the broker does not send the certificates between the two: append them to its own",
                ca.display()
            ),
            None => "its certificate is signed by nobody whom this system trusts: give the CA that signed it, as PEM, as [mqtt.tls] ca; if a public CA did, the broker does not send the certificates in between".to_owned(),
        },
        E::NotValidForNameContext { presented, .. } if presented.is_empty() => format!(
            "its certificate names no host (the common name, CN, does not count): make one with `subjectAltName = DNS:{name}`, or `IP:` for an address"
        ),
        E::NotValidForNameContext { presented, .. } => format!(
            "its certificate is for {}, not for `{name}`: call the broker so in [mqtt] url, or set [mqtt.tls] server_name to that",
            presented.iter().map(|name| plain(name)).collect::<Vec<_>>().join(", ")
        ),
        E::NotValidForName => format!("its certificate is not for `{name}`: set [mqtt.tls] server_name to what it is for"),
        E::BadSignature => "its certificate bears a false signature: another CA of the same name signed it, or somebody is in between; give the CA that signed it as [mqtt.tls] ca".to_owned(),
        E::Revoked => "its certificate is revoked: the broker needs a new one".to_owned(),
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => "its certificate is not for servers: make one with `extendedKeyUsage = serverAuth`".to_owned(),
        E::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => "its certificate is a CA's own (CA:TRUE): let that CA sign one for the broker, with `basicConstraints = CA:FALSE` and a subjectAltName".to_owned(),
        E::Other(other) if other.to_string().contains("UnsupportedCertVersion") => format!(
            "its certificate is of version 1, which names no host: make one of version 3, with `subjectAltName = DNS:{name}`"
        ),
        other => format!("its certificate cannot be accepted ({other}): the broker needs another one"),
    }
}

// Without the time that it is now: what is said once per cause would be said at every attempt.
fn not_yet(begin: Option<SystemTime>, clock_set: bool) -> String {
    let begin = begin.map_or_else(|| "later".to_owned(), for_people);
    match clock_set {
        false => format!(
            "its certificate is valid from {begin} on, and by this device's clock, which nobody has set yet, that has not come: affectd gets in when the clock is set (by the network's time; `timedatectl` tells)"
        ),
        true => format!(
            "its certificate is valid from {begin} on, which has not come: look at the clock of whoever made the certificate, and make it anew"
        ),
    }
}

fn over(end: Option<SystemTime>, clock_set: bool) -> String {
    let end = end.map_or_else(|| "in the past".to_owned(), for_people);
    let mut text = format!("its certificate ended {end}: renew it at the broker");
    if !clock_set {
        text += "; or this device's clock, which nobody has set yet, is wrong (`timedatectl` tells)";
    }
    text
}

/// The broker ends the handshake, mostly because of us.
fn refused(alert: AlertDescription, files: &Files) -> String {
    use AlertDescription as A;
    let ours = files.certificate.as_ref().map(|path| path.display().to_string());
    match (alert, ours) {
        (A::CertificateRequired | A::BadCertificate | A::NoCertificate, None) => {
            "it demands a client certificate: set [mqtt.tls] certificate and key to those that its CA made for this device".to_owned()
        }
        // With TLS 1.2 it is said in this way.
        (A::HandshakeFailure, None) => {
            "it demands a client certificate, or shares no cipher with affectd: set [mqtt.tls] certificate and key to those that its CA made for this device; its log says which it is".to_owned()
        }
        (A::CertificateExpired, Some(ours)) => format!("it refuses our certificate, because it is over: renew {ours}"),
        (A::CertificateRevoked, Some(ours)) => format!("it refuses our certificate, because it is revoked: get a new one in place of {ours}"),
        (A::UnknownCA | A::DecryptError, Some(ours)) => format!(
            "it does not know the CA that signed our certificate ({ours}): give it one of a CA that it knows, or that CA to the broker (mosquitto: cafile)"
        ),
        (
            A::BadCertificate
            | A::UnsupportedCertificate
            | A::CertificateUnknown
            | A::AccessDenied
            | A::CertificateRequired
            | A::HandshakeFailure,
            Some(ours),
        ) => format!(
            "it refuses our certificate ({ours}; {alert:?}): it has to be for clients (`extendedKeyUsage = clientAuth`), valid now, and of a CA that the broker knows"
        ),
        (A::ProtocolVersion, _) => "it speaks no TLS that is safe: affectd takes TLS 1.2 and 1.3; switch one of them on at the broker".to_owned(),
        (A::UnrecognisedName, _) => "it does not know the name by which it is called: set [mqtt.tls] server_name to what its certificate is for".to_owned(),
        (alert, _) => format!("it ends the encrypted connection ({alert:?}): its log may say more"),
    }
}

fn time(time: UnixTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs())
}

/// A name as people write it: of `DnsName("a")` the `a`.
fn plain(name: &str) -> String {
    let inner = name
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'))
        .unwrap_or(name);
    format!("`{}`", inner.trim_matches('"'))
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
