//! A real camera, by the `v4l` crate. What is odd about the crate is kept in here; `docs/decisions/0006` says why.

use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};
use v4l::buffer::{Flags, Metadata, Type};
use v4l::capability::Flags as Capability;
use v4l::device::Handle;
use v4l::frameinterval::FrameIntervalEnum;
use v4l::framesize::FrameSizeEnum;
use v4l::io::mmap::Stream;
use v4l::io::traits::{CaptureStream, Stream as _};
use v4l::video::Capture;
use v4l::video::capture::Parameters;
use v4l::{Device, Format, FourCC, Fraction};

use super::choose::{Mode, Offer, Size};
use super::{Agreed, Camera, Identity, OLDEST, STUCK, Shot};
use crate::capture::pixels::PixelFormat;

/// Buffers that are asked for. The driver fills some while one is read.
const BUFFERS: u32 = 4;
/// Of the event mask of `poll`: there is something to read.
const POLLIN: i16 = 1;

/// An open camera. Dropping it stops the stream, unmaps the buffers and closes the file.
pub(crate) struct V4l2 {
    // Before the device: it is dropped first.
    stream: Option<Running>,
    device: Option<Device>,
}

/// A stream that was started.
struct Running {
    stream: Stream<'static>,
    handle: Arc<Handle>,
    /// Whether a buffer was fetched already. `Stream::next` gives one back before it fetches one, so the first must be
    /// fetched without it, and is lost.
    has_buffer: bool,
}

/// Whether a stream could not be stopped, so that its device stays open until this process ends.
static HELD: AtomicBool = AtomicBool::new(false);

/// Whether a stream may be dropped after it was asked to stop. The crate panics if it cannot stop a stream that it drops;
/// unwinding, it drops the buffers, which cannot be freed while the stream runs, and panics again: that would end the
/// process at once. ENODEV is expected, and taken calmly.
fn may_be_dropped(stopped: &io::Result<()>) -> bool {
    match stopped {
        Ok(()) => true,
        Err(error) => Errno::from_io_error(error) == Some(Errno::NODEV),
    }
}

/// The crate panics where a driver tells something that it does not know, or where cleaning up fails.
fn guarded<T>(call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| {
        Err(io::Error::other(
            "the driver answers what the V4L2 library does not know",
        ))
    })
}

impl V4l2 {
    fn device(&self) -> io::Result<&Device> {
        self.device.as_ref().ok_or_else(closed)
    }
}

/// Never seen: the device is there from opening to dropping.
fn closed() -> io::Error {
    io::Error::other("it is closed")
}

impl Camera for V4l2 {
    fn open(path: &Path) -> io::Result<Self> {
        if HELD.load(Ordering::Relaxed) {
            return Err(io::Error::other(STUCK));
        }
        guarded(|| {
            Ok(Self {
                stream: None,
                device: Some(Device::with_path(path)?),
            })
        })
    }

    fn identify(&self) -> io::Result<Identity> {
        let capabilities = guarded(|| self.device()?.query_caps())?;
        let has = |flag| capabilities.capabilities.contains(flag);
        Ok(Identity {
            name: capabilities.card,
            driver: capabilities.driver,
            bus: capabilities.bus,
            captures: has(Capability::VIDEO_CAPTURE) && has(Capability::STREAMING),
            multi_planar: has(Capability::VIDEO_CAPTURE_MPLANE),
        })
    }

    fn list(&self) -> io::Result<(Vec<Offer>, Vec<String>)> {
        guarded(|| {
            let device = self.device()?;
            let mut offers = Vec::new();
            let mut codes = Vec::new();
            for description in device.enum_formats()? {
                codes.push(description.fourcc.to_string());
                if let Some(format) = PixelFormat::of_code(description.fourcc.repr) {
                    offers_of(device, format, description.fourcc, &mut offers);
                }
            }
            Ok((offers, codes))
        })
    }

    fn set_format(&self, mode: &Mode) -> io::Result<Agreed> {
        guarded(|| {
            let code = FourCC::new(&mode.format.code());
            let agreed = self
                .device()?
                .set_format(&Format::new(mode.width, mode.height, code))?;
            Ok(Agreed {
                format: PixelFormat::of_code(agreed.fourcc.repr),
                code: agreed.fourcc.to_string(),
                width: agreed.width,
                height: agreed.height,
                stride: agreed.stride,
            })
        })
    }

    fn set_rate(&self, fps: f64) -> io::Result<()> {
        // Tenths of frames suffice: no camera lists finer ones that matter here.
        let interval = Fraction::new(10, (fps * 10.0).round().max(1.0) as u32);
        guarded(|| self.device()?.set_params(&Parameters::new(interval)).map(|_| ()))
    }

    fn map(&mut self) -> io::Result<()> {
        let stream = guarded(|| {
            let device = self.device()?;
            Ok(Running {
                stream: Stream::with_buffers(device, Type::VideoCapture, BUFFERS)?,
                handle: device.handle(),
                has_buffer: false,
            })
        })?;
        self.stream = Some(stream);
        Ok(())
    }

    fn start(&mut self) -> io::Result<()> {
        let running = self.stream.as_mut().ok_or_else(closed)?;
        match guarded(|| {
            running.stream.set_timeout(Duration::ZERO);
            running.stream.next().map(|_| ())
        }) {
            Ok(()) => {
                running.has_buffer = true;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn wait(&mut self, patience: Duration) -> io::Result<bool> {
        let running = self.stream.as_mut().ok_or_else(closed)?;
        let milliseconds = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
        let ready = match guarded(|| running.handle.poll(POLLIN, milliseconds)) {
            Ok(count) => count > 0,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => false,
            Err(error) => return Err(error),
        };
        if ready && !running.has_buffer {
            guarded(|| running.stream.dequeue())?;
            running.has_buffer = true;
            return Ok(false);
        }
        Ok(ready)
    }

    fn read(&mut self, look: &mut dyn FnMut(Shot<'_>)) -> io::Result<()> {
        let running = self.stream.as_mut().ok_or_else(closed)?;
        let stream = &mut running.stream;
        let (buffer, meta) = guarded(move || stream.next())?;
        let used = (meta.bytesused as usize).min(buffer.len());
        look(Shot {
            bytes: &buffer[..used],
            age: age(meta),
            damaged: meta.flags.contains(Flags::ERROR),
        });
        Ok(())
    }
}

impl Drop for V4l2 {
    fn drop(&mut self) {
        if let Some(mut running) = self.stream.take() {
            let stopped = guarded(|| running.stream.stop());
            if !may_be_dropped(&stopped) {
                HELD.store(true, Ordering::Relaxed);
                log::error!("The stream of a camera could not be stopped: {stopped:?}.");
                mem::forget(running);
                return;
            }
            let dropped = guarded(|| {
                drop(running);
                Ok(())
            });
            if dropped.is_err() {
                log::warn!("A camera could not be closed cleanly.");
            }
        }
        self.device = None;
    }
}

/// Collects what the device lists of one format.
fn offers_of(device: &Device, format: PixelFormat, code: FourCC, offers: &mut Vec<Offer>) {
    let mut add = |size: Size, width, height| {
        let rates = device
            .enum_frameintervals(code, width, height)
            .unwrap_or_default();
        let mut rates: Vec<f64> = rates.iter().flat_map(|rate| rates_of(&rate.interval)).collect();
        rates.sort_by(|a, b| b.total_cmp(a));
        rates.dedup();
        offers.push(Offer { format, size, rates });
    };
    for listed in device.enum_framesizes(code).unwrap_or_default() {
        match listed.size {
            FrameSizeEnum::Discrete(size) => add(
                Size::One {
                    width: size.width,
                    height: size.height,
                },
                size.width,
                size.height,
            ),
            FrameSizeEnum::Stepwise(range) => add(
                Size::Range {
                    least: [range.min_width, range.min_height],
                    most: [range.max_width, range.max_height],
                    step: [range.step_width, range.step_height],
                },
                range.max_width,
                range.max_height,
            ),
        }
    }
}

/// The rates of one entry: of a range, the ends and the usual ones between.
fn rates_of(interval: &FrameIntervalEnum) -> Vec<f64> {
    let rate = |interval: &Fraction| f64::from(interval.denominator) / f64::from(interval.numerator.max(1));
    match interval {
        FrameIntervalEnum::Discrete(interval) => vec![rate(interval)],
        FrameIntervalEnum::Stepwise(range) => {
            let (most, least) = (rate(&range.min), rate(&range.max));
            let usual = [5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 50.0, 60.0];
            let between = usual.into_iter().filter(|rate| least < *rate && *rate < most);
            [most, least].into_iter().chain(between).collect()
        }
    }
}

/// How long ago a frame was taken, by its buffer's time; unknown if that is not by the monotonic clock.
fn age(meta: &Metadata) -> Option<Duration> {
    let clock = Flags::TIMESTAMP_MASK & meta.flags;
    let taken = Duration::from_micros(
        u64::try_from(meta.timestamp.sec).ok()? * 1_000_000 + u64::try_from(meta.timestamp.usec).ok()?,
    );
    let now = clock_gettime(ClockId::Monotonic);
    let now = Duration::new(u64::try_from(now.tv_sec).ok()?, u32::try_from(now.tv_nsec).ok()?);
    let age = now.checked_sub(taken)?;
    (clock == Flags::TIMESTAMP_MONOTONIC && age < OLDEST).then_some(age)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;
    use v4l::Timestamp;

    fn meta(flags: Flags, ago: Duration) -> Metadata {
        let now = clock_gettime(ClockId::Monotonic);
        let now = Duration::new(now.tv_sec as u64, now.tv_nsec as u32);
        Metadata {
            flags,
            timestamp: Timestamp::from(now.saturating_sub(ago)),
            ..Metadata::default()
        }
    }

    #[test]
    fn a_buffers_time_is_believed_if_it_is_by_the_monotonic_clock() {
        let ago = Duration::from_millis(40);
        let age_of = |flags| age(&meta(flags, ago));
        let began = Instant::now();
        let measured = age_of(Flags::TIMESTAMP_MONOTONIC).unwrap();
        // The buffer's time is in whole microseconds.
        let most = ago + began.elapsed() + Duration::from_micros(1);
        assert!(measured >= ago && measured <= most, "{measured:?}");
        assert_eq!(age_of(Flags::TIMESTAMP_COPY), None);
        assert_eq!(age_of(Flags::TIMESTAMP_UNKNOWN), None);
        let mut future = meta(Flags::TIMESTAMP_MONOTONIC, Duration::ZERO);
        future.timestamp.sec += 1000;
        assert_eq!(age(&future), None);
    }

    #[test]
    fn a_file_that_is_no_camera_is_told_by_the_system() {
        let device = V4l2::open(Path::new("/dev/null")).unwrap();
        let error = device.identify().err().unwrap();
        assert_eq!(error.raw_os_error(), Some(25), "ENOTTY: {error}");
        assert_eq!(
            V4l2::open(Path::new("/dev/video-none")).err().unwrap().kind(),
            io::ErrorKind::NotFound
        );
    }

    #[test]
    fn a_panic_of_the_crate_is_an_error() {
        assert!(guarded::<()>(|| panic!("odd colours")).is_err());
        assert_eq!(guarded(|| Ok(3)).unwrap(), 3);
    }

    #[test]
    fn a_stream_that_cannot_be_stopped_is_not_dropped() {
        let system = |errno: Errno| Err(io::Error::from(errno));
        assert!(may_be_dropped(&Ok(())));
        assert!(may_be_dropped(&system(Errno::NODEV)), "it was unplugged");
        for errno in [Errno::BUSY, Errno::IO, Errno::INVAL] {
            assert!(!may_be_dropped(&system(errno)), "{errno}");
        }
        assert!(!may_be_dropped(&guarded(|| panic!("odd"))));
    }

    #[test]
    fn a_range_of_rates_has_its_ends_and_the_usual_ones() {
        let interval = FrameIntervalEnum::Stepwise(v4l::frameinterval::Stepwise {
            min: Fraction::new(1, 30),
            max: Fraction::new(1, 2),
            step: Fraction::new(1, 1),
        });
        assert_eq!(rates_of(&interval), [30.0, 2.0, 5.0, 10.0, 15.0, 20.0, 25.0]);
    }
}
