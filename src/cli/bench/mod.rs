//! `affectd bench`: what every stage costs on this machine, beside what the bare network costs.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use affect_core::geometry::Rect;
use affect_core::preprocess::Picture;
use affect_tflite::regular;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use super::{ConfigFiles, Exit, Failure, print};
use crate::capture::{Frame, Image, Next, SourceSettings};
use crate::config::Config;
use crate::jpeg;
use crate::logging;
use crate::place;
use crate::setup::Setup;
use crate::vision::{Decoder, Vision};

mod conclusion;
mod gate;

use conclusion::Conclusion;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Picture to work on, with all its faces. [default: one of the demo clip with `--faces` faces]
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// How many faces the picture of the demo clip shall have.
    #[arg(long, default_value_t = 5)]
    faces: usize,
    /// Rounds; in each, every stage runs once, one after the other.
    #[arg(long, default_value_t = 200)]
    rounds: usize,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Instead of timing stages, look at this many frames and print the resident memory on the way.
    #[arg(long, value_name = "FRAMES")]
    soak: Option<u64>,
    #[command(flatten)]
    config: ConfigFiles,
}

/// Times of one stage, in milliseconds.
#[derive(Debug, Serialize)]
struct Stage {
    stage: &'static str,
    wall_ms: Spread,
    cpu_ms: Spread,
}

#[derive(Debug, Serialize)]
struct Spread {
    min: f64,
    median: f64,
    p90: f64,
}

#[derive(Debug, Serialize)]
struct BenchReport {
    picture: [usize; 2],
    faces: usize,
    rounds: usize,
    stages: Vec<Stage>,
    /// Median CPU time of the classify call on a filled tensor by that of the bare invoke.
    classify_by_invoke: f64,
    /// The same with crop, resize and quantisation in it.
    crop_and_classify_by_invoke: f64,
    /// Median CPU time of a whole frame by decode + detector invoke + faces × classifier invoke.
    frame_by_parts: f64,
    /// CPU time per frame of following sixty people, and of the privacy gate, by that of a frame in which four of them are
    /// read, as the default budget has it: decode + detect + 4 × (crop + classify).
    following_by_frame: f64,
    gate_by_frame: f64,
    resident_kib: u64,
    board: Conclusion,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut config = if arguments.config.config.is_empty() {
        Config::for_replay()
    } else {
        arguments.config.load()?
    };
    logging::start(&config.log);
    // Every face of every frame is classified: no tracks, no rates.
    config.model.classify_hz = 30.0;
    config.model.classify_budget_hz = 1000.0;
    let setup = Setup::open(&config)?;
    let mut vision = setup.vision(&config)?;
    let bytes = picture(arguments, &mut vision)?;
    if let Some(frames) = arguments.soak {
        return soak(&mut vision, &bytes, frames);
    }
    let report = measure(&mut vision, &bytes, arguments, config.camera.fps)
        .map_err(|error| Failure::new(Exit::Software, error))?;
    if arguments.json {
        print(format_args!(
            "{:#}",
            serde_json::to_value(&report).map_err(std::io::Error::from)?
        ))?;
    } else {
        print_table(&report)?;
    }
    Ok(())
}

/// The bytes of the picture to work on.
fn picture(arguments: &Arguments, vision: &mut Vision) -> Result<Vec<u8>, Failure> {
    if let Some(path) = &arguments.image {
        return regular::read(path, jpeg::LARGEST as u64).map_err(|e| {
            Failure::new(
                Exit::NoInput,
                anyhow::anyhow!("The picture `{}` cannot be read: {e}.", path.display()),
            )
        });
    }
    let clip = place::clip().map_err(|e| Failure::new(Exit::NoInput, e))?;
    let mut source = SourceSettings::files(&clip, 4.0).open(false)?;
    while let Next::Picture(Image::Encoded { bytes, .. }) = source.next()? {
        let faces = count_faces(vision, &bytes).map_err(|e| Failure::new(Exit::Software, e))?;
        if faces == arguments.faces {
            return Ok(bytes);
        }
    }
    let none = anyhow::anyhow!(
        "No picture of the demo clip has {} faces: give another number, or a picture with --image.",
        arguments.faces
    );
    Err(Failure::new(Exit::NoInput, none))
}

fn count_faces(vision: &mut Vision, bytes: &[u8]) -> anyhow::Result<usize> {
    let (decoder, detector, _) = vision.parts();
    let (width, height, rgb) = decoder.decode(encoded(bytes))?;
    Ok(detector.detect(&Picture::new(width, height, rgb)?)?.len())
}

fn encoded(bytes: &[u8]) -> Image {
    Image::Encoded {
        bytes: bytes.to_vec(),
        name: "the picture".to_owned(),
    }
}

/// Wall and CPU time of every round of one stage.
#[derive(Default)]
struct Times {
    wall: Vec<f64>,
    cpu: Vec<f64>,
}

impl Times {
    fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (wall, cpu) = (Instant::now(), cpu_ms());
        let result = work();
        self.cpu.push(cpu_ms() - cpu);
        self.wall.push(wall.elapsed().as_secs_f64() * 1e3);
        result
    }

    fn stage(&self, stage: &'static str) -> Stage {
        Stage {
            stage,
            wall_ms: Spread::of(&self.wall),
            cpu_ms: Spread::of(&self.cpu),
        }
    }
}

impl Spread {
    fn of(times: &[f64]) -> Self {
        let mut times = times.to_vec();
        times.sort_by(f64::total_cmp);
        let at = |part: f64| times[((times.len() - 1) as f64 * part).round() as usize];
        Self {
            min: at(0.0),
            median: at(0.5),
            p90: at(0.9),
        }
    }
}

/// CPU time of this thread in milliseconds.
fn cpu_ms() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

fn measure(
    vision: &mut Vision,
    bytes: &[u8],
    arguments: &Arguments,
    fps: f64,
) -> anyhow::Result<BenchReport> {
    anyhow::ensure!(arguments.rounds > 0, "--rounds must be at least 1.");
    let mut own = Decoder::default();
    let (width, height, rgb) = own.decode(encoded(bytes))?;
    let picture = Picture::new(width, height, rgb)?;
    let [mut decode, mut detect, mut detector_invoke] = [const {
        Times {
            wall: Vec::new(),
            cpu: Vec::new(),
        }
    }; 3];
    let [mut crop, mut invoke, mut classify, mut both, mut frame] = [const {
        Times {
            wall: Vec::new(),
            cpu: Vec::new(),
        }
    }; 5];
    let faces: Vec<Rect> = vision
        .parts()
        .1
        .detect(&picture)?
        .iter()
        .map(|face| face.rect)
        .collect();
    let count = faces.len();
    anyhow::ensure!(
        count > 0,
        "The picture has no face: give another one with --image."
    );
    // Two rounds of warming up are not counted: caches, and XNNPACK's packing at the first invoke.
    for round in 0..arguments.rounds + 2 {
        if round == 2 {
            for times in [
                &mut decode,
                &mut detect,
                &mut detector_invoke,
                &mut crop,
                &mut invoke,
                &mut classify,
                &mut both,
                &mut frame,
            ] {
                *times = Times::default();
            }
        }
        let input = encoded(bytes);
        let (decoder, detector, classifier) = vision.parts();
        decode.time(|| decoder.decode(input).map(|_| ()))?;
        detect.time(|| detector.detect(&picture).map(|_| ()))?;
        detector_invoke.time(|| detector.engine().invoke())?;
        for face in &faces {
            crop.time(|| classifier.engine().fill(&picture, face).map(|_| ()))?;
            invoke.time(|| classifier.engine().invoke())?;
            classify.time(|| classifier.run().map(|_| ()))?;
            both.time(|| classifier.classify(&picture, face).map(|_| ()))?;
        }
        // A second apart, so that every face is due again.
        let input = Frame {
            at: Duration::from_secs(round as u64),
            taken: Instant::now(),
            image: encoded(bytes),
        };
        frame.time(|| vision.look(input).map(|_| ()))?;
    }
    let median = |times: &Times| Spread::of(&times.cpu).median;
    let frame_of_sixty = median(&decode) + median(&detect) + gate::READ as f64 * median(&both);
    let (following, judging) = gate::per_frame(&picture);
    let parts = median(&decode) + median(&detector_invoke) + count as f64 * median(&invoke);
    Ok(BenchReport {
        picture: [width, height],
        faces: count,
        rounds: arguments.rounds,
        classify_by_invoke: median(&classify) / median(&invoke),
        crop_and_classify_by_invoke: median(&both) / median(&invoke),
        frame_by_parts: median(&frame) / parts,
        following_by_frame: following / frame_of_sixty,
        gate_by_frame: judging / frame_of_sixty,
        stages: vec![
            decode.stage("decode"),
            detect.stage("detect (resize, invoke, decode heads, NMS)"),
            detector_invoke.stage("  bare detector invoke"),
            crop.stage("crop + quantise, one face"),
            classify.stage("classify, one face"),
            invoke.stage("  bare classifier invoke"),
            both.stage("crop + classify, one face"),
            frame.stage("whole frame"),
        ],
        resident_kib: resident_kib(),
        board: Conclusion::new(
            Spread::of(&frame.wall).p90,
            count,
            Spread::of(&both.wall).median,
            fps,
        ),
    })
}

fn print_table(report: &BenchReport) -> std::io::Result<()> {
    let [width, height] = report.picture;
    print(format_args!(
        "{width}×{height} px, {} faces, {} rounds, one thread; milliseconds\n",
        report.faces, report.rounds
    ))?;
    print(format_args!("{:44}{:>26}{:>28}", "", "CPU time", "wall time"))?;
    let columns = format!("{:>9}{:>9}{:>9}", "min", "median", "p90");
    print(format_args!("{:44}{columns} {columns}", "stage"))?;
    let spread = |s: &Spread| format!("{:9.3}{:9.3}{:9.3}", s.min, s.median, s.p90);
    for stage in &report.stages {
        print(format_args!(
            "{:44}{} {}",
            stage.stage,
            spread(&stage.cpu_ms),
            spread(&stage.wall_ms)
        ))?;
    }
    print(format_args!(
        "\nclassify call / bare invoke                        {:.3}",
        report.classify_by_invoke
    ))?;
    print(format_args!(
        "crop + classify / bare invoke                      {:.3}",
        report.crop_and_classify_by_invoke
    ))?;
    print(format_args!(
        "whole frame / (decode + invoke + faces × invoke)   {:.3}",
        report.frame_by_parts
    ))?;
    print(format_args!(
        "following 60 people / frame that reads 4 of them   {:.4}",
        report.following_by_frame
    ))?;
    print(format_args!(
        "privacy gate, 60 people / the same                 {:.4}",
        report.gate_by_frame
    ))?;
    print(format_args!(
        "resident memory                                    {} KiB\n",
        report.resident_kib
    ))?;
    print(&report.board)
}

/// Looks at the same picture again and again, as the daemon would, and watches the memory.
fn soak(vision: &mut Vision, bytes: &[u8], frames: u64) -> Result<(), Failure> {
    let mut first = None;
    for number in 0..frames {
        let frame = Frame {
            at: Duration::from_millis(number * 100),
            taken: Instant::now(),
            image: encoded(bytes),
        };
        vision.look(frame).map_err(|e| Failure::new(Exit::Software, e))?;
        if (number + 1).is_multiple_of((frames / 10).max(1)) {
            let now = resident_kib();
            let grown = now as i64 - *first.get_or_insert(now) as i64;
            print(format_args!(
                "{:>8} frames  {now} KiB resident  {grown:+} KiB",
                number + 1
            ))?;
        }
    }
    Ok(())
}

/// Resident memory of this process.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_whitespace().next())
        .and_then(|kib| kib.parse().ok())
        .unwrap_or(0)
}
