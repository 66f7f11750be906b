//! A camera as a source: opened in steps, drained to the newest frame, judged by its measured rate.

use std::time::{Duration, Instant};

use super::choose::Measured;
use super::{Agreed, Camera, CameraError, CameraSettings, Fault, Mode, OLDEST, Shot, Step, choose};
use crate::capture::pixels::{Layout, PixelFormat};
use crate::capture::rate::{Meter, Pacer};
use crate::capture::{Image, Next, Source, SourceError, patience};
use crate::jpeg;

/// The longest wait before the caller is asked whether to go on.
const NAP: Duration = Duration::from_millis(100);
/// How long a camera's rate is measured before it is judged.
const MEASURE: Duration = Duration::from_secs(4);
/// A camera that gives less than this part of what it promised is too slow.
const TOO_SLOW: f64 = 0.75;
/// Frames that are fetched at once at most, to come to the newest.
const DRAIN: usize = 8;
/// A camera that streams.
pub(crate) struct CameraSource<C> {
    settings: CameraSettings,
    /// `None` only while it is opened anew in another mode.
    camera: Option<C>,
    pub(super) mode: Mode,
    layout: Layout,
    measured: Vec<Measured>,
    /// A moment before all of its frames, from which their times count.
    epoch: Instant,
    last_good: Instant,
    pacer: Pacer,
    pub(super) meter: Meter,
    pub(super) judged: bool,
    /// Whether it has given a frame.
    gave: bool,
    /// Broken frames that are not told yet, and why the last one is broken.
    broken: (u64, &'static str),
}

impl<C: Camera> CameraSource<C> {
    /// Opens a camera and starts its stream.
    pub(crate) fn open(settings: &CameraSettings) -> Result<Self, CameraError> {
        Self::open_knowing(settings, Vec::new())
    }

    /// Opens a camera of which something was measured.
    fn open_knowing(settings: &CameraSettings, mut measured: Vec<Measured>) -> Result<Self, CameraError> {
        loop {
            let (camera, mode, started) = steps::<C>(settings, &measured)?;
            let layout = match started {
                Ok(layout) => layout,
                Err(error) => {
                    // No bandwidth for this mode: perhaps for another one.
                    let known = measured.iter().any(|(known, _)| *known == mode);
                    if !error.is_lack_of_bandwidth() || known {
                        return Err(error);
                    }
                    measured.push((mode, 0.0));
                    continue;
                }
            };
            let now = Instant::now();
            return Ok(Self {
                settings: settings.clone(),
                camera: Some(camera),
                mode,
                layout,
                measured,
                epoch: now.checked_sub(OLDEST).unwrap_or(now),
                last_good: now,
                pacer: Pacer::new(settings.wish.fps),
                meter: Meter::default(),
                judged: false,
                gave: false,
                broken: (0, ""),
            });
        }
    }

    fn image(&self, bytes: Vec<u8>) -> Image {
        let layout = self.layout;
        if layout.format == PixelFormat::Mjpg {
            let name = format!("a frame of {}", self.settings.path.display());
            Image::Encoded { bytes, name }
        } else {
            Image::Raw { layout, bytes }
        }
    }

    fn error(&self, step: Step, fault: Fault) -> SourceError {
        let path = self.settings.path.clone();
        CameraError { path, step, fault }.into()
    }

    /// After a while of streaming: is the camera as fast as it said? If not, and another mode may be faster, that is
    /// taken.
    fn judge(&mut self) -> Result<(), SourceError> {
        self.judged = true;
        let (path, rate) = (self.settings.path.display(), self.meter.fps());
        let wish = &self.settings.wish;
        log::debug!("Camera `{path}` gives {rate:.1} frames per second.");
        if rate >= self.mode.fps.min(wish.fps) * TOO_SLOW {
            return Ok(());
        }
        self.measured.retain(|(mode, _)| *mode != self.mode);
        self.measured.push((self.mode, rate));
        let offers = match &self.camera {
            Some(camera) => camera.list().map(|(offers, _)| offers).unwrap_or_default(),
            None => Vec::new(),
        };
        // A mode that was slow before, too, is not tried again for a little more.
        let known = |mode| self.measured.iter().find(|(known, _)| *known == mode);
        let better = |mode| known(mode).is_none_or(|(_, known)| *known > rate / TOO_SLOW);
        match choose(&offers, wish, &self.measured) {
            Some(other) if other != self.mode && better(other) => {
                log::info!(
                    "Camera `{path}` gives only {rate:.1} fps as {}, so {other} is tried.",
                    self.mode
                );
                self.camera = None;
                *self = Self::open_knowing(&self.settings, std::mem::take(&mut self.measured))?;
            }
            _ => log::warn!(
                "Camera `{path}` gives only {rate:.1} fps as {}; and none of its modes is known to be faster. More light shortens its exposure; a USB port of its own gives it bandwidth.",
                self.mode
            ),
        }
        Ok(())
    }

    /// Fetches the frames that wait, up to the newest. The newest whole one that is due is copied out of the camera's
    /// memory, in one go, since that may be uncached.
    fn drain(&mut self) -> Result<Option<(Vec<u8>, Instant)>, SourceError> {
        let mut newest: Option<(Vec<u8>, Instant)> = None;
        let (epoch, layout) = (self.epoch, self.layout);
        for _ in 0..DRAIN {
            let Some(camera) = &mut self.camera else { break };
            let (meter, pacer) = (&mut self.meter, &mut self.pacer);
            let (broken, last_good) = (&mut self.broken, &mut self.last_good);
            let read = camera.read(&mut |shot| {
                let now = Instant::now();
                let taken = shot.age.and_then(|age| now.checked_sub(age)).unwrap_or(now);
                let at = taken.saturating_duration_since(epoch);
                meter.count(at);
                pacer.note(at);
                if let Some(why) = flaw(&shot, &layout) {
                    *broken = (broken.0 + 1, why);
                    return;
                }
                *last_good = now;
                if pacer.is_due(at) {
                    let (bytes, when) = newest.get_or_insert_with(|| (Vec::new(), taken));
                    bytes.clear();
                    bytes.extend_from_slice(shot.bytes);
                    *when = taken;
                }
            });
            let more = read.and_then(|()| camera.wait(Duration::ZERO));
            if !more.map_err(|cause| self.error(Step::Read, Fault::System(cause)))? {
                break;
            }
        }
        Ok(newest)
    }
}

/// Why a frame cannot be used, if it cannot.
fn flaw(shot: &Shot<'_>, layout: &Layout) -> Option<&'static str> {
    if shot.damaged {
        Some("the driver marks it as damaged")
    } else if layout.format == PixelFormat::Mjpg {
        (!jpeg::has_start_and_end(shot.bytes)).then_some("it is no whole JPEG")
    } else {
        (shot.bytes.is_empty() || shot.bytes.len() < layout.least_bytes())
            .then_some("it is shorter than its size needs")
    }
}

/// The steps of opening. The last ones, from setting the mode on, may be done again in another mode.
type Opened<C> = (C, Mode, Result<Layout, CameraError>);

fn steps<C: Camera>(settings: &CameraSettings, measured: &[Measured]) -> Result<Opened<C>, CameraError> {
    let fail = |step, fault| CameraError {
        path: settings.path.clone(),
        step,
        fault,
    };
    let system = |step| move |cause| fail(step, Fault::System(cause));
    let mut camera = C::open(&settings.path).map_err(system(Step::Open))?;
    let identity = camera.identify().map_err(system(Step::Identify))?;
    if let Some(fault) = identity.fault() {
        return Err(fail(Step::Identify, fault));
    }
    let (offers, listed) = camera.list().map_err(system(Step::List))?;
    let Some(mode) = choose(&offers, &settings.wish, measured) else {
        let wish = settings.wish;
        return Err(fail(Step::Choose, Fault::NoFormat { listed, wish }));
    };
    let started = camera
        .set_format(&mode)
        .map_err(system(Step::SetFormat))
        .and_then(|agreed| layout(&mode, &agreed).map_err(|fault| fail(Step::SetFormat, fault)))
        .and_then(|layout| {
            if let Err(cause) = camera.set_rate(mode.fps) {
                log::debug!("Camera `{}` takes no rate: {cause}.", settings.path.display());
            }
            camera.map().map_err(system(Step::Buffers))?;
            camera.start().map_err(system(Step::Start))?;
            log::debug!(
                "Camera `{}` is {} (driver {}).",
                settings.path.display(),
                identity.name,
                identity.driver
            );
            Ok(layout)
        });
    Ok((camera, mode, started))
}

/// The layout of the frames that the driver agreed to. It may change the size, but not the format.
fn layout(mode: &Mode, agreed: &Agreed) -> Result<Layout, Fault> {
    if agreed.format != Some(mode.format) || agreed.width == 0 || agreed.height == 0 {
        return Err(Fault::OtherFormat {
            asked: mode.format.name().to_owned(),
            got: format!("{} {}×{} px", agreed.code, agreed.width, agreed.height),
        });
    }
    let size = |length: u32| length as usize;
    Ok(Layout::with_stride(
        mode.format,
        size(agreed.width),
        size(agreed.height),
        size(agreed.stride),
    ))
}

impl<C: Camera> Source for CameraSource<C> {
    fn next(&mut self) -> Result<Next, SourceError> {
        if let (count @ 1.., why) = std::mem::take(&mut self.broken) {
            return Ok(Next::Broken(count, why));
        }
        let ready = match &mut self.camera {
            Some(camera) => camera.wait(NAP),
            None => Ok(false),
        };
        let ready = ready.map_err(|cause| self.error(Step::Read, Fault::System(cause)))?;
        let newest = if ready { self.drain()? } else { None };
        let next = newest.map_or(Next::NotYet, |(bytes, taken)| {
            if !std::mem::replace(&mut self.gave, true) {
                log::info!("Camera `{}` gives {}.", self.settings.path.display(), self.mode);
            }
            self.pacer.take(taken.saturating_duration_since(self.epoch));
            Next::Taken(self.image(bytes), taken)
        });
        let patience = patience(
            self.settings.frame_timeout,
            self.mode.fps.min(self.settings.wish.fps),
        );
        if self.last_good.elapsed() > patience {
            return Err(self.error(Step::Read, Fault::Silent { patience }));
        }
        if !self.judged && self.meter.time() >= MEASURE {
            self.judge()?;
        }
        Ok(next)
    }

    fn rewind(&mut self) -> Result<(), SourceError> {
        // A camera has no beginning to go back to.
        Ok(())
    }
}
