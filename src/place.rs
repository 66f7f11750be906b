//! Where things lie: models, the runtime library, the demo clip. The same program runs from a checkout, from a
//! package and from an SD image, so every shared file is looked for in a short list of places.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::publish::Place;

/// The spool's folder.
const SPOOL: &str = "spool";

/// Folders that may hold `models/`, `runtime/` and `tests/data/`, the most particular first: what
/// `AFFECTD_SHARE` says, the folders above the program (a checkout), and where packages put them.
fn roots() -> Vec<PathBuf> {
    let mut roots: Vec<PathBuf> = std::env::var_os("AFFECTD_SHARE")
        .map(PathBuf::from)
        .into_iter()
        .collect();
    if let Ok(program) = std::env::current_exe() {
        roots.extend(
            program
                .ancestors()
                .skip(1)
                .filter(|p| p.join("models").is_dir())
                .map(Path::to_owned),
        );
    }
    roots.extend(
        [
            "/usr/local/share/affectd",
            "/usr/share/affectd",
            "/usr/lib/affectd",
        ]
        .map(PathBuf::from),
    );
    roots
}

/// Nothing was found; says where it was looked for.
#[derive(Debug, thiserror::Error)]
#[error("There is no {what}: looked for {}. {advice}", .tried.iter().map(|p| format!("`{}`", p.display())).collect::<Vec<_>>().join(", "))]
pub(crate) struct NotFound {
    what: String,
    tried: Vec<PathBuf>,
    advice: &'static str,
}

fn first(what: String, tried: Vec<PathBuf>, advice: &'static str) -> Result<PathBuf, NotFound> {
    match tried.iter().find(|path| path.exists()) {
        Some(found) => Ok(found.clone()),
        None => Err(NotFound { what, tried, advice }),
    }
}

/// The folder of a model: `name` is a path if it has a slash, else a name in `models_dir`, or, where that is
/// not set, in the usual places.
pub(crate) fn model(name: &str, models_dir: Option<&Path>) -> Result<PathBuf, NotFound> {
    let tried = match models_dir {
        _ if name.contains('/') => vec![PathBuf::from(name)],
        Some(folder) => vec![folder.join(name)],
        None => roots()
            .into_iter()
            .map(|root| root.join("models").join(name))
            .collect(),
    };
    let advice = "Give the name of a folder in `models`, or a path with a slash.";
    first(format!("model `{name}`"), tried, advice)
}

/// The TensorFlow Lite library: the configured path, `AFFECTD_TFLITE`, or the usual places.
pub(crate) fn runtime(configured: Option<&Path>) -> Result<PathBuf, NotFound> {
    const NAME: &str = "libtensorflowlite_c.so";
    let usual = || {
        let arch = match std::env::consts::ARCH {
            "arm" => "armv7l",
            other => other,
        };
        let from_env = std::env::var_os("AFFECTD_TFLITE").map(PathBuf::from);
        let shared = roots()
            .into_iter()
            .flat_map(|root| [root.join("runtime").join(arch).join(NAME), root.join(NAME)]);
        from_env.into_iter().chain(shared).collect()
    };
    let tried = configured.map_or_else(usual, |path| vec![path.to_owned()]);
    let advice = "In a checkout run `make setup`; on a device install the package, or set [model] runtime to its path.";
    first("TensorFlow Lite library".to_owned(), tried, advice)
}

/// The Edge TPU's library: the configured path, or where packages put it.
pub(crate) fn edge_tpu_library(configured: Option<&Path>) -> Result<PathBuf, NotFound> {
    const NAME: &str = "libedgetpu.so.1";
    let packages = match std::env::consts::ARCH {
        "arm" => "/usr/lib/arm-linux-gnueabihf".to_owned(),
        arch => format!("/usr/lib/{arch}-linux-gnu"),
    };
    let usual = || {
        let folders = ["/usr/local/lib", &packages, "/usr/lib"];
        folders
            .iter()
            .map(|folder| Path::new(folder).join(NAME))
            .collect()
    };
    let tried = configured.map_or_else(usual, |path| vec![path.to_owned()]);
    let advice = "Install a libedgetpu that was built for TensorFlow Lite 2.17, or set [model] delegate_library to its path.";
    first("Edge TPU library".to_owned(), tried, advice)
}

/// The folder that outlives the daemon, as systemd names it (`StateDirectory=`); without systemd there is none.
pub(crate) fn state_dir() -> Option<PathBuf> {
    let folders = std::env::var_os("STATE_DIRECTORY")?;
    std::env::split_paths(&folders).next()
}

/// The same; without systemd, that of whoever runs affectd by hand (`XDG_STATE_HOME`, or `~/.local/state`).
pub(crate) fn state_dir_or_home() -> Option<PathBuf> {
    let home = || {
        let set = std::env::var_os("XDG_STATE_HOME").filter(|folder| !folder.is_empty());
        let of_home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state"));
        let folder = set.map(PathBuf::from).or_else(of_home)?.join("affectd");
        std::fs::create_dir_all(&folder).ok()?;
        Some(folder)
    };
    state_dir().or_else(home)
}

/// The same, or, for commands that somebody runs beside the service, where the service has it.
pub(crate) fn state_dir_of_service() -> PathBuf {
    state_dir().unwrap_or_else(|| PathBuf::from("/var/lib/affectd"))
}

/// Puts the text in place of the file's, so that either is whole after a power cut.
pub(crate) fn store(file: &Path, text: &str) -> std::io::Result<()> {
    let new = file.with_extension("new");
    let mut written = std::fs::File::create(&new)?;
    written.write_all(text.as_bytes())?;
    written.sync_all()?;
    std::fs::rename(&new, file)
}

/// Where windows wait for the broker: below the state directory, and what is newest below the runtime directory, which is in
/// memory (systemd's `RuntimeDirectory=`).
pub(crate) fn spool() -> Option<Place> {
    let state = state_dir_or_home()?.join(SPOOL);
    let folders = std::env::var_os("RUNTIME_DIRECTORY");
    let runtime = folders.and_then(|folders| std::env::split_paths(&folders).next());
    Some(Place {
        state,
        runtime: runtime.map(|folder| folder.join(SPOOL)),
    })
}

/// The same, for commands that somebody runs beside the service.
pub(crate) fn spool_of_service() -> Place {
    let state = state_dir_of_service().join(SPOOL);
    let runtime = Some(Path::new("/run/affectd").join(SPOOL));
    match spool() {
        // Where they have no place of their own, the service's.
        Some(own) if state_dir().is_some() || !state.exists() && own.state.exists() => own,
        _ => Place { state, runtime },
    }
}

/// The bundled demo clip.
pub(crate) fn clip() -> Result<PathBuf, NotFound> {
    let tried = roots()
        .into_iter()
        .flat_map(|root| [root.join("tests/data/clip.mjpeg"), root.join("clip.mjpeg")]);
    first(
        "demo clip".to_owned(),
        tried.collect(),
        "Give one with `affectd demo --clip PATH`.",
    )
}
