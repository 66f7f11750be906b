//! Commands of the real binary that are not daemon and not bad input.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a test that fails shall say where

mod common;

use std::process::Stdio;

use common::{
    Daemon, Process, Subscriber, affectd, affectd_output, clip_config, free_port, make_video, root, stderr,
    stdout,
};

#[test]
fn the_benchmark_gives_every_stage_as_json() {
    let output = affectd_output(&["bench", "--rounds", "3", "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["faces"], 5);
    assert_eq!(report["picture"], serde_json::json!([640, 480]));
    let stages = report["stages"].as_array().unwrap();
    assert_eq!(stages.len(), 8);
    for stage in stages {
        for clock in ["cpu_ms", "wall_ms"] {
            let [min, median, p90] = ["min", "median", "p90"].map(|key| stage[clock][key].as_f64().unwrap());
            assert!(0.0 < min && min <= median && median <= p90, "{stage}");
        }
    }
    for part in ["following_by_frame", "gate_by_frame"] {
        let part = report[part].as_f64().unwrap();
        assert!(part > 0.0 && part < 0.1, "{part}");
    }
    assert!(report["resident_kib"].as_u64().unwrap() > 1000);
    // It concludes: no more faces, no more frames.
    let rates = report["board"]["frames_per_second"].as_array().unwrap();
    let rates: Vec<f64> = rates.iter().map(|rate| rate["fps"].as_f64().unwrap()).collect();
    assert!(rates.len() == 3 && rates[0] >= rates[1] && rates[1] >= rates[2] && rates[2] > 0.0);
    let whole = stages[7]["wall_ms"]["p90"].as_f64().unwrap();
    assert!((rates[0] - 1000.0 / whole).abs() <= 0.1, "{rates:?}, {whole} ms");
}

#[test]
fn replay_prints_reports_and_nothing_else() {
    let clip = root().join("tests/data/clip.mjpeg");
    let output = affectd_output(&["replay", clip.to_str().unwrap(), "--fps", "4"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let reports: Vec<serde_json::Value> = stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // 50 s in windows of 15 s: the last is partial.
    assert_eq!(reports.len(), 4);
    assert_eq!(reports[3]["partial"], true);
    let schema = std::fs::read_to_string(root().join("config/schema/window.json")).unwrap();
    assert!(schema.contains("affectd/window/2"));
    for report in &reports {
        assert_eq!(report["schema"], "affectd/window/2");
        assert_eq!(report["source"], "recording");
    }
    assert_eq!(reports[0]["coverage"]["frames"], 1.0);
    assert_eq!(reports[0]["covers_seconds"], 15.0);
}

#[test]
fn the_template_is_the_committed_one_and_asks_to_be_filled_in() {
    let output = affectd_output(&["config", "--defaults"]);
    let committed = root().join("config/affectd.toml");
    assert_eq!(stdout(&output), std::fs::read_to_string(&committed).unwrap());
    let output = affectd_output(&["check", "-c", committed.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(78));
    assert!(
        common::said(&output).contains("[deployment]"),
        "{}",
        common::said(&output)
    );
}

#[test]
fn an_interrupted_demo_ends_cleanly_with_a_summary() {
    let port = free_port();
    let out = tempfile::NamedTempFile::new().unwrap();
    let mut demo = Process::start(
        affectd()
            .args(["demo", "--port", &port.to_string()])
            .stdout(Stdio::from(out.reopen().unwrap())),
    );
    let mut subscriber = Subscriber::start(port, &["5"]);
    subscriber.wait_for_status("online");
    demo.signal("-INT");
    assert!(demo.wait().success(), "{}", demo.log());
    let said = std::fs::read_to_string(out.path()).unwrap();
    assert!(said.contains("mosquitto_sub -h 127.0.0.1"), "{said}");
    assert!(said.contains("0 undelivered."), "{said}");
    assert!(
        said.contains("http://127.0.0.1:") && said.contains("affectd check -c"),
        "{said}"
    );
    for line in said.lines().filter(|line| !line.contains("/data/")) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn a_replay_tells_on_a_terminal_how_far_it_is_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let video = folder.path().join("clip.mp4");
    make_video(&video, &["-t", "4"]);
    let program = env!("CARGO_BIN_EXE_affectd");
    // `script` gives it a terminal for its standard error.
    let command = format!("{program} replay {} --realtime >/dev/null", video.display());
    let output = std::process::Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .output()
        .expect("script is missing");
    let said = stdout(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("played 0:00:0") && said.contains(" %,"), "{said:?}");
    assert!(said.contains("times real time"), "{said:?}");
    let plain = affectd_output(&["replay", video.to_str().unwrap()]);
    assert!(!stderr(&plain).contains("times real time"), "{}", stderr(&plain));
}

#[test]
fn nothing_is_said_that_is_not_ours() {
    let picture = root().join("tests/data/images/five_friends.jpg");
    let output = affectd_output(&["replay", picture.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    // `INFO: Created TensorFlow Lite XNNPACK delegate for CPU.`, as the library writes it by itself.
    assert!(!stderr(&output).contains("TensorFlow"), "{}", stderr(&output));
}

#[test]
fn a_pipe_is_no_file_wherever_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = |name: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert!(
            std::process::Command::new("mkfifo")
                .arg(&path)
                .status()
                .unwrap()
                .success()
        );
        path.display().to_string()
    };
    let (config, model, library) = (pipe("a.toml"), pipe("model/model.toml"), pipe("library.so"));
    let model = model.trim_end_matches("/model.toml");
    for arguments in [
        &["check", "-c", &config][..],
        &["run", "-c", &config],
        &["config", "--effective", "-c", &config],
        &["model", model],
        &["model", "yunet-320", "--runtime", &library],
    ] {
        let began = std::time::Instant::now();
        let mut process = Process::start(affectd().args(arguments));
        let status = process.wait();
        assert_eq!(status.code(), Some(78), "{arguments:?}: {}", process.log());
        assert!(
            began.elapsed() < std::time::Duration::from_secs(20),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_killed_daemon_leaves_no_command_behind() {
    // Silent, so that no broken pipe ends it.
    let clip = format!("source = \"{}\"", root().join("tests/data/clip.mjpeg").display());
    let config = clip_config(free_port(), "")
        .replace(&clip, "command = [\"sleep\", \"319.5\"]")
        .replace("length = \"2s\"", "length = \"5s\"");
    let daemon = Daemon::run(&config);
    let sleeps = || {
        let all = std::process::Command::new("ps")
            .args(["-eo", "args"])
            .output()
            .unwrap();
        String::from_utf8_lossy(&all.stdout)
            .lines()
            .any(|line| line == "sleep 319.5")
    };
    common::wait_until("the command", sleeps, || daemon.process.log());
    daemon.process.signal("-KILL");
    common::wait_until("its end", || !sleeps(), || "it lives on".to_owned());
}

#[test]
fn a_window_without_numbers_cannot_have_any_by_its_schema() {
    let picture = root().join("tests/data/images/five_friends.jpg");
    let output = affectd_output(&["replay", picture.to_str().unwrap()]);
    let numbers: serde_json::Value = serde_json::from_str(stdout(&output).trim()).unwrap();
    let mut suppressed = numbers.clone();
    let keys = [
        "covers_seconds",
        "coverage",
        "held",
        "coarsened",
        "people",
        "emotion",
        "mood",
        "attributes",
    ];
    for key in keys {
        suppressed.as_object_mut().unwrap().remove(key);
    }
    suppressed["suppressed"] = serde_json::json!({"min_group": 5});
    let verdict = |window: &serde_json::Value| {
        let script = "import sys; sys.path.insert(0, 'tests'); import subscriber; print(subscriber.verdict('a/window', sys.argv[1]))";
        let output = std::process::Command::new(root().join(".venv/bin/python"))
            .args(["-c", script, &window.to_string()])
            .current_dir(root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output).trim().to_owned()
    };
    assert_eq!(verdict(&numbers), "");
    assert_eq!(verdict(&suppressed), "");
    for key in keys {
        let mut told = suppressed.clone();
        told[key] = numbers[key].clone();
        assert_ne!(verdict(&told), "", "{key}");
    }
    for (key, value) in [
        ("schema", serde_json::json!("affectd/window/1")),
        ("start", serde_json::json!("yesterday")),
        ("source", serde_json::json!("screen")),
    ] {
        let mut changed = numbers.clone();
        changed[key] = value;
        assert_ne!(verdict(&changed), "", "{key}");
    }
}

#[test]
fn an_old_configuration_is_made_into_one_of_today() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let old = "# Ours\n[deployment]\nsite = \"s\"\nplace = \"museum\"\npurpose = \"Tests of affectd\"\ncontroller = \"c\"\n[camera]\nurl = \"rtsp://admin:geheim-7@camera.example/1\"\n";
    std::fs::write(path("affectd.toml"), old).unwrap();
    std::fs::create_dir(path("conf.d")).unwrap();
    std::fs::write(path("conf.d/10.toml"), "[mqtt]\nhost = \"broker\" # stays\n").unwrap();
    let run = |arguments: &[&str]| {
        let mut command = affectd();
        let output = command
            .arg("config")
            .args(arguments)
            .arg("-c")
            .arg(path("affectd.toml"))
            .output()
            .unwrap();
        assert!(!stderr(&output).contains("geheim") && !stdout(&output).contains("geheim"));
        output
    };
    // What is wrong names what helps.
    assert_eq!(run(&["--effective"]).status.code(), Some(78));
    let shown = run(&["migrate"]);
    assert!(shown.status.success(), "{}", stderr(&shown));
    assert!(
        stdout(&shown).contains("url = \"rtsp://camera.example/1\""),
        "{}",
        stdout(&shown)
    );
    assert_eq!(
        std::fs::read_to_string(path("affectd.toml")).unwrap(),
        old,
        "nothing is changed"
    );
    let written = run(&["migrate", "--write"]);
    assert!(written.status.success(), "{}", stderr(&written));
    assert!(
        stderr(&written).contains("10.toml: nothing to do"),
        "{}",
        stderr(&written)
    );
    let secret = path("affectd.camera-password");
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "geheim-7\n");
    for private in [secret, path("affectd.toml.before-migrate")] {
        let mode = std::fs::metadata(&private).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", private.display());
    }
    let effective = run(&["--effective"]);
    assert!(effective.status.success(), "{}", stderr(&effective));
    assert!(
        stdout(&effective).contains("username = \"admin\"  # "),
        "{}",
        stdout(&effective)
    );
    let again = run(&["migrate", "--write"]);
    assert!(again.status.success() && stderr(&again).matches("nothing to do").count() == 2);
    // What is newer is left alone.
    std::fs::write(path("affectd.toml"), "config_version = 2\n").unwrap();
    let newer = run(&["migrate", "--write"]);
    assert_eq!(newer.status.code(), Some(78));
    assert!(stderr(&newer).contains("update affectd"), "{}", stderr(&newer));
}
