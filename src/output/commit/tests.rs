//! Renames, their undoing, and side files.
use std::os::unix::fs::{symlink, PermissionsExt};

use super::*;

struct Nobody;

impl Keeper for Nobody {
    fn put_back(&mut self, _: &Path, _: &Path, _: bool) {}

    fn settle(&mut self) {}

    fn ended(&mut self) -> bool {
        false
    }
}

/// Asks for the end at the question with this number, or once a rename begins.
#[derive(Default)]
struct Impatient {
    at: Option<usize>,
    asked: usize,
    renaming: bool,
    settled: bool,
}

impl Keeper for Impatient {
    fn put_back(&mut self, _: &Path, _: &Path, _: bool) {
        self.renaming = true;
    }

    fn settle(&mut self) {
        self.settled = true;
    }

    fn ended(&mut self) -> bool {
        self.asked += 1;
        self.renaming || self.at == Some(self.asked)
    }
}

struct Place {
    directory: tempfile::TempDir,
    commit: Commit,
}

fn place(types: &[&str]) -> Place {
    let directory = tempfile::tempdir().unwrap();
    let staging = directory.path().join(".staging");
    std::fs::create_dir(&staging).unwrap();
    let outputs = types
        .iter()
        .map(|kind| {
            std::fs::write(staging.join(format!("img.{kind}")), format!("new {kind}")).unwrap();
            Staged {
                file: format!("img.{kind}"),
                destination: directory.path().join(format!("img.{kind}")),
                shown: format!("out/img.{kind}"),
            }
        })
        .collect();
    let commit = Commit {
        staging,
        outputs,
        from_hooks: Vec::new(),
        side: None,
        checksums: Checksums::default(),
        overwrite: false,
    };
    Place { directory, commit }
}

impl Place {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), text).unwrap();
    }

    fn run(&self) -> (Result<(), Error>, Vec<String>) {
        let mut said = Vec::new();
        let result = self
            .commit
            .run(&mut Nobody, &mut |line| said.push(line.into()));
        (result, said)
    }

    fn names(&self) -> Vec<String> {
        let mut names = names_of(self.directory.path(), "");
        names.retain(|name| name != ".staging");
        names
    }
}

/// The names in a directory that end like this, sorted.
fn names_of(directory: &Path, ending: &str) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(ending))
        .collect();
    names.sort();
    names
}

#[test]
fn renames_old_images_with_their_checksums() {
    let mut place = place(&["qcow2", "tar"]);
    place.commit.checksums = Checksums {
        md5: true,
        sha256: true,
    };
    place.write("img.qcow2", "old");
    place.write("img.qcow2.md5", "old sum");
    let (result, said) = place.run();
    result.unwrap();
    let old = said[0]
        .strip_prefix("Old image found. Renaming it to out/")
        .unwrap()
        .to_string();
    let form = regex::Regex::new(r"^img-\d{4}(\.\d\d){2}-\d\d(\.\d\d){2}\.qcow2$").unwrap();
    assert!(form.is_match(&old), "{old}");
    assert_eq!(
        said[1..],
        [
            "Image file out/img.qcow2 created...",
            "Image file out/img.tar created..."
        ]
    );
    assert_eq!(std::fs::read_to_string(place.path(&old)).unwrap(), "old");
    assert_eq!(
        std::fs::read_to_string(place.path(&format!("{old}.md5"))).unwrap(),
        "old sum"
    );
    assert_eq!(
        std::fs::read_to_string(place.path("img.qcow2")).unwrap(),
        "new qcow2"
    );
    let sum = std::fs::read_to_string(place.path("img.tar.md5")).unwrap();
    assert!(
        sum.ends_with("  out/img.tar\n") && sum.len() == 32 + 14,
        "{sum}"
    );
    assert_eq!(place.names().len(), 8);
}

#[test]
fn overwrites_when_told_to_and_leaves_nothing_else() {
    let mut place = place(&["raw"]);
    place.commit.overwrite = true;
    place.write("img.raw", "old");
    place.run().0.unwrap();
    assert_eq!(place.names(), ["img.raw"]);
    assert_eq!(
        std::fs::read_to_string(place.path("img.raw")).unwrap(),
        "new raw"
    );
}

#[test]
fn a_failure_undoes_everything() {
    for overwrite in [false, true] {
        let mut place = place(&["qcow2", "tar"]);
        place.commit.overwrite = overwrite;
        place.write("img.qcow2", "old");
        place.write("img.qcow2.sha256", "old sum");
        // A directory in the way: the second rename fails.
        place.write("img.tar/file", "x");
        let (result, said) = place.run();
        assert!(matches!(result, Err(Error::Rename { .. })));
        assert!(!said.iter().any(|line| line.contains("created")));
        assert_eq!(place.names(), ["img.qcow2", "img.qcow2.sha256", "img.tar"]);
        assert_eq!(
            std::fs::read_to_string(place.path("img.qcow2")).unwrap(),
            "old"
        );
        assert!(place.commit.staging.join("img.qcow2").exists());
    }
}

#[test]
fn who_asks_for_the_end_gets_all_outputs_or_none() {
    let prepared = || {
        let mut place = place(&["qcow2", "tar"]);
        place.commit.checksums.md5 = true;
        place.write("img.qcow2", "old");
        place
    };
    let mut questions = Impatient::default();
    let whole = prepared();
    whole.commit.run(&mut questions, &mut |_| {}).unwrap();
    assert!(questions.settled && questions.renaming);
    assert_eq!(whole.names().len(), 5, "{:?}", whole.names());
    // While each is hashed, before each is written out, and before the renames.
    assert!(questions.asked >= 5, "{}", questions.asked);
    for at in 1..=questions.asked {
        let place = prepared();
        let mut keeper = Impatient {
            at: Some(at),
            ..Impatient::default()
        };
        let result = place.commit.run(&mut keeper, &mut |_| {});
        assert!(matches!(result, Err(Error::Ended)), "{at}: {result:?}");
        assert!(!keeper.renaming, "{at}");
        assert_eq!(place.names(), ["img.qcow2"], "{at}");
    }
}

#[test]
fn side_files_are_merged() {
    let mut place = place(&["tar"]);
    place.write("side/img.kernel", "k");
    place.write("side/img.d/manifests/new", "n");
    place.write("side/img.d/manifests/both", "n");
    place.write("img.d/manifests/both", "o");
    place.write("img.d/manifests/kept", "o");
    place.commit.side = Some(Side {
        from: place.path("side"),
        ..side_of(&place)
    });
    place.run().0.unwrap();
    let read = |name: &str| std::fs::read_to_string(place.path(name)).unwrap();
    assert_eq!(read("img.kernel"), "k");
    assert_eq!(
        read("img.d/manifests/new") + &read("img.d/manifests/both"),
        "nn"
    );
    assert_eq!(read("img.d/manifests/kept"), "o");
}

#[test]
fn what_a_build_is_about_may_come_from_hooks() {
    let mut place = place(&[]);
    place.commit.checksums.md5 = true;
    let staging = place.commit.staging.clone();
    std::fs::create_dir(staging.join("side")).unwrap();
    std::fs::write(staging.join("side/img.initramfs"), "new").unwrap();
    std::fs::write(staging.join("side/img.other"), "new").unwrap();
    place.write("img.initramfs", "old");
    place.commit.side = Some(side_of(&place));
    place.commit.from_hooks = vec![Staged {
        file: "side/img.initramfs".into(),
        destination: place.path("img.initramfs"),
        shown: "out/img.initramfs".into(),
    }];
    let (result, said) = place.run();
    result.unwrap();
    assert_eq!(said, ["Image file out/img.initramfs created..."]);
    assert_eq!(
        place.names(),
        ["img.initramfs", "img.initramfs.md5", "img.other"]
    );
    let sum = std::fs::read_to_string(place.path("img.initramfs.md5")).unwrap();
    assert!(sum.ends_with("  out/img.initramfs\n"), "{sum}");
    assert_eq!(
        std::fs::read_to_string(place.path("img.initramfs")).unwrap(),
        "new"
    );
}

fn side_of(place: &Place) -> Side {
    Side {
        from: place.commit.staging.join("side"),
        to: place.directory.path().into(),
        image: "img".into(),
    }
}

/// What hooks could do to the staging directory, which they can see.
#[test]
fn what_hooks_have_planted_is_not_followed() {
    type Plant = fn(&Path, &Path);
    let plants: &[(Plant, &str)] = &[
        (
            |staging, outside| symlink(outside, staging.join("side")).unwrap(),
            "is not a directory",
        ),
        (
            |staging, _| {
                std::fs::create_dir(staging.join("side")).unwrap();
                std::fs::write(staging.join("side/.profile"), "bad").unwrap();
            },
            "is not named after the image",
        ),
        (
            |staging, outside| {
                std::fs::remove_file(staging.join("img.tar")).unwrap();
                symlink(outside.join("secret"), staging.join("img.tar")).unwrap();
            },
            "is not a regular file",
        ),
    ];
    for (plant, message) in plants {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "secret").unwrap();
        let mut place = place(&["tar"]);
        place.commit.checksums.md5 = true;
        place.write("img.tar", "old");
        place.write(".profile", "good");
        place.commit.side = Some(side_of(&place));
        plant(&place.commit.staging, outside.path());
        let (result, _) = place.run();
        let error = result.unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
        assert_eq!(place.names(), [".profile", "img.tar"]);
        for (name, content) in [("img.tar", "old"), (".profile", "good")] {
            assert_eq!(std::fs::read_to_string(place.path(name)).unwrap(), content);
        }
        assert!(outside.path().join("secret").exists());
    }
}

#[test]
fn our_checksums_win_and_nothing_runs_with_the_callers_rights() {
    let mut place = place(&["tar"]);
    place.commit.checksums.md5 = true;
    place.commit.side = Some(side_of(&place));
    let side = place.commit.staging.join("side");
    std::fs::create_dir_all(side.join("img.d")).unwrap();
    std::fs::write(side.join("img.tar.md5"), "wrong").unwrap();
    std::fs::write(place.commit.staging.join("img.tar.md5"), "wrong").unwrap();
    std::fs::write(side.join("img.d/program"), "").unwrap();
    for file in [
        side.join("img.d/program"),
        place.commit.staging.join("img.tar"),
    ] {
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o6755)).unwrap();
    }
    let closed = side.join("img.d/closed");
    std::fs::write(&closed, "").unwrap();
    std::fs::set_permissions(closed, PermissionsExt::from_mode(0o4000)).unwrap();
    place.run().0.unwrap();
    let sum = std::fs::read_to_string(place.path("img.tar.md5")).unwrap();
    assert!(sum.ends_with("  out/img.tar\n"), "{sum}");
    for (name, expected) in [
        ("img.d/program", 0o755),
        ("img.tar", 0o755),
        ("img.d/closed", 0),
    ] {
        let mode = std::fs::metadata(place.path(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, expected, "{name}");
    }
}

#[test]
fn stamps() {
    assert_eq!(old_name("a/b.c.tar", "S"), "a/b.c-S.tar");
    assert_eq!(local_stamp(0).len(), 19);
}

#[test]
fn builds_of_one_name_that_end_together_do_not_mix() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let commit = |number: usize| {
        let staging = path(&format!(".staging{number}"));
        std::fs::create_dir(&staging).unwrap();
        let output = |kind: &str| {
            let text = format!("{kind} of {number}");
            std::fs::write(staging.join(format!("img.{kind}")), text).unwrap();
            Staged {
                file: format!("img.{kind}"),
                destination: path(&format!("img.{kind}")),
                shown: format!("img.{kind}"),
            }
        };
        Commit {
            outputs: ["qcow2", "raw"].map(output).into(),
            staging: staging.clone(),
            from_hooks: Vec::new(),
            side: None,
            checksums: Checksums {
                md5: true,
                sha256: false,
            },
            overwrite: false,
        }
    };
    const BUILDS: usize = 8;
    std::thread::scope(|scope| {
        for number in 0..BUILDS {
            let commit = commit(number);
            scope.spawn(move || commit.run(&mut Nobody, &mut |_| {}).unwrap());
        }
    });
    for kind in ["qcow2", "raw"] {
        let images = names_of(directory.path(), &format!(".{kind}"));
        assert_eq!(images.len(), BUILDS, "{images:?}");
        for image in images {
            let sum = std::fs::read_to_string(path(&format!("{image}.md5"))).unwrap();
            let md5 = Checksums {
                md5: true,
                sha256: false,
            };
            let digests = checksum::digests(directory.path(), &image, md5, &mut || false).unwrap();
            assert!(sum.starts_with(&digests.md5.unwrap()), "{image}");
        }
    }
    let of = |kind: &str| std::fs::read_to_string(path(&format!("img.{kind}"))).unwrap();
    assert_eq!(of("qcow2").replace("qcow2", "raw"), of("raw"));
}

/// A caller's own lock is waited for, not for ever.
#[test]
fn a_lock_of_somebody_else_only_delays() {
    let place = place(&["raw"]);
    let file = File::open(place.directory.path()).unwrap();
    let _lock = Flock::lock(file, FlockArg::LockExclusive).unwrap();
    let (result, said) = place.run();
    result.unwrap();
    assert!(said[0].contains("going on without"), "{said:?}");
    assert_eq!(place.names(), ["img.raw"]);
}
