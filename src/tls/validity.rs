//! How long certificates are valid.

use std::time::{Duration, SystemTime};

use tokio_rustls::rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// When the end of a certificate comes near: two weeks are time enough to renew one.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// Whose certificate it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The broker's, or one that it sends with it.
    Broker,
    /// The one by which this device shows who it is.
    Client,
    /// A CA in `[mqtt.tls] ca`.
    Ca,
}

/// When certificates end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expiry {
    pub(crate) whose: Whose,
    pub(crate) end: SystemTime,
}

impl Expiry {
    /// Of the certificate of a chain that ends first; of CAs, that which ends last, since a file may hold the successor of one
    /// that ends. `None` where none can be read.
    pub(super) fn of(whose: Whose, certificates: &[CertificateDer<'_>]) -> Option<Self> {
        let ends = certificates.iter().filter_map(|certificate| {
            let certificate = Certificate::from_der(certificate).ok()?;
            Some(
                certificate
                    .tbs_certificate()
                    .validity()
                    .not_after
                    .to_system_time(),
            )
        });
        let end = match whose {
            Whose::Broker | Whose::Client => ends.min(),
            Whose::Ca => ends.max(),
        };
        end.map(|end| Self { whose, end })
    }

    /// Whether somebody has to do something about it.
    pub(crate) fn is_soon(&self, now: SystemTime) -> bool {
        self.end.duration_since(now).map_or(true, |left| left <= SOON)
    }

    /// Whole days that are left; less than 0 if it is over.
    pub(crate) fn days_left(&self, now: SystemTime) -> i64 {
        const DAY: u64 = 24 * 3600;
        let days = |time: Duration| i64::try_from(time.as_secs() / DAY).unwrap_or(i64::MAX);
        match self.end.duration_since(now) {
            Ok(left) => days(left),
            Err(over) => -days(over.duration()) - 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_weeks_before_the_end_is_soon() {
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 * 24 * 3600);
        let expiry = Expiry {
            whose: Whose::Broker,
            end,
        };
        let day = Duration::from_secs(24 * 3600);
        for (now, soon, left) in [
            (end - 15 * day, false, 15),
            (end - SOON - Duration::from_secs(1), false, 14),
            (end - SOON, true, 14),
            (end - day / 2, true, 0),
            (end + day / 2, true, -1),
            (end + day, true, -2),
        ] {
            assert_eq!((expiry.is_soon(now), expiry.days_left(now)), (soon, left));
        }
    }
}
