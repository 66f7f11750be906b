//! What the threads tell of themselves and what the board asks of the camera: the only thing that pipeline, publisher
//! and board share. Plain numbers without locks, so that no thread ever waits here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::aiming::Aiming;
use crate::count::Count;
use crate::latency::Latencies;

/// Full frame rate, in thousandths.
const FULL: u32 = 1000;

/// A thread whose standstill would stop the daemon's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Capture,
    Vision,
    Group,
    Publish,
}

impl Stage {
    pub(crate) const ALL: [Self; 4] = [Self::Capture, Self::Vision, Self::Group, Self::Publish];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Vision => "vision",
            Self::Group => "group",
            Self::Publish => "publish",
        }
    }
}

/// Who wants that nobody is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum PausedBy {
    /// The button at the device.
    Button = 1,
    /// A command over MQTT.
    Command = 2,
}

/// Where one run of the daemon stands.
#[derive(Debug)]
pub(crate) struct Progress {
    origin: Instant,
    /// When each stage last came round, in milliseconds since `origin`.
    beats: [AtomicU64; 4],
    /// Frames that the source gave whole.
    pub(crate) captured: Count,
    /// Frames that vision looked at. How many these are depends on who is in them: never told while the camera runs.
    pub(crate) looked_at: Count,
    /// Frames that came broken from the camera.
    pub(crate) damaged: Count,
    /// Frames in which somebody's expression was read: every network has run.
    pub(crate) read: Count,
    /// Frames that could not be decoded or looked at.
    pub(crate) broken: Count,
    /// Frames that were replaced by a newer one before vision could look.
    pub(crate) replaced: Count,
    /// Frames that were left out to keep the board cool.
    pub(crate) left_out: Count,
    /// Frames for which a file that is played in real time was read too slowly.
    pub(crate) late: Count,
    /// How long the frames of published windows took.
    pub(crate) latency: Latencies,
    /// Whether somebody aims the camera, and what is seen then.
    pub(crate) aiming: Aiming,
    /// Who wants a pause, a bit for each.
    paused: AtomicU8,
    /// How often a pause began.
    interruptions: Count,
    /// How often a pause by command ended, and how many of these the group thread has heeded.
    resumptions: Count,
    heeded: Count,
    /// Reports of this run.
    pub(crate) reports: Count,
    /// Whether the pipeline is to end, to begin again by another configuration.
    halted: AtomicBool,
    /// Up to when a file was played, and when it last started again, in microseconds of the stream.
    played: Count,
    rewound: Count,
    /// When the present stream began, in microseconds of the run.
    began: Count,
    /// Part of the frames that is taken, in thousandths.
    rate: AtomicU32,
    /// Somebody asks for the end of all runs: a signal.
    asked: Arc<AtomicBool>,
    /// This run ends for a reason of its own.
    ended: AtomicBool,
}

impl Progress {
    /// A run that begins now and ends when `asked` is set, or [`Self::ended`].
    pub(crate) fn new(asked: Arc<AtomicBool>) -> Self {
        Self {
            origin: Instant::now(),
            beats: Default::default(),
            captured: Count::default(),
            looked_at: Count::default(),
            damaged: Count::default(),
            read: Count::default(),
            broken: Count::default(),
            replaced: Count::default(),
            left_out: Count::default(),
            late: Count::default(),
            latency: Latencies::default(),
            aiming: Aiming::default(),
            paused: AtomicU8::new(0),
            interruptions: Count::default(),
            resumptions: Count::default(),
            heeded: Count::default(),
            reports: Count::default(),
            halted: AtomicBool::new(false),
            played: Count::default(),
            rewound: Count::default(),
            began: Count::default(),
            rate: AtomicU32::new(FULL),
            asked,
            ended: AtomicBool::new(false),
        }
    }

    /// Whether the run is to end.
    pub(crate) fn is_ending(&self) -> bool {
        self.asked.load(Relaxed) || self.ended.load(Relaxed)
    }

    /// The flag that ends this run, and none that follows it in the same process.
    pub(crate) fn ended(&self) -> &AtomicBool {
        &self.ended
    }

    /// Time since the run began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A stage says that it has come round once more, with or without work.
    pub(crate) fn beat(&self, stage: Stage) {
        self.beats[stage as usize].store(self.now(), Relaxed);
    }

    /// How long a stage has not come round.
    pub(crate) fn silence(&self, stage: Stage) -> Duration {
        let last = self.beats[stage as usize].load(Relaxed);
        Duration::from_millis(self.now().saturating_sub(last))
    }

    /// Whether nobody may be looked at.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Relaxed) != 0
    }

    /// Whether `by` wants a pause.
    pub(crate) fn is_paused_by(&self, by: PausedBy) -> bool {
        self.paused.load(Relaxed) & by as u8 != 0
    }

    /// Begins or ends the pause that `by` wants. Nobody is looked at while anybody wants one.
    pub(crate) fn set_paused(&self, by: PausedBy, paused: bool) {
        let bit = by as u8;
        let before = match paused {
            true => self.paused.fetch_or(bit, Relaxed),
            false => self.paused.fetch_and(!bit, Relaxed),
        };
        if before == 0 && paused {
            self.aiming.end();
            self.interruptions.add_one();
        }
        if before & bit != 0 && !paused && by == PausedBy::Command {
            self.resumptions.add_one();
        }
    }

    /// Whether a pause by command has ended that nobody has heeded yet: whoever sends commands must not choose the moment of
    /// a report. True once, also if the pipeline began again in between.
    pub(crate) fn heed_resumption(&self) -> bool {
        let count = self.resumptions.get();
        let new = count != self.heeded.get();
        self.heeded.set(count);
        new
    }

    /// The pipeline is to end, and to begin again by another configuration.
    pub(crate) fn halt(&self) {
        self.halted.store(true, Relaxed);
    }

    /// Whether the pipeline is to end, for whatever reason.
    pub(crate) fn ends(&self) -> bool {
        self.halted.load(Relaxed) || self.is_ending()
    }

    /// The pipeline begins again: a stream of its own, without a frame yet. Its threads may take so long to come round.
    pub(crate) fn begin_again(&self, patience: Duration) {
        self.halted.store(false, Relaxed);
        self.excuse(patience);
        self.set_played(Duration::ZERO);
        self.set_rewound(Duration::ZERO);
        self.set_stream_began(Instant::now());
    }

    /// The stream began at this moment.
    pub(crate) fn set_stream_began(&self, at: Instant) {
        let began = at.saturating_duration_since(self.origin);
        self.began.set(u64::try_from(began.as_micros()).unwrap_or(0));
    }

    /// The time of the run at which the present stream began.
    pub(crate) fn stream_began(&self) -> Duration {
        Duration::from_micros(self.began.get())
    }

    /// The pipeline's threads may take so long to come round.
    pub(crate) fn excuse(&self, patience: Duration) {
        let until = self.now() + u64::try_from(patience.as_millis()).unwrap_or(0);
        for stage in [Stage::Capture, Stage::Vision, Stage::Group] {
            self.beats[stage as usize].store(until, Relaxed);
        }
    }

    /// How often a pause began: whoever follows people must begin anew.
    pub(crate) fn interruptions(&self) -> u64 {
        self.interruptions.get()
    }

    /// Up to when of the stream a file was played, pictures that could not be read included.
    pub(crate) fn played(&self) -> Duration {
        Duration::from_micros(self.played.get())
    }

    pub(crate) fn set_played(&self, until: Duration) {
        self.played
            .set(u64::try_from(until.as_micros()).unwrap_or(u64::MAX));
    }

    /// When of the stream a recording last started again; 0 if it never did.
    pub(crate) fn rewound(&self) -> Duration {
        Duration::from_micros(self.rewound.get())
    }

    pub(crate) fn set_rewound(&self, at: Duration) {
        self.rewound
            .set(u64::try_from(at.as_micros()).unwrap_or(u64::MAX));
    }

    /// The part of the frames that is taken, 0..1.
    pub(crate) fn rate(&self) -> f64 {
        f64::from(self.rate.load(Relaxed)) / f64::from(FULL)
    }

    pub(crate) fn set_rate(&self, rate: f64) {
        self.rate
            .store((rate.clamp(0.0, 1.0) * f64::from(FULL)).round() as u32, Relaxed);
    }

    /// Whether frame `number` is among those that are taken at the present rate; counts it if not. The frames that
    /// are taken lie as evenly as they can.
    pub(crate) fn takes(&self, number: u64) -> bool {
        let rate = u128::from(self.rate.load(Relaxed));
        let taken = |frames: u128| frames * rate / u128::from(FULL);
        let takes = taken(u128::from(number) + 1) > taken(u128::from(number));
        if !takes {
            self.left_out.add_one();
        }
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress() -> Progress {
        Progress::new(Arc::default())
    }

    #[test]
    fn every_frame_is_taken_until_somebody_asks_for_less() {
        let progress = progress();
        assert!((0..1000).all(|number| progress.takes(number)));
        assert_eq!(progress.left_out.get(), 0);
    }

    #[test]
    fn what_is_taken_lies_evenly() {
        for (rate, gaps) in [(0.5, 2..=2), (0.75, 1..=2), (0.3, 3..=4), (0.2, 5..=5)] {
            let progress = progress();
            progress.set_rate(rate);
            let taken: Vec<u64> = (0..1000).filter(|number| progress.takes(*number)).collect();
            assert_eq!(taken.len() as f64, 1000.0 * rate);
            assert!(
                taken.windows(2).all(|pair| gaps.contains(&(pair[1] - pair[0]))),
                "{rate}"
            );
            assert_eq!(progress.left_out.get(), 1000 - taken.len() as u64);
        }
    }

    #[test]
    fn only_who_comes_round_is_not_silent() {
        let progress = progress();
        std::thread::sleep(Duration::from_millis(30));
        progress.beat(Stage::Capture);
        assert!(progress.silence(Stage::Capture) < progress.silence(Stage::Vision));
        assert!(progress.silence(Stage::Vision) >= Duration::from_millis(25));
    }
}
