//! Every reader on a small tree in the published layout, with something wrong in each.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use std::path::Path;

use affect_core::expression::Expression;
use affect_train::data::{DataError, Face, Faces, Format, Gender};
use common::{affect_train, face, root, run, stderr};

fn picture(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    face(1, 2, 3).save(path).unwrap();
}

fn reasons(set: &Faces) -> String {
    set.skipped
        .iter()
        .map(|s| format!("{}: {}\n", s.place, s.why))
        .collect()
}

fn expressions(set: &Faces) -> Vec<Expression> {
    set.faces.iter().filter_map(Face::majority).collect()
}

#[test]
fn ferplus_reads_votes_and_names_what_is_wrong_by_line() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    for (split, class, file) in [
        ("train", "anger", "a.png"),
        ("test", "contempt", "b.png"),
        ("train", "fear", "d.png"),
    ] {
        picture(&here.join(split).join(class).join(file));
    }
    let header = "image,split,majority8,fer2013_label7,duplicate_of,v_neutral,v_happiness,v_surprise,v_sadness,v_anger,v_disgust,v_fear,v_contempt";
    let rows = "a.png,train,anger,angry,,1,0,0,1,8,0,0,0\nb.png,test,contempt,neutral,x.png,4,0,0,0,0,0,0,6\nc.png,train,anger,angry,,0,0,0,0,9,0,0,0\nd.png,train,fear,fear,,9,0,0,0,0,0,1,0\ne.png,train,bored,sad,,0,0,0,0,0,0,0,0\nf.png,train,,sad,,0,0,0,0,0,0,0,0";
    std::fs::write(here.join("labels.csv"), format!("{header}\n{rows}\n")).unwrap();
    let set = Format::Ferplus.read(here).unwrap();
    assert_eq!(expressions(&set), [Expression::Anger, Expression::Contempt]);
    assert_eq!(set.faces[0].expression.unwrap()[Expression::Anger.index()], 0.8);
    assert_eq!(set.faces[1].other_expression, Some(Expression::Neutral));
    assert!(set.faces[1].known_duplicate && !set.faces[0].known_duplicate);
    let text = reasons(&set);
    assert!(text.contains("labels.csv:4: The picture is missing"), "{text}");
    assert!(text.contains("labels.csv:5: The votes contradict"), "{text}");
    assert!(text.contains("labels.csv:6: `bored` is not one"), "{text}");
    assert!(
        text.contains("labels.csv:7: The annotators have no majority"),
        "{text}"
    );

    std::fs::write(here.join("labels.csv"), "image,split\n").unwrap();
    let error = Format::Ferplus.read(here).unwrap_err().to_string();
    assert!(error.contains("no column `majority8`"), "{error}");
    std::fs::remove_file(here.join("labels.csv")).unwrap();
    assert!(matches!(Format::Ferplus.read(here), Err(DataError::File { .. })));
}

#[test]
fn fer2013_reads_pixels_from_its_table_with_and_without_votes() {
    let place = tempfile::tempdir().unwrap();
    let pixels = vec!["7"; 48 * 48].join(" ");
    let text = format!(
        "emotion,pixels,Usage\n0,{pixels},Training\n6,{pixels},PrivateTest\n9,{pixels},Training\n3,1 2 3,PublicTest\n"
    );
    std::fs::write(place.path().join("fer2013.csv"), text).unwrap();
    let set = Format::Fer2013.read(place.path()).unwrap();
    assert_eq!(expressions(&set), [Expression::Anger, Expression::Neutral]);
    assert_eq!(set.faces[1].split, "test");
    assert_eq!(set.faces[0].inline.as_ref().unwrap().rgb[0], 7);
    let text = reasons(&set);
    assert!(
        text.contains("fer2013.csv:4: The emotion `9`") && text.contains("fer2013.csv:5: The pixels"),
        "{text}"
    );

    let votes = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\nTraining,a,0,0,0,0,2,0,8,0,0,0\nPrivateTest,b,0,0,0,0,0,0,0,0,10,0\nx,c,1,0,0,0,0,0,0,0,0,0\nx,d,1,0,0,0,0,0,0,0,0,0\n";
    std::fs::write(place.path().join("fer2013new.csv"), votes).unwrap();
    let set = Format::Fer2013.read(place.path()).unwrap();
    assert_eq!(expressions(&set), [Expression::Fear]);
    assert_eq!(set.faces[0].other_expression, Some(Expression::Anger));
    assert!(reasons(&set).contains("fer2013new.csv:3: There is no vote"));
}

#[test]
fn affectnet_reads_boxes_and_codes() {
    let place = tempfile::tempdir().unwrap();
    picture(&place.path().join("Manually_Annotated_Images/12/a.png"));
    let header = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal";
    let rows = "12/a.png,4,5,30,31,0;0,6,0.1,0.2\n12/a.png,4,5,30,31,0;0,9,0,0\n12/a.png,4,5,0,31,0;0,1,0,0\n12/b.png,4,5,30,31,0;0,1,0,0\n12/a.png,4,5,30,31,0;0,17,0,0";
    std::fs::write(place.path().join("training.csv"), format!("{header}\n{rows}\n")).unwrap();
    let set = Format::Affectnet.read(place.path()).unwrap();
    assert_eq!(expressions(&set), [Expression::Anger]);
    assert_eq!(set.faces[0].region.unwrap().w, 30.0);
    let text = reasons(&set);
    for wanted in [
        "training.csv:3: Annotated as none",
        "training.csv:4: The face box",
        "training.csv:5: The picture is missing",
        "training.csv:6: The expression `17`",
        "validation.csv: The table is missing",
    ] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
}

#[test]
fn lfw_and_vggface2_are_folders_of_people() {
    let place = tempfile::tempdir().unwrap();
    picture(&place.path().join("Ann/Ann_0001.png"));
    picture(&place.path().join("Ann/Ann_0002.png"));
    picture(&place.path().join("Bob/Bob_0001.png"));
    std::fs::create_dir_all(place.path().join("Nobody")).unwrap();
    let set = Format::Lfw.read(place.path()).unwrap();
    assert_eq!(set.identities, ["Ann", "Bob"]);
    assert_eq!(
        set.faces.iter().map(|f| f.identity.unwrap()).collect::<Vec<_>>(),
        [0, 0, 1]
    );
    assert!(reasons(&set).contains("Nobody: The person's folder has no picture"));

    let place = tempfile::tempdir().unwrap();
    picture(&place.path().join("train/n000002/0001_01.png"));
    picture(&place.path().join("test/n000001/0001_01.png"));
    let set = Format::Vggface2.read(place.path()).unwrap();
    assert_eq!(
        (
            set.split("train").len(),
            set.split("test").len(),
            set.identities.len()
        ),
        (1, 1, 2)
    );
}

#[test]
fn utkface_reads_file_names_and_tests_on_every_fifth_of_a_kind() {
    let place = tempfile::tempdir().unwrap();
    for name in [
        "30_0_0_1.png",
        "32_0_0_2.png",
        "35_0_0_3.png",
        "37_0_0_4.png",
        "39_0_0_5.png",
        "39_0_0_6.png",
        "39_0_0_7.png",
        "5_1_1_2.png",
        "30_3_0_4.png",
        "200_0_0_5.png",
        "x.png",
        "30_0_9_6.png",
    ] {
        picture(&place.path().join("images").join(name));
    }
    let set = Format::Utkface.read(place.path()).unwrap();
    let found: Vec<_> = set
        .faces
        .iter()
        .map(|f| {
            (
                f.age.unwrap() as u32,
                f.gender.unwrap(),
                f.ethnicity.unwrap(),
                f.split.as_str(),
            )
        })
        .collect();
    // The fifth man of his thirties is for testing, the seventh for validation.
    assert_eq!(
        found,
        [
            (30, Gender::Male, 0, "train"),
            (32, Gender::Male, 0, "train"),
            (35, Gender::Male, 0, "train"),
            (37, Gender::Male, 0, "train"),
            (39, Gender::Male, 0, "test"),
            (39, Gender::Male, 0, "train"),
            (39, Gender::Male, 0, "valid"),
            (5, Gender::Female, 1, "train"),
        ]
    );
    let text = reasons(&set);
    for wanted in [
        "30_3_0_4.png: The gender",
        "200_0_0_5.png: The age",
        "x.png: The file name",
        "30_0_9_6.png: The race",
    ] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
}

#[test]
fn imdb_wiki_reads_ages_from_dates() {
    let place = tempfile::tempdir().unwrap();
    for name in [
        "10000217_1981-05-05_2009.png",
        "nm1_rm2_1899-5-10_1968.png",
        "3_2009-01-01_1990.png",
        "4_nothing.png",
    ] {
        picture(&place.path().join("17").join(name));
    }
    let set = Format::ImdbWiki.read(place.path()).unwrap();
    assert_eq!(
        set.faces.iter().map(|f| f.age.unwrap()).collect::<Vec<_>>(),
        [28.0, 69.0]
    );
    let text = reasons(&set);
    assert!(
        text.contains("17/3_2009-01-01_1990.png: The age")
            && text.contains("17/4_nothing.png: The file name"),
        "{text}"
    );
}

#[test]
fn imdb_wiki_reads_ages_and_genders_from_its_matlab_file() {
    for set in ["imdb", "wiki"] {
        let place = tempfile::tempdir().unwrap();
        for name in [
            "10000217_1981-05-05_2009.png",
            "nm1_rm2_1899-5-10_1968.png",
            "6_1970-01-01_2001.png",
            "7_1970-01-01_2002.png",
        ] {
            picture(&place.path().join("17").join(name));
        }
        let file = format!("{set}.mat");
        // Made by tests/record_mat.py.
        std::fs::copy(
            root().join("crates/train/tests/data").join(&file),
            place.path().join(&file),
        )
        .unwrap();
        let set = Format::ImdbWiki.read(place.path()).unwrap();
        let found: Vec<_> = set.faces.iter().map(|face| (face.age, face.gender)).collect();
        assert_eq!(
            found,
            [
                (Some(28.0), Some(Gender::Male)),
                (Some(69.0), Some(Gender::Female))
            ]
        );
        let text = reasons(&set);
        for wanted in [
            format!("{file}, picture 3: The age by its dates"),
            format!("{file}, picture 4: The picture is missing"),
            format!("{file}, picture 5: The data set's detector found no face"),
            format!("{file}, picture 6: The data set's detector found a second face"),
        ] {
            assert!(text.contains(&wanted), "{wanted} in {text}");
        }
        std::fs::write(place.path().join(&file), "no such file").unwrap();
        let error = Format::ImdbWiki.read(place.path()).unwrap_err().to_string();
        assert!(error.contains(&file) && error.contains("ends within"), "{error}");
    }
}

#[test]
fn afew_and_vgaf_are_clips_of_frames() {
    let place = tempfile::tempdir().unwrap();
    picture(&place.path().join("Train_AFEW/Angry/clip1/0001.png"));
    picture(&place.path().join("Train_AFEW/Angry/clip1/0002.png"));
    std::fs::create_dir_all(place.path().join("Train_AFEW/Happy/empty")).unwrap();
    std::fs::write(place.path().join("Train_AFEW/Happy/clip2.avi"), "").unwrap();
    std::fs::create_dir_all(place.path().join("Train_AFEW/Bored")).unwrap();
    let set = Format::Afew.read(place.path()).unwrap();
    assert_eq!(expressions(&set), [Expression::Anger; 2]);
    assert_eq!(set.faces[0].clip.as_deref(), Some("clip1"));
    let text = reasons(&set);
    for wanted in [
        "empty: The clip's folder",
        "clip2.avi: It is a video",
        "Bored: The folder's name",
    ] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }

    let place = tempfile::tempdir().unwrap();
    picture(&place.path().join("Train/1_1/0001.png"));
    std::fs::write(
        place.path().join("Train_labels.txt"),
        "Vid_name Label\n1_1 3\n1_2 1\n1_3 9\n",
    )
    .unwrap();
    let set = Format::Vgaf.read(place.path()).unwrap();
    assert_eq!(set.faces[0].mood.as_deref(), Some("negative"));
    let text = reasons(&set);
    assert!(
        text.contains("Train_labels.txt:3: The clip has no folder")
            && text.contains("Train_labels.txt:4: The label `9`"),
        "{text}"
    );
}

/// Two seconds of a picture that changes, by ffmpeg itself.
fn video(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut command = std::process::Command::new("ffmpeg");
    command.args(["-nostdin", "-loglevel", "error", "-f", "lavfi", "-i"]);
    command.arg("testsrc=duration=2:size=64x48:rate=25");
    run(command.args(["-c:v", "mjpeg"]).arg(path));
}

#[test]
fn videos_become_the_folders_of_frames_that_are_read() {
    if std::process::Command::new("ffmpeg")
        .arg("-version")
        .output()
        .is_err()
    {
        println!("NOT TESTED: ffmpeg is not installed; tests/setup-packages.sh installs it.");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let (videos, out) = (place.path().join("videos"), place.path().join("frames"));
    video(&videos.join("Train/1_1.avi"));
    video(&videos.join("Train/1_2.avi"));
    std::fs::write(videos.join("Train/1_3.mp4"), "no video").unwrap();
    let labels = "Vid_name Label\n1_1 3\n1_2.mp4 1\n1_3 1\n";
    std::fs::write(videos.join("Train_labels.txt"), labels).unwrap();
    let frames = |more: &[&str]| {
        let mut command = affect_train();
        command.arg("frames").arg(&videos).arg(&out).args(more);
        command.output().unwrap()
    };
    let said = stderr(&frames(&["--fps", "10"]));
    assert!(said.contains("40 frames of 2 video(s); 0 had"), "{said}");
    assert!(said.contains("1_3.mp4: ffmpeg cannot decode it ("), "{said}");
    let set = Format::Vgaf.read(&out).unwrap();
    assert_eq!(set.faces.len(), 40);
    let of = |clip: &str| {
        set.faces
            .iter()
            .find(|face| face.clip.as_deref() == Some(clip))
            .unwrap()
    };
    assert_eq!(of("1_1").mood.as_deref(), Some("negative"));
    assert_eq!(of("1_2").mood.as_deref(), Some("positive"));
    let first = affect_train::data::sample::picture(of("1_1")).unwrap();
    assert_eq!((first.width, first.height), (64, 48));

    let said = stderr(&frames(&[]));
    assert!(said.contains("0 frames of 0 video(s); 2 had"), "{said}");
    let within = affect_train()
        .arg("frames")
        .arg(&videos)
        .arg(videos.join("x"))
        .output()
        .unwrap();
    assert!(
        stderr(&within).contains("among the videos"),
        "{}",
        stderr(&within)
    );
    let none = affect_train()
        .arg("frames")
        .arg(&out)
        .arg(place.path().join("y"))
        .output()
        .unwrap();
    assert!(stderr(&none).contains("have no video"), "{}", stderr(&none));
}

#[test]
fn without_ffmpeg_it_says_what_to_install() {
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(place.path().join("videos")).unwrap();
    std::fs::write(place.path().join("videos/a.avi"), "").unwrap();
    let mut command = affect_train();
    command
        .arg("frames")
        .arg(place.path().join("videos"))
        .arg(place.path().join("out"));
    let output = command.env("PATH", place.path()).output().unwrap();
    assert!(!output.status.success());
    assert!(
        stderr(&output).contains("apt-get install ffmpeg"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn folders_and_tables_of_our_own() {
    let place = tempfile::tempdir().unwrap();
    picture(&place.path().join("happy/a.png"));
    picture(&place.path().join("rage/a.png"));
    let set = Format::Folder.read(place.path()).unwrap();
    assert_eq!(expressions(&set), [Expression::Happiness]);
    assert!(reasons(&set).contains("rage: The folder's name is not one of the eight"));

    picture(&place.path().join("a.png"));
    std::fs::write(
        place.path().join("faces.csv"),
        "file,split,x,y,w,h,expression,age,gender,identity\na.png,train,1,2,30,40,sad,33,female,ann\na.png,,,,,,bored,,,\na.png,,,,,,,-3,,\na.png,,,,,,,,other,\nb.png,,,,,,,,,\na.png,,1,2,x,4,,,,\n",
    )
    .unwrap();
    let set = Format::Csv.read(place.path()).unwrap();
    assert_eq!(set.faces.len(), 1);
    assert_eq!(
        (set.faces[0].age, set.faces[0].gender, set.faces[0].identity),
        (Some(33.0), Some(Gender::Female), Some(0))
    );
    let text = reasons(&set);
    for wanted in [
        "faces.csv:3: `bored`",
        "faces.csv:4: The age `-3`",
        "faces.csv:5: The gender `other`",
        "faces.csv:6: The picture is missing",
        "faces.csv:7: The face box",
    ] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
}

#[test]
fn a_table_of_people_beside_the_folders_says_who_they_are() {
    let place = tempfile::tempdir().unwrap();
    for file in [
        "happy/001_08.png",
        "happy/002.png",
        "neutral/001_03.png",
        "neutral/03-b-1.png",
        "neutral/03.png",
        "neutral/9_1.png",
    ] {
        picture(&place.path().join(file));
    }
    let rows =
        "001,24,female,east_asian/white\n002,NA,male,white\n03,200,male,white\n03-b,50,NA,\n,7,male,white\n";
    let london = format!("face_id,face_age,face_gender,face_eth\n{rows}");
    let ours = format!("id,age,gender,ethnicity\n{rows}");
    for (file, text) in [("info.csv", london), ("people.csv", ours)] {
        std::fs::write(place.path().join(file), text).unwrap();
        let set = Format::Folder.read(place.path()).unwrap();
        std::fs::remove_file(place.path().join(file)).unwrap();
        let found: Vec<_> = set
            .faces
            .iter()
            .map(|face| {
                (
                    face.age,
                    face.gender,
                    face.ethnicity.map(|e| set.ethnicities[e].as_str()),
                )
            })
            .collect();
        let ann = (Some(24.0), Some(Gender::Female), Some("east_asian/white"));
        let bob = (None, Some(Gender::Male), Some("white"));
        let nobody = (None, None, None);
        assert_eq!(found, [ann, bob, ann, (Some(50.0), None, None), nobody, nobody]);
        let text = reasons(&set);
        for wanted in [
            format!("{file}:4: The age `200`"),
            format!("{file}:6: The row has no `id`"),
            format!("03.png: {file} has no usable row"),
            format!("9_1.png: {file} has no usable row"),
        ] {
            assert!(text.contains(&wanted), "{wanted} in {text}");
        }
    }
    assert_eq!(Format::Folder.read(place.path()).unwrap().faces[0].age, None);
}

#[test]
fn the_summary_counts_classes_and_finds_doubles() {
    let place = tempfile::tempdir().unwrap();
    picture(&place.path().join("train/happy/a.png"));
    picture(&place.path().join("test/happy/b.png"));
    face(0, 0, 0)
        .save(place.path().join("train/happy/c.png"))
        .unwrap();
    std::fs::write(place.path().join("train/happy/d.png"), "none").unwrap();
    let set = Format::Folder.read(place.path()).unwrap();
    let text = affect_train::data::summary::summary(&[("set".to_owned(), set)]);
    assert!(
        text.contains("| class | test | train |") && text.contains("| expression happiness | 1 | 3 |"),
        "{text}"
    );
    assert!(
        text.contains("1 pictures are in set test and set train") && text.contains("1 unreadable"),
        "{text}"
    );
    assert!(text.contains("3 of 48 × 48 px"), "{text}");
}
