//! Who may ask: a browser that was asked for this device by one of its names, with the password if there is one, and for
//! what changes something, from our own page.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, ORIGIN};
use sha2::{Digest, Sha256};

use crate::config::Secret;

/// What our page sends with everything that changes something. A foreign page cannot, without asking first.
pub(super) static OURS: HeaderName = HeaderName::from_static("x-affectd");
/// What browsers say of where a request comes from.
static FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why an answer is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It was asked for by a foreign name: the name's owner may have pointed it here, to read with a visitor's browser.
    Name,
    /// The password is missing or wrong.
    Password,
    /// It does not come from our page.
    Foreign,
}

/// The rules of one server.
#[derive(Debug)]
pub(super) struct Access {
    /// Names that are ours, in lower case.
    names: Vec<String>,
    /// SHA-256 of the password.
    password: Option<[u8; 32]>,
}

impl Access {
    /// For whoever asks by `hosts`, by the name of the system, or by an address.
    pub(super) fn new(hosts: &[String], password: Option<&Secret>) -> Self {
        let system = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .to_lowercase();
        let own = ["localhost".to_owned(), format!("{system}.local"), system];
        let names = hosts.iter().map(|host| host.to_lowercase()).chain(own);
        Self {
            names: names.filter(|name| !name.is_empty()).collect(),
            password: password.map(|password| Sha256::digest(password.reveal()).into()),
        }
    }

    /// Whether a request with these headers may be answered; `changes` says whether it is to change something.
    pub(super) fn judge(&self, headers: &HeaderMap, changes: bool) -> Result<(), Refusal> {
        let host = text(headers, &HOST).filter(|host| self.is_ours(host));
        let Some(host) = host else {
            return Err(Refusal::Name);
        };
        if changes && !is_from_our_page(headers, host) {
            return Err(Refusal::Foreign);
        }
        match &self.password {
            Some(password) if !is_password(headers, password) => Err(Refusal::Password),
            _ => Ok(()),
        }
    }

    /// Whether `host`, with or without a port, is an address or one of our names. No foreign page has an address for its
    /// name.
    fn is_ours(&self, host: &str) -> bool {
        let name = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        };
        name.parse::<IpAddr>().is_ok() || self.names.contains(&name.to_lowercase())
    }
}

/// Whether a request that changes something comes from our own page.
fn is_from_our_page(headers: &HeaderMap, host: &str) -> bool {
    let origin = text(headers, &ORIGIN);
    let same_origin = origin.is_none_or(|origin| {
        origin
            .split_once("://")
            .is_some_and(|(_, of)| of.eq_ignore_ascii_case(host))
    });
    let same_site = text(headers, &FETCH_SITE).is_none_or(|site| site == "same-origin");
    headers.contains_key(&OURS) && same_origin && same_site
}

/// Whether the login is right. Its digest is compared, so that the time it takes tells nothing of the password.
fn is_password(headers: &HeaderMap, password: &[u8; 32]) -> bool {
    let login = text(headers, &AUTHORIZATION).and_then(|login| {
        let (scheme, login) = login.split_once(' ')?;
        scheme.eq_ignore_ascii_case("basic").then_some(login.trim())
    });
    let Some(login) = login.and_then(|login| STANDARD.decode(login).ok()) else {
        return false;
    };
    let given = login
        .iter()
        .position(|byte| *byte == b':')
        .map(|at| &login[at + 1..]);
    given.is_some_and(|given| Sha256::digest(given)[..] == password[..])
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&HeaderName, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| ((*name).clone(), value.parse().expect("a value")))
            .collect()
    }

    #[test]
    fn a_foreign_name_gets_nothing_wherever_it_points() {
        let access = Access::new(&["Door.Example.org".to_owned()], None);
        let asked = |host: &str| access.judge(&headers(&[(&HOST, host)]), false);
        for ours in [
            "127.0.0.1",
            "127.0.0.1:9464",
            "[::1]:9464",
            "192.168.1.7:9464",
            "localhost:9464",
            "LOCALHOST",
            "door.example.org:9464",
        ] {
            assert_eq!(asked(ours), Ok(()), "{ours}");
        }
        for foreign in [
            "evil.example",
            "evil.example:9464",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "",
            "[evil]",
            "door.example.org.evil.example",
        ] {
            assert_eq!(asked(foreign), Err(Refusal::Name), "{foreign}");
        }
        assert_eq!(access.judge(&HeaderMap::new(), false), Err(Refusal::Name));
    }

    #[test]
    fn only_our_page_changes_something() {
        let access = Access::new(&[], None);
        let host = (&HOST, "127.0.0.1:9464");
        let (ours, site) = ((&OURS, "page"), "same-origin");
        let origin = (&ORIGIN, "http://127.0.0.1:9464");
        let asks = |pairs: &[(&HeaderName, &str)]| access.judge(&headers(pairs), true);
        assert_eq!(asks(&[host, ours]), Ok(()));
        assert_eq!(asks(&[host, ours, origin, (&FETCH_SITE, site)]), Ok(()));
        for foreign in [
            &[host][..],
            &[host, origin],
            &[host, ours, (&ORIGIN, "http://evil.example")],
            &[host, ours, (&ORIGIN, "null")],
            &[host, ours, (&FETCH_SITE, "cross-site")],
            &[host, ours, (&FETCH_SITE, "same-site")],
        ] {
            assert_eq!(asks(foreign), Err(Refusal::Foreign), "{foreign:?}");
        }
    }

    #[test]
    fn the_password_opens_and_nothing_else_does() {
        let password = Secret::new("correct horse battery");
        let access = Access::new(&[], Some(&password));
        let login = |login: &str| {
            let login = format!("Basic {}", STANDARD.encode(login));
            access.judge(&headers(&[(&HOST, "localhost"), (&AUTHORIZATION, &login)]), false)
        };
        assert_eq!(login("anybody:correct horse battery"), Ok(()));
        assert_eq!(login(":correct horse battery"), Ok(()));
        for wrong in [
            "",
            "correct horse battery",
            "a:",
            "a:correct horse batterx",
            "a:correct horse battery ",
        ] {
            assert_eq!(login(wrong), Err(Refusal::Password), "{wrong}");
        }
        let bare =
            |value: &str| access.judge(&headers(&[(&HOST, "localhost"), (&AUTHORIZATION, value)]), false);
        for wrong in ["Basic", "Basic !!!", "Bearer x", ""] {
            assert_eq!(bare(wrong), Err(Refusal::Password), "{wrong}");
        }
        assert_eq!(
            access.judge(&headers(&[(&HOST, "localhost")]), false),
            Err(Refusal::Password)
        );
    }
}
