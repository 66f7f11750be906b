//! Certificates that end soon: who has to renew which is told in the log, once a day.

use std::time::{Duration, Instant, SystemTime};

use crate::clock::{for_people, system_clock_synced};
use crate::tls::{Expiry, Whose};

/// How often it is said.
const EVERY: Duration = Duration::from_secs(24 * 3600);

/// When it was said last.
#[derive(Debug, Default)]
pub(super) struct Warned(Option<Instant>);

impl Warned {
    /// Warns of those that end soon, unless that was done within a day, or nobody knows what day it is.
    pub(super) fn look(&mut self, certificates: &[Expiry]) {
        let due = self.0.is_none_or(|last| last.elapsed() >= EVERY);
        if certificates.is_empty() || !due || !system_clock_synced() {
            return;
        }
        self.0 = Some(Instant::now());
        let now = SystemTime::now();
        for expiry in certificates.iter().filter(|expiry| expiry.is_soon(now)) {
            log::warn!("{}", sentence(expiry, now));
        }
    }
}

/// What is to be done about a certificate that ends soon.
pub(super) fn sentence(expiry: &Expiry, now: SystemTime) -> String {
    let (whose, remedy) = match expiry.whose {
        Whose::Broker => (
            "The certificate of the MQTT broker",
            "whoever runs the broker has to renew it, or affectd will not connect after that",
        ),
        Whose::Client => (
            "This device's certificate ([mqtt.tls] certificate)",
            "put a new one in its place; it is read at the next connection",
        ),
        Whose::Ca => (
            "A CA's certificate in [mqtt.tls] ca",
            "add its successor to the file; it is read at the next connection",
        ),
    };
    let end = for_people(expiry.end);
    match expiry.days_left(now) {
        left @ 0.. => format!("{whose} ends in {left} days, at {end}: {remedy}."),
        _ => format!("{whose} ended at {end}: {remedy}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_whose_when_and_what_to_do() {
        let now = SystemTime::now();
        let end = now + Duration::from_secs(3 * 24 * 3600 + 60);
        for (whose, words) in [
            (Whose::Broker, "whoever runs the broker"),
            (Whose::Client, "[mqtt.tls] certificate"),
            (Whose::Ca, "[mqtt.tls] ca"),
        ] {
            let said = sentence(&Expiry { whose, end }, now);
            assert!(said.contains("ends in 3 days") && said.contains(words), "{said}");
            let over = sentence(&Expiry { whose, end }, end + Duration::from_secs(1));
            assert!(over.contains(" ended at ") && over.contains(words), "{over}");
        }
    }

    #[test]
    fn it_is_said_once_a_day() {
        let expiry = Expiry {
            whose: Whose::Broker,
            end: SystemTime::now(),
        };
        let mut warned = Warned::default();
        warned.look(&[]);
        assert!(warned.0.is_none(), "a connection without TLS has nothing to say");
        if system_clock_synced() {
            warned.look(&[expiry]);
            let first = warned.0.expect("said");
            warned.look(&[expiry]);
            assert_eq!(warned.0, Some(first));
            warned.0 = first.checked_sub(EVERY);
            if warned.0.is_some() {
                warned.look(&[expiry]);
                assert!(warned.0 > Some(first));
            }
        }
    }
}
