//! Clock, disk and memory of this machine.

use std::path::Path;

use super::{Exit, Finding};
use crate::clock::{for_people, system_clock_synced};
use crate::place::state_dir_or_home;

/// Less memory than this is left at the risk of being killed: the daemon takes about so much.
const LEAST_MEMORY_MIB: u64 = 64;
/// With less than this the disk is as good as full.
const LEAST_DISK_MIB: u64 = 50;

pub(super) fn clock() -> Finding {
    let now = for_people(std::time::SystemTime::now());
    match system_clock_synced() {
        true => Finding::Works(format!("{now}, kept by the network's time")),
        false => Finding::Remark(format!(
            "{now}, and nobody has set it by the network yet: reports say `clock_synced: false`, and TLS may take certificates for not valid yet; `timedatectl` tells, and `timedatectl set-ntp true` lets it be set"
        )),
    }
}

pub(super) fn disk() -> Finding {
    let Some(folder) = state_dir_or_home() else {
        return Finding::Skipped(
            "there is no folder that outlives affectd: systemd gives the service one (StateDirectory), and by hand it is in HOME".to_owned(),
        );
    };
    // It is made at the first start.
    let there = folder
        .ancestors()
        .find(|folder| folder.exists())
        .unwrap_or(Path::new("/"));
    let shown = folder.display();
    let disk = match rustix::fs::statvfs(there) {
        Ok(disk) => disk,
        Err(error) => return Finding::Fails(Exit::Io, format!("{shown} cannot be looked at ({error})")),
    };
    let mib = |blocks: u64| blocks.saturating_mul(disk.f_frsize) >> 20;
    let (free, total) = (mib(disk.f_bavail), mib(disk.f_blocks));
    if disk.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return Finding::Remark(format!(
            "{shown} is on a disk that cannot be written: what waits for the broker is lost with the next restart; mount it writable"
        ));
    }
    if let Err(error) = rustix::fs::access(there, rustix::fs::Access::WRITE_OK) {
        return Finding::Remark(format!(
            "{} may not be written by whoever runs this ({error}); the service has a folder of its own (StateDirectory)",
            there.display()
        ));
    }
    if free < LEAST_DISK_MIB {
        return Finding::Remark(format!(
            "{free} of {total} MiB are free at {shown}: make room, or what waits for the broker is lost with the next restart"
        ));
    }
    Finding::Works(format!("{free} of {total} MiB are free at {shown}"))
}

/// How much memory is left.
pub(super) fn memory_left() -> anyhow::Result<String> {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let Some(mib) = available_mib(&text) else {
        return Ok("how much memory is left is not told".to_owned());
    };
    anyhow::ensure!(
        mib >= LEAST_MEMORY_MIB,
        "{mib} MiB of memory are left, and affectd takes about {LEAST_MEMORY_MIB}: end what else runs here"
    );
    Ok(format!("{mib} MiB are left"))
}

fn available_mib(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024)
}

#[cfg(test)]
mod tests {
    #[test]
    fn memory_that_is_left_is_read() {
        let text = "MemTotal:  8000000 kB\nMemFree: 1 kB\nMemAvailable:    2048000 kB\n";
        assert_eq!(super::available_mib(text), Some(2000));
        assert_eq!(super::available_mib("MemTotal: 1 kB\n"), None);
    }
}
