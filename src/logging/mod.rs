//! The log: one line per change of state, never one per frame or face. To the journal with fields, as text for people, or as
//! a JSON object per line.
//!
//! Every line goes through [`redact`], and what a part of the daemon says over and over is counted ([`repeats`]).

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use log::kv::{self, Key, Value, VisitSource};
use log::{Level, LevelFilter, Log, Metadata, Record};
use systemd_journal_logger::{JournalLog, connected_to_journal};

use crate::clock::{for_people, rfc3339};
use crate::config::{self, LogFormat};
use crate::redact;

mod repeats;

use repeats::{Repeats, Said};

/// Libraries that log every packet or request.
const CHATTY: [&str; 6] = ["rumqttd", "tracing", "hyper", "mio", "rustls", "tokio"];

/// Starts the log. A second start changes the level only, and is no error.
pub(crate) fn start(settings: &config::Log) {
    let logger = Logger {
        out: Out::of(settings.format),
        repeats: Mutex::default(),
    };
    let _ = log::set_boxed_logger(Box::new(logger));
    log::set_max_level(LevelFilter::from(settings.level));
}

/// Writes what was counted and not told yet, before the program ends.
pub(crate) fn finish() {
    log::logger().flush();
}

/// Where lines go, and in which form.
enum Out {
    /// Fields over journald's own socket.
    Journal(Box<JournalLog>),
    /// For people on a terminal, with the time; systemd adds the time itself.
    Text { timed: bool },
    /// One JSON object per line.
    Json,
}

impl Out {
    fn of(format: LogFormat) -> Self {
        let journal = || {
            let log = JournalLog::empty().ok()?;
            Some(Self::Journal(Box::new(
                log.with_syslog_identifier("affectd".to_owned()),
            )))
        };
        let text = Self::Text {
            timed: std::env::var_os("JOURNAL_STREAM").is_none(),
        };
        match format {
            LogFormat::Json => Self::Json,
            LogFormat::Text => text,
            // If standard error goes elsewhere, or nobody listens at the socket, text is what is left.
            LogFormat::Auto => connected_to_journal().then(journal).flatten().unwrap_or(text),
        }
    }

    fn write(&self, record: &Record<'_>, words: &str) {
        // Nothing is left to be done if standard error is closed.
        let _ = match self {
            Self::Journal(journal) => {
                let fields = Clean::of(record.key_values());
                journal.journal_send(
                    &Record::builder()
                        .metadata(record.metadata().clone())
                        .args(format_args!("{words}"))
                        .file(record.file())
                        .line(record.line())
                        .module_path(record.module_path())
                        .key_values(&fields)
                        .build(),
                )
            }
            Self::Text { timed: true } => writeln!(
                std::io::stderr(),
                "{} {:<5} {words}",
                for_people(SystemTime::now()),
                record.level()
            ),
            Self::Text { timed: false } => writeln!(std::io::stderr(), "{:<5} {words}", record.level()),
            Self::Json => writeln!(std::io::stderr(), "{}", json(record, words)),
        };
    }
}

/// A line as JSON: `time`, `level`, `target`, `message`, and the fields of the record.
fn json(record: &Record<'_>, words: &str) -> serde_json::Value {
    let mut line = Fields(serde_json::Map::new());
    let _ = record.key_values().visit(&mut line);
    let mut put = |key: &str, value: String| line.0.insert(key.to_owned(), value.into());
    put("time", rfc3339(SystemTime::now()));
    put("level", record.level().as_str().to_lowercase());
    put("target", record.target().to_owned());
    put("message", words.to_owned());
    line.0.into()
}

/// The fields of a record, each as cleaned text.
struct Fields(serde_json::Map<String, serde_json::Value>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        self.0
            .insert(key.to_string(), redact::line(&value.to_string()).into());
        Ok(())
    }
}

/// Fields without secrets, under the names that the journal has for ours.
struct Clean(Vec<(String, String)>);

impl Clean {
    fn of(fields: &dyn kv::Source) -> Self {
        let mut seen = Fields(serde_json::Map::new());
        let _ = fields.visit(&mut seen);
        let ours = |(key, value): (&String, &serde_json::Value)| {
            let value = value.as_str().unwrap_or_default();
            (format!("AFFECTD_{key}"), value.to_owned())
        };
        Self(seen.0.iter().map(ours).collect())
    }
}

impl kv::Source for Clean {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), kv::Error> {
        self.0
            .iter()
            .try_for_each(|(key, value)| visitor.visit_pair(Key::from_str(key), Value::from(value.as_str())))
    }
}

struct Logger {
    out: Out,
    repeats: Mutex<Repeats>,
}

impl Logger {
    fn say(&self, record: &Record<'_>, said: Said) {
        let words = match said {
            Said::Nothing => return,
            Said::This(words) => words,
            Said::Before(before, words) => {
                self.out.write(record, &before);
                words
            }
        };
        self.out.write(record, &words);
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        let is_of = |library: &str| {
            target
                .strip_prefix(library)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("::") || rest.starts_with('_'))
        };
        metadata.level() <= log::max_level() && !CHATTY.into_iter().any(is_of)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let words = redact::line(&record.args().to_string());
        let said = self.repeats.lock().unwrap_or_else(PoisonError::into_inner).say(
            record.target(),
            words,
            Instant::now(),
        );
        self.say(record, said);
    }

    fn flush(&self) {
        let left = self.repeats.lock().unwrap_or_else(PoisonError::into_inner).rest();
        for (target, words) in left {
            let record = Record::builder().level(Level::Info).target(&target).build();
            self.out.write(&record, &words);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_json_has_the_fields_and_no_secret() {
        let password = "pass-of-the-log-test";
        redact::remember(password);
        let fields = [("camera", "door"), ("cause", "login with pass-of-the-log-test")];
        let record = Record::builder()
            .level(Level::Warn)
            .target("affectd::camera_state")
            .key_values(&fields)
            .build();
        let line = json(&record, "the words");
        assert_eq!(line["level"], "warn");
        assert_eq!(line["message"], "the words");
        assert_eq!(line["camera"], "door");
        assert_eq!(line["cause"], "login with ***");
        assert!(humantime::parse_rfc3339(line["time"].as_str().expect("a time")).is_ok());
    }

    #[test]
    fn the_journal_gets_our_fields_under_our_name() {
        let fields = [("state", "no_data")];
        let mut seen = Fields(serde_json::Map::new());
        kv::Source::visit(&Clean::of(&fields), &mut seen).expect("visited");
        assert_eq!(seen.0["AFFECTD_state"], "no_data");
    }

    #[test]
    fn libraries_that_log_every_packet_are_silent_and_ours_is_not() {
        let logger = Logger {
            out: Out::Json,
            repeats: Mutex::default(),
        };
        log::set_max_level(LevelFilter::Trace);
        let heard = |target| logger.enabled(&Metadata::builder().level(Level::Trace).target(target).build());
        assert!(heard("affectd::board") && heard("affect_tflite::reporter") && heard("hyperion"));
        assert!(!heard("hyper::proto") && !heard("mio::poll") && !heard("rumqttd") && !heard("tokio_rustls"));
    }
}
