//! What people write who come from other programs: addresses, command lines, quotes, pixels.

use super::*;

#[test]
fn a_camera_is_one_thing_and_written_so_that_it_can_be_reached() {
    for (rest, expected) in [
        ("source = \"rtsp://cam/x\"", "write url = \"rtsp://cam/x\""),
        (
            "source = \"rtsp://admin:hunter2@cam/x\"",
            "write it as `url`, without user name and password",
        ),
        ("source = \"file:///srv/a.mp4\"", "write source = \"/srv/a.mp4\""),
        ("source = \"/dev/video0 \"", "hardly seen"),
        ("source = \"/dev/\u{a0}video0\"", "hardly seen"),
        ("source = \"“/dev/video0”\"", "quotation marks of people"),
        ("source = \"~/pictures\"", "write the whole path"),
        ("source = \"$HOME/a.jpg\"", "write the whole path"),
        (
            "url = \"http://cam/x\"\nusername = \"a \"",
            "`username` begins or ends with a blank",
        ),
        (
            "[mqtt]\nusername = \" a\"",
            "[mqtt] `username` begins or ends with a blank",
        ),
        ("source = \"0\"", "write source = \"/dev/video0\""),
        (
            "source = \"a\"\nurl = \"rtsp://cam/x\"",
            "`url` is given, and `source` too",
        ),
        (
            "source = \"a\"\ncommand = [\"b\"]",
            "`command` is given, and `source` too",
        ),
        (
            "url = \"rtsp://admin:hunter2@cam/x\"",
            "`url` holds a user name or a password",
        ),
        (
            "url = \"rtsp://admin:hun/ter2@cam/x\"",
            "`url` holds a user name or a password",
        ),
        ("url = \"cam/x\"", "`url` cannot be \"cam/x\""),
        ("url = \"rtsp://cam/x y\"", "`url` cannot be"),
        ("url = \"rtsp://cam/'x\"", "`url` cannot be"),
        ("username = \"a\"", "`username` is given, but `url` is not"),
        (
            "password = \"hunter2\"",
            "`password` must not stand in the configuration",
        ),
        (
            "command = \"ffmpeg -i rtsp://admin:hunter2@cam/x\"",
            "every argument is a text of its own: command = [\"ffmpeg\", \"-i\", \"rtsp://***@cam/x\"]",
        ),
        (
            "command = [\"ffmpeg -i x\"]",
            "every argument is a text of its own: command = [\"ffmpeg\", \"-i\", \"x\"]",
        ),
        (
            "command = [\"sh -c 'a | b'\"]",
            "every argument is a text of its own: [\"program\", \"--option\"]",
        ),
        ("command = [\"a\", \"|\", \"b\"]", "which is for a shell"),
        ("command = [\"\"]", "`command` names no program"),
        (
            "command = [\"a\"]\nformat = \"rgb3\"\nwidth = 8192\nheight = 8192",
            "raw frames of 8192×8192 px take more memory than there is",
        ),
    ] {
        let message = message(&format!("[camera]\n{rest}"));
        assert!(message.contains(expected), "{rest}: {message}");
        assert!(
            !message.contains("hunter2") && !message.contains("ter2"),
            "{message}"
        );
    }
    assert_eq!(
        messages("[camera]\nurl = \"rtsp://cam/x?channel=1\"\ncommand = [\"a\"]"),
        [""; 0]
    );
    assert_eq!(
        messages("[camera]\ncommand = [\"gst-launch-1.0\", \"!\"]"),
        [""; 0]
    );
}

#[test]
fn a_login_without_a_password_and_a_password_for_all_to_see_are_told() {
    let warnings = |rest: &str| from_str(&format!("{START}{rest}")).expect("accepted").warnings();
    for (rest, expected) in [
        (
            "[mqtt]\nusername = \"a\"",
            "[mqtt] username is given without password_file, so no password is sent",
        ),
        (
            "[camera]\nurl = \"http://cam/x\"\nusername = \"a\"",
            "password_file = \"/run/credentials/affectd.service/affectd.camera-password\"",
        ),
        (
            "[camera]\ncommand = [\"a\", \"rtsp://u:hunter2@cam/x\"]",
            "[camera] command holds a password",
        ),
        (
            "[camera]\ncommand = [\"a\", \"--pwd\", \"x\"]",
            "[camera] command holds a password",
        ),
    ] {
        let told = warnings(rest);
        assert!(told.len() == 1 && told[0].contains(expected), "{rest}: {told:?}");
    }
    assert_eq!(warnings("[camera]\ncommand = [\"a\", \"rtsp://cam/x\"]"), [""; 0]);
}

#[test]
fn a_memory_that_is_too_short_for_the_frame_rate_is_told() {
    let warnings = |rest: &str| from_str(&format!("{START}{rest}")).expect("accepted").warnings();
    let told = warnings("[camera]\nfps = 4\n[detector]\ntrack_memory = \"300ms\"");
    assert!(
        told.len() == 1 && told[0].contains("is waited for 625ms instead"),
        "{told:?}"
    );
    for fine in [
        "[camera]\nfps = 10\n[detector]\ntrack_memory = \"300ms\"",
        "[camera]\nfps = 1",
    ] {
        assert_eq!(warnings(fine), [""; 0], "{fine}");
    }
}

#[test]
fn what_a_command_logs_in_with_is_hidden_in_the_effective_configuration() {
    let text =
        "[camera]\nname = \"camera\"\ncommand = [\"a\", \"rtsp://u:hunter2@cam/x\", \"--token\", \"x\"]";
    let config = from_str(&format!("{START}{text}")).expect("accepted");
    let effective = config.effective_toml();
    let shown = r#"command = ["a", "rtsp://***@cam/x", "--token", "***"]"#;
    assert!(effective.contains(shown), "{effective}");
    from_str(&effective).expect("still a configuration");
}

#[test]
fn what_other_programs_put_into_a_file_is_named() {
    for (rest, expected) in [
        (
            "[mqtt]\nhost = “broker”",
            "config:8:8: “ is no quotation mark in TOML\n    host = “broker”\n           ^  write \"broker\", with straight quotes",
        ),
        (
            "[mqtt]\nhost = «broker»",
            "write \"broker\", with straight quotes",
        ),
        (
            "[mqtt]\nhost = `broker`",
            "write \"broker\", with straight quotes",
        ),
        ("[mqtt]\nhost = \"broker”", "invalid basic string"),
        (
            "[mqtt]\n“host” = \"a\"",
            "config:8:1: “ is no quotation mark in TOML",
        ),
        (
            "[camera]\nfps = 10,0",
            "config:8:7: 10,0 has a comma\n    fps = 10,0\n          ^^^^  write 10.0, with a point",
        ),
        ("[camera]\nfps = 10,0 # per second", "write 10.0, with a point"),
        (
            "[camera]\nfps = \"10,5\"",
            "write it without quotes and with a point: 10.5",
        ),
        (
            "[camera]\nfps = 10.0\n\u{1a}",
            "config:9:1: Ctrl-Z, with which old editors end a file stands here (U+001A)\n    ␚",
        ),
        (
            "[camera]\n\u{a0}fps = 10.0",
            "config:8:1: a blank that does not break stands here (U+00A0)\n    ␣fps = 10.0\n    ^",
        ),
        (
            "[camera]\nfps =\u{a0}10.0",
            "config:8:6: a blank that does not break stands here (U+00A0)",
        ),
        (
            "[camera]\nfps = 10.0\u{200b}",
            "config:8:11: a character that cannot be seen stands here (U+200B)",
        ),
        (
            "[mqtt]\nhost: \"a\"",
            "config:8:5: a key and its value are joined by =\n    host: \"a\"\n        ^  write = instead",
        ),
    ] {
        let message = message(rest);
        assert!(message.contains(expected), "{rest}:\n{message}");
    }
    assert_eq!(messages("[camera]\nfps = 10.0 # “good”: 10,0\u{a0}"), [""; 0]);
    let secret = message("[mqtt]\npassword = “hunter2”");
    assert!(!secret.contains("hunter2"), "{secret}");
}

#[test]
fn masks_that_leave_nothing_to_look_at_are_refused() {
    let mask =
        |polygon: &str| format!("[[camera.mask]]\nname = \"a\"\nkind = \"staff\"\npolygon = {polygon}\n");
    let whole = mask("[[0, 0], [1, 0], [1, 1], [0, 1]]");
    let (left, right) = (
        mask("[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]"),
        mask("[[0.5, 0], [1, 0], [1, 1], [0.5, 1]]"),
    );
    for everything in [&whole, &format!("{left}{right}")] {
        assert!(message(everything).contains("`mask` covers the whole frame"));
    }
    for part in [&left, &mask("[[0, 0], [1, 0], [1, 1], [0, 0.9]]")] {
        assert_eq!(messages(part), [""; 0]);
    }
}

#[test]
fn every_window_has_a_frame() {
    for (rest, expected) in [
        (
            "[camera]\nfps = 0.1\n[window]\nlength = \"5s\"",
            "config:8:7: [camera] at 0.1 frames per second not every window of 5s has a frame\n    fps = 0.1\n          ^^^  write fps = 0.2 or more in [camera], or length = \"10s\" or more",
        ),
        (
            "[camera]\nfps = 0.5\n[window]\nlength = \"1s\"",
            "write fps = 1.0 or more in [camera], or length = \"2s\"",
        ),
    ] {
        let message = message(rest);
        assert!(message.contains(expected), "{message}");
    }
    assert_eq!(
        messages("[camera]\nfps = 0.1\n[window]\nlength = \"10s\""),
        [""; 0]
    );
    assert_eq!(messages("[camera]\nfps = 0.1"), [""; 0]);
    assert_eq!(messages("[window]\nlength = \"1s\""), [""; 0]);
}
