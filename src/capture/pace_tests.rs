use std::sync::atomic::Ordering::Relaxed;

use super::*;
use crate::capture::Taken;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

/// Gives so many pictures, each after a while.
struct Slow(usize, Duration);

impl Source for Slow {
    fn next(&mut self) -> Result<Next, SourceError> {
        std::thread::sleep(self.1);
        if self.0 == 0 {
            return Ok(Next::End);
        }
        self.0 -= 1;
        let (width, height, rgb) = (1, 1, vec![0; 3]);
        Ok(Next::Picture(Image::Rgb { width, height, rgb }))
    }

    fn rewind(&mut self) -> Result<(), SourceError> {
        Ok(())
    }
}

/// Plays in real time.
fn player<'a>(
    source: &'a SourceSettings,
    fps: f64,
    mailbox: &'a Mailbox,
    progress: &'a Progress,
) -> Player<'a> {
    Player {
        source,
        pace: Pace {
            fps,
            realtime: true,
            repeat: false,
            wait_for_source: false,
        },
        origin: Instant::now(),
        mailbox,
        progress,
        number: 0,
        broken: 0,
        slip: Duration::ZERO,
        gave: false,
        told_unusable: false,
    }
}

/// Plays in real time at `fps`; how far each frame's time lay back when it was fetched, and how many were late.
fn play(mut source: Slow, fps: f64) -> (Vec<Duration>, u64) {
    let progress = Progress::new(Arc::default());
    let mailbox = Mailbox::default();
    let settings = SourceSettings::files("x.mp4".as_ref(), fps);
    let mut player = player(&settings, fps, &mailbox, &progress);
    let origin = player.origin;
    let lags = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut lags = Vec::new();
            loop {
                match mailbox.take(Duration::from_secs(5)) {
                    Taken::Frame(frame) => lags.push(origin.elapsed().saturating_sub(frame.at)),
                    _ => return lags,
                }
            }
        });
        player.play(&mut source, &mut |_| {}).unwrap();
        mailbox.close();
        reader.join().unwrap()
    });
    (lags, progress.late.get())
}

#[test]
fn a_file_that_is_read_too_slowly_is_played_later_and_what_there_was_time_for_is_counted() {
    // Twenty frames a second, where a hundred are wanted: after two seconds it would lag by 1.6 s.
    let (lags, late) = play(Slow(40, Duration::from_millis(50)), 100.0);
    assert_eq!(lags.len(), 40);
    // On a busy machine a frame may be fetched later than it was put.
    assert!(lags.iter().all(|lag| *lag < LATE * 2), "{lags:?}");
    assert!((100..400).contains(&late), "{late} late");
    let (lags, late) = play(Slow(10, Duration::from_millis(1)), 50.0);
    assert_eq!((lags.len(), late), (10, 0));
}

#[test]
fn a_source_streams_when_its_frames_can_be_looked_at_and_not_before() {
    let progress = Progress::new(Arc::default());
    let mailbox = Mailbox::default();
    let settings = SourceSettings::files("x.mp4".as_ref(), 50.0);
    let usable = AtomicBool::new(false);
    let streaming = AtomicUsize::new(0);
    let mut player = player(&settings, 50.0, &mailbox, &progress);
    let tell = |event| {
        if matches!(event, CaptureEvent::Streaming) {
            assert!(usable.load(Relaxed), "told before a frame was looked at");
            streaming.fetch_add(1, Relaxed);
        }
    };
    let refused = std::io::Error::other("no picture");
    player.play(&mut Slow(5, Duration::ZERO), &mut { tell }).unwrap();
    mailbox.judge(Err(&refused));
    player.play(&mut Slow(5, Duration::ZERO), &mut { tell }).unwrap();
    assert_eq!(streaming.load(Relaxed), 0);
    usable.store(true, Relaxed);
    mailbox.judge(Ok(()));
    player.play(&mut Slow(5, Duration::ZERO), &mut { tell }).unwrap();
    assert!(streaming.load(Relaxed) > 0);
}
