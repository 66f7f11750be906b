//! The whole daemon: pipeline and publisher together, as `run` and `demo` use it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use affect_core::report::{ReportBody, Status, WindowReport};

use crate::board::{Board, Notify, PinError, Sysfs, View};
use crate::camera_state::CameraStates;
use crate::capture::{Pace, SourceError};
use crate::config::{BrokerAddress, Config};
use crate::delegate::Probation;
use crate::identity::Nameless;
use crate::last_report::LastReport;
use crate::pipeline::{self, Flow};
use crate::place::{self, state_dir, state_dir_or_home};
use crate::progress::Progress;
use crate::publish::{DRAIN_PER_SECOND, Died, Limits, Place, Publisher, Settings, Summary};
use crate::room::{Room, RoomError};
use crate::setup::{Setup, SetupError, device, device_id, names, pace, source};
use crate::starts::Started;
use crate::status::{self, Fixed, Shown};

/// How long after a stop was asked for publishing may go on. systemd waits six seconds for the whole.
const GOODBYE: Duration = Duration::from_secs(4);

/// Why the daemon ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DaemonError {
    /// It could not be set up.
    #[error(transparent)]
    Setup(Box<SetupError>),
    /// The source is lost.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// There is no source to begin with.
    #[error(
        "[camera] source is not set, so there is nothing to look at: give a camera (`affectd cameras` lists them), a folder of pictures, a picture, an .mjpeg or a video file, or a [camera] command."
    )]
    NoSource,
    /// It would be told apart from no other.
    #[error(transparent)]
    Nameless(#[from] Nameless),
    /// Another daemon looks at the same room.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// Lamp or button cannot be had.
    #[error(transparent)]
    Pins(#[from] PinError),
    /// A thread could not be started.
    #[error("A thread cannot be started: {0}.")]
    Thread(#[from] std::io::Error),
    /// The publishing thread died.
    #[error(transparent)]
    Publisher(#[from] Died),
    /// The board thread died.
    #[error("The board thread has died; please report what the log says before this.")]
    Board,
}

impl From<SetupError> for DaemonError {
    fn from(error: SetupError) -> Self {
        Self::Setup(Box::new(error))
    }
}

/// What the daemon did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done {
    pub(crate) flow: Flow,
    pub(crate) published: Summary,
}

/// The base of all topics.
pub(crate) fn topic_base(config: &Config) -> String {
    format!(
        "{}/{}/{}",
        config.mqtt.base,
        config.deployment.site,
        device(config)
    )
}

/// Runs until the source ends or `stop` is set, then publishes what is left and says goodbye. `show` sees every
/// report as it is queued; `open` is told where the local page is, if there is one.
pub(crate) fn run(
    config: &Config,
    stop: Arc<AtomicBool>,
    open: impl FnOnce(SocketAddr),
    mut show: impl FnMut(&WindowReport) + Send,
) -> Result<Done, DaemonError> {
    let source = source(&config.camera).ok_or(DaemonError::NoSource)?;
    let device = device_id(config)?;
    log::info!("This device is `{}` ({}).", device.name, device.origin);
    let notify = Notify::from_environment();
    notify.status("Starting: models are loaded.");
    let setup = Setup::open(config)?;
    let names = names(config);
    let info = serde_json::to_vec(&setup.info(config, &names)).map_err(std::io::Error::from)?;
    let probation = setup
        .is_on_edge_tpu()
        .then(|| state_dir().map(|state| Probation::begin(&state)))
        .flatten();
    let vision = match setup.vision(config) {
        Ok(vision) => vision,
        Err(error) => {
            if let (SetupError::Lost(_), Some(probation)) = (&error, probation) {
                probation.fail();
            }
            return Err(error.into());
        }
    };
    let (_room, last_report, mut started) = if source.is_live() {
        let state = state_dir_or_home();
        let room = Room::take(config, state.as_deref())?;
        let started = state.as_deref().map(Started::now);
        (Some(room), LastReport::kept_in(state), started)
    } else {
        (None, LastReport::of_recording(), None)
    };
    let reporter = setup.reporter(config, &names, last_report);
    let progress = Arc::new(Progress::new(stop));
    let sysfs = Sysfs::new(Path::new("/"));
    let mut board = Board::open(config, &names, sysfs, notify, state_dir(), probation, &progress)?;
    let shown = Arc::new(Shown::new(
        Fixed::of(config, setup.accelerator()),
        Arc::clone(&progress),
    ));
    let server = status::start(&config.status, Arc::clone(&shown))?;
    if let Some(address) = server.as_ref().and_then(|server| server.address) {
        open(address);
    }
    let settings = Settings {
        spool: spool(config),
        ..settings(config)
    };
    let publisher = Publisher::start(settings, info, Arc::clone(&progress))?;
    let camera = CameraStates::new(&publisher, &names, &config.camera.name);
    // A daemon waits for a source that is not there; a file's end is the end.
    let pace = Pace {
        wait_for_source: true,
        ..pace(config)
    };
    let view = View {
        progress: &progress,
        publisher: &publisher,
        camera: &camera,
        shown: &shown,
        starts: started.as_ref().map(Started::told),
    };
    let (flow, board) = beside(
        progress.stop(),
        |over| board.watch(view, over),
        || {
            let tell = |event| camera.tell(event);
            pipeline::run(&source, pace, vision, reporter, &progress, tell, |report| {
                show(&report);
                shown.published(&report);
                if matches!(report.body, ReportBody::Released(_)) {
                    publisher.latest(&config.camera.name, report.clone());
                }
                publisher.window(&config.camera.name, report);
            })
        },
    )?;
    camera.stopped();
    let farewell = match board {
        Ok(()) => Status::Stopped,
        Err(_) => Status::Offline,
    };
    let published = publisher.stop(farewell, GOODBYE)?;
    board?;
    let flow = flow?;
    if let Some(started) = &mut started {
        started.ends_well();
    }
    Ok(Done { flow, published })
}

/// Runs `work` with the board thread beside it. Whichever ends, by panic too, ends the other: the board by its flag, the
/// work by `stop`. Gives what the work gave, and whether the board died.
fn beside<T>(
    stop: &AtomicBool,
    board: impl FnOnce(&AtomicBool) + Send,
    work: impl FnOnce() -> T,
) -> Result<(T, Result<(), DaemonError>), DaemonError> {
    let over = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let board = std::thread::Builder::new()
            .name("board".to_owned())
            .spawn_scoped(scope, move || {
                let _ended = Sets(stop);
                board(over);
            })?;
        let done = {
            let _over = Sets(over);
            work()
        };
        Ok((done, board.join().map_err(|_| DaemonError::Board)))
    })
}

/// Sets its flag when it is dropped, however the thread that holds it ends.
struct Sets<'a>(&'a AtomicBool);

impl Drop for Sets<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Where windows wait on the disk; nowhere if that is not wanted, or there is no place.
fn spool(config: &Config) -> Option<Place> {
    if config.spool.max_size == 0 {
        return None;
    }
    let place = place::spool();
    if place.is_none() {
        log::warn!(
            "There is no state directory, so windows that wait for the broker are lost with a restart: run affectd by systemd, or set STATE_DIRECTORY."
        );
    }
    place
}

/// Where and how to publish.
pub(crate) fn settings(config: &Config) -> Settings {
    let mqtt = &config.mqtt;
    let address = BrokerAddress::of(mqtt);
    Settings {
        host: address.host,
        port: address.port,
        by_url: mqtt.url.is_some(),
        websocket: address.websocket,
        tls: address.tls.then(|| (&mqtt.tls).into()),
        username: mqtt.username.clone(),
        password: mqtt.password.clone(),
        password_file: mqtt.password_file.clone(),
        client_id: mqtt.client_id.clone().unwrap_or_else(|| device(config)),
        protocol: mqtt.protocol,
        keep_alive: mqtt.keep_alive,
        base: topic_base(config),
        limits: Limits {
            age: config.spool.max_age,
            size: config.spool.max_size,
        },
        spool: None,
        drain_per_second: DRAIN_PER_SECOND,
        retry_max: mqtt.retry_max,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Waits until the flag is set.
    fn wait_for(flag: &AtomicBool) {
        let began = Instant::now();
        while !flag.load(Ordering::Relaxed) {
            assert!(began.elapsed() < Duration::from_secs(10), "nobody ends it");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_board_thread_that_dies_ends_the_daemon_and_is_told() {
        let stop = AtomicBool::new(false);
        let (done, board) = beside(&stop, |_| panic!("on purpose"), || wait_for(&stop)).expect("started");
        assert_eq!(done, ());
        assert!(matches!(board, Err(DaemonError::Board)));
    }

    #[test]
    fn the_end_of_the_work_is_the_end_of_the_board() {
        let stop = AtomicBool::new(false);
        let (done, board) = beside(&stop, wait_for, || 7).expect("started");
        assert_eq!(done, 7);
        assert!(board.is_ok());
    }
}
