//! `affectd spool`: what waits for the broker, and what it refused for good. Nothing is changed, and the daemon may run.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{OFlags, StatVfsMountFlags, statvfs};
use serde_json::Value;

use super::{Exit, Failure, print, say};
use crate::clock::Clocks;
use crate::config::Config;
use crate::place::{self, spool_of_service};
use crate::publish::{Look, Place, look, refusal};

/// More than any spool may have.
const MOST: u64 = 9999 << 20;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Print the windows that wait, oldest first, one JSON line each.
    #[arg(long)]
    windows: bool,
    /// Print those that the broker refused for good, with its reason.
    #[arg(long, conflicts_with = "windows")]
    refused: bool,
    /// The spool's folder. [default: /var/lib/affectd/spool, or below STATE_DIRECTORY]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let place = match &arguments.folder {
        Some(folder) => Place {
            state: folder.clone(),
            runtime: place::spool().and_then(|place| place.runtime),
        },
        None => spool_of_service(),
    };
    let seen = look(&place, MOST).map_err(|error| cannot(&place, &error))?;
    if arguments.windows {
        for window in &seen.waiting {
            print(String::from_utf8_lossy(&window.report))?;
        }
    } else if arguments.refused {
        for (code, window) in &seen.refused {
            let report: Value = serde_json::from_slice(&window.report).unwrap_or_default();
            let line = serde_json::json!({
                "reason": refusal(*code),
                "topic": window.topic,
                "window": report,
            });
            print(line)?;
        }
    } else {
        summary(&place, &seen)?;
    }
    Ok(())
}

fn cannot(place: &Place, error: &std::io::Error) -> Failure {
    let advice = match error.kind() {
        ErrorKind::PermissionDenied => " It is readable for affectd's own user and for root: use sudo.",
        _ => "",
    };
    let words = anyhow::anyhow!(
        "The spool `{}` cannot be read: {error}.{advice}",
        place.state.display()
    );
    Failure::new(Exit::Io, words)
}

fn summary(place: &Place, seen: &Look) -> Result<(), Failure> {
    let now = Clocks::now();
    if !place.state.exists() {
        say(format_args!(
            "There is no spool at `{}`: no daemon has run with this state directory yet, or [spool] max_size is 0MiB.",
            place.state.display()
        ))?;
        return Ok(());
    }
    say(format_args!(
        "{} windows wait in `{}`; {} KiB on the disk.",
        seen.waiting.len(),
        place.state.display(),
        seen.bytes.div_ceil(1024)
    ))?;
    if let (Some(oldest), Some(newest)) = (seen.waiting.first(), seen.waiting.last()) {
        say(format_args!(
            "oldest  {} ago, newest {} ago",
            rounded(oldest.given.age(&now)),
            rounded(newest.given.age(&now))
        ))?;
    }
    for run in runs(seen) {
        say(format_args!("{run}"))?;
    }
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for (code, _) in &seen.refused {
        *reasons.entry(refusal(*code)).or_default() += 1;
    }
    for (reason, count) in reasons {
        say(format_args!(
            "refused {count} windows, for good ({reason}); --refused prints them"
        ))?;
    }
    if seen.bad > 0 {
        say(format_args!("damaged {} bytes cannot be read", seen.bad))?;
    }
    Ok(())
}

/// The windows that wait, by runs of the daemon: which numbers, and from when to when.
fn runs(seen: &Look) -> Vec<String> {
    let text = |report: &Value, key: &str| report[key].as_str().unwrap_or("?").to_owned();
    let mut runs: Vec<(String, Vec<Value>)> = Vec::new();
    for window in &seen.waiting {
        let report: Value = serde_json::from_slice(&window.report).unwrap_or_default();
        let run = text(&report, "boot_id");
        match runs.last_mut() {
            Some((last, reports)) if *last == run => reports.push(report),
            _ => runs.push((run, vec![report])),
        }
    }
    let line = |(run, reports): (String, Vec<Value>)| {
        let (first, last) = (&reports[0], &reports[reports.len() - 1]);
        format!(
            "run     {run}: {} windows, number {} to {}, {} to {}",
            reports.len(),
            first["seq"],
            last["seq"],
            text(first, "start"),
            text(last, "end")
        )
    };
    runs.into_iter().map(line).collect()
}

fn rounded(time: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(Duration::from_secs(time.as_secs()))
}

/// For `affectd check`: whether windows can wait on the disk.
pub(super) fn place(config: &Config) -> anyhow::Result<String> {
    let most = config.spool.max_size;
    if most == 0 {
        return Ok("[spool] max_size is 0MiB, so windows that wait are lost with a restart".to_owned());
    }
    let place = spool_of_service();
    let shown = place.state.display();
    // The nearest folder that is there already.
    let folder = place.state.ancestors().find(|folder| folder.exists());
    let folder = folder.unwrap_or(Path::new("/"));
    if folder != place.state && place.state.parent() != Some(folder) {
        return Ok(format!("`{shown}` is made when the service starts"));
    }
    let disk = statvfs(folder)?;
    if disk.f_flag.contains(StatVfsMountFlags::RDONLY) {
        anyhow::bail!(
            "`{shown}` is on a file system that is read-only, so windows that wait are lost with a restart: mount it writable."
        );
    }
    let trial = OpenOptions::new()
        .write(true)
        .mode(0o600)
        .custom_flags(i32::try_from(OFlags::TMPFILE.bits())?)
        .open(folder);
    if let Err(error) = trial
        && error.kind() != ErrorKind::Unsupported
    {
        anyhow::bail!("nothing can be written in `{}`: {error}.", folder.display());
    }
    let seen = look(&place, MOST)?;
    let free = disk.f_bavail * disk.f_frsize;
    let mib = |bytes: u64| bytes >> 20;
    let still = most.saturating_sub(seen.bytes);
    if free < still {
        anyhow::bail!(
            "`{shown}` may take {} MiB more, but only {} MiB are free: make room, or lower [spool] max_size.",
            mib(still),
            mib(free)
        );
    }
    Ok(format!(
        "{} windows wait in `{shown}`, up to {} MiB of {} MiB that are free",
        seen.waiting.len(),
        mib(most),
        mib(free)
    ))
}
