//! Rules of `[camera]`: frames come from one place, and it is written so that it can be reached.

use crate::config::entry::{self, Entry, Table};
use crate::config::problem::Problems;
use crate::config::strange::QUOTES;
use crate::config::tables::Format;
use crate::redact;

/// What a shell would understand, and a program takes as an argument.
const OF_A_SHELL: [&str; 12] = [
    "|",
    "||",
    "&&",
    "&",
    ";",
    ">",
    ">>",
    "<",
    "2>",
    "2>&1",
    ">/dev/null",
    "2>/dev/null",
];

/// The largest raw frames, in pixels: of the first ones of a command eight are held at once, each with up to three bytes a
/// pixel, and all of that has to fit into what the unit gives.
const MOST_RAW_PIXELS: u64 = 12_000_000;

/// Applies all of them.
pub(super) fn check(table: &Table, problems: &mut Problems) {
    raw_size(table, problems);
    let text = |key| entry::read::<String>(table, &["camera", key]).unwrap_or_default();
    let command: Vec<String> = entry::read(table, &["camera", "command"]).unwrap_or_default();
    let given = Given {
        source: text("source"),
        url: text("url"),
        command,
    };
    let faults = [
        ("source", given.source_fault()),
        ("command", given.command_fault()),
        ("url", given.url_fault()),
        ("username", given.login_fault(&text("username"), "username")),
        (
            "password_file",
            given.login_fault(&text("password_file"), "password_file"),
        ),
    ];
    for (key, fault) in faults {
        if let (Some((what, note)), Some(Entry { span, .. })) = (fault, entry::get(table, &["camera", key])) {
            problems.add(span, "camera", what, note);
        }
    }
}

/// Raw frames of a command are held whole, however large they are said to be.
fn raw_size(table: &Table, problems: &mut Problems) {
    let command: Vec<String> = entry::read(table, &["camera", "command"]).unwrap_or_default();
    let format: Format = entry::read(table, &["camera", "format"]).unwrap_or_default();
    let side = |key| entry::read::<u64>(table, &["camera", key]);
    let (Some(width), Some(height)) = (side("width"), side("height")) else {
        return;
    };
    let raw = !command.is_empty() && !matches!(format, Format::Auto | Format::Mjpg);
    if let Some(entry) = entry::get(table, &["camera", "width"])
        && raw
        && width * height > MOST_RAW_PIXELS
    {
        let what = format!("raw frames of {width}×{height} px take more memory than there is");
        let most = MOST_RAW_PIXELS / 1_000_000;
        let note = format!("let the command write up to {most} megapixels, or JPEGs");
        problems.add(&entry.span, "camera", what, note);
    }
}

/// Where frames come from.
struct Given {
    source: String,
    url: String,
    command: Vec<String>,
}

/// What is wrong, and what to do.
pub(super) type Fault = Option<(String, String)>;

impl Given {
    fn source_fault(&self) -> Fault {
        let source = &self.source;
        if let Some((scheme, rest)) = source.split_once("://") {
            let what = format!("`source` is {source:?}, which is an address and no file");
            let note = match scheme.to_ascii_lowercase().as_str() {
                "file" => format!("write source = \"/{}\"", rest.trim_start_matches('/')),
                _ if redact::credentials(source).is_some() => {
                    "write it as `url`, without user name and password, which are `username` and `password_file`"
                        .to_owned()
                }
                _ => format!("write url = {source:?}"),
            };
            return Some((what, note));
        }
        let strange = |c: char| redact::is_unseen(c) || (c.is_whitespace() && c != ' ');
        let quoted = source.chars().count() > 1 && source.starts_with(QUOTES) && source.ends_with(QUOTES);
        // A file may be called like this, if it is there.
        if (source.trim() != source || source.contains(strange) || quoted)
            && !std::path::Path::new(source).exists()
        {
            let what =
                format!("`source` is {source:?}, with something at its ends or in it that is hardly seen");
            let note = "delete the blanks at its ends, blanks of other kinds, and quotation marks of people";
            return Some((what, note.to_owned()));
        }
        if source.starts_with(['~', '$']) {
            let what = format!("`source` is {source:?}, which a shell would replace, and there is none here");
            return Some((what, "write the whole path, from / on".to_owned()));
        }
        if !source.is_empty() && source.bytes().all(|byte| byte.is_ascii_digit()) {
            let what = format!("`source` is {source:?}, which is no name of a camera");
            return Some((what, format!("write source = \"/dev/video{source}\"")));
        }
        None
    }

    fn command_fault(&self) -> Fault {
        let program = self.command.first()?;
        if program.trim().is_empty() {
            let note = "its first text is the program, such as \"rpicam-vid\"";
            return Some(("`command` names no program".to_owned(), note.to_owned()));
        }
        if !self.source.is_empty() {
            let what = format!("`command` is given, and `source` too ({:?})", self.source);
            let note = "frames come from one of them: leave the other out, or set it to \"\" or []";
            return Some((what, note.to_owned()));
        }
        if program.contains(char::is_whitespace) && !std::path::Path::new(program).exists() {
            let what = "`command` has program and arguments in one text";
            return Some((what.to_owned(), apart(program)));
        }
        if let Some(sign) = self
            .command
            .iter()
            .find(|text| OF_A_SHELL.contains(&text.as_str()))
        {
            let what = format!("`command` has {sign:?}, which is for a shell, and it is started without one");
            let note = "write it as a script of its own, or as [\"sh\", \"-c\", \"…\"] with `exec` before the last program";
            return Some((what, note.to_owned()));
        }
        None
    }

    fn url_fault(&self) -> Fault {
        if self.url.is_empty() {
            return None;
        }
        if !self.source.is_empty() {
            let what = format!("`url` is given, and `source` too ({:?})", self.source);
            let note = "frames come from one of them: leave the other out, or set it to \"\"";
            return Some((what, note.to_owned()));
        }
        redact::credentials(&self.url)?;
        let what = "`url` holds a user name or a password".to_owned();
        let note =
            "write them as `username` and `password_file`; an @ in what follows the camera\'s name is %40";
        Some((what, note.to_owned()))
    }

    fn login_fault(&self, value: &str, key: &str) -> Fault {
        if key == "username"
            && let Some(fault) = username_fault(value)
        {
            return Some(fault);
        }
        if value.is_empty() || !self.url.is_empty() {
            return None;
        }
        let note = "it is for a network camera: give its address as `url`";
        Some((format!("`{key}` is given, but `url` is not"), note.to_owned()))
    }
}

/// What is hardly seen in a user name, and would be sent all the same.
pub(super) fn username_fault(name: &str) -> Fault {
    let what = "`username` begins or ends with a blank".to_owned();
    (name.trim() != name).then_some((what, "take it away".to_owned()))
}

/// How a whole command line is written, if that can be told without a shell.
pub(in crate::config) fn apart(line: &str) -> String {
    let rule = "every argument is a text of its own";
    if line.contains(['"', '\'', '\\', '$', '|', '>', '<', ';', '&', '`']) {
        return format!("{rule}: [\"program\", \"--option\"]");
    }
    let words: Vec<String> = line.split_whitespace().map(|word| format!("{word:?}")).collect();
    format!("{rule}: command = [{}]", words.join(", "))
}
