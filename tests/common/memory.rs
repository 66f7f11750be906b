//! A process with a bounded memory: in a control group of its own where this user may make one, else watched.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Folders of control groups that count memory: version 1, and 2; and what the files in them are called.
const HIERARCHIES: [(&str, &str, &str); 2] = [
    (
        "/sys/fs/cgroup/memory",
        "memory.limit_in_bytes",
        "memory.max_usage_in_bytes",
    ),
    ("/sys/fs/cgroup", "memory.max", "memory.peak"),
];

/// A control group that is removed when the test is over.
pub struct Limited {
    folder: Option<PathBuf>,
    peak: &'static str,
}

impl Limited {
    /// With room for so many MiB, if there can be one.
    pub fn to(mib: u64) -> Self {
        for (parent, limit, peak) in HIERARCHIES {
            let name = format!("affectd-test-{}-{mib}", std::process::id());
            let folder = Path::new(parent).join(name);
            if !Path::new(parent).join("cgroup.procs").exists() || std::fs::create_dir(&folder).is_err() {
                continue;
            }
            if std::fs::write(folder.join(limit), (mib << 20).to_string()).is_ok() {
                let folder = Some(folder);
                return Self { folder, peak };
            }
            let _ = std::fs::remove_dir(&folder);
        }
        println!("No control group of memory can be made here: what is measured is the process alone.");
        let (folder, peak) = (None, "");
        Self { folder, peak }
    }

    /// The same command, run in it.
    pub fn command(&self, command: &Command) -> Command {
        let enter = match &self.folder {
            Some(folder) => format!("echo $$ > {}/cgroup.procs && ", folder.display()),
            None => String::new(),
        };
        let mut limited = Command::new("sh");
        limited
            .arg("-c")
            .arg(format!("{enter}exec \"$0\" \"$@\""))
            .arg(command.get_program())
            .args(command.get_args());
        limited
    }

    /// The most memory that was in use in it, files in its page cache included, in MiB.
    pub fn peak_mib(&self) -> Option<u64> {
        let bytes = std::fs::read_to_string(self.folder.as_ref()?.join(self.peak)).ok()?;
        Some(bytes.trim().parse::<u64>().ok()? >> 20)
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            // A process that has ended may take a moment to leave it.
            for _ in 0..50 {
                if std::fs::remove_dir(folder).is_ok() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        }
    }
}

/// The most memory that a running process had at once, in MiB.
pub fn highest_mib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? >> 10)
}
