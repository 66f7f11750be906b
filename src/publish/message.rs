//! A message on its way: what it says, and when it was dated.

use std::time::Duration;

use affect_core::report::{CameraState, WindowReport};

use super::spool::Window;
use crate::clock::Clocks;

/// A message on its way.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Payload,
    pub(super) kind: Kind,
    /// Tells it from any other.
    pub(super) version: u64,
}

/// What a message says.
#[derive(Debug, Clone)]
pub(super) enum Payload {
    Bytes(Vec<u8>),
    /// Written when it goes out, since it may have to be dated anew; with the clocks by which it was dated.
    Dated(Box<Dated>, Clocks),
    /// As it waited in the spool; the same.
    Window(Window),
}

/// What has dates.
#[derive(Debug, Clone)]
pub(super) enum Dated {
    Report(WindowReport),
    State(CameraState),
}

impl Payload {
    /// What has just been dated.
    pub(super) fn dated(what: Dated) -> Self {
        Self::Dated(Box::new(what), Clocks::now())
    }

    /// Whether the clock was not known when it was dated.
    pub(super) fn is_dated_too_early(&self) -> bool {
        matches!(self, Self::Dated(_, given) if !given.synced)
    }

    /// How long it has waited.
    pub(super) fn age(&self, now: &Clocks) -> Duration {
        match self {
            Self::Bytes(_) => Duration::ZERO,
            Self::Dated(_, given) | Self::Window(Window { given, .. }) => given.age(now),
        }
    }

    /// As it goes out now.
    pub(super) fn bytes(&self, now: &Clocks) -> serde_json::Result<Vec<u8>> {
        let (what, given) = match self {
            Self::Bytes(bytes) => return Ok(bytes.clone()),
            Self::Dated(what, given) => (&**what, given),
            // The same bytes each time, but where the dates are mended.
            Self::Window(Window { report, given, .. }) if given.synced || !now.synced => {
                return Ok(report.clone());
            }
            Self::Window(Window { report, given, .. }) => {
                return mended(&serde_json::from_slice(report)?, given, now);
            }
        };
        match what {
            Dated::Report(report) => mended(report, given, now),
            Dated::State(state) => match given.mend(&state.since, &state.since, now) {
                None => serde_json::to_vec(state),
                Some((since, _)) => serde_json::to_vec(&CameraState {
                    since,
                    ..state.clone()
                }),
            },
        }
    }
}

/// A report as it goes out now.
fn mended(report: &WindowReport, given: &Clocks, now: &Clocks) -> serde_json::Result<Vec<u8>> {
    match given.mend(&report.start, &report.end, now) {
        None => serde_json::to_vec(report),
        Some((start, end)) => serde_json::to_vec(&WindowReport {
            start,
            end,
            clock_synced: true,
            ..report.clone()
        }),
    }
}

/// How much a message matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Kept by the broker for whoever comes later, and sent again on every connection. QoS 1.
    Retained,
    /// Kept by us until the broker has acknowledged it. QoS 1.
    Window,
    /// Worth nothing later. QoS 0.
    Passing,
    /// An answer to a command. QoS 1, but not kept for long.
    Answer,
}
