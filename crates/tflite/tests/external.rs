//! External delegates, with a double built from C by the test itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a test that fails shall say where

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use affect_tflite::{Delegate, Error, Interpreter, Model, Options, Runtime};
use common::{library, model};

fn double(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/delegate_double.c");
    let built = folder.join("libdelegate_double.so");
    // Where the tests are built for another architecture, its compiler is named.
    let compiler = std::env::var("AFFECTD_CC").unwrap_or_else(|_| "cc".to_owned());
    let status = Command::new(compiler)
        .args(["-shared", "-fPIC", "-w", "-o"])
        .arg(&built)
        .arg(source)
        .status();
    assert!(
        status
            .expect("a C compiler is there, since Rust links with it")
            .success()
    );
    built
}

fn open(library_path: &Path, mode: &str) -> Result<Interpreter, Error> {
    let runtime = Runtime::load(&library()).unwrap();
    let model = Model::from_file(&model("yunet-320")).unwrap();
    let options = vec![
        ("device".to_owned(), "usb".to_owned()),
        ("mode".to_owned(), mode.to_owned()),
    ];
    let delegate = Delegate::External {
        library: library_path.to_owned(),
        options,
    };
    Interpreter::new(&runtime, &model, &Options { threads: 1, delegate })
}

#[test]
fn a_delegate_that_works_is_used_and_watched() {
    let folder = tempfile::tempdir().unwrap();
    let mut interpreter = open(&double(folder.path()), "works").unwrap();
    interpreter.invoke().unwrap();
    let delegation = interpreter.delegation().unwrap();
    assert_eq!((delegation.operators_delegated, delegation.partitions), (0, 0));
    assert_eq!(delegation.left.len(), delegation.operators_total);
}

#[test]
fn a_delegate_that_does_not_work_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let double = double(folder.path());
    let complaint = |path: &Path, mode| open(path, mode).err().unwrap().to_string();
    let absent = complaint(&double, "absent");
    assert!(absent.contains("it says: no device was found"), "{absent}");
    let silent = complaint(&double, "silent");
    assert!(
        silent.contains("did not say why") && silent.contains("another TensorFlow Lite"),
        "{silent}"
    );
    let refuses = complaint(&double, "refuses");
    assert!(refuses.contains("failed to make an interpreter"), "{refuses}");
    let gone = complaint(&folder.path().join("libedgetpu.so.1"), "works");
    assert!(gone.contains("cannot be loaded"), "{gone}");
    let other = complaint(&library(), "works");
    assert!(other.contains("not a TensorFlow Lite delegate"), "{other}");
}
