//! What leaves this program as words (log, causes, status line, messages, panics) goes through here: no secret stays
//! in it, and no character that a terminal or a log reader would obey.
//!
//! A secret is known by its place (`rtsp://user:secret@camera`, `password=secret`, `Authorization: …`) or by its
//! value: what was read as one is kept here ([`remember`]) and recognised wherever it turns up.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{LazyLock, PoisonError, RwLock};

use regex_lite::Regex;

/// What stands where a secret was.
pub(crate) const HIDDEN: &str = "***";
/// Words whose value is a secret: `word=…`, `--word …`, `word = …`.
pub(crate) const SECRET_WORDS: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "passwort",
    "secret",
    "token",
    "api_key",
    "api-key",
    "apikey",
    "user-pw",
    "user_pw",
    "pwd",
];
/// The same in addresses of cameras, where they stand alone: `?usr=admin&pass=secret`.
pub(crate) const SHORT_WORDS: [&str; 17] = [
    "pass",
    "pw",
    "psw",
    "pwrd",
    "loginpas",
    "passcode",
    "passkey",
    "auth",
    "key",
    "accesskey",
    "access_key",
    "streamkey",
    "sig",
    "signature",
    "session",
    "sid",
    "jwt",
];
/// As they stand there.
const SHORT_PLACES: [&str; 17] = [
    "pass=",
    "pw=",
    "psw=",
    "pwrd=",
    "loginpas=",
    "passcode=",
    "passkey=",
    "auth=",
    "key=",
    "accesskey=",
    "access_key=",
    "streamkey=",
    "sig=",
    "signature=",
    "session=",
    "sid=",
    "jwt=",
];
/// What stands before an @ behind these is the name of a person.
const NO_LOGINS: [&str; 5] = ["mailto:", "sip:", "sips:", "xmpp:", "acct:"];
/// Shorter values are words of their own too often to be looked for; their places are known all the same.
const SHORTEST: usize = 4;

/// Values that were read as secrets.
static KNOWN: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// Places of secrets, each with texts of which one is there, too: looking for those is much quicker. The group is what is
/// hidden.
static PLACES: LazyLock<Vec<(&[&str], Regex)>> = LazyLock::new(|| {
    let words = SECRET_WORDS.join("|");
    let short = SHORT_WORDS.join("|");
    let places: [(&[&str], String); 9] = [
        // What is before the host, up to the last @; and of a password that was not encoded, / and @ in it. (Behind the
        // host an @ is nobody's secret.)
        (
            &["://"],
            r#"[A-Za-z][A-Za-z0-9+.-]*://([^\s/?#@"'`<>]*(?:@[^\s"'`<>]*)?|[^\s/?#@:"'`<>]*:[0-9]*[^0-9/?#\s@"'`<>][^\s"'`<>]*)@"#
                .to_owned(),
        ),
        // The same where the scheme was left out.
        (
            &["@"],
            r#"(?:^|[\s"'(=,])(?:[A-Za-z0-9._~%+-]+):([^\s"'@/,]+)@[A-Za-z0-9\[]"#.to_owned(),
        ),
        (
            &SECRET_WORDS,
            format!(r#"(?i)(?:{words})=("[^"]*"|'[^']*'|[^\s&"'`,;]+)"#),
        ),
        (
            &SHORT_PLACES,
            format!(r#"(?i)(?:^|[^a-z0-9])(?:{short})=("[^"]*"|'[^']*'|[^\s&"'`,;]+)"#),
        ),
        (&["authorization:"], r"(?i)authorization:\s*(.+)".to_owned()),
        (
            &["x-", "cookie:"],
            r#"(?i)(?:x-[a-z-]*(?:key|token|auth)[a-z-]*|cookie):\s*([^"'\n]+)"#.to_owned(),
        ),
        // Arguments in a list: "--password", "secret" and "--user", "name:secret"; and JSON: "password": "secret".
        (
            &SECRET_WORDS,
            format!(r#"(?i)["']-{{0,2}}[a-z_-]*(?:{words})["']\s*[,:]\s*["']([^"'\n]+)"#),
        ),
        // In one text: --password secret.
        (
            &SECRET_WORDS,
            format!(r#"(?i)--[a-z_-]*(?:{words})\s+["']?([^\s"'-][^\s"']*)"#),
        ),
        // What logs in in other words: curl's -u name:secret, and sshpass -p secret.
        (
            &["-u", "sshpass"],
            r#"(?:(?:^|[\s"'])(?:-u|--user)(?:["'],\s*["']|\s+["']?|=)[^\s"':]+:|sshpass(?:["'],\s*["']|\s+)-p(?:["'],\s*["']|\s*))([^\s"']+)"#.to_owned(),
        ),
    ];
    places
        .into_iter()
        .filter_map(|(signs, pattern)| Some((signs, Regex::new(&pattern).ok()?)))
        .collect()
});

/// Keeps a secret's value, so that it is hidden wherever it turns up.
pub(crate) fn remember(secret: &str) {
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    let encoded = percent_encoded(secret);
    for value in [secret, &encoded] {
        if value.chars().count() >= SHORTEST && !known.iter().any(|other| other == value) {
            known.push(value.to_owned());
        }
    }
}

/// Keeps every secret that stands in a configuration at a place that is known.
pub(crate) fn remember_those_of(text: &str) {
    for part in hidden_parts(text) {
        let secret = text[part].trim_matches(['"', '\'']);
        remember(secret);
        // Of `user:secret` programs repeat each alone, too.
        if let Some((_, secret)) = secret.split_once(':') {
            remember(secret);
        }
    }
}

/// Cleans every text in `value` as [`text`] does.
pub(crate) fn json(value: &mut serde_json::Value) {
    use serde_json::Value;
    match value {
        Value::String(words) => *words = text(words),
        Value::Array(items) => items.iter_mut().for_each(json),
        Value::Object(entries) => entries.values_mut().for_each(json),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// `text` for one line: without secrets, and with every character that is not to be printed written out.
pub(crate) fn line(text: &str) -> String {
    printable(&without_secrets(text), |_| false).into_owned()
}

/// `text` of several lines: the same, but for the ends of its lines.
pub(crate) fn text(text: &str) -> String {
    printable(&without_secrets(text), |c| c == '\n').into_owned()
}

/// The parts of `text` that hold a secret, in order and apart from each other.
pub(crate) fn hidden_parts(text: &str) -> Vec<Range<usize>> {
    let lower = text.to_ascii_lowercase();
    let mut parts: Vec<Range<usize>> = PLACES
        .iter()
        .filter(|(signs, _)| signs.iter().any(|sign| lower.contains(sign)))
        .flat_map(|(_, place)| place.captures_iter(text).filter_map(|found| found.get(1)))
        .map(|part| part.range())
        .filter(|part| !part.is_empty() && &text[part.clone()] != HIDDEN)
        .filter(|part| {
            !NO_LOGINS
                .iter()
                .any(|scheme| lower[..part.start].ends_with(scheme))
        })
        .collect();
    for value in KNOWN.read().unwrap_or_else(PoisonError::into_inner).iter() {
        let found = text.match_indices(value.as_str());
        parts.extend(
            found
                .map(|(at, _)| at..at + value.len())
                .filter(|part| stands_alone(text, part)),
        );
    }
    parts.sort_by_key(|part| (part.start, part.end));
    parts
        .into_iter()
        .fold(Vec::new(), |mut apart: Vec<Range<usize>>, part| {
            match apart.last_mut() {
                Some(last) if part.start <= last.end => last.end = last.end.max(part.end),
                _ => apart.push(part),
            }
            apart
        })
}

/// What is the secret in `address`: all before its host.
pub(crate) fn credentials(address: &str) -> Option<&str> {
    let (_, rest) = address.split_once("://")?;
    rest.rsplit_once('@').map(|(credentials, _)| credentials)
}

/// `text` as it may stand in the part of a URL before the host.
pub(crate) fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// Whether the part is a word of its own. (A password `cam` is not the beginning of `camera`.)
fn stands_alone(text: &str, part: &Range<usize>) -> bool {
    let of_word = |c: char| c.is_alphanumeric();
    let ends = |inner: Option<char>, outer: Option<char>| {
        !(inner.is_some_and(of_word) && outer.is_some_and(of_word))
    };
    let (before, value, after) = (&text[..part.start], &text[part.clone()], &text[part.end..]);
    ends(value.chars().next(), before.chars().next_back())
        && ends(value.chars().next_back(), after.chars().next())
}

/// `text` without secrets, and with all its characters as they are: for what says itself how they are written.
pub(crate) fn without_secrets(text: &str) -> Cow<'_, str> {
    let parts = hidden_parts(text);
    if parts.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut end = 0;
    for part in parts {
        shown.push_str(&text[end..part.start]);
        shown.push_str(HIDDEN);
        end = part.end;
    }
    shown.push_str(&text[end..]);
    Cow::Owned(shown)
}

/// `text` with every character that does something instead of being seen written as its number.
fn printable(text: &str, kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    let acts = |c: char| is_unseen(c) && !kept(c);
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let written = text.chars().map(|c| {
        if acts(c) {
            c.escape_unicode().to_string()
        } else {
            c.to_string()
        }
    });
    Cow::Owned(written.collect())
}

/// Whether a character does something to what is around it: control characters, ends of lines, directions of writing.
pub(crate) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// From here on a panic is told in one line, without secrets.
pub(crate) fn watch_panics() {
    std::panic::set_hook(Box::new(|panic| {
        use std::io::Write;
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("a thread without a name");
        let place = panic.location().map(|at| format!(" ({at})")).unwrap_or_default();
        let why = panic.payload_as_str().unwrap_or("it did not say why");
        let words =
            format!("The program has a fault: {name} broke off, because {why}{place}. Please report it.");
        // Nothing is left to be done if even standard error is closed.
        let _ = writeln!(std::io::stderr(), "affectd: {}", line(&words));
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_place() {
        for (given, shown) in [
            (
                "rtsp://admin:hunter2@10.0.0.5/x: 401",
                "rtsp://***@10.0.0.5/x: 401",
            ),
            ("'http://token@cam/a'", "'http://***@cam/a'"),
            (
                "rtsp://a:b/c@d@cam/x rtsp://e:f@cam",
                "rtsp://***@cam/x rtsp://***@cam",
            ),
            (
                "https://m.example/contact?mail=a@m.example",
                "https://m.example/contact?mail=a@m.example",
            ),
            ("rtsp://cam:554/x@y", "rtsp://cam:554/x@y"),
            ("rtsp://a:b@c/d@cam/x", "rtsp://***@cam/x"),
            ("rtsp://cam:554/x and a@b", "rtsp://cam:554/x and a@b"),
            (
                "rtsp://cam/user=a_password=tlJ6_x=1",
                "rtsp://cam/user=a_password=***",
            ),
            (
                "http://cam/v?user=a&pwd=1234&fps=5",
                "http://cam/v?user=a&pwd=***&fps=5",
            ),
            ("user-pw='a b' location=x", "user-pw=*** location=x"),
            ("Authorization: Basic YTpi", "Authorization: ***"),
            (
                r#"["a", "--rtsp-password", "x", "y"]"#,
                r#"["a", "--rtsp-password", "***", "y"]"#,
            ),
            ("['curl', '-u', 'me:x']", "['curl', '-u', 'me:***']"),
            (
                "http://cam/s.cgi?usr=admin&pass=abc12&ch=1",
                "http://cam/s.cgi?usr=admin&pass=***&ch=1",
            ),
            ("rtsp://cam/live?auth=YWRtaW4=", "rtsp://cam/live?auth=***"),
            ("loginuse=admin&loginpas=abc12", "loginuse=admin&loginpas=***"),
            ("host admin:abc12@cam refused", "host admin:***@cam refused"),
            (
                "mailto:me@m.example or Mail: me@m.example",
                "mailto:me@m.example or Mail: me@m.example",
            ),
            ("monkey=1 and compass=2", "monkey=1 and compass=2"),
            (
                "exec curl -s -u admin:abc12 http://cam",
                "exec curl -s -u admin:*** http://cam",
            ),
            ("curl --user 'admin:abc12' -o -", "curl --user 'admin:***' -o -"),
            (
                "view --rtsp-password abc12 --fps 5",
                "view --rtsp-password *** --fps 5",
            ),
            ("view --password-file /etc/x", "view --password-file /etc/x"),
            ("sshpass -p abc12 ssh cam", "sshpass -p *** ssh cam"),
            (
                r#"["sshpass", "-p", "abc12", "ssh"]"#,
                r#"["sshpass", "-p", "***", "ssh"]"#,
            ),
            (
                r#"{"user": "a", "password": "abc12"}"#,
                r#"{"user": "a", "password": "***"}"#,
            ),
            ("-H 'X-Api-Key: abc12' x", "-H 'X-Api-Key: ***' x"),
            ("Set-Cookie: id=abc12; Path=/", "Set-Cookie: ***"),
            ("password: its file is empty", "password: its file is empty"),
            ("`password_file` is given", "`password_file` is given"),
        ] {
            assert_eq!(line(given), shown);
            assert_eq!(line(shown), shown, "hidden twice");
        }
    }

    #[test]
    fn secrets_are_known_by_their_value() {
        remember("tr0ub4dor");
        remember("a/b c");
        remember("xyz");
        assert_eq!(line("it was tr0ub4dor."), "it was ***.");
        assert_eq!(line("tr0ub4dors"), "tr0ub4dors");
        assert_eq!(line("a%2Fb%20c and a/b c"), "*** and ***");
        assert_eq!(line("xyz"), "xyz", "too short to be looked for");
        remember_those_of("command = [\"x\", \"rtsp://root:c0rrect@cam/\", \"--password\",\n  \"h0rse\"]");
        assert_eq!(
            line("401 for root with c0rrect and h0rse"),
            "401 for root with *** and ***"
        );
        let mut value = serde_json::json!({"a": ["tr0ub4dor\u{7}", 1], "tr0ub4dor": null});
        json(&mut value);
        assert_eq!(
            value,
            serde_json::json!({"a": ["***\\u{7}", 1], "tr0ub4dor": null})
        );
    }

    #[test]
    fn nothing_that_acts_reaches_a_line() {
        let given = "a\nREADY=1\r\u{1b}[2J\u{9b}x\u{202e}y\u{2028}z\t";
        let shown = line(given);
        assert_eq!(
            shown,
            r"a\u{a}READY=1\u{d}\u{1b}[2J\u{9b}x\u{202e}y\u{2028}z\u{9}"
        );
        assert_eq!(text("a\n\u{7}b"), "a\n\\u{7}b");
        assert_eq!(line("Grüße, 東京 ☺"), "Grüße, 東京 ☺");
    }

    #[test]
    fn a_panic_keeps_the_secret() {
        if std::env::var_os("AFFECTD_TEST_PANIC").is_some() {
            watch_panics();
            remember("tr0ub4dor");
            panic!("login with tr0ub4dor at rtsp://a:hunter2@cam\nfailed");
        }
        let test = std::env::current_exe().expect("this test");
        let output = std::process::Command::new(test)
            .args([
                "--exact",
                "redact::tests::a_panic_keeps_the_secret",
                "--nocapture",
            ])
            .env("AFFECTD_TEST_PANIC", "1")
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            said.contains(r"because login with *** at rtsp://***@cam\u{a}failed (src/redact.rs:"),
            "{said}"
        );
        assert!(!said.contains("tr0ub4dor") && !said.contains("hunter2"), "{said}");
    }
}
