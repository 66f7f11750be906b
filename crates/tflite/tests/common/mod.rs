//! Where the real library and the real models are.
#![allow(dead_code, unreachable_pub)] // not every test file needs everything

use std::path::{Path, PathBuf};

use affect_tflite::Delegate;

/// What does the arithmetic by default: XNNPACK, which the library for 32-bit ARM does not have.
pub const USUAL: Delegate = if cfg!(target_arch = "arm") {
    Delegate::None
} else {
    Delegate::Xnnpack
};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The TensorFlow Lite library. Tests without it prove nothing, so its absence fails them.
pub fn library() -> PathBuf {
    let arch = match std::env::consts::ARCH {
        "arm" => "armv7l",
        other => other,
    };
    let usual = workspace()
        .join("runtime")
        .join(arch)
        .join("libtensorflowlite_c.so");
    let path = std::env::var_os("AFFECTD_TFLITE").map_or(usual, PathBuf::from);
    assert!(
        path.exists(),
        "{} is missing: run `make setup` first",
        path.display()
    );
    path
}

/// The file of a model.
pub fn model(name: &str) -> PathBuf {
    let found = models()
        .into_iter()
        .find(|path| path.parent().unwrap().ends_with(name));
    found.unwrap_or_else(|| panic!("models/{name} has no .tflite"))
}

/// All model files of the workspace.
pub fn models() -> Vec<PathBuf> {
    let mut models = Vec::new();
    for folder in std::fs::read_dir(workspace().join("models")).unwrap() {
        let folder = folder.unwrap().path();
        if folder.is_dir() {
            let files = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().path());
            models.extend(files.filter(|path| path.extension().is_some_and(|e| e == "tflite")));
        }
    }
    models.sort();
    models
}
