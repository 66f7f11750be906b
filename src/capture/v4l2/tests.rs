//! A camera that does what a test wants, in place of the real one.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Instant;

use affect_core::report::CameraStateWord as Word;
use rustix::io::Errno;

use super::*;
use crate::capture::rate::Meter;
use crate::capture::{Image, Next, Source, SourceError};

/// Everything there is to know of the one camera of a test's thread.
struct World {
    /// What refuses, and how.
    refuses: Option<(Step, Errno)>,
    identity: Identity,
    offers: Vec<Offer>,
    /// Modes that the bus has no room for.
    no_room: Vec<PixelFormat>,
    /// What the driver makes of a format, if not what it was asked for.
    agreed: Option<Agreed>,
    stride: u32,
    frames: VecDeque<(Vec<u8>, Option<Duration>, bool)>,
    /// Cameras that are open at present, and those that ever were.
    open: usize,
    opened: usize,
    /// The mode that was set last.
    mode: Option<Mode>,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World {
        refuses: None,
        identity: Identity {
            name: "Fake".to_owned(),
            driver: "fake".to_owned(),
            bus: "none".to_owned(),
            captures: true,
            multi_planar: false,
        },
        offers: vec![offer(PixelFormat::Grey), offer(PixelFormat::Mjpg)],
        no_room: Vec::new(),
        agreed: None,
        stride: 0,
        frames: VecDeque::new(),
        open: 0,
        opened: 0,
        mode: None,
    });
}

fn world<T>(change: impl FnOnce(&mut World) -> T) -> T {
    WORLD.with_borrow_mut(change)
}

fn offer(format: PixelFormat) -> Offer {
    let (width, height) = (4, 2);
    Offer {
        format,
        size: Size::One { width, height },
        rates: vec![10.0],
    }
}

fn refuse(step: Step) -> io::Result<()> {
    match world(|world| world.refuses) {
        Some((refused, errno)) if refused == step => Err(errno.into()),
        _ => Ok(()),
    }
}

pub(crate) struct Fake;

impl Drop for Fake {
    fn drop(&mut self) {
        world(|world| world.open -= 1);
    }
}

impl Camera for Fake {
    fn open(_: &Path) -> io::Result<Self> {
        refuse(Step::Open)?;
        world(|world| (world.open, world.opened) = (world.open + 1, world.opened + 1));
        Ok(Self)
    }

    fn identify(&self) -> io::Result<Identity> {
        refuse(Step::Identify).map(|()| world(|world| world.identity.clone()))
    }

    fn list(&self) -> io::Result<(Vec<Offer>, Vec<String>)> {
        refuse(Step::List)?;
        Ok(world(|world| (world.offers.clone(), vec!["RG10".to_owned()])))
    }

    fn set_format(&self, mode: &Mode) -> io::Result<Agreed> {
        refuse(Step::SetFormat)?;
        Ok(world(|world| {
            world.mode = Some(*mode);
            world.agreed.clone().unwrap_or(Agreed {
                format: Some(mode.format),
                code: mode.format.name().to_owned(),
                width: mode.width,
                height: mode.height,
                stride: world.stride,
            })
        }))
    }

    fn set_rate(&self, _: f64) -> io::Result<()> {
        // As drivers without this call do.
        Err(Errno::NOTTY.into())
    }

    fn map(&mut self) -> io::Result<()> {
        refuse(Step::Buffers)
    }

    fn start(&mut self) -> io::Result<()> {
        refuse(Step::Start)?;
        let full = world(|world| {
            world
                .mode
                .is_some_and(|mode| world.no_room.contains(&mode.format))
        });
        if full { Err(Errno::NOSPC.into()) } else { Ok(()) }
    }

    fn wait(&mut self, patience: Duration) -> io::Result<bool> {
        refuse(Step::Read)?;
        let ready = world(|world| !world.frames.is_empty());
        if !ready {
            std::thread::sleep(patience.min(Duration::from_millis(5)));
        }
        Ok(ready)
    }

    fn read(&mut self, look: &mut dyn FnMut(Shot<'_>)) -> io::Result<()> {
        refuse(Step::Read)?;
        if let Some((bytes, age, damaged)) = world(|world| world.frames.pop_front()) {
            look(Shot {
                bytes: &bytes,
                age,
                damaged,
            });
        }
        Ok(())
    }
}

fn settings() -> CameraSettings {
    CameraSettings {
        path: "/dev/v4l/by-id/fake".into(),
        wish: Wish {
            width: 4,
            height: 2,
            fps: 10.0,
            format: None,
        },
        frame_timeout: Duration::from_millis(60),
    }
}

fn open() -> Result<CameraSource<Fake>, CameraError> {
    CameraSource::open(&settings())
}

fn only(format: PixelFormat) {
    world(|world| world.offers = vec![offer(format)]);
}

fn put(bytes: &[u8], age: Duration, damaged: bool) {
    world(|world| world.frames.push_back((bytes.to_vec(), Some(age), damaged)));
}

const MS: Duration = Duration::from_millis(1);

#[test]
fn every_step_has_an_error_of_its_own_and_leaves_nothing_open() {
    use Step::{Buffers, Identify, List, Open, Read, SetFormat, Start};
    let cases = [
        (Open, Errno::NOENT, Word::NoDevice, "opening it", "not there"),
        (Open, Errno::ACCESS, Word::Denied, "opening it", "group `video`"),
        (
            Identify,
            Errno::NOTTY,
            Word::NoSignal,
            "asking what it is",
            "no camera",
        ),
        (
            List,
            Errno::NODEV,
            Word::NoDevice,
            "listing its formats",
            "not there",
        ),
        (
            SetFormat,
            Errno::BUSY,
            Word::Busy,
            "setting its format",
            "Another program",
        ),
        (
            Buffers,
            Errno::BUSY,
            Word::Busy,
            "mapping its buffers",
            "Another program",
        ),
        (
            Start,
            Errno::NOLINK,
            Word::NoSignal,
            "starting its stream",
            "no signal",
        ),
        (
            Start,
            Errno::IO,
            Word::NoSignal,
            "starting its stream",
            "opened anew",
        ),
        (Read, Errno::NODEV, Word::NoDevice, "reading a frame", "not there"),
    ];
    for (step, errno, state, what, advice) in cases {
        world(|world| world.refuses = Some((step, errno)));
        let error = match open() {
            Err(error) => SourceError::from(error),
            Ok(mut source) => source.next().unwrap_err(),
        };
        let said = error.to_string();
        assert_eq!(error.state(), state, "{said}");
        assert!(said.contains(what) && said.contains(advice), "{said}");
        assert!(said.contains("/dev/v4l/by-id/fake"), "{said}");
        assert_eq!(world(|world| world.open), 0, "{said}");
    }
}

#[test]
fn a_camera_that_comes_and_goes_a_hundred_times_leaves_nothing_behind() {
    only(PixelFormat::Grey);
    for round in 0..100 {
        world(|world| (world.refuses, world.frames) = (None, VecDeque::new()));
        put(&[7; 8], MS, false);
        let mut source = open().unwrap();
        assert!(matches!(source.next(), Ok(Next::Taken(..))), "round {round}");
        world(|world| world.refuses = Some((Step::Read, Errno::NODEV)));
        assert_eq!(source.next().unwrap_err().state(), Word::NoDevice);
        drop(source);
        assert_eq!(world(|world| world.open), 0);
        world(|world| world.refuses = Some((Step::Open, Errno::NOENT)));
        assert_eq!(open().err().unwrap().state(), Word::NoDevice);
    }
    assert_eq!(world(|world| world.opened), 100);
}

#[test]
fn what_is_no_camera_for_us_says_what_to_do() {
    let fault = |driver: &str, captures, multi_planar| {
        world(|world| {
            world.identity.driver = driver.to_owned();
            (world.identity.captures, world.identity.multi_planar) = (captures, multi_planar);
        });
        let error = open().err().unwrap();
        assert_eq!((error.state(), error.step), (Word::NoSignal, Step::Identify));
        error.to_string()
    };
    for driver in ["unicam", "rp1-cfe"] {
        let said = fault(driver, true, false);
        assert!(
            said.contains(driver) && said.contains("`rpicam-vid.toml`"),
            "{said}"
        );
    }
    assert!(fault("tegra-video", true, false).contains("`jetson-argus.toml`"));
    assert!(fault("uvcvideo", false, false).contains("captures no pictures"));
    assert!(fault("rkisp1", false, true).contains("several planes"));
}

#[test]
fn a_camera_without_a_format_for_us_says_what_it_has() {
    world(|world| world.offers = Vec::new());
    let error = open().err().unwrap();
    assert_eq!((error.state(), error.step), (Word::NoSignal, Step::Choose));
    assert!(
        error
            .to_string()
            .contains("it offers RG10, and affectd reads MJPG"),
        "{error}"
    );
    only(PixelFormat::Grey);
    let mut settings = settings();
    settings.wish.format = Some(PixelFormat::Nv12);
    let error = CameraSource::<Fake>::open(&settings).err().unwrap();
    assert!(error.to_string().contains("only NV12"), "{error}");
}

#[test]
fn a_driver_that_takes_another_format_is_not_believed_and_another_size_is() {
    only(PixelFormat::Grey);
    let agree = |format: Option<PixelFormat>, width| {
        world(|world| {
            world.agreed = Some(Agreed {
                format,
                code: "XXXX".to_owned(),
                width,
                height: 2,
                stride: 8,
            });
        });
    };
    agree(None, 4);
    let error = open().err().unwrap();
    assert!(
        error.to_string().contains("took XXXX 4×2 px instead of GREY"),
        "{error}"
    );
    agree(Some(PixelFormat::Grey), 6);
    put(&[5; 14], MS, false);
    let Next::Taken(Image::Raw { layout, bytes }, _) = open().unwrap().next().unwrap() else {
        panic!("a raw frame was expected");
    };
    assert_eq!(
        (layout.width, layout.height, layout.stride, bytes.len()),
        (6, 2, 8, 14)
    );
}

#[test]
fn a_silent_stream_is_noticed_and_one_that_only_gives_broken_frames_too() {
    let began = Instant::now();
    let mut source = open().unwrap();
    let error = loop {
        put(b"no jpeg", MS, false);
        match source.next() {
            Ok(Next::NotYet | Next::Broken(..)) => {}
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
        assert!(began.elapsed() < Duration::from_secs(5));
    };
    assert_eq!(error.state(), Word::NoData);
    // Longer than its 60 ms, since it gives ten frames per second.
    assert!(
        error.to_string().contains("no frame came within 250ms"),
        "{error}"
    );
    assert!(began.elapsed() >= Duration::from_millis(250));
}

#[test]
fn of_several_frames_the_newest_whole_one_is_taken_and_the_broken_ones_are_counted() {
    only(PixelFormat::Grey);
    let mut source = open().unwrap();
    put(&[1; 8], MS * 400, false);
    put(&[2; 8], MS * 300, false);
    put(&[3; 7], MS * 200, false);
    put(&[4; 8], MS * 100, true);
    let before = Instant::now();
    let Next::Taken(Image::Raw { bytes, .. }, taken) = source.next().unwrap() else {
        panic!("a raw frame was expected");
    };
    assert_eq!(bytes, [2; 8]);
    // It was 300 ms old when it was read, which was at some time between `before` and now.
    let read = taken + MS * 300;
    assert!(
        before <= read && read <= Instant::now(),
        "its time is the buffer's"
    );
    assert!(matches!(
        source.next(),
        Ok(Next::Broken(2, "the driver marks it as damaged"))
    ));
    assert!(matches!(source.next(), Ok(Next::NotYet)));
}

#[test]
fn jpegs_are_handed_on_as_they_are() {
    only(PixelFormat::Mjpg);
    let mut source = open().unwrap();
    let jpeg = [&[0xFF, 0xD8, 0xFF, 0xE0, 1, 0xFF, 0xD9][..], &[0; 20]].concat();
    put(&jpeg[..5], MS * 2, false);
    put(&jpeg, MS, false);
    let Next::Taken(Image::Encoded { bytes, name }, _) = source.next().unwrap() else {
        panic!("a JPEG was expected");
    };
    assert_eq!((bytes, name.as_str()), (jpeg, "a frame of /dev/v4l/by-id/fake"));
    assert!(matches!(
        source.next(),
        Ok(Next::Broken(1, "it is no whole JPEG"))
    ));
}

#[test]
fn a_mode_without_bandwidth_or_too_slow_gives_way_to_another() {
    world(|world| {
        world.offers = vec![offer(PixelFormat::Yuyv), offer(PixelFormat::Mjpg)];
        world.no_room = vec![PixelFormat::Yuyv];
    });
    let source = open().unwrap();
    assert_eq!(
        (source.mode.format, world(|world| world.open)),
        (PixelFormat::Mjpg, 1)
    );
    drop(source);
    // With no room for any, that is the error.
    world(|world| world.no_room.push(PixelFormat::Mjpg));
    let error = open().err().unwrap();
    assert!(error.to_string().contains("no bandwidth"), "{error}");

    // One frame per second where ten are listed.
    world(|world| world.no_room.clear());
    let mut source = open().unwrap();
    assert_eq!(source.mode.format, PixelFormat::Yuyv);
    (0..=5).for_each(|second| put(&[9; 16], Duration::from_secs(5 - second), false));
    let taken = source.next().unwrap();
    assert!(
        matches!(taken, Next::Taken(Image::Raw { .. }, _)),
        "the frame is not lost: {taken:?}"
    );
    assert_eq!(
        (source.mode.format, world(|world| world.open)),
        (PixelFormat::Mjpg, 1)
    );
    // That is no better, so it is kept.
    let opened = world(|world| world.opened);
    let jpeg = [0xFF, 0xD8, 0xFF, 0xE0, 1, 0xFF, 0xD9];
    (0..=5).for_each(|second| put(&jpeg, Duration::from_secs(5 - second), false));
    source.next().unwrap();
    assert_eq!(
        (source.mode.format, world(|world| world.opened)),
        (PixelFormat::Mjpg, opened)
    );
    // Were it much worse, the first would be taken again.
    source.judged = false;
    source.meter = Meter::default();
    put(&jpeg, MS * 9000, false);
    put(&jpeg, MS, false);
    source.next().unwrap();
    assert_eq!(
        (source.mode.format, world(|world| world.opened)),
        (PixelFormat::Yuyv, opened + 1)
    );
}

#[test]
fn a_stream_that_could_not_be_stopped_ends_the_waiting() {
    let error = |cause: std::io::Error| CameraError {
        path: "x".into(),
        step: Step::Open,
        fault: Fault::System(cause),
    };
    assert!(error(std::io::Error::other(STUCK)).is_final());
    assert!(!error(std::io::Error::other("something else")).is_final());
    assert!(!error(Errno::BUSY.into()).is_final());
}

#[test]
fn losing_a_camera_and_not_finding_it_again_is_one_event() {
    let error = |step, errno: Errno| CameraError {
        path: "x".into(),
        step,
        fault: Fault::System(errno.into()),
    };
    let lost = error(Step::Read, Errno::NODEV);
    assert_eq!(lost.kind(), error(Step::Open, Errno::NOENT).kind());
    assert_ne!(lost.kind(), error(Step::Open, Errno::ACCESS).kind());
}
