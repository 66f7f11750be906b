//! From stream time to wall time, at the edge and nowhere else.
//!
//! Windows are cut by the monotonic clock. Only when a window is reported its ends are dated, by the distance of
//! the two clocks at that moment. A wall clock that is set, forwards or backwards, moves no window and loses
//! none; the window in which it happened says `clock_synced: false`. A report that was dated before the wall clock was
//! known, and still waits when it is, is dated anew ([`Clocks`]).

use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

/// A distance that changes by more between two windows means that the wall clock was set.
const STEP: Duration = Duration::from_secs(1);

/// What the clocks show at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Moment {
    /// Time since the stream began.
    pub(crate) stream: Duration,
    /// Wall time.
    pub(crate) wall: SystemTime,
    /// Whether the system says that its wall clock is synchronised.
    pub(crate) synced: bool,
}

/// When a window was, in wall time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Dates {
    pub(crate) start: SystemTime,
    pub(crate) end: SystemTime,
    /// Whether the dates can be relied on.
    pub(crate) synced: bool,
}

/// Dates windows; remembers when stream time 0 was by the last dated window.
#[derive(Debug, Default)]
pub(crate) struct Calendar {
    epoch: Option<SystemTime>,
}

impl Calendar {
    /// Dates the window from `start` to `end` of stream time; `now` is the moment of dating.
    pub(crate) fn date(&mut self, start: Duration, end: Duration, now: Moment) -> Dates {
        let epoch = now.wall.checked_sub(now.stream).unwrap_or(SystemTime::UNIX_EPOCH);
        let was_set = self.epoch.is_some_and(|before| distance(before, epoch) > STEP);
        if was_set {
            log::warn!("The wall clock was set while affectd ran; windows go on by the monotonic clock.");
        }
        self.epoch = Some(epoch);
        Dates {
            start: epoch + start,
            end: epoch + end,
            synced: now.synced && !was_set,
        }
    }
}

fn distance(a: SystemTime, b: SystemTime) -> Duration {
    a.duration_since(b).unwrap_or_else(|error| error.duration())
}

/// The time of a stream: real, or that of the frames of a file that is played as fast as possible.
#[derive(Debug, Clone, Copy)]
pub(crate) enum StreamClock {
    /// Monotonic time since this moment.
    Real(Instant),
    /// The time of the last frame; the stream began at this wall time.
    Frames(SystemTime),
}

impl StreamClock {
    /// What the clocks show now; `last_frame` is the time of the newest frame.
    pub(crate) fn now(&self, last_frame: Duration) -> Moment {
        match self {
            Self::Real(origin) => Moment {
                stream: origin.elapsed(),
                wall: SystemTime::now(),
                synced: system_clock_synced(),
            },
            Self::Frames(began) => Moment {
                stream: last_frame,
                wall: *began + last_frame,
                synced: system_clock_synced(),
            },
        }
    }
}

/// Whether the kernel holds its wall clock to be synchronised, whoever keeps it; where the kernel may not be asked,
/// whether systemd's time synchronisation has reached a server since boot.
pub(crate) fn system_clock_synced() -> bool {
    affect_clock::is_synchronised()
        .unwrap_or_else(|_| Path::new("/run/systemd/timesync/synchronized").exists())
}

/// All clocks at one moment: by two of them dates that were given too early are mended, after a restart of the daemon,
/// too, as long as the machine was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clocks {
    pub(crate) wall: SystemTime,
    /// Time since the machine started.
    pub(crate) uptime: Duration,
    /// A random number of this start of the machine.
    pub(crate) boot: u64,
    /// Whether the wall clock can be relied on.
    pub(crate) synced: bool,
}

impl Clocks {
    /// What they show now.
    pub(crate) fn now() -> Self {
        let uptime = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Self {
            wall: SystemTime::now(),
            uptime: Duration::try_from(uptime).unwrap_or_default(),
            boot: machine_boot(),
            synced: system_clock_synced(),
        }
    }

    /// How long ago the moment `self` was. Over a restart of the machine only clocks that are set tell; without them it is
    /// as long at least as the machine runs.
    pub(crate) fn age(&self, now: &Self) -> Duration {
        if self.boot == now.boot {
            return now.uptime.saturating_sub(self.uptime);
        }
        let by_wall = now.wall.duration_since(self.wall).unwrap_or_default();
        match self.synced && now.synced {
            true => by_wall.max(now.uptime),
            false => now.uptime,
        }
    }

    /// A window's start and end, given by the clocks of `self`, as they are by the clocks of now. `None` if there is nothing
    /// to mend: they were right, it is still not known what time it is, or how long ago it was.
    pub(crate) fn mend(&self, start: &str, end: &str, now: &Self) -> Option<(String, String)> {
        if self.synced || !now.synced || self.boot != now.boot {
            return None;
        }
        let given = now.wall.checked_sub(self.age(now))?;
        let date = |text: &str| {
            let date = humantime::parse_rfc3339(text).ok()?;
            match given.duration_since(self.wall) {
                Ok(forwards) => date.checked_add(forwards),
                Err(backwards) => date.checked_sub(backwards.duration()),
            }
        };
        Some((rfc3339(date(start)?), rfc3339(date(end)?)))
    }
}

/// The kernel's random number of this start of the machine. Where it does not tell, one of this process, so that nothing
/// of before is taken for of now.
fn machine_boot() -> u64 {
    static BOOT: OnceLock<u64> = OnceLock::new();
    *BOOT.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let digits: String = text.chars().filter(char::is_ascii_hexdigit).take(16).collect();
        u64::from_str_radix(&digits, 16).unwrap_or_else(|_| getrandom::u64().unwrap_or_default())
    })
}

/// RFC 3339 in UTC with milliseconds.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time.max(SystemTime::UNIX_EPOCH)).to_string()
}

/// A time as people read it: that of the place, with its distance from UTC.
pub(crate) fn for_people(time: SystemTime) -> String {
    let zone = jiff::tz::TimeZone::system();
    in_zone(time, zone)
}

fn in_zone(time: SystemTime, zone: jiff::tz::TimeZone) -> String {
    let stamp = jiff::Timestamp::try_from(time).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    stamp.to_zoned(zone).strftime("%F %T %:z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn moment(stream: u64, wall: SystemTime) -> Moment {
        Moment {
            stream: seconds(stream),
            wall,
            synced: true,
        }
    }

    #[test]
    fn a_clock_that_steps_backwards_moves_no_window() {
        let began = SystemTime::UNIX_EPOCH + HOUR * 1000;
        let mut calendar = Calendar::default();
        let first = calendar.date(seconds(0), seconds(15), moment(15, began + seconds(15)));
        assert_eq!(
            (first.start, first.end, first.synced),
            (began, began + seconds(15), true)
        );
        let set_back = began + seconds(30) - HOUR;
        let second = calendar.date(seconds(15), seconds(30), moment(30, set_back));
        assert_eq!(second.end, set_back, "dated by the new clock");
        assert_eq!(
            second.end.duration_since(second.start).unwrap(),
            seconds(15),
            "and as long as ever"
        );
        assert!(!second.synced, "but not to be relied on");
        let third = calendar.date(seconds(30), seconds(45), moment(45, set_back + seconds(15)));
        assert_eq!(third.start, second.end);
        assert!(third.synced);
    }

    fn clocks(wall: SystemTime, boot: u64, after: u64, synced: bool) -> Clocks {
        let uptime = seconds(after);
        Clocks {
            wall,
            uptime,
            boot,
            synced,
        }
    }

    #[test]
    fn dates_given_before_the_clock_was_known_are_mended_when_it_is() {
        let boot = 7;
        let (early, today) = (
            SystemTime::UNIX_EPOCH + HOUR,
            SystemTime::UNIX_EPOCH + HOUR * 480_000,
        );
        let given = clocks(early, boot, 30, false);
        let (start, end) = (rfc3339(early - seconds(15)), rfc3339(early));
        let later = clocks(early + seconds(60), boot, 90, false);
        assert_eq!(given.mend(&start, &end, &later), None, "still not known");
        // A minute later it is known what time it is: the window ended a minute before.
        let expected = (rfc3339(today - seconds(75)), rfc3339(today - seconds(60)));
        let known = clocks(today, boot, 90, true);
        assert_eq!(given.mend(&start, &end, &known), Some(expected.clone()));
        // A clock that was ahead goes back.
        let ahead = clocks(today + HOUR, boot, 30, false);
        let (start, end) = (rfc3339(today + HOUR - seconds(15)), rfc3339(today + HOUR));
        assert_eq!(ahead.mend(&start, &end, &known), Some(expected));
        // After the machine was started again nobody knows how long ago that was.
        assert_eq!(ahead.mend(&start, &end, &clocks(today, 8, 90, true)), None);
    }

    #[test]
    fn an_age_outlives_the_daemon_and_with_a_clock_that_is_set_the_machine() {
        let today = SystemTime::UNIX_EPOCH + HOUR * 480_000;
        let given = clocks(today, 7, 100, true);
        // The wall clock was set meanwhile: that changes no age.
        assert_eq!(given.age(&clocks(today + HOUR, 7, 160, true)), seconds(60));
        assert_eq!(given.age(&clocks(today + HOUR, 8, 60, true)), HOUR);
        assert_eq!(given.age(&clocks(today + HOUR, 8, 60, false)), seconds(60));
        assert_eq!(
            clocks(today, 7, 100, false).age(&clocks(today + HOUR, 8, 60, true)),
            seconds(60)
        );
        assert_eq!(given.age(&clocks(today - HOUR, 8, 60, true)), seconds(60));
    }

    #[test]
    fn the_clocks_of_this_machine_go_on() {
        let before = Clocks::now();
        std::thread::sleep(Duration::from_millis(20));
        let now = Clocks::now();
        let age = before.age(&now);
        assert!(age >= Duration::from_millis(20) && age < seconds(10), "{age:?}");
        assert!(before.boot == now.boot && before.uptime > Duration::ZERO);
    }

    #[test]
    fn dates_that_were_right_are_left_alone() {
        let boot = 7;
        let wall = SystemTime::UNIX_EPOCH + HOUR * 480_000;
        let (given, stepped) = (clocks(wall, boot, 0, true), clocks(wall + HOUR, boot, 1, true));
        let (start, end) = (rfc3339(wall - seconds(15)), rfc3339(wall));
        assert_eq!(given.mend(&start, &end, &stepped), None);
    }

    #[test]
    fn a_clock_before_1970_does_no_harm() {
        let mut calendar = Calendar::default();
        let dates = calendar.date(
            seconds(0),
            seconds(15),
            moment(900, SystemTime::UNIX_EPOCH + seconds(20)),
        );
        assert!(dates.end > dates.start);
        assert_eq!(rfc3339(SystemTime::UNIX_EPOCH - HOUR), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn slewing_is_not_stepping() {
        let began = SystemTime::UNIX_EPOCH + HOUR;
        let mut calendar = Calendar::default();
        calendar.date(seconds(0), seconds(15), moment(15, began + seconds(15)));
        let slewed = began + seconds(30) + Duration::from_millis(400);
        assert!(calendar.date(seconds(15), seconds(30), moment(30, slewed)).synced);
    }

    #[test]
    fn people_read_the_time_of_their_place() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_785_542_400);
        let zone = |seconds: i32| {
            jiff::tz::TimeZone::fixed(jiff::tz::Offset::from_seconds(seconds).expect("an offset"))
        };
        assert_eq!(in_zone(time, zone(0)), "2026-08-01 00:00:00 +00:00");
        assert_eq!(in_zone(time, zone(7200)), "2026-08-01 02:00:00 +02:00");
        assert_eq!(in_zone(time, zone(-12600)), "2026-07-31 20:30:00 -03:30");
    }
}
