//! What is refused, and in which words.

use super::*;

#[test]
fn ten_errors_are_ten_messages() {
    let errors = from_str(include_str!("golden/ten_errors.toml")).expect_err("ten errors");
    assert_eq!(errors.problems().len(), 10, "{errors}");
    assert_eq!(
        errors.to_string(),
        include_str!("golden/ten_errors.txt").trim_end()
    );
    assert!(!errors.to_string().contains("hunter2"));
}

#[test]
fn a_value_of_the_wrong_type_or_out_of_range() {
    for (rest, expected) in [
        (
            "[mqtt]\nport = \"1883\"",
            "config:8:8: [mqtt] `port` must be a whole number, but this is text\n    port = \"1883\"\n           \
             ^^^^^^  write it without quotes: 1883",
        ),
        (
            "[mqtt]\nport = 1883.0",
            "config:8:8: [mqtt] `port` must be a whole number, but this is a number with a",
        ),
        (
            "[mqtt]\nport = 0",
            "config:8:8: [mqtt] `port` is 0; it must be from 1 to 65535",
        ),
        (
            "[mqtt]\nport = 0x1_0000",
            "config:8:8: [mqtt] `port` is 0x1_0000; it must be from 1 to 65535",
        ),
        (
            "[mqtt]\nport = 99999999999999999999",
            "config:8:8: [mqtt] `port` is 99999999999999999999; it must be",
        ),
        (
            "[mqtt]\nport = -99999999999999999999",
            "config:8:8: [mqtt] `port` is -99999999999999999999; it must",
        ),
        (
            "[mqtt]\nprotocol = 5",
            "config:8:12: [mqtt] `protocol` must be text in quotes, but this is a whole",
        ),
        (
            "[mqtt]\nprotocol = \"4\"",
            "config:8:12: [mqtt] `protocol` cannot be \"4\"",
        ),
        ("[mqtt]\nhost = \"\"", "config:8:8: [mqtt] `host` cannot be \"\""),
        (
            "[mqtt]\nhost = \"mqtt://a\"",
            "config:8:8: [mqtt] `host` cannot be \"mqtt://a\"",
        ),
        (
            "[mqtt]\nhost = \"a:8883\"",
            "config:8:8: [mqtt] `host` is \"a:8883\", with a port",
        ),
        (
            "[mqtt]\nhost = [\"a\"]",
            "config:8:8: [mqtt] `host` must be text in quotes, but this is a list",
        ),
        (
            "[mqtt]\nbase = \"a/#\"",
            "config:8:8: [mqtt] `base` cannot be \"a/#\"",
        ),
        (
            "[mqtt]\nusername = \"a\\u0000\"",
            "config:8:12: [mqtt] `username` holds a character that cannot be",
        ),
        (
            "[camera]\nfps = nan",
            "config:8:7: [camera] `fps` is nan; it must be from 0.1 to 60",
        ),
        (
            "[camera]\nfps = inf",
            "config:8:7: [camera] `fps` is inf; it must be from 0.1 to 60",
        ),
        (
            "[camera]\nrepeat = \"true\"",
            "config:8:10: [camera] `repeat` must be true or false, but this is text",
        ),
        (
            "[camera]\nmask = 1",
            "config:8:8: [camera] `mask` must be a list, but this is a whole number",
        ),
        (
            "[camera.mask]\nname = \"a\"",
            "config:7:1: [camera] `mask` must be a list, but this is a table",
        ),
        (
            "[detector]\nmodel = \"\"",
            "config:8:9: [detector] `model` is empty",
        ),
        (
            "[window]\nlength = 15",
            "config:8:10: [window] `length` must be a duration in quotes, but this is a whole",
        ),
        (
            "[window]\nlength = \"15\"",
            "config:8:10: [window] `length` is \"15\", which is no duration",
        ),
        (
            "[window]\nlength = \"500ms\"",
            "config:8:10: [window] `length` is \"500ms\"; it must be from \"1s\" to",
        ),
        (
            "[window]\nlength = \"61m\"",
            "config:8:10: [window] `length` is \"61m\"; it must be from \"1s\" to \"1h\"",
        ),
        (
            "[[window]]\nlength = \"61m\"",
            "config:7:1: `window` must be a table, but this is a list",
        ),
    ] {
        let message = message(rest);
        assert!(message.starts_with(expected), "{rest}: {message}");
    }
}

#[test]
fn an_unknown_key_and_the_likely_one() {
    for (rest, expected) in [
        (
            "[mqtt]\nhots = \"a\"",
            "unknown key `hots`\n    hots = \"a\"\n    ^^^^  did you mean `host`?",
        ),
        (
            "[detector]\nscore_treshold = 0.5",
            "did you mean `score_threshold`?",
        ),
        ("[detector]\nmin-face-px = 20", "did you mean `min_face_px`?"),
        ("[camera]\nhost = \"a\"", "`host` belongs into [mqtt]"),
        (
            "[mqtt]\nconfig_version = 1",
            "`config_version` belongs to the top of the file",
        ),
        (
            "[mqqt]\nhost = \"a\"",
            "unknown table `mqqt`\n    [mqqt]\n     ^^^^  did you mean `mqtt`?",
        ),
        ("[window]\ncolour = 1", "known here: `length`"),
        (
            "[camera]\ncolour = 1",
            "`affectd config --defaults` lists all keys",
        ),
        ("[mqtt]\nqueue = 1000", "`queue` has another place"),
        ("[spool]\nmax_size = \"32MB\"", "whole MiB, such as \"32MiB\""),
        (
            "[mqtt]\npassword = \"hunter2\"",
            "`password` must not stand in the configuration",
        ),
    ] {
        let message = message(rest);
        assert!(message.contains(expected), "{rest}: {message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[test]
fn what_is_missing_is_named() {
    for (text, expected) in [
        (
            "",
            vec![
                "config: table [deployment] is missing",
                "config: `config_version` is missing",
            ],
        ),
        (
            "config_version = 1\n",
            vec!["config: table [deployment] is missing"],
        ),
        (
            &START["config_version = 1\n".len()..],
            vec!["config: `config_version` is missing\n    write `config_version = 1`"],
        ),
        (
            &START.replace("site = \"museum-north\"\n", ""),
            vec![
                "config:2:1: [deployment] `site` is missing\n    [deployment]\n    ^^^^^^^^^^^^  for example: site = \
                  \"museum-north\"",
            ],
        ),
        (
            &START.replace("version = 1", "version = 2"),
            vec!["config:1:18: `config_version` is 2; this affectd reads 1"],
        ),
        (
            &START.replace("version = 1", "version = 0"),
            vec!["config:1:18: `config_version` is 0; this affectd reads 1"],
        ),
    ] {
        let errors = from_str(text).expect_err("something is missing");
        let found: Vec<String> = errors.problems().iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), expected.len(), "{text}: {found:#?}");
        for expected in expected {
            assert!(
                found.iter().any(|found| found.starts_with(expected)),
                "{text}: {found:#?}"
            );
        }
    }
}

#[test]
fn a_workplace_or_a_school_needs_a_basis() {
    for place in ["workplace", "education"] {
        let text = START.replace("\"museum\"", &format!("\"{place}\""));
        for bad in [text.clone(), format!("{text}basis = \"none\"\n")] {
            let errors = from_str(&bad).expect_err("refused");
            assert_eq!(errors.problems().len(), 1, "{errors}");
            let message = errors.to_string();
            assert!(
                message.starts_with("config:4:9: [deployment] `place`"),
                "{message}"
            );
            assert!(message.contains("EU AI Act, Art. 5(1)(f)"), "{message}");
        }
        for basis in ["medical", "safety"] {
            from_str(&format!("{text}basis = \"{basis}\"\n")).expect("lawful");
        }
        // A basis that was misspelt is one problem, not two.
        let errors = from_str(&format!("{text}basis = \"safty\"\n")).expect_err("misspelt");
        assert_eq!(errors.problems().len(), 1, "{errors}");
    }
}

#[test]
fn a_small_group_is_refused_with_the_reason() {
    assert!(message("[privacy]\nmin_group = 2").contains("in a group of two, each could work out"));
    assert!(message("[privacy]\nmin_group = 4").contains("where strangers come and go"));
    assert_eq!(messages("[privacy]\nmin_group = 5"), [""; 0]);
    let home = START.replace("\"museum\"", "\"home\"");
    assert!(from_str(&format!("{home}[privacy]\nmin_group = 3")).is_ok());
}

#[test]
fn no_configuration_reaches_below_what_the_gate_rests_on() {
    let camera = "[camera]\nsource = \"/dev/video0\"\n";
    for (text, expected) in [
        (format!("{camera}fps = 0.5"), "too slow to follow anybody"),
        (
            "[camera]\ncommand = [\"a\"]\nfps = 0.2".to_owned(),
            "too slow to follow anybody",
        ),
        (
            format!("{camera}[window]\nlength = \"3s\""),
            "too short for a camera",
        ),
        (
            "[detector]\ntrack_memory = \"10s\"".to_owned(),
            "somebody else can have taken the place",
        ),
        ("[detector]\ntrack_iou = 0.1".to_owned(), "taken for the same"),
        (
            "[detector]\nscore_threshold = 0.2".to_owned(),
            "may count as several",
        ),
        ("[model]\nclassify_hz = 0.2".to_owned(), "read within a second"),
        (
            "[model]\nclassify_budget_hz = 4.0".to_owned(),
            "fewer readings a second",
        ),
        ("[status]\nhealth_interval = \"1s\"".to_owned(), "10s"),
    ] {
        let message = message(&text);
        assert!(message.contains(expected), "{text}: {message}");
    }
    // What only suppresses more is nobody's risk, and a recording is nobody's.
    assert_eq!(messages("[detector]\nnms_iou = 1.0"), [""; 0]);
    assert_eq!(
        messages("[camera]\nsource = \"a\"\nfps = 0.5\n[window]\nlength = \"2s\""),
        [""; 0]
    );
}

#[test]
fn a_library_needs_a_delegate_that_uses_it() {
    let with = |delegate| format!("[model]\ndelegate = \"{delegate}\"\ndelegate_library = \"a.so\"\n");
    assert_eq!(messages(&with("edgetpu")), [""; 0]);
    assert_eq!(messages(&with("auto")), [""; 0]);
    assert_eq!(messages("[model]\ndelegate_library = \"a.so\""), [""; 0]);
    assert_eq!(messages("[model]\ndelegate = \"edgetpu\""), [""; 0]);
    assert!(message(&with("xnnpack")).contains("`delegate` is \"xnnpack\""));
    assert!(message(&with("none")).contains("config:9:20"));
    assert!(message(&with("edgetpuu")).contains("did you mean"));
}

#[test]
fn a_mask_is_a_region() {
    let mask =
        |polygon: &str| format!("[[camera.mask]]\nname = \"till\"\nkind = \"staff\"\npolygon = {polygon}\n");
    assert_eq!(messages(&mask("[[0, 0], [1, 0], [1, 1]]")), [""; 0]);
    for (polygon, expected) in [
        (
            "[[0, 0], [1, 0]]",
            "config:10:11: [camera.mask] `polygon` has 2 elements; it must have at least 3",
        ),
        (
            "[[0, 0], [1, 0, 1], [1, 1]]",
            "config:10:20: [camera.mask] `polygon[1]` has 3 elements; it must have 2",
        ),
        (
            "[[0, 0], [1, 0], [1.5, 1]]",
            "config:10:29: [camera.mask] `polygon[2][0]` is 1.5; it must be from 0 to 1\n    polygon = [[0, 0], [1, 0], [1.5, 1]]\n                                \
             ^^^  corners are parts of the frame, not pixels",
        ),
        (
            "[0, 0, 1]",
            "config:10:12: [camera.mask] `polygon[0]` must be a list, but this is a whole number",
        ),
        (
            "[[0, 0], [0.5, 0.5], [1, 1]]",
            "config:7:1: [camera.mask] the polygon of mask \"till\" has no area",
        ),
    ] {
        let found = messages(&mask(polygon));
        assert!(found[0].starts_with(expected), "{polygon}: {found:#?}");
    }
    let missing = message("[[camera.mask]]\nname = \"till\"\nkind = \"staff\"\n");
    assert!(
        missing.starts_with("config:7:1: [camera.mask] `polygon` is missing"),
        "{missing}"
    );
}

#[test]
fn lamp_and_button_need_a_pin_each() {
    let same = message("[indicator]\nled_pin = 17\nbutton_pin = 17");
    assert!(
        same.starts_with("config:9:14: [indicator] `button_pin` is 17, and so is `led_pin`"),
        "{same}"
    );
    assert_eq!(messages("[indicator]\nled_pin = 17\nbutton_pin = 27"), [""; 0]);
    assert_eq!(messages("[indicator]\nled_pin = -1\nbutton_pin = -1"), [""; 0]);
}

#[test]
fn a_broken_file_does_not_hide_what_else_is_wrong_nor_invent_anything() {
    let found = messages("[mqtt\nhots = 1\n[log]\nlevel = \"inf\"\n");
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].starts_with("config:7:6: unclosed table"), "{}", found[0]);
    assert!(
        found[1].starts_with("config:10:9: [log] `level` cannot be \"inf\""),
        "{}",
        found[1]
    );
}

#[test]
fn a_thousand_errors_are_a_hundred_messages() {
    let keys: String = (0..1000).map(|index| format!("key_{index} = 1\n")).collect();
    let errors = from_str(&format!("{START}[mqtt]\n{keys}")).expect_err("refused");
    assert_eq!(errors.problems().len(), 100);
    assert!(
        errors
            .to_string()
            .ends_with("The configuration has more than 100 problems.")
    );
}
