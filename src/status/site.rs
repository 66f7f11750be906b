//! What is answered to a request: a plain function of its first line and its headers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};

use super::access::{Access, Refusal};
use super::metrics::{MEDIA_TYPE, Metrics};
use super::{Shown, page};
use crate::config;

/// What goes with every answer: no browser shows it inside another page, keeps it, or loads anything from elsewhere for it.
const ALWAYS: [(&str, &str); 7] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("x-frame-options", "DENY"),
    ("permissions-policy", "camera=(), microphone=(), geolocation=()"),
];

/// What one server has to show.
#[derive(Debug)]
pub(super) struct Site {
    access: Access,
    shown: Arc<Shown>,
    metrics: Option<Metrics>,
    page: bool,
    /// Whether a wrong password was logged.
    told: AtomicBool,
}

/// An answer, and whether it was refused for its password.
pub(super) struct Answer {
    pub(super) response: Response<Full<Bytes>>,
    pub(super) wrong_password: bool,
}

impl Site {
    pub(super) fn new(settings: &config::Status, shown: Arc<Shown>) -> Self {
        Self {
            access: Access::new(&settings.hosts, settings.password.as_ref()),
            metrics: settings.metrics.then(|| Metrics::of(Arc::clone(&shown))),
            page: settings.page,
            shown,
            told: AtomicBool::new(false),
        }
    }

    /// Answers a request. Its body does not matter, and is not read.
    pub(super) fn answer(&self, request: &Parts) -> Answer {
        let changes = request.method == Method::POST;
        let refused = self.access.judge(&request.headers, changes).err();
        let wrong_password = refused == Some(Refusal::Password);
        let tried = wrong_password && request.headers.contains_key(hyper::header::AUTHORIZATION);
        if tried && !self.told.swap(true, Relaxed) {
            log::warn!(
                "Somebody asked for the local page or the metrics with a wrong password; each such answer takes a second. More of this is not logged."
            );
        }
        let response = match refused {
            Some(refusal) => refused_for(refusal),
            None => self.route(request),
        };
        Answer {
            response,
            wrong_password,
        }
    }

    fn route(&self, request: &Parts) -> Response<Full<Bytes>> {
        let path = request.uri.path();
        if path == "/metrics" && self.metrics.is_some() {
            return only(&request.method, Method::GET, || self.metrics());
        }
        match (path, self.page) {
            ("/", false) if self.metrics.is_some() => text(
                StatusCode::NOT_FOUND,
                "The metrics are at /metrics; the page is off ([status] page).",
            ),
            ("/", true) => only(&request.method, Method::GET, || {
                answer("text/html; charset=utf-8", page::HTML)
            }),
            ("/page.css", true) => only(&request.method, Method::GET, || {
                answer("text/css; charset=utf-8", page::CSS)
            }),
            ("/page.js", true) => only(&request.method, Method::GET, || {
                answer("text/javascript; charset=utf-8", page::SCRIPT)
            }),
            ("/state", true) => only(&request.method, Method::GET, || {
                let after = request
                    .uri
                    .query()
                    .and_then(|query| query.strip_prefix("after="))
                    .and_then(|seq| seq.parse().ok());
                answer("application/json", page::state(&self.shown, after))
            }),
            ("/aiming/begin", true) => only(&request.method, Method::POST, || self.aim(true)),
            ("/aiming/end", true) => only(&request.method, Method::POST, || self.aim(false)),
            _ => text(StatusCode::NOT_FOUND, "There is nothing here."),
        }
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        match self.metrics.as_ref().map(Metrics::text) {
            Some(Ok(text)) => answer(MEDIA_TYPE, text),
            _ => text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The metrics cannot be written.",
            ),
        }
    }

    /// Begins or ends aiming. During a privacy pause nobody is looked at.
    fn aim(&self, begin: bool) -> Response<Full<Bytes>> {
        let progress = &self.shown.progress;
        if begin && progress.is_paused() {
            return text(
                StatusCode::CONFLICT,
                "A privacy pause is on: nobody is looked at until it is over.",
            );
        }
        match begin {
            true => progress.aiming.begin(progress.elapsed()),
            false => progress.aiming.end(),
        }
        answer("application/json", page::state(&self.shown, Some(u64::MAX)))
    }
}

/// The answer, if the request is of the one kind that there is here.
fn only(
    method: &Method,
    wanted: Method,
    then: impl FnOnce() -> Response<Full<Bytes>>,
) -> Response<Full<Bytes>> {
    if *method == wanted || (*method == Method::HEAD && wanted == Method::GET) {
        return then();
    }
    let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "This cannot be done here.");
    if let Ok(value) = HeaderValue::from_str(wanted.as_str()) {
        refused.headers_mut().insert(ALLOW, value);
    }
    refused
}

fn refused_for(refusal: Refusal) -> Response<Full<Bytes>> {
    match refusal {
        Refusal::Name => text(
            StatusCode::MISDIRECTED_REQUEST,
            "This device does not answer to that name: ask by its address, or add the name to [status] hosts.",
        ),
        Refusal::Foreign => text(StatusCode::FORBIDDEN, "This can only be done on the page itself."),
        Refusal::Password => {
            let mut refused = text(
                StatusCode::UNAUTHORIZED,
                "A password is needed; any user name goes with it.",
            );
            let realm = HeaderValue::from_static("Basic realm=\"affectd\", charset=\"UTF-8\"");
            refused.headers_mut().insert(WWW_AUTHENTICATE, realm);
            refused
        }
    }
}

fn text(status: StatusCode, words: &'static str) -> Response<Full<Bytes>> {
    let mut response = answer("text/plain; charset=utf-8", format!("{words}\n"));
    *response.status_mut() = status;
    response
}

fn answer(media: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for (name, value) in ALWAYS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
#[path = "site_tests.rs"]
mod tests;
