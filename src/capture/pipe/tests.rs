//! Real commands.

use affect_core::report::CameraStateWord;

use super::super::pixels::PixelFormat;
use super::super::program::{LINE, printable};
use super::*;
use crate::jpeg::stream_tests::jpeg;

fn settings(script: &str, output: Output) -> PipeSettings {
    PipeSettings {
        command: ["sh", "-c", script].map(str::to_owned).into(),
        url: None,
        input: None,
        output,
        // Every frame, however soon after the last it comes.
        fps: 1e6,
        // On a busy machine a shell may take its time.
        frame_timeout: Duration::from_secs(20),
    }
}

/// The frames of a command, and how it ended.
fn play(settings: &PipeSettings) -> (Vec<Vec<u8>>, PipeError) {
    play_telling(settings, |_| {})
}

/// The same; `tell` hears how many frames have come whenever one has.
fn play_telling(settings: &PipeSettings, tell: impl Fn(usize)) -> (Vec<Vec<u8>>, PipeError) {
    let mut pipe = match Pipe::open(settings, false) {
        Ok(pipe) => pipe,
        Err(error) => return (Vec::new(), error),
    };
    let mut frames = Vec::new();
    loop {
        match pipe.next() {
            Ok(Next::Taken(Image::Encoded { bytes, .. } | Image::Raw { bytes, .. }, _)) => {
                frames.push(bytes);
                tell(frames.len());
            }
            Ok(Next::NotYet) => {}
            Err(SourceError::Pipe(error)) => return (frames, error),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn jpegs_are_read_as_they_come_and_the_end_is_told_with_its_last_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jpg");
    std::fs::write(&path, jpeg(100)).unwrap();
    let script = format!(
        "for i in 1 2 3; do cat {}; until [ -e {}/$i ]; do sleep 0.01; done; done; echo sensor lost >&2; sleep 0.1; exit 3",
        path.display(),
        folder.path().display()
    );
    // The next one is written when the one before has been handed on: so each comes before its successor begins.
    let (frames, error) = play_telling(&settings(&script, Output::Jpegs), |count| {
        std::fs::write(folder.path().join(count.to_string()), "").unwrap();
    });
    assert_eq!(frames, vec![jpeg(100); 3]);
    assert_eq!(error.state(), CameraStateWord::NoSignal);
    let said = error.to_string();
    assert!(
        said.contains("exit status 3") && said.contains("sensor lost"),
        "{said}"
    );
}

#[test]
fn raw_frames_are_cut_by_their_size_and_the_newest_wins() {
    let layout = Layout::packed(PixelFormat::Grey, 4, 1);
    let folder = tempfile::tempdir().unwrap();
    let came = folder.path().join("came");
    // Three frames and a half at once, then the other half.
    let script = format!(
        "printf aaaabbbbccccdd; until [ -e {} ]; do sleep 0.01; done; printf dd",
        came.display()
    );
    let (frames, _) = play_telling(&settings(&script, Output::Raw(layout)), |_| {
        std::fs::write(&came, "").unwrap();
    });
    assert_eq!(frames, [b"cccc", b"dddd"]);
}

#[test]
fn a_silent_command_is_noticed() {
    let began = Instant::now();
    let mut settings = settings("echo waiting >&2; exec sleep 60", Output::Jpegs);
    settings.frame_timeout = Duration::from_secs(2);
    let (frames, error) = play(&settings);
    assert!(frames.is_empty() && began.elapsed() < Duration::from_secs(30));
    assert_eq!(error.state(), CameraStateWord::NoData);
    assert!(error.to_string().contains("its last words: waiting"), "{error}");
}

#[test]
fn a_command_that_is_not_there_says_so() {
    let mut settings = settings("", Output::Jpegs);
    settings.command = vec!["rpicam-none".to_owned()];
    let (_, error) = play(&settings);
    assert_eq!(error.state(), CameraStateWord::NoDevice);
    assert!(
        error.to_string().contains("`rpicam-none` cannot be started"),
        "{error}"
    );
    settings.command = vec!["/etc/passwd".to_owned()];
    assert_eq!(play(&settings).1.state(), CameraStateWord::Denied);
}

#[test]
fn stopping_ends_the_whole_group_even_what_ignores_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let script = format!(
        "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ >> {0}; while :; do sleep 1; done' & echo $$ >> {0}; wait",
        pids.display()
    );
    let pipe = Pipe::open(&settings(&script, Output::Jpegs), false).unwrap();
    let read = || std::fs::read_to_string(&pids).unwrap_or_default();
    while read().lines().count() < 2 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let alive = |pid: &str| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // A process that has ended may wait for init to take note of it.
        !stat.is_empty() && !stat.contains(") Z ")
    };
    assert!(read().lines().all(alive));
    drop(pipe);
    let deadline = Instant::now() + Duration::from_secs(5);
    while read().lines().any(alive) {
        assert!(Instant::now() < deadline, "a process lives on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn log_lines_are_short_and_printable() {
    assert_eq!(printable(b"frame 1\rframe 2\x1b[0m\n"), "frame 2[0m");
    assert_eq!(printable(&[b'x'; 1000]).len(), LINE);
    assert_eq!(printable(b"\xff\xfe \n"), "\u{fffd}\u{fffd}");
}

#[test]
fn more_frames_than_wanted_are_dropped() {
    let layout = Layout::packed(PixelFormat::Grey, 1, 1);
    let mut settings = settings(
        "for i in 1 2 3 4 5 6 7 8 9 0; do printf $i; sleep 0.05; done",
        Output::Raw(layout),
    );
    settings.fps = 2.0;
    let began = Instant::now();
    let (frames, _) = play(&settings);
    // Two a second, on a slow machine too; and the first and the last.
    let most = began.elapsed().as_secs() as usize * 2 + 4;
    assert!(
        (1..=most).contains(&frames.len()),
        "{} of 10 frames",
        frames.len()
    );
}

#[test]
fn an_address_is_found_in_the_environment_and_an_input_is_read() {
    let mut settings = settings(
        "printf %s \"$AFFECTD_CAMERA_URL\"; cat",
        Output::Raw(Layout::packed(PixelFormat::Grey, 8, 1)),
    );
    settings.url = Some(Secret::around("cam1"));
    settings.input = Some(Secret::around("cam2"));
    let (frames, _) = play(&settings);
    assert_eq!(frames, [b"cam1cam2"]);
    settings.url = None;
    settings.input = Some(Secret::around("of cam 3"));
    assert_eq!(play(&settings).0, [b"of cam 3"]);
}
