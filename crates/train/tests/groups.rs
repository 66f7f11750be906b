//! Classifiers of groups and videos: parity with scikit-learn, clips without faces, and the file for the daemon.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::Path;

use affect_core::mood::MoodClass;
use affect_train::data::{DataError, Face, Format};
use affect_train::group::compose::{self, Person, scenes};
use affect_train::group::forest::{Forest, TREES};
use affect_train::group::linear::LinearSvc;
use affect_train::group::{Clip, Descriptor, Samples, clips, largest, rule, sharpness};
use affect_vision::LoadedModel;
use common::{affect_train, face, root, run, runtime, stderr};

/// Recorded with scikit-learn by `record_classifiers.py`.
#[derive(serde::Deserialize)]
struct Golden {
    train: Vec<Vec<f64>>,
    train_labels: Vec<usize>,
    test: Vec<Vec<f64>>,
    test_labels: Vec<usize>,
    plane: Vec<Vec<f64>>,
    plane_accuracy: f64,
    forest: Vec<Vec<f64>>,
    forest_accuracy: f64,
}

impl Golden {
    fn read() -> Self {
        serde_json::from_str(include_str!("data/classifiers.json")).unwrap()
    }

    fn samples(rows: &[Vec<f64>], labels: &[usize]) -> Samples {
        Samples {
            rows: rows.to_vec(),
            labels: labels.to_vec(),
            classes: 3,
        }
    }
}

#[test]
fn the_linear_classifier_decides_as_scikit_learns() {
    let golden = Golden::read();
    let plane = LinearSvc::fit(&Golden::samples(&golden.train, &golden.train_labels), 1.0, 1);
    for (row, theirs) in golden.test.iter().zip(&golden.plane) {
        for (ours, theirs) in plane.decide(row).iter().zip(theirs) {
            assert!((ours - theirs).abs() < 1e-3, "{ours} is not {theirs}");
        }
    }
    let test = Golden::samples(&golden.test, &golden.test_labels);
    let accuracy = test.count_right(|row| plane.decide(row)) as f64 / test.rows.len() as f64;
    assert!((accuracy - golden.plane_accuracy).abs() < 1e-9, "{accuracy}");
}

#[test]
fn the_forest_is_as_good_as_scikit_learns() {
    let golden = Golden::read();
    let forest = Forest::fit(&Golden::samples(&golden.train, &golden.train_labels), TREES, 1);
    let mut difference = 0.0;
    for (row, theirs) in golden.test.iter().zip(&golden.forest) {
        let ours = forest.decide(row);
        assert!((ours.iter().sum::<f64>() - 1.0).abs() < 1e-6);
        difference += ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).sum::<f64>();
    }
    // Two forests of 1000 trees from different random numbers differ by about as much.
    let mean = difference / (golden.test.len() * 3) as f64;
    assert!(mean < 0.02, "mean difference of class shares {mean}");
    let test = Golden::samples(&golden.test, &golden.test_labels);
    let accuracy = test.count_right(|row| forest.decide(row)) as f64 / test.rows.len() as f64;
    assert!(
        accuracy > golden.forest_accuracy - 0.01,
        "{accuracy} against {}",
        golden.forest_accuracy
    );
}

#[test]
fn a_clip_without_faces_is_zero_in_measuring_and_left_out_of_training() {
    let clip = |label: &str, frames: Vec<Vec<Vec<f64>>>| Clip {
        frames,
        label: label.to_owned(),
    };
    let all = [
        clip("a", vec![vec![vec![1.0, 0.0]], vec![vec![0.0, 1.0]]]),
        clip("b", vec![vec![vec![0.0, 1.0], vec![1.0, 1.0]]]),
        clip("b", vec![]),
    ];
    let classes = ["a".to_owned(), "b".to_owned()];
    let train = Samples::for_training(&all, &classes, Descriptor::Group).unwrap();
    assert_eq!(train.labels, [0, 1]);
    let test = Samples::for_measuring(&all, &classes, Descriptor::Group, 8).unwrap();
    assert_eq!(test.labels, [0, 1, 1]);
    assert_eq!(test.rows[2], [0.0; 8]);
    // mean .5 .5, deviation over faces 0 0; over frames deviation .5 .5 and 0 0; length 1.
    assert_eq!(test.rows[0], [0.5, 0.5, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0]);
    // The first face of a frame is the largest; the second is not looked at.
    let single = all[1].describe(Descriptor::Single).unwrap();
    assert_eq!(single[0], 0.0);

    let error = Samples::for_training(&all[2..], &classes, Descriptor::Group).unwrap_err();
    assert!(
        error.to_string().contains("No training clip with a face is `a`"),
        "{error}"
    );
    let error = Samples::for_measuring(&all, &classes[..1], Descriptor::Group, 8).unwrap_err();
    assert!(error.to_string().contains("A clip is `b`"), "{error}");
}

#[test]
fn faces_of_one_picture_are_one_frame_and_the_largest_comes_first() {
    let seen = |path: &str, side: f32| Face {
        path: path.into(),
        region: Some(affect_core::geometry::Rect {
            x: 0.0,
            y: 0.0,
            w: side,
            h: side,
        }),
        mood: Some("positive".to_owned()),
        clip: Some("party".to_owned()),
        ..Face::default()
    };
    let empty = Face {
        clip: Some("empty hall".to_owned()),
        mood: Some("neutral".to_owned()),
        ..Face::default()
    };
    let found = [seen("2.png", 10.0), seen("1.png", 5.0), seen("2.png", 20.0)];
    let faces: Vec<&Face> = found.iter().collect();
    let pictures: Vec<&Face> = found.iter().chain([&empty]).collect();
    let features = vec![vec![1.0], vec![2.0], vec![3.0]];
    let clips = clips(&pictures, &faces, features).unwrap();
    assert_eq!(
        clips[0].frames,
        Vec::<Vec<Vec<f64>>>::new(),
        "nobody was found there"
    );
    assert_eq!(clips[1].frames, [vec![vec![2.0]], vec![vec![3.0], vec![1.0]]]);
    let none = affect_train::group::clips(&[], &[], vec![]).unwrap_err();
    assert!(matches!(none, DataError::Classes(_)));
}

#[test]
fn scenes_are_called_after_the_strict_majority() {
    let person = |speaks_for: MoodClass| Person {
        takes: vec![
            (0..3)
                .map(|class| f64::from(u8::from(speaks_for as usize == class)))
                .collect(),
        ],
        speaks_for,
    };
    let people = MoodClass::ALL.map(person);
    let composed = scenes(&people, 60, 2, 1);
    assert_eq!(
        composed,
        scenes(&people, 60, 2, 1),
        "the same seed gives the same scenes"
    );
    for clip in &composed {
        assert_eq!(clip.frames.len(), 2);
        let faces = &clip.frames[0];
        assert!((3..=12).contains(&faces.len()));
        let class = MoodClass::ALL
            .iter()
            .position(|class| class.name() == clip.label)
            .unwrap();
        let agree = faces.iter().filter(|face| face[class] == 1.0).count();
        assert!(2 * agree > faces.len());
    }
    assert!(
        scenes(&people[..2], 60, 2, 1).is_empty(),
        "a class without people"
    );
}

#[test]
fn everybody_in_a_room_speaks_for_its_mood_and_the_rule_hears_them() {
    let people: Vec<Person> = [
        (0usize, MoodClass::Neutral),
        (1, MoodClass::Positive),
        (2, MoodClass::Negative),
    ]
    .map(|(expression, speaks_for)| {
        let mut scores = vec![0.04; 8];
        scores[expression] = 0.72;
        Person {
            takes: vec![scores],
            speaks_for,
        }
    })
    .to_vec();
    let rooms = compose::rooms(&people, 9, 2, 1);
    assert_eq!(rooms.len(), 9);
    for room in &rooms {
        assert!(room.frames.iter().all(|frame| frame.len() == compose::ROOM));
        let mood = rule(&room.describe(Descriptor::Group).unwrap());
        assert_eq!(MoodClass::ALL[largest(&mood)].name(), room.label);
    }
    assert!(
        compose::rooms(&people[..2], 9, 2, 1).is_empty(),
        "nobody is negative"
    );
}

#[test]
fn sharpness_makes_scores_mean_what_they_say() {
    // Right in three of four cases at a distance of 1 from both others: e^s / (e^s + 2) = 3/4, so s = ln 6.
    let samples = Samples {
        rows: vec![vec![0.0]; 8],
        labels: vec![0, 0, 0, 1, 0, 0, 0, 2],
        classes: 3,
    };
    let found = sharpness(&samples, |_| vec![1.0, 0.0, 0.0]);
    assert!((found - 6f64.ln()).abs() < 0.03, "{found}");
}

fn copied_model(place: &Path) -> std::path::PathBuf {
    let (from, to) = (
        root().join("models/emotion-mobilenet-v1"),
        place.join("emotion-mobilenet-v1"),
    );
    std::fs::create_dir(&to).unwrap();
    for file in ["model.toml", "emotion-mobilenet-v1.tflite"] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
    to
}

#[test]
fn the_daemon_loads_what_the_command_installs_and_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let faces = place.path().join("faces");
    for (mouth, label) in ["neutral", "happiness", "sadness"].iter().enumerate() {
        std::fs::create_dir_all(faces.join(label)).unwrap();
        for person in 0..10 {
            face(mouth, person, 1)
                .save(faces.join(label).join(format!("{person}.png")))
                .unwrap();
        }
    }
    let model = copied_model(place.path());
    assert!(
        LoadedModel::open(&model).unwrap().mood.is_none(),
        "shipped with the rule"
    );
    let group = |train: String, more: &[&str]| {
        let mut command = affect_train();
        command
            .args(["group", "--model"])
            .arg(&model)
            .arg("--train")
            .arg(train);
        command.arg("--runtime").arg(runtime()).args(more);
        command
    };
    let source = format!("folder:{}", faces.display());
    let rooms = ["--scenes", "60", "--install", "--rooms", source.as_str()];
    let done = run(&mut group(source.clone(), &rooms));
    let table = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(
        table.contains("60 training clips of negative, neutral, positive; 32 numbers each."),
        "{table}"
    );
    assert!(table.contains("| held out of the training | 12 |"), "{table}");
    assert!(
        table.contains("| rooms of folder:faces | 600 |") && table.contains("| … negative | 200 |"),
        "{table}"
    );
    let after = LoadedModel::open(&model).unwrap();
    let mood = after.mood.unwrap();
    assert!(
        mood.measured[1]
            .command
            .ends_with("--scenes 60 --seed 1 --rooms folder:faces"),
        "{mood:?}"
    );
    assert_eq!(mood.source, "60 scenes composed from faces of faces");
    assert!(!after.manifest.mood.unwrap().interim);

    for (train, more, message) in [
        (source.clone(), vec![], "has no clips with labels"),
        (
            source.clone(),
            vec!["--scenes", "60", "--descriptor", "single", "--install"],
            "32 numbers of the descriptor `Single`",
        ),
        (
            format!("folder:{}:valid", faces.display()),
            vec!["--scenes", "9"],
            "no faces with an expression",
        ),
        ("folders:x".to_owned(), vec![], "`folders` is no known layout"),
    ] {
        let output = group(train, &more).output().unwrap();
        assert!(!output.status.success());
        assert!(stderr(&output).contains(message), "{}", stderr(&output));
    }

    // And back to the rule: what it is worth stays in the manifest, the classifier goes.
    let with_classifier = std::fs::read_to_string(model.join("model.toml")).unwrap();
    let mood_file = std::fs::read_to_string(model.join("mood.toml")).unwrap();
    let rooms = ["--scenes", "60", "--install", "rule", "--rooms", source.as_str()];
    run(&mut group(source.clone(), &rooms));
    let ruled = LoadedModel::open(&model).unwrap();
    assert!(ruled.mood.is_none() && !ruled.manifest.mood.unwrap().interim);
    let measured = ruled
        .manifest
        .measured
        .iter()
        .filter(|m| m.what.contains("by the rule"));
    assert_eq!(
        measured.map(|m| m.on.as_str()).collect::<Vec<_>>(),
        ["rooms of folder:faces: 600 groups"]
    );
    assert!(!model.join("mood.toml").exists());
    std::fs::write(model.join("model.toml"), with_classifier).unwrap();
    std::fs::write(model.join("mood.toml"), mood_file).unwrap();

    std::fs::remove_dir_all(faces.join("sadness")).unwrap();
    let output = group(format!("folder:{}", faces.display()), &["--scenes", "9"])
        .output()
        .unwrap();
    assert!(
        stderr(&output).contains("people of all three moods"),
        "{}",
        stderr(&output)
    );

    let file = model.join("mood.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("sharpness = ", "sharpness = -")).unwrap();
    let error = LoadedModel::open(&model).unwrap_err().to_string();
    assert!(
        error.contains("mood.toml") && error.contains("SHA-256"),
        "{error}"
    );
    std::fs::remove_file(&file).unwrap();
    let error = LoadedModel::open(&model).unwrap_err().to_string();
    assert!(error.contains("mood.toml` cannot be read"), "{error}");
}

#[test]
fn group_scenes_are_read_with_their_boxes() {
    let place = tempfile::tempdir().unwrap();
    face(0, 1, 1).save(place.path().join("a.png")).unwrap();
    let table = "file,group_label,x,y,w,h,emotion\na.png,Positive,1,2,3,4,happiness\na.png,Positive,1,2,x,4,happiness\nb.png,Positive,1,2,3,4,neutral\na.png,Positive,1,2,3,4,bored\n";
    std::fs::write(place.path().join("faces.csv"), table).unwrap();
    let set = Format::GroupScenes.read(place.path()).unwrap();
    assert_eq!(set.faces.len(), 1);
    assert_eq!(set.faces[0].mood.as_deref(), Some("positive"));
    assert_eq!(set.faces[0].region.unwrap().h, 4.0);
    let whys: Vec<String> = set
        .skipped
        .iter()
        .map(|s| format!("{} {}", s.place, s.why))
        .collect();
    assert!(whys[0].contains("faces.csv:3 The box is not"), "{whys:?}");
    assert!(whys[1].contains("faces.csv:4 The picture is missing"), "{whys:?}");
    assert!(whys[2].contains("faces.csv:5 `bored`"), "{whys:?}");
}
