//! Brings the sources together: parse, check each, merge, check the whole, make the types.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::de::DeValue;

use super::check::{Check, Kind, kind};
use super::entry::{self, Entry, Table, Value};
use super::origins::Origins;
use super::problem::{ConfigErrors, Problems};
use super::source::{self, ENV_PREFIX, Listed, Source, Span};
use super::{CONFIG_VERSION, Config, rules, schema, syntax, variables};
use crate::redact;

/// Reads the configuration: `paths` in order, then `conf.d/*.toml` beside the first of them, then the variables of
/// `env` that begin with `AFFECTD__` (see [`super::environment`]). What comes later wins, key by key.
///
/// # Errors
/// With every problem there is, not just the first.
pub(crate) fn load(
    paths: &[PathBuf],
    env: impl Iterator<Item = (String, String)>,
) -> Result<Config, ConfigErrors> {
    load_with_origins(paths, env).map(|(config, _)| config)
}

/// The same, with where each value was written.
///
/// # Errors
/// With every problem there is, not just the first.
pub(crate) fn load_with_origins(
    paths: &[PathBuf],
    env: impl Iterator<Item = (String, String)>,
) -> Result<(Config, Origins), ConfigErrors> {
    let mut problems = Problems::new(Vec::new());
    let mut listed = source::with_drop_ins(paths).unwrap_or_else(|(folder, error)| {
        problems
            .sources
            .push(Source::file(folder.display().to_string(), ""));
        problems.add_whole(0, format!("the folder of drop-ins cannot be read: {error}"), "");
        Listed {
            files: paths.to_vec(),
            unread: Vec::new(),
        }
    });
    for path in &listed.files {
        read(path, &mut problems);
    }
    let schema = schema();
    for (name, value) in env {
        if name.starts_with(ENV_PREFIX) {
            problems.sources.push(Source::variable(&name, &value));
        } else {
            listed.unread.extend(variables::unread(&name, &schema));
        }
    }
    let read: Vec<String> = problems
        .sources
        .iter()
        .map(|source| source.name.clone())
        .collect();
    let (mut config, origins) = config(problems)?;
    (config.read, config.unread) = (read, listed.unread);
    Ok((config, origins))
}

/// The files that are read for these paths, drop-ins included.
///
/// # Errors
/// A sentence that says why the drop-ins cannot be listed.
pub(crate) fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let listed = source::with_drop_ins(paths);
    listed.map(|listed| listed.files).map_err(|(folder, error)| {
        format!(
            "{}: the folder of drop-ins cannot be read: {error}.",
            folder.display()
        )
    })
}

/// Reads the configuration from one text, which messages call `config`.
///
/// # Errors
/// With every problem there is, not just the first.
pub(crate) fn from_str(text: &str) -> Result<Config, ConfigErrors> {
    config(Problems::new(vec![Source::file("config", text)])).map(|(config, _)| config)
}

/// Reads one file into a source of its own.
fn read(path: &Path, problems: &mut Problems) {
    let number = problems.sources.len();
    problems
        .sources
        .push(Source::file(path.display().to_string(), ""));
    let bytes = match source::read(path) {
        Ok(bytes) => bytes,
        Err(why) => {
            let note = "`affectd config --defaults` prints a template to begin with";
            problems.add_whole(number, format!("the configuration cannot be read: {why}"), note);
            problems.sources[number].unreadable = true;
            return;
        }
    };
    let text = String::from_utf8(bytes).unwrap_or_else(|error| {
        let good = error.utf8_error().valid_up_to();
        if error.as_bytes().starts_with(b"\xff\xfe") || error.as_bytes().starts_with(b"\xfe\xff") {
            problems.add_whole(number, "this is text as UTF-16", "save the file as UTF-8");
            problems.sources[number].unreadable = true;
            return String::new();
        }
        let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
        problems.sources[number].text.clone_from(&text);
        let span = Span {
            source: number,
            bytes: good..good + char::REPLACEMENT_CHARACTER.len_utf8(),
        };
        problems.add_syntax(&span, "this is no text", "save the file as UTF-8");
        // Broken all over: which characters were meant cannot be known.
        problems.sources[number].broken.push(0..text.len());
        text
    });
    problems.sources[number].text = text;
}

fn config(mut problems: Problems) -> Result<(Config, Origins), ConfigErrors> {
    for source in &problems.sources {
        redact::remember_those_of(&source.text);
    }
    let schema = schema();
    let mut merged = Table::new();
    for number in 0..problems.sources.len() {
        let mut tree = if problems.sources[number].is_variable {
            variable(&problems.sources[number], number, &schema)
        } else {
            syntax::parse(&mut problems, number)
        };
        Check::new(&schema, &mut problems).source(&mut tree);
        entry::merge(&mut merged, tree);
    }
    // Where a file or a part of it could not be read, what seems to be missing may well be there.
    if problems
        .sources
        .iter()
        .all(|source| source.broken.is_empty() && !source.unreadable)
    {
        Check::new(&schema, &mut problems).required(&merged);
    }
    let passwords = rules::check(&merged, &mut problems);

    let values = entry::plain_table(&merged);
    let origins = Origins::of(&merged, &problems.sources);
    let with_passwords = |mut config: Config| {
        config.mqtt.password = passwords.mqtt;
        config.camera.password = passwords.camera;
        config.status.password = passwords.status;
        config
    };
    if !problems.is_empty() {
        let rest = salvaged(values.clone()).map(with_passwords);
        return Err(problems.finish(rest, values.keys().cloned().collect()));
    }
    match toml::Value::Table(values).try_into::<Config>() {
        Ok(config) => Ok((with_passwords(config), origins)),
        // Never seen: the checks are made from the same types. Said all the same, rather than a panic.
        Err(error) => {
            problems.add_whole(
                0,
                format!("the configuration passed all checks and cannot be used: {error}"),
                "",
            );
            Err(problems.finish(None, BTreeSet::new()))
        }
    }
}

/// What is left of a configuration with problems: what was refused counts as not given, and what must be there and is not
/// is made up. For looking at the rest, not for running.
fn salvaged(mut values: toml::Table) -> Option<Config> {
    let made_up = toml::Table::try_from(Config::for_replay()).ok()?;
    values.insert("config_version".to_owned(), CONFIG_VERSION.into());
    let deployment = values
        .entry("deployment")
        .or_insert_with(|| toml::Value::Table(toml::Table::new()));
    for (key, value) in made_up.get("deployment")?.as_table()? {
        let deployment = deployment.as_table_mut()?;
        // The device has a name of its own.
        if key != "device" && !deployment.contains_key(key) {
            deployment.insert(key.clone(), value.clone());
        }
    }
    toml::Value::Table(values).try_into().ok()
}

/// The tree of a variable such as `AFFECTD__MQTT__PORT=1883`: text needs no quotes, everything else is TOML.
fn variable(source: &Source, number: usize, schema: &serde_json::Value) -> Table {
    let (name, text) = source.text.split_once('=').unwrap_or((&source.text, ""));
    let at = |bytes| Span {
        source: number,
        bytes,
    };
    let value_span = at(name.len() + 1..source.text.len());

    // No key lies deeper than this; the last part keeps what is left, and is then unknown.
    let mut parts = Vec::new();
    let mut start = ENV_PREFIX.len();
    for part in name[start..].splitn(4, "__") {
        parts.push((part.to_lowercase(), at(start..start + part.len())));
        start += part.len() + 2;
    }
    let kind = kind(
        parts
            .iter()
            .fold(schema, |schema, (part, _)| &schema["properties"][part]),
    );
    let value = match kind {
        Kind::Text | Kind::Choice | Kind::Duration => None,
        // Its places are those of the variable's value as a whole.
        _ => DeValue::parse(text)
            .ok()
            .map(|parsed| placed(entry::value(parsed.get_ref(), number), &value_span)),
    };
    let mut value = value.unwrap_or_else(|| Value::Leaf(toml::Value::String(text.to_owned())));
    let mut tree = Table::new();
    for (part, key) in parts.into_iter().rev() {
        tree = Table::from([(
            part,
            Entry {
                key,
                span: value_span.clone(),
                value,
            },
        )]);
        value = Value::Table(tree.clone());
    }
    tree
}

/// `value` with every place in it set to `span`.
fn placed(value: Value, span: &Span) -> Value {
    let moved = |entry: Entry| Entry {
        key: span.clone(),
        span: span.clone(),
        value: placed(entry.value, span),
    };
    match value {
        Value::Table(table) => Value::Table(
            table
                .into_iter()
                .map(|(key, entry)| (key, moved(entry)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(moved).collect()),
        other => other,
    }
}
