//! The spool with its keeper, in simulated time, through deaths of the daemon and cuts of the power.
#![allow(clippy::unwrap_used)] // a test that fails shall say where

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::segments::files;
use super::*;

const SECOND: Duration = Duration::from_secs(1);
/// Length of a window.
const STEP: Duration = Duration::from_secs(15);

/// A machine: a disk, memory that outlives the daemon, a clock, and maybe a daemon.
struct Machine {
    folder: tempfile::TempDir,
    limits: Limits,
    now: Clocks,
    spool: Spool,
    keeper: Keeper,
    seq: u64,
}

impl Machine {
    fn new() -> Self {
        Self::with(Limits {
            age: Duration::from_secs(72 * 3600),
            size: 32 << 20,
        })
    }

    fn with(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now = Clocks {
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
            uptime: Duration::from_secs(100),
            boot: 1,
            synced: true,
        };
        let keeper = Keeper::new(place(folder.path()), limits);
        let mut machine = Self {
            folder,
            limits,
            now,
            spool: Spool::new(limits),
            keeper,
            seq: 0,
        };
        machine.keep();
        machine
    }

    fn state(&self) -> PathBuf {
        place(self.folder.path()).state
    }

    fn runtime(&self) -> PathBuf {
        place(self.folder.path()).runtime.unwrap()
    }

    fn pass(&mut self, time: Duration) {
        self.now.wall += time;
        self.now.uptime += time;
    }

    /// One round of the keeper.
    fn keep(&mut self) {
        self.round(false);
    }

    fn round(&mut self, all: bool) {
        let work = self.spool.plan(&self.now, all);
        let done = self.keeper.work(work, &self.now);
        self.spool.done(done, &self.now);
    }

    /// A window ends.
    fn window(&mut self) {
        let window = window(self.seq, self.now);
        self.seq += 1;
        self.spool.push(window, &self.now);
    }

    fn windows(&mut self, count: u64) {
        (0..count).for_each(|_| self.window());
    }

    /// The daemon dies and is started again.
    fn kill(&mut self) {
        // Whoever dies gives its lock back first.
        self.keeper = Keeper::new(place(Path::new("/nonexistent")), self.limits);
        self.keeper = Keeper::new(place(self.folder.path()), self.limits);
        self.spool = Spool::new(self.limits);
        self.keep();
    }

    /// So does the machine. What was synced is on the disk; what was in memory is gone.
    fn cut_power(&mut self) {
        fs::remove_dir_all(self.runtime()).unwrap();
        self.now.boot += 1;
        self.now.uptime = SECOND;
        self.kill();
    }

    /// The numbers of the windows that wait, as they would go out.
    fn waiting(&mut self) -> Vec<u64> {
        let mut numbers = Vec::new();
        while let Some((_, window)) = self.spool.first(&self.now) {
            numbers.push(seq(window));
            self.spool.take();
        }
        self.spool.put_all_back();
        numbers
    }

    /// Sends the oldest window, and the broker takes it.
    fn deliver(&mut self) -> Option<u64> {
        self.spool.first(&self.now)?;
        let (version, window) = self.spool.take()?;
        self.spool.settle(version, Settled::Acknowledged, &self.now);
        Some(seq(&window))
    }

    fn look(&self) -> Look {
        look(&place(self.folder.path()), self.limits.size).unwrap()
    }

    /// Files with windows on the disk.
    fn files(&self) -> Vec<PathBuf> {
        let files = files(&self.state().join(keeper::WAITING)).unwrap();
        files.into_iter().map(|(_, path)| path).collect()
    }
}

fn place(folder: &Path) -> Place {
    Place {
        state: folder.join("state/spool"),
        runtime: Some(folder.join("run/spool")),
    }
}

fn window(seq: u64, given: Clocks) -> Window {
    Window {
        topic: "affectd/site/device/door/window".to_owned(),
        report: format!("{{\"seq\":{seq},\"text\":\"{}\"}}", "x".repeat(850)).into_bytes(),
        given,
    }
}

fn seq(window: &Window) -> u64 {
    let report: serde_json::Value = serde_json::from_slice(&window.report).unwrap();
    report["seq"].as_u64().unwrap()
}

/// What this thread has worked, however busy the machine is.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap()
}

fn numbers(range: std::ops::Range<u64>) -> Vec<u64> {
    range.collect()
}

#[test]
fn a_window_stays_until_it_is_acknowledged_and_an_answer_to_nothing_changes_nothing() {
    let mut machine = Machine::new();
    machine.windows(3);
    let now = machine.now;
    let spool = &mut machine.spool;
    spool.settle(1, Settled::Acknowledged, &now);
    assert_eq!(spool.summary().undelivered, 3);
    spool.first(&now);
    let (version, _) = spool.take().unwrap();
    assert!(spool.is_oldest(version) && spool.in_flight() == 1);
    spool.put_all_back();
    assert_eq!(
        machine.waiting(),
        [0, 1, 2],
        "a connection that broke takes nothing away"
    );
    assert_eq!(machine.deliver(), Some(0));
    assert_eq!(machine.waiting(), [1, 2]);
    machine.spool.first(&now);
    let (version, _) = machine.spool.take().unwrap();
    machine.spool.settle(version, Settled::Refused(0x95), &now);
    let summary = machine.spool.summary();
    assert_eq!(
        (summary.acknowledged, summary.refused, summary.undelivered),
        (1, 1, 1)
    );
}

#[test]
fn a_daemon_that_dies_loses_nothing_and_sends_nothing_again_that_was_taken() {
    let mut machine = Machine::new();
    for round in 0..30 {
        machine.windows(7);
        machine.pass(STEP * 7);
        if round % 3 == 0 {
            machine.keep();
        }
        for _ in 0..round % 5 {
            machine.deliver();
        }
        let waiting = machine.waiting();
        assert_eq!(
            machine.look().waiting.iter().map(seq).collect::<Vec<_>>(),
            waiting
        );
        machine.kill();
        assert_eq!(machine.waiting(), waiting, "round {round}");
        machine.keep();
    }
    assert_eq!(machine.spool.summary().damaged, 0);
}

#[test]
fn a_power_cut_loses_twenty_windows_or_five_minutes_at_most() {
    let mut machine = Machine::new();
    machine.windows(UNSYNCED as u64 - 1);
    machine.keep();
    machine.cut_power();
    assert!(machine.waiting().is_empty(), "not yet on the disk");
    machine.seq = 0;
    machine.windows(UNSYNCED as u64);
    assert!(machine.spool.needs_the_keeper());
    machine.keep();
    machine.windows(3);
    machine.cut_power();
    assert_eq!(machine.waiting(), numbers(0..20));
    machine.windows(1);
    machine.pass(UNSYNCED_FOR - SECOND);
    machine.keep();
    assert_eq!(machine.spool.in_memory, 1);
    machine.pass(SECOND);
    machine.keep();
    machine.cut_power();
    assert_eq!(machine.waiting(), [numbers(0..20), vec![23]].concat());
}

#[test]
fn what_is_delivered_soon_costs_the_disk_nothing() {
    let mut machine = Machine::new();
    for _ in 0..5760 {
        machine.window();
        machine.pass(SECOND);
        machine.keep();
        machine.deliver();
        machine.pass(STEP - SECOND);
        machine.keep();
    }
    assert_eq!(machine.files(), Vec::<PathBuf>::new());
    // And the memory little.
    let length = fs::metadata(machine.runtime().join("fresh")).unwrap().len();
    assert!(length < 300 << 10, "{length}");
    // After an outage all is gone, too.
    machine.windows(100);
    machine.keep();
    assert_eq!(machine.files().len(), 1);
    while machine.deliver().is_some() {}
    machine.keep();
    assert_eq!(machine.files(), Vec::<PathBuf>::new());
    assert_eq!(machine.spool.summary().acknowledged, 5860);
}

#[test]
fn a_clean_end_puts_all_on_the_disk() {
    let mut machine = Machine::new();
    machine.windows(3);
    machine.deliver();
    machine.round(true);
    machine.cut_power();
    assert_eq!(machine.waiting(), [1, 2]);
}

#[test]
fn whatever_byte_is_bad_at_most_its_window_is_lost() {
    let mut machine = Machine::new();
    machine.windows(3);
    machine.round(true);
    machine.windows(2);
    let on_disk = machine.files().remove(0);
    for path in [on_disk, machine.runtime().join("fresh")] {
        let whole = fs::read(&path).unwrap();
        let fresh = machine.runtime().join("fresh");
        let kept = fs::read(&fresh).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&fresh, &kept).unwrap();
            fs::write(&path, &bytes).unwrap();
            machine.kill();
            let waiting = machine.waiting();
            // The first record in memory says what is settled; without it nothing is lost.
            assert!(
                waiting.len() >= 4 && waiting.is_sorted(),
                "byte {at}: {waiting:?}"
            );
            assert_eq!(machine.spool.summary().damaged, 1, "byte {at}");
            // And it goes on.
            machine.seq = 5;
            machine.window();
            assert_eq!(machine.waiting().last(), Some(&5));
        }
        fs::write(&fresh, &kept).unwrap();
        fs::write(&path, &whole).unwrap();
        machine.kill();
        assert_eq!(machine.waiting(), numbers(0..5));
    }
}

#[test]
fn a_window_that_goes_bad_while_it_waits_is_left_out() {
    let mut machine = Machine::new();
    machine.windows(3);
    machine.round(true);
    let path = machine.files().remove(0);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(machine.waiting(), [0, 2]);
    assert_eq!(machine.spool.summary().damaged, 1);
}

#[test]
fn a_disk_that_is_not_there_holds_up_nothing_and_is_used_when_it_is() {
    let mut machine = Machine::new();
    let state = machine.folder.path().join("state");
    fs::remove_dir_all(&state).unwrap();
    // Nothing can be made below a file, not even by root.
    fs::write(&state, "").unwrap();
    machine.kill();
    machine.windows(IN_MEMORY as u64 + 5);
    machine.pass(STEP);
    machine.keep();
    assert!(!machine.spool.summary().kept && machine.spool.summary().dropped == 5);
    assert_eq!(machine.deliver(), Some(5), "it goes out all the same");
    fs::remove_file(&state).unwrap();
    machine.pass(STEP);
    machine.keep();
    machine.pass(STEP);
    machine.keep();
    assert!(machine.spool.summary().kept);
    machine.cut_power();
    assert_eq!(machine.waiting(), numbers(6..IN_MEMORY as u64 + 5));
}

#[test]
fn a_disk_that_comes_late_has_the_older_windows() {
    let mut machine = Machine::new();
    machine.windows(30);
    machine.round(true);
    let (state, aside) = (
        machine.folder.path().join("state"),
        machine.folder.path().join("aside"),
    );
    fs::rename(&state, &aside).unwrap();
    fs::write(&state, "").unwrap();
    machine.cut_power();
    machine.windows(3);
    machine.spool.first(&machine.now);
    let (version, _) = machine.spool.take().unwrap();
    fs::remove_file(&state).unwrap();
    fs::rename(&aside, &state).unwrap();
    machine.pass(STEP);
    machine.keep();
    // The one that is on its way arrives.
    machine.spool.settle(version, Settled::Acknowledged, &machine.now);
    let expected = [numbers(0..30), vec![31, 32]].concat();
    assert_eq!(machine.waiting(), expected);
    machine.kill();
    assert_eq!(machine.waiting(), expected);
}

#[test]
fn a_folder_that_somebody_removes_is_made_again() {
    let mut machine = Machine::new();
    machine.windows(30);
    machine.keep();
    fs::remove_dir_all(machine.state()).unwrap();
    fs::remove_dir_all(machine.runtime()).unwrap();
    machine.windows(30);
    machine.keep();
    assert_eq!(machine.waiting(), numbers(0..60), "while it runs nothing is lost");
    machine.windows(1);
    machine.kill();
    assert_eq!(machine.waiting(), numbers(30..61));
}

#[test]
fn a_full_spool_drops_the_oldest_and_counts_them() {
    let mut machine = Machine::with(Limits {
        age: Duration::from_secs(720 * 3600),
        size: 1 << 20,
    });
    for _ in 0..200 {
        machine.windows(10);
        machine.pass(STEP * 10);
        machine.keep();
    }
    let waiting = machine.waiting();
    let dropped = machine.spool.summary().dropped;
    assert_eq!(waiting, numbers(dropped..2000));
    let bytes: u64 = machine
        .files()
        .iter()
        .map(|path| fs::metadata(path).unwrap().len())
        .sum();
    assert!(
        bytes <= 1 << 20 && waiting.len() > 1000,
        "{bytes} bytes, {} windows",
        waiting.len()
    );
    machine.kill();
    assert_eq!(machine.waiting(), waiting);
    // Those on their way may arrive, so they are not among the dropped.
    machine.spool.first(&machine.now);
    let (version, _) = machine.spool.take().unwrap();
    for _ in 0..200 {
        machine.windows(10);
        machine.keep();
    }
    machine.spool.settle(version, Settled::Acknowledged, &machine.now);
    assert_eq!(machine.spool.summary().acknowledged, 1);
    let summary = machine.spool.summary();
    assert_eq!(
        summary.dropped + summary.undelivered + 1,
        waiting.len() as u64 + 2000
    );
}

#[test]
fn what_is_too_old_goes_whether_the_machine_was_started_again_or_not() {
    let mut machine = Machine::new();
    machine.windows(30);
    machine.keep();
    machine.pass(machine.limits.age - STEP);
    machine.window();
    machine.kill();
    assert_eq!(machine.waiting().len(), 31);
    machine.pass(STEP);
    machine.keep();
    assert_eq!(machine.waiting(), [30]);
    machine.round(true);
    machine.cut_power();
    assert_eq!(machine.waiting(), [30]);
    machine.now.wall += machine.limits.age;
    machine.keep();
    assert!(machine.waiting().is_empty());
    assert_eq!(machine.files(), Vec::<PathBuf>::new());
}

#[test]
fn what_is_refused_for_good_is_set_aside_on_the_disk_and_not_for_ever() {
    let mut machine = Machine::new();
    for _ in 0..20 {
        machine.windows(100);
        for _ in 0..100 {
            machine.spool.first(&machine.now);
            let (version, _) = machine.spool.take().unwrap();
            machine
                .spool
                .settle(version, Settled::Refused(0x99), &machine.now);
        }
        machine.keep();
    }
    assert!(machine.waiting().is_empty());
    assert_eq!(machine.spool.summary().refused, 2000);
    let look = machine.look();
    // The newest that fit in, each with its reason.
    let refused: Vec<u64> = look.refused.iter().map(|(_, window)| seq(window)).collect();
    assert!(look.refused.iter().all(|(code, _)| *code == 0x99));
    assert!(
        look.bytes <= keeper::REFUSED_SIZE && refused.len() > 900,
        "{}",
        refused.len()
    );
    assert!(refused.is_sorted() && refused.last() == Some(&1999));
    machine.cut_power();
    machine.pass(machine.limits.age);
    machine.keep();
    machine.keep();
    assert!(machine.look().refused.is_empty());
}

#[test]
fn nobody_else_may_read_it_and_two_daemons_do_not_share_it() {
    let mut machine = Machine::new();
    machine.windows(30);
    machine.keep();
    let mut paths = vec![machine.state(), machine.runtime()];
    while let Some(path) = paths.pop() {
        let data = fs::metadata(&path).unwrap();
        let mode = if data.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(data.permissions().mode() & 0o777, mode, "{}", path.display());
        if data.is_dir() {
            paths.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    let mut second = Spool::new(machine.limits);
    let mut keeper = Keeper::new(place(machine.folder.path()), machine.limits);
    let done = keeper.work(second.plan(&machine.now, false), &machine.now);
    second.done(done, &machine.now);
    assert!(!second.summary().kept && second.summary().undelivered == 0);
}

#[test]
fn a_day_without_a_broker_is_kept_in_little_memory_and_goes_out_in_order() {
    let mut machine = Machine::new();
    let began = cpu_time();
    for number in 0..5760 {
        machine.window();
        machine.pass(STEP);
        machine.keep();
        match number % 500 {
            17 => machine.kill(),
            // At a moment when all is on the disk.
            0 if number > 0 => {
                machine.round(true);
                machine.cut_power();
            }
            _ => {}
        }
        assert!(machine.spool.in_memory <= UNSYNCED);
    }
    let mut expected = 0;
    while let Some(seq) = machine.deliver() {
        assert_eq!(seq, expected);
        expected += 1;
        if expected % 700 == 0 {
            machine.kill();
        }
    }
    assert_eq!(expected, 5760);
    machine.keep();
    assert_eq!(machine.files(), Vec::<PathBuf>::new());
    let took = cpu_time() - began;
    assert!(took < Duration::from_secs(30), "{took:?}");
}

#[test]
fn through_any_deaths_and_power_cuts_nothing_is_lost_but_what_was_not_synced() {
    for seed in 1..40u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut dice = |sides: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % sides
        };
        let mut machine = Machine::new();
        let mut delivered = Vec::new();
        let mut lost = Vec::new();
        for _ in 0..300 {
            match dice(20) {
                0..8 => machine.windows(dice(4) + 1),
                8..12 => (0..dice(12)).for_each(|_| delivered.extend(machine.deliver())),
                12..16 => machine.keep(),
                16 => machine.pass(STEP * 30),
                17 => machine.kill(),
                18 => {
                    // On its way, and nobody knows whether it arrived.
                    if machine.spool.first(&machine.now).is_some() {
                        let (_, window) = machine.spool.take().unwrap();
                        delivered.push(seq(&window));
                    }
                }
                _ => {
                    // The keeper comes at once when it is called.
                    machine.keep();
                    let before = machine.waiting();
                    machine.cut_power();
                    let after = machine.waiting();
                    let gone: Vec<u64> = before.into_iter().filter(|seq| !after.contains(seq)).collect();
                    assert!(gone.len() < UNSYNCED, "seed {seed}: {gone:?}");
                    lost.extend(gone);
                }
            }
        }
        while let Some(seq) = machine.deliver() {
            delivered.push(seq);
        }
        for seq in 0..machine.seq {
            assert!(
                delivered.contains(&seq) || lost.contains(&seq),
                "seed {seed}: {seq} of {} is lost",
                machine.seq
            );
        }
        assert_eq!(machine.spool.summary().damaged, 0, "seed {seed}");
    }
}
