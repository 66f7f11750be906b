//! Files, drop-ins, environment variables and the password's file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

/// A folder with `files` in it.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("written");
    }
    folder
}

fn load_from(folder: &TempDir, names: &[&str], env: &[(&str, &str)]) -> Result<Config, String> {
    let paths: Vec<PathBuf> = names.iter().map(|name| folder.path().join(name)).collect();
    let env = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    // Without the folder's name, which is another each time.
    load(&paths, env).map_err(|errors| {
        errors
            .to_string()
            .replace(&format!("{}/", folder.path().display()), "")
    })
}

#[test]
fn what_comes_later_wins_key_by_key() {
    let folder = folder(&[
        (
            "a.toml",
            &format!("{START}[mqtt]\nhost = \"a\"\nport = 1\nbase = \"b1\"\nusername = \"a\"\n"),
        ),
        ("b.toml", "[mqtt]\nport = 2\nbase = \"b2\"\nusername = \"b\"\n"),
        ("conf.d/20-x.toml", "[mqtt]\nusername = \"20\"\n"),
        ("conf.d/10-x.toml", "[mqtt]\nbase = \"b3\"\nusername = \"10\"\n"),
        ("conf.d/30-x.txt", "not TOML"),
    ]);
    let config = load_from(
        &folder,
        &["a.toml", "b.toml"],
        &[("AFFECTD__MQTT__CLIENT_ID", "env")],
    )
    .expect("accepted");
    let mqtt = config.mqtt;
    assert_eq!(
        (mqtt.host.as_str(), mqtt.port, mqtt.base.as_str()),
        ("a", 2, "b3")
    );
    assert_eq!(
        (mqtt.username.as_deref(), mqtt.client_id.as_deref()),
        (Some("20"), Some("env"))
    );
}

#[test]
fn the_effective_configuration_says_where_each_value_was_written() {
    let folder = folder(&[
        (
            "a.toml",
            &format!(
                "{START}[mqtt]\nhost = \"a\"\nport = 1\n[[camera.mask]]\nname = \"till\"\nkind = \"staff\"\npolygon = [[0.0, 0.0], [0.5, 0.0], [0.5, 0.5]]\n"
            ),
        ),
        ("conf.d/10-x.toml", "[mqtt]\n\nport = 2\n"),
    ]);
    let env = [("AFFECTD__MQTT__RETRY_MAX".to_owned(), "7s".to_owned())];
    let (config, origins) =
        load_with_origins(&[folder.path().join("a.toml")], env.into_iter()).expect("accepted");
    let text = config.effective_toml_with(&origins);
    let text = text.replace(&format!("{}/", folder.path().display()), "");
    for line in [
        "config_version = 1  # a.toml:1",
        "site = \"museum-north\"  # a.toml:3",
        "host = \"a\"  # a.toml:8",
        "port = 2  # conf.d/10-x.toml:3",
        "retry_max = \"7s\"  # AFFECTD__MQTT__RETRY_MAX (environment)",
        "keep_alive = \"30s\"  # default",
        "[[camera.mask]]  # a.toml:10",
        "commands = []  # default",
    ] {
        assert!(text.lines().any(|other| other == line), "{line}\n{text}");
    }
    let mut again = from_str(&text).expect("still a configuration");
    again.read.clone_from(&config.read);
    assert_eq!(again, config);
}

#[test]
fn what_lies_beside_the_drop_ins_and_is_not_read_is_told() {
    let folder = folder(&[
        ("a.toml", START),
        ("conf.d/10.toml", "[mqtt]\nport = 1884\n"),
        ("conf.d/50.TOML", "[mqtt]\nport = 50\n"),
        ("conf.d/camera.toml.txt", "[mqtt]\nport = 51\n"),
        ("conf.d/._x.toml", "\0\u{5}\u{16}"),
        ("conf.d/60.toml~", ""),
    ]);
    let config = load_from(
        &folder,
        &["a.toml"],
        &[
            ("AFFECTD_MQTT_PORT", "52"),
            ("AFFECTD_SHARE", "/x"),
            ("HOME", "/x"),
        ],
    )
    .expect("accepted");
    assert_eq!(config.mqtt.port, 1884);
    let told: Vec<String> = config
        .warnings()
        .iter()
        .map(|warning| warning.replace(&format!("{}/", folder.path().display()), ""))
        .collect();
    assert_eq!(
        told,
        [
            "conf.d/._x.toml is not read, because its name begins with a point, as that of a hidden file",
            "conf.d/50.TOML is not read, because its name does not end in .toml; as 50.toml it is",
            "conf.d/60.toml~ is not read, because its name does not end in .toml; as 60.toml it is",
            "conf.d/camera.toml.txt is not read, because its name does not end in .toml; as camera.toml it is",
            "the environment variable AFFECTD_MQTT_PORT is not read; did you mean AFFECTD__MQTT__PORT?",
        ]
    );
}

#[test]
fn a_pipe_is_refused_at_once_wherever_a_file_is_named() {
    let folder = folder(&[("a.toml", START), ("conf.d/x", "")]);
    let pipe = |name: &str| {
        let made = std::process::Command::new("mkfifo")
            .arg(folder.path().join(name))
            .status();
        assert!(made.expect("mkfifo").success());
    };
    pipe("pipe.toml");
    let why = "it is a pipe, and only a file is read";
    let refused = load_from(&folder, &["pipe.toml"], &[]).expect_err("refused");
    assert!(
        refused.starts_with("pipe.toml: the configuration cannot be read: ") && refused.contains(why),
        "{refused}"
    );
    pipe("conf.d/x.toml");
    let refused = load_from(&folder, &["a.toml"], &[]).expect_err("refused");
    assert!(
        refused.starts_with("conf.d/x.toml: ") && refused.contains(why),
        "{refused}"
    );
    let path = folder.path().join("pipe.toml");
    for (table, more) in [("mqtt", ""), ("camera", "url = \"rtsp://cam/x\"\n")] {
        let text = format!("[{table}]\n{more}username = \"a\"\npassword_file = {path:?}\n");
        assert!(message(&text).contains(why));
    }
}

#[test]
fn messages_name_the_file_that_a_value_came_from() {
    let folder = folder(&[
        ("a.toml", &format!("{START}[mqtt]\nport = 0\n")),
        (
            "conf.d/10.toml",
            "[mqtt]\nport = 1884\nhots = \"b\"\n[deployment]\nplace = \"workplace\"\n",
        ),
    ]);
    let text = load_from(&folder, &["a.toml"], &[("AFFECTD__CAMERA__WIDTH", "none")]).expect_err("refused");
    let places: Vec<&str> = text.lines().filter(|line| line.contains(": [")).collect();
    assert_eq!(
        places,
        [
            "a.toml:8:8: [mqtt] `port` is 0; it must be from 1 to 65535",
            "conf.d/10.toml:3:1: [mqtt] unknown key `hots`",
            "conf.d/10.toml:5:9: [deployment] `place` is \"workplace\", where it is forbidden to read emotions",
            "AFFECTD__CAMERA__WIDTH (environment): [camera] `width` must be a whole number, but this is text",
        ]
    );
}

#[test]
fn variables_override_values_of_every_type() {
    let folder = folder(&[("a.toml", START)]);
    let env = [
        ("AFFECTD__MQTT__HOST", "1883"),
        ("AFFECTD__MQTT__PORT", "8883"),
        ("AFFECTD__CAMERA__FPS", "5"),
        ("AFFECTD__CAMERA__REPEAT", "true"),
        ("AFFECTD__WINDOW__LENGTH", "1m"),
        ("AFFECTD__DEPLOYMENT__PLACE", "home"),
        (
            "AFFECTD__CAMERA__MASK",
            "[{ name = \"till\", kind = \"staff\", polygon = [[0, 0], [1, 0], [1, 1]] }]",
        ),
        ("OTHER", "is not ours"),
        ("AFFECTD_HOME", "neither"),
    ];
    let config = load_from(&folder, &["a.toml"], &env).expect("accepted");
    assert_eq!((config.mqtt.host.as_str(), config.mqtt.port), ("1883", 8883));
    assert_eq!(
        (config.camera.fps, config.camera.repeat, config.camera.mask.len()),
        (5.0, true, 1)
    );
    assert_eq!(config.window.length.as_secs(), 60);
    assert_eq!(config.deployment.place, Place::Home);
}

#[test]
fn a_wrong_variable_is_refused_like_a_wrong_key() {
    let folder = folder(&[("a.toml", START)]);
    for (name, value, expected) in [
        (
            "AFFECTD__MQTT__HOTS",
            "b",
            "AFFECTD__MQTT__HOTS (environment): [mqtt] unknown key `hots`\n    AFFECTD__MQTT__HOTS=b\n    \
             \x20              ^^^^  did you mean `host`?",
        ),
        (
            "AFFECTD__MQTT__PASSWORD",
            "hunter2",
            "[mqtt] `password` must not stand in the configuration",
        ),
        (
            "AFFECTD__MQTT__PORT",
            "99999",
            "[mqtt] `port` is 99999; it must be from 1 to 65535",
        ),
        (
            "AFFECTD__MQTT__HOST__X",
            "b",
            "[mqtt] `host` must be text in quotes, but this is a table",
        ),
        ("AFFECTD__MQTT_HOST", "b", "did you mean AFFECTD__MQTT__HOST?"),
        ("AFFECTD__MQTT", "b", "`mqtt` must be a table, but this is text"),
        ("AFFECTD__", "b", "unknown key ``"),
        ("AFFECTD____", "b", "unknown table ``"),
        ("AFFECTD__A__B__C__D__E__F", "b", "unknown table `a`"),
        (
            "AFFECTD__CAMERA__MASK",
            "[{ name = 5 }]",
            "[camera] `name` must be text in quotes",
        ),
    ] {
        let text = load_from(&folder, &["a.toml"], &[(name, value)]).expect_err("refused");
        assert!(
            text.contains(expected.trim_start_matches("[camera] ")),
            "{name}: {text}"
        );
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_one_problem() {
    let long = format!("{START}# {}", "x".repeat(1 << 20));
    let folder = folder(&[("long.toml", &long), ("conf/x", "")]);
    fs::write(folder.path().join("latin.toml"), b"# caf\xe9\n[mqtt]\nhots = 1\n").expect("written");
    fs::write(folder.path().join("utf16.toml"), b"\xff\xfea\0 \0").expect("written");
    for (name, expected) in [
        (
            "absent.toml",
            "absent.toml: the configuration cannot be read: No such file",
        ),
        ("conf", "conf: the configuration cannot be read: Is a directory"),
        (
            "long.toml",
            "long.toml: the configuration cannot be read: it is longer than 1024 KiB",
        ),
        ("latin.toml", "latin.toml:1:6: this is no text"),
        ("utf16.toml", "utf16.toml: this is text as UTF-16"),
    ] {
        let text = load_from(&folder, &[name], &[]).expect_err("refused");
        assert!(text.starts_with(expected), "{name}: {text}");
        assert!(text.ends_with("has 1 problem."), "{name}: {text}");
    }
}

#[test]
fn the_password_comes_from_its_file_and_is_not_shown() {
    let folder = folder(&[("password", "hunter2\n"), ("empty", "")]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let text = |name: &str, user: &str| format!("{START}[mqtt]\n{user}password_file = \"{}\"\n", path(name));
    fs::set_permissions(path("password"), fs::Permissions::from_mode(0o600)).expect("set");
    let config = from_str(&text("password", "username = \"affectd\"\n")).expect("accepted");
    assert_eq!(config.mqtt.password.as_ref().map(Secret::reveal), Some("hunter2"));
    assert!(!format!("{config:?}{}", config.effective_toml()).contains("hunter2"));
    assert_eq!(from_str(&config.effective_toml()).expect("accepted"), config);
    assert_eq!(config.warnings(), [""; 0]);

    fs::set_permissions(path("password"), fs::Permissions::from_mode(0o644)).expect("set");
    assert!(
        config.warnings()[0].contains("every user of this machine can read"),
        "{:?}",
        config.warnings()
    );

    for (name, user, expected) in [
        (
            "absent",
            "username = \"affectd\"\n",
            "config:9:17: [mqtt] no password can be read from",
        ),
        ("empty", "username = \"affectd\"\n", "its first line is empty"),
        ("password", "", "`password_file` is given, but `username` is not"),
        (
            "password",
            "username = \"\"\n",
            "`password_file` is given, but `username` is not",
        ),
    ] {
        let errors = from_str(&text(name, user)).expect_err("refused");
        assert_eq!(errors.problems().len(), 1, "{errors}");
        assert!(errors.to_string().contains(expected), "{errors}");
    }
}
