//! Pictures lie in this memory, and nothing that was seen may reach a disk: is there swap, may this process be written to
//! it, and if so, can it be prevented?
//!
//! The unit says `MemorySwapMax=0`, which works where the kernel accounts for memory by groups. On Raspberry Pi OS it does
//! not, unless it is told to. So the memory is locked besides; that reaches no command that is started, though.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::geteuid;

/// The system could write pictures to a disk.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error(
    "This system can write memory to swap ({}), and pictures lie in the memory of {whose}: affectd does not start. {advice}, or accept it with [privacy] allow_swap = true.",
    places.join(", ")
)]
pub(crate) struct SwapError {
    /// Where memory would be written to.
    places: Vec<String>,
    whose: &'static str,
    advice: &'static str,
}

/// Switching swap off, which helps always.
const SWITCH_OFF: &str = "Switch swap off (`swapoff -a`, and for good: `systemctl disable --now dphys-swapfile` on a Raspberry Pi), or let the kernel account for memory by groups, so that the unit's MemorySwapMax=0 works (write cgroup_enable=memory into /boot/firmware/cmdline.txt and restart)";
/// What helps this process alone.
const BY_UNIT: &str = "Start it by its unit, in which LimitMEMLOCK=infinity lets it lock its memory; or switch swap off (`swapoff -a`)";

/// What keeps pictures from being swapped.
#[derive(Debug, Clone, PartialEq)]
struct Found {
    /// Devices and files that memory can be written to.
    swaps: Vec<String>,
    /// Whether the control group allows none of it.
    group_forbids: bool,
    /// Whether this process's memory is locked, or why not.
    locked: Result<(), &'static str>,
}

impl Found {
    fn of(root: &Path, locked: Result<(), &'static str>) -> Self {
        Self {
            swaps: swaps(root),
            group_forbids: group_forbids_swap(root),
            locked,
        }
    }

    /// Who could be swapped, and what to do; `None` if nobody can.
    fn fault(&self, runs_command: bool) -> Option<SwapError> {
        if self.swaps.is_empty() || self.group_forbids {
            return None;
        }
        let (whose, advice) = match self.locked {
            Err(_) => ("affectd itself", BY_UNIT),
            Ok(()) if runs_command => ("the camera's command", SWITCH_OFF),
            Ok(()) => return None,
        };
        Some(SwapError {
            places: self.swaps.clone(),
            whose,
            advice,
        })
    }

    /// What prevents it, in words.
    fn in_words(&self) -> String {
        match (&self.locked, self.group_forbids, self.swaps.is_empty()) {
            (_, true, _) => "is never swapped: its control group forbids it".to_owned(),
            (Ok(()), _, _) => "is never swapped: it is locked".to_owned(),
            (Err(why), _, true) => {
                format!("is not swapped while there is no swap; it is not locked, because {why}")
            }
            (Err(why), _, false) => format!("may be swapped: it is not locked, because {why}"),
        }
    }
}

/// Locks the memory of this process and of all that it will allocate, and looks at what else could be swapped.
///
/// # Errors
/// [`SwapError`] if pictures could be, unless `allow_swap`; then it is logged.
pub(crate) fn keep_from_swap(allow_swap: bool, runs_command: bool) -> Result<(), SwapError> {
    let found = Found::of(Path::new("/"), lock());
    match found.fault(runs_command) {
        None => log::info!("The memory {}.", found.in_words()),
        Some(fault) if allow_swap => log::warn!(
            "Pictures may be written to swap ({}) from the memory of {}; [privacy] allow_swap allows it.",
            fault.places.join(", "),
            fault.whose
        ),
        Some(fault) => return Err(fault),
    }
    Ok(())
}

/// What would become of it, for `check` and `doctor`: this process locks its memory as the daemon would.
///
/// # Errors
/// As [`keep_from_swap`].
pub(crate) fn look(allow_swap: bool, runs_command: bool) -> Result<String, SwapError> {
    let found = Found::of(Path::new("/"), lock());
    match found.fault(runs_command) {
        Some(fault) if !allow_swap => Err(fault),
        Some(fault) => Ok(format!(
            "swap ({}) is allowed to take pictures",
            fault.places.join(", ")
        )),
        None => Ok(found.in_words()),
    }
}

/// Locks what is there and what will come; pages that were never touched cost nothing.
fn lock() -> Result<(), &'static str> {
    // With a limit, memory would run out when threads and buffers are made, long after the start.
    if !is_unlimited(Path::new("/")) && !geteuid().is_root() {
        return Err("the limit of locked memory (LimitMEMLOCK) is too low");
    }
    let all = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    mlockall(all).map_err(|error| match error {
        Errno::NOMEM | Errno::AGAIN => "the limit of locked memory (LimitMEMLOCK) is too low",
        Errno::PERM => "it is not allowed here",
        _ => "the system refuses it",
    })
}

/// Whether this process may lock as much memory as it likes. Not asked by getrlimit(2), which the unit forbids.
fn is_unlimited(root: &Path) -> bool {
    let limits = fs::read_to_string(root.join("proc/self/limits")).unwrap_or_default();
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max locked memory"));
    line.and_then(|line| line.split_whitespace().next()) == Some("unlimited")
}

/// What memory can be written to. Compressed memory (zram) stays memory, unless it has a disk behind it.
fn swaps(root: &Path) -> Vec<String> {
    let listed = fs::read_to_string(root.join("proc/swaps")).unwrap_or_default();
    let names = listed
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next());
    let stays_memory = |name: &str| {
        let device = name.trim_start_matches("/dev/");
        device.starts_with("zram")
            && fs::read_to_string(root.join("sys/block").join(device).join("backing_dev"))
                .map_or(true, |behind| behind.trim() == "none")
    };
    names
        .filter(|name| !stays_memory(name))
        .map(str::to_owned)
        .collect()
}

/// Whether the control group of this process, or one above it, allows no swap (version 2, with the memory controller).
fn group_forbids_swap(root: &Path) -> bool {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let Some(own) = groups.lines().find_map(|line| line.strip_prefix("0::/")) else {
        return false;
    };
    let tree = root.join("sys/fs/cgroup");
    let folders = PathBuf::from(own);
    folders.ancestors().any(|group| {
        fs::read_to_string(tree.join(group).join("memory.swap.max")).is_ok_and(|most| most.trim() == "0")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, text).expect("written");
        }
        root
    }

    const HEADER: &str = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
    const LOW: Result<(), &str> = Err("the limit is too low");

    #[test]
    fn what_is_written_to_a_disk_is_swap_and_compressed_memory_is_not() {
        let listed = format!(
            "{HEADER}/var/swap file 102396 0 -2\n/dev/zram0 partition 1 0 100\n/dev/zram1 partition 1 0 99\n"
        );
        let root = machine(&[
            ("proc/swaps", &listed),
            ("sys/block/zram0/backing_dev", "none\n"),
            ("sys/block/zram1/backing_dev", "/dev/loop0\n"),
        ]);
        assert_eq!(swaps(root.path()), ["/var/swap", "/dev/zram1"]);
        assert_eq!(swaps(machine(&[("proc/swaps", HEADER)]).path()), [""; 0]);
        assert_eq!(swaps(machine(&[]).path()), [""; 0]);
    }

    #[test]
    fn the_limit_of_locked_memory_is_read() {
        let limits = |line: &str| {
            machine(&[(
                "proc/self/limits",
                &format!("Limit Soft Hard Units\n{line}\nMax address space unlimited unlimited bytes\n"),
            )])
        };
        assert!(is_unlimited(
            limits("Max locked memory         unlimited            unlimited            bytes").path()
        ));
        assert!(!is_unlimited(
            limits("Max locked memory         8388608              unlimited            bytes").path()
        ));
        assert!(!is_unlimited(machine(&[]).path()));
    }

    #[test]
    fn a_group_forbids_swap_for_all_below_it() {
        let own = ("proc/self/cgroup", "0::/system.slice/affectd.service\n");
        let unit = "sys/fs/cgroup/system.slice/affectd.service/memory.swap.max";
        for (files, forbids) in [
            (vec![own, (unit, "0\n")], true),
            (
                vec![
                    own,
                    (unit, "max\n"),
                    ("sys/fs/cgroup/system.slice/memory.swap.max", "0\n"),
                ],
                true,
            ),
            (vec![own, (unit, "max\n")], false),
            // As on Raspberry Pi OS: no memory controller, so no such file.
            (vec![own], false),
            (vec![("proc/self/cgroup", "4:memory:/x\n"), (unit, "0\n")], false),
        ] {
            assert_eq!(group_forbids_swap(machine(&files).path()), forbids, "{files:?}");
        }
    }

    #[test]
    fn it_is_refused_only_where_pictures_could_be_swapped() {
        let swap = vec!["/var/swap".to_owned()];
        for (swaps, group_forbids, locked, runs_command, whose) in [
            (swap.clone(), false, LOW, false, Some("affectd itself")),
            (swap.clone(), false, Ok(()), true, Some("the camera's command")),
            (swap.clone(), false, Ok(()), false, None),
            (swap.clone(), true, LOW, true, None),
            (Vec::new(), false, LOW, true, None),
        ] {
            let found = Found {
                swaps,
                group_forbids,
                locked,
            };
            let fault = found.fault(runs_command);
            assert_eq!(fault.as_ref().map(|fault| fault.whose), whose, "{found:?}");
            if let Some(fault) = fault {
                let said = fault.to_string();
                assert!(
                    said.contains("(/var/swap)") && said.contains("swapoff -a"),
                    "{said}"
                );
            }
        }
    }
}
