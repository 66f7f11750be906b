//! The whole daemon: pipeline and publisher together, as `run` and `demo` use it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use affect_core::report::{ReportBody, Status, WindowReport};

use crate::board::{Board, Bulletin, Notify, PinError, Sysfs, View};
use crate::camera_state::CameraStates;
use crate::capture::SourceError;
use crate::command::Ear;
use crate::config::{BrokerAddress, Config};
use crate::delegate::Probation;
use crate::homeassistant;
use crate::identity::Nameless;
use crate::pipeline::{self, Flow};
use crate::place::{self, state_dir, state_dir_or_home};
use crate::progress::Progress;
use crate::publish::{DRAIN_PER_SECOND, Died, Limits, Place, Publisher, Settings, Summary};
use crate::reload::{Handover, Next, Parts, Reader, Steward, parts};
use crate::room::{Room, RoomError};
use crate::setup::{Setup, SetupError, device, device_id, names, source};
use crate::starts::Started;
use crate::status::{self, Fixed, Shown};

/// How long after a stop was asked for publishing may go on. systemd waits six seconds for the whole.
const GOODBYE: Duration = Duration::from_secs(4);
/// How long the next pipeline's threads may take to come round.
const BETWEEN: Duration = Duration::from_secs(15);

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
    /// The thread that reads the configuration again died.
    #[error("The steward's thread has died; please report what the log says before this.")]
    Steward,
}

impl DaemonError {
    /// Whether another configuration may do.
    fn is_of_the_configuration(&self) -> bool {
        match self {
            Self::Setup(_) | Self::NoSource | Self::Nameless(_) | Self::Room(_) | Self::Pins(_) => true,
            Self::Source(_) | Self::Thread(_) | Self::Publisher(_) | Self::Board | Self::Steward => false,
        }
    }
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

/// Who ends a run, and how its configuration is read again.
pub(crate) struct Control {
    pub(crate) stop: Arc<AtomicBool>,
    /// `None`: the configuration is what it is.
    pub(crate) reader: Option<Reader>,
}

/// Runs until the source ends or `stop` is set, then publishes what is left and says goodbye. `show` sees every
/// report as it is queued; `open` is told where the local page is, if there is one. A configuration that was read again, and for
/// which everything must begin anew, is tried; where it fails, the one of before goes on.
pub(crate) fn run(
    config: &Config,
    control: &Control,
    mut open: impl FnMut(SocketAddr),
    mut show: impl FnMut(&WindowReport) + Send,
) -> Result<Done, DaemonError> {
    let mut config = config.clone();
    let mut before: Option<Config> = None;
    let mut trouble = None;
    let mut published = Summary::default();
    loop {
        let (done, next) = match run_by(&config, control, trouble.take(), &mut open, &mut show) {
            Ok(ended) => ended,
            Err(error) if error.is_of_the_configuration() => match before.take() {
                Some(old) => {
                    log::error!("The new configuration cannot be used; the one of before goes on: {error}");
                    trouble = Some(format!("The configuration on the disk is not used: {error}"));
                    config = old;
                    continue;
                }
                None => return Err(error),
            },
            Err(error) => return Err(error),
        };
        published = published.and(done.published);
        match next {
            None => return Ok(Done { published, ..done }),
            Some(new) => before = Some(std::mem::replace(&mut config, new)),
        }
    }
}

/// Runs by one configuration, as far as it can be changed on the way; with which one to begin anew, if that is wanted.
fn run_by(
    config: &Config,
    control: &Control,
    trouble: Option<String>,
    open: &mut impl FnMut(SocketAddr),
    show: &mut (impl FnMut(&WindowReport) + Send),
) -> Result<(Done, Option<Config>), DaemonError> {
    let source = source(&config.camera).ok_or(DaemonError::NoSource)?;
    let device = device_id(config)?;
    log::info!("This device is `{}` ({}).", device.name, device.origin);
    log::set_max_level(config.log.level.into());
    let notify = Arc::new(Notify::from_environment());
    notify.status("Starting: models are loaded.");
    let setup = Setup::open(config)?;
    let names = names(config);
    let info = serde_json::to_vec(&setup.info(config, &names)).map_err(std::io::Error::from)?;
    let probation = setup
        .is_on_edge_tpu()
        .then(|| state_dir().map(|state| Probation::begin(&state)))
        .flatten();
    let is_live = source.is_live();
    let parts = match parts(config, &setup, &names, source) {
        Ok(parts) => parts,
        Err(error) => {
            if let (SetupError::Lost(_), Some(probation)) = (&error, probation) {
                probation.fail();
            }
            return Err(error.into());
        }
    };
    let (_room, mut started) = if is_live {
        let state = state_dir_or_home();
        let room = Room::take(config, state.as_deref())?;
        (Some(room), state.as_deref().map(Started::now))
    } else {
        (None, None)
    };
    let progress = Arc::new(Progress::new(Arc::clone(&control.stop)));
    let sysfs = Sysfs::new(Path::new("/"));
    let mut board = Board::open(
        config,
        &names,
        sysfs,
        Arc::clone(&notify),
        state_dir(),
        probation,
        &progress,
    )?;
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
    publisher.discovery(homeassistant::discovery(config, &setup.labels(), &names));
    let camera = CameraStates::new(&publisher, &names, &config.camera.name);
    let bulletin = Bulletin::default();
    bulletin.set_trouble(trouble);
    let handover = Handover::default();
    let view = View {
        progress: &progress,
        publisher: &publisher,
        camera: &camera,
        bulletin: &bulletin,
        shown: &shown,
        starts: started.as_ref().map(Started::told),
    };
    let steward = control.reader.as_ref().map(|reader| Steward {
        reader,
        config: config.clone(),
        setup,
        names: &names,
        progress: &progress,
        publisher: &publisher,
        bulletin: &bulletin,
        notify,
        handover: &handover,
    });
    let ((flow, next), board) = beside(
        progress.ended(),
        |over| board.watch(view, over),
        |over| steward.into_iter().for_each(|mut steward| steward.watch(over)),
        || {
            run_pipelines(parts, &progress, &handover, &camera, |report| {
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
    Ok((Done { flow, published }, next))
}

/// Runs one pipeline after the other, until one ends by itself or everything begins anew: by which configuration.
fn run_pipelines(
    first: Parts,
    progress: &Progress,
    handover: &Handover,
    camera: &CameraStates<'_>,
    mut publish: impl FnMut(WindowReport) + Send,
) -> (Result<Flow, SourceError>, Option<Config>) {
    let mut parts = first;
    loop {
        let tell = |event| camera.tell(event);
        let Parts {
            source,
            pace,
            vision,
            reporter,
        } = parts;
        let flow = pipeline::run(&source, pace, vision, reporter, progress, tell, &mut publish);
        // Before it is looked what comes next: whatever comes from now on halts the next one.
        progress.begin_again(BETWEEN);
        if flow.is_err() || progress.is_ending() {
            return (flow, None);
        }
        match handover.take() {
            None => return (flow, None),
            Some(Next::Everything(config)) => return (flow, Some(*config)),
            Some(Next::Pipeline(next)) => parts = *next,
        }
    }
}

/// Runs `work` with two threads beside it, board and steward. Whichever ends by itself, by panic too, ends the others: the threads
/// by their flag, the work by `stop`. Gives what the work gave, and whether one of the threads died.
fn beside<T>(
    stop: &AtomicBool,
    board: impl FnOnce(&AtomicBool) + Send,
    steward: impl FnOnce(&AtomicBool) + Send,
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
        let steward = std::thread::Builder::new()
            .name("steward".to_owned())
            .spawn_scoped(scope, move || {
                let ended = Sets(stop);
                steward(over);
                // Its end is no reason to end the work; only a panic is.
                std::mem::forget(ended);
            });
        let steward = match steward {
            Ok(steward) => steward,
            Err(error) => {
                drop(Sets(over));
                return Err(error.into());
            }
        };
        let done = {
            let _over = Sets(over);
            work()
        };
        let died = board
            .join()
            .map_err(|_| DaemonError::Board)
            .and(steward.join().map_err(|_| DaemonError::Steward));
        Ok((done, died))
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
        ear: Ear {
            commands_below: format!("{}/cmd", topic_base(config)),
            allowed: mqtt.commands.clone(),
            birth: mqtt
                .homeassistant
                .then(|| homeassistant::birth_topic(&mqtt.homeassistant_prefix)),
        },
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
        let (done, died) =
            beside(&stop, |_| panic!("on purpose"), |_| {}, || wait_for(&stop)).expect("started");
        assert_eq!(done, ());
        assert!(matches!(died, Err(DaemonError::Board)));
        let stop = AtomicBool::new(false);
        let (_, died) =
            beside(&stop, wait_for, |_| panic!("on purpose"), || wait_for(&stop)).expect("started");
        assert!(matches!(died, Err(DaemonError::Steward)));
    }

    #[test]
    fn the_end_of_the_work_is_the_end_of_the_board() {
        let stop = AtomicBool::new(false);
        let (done, died) = beside(&stop, wait_for, wait_for, || 7).expect("started");
        assert_eq!(done, 7);
        assert!(died.is_ok());
    }
}
