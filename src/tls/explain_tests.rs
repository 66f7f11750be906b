//! Words for certificates, by what this device believes of the time.

use super::*;

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

fn said(error: CertificateError, clock_set: bool) -> String {
    words(
        &Error::InvalidCertificate(error),
        "broker.example",
        &Files::default(),
        clock_set,
    )
}

#[test]
fn a_clock_that_nobody_has_set_is_told_from_a_wrong_certificate() {
    let early = || CertificateError::NotValidYetContext {
        time: at(60),
        not_before: at(1_800_000_000),
    };
    let unset = said(early(), false);
    assert!(
        unset.contains("which nobody has set yet") && unset.contains("2027"),
        "{unset}"
    );
    let set = said(early(), true);
    assert!(
        !set.contains("nobody has set") && set.contains("make it anew"),
        "{set}"
    );
    let over = || CertificateError::ExpiredContext {
        time: at(60),
        not_after: at(30),
    };
    assert!(said(over(), false).contains("nobody has set yet"));
    assert!(said(over(), true).ends_with("renew it at the broker"));
}

#[test]
fn names_are_told_as_people_write_them() {
    assert_eq!(plain("DnsName(\"a.example\")"), "`a.example`");
    assert_eq!(plain("IpAddress(10.0.0.1)"), "`10.0.0.1`");
    assert_eq!(plain("odd"), "`odd`");
}
