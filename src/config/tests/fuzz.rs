//! Whatever comes in: an answer, never a panic; and what is accepted reads back the same.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// Loads `text` and holds the answer to what must always be true of it.
fn judge(text: &str) -> Result<(), TestCaseError> {
    match from_str(text) {
        Ok(config) => prop_assert_eq!(
            from_str(&config.effective_toml()).map_err(|e| e.to_string()),
            Ok(config)
        ),
        Err(errors) => {
            let shown = errors.to_string();
            prop_assert!(!errors.problems().is_empty());
            prop_assert!(
                !shown.contains("passed all checks and cannot be used"),
                "{}",
                shown
            );
        }
    }
    Ok(())
}

/// A file that is accepted, with every key in it.
fn whole() -> String {
    let mask = "[[camera.mask]]\nname = \"till\"\nkind = \"staff\"\npolygon = [[0.0, 0.5], [0.3, 0.5], [0.3, 1.0]]\n";
    format!("{}\n{mask}", Config::for_replay().effective_toml())
        .replace("\n\n[detector]", &format!("\n{mask}\n[detector]"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.toml");
        std::fs::write(&path, &bytes).expect("written");
        if let Err(errors) = load(&[path], std::iter::empty()) {
            prop_assert!(!errors.to_string().is_empty());
        }
    }

    #[test]
    fn arbitrary_words_of_toml(words in prop::collection::vec(
        prop::sample::select(vec![
            "config_version", "deployment", "mqtt", "camera", "mask", "host", "port", "place", "polygon", "password",
            " = ", ".", "[", "]", "[[", "]]", "{", "}", ",", "\n", "\"", "'", "\"\"\"", "1", "-1", "1e999", "0x", "nan",
            "true", "yes", "\"15s\"", "\"workplace\"", "#", "ä", "\u{0}", "\r\n", "1979-05-27",
        ]), 0..60))
    {
        judge(&words.concat())?;
    }

    #[test]
    fn a_good_file_with_some_characters_changed(
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(any::<char>()), 0..3u8), 1..6),
    ) {
        let mut text: Vec<char> = whole().chars().collect();
        for (index, new, kind) in changes {
            let at = index.index(text.len());
            match (new, kind) {
                (Some(new), 0) => text[at] = new,
                (Some(new), _) => text.insert(at, new),
                (None, 0) => { text.truncate(at + 1); }
                (None, _) => { text.remove(at); }
            }
            if text.is_empty() { text.push('x'); }
        }
        judge(&text.into_iter().collect::<String>())?;
    }

    #[test]
    fn a_good_file_with_lines_swapped_doubled_and_lost(
        moves in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..3u8), 1..5),
    ) {
        let whole = whole();
        let mut lines: Vec<&str> = whole.lines().collect();
        for (from, to, kind) in moves {
            let (from, to) = (from.index(lines.len()), to.index(lines.len()));
            match kind {
                0 => lines.swap(from, to),
                1 => lines.insert(to, lines[from]),
                _ => { lines.remove(from); }
            }
        }
        judge(&lines.join("\n"))?;
    }

    #[test]
    fn arbitrary_variables(name in "[A-Z_]{0,12}(MQTT|CAMERA|DEPLOYMENT)?_{0,3}[A-Z_]{0,8}", value in any::<String>()) {
        let env = [(format!("AFFECTD__{name}"), value)];
        if let Err(errors) = load(&[], env.into_iter()) {
            prop_assert!(!errors.to_string().is_empty());
        }
    }

    #[test]
    fn every_accepted_configuration_reads_back_the_same(
        (fps, repeat, min_face_px) in (1.0..=60.0, any::<bool>(), 8u32..=1000),
        (length, memory) in (1_000u64..=3_600_000, 100u64..=3_000),
        (min_group, port, size) in (5u32..=40, 1u16.., 0u64..=9999),
        (purpose, controller) in ("\\PC{10,80}", "\\PC{0,40}x"),
        (source, username) in ("[^\\pC\\pZ~$][^\\pC\\pZ]{0,40}x|", "\\PC{0,40}"),
        (score, device) in (0.5..=1.0, "[a-z0-9_-]{0,32}"),
        corner in (0.0..=0.4, 0.6..=1.0),
    ) {
        let words = format!("{purpose}{controller}{source}{username}");
        // What looks like a secret is hidden, also where it is none.
        let shown = |word: &String| crate::redact::without_secrets(word) == word.as_str();
        prop_assume!([&purpose, &controller, &source, &username].into_iter().all(shown));
        prop_assume!(purpose.trim().chars().count() >= 10);
        prop_assume!(username.trim() == username);
        prop_assume!(!words.contains(|c| c == '\u{fffd}' || crate::redact::is_unseen(c)));
        prop_assume!(!source.contains("://") && source.contains(|c: char| !c.is_ascii_digit()) != source.is_empty());
        let mut config = Config::for_replay();
        config.deployment.purpose = purpose;
        config.deployment.controller = controller;
        config.deployment.device = Some(device).filter(|device| !device.is_empty());
        config.camera.fps = fps;
        config.camera.repeat = repeat;
        config.camera.source = Some(source).filter(|source| !source.is_empty()).map(Into::into);
        config.camera.mask = vec![Mask {
            name: "till".to_owned(),
            kind: MaskKind::Staff,
            polygon: vec![[0.0, corner.0], [1.0, corner.1], [corner.0, 1.0]],
        }];
        config.detector.min_face_px = min_face_px;
        config.detector.score_threshold = score;
        config.detector.track_memory = Duration::from_millis(memory);
        config.window.length = Duration::from_millis(length);
        config.privacy.min_group = min_group;
        config.mqtt.port = port;
        config.spool.max_size = size << 20;
        config.mqtt.username = Some(username).filter(|username| !username.is_empty());
        let text = config.effective_toml();
        prop_assert_eq!(from_str(&text).map_err(|errors| errors.to_string()), Ok(config), "{}", text);
    }
}

#[test]
fn a_megabyte_of_nonsense_is_answered_soon() {
    let start = std::time::Instant::now();
    for line in ["x\n", "[x\n", "x = [\n", "[[", "a.", "[a]\n", "x = {", "\"\"\""] {
        let _ = from_str(&line.repeat((1 << 20) / line.len())).expect_err("nonsense");
    }
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}
