use super::*;
use crate::request::raw::{parse, Parsed};
use crate::request::resolved::Checksums;
use std::path::Path;

struct Fixture {
    directory: tempfile::TempDir,
    environment: Environment,
}

impl Fixture {
    fn new(pairs: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for path in [
            "usr/share/diskimage-builder/elements",
            "mine",
            "cwd/more",
            "lib",
        ] {
            std::fs::create_dir_all(directory.path().join(path)).unwrap();
        }
        let mut environment: Environment = [("HOME", "/home/u"), ("PATH", "/usr/sbin:/bin")]
            .into_iter()
            .collect();
        for (name, value) in pairs {
            environment.set(name, value);
        }
        Fixture {
            directory,
            environment,
        }
    }

    fn host(&self) -> HostFacts {
        HostFacts {
            cwd: PathBuf::from("/cwd"),
            root: self.directory.path().to_owned(),
            machine: "x86_64".to_owned(),
            executable: None,
        }
    }

    fn run(&self, line: &str) -> Result<BuildRequest, Error> {
        self.run_as("disk-image-create", line)
    }

    fn run_as(&self, program: &str, line: &str) -> Result<BuildRequest, Error> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        match parse(program, &words, &self.environment)? {
            Parsed::Build(raw) => resolve(&raw, &self.environment, &self.host()),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_epoch_is_digits_alone() {
    let epoch = |value: &str| run(&[("SOURCE_DATE_EPOCH", value)], "debian");
    for (value, expected) in [("", None), ("0", Some(0)), ("4294967295", Some(u32::MAX))] {
        let request = epoch(value).unwrap();
        assert_eq!(request.source_date_epoch, expected, "{value}");
        let seen = exported(&request, "SOURCE_DATE_EPOCH");
        assert_eq!(seen.as_deref(), Some(value));
    }
    assert_eq!(run(&[], "debian").unwrap().source_date_epoch, None);
    for value in [
        "-1",
        "+1",
        " 1",
        "1.5",
        "2026-01-01",
        "1e9",
        "4294967296",
        "1700000000000",
    ] {
        let error = epoch(value).unwrap_err();
        assert!(matches!(error, Error::BadValue { .. }), "{value}: {error}");
    }
    let cleared = run(&[("SOURCE_DATE_EPOCH", "x")], "-c debian").unwrap();
    assert_eq!(cleared.source_date_epoch, None);
}

fn run(pairs: &[(&str, &str)], line: &str) -> Result<BuildRequest, Error> {
    Fixture::new(pairs).run(line)
}

fn exported(request: &BuildRequest, name: &str) -> Option<String> {
    let value = request.environment.get(OsStr::new(name));
    value.map(|value| value.to_str().unwrap().to_owned())
}

#[test]
fn tmpdir_goes_before_tmp_dir() {
    for (variables, directory) in [
        (&[("TMP_DIR", "/a"), ("TMPDIR", "/b")][..], "/b"),
        (&[("TMP_DIR", "/a"), ("TMPDIR", "")], "/a"),
        (&[("TMPDIR", "/b")], "/b"),
    ] {
        let request = run(variables, "debian").unwrap();
        assert_eq!(request.tmp_dir, Path::new(directory), "{variables:?}");
    }
}

#[test]
fn defaults() {
    let request = run(&[], "debian").unwrap();
    assert_eq!(request.arch, "amd64");
    assert_eq!(request.image_name, "image");
    assert_eq!(request.formats, [OutputFormat::Qcow2]);
    assert!(request.compress && request.tmpfs.wanted && !request.offline);
    assert_eq!(request.tmpfs.min_gib, 2);
    assert_eq!(request.install_type, "source");
    assert_eq!(request.gzip, "gzip");
    assert_eq!(request.size.journal_mib, 64);
    assert_eq!(request.tmp_dir, Path::new("/tmp"));
    assert_eq!(request.checksums, Checksums::default());
    assert_eq!(request.appliance, crate::request::ApplianceChoice::Auto);
    let path = exported(&request, "PATH").unwrap();
    assert_eq!(path, "/usr/sbin:/bin:/sbin:/usr/local/sbin");
    for name in [
        "DIB_DEFAULT_INSTALLTYPE",
        "COMPRESS_IMAGE",
        "LOGFILE",
        "ROOT_LABEL",
    ] {
        assert_eq!(exported(&request, name), None, "{name}");
    }
}

#[test]
fn options_win_over_the_environment_and_export() {
    let pairs = [
        ("ARCH", "i386"),
        ("DIB_CHECKSUM", "sha256"),
        ("DIB_IMAGE_SIZE", "1"),
        ("ROOT_LABEL", "old"),
        ("COMPRESS_IMAGE", "1"),
        ("MKFS_OPTS", "-q"),
        ("IMAGE_TYPES", "raw"),
        ("DIB_DEBUG_TRACE", "1"),
    ];
    let line =
        "-a arm64 --checksum --image-size=10GB --root-label new -o a/b -x -x -n -p a,b -pc debian";
    let request = run(&pairs, line).unwrap();
    assert_eq!(request.arch, "arm64");
    assert_eq!(request.size.image_kib, Some(10 << 20));
    assert!(request.checksums.md5 && request.checksums.sha256);
    assert_eq!(request.trace, 3);
    assert_eq!(request.packages, ["a", "b", "c"]);
    assert_eq!(request.elements, ["debian"]);
    assert_eq!(request.mkfs_options, "");
    for (name, value) in [
        ("ARCH", Some("arm64")),
        ("DIB_CHECKSUM", Some("1")),
        ("DIB_IMAGE_SIZE", Some("10GB")),
        ("ROOT_LABEL", Some("new")),
        ("COMPRESS_IMAGE", Some("true")),
        ("MKFS_OPTS", Some("")),
        ("IMAGE_TYPES", None),
        ("IMAGE_NAME", Some("a/b")),
        ("SKIP_BASE", Some("1")),
        ("DIB_DEBUG_TRACE", Some("3")),
    ] {
        assert_eq!(exported(&request, name).as_deref(), value, "{name}");
    }
}

#[test]
fn documented_but_rejected_options_work() {
    let line = "--image-extra-size 100 --mkfs-journal-size 128 debian";
    let request = run(&[], line).unwrap();
    assert_eq!(request.size.extra_kib, Some(100 << 10));
    assert_eq!(request.size.journal_mib, 128);
    assert_eq!(
        exported(&request, "DIB_JOURNAL_SIZE").as_deref(),
        Some("128")
    );
}

#[test]
fn names_lose_the_extension_of_a_single_type() {
    for (line, name) in [
        ("-o foo.qcow2 d", "foo"),
        ("-o foo.qcow2.qcow2 d", "foo.qcow2"),
        ("-o foo.qcow2 -t qcow2,raw d", "foo.qcow2"),
        ("-o foo.raw d", "foo.raw"),
        ("-t raw -t tar -o /x/foo.tar d", "/x/foo"),
    ] {
        assert_eq!(run(&[], line).unwrap().image_name, name, "{line}");
    }
    for line in ["-o .qcow2 d", "-o dir/ d", "-o .. d"] {
        assert!(
            matches!(run(&[], line), Err(Error::BadValue { .. })),
            "{line}"
        );
    }
}

#[test]
fn elements_path_keeps_the_users_order() {
    let request = run(&[("ELEMENTS_PATH", "/mine:more")], "d").unwrap();
    let path = "/mine:/cwd/more:/usr/share/diskimage-builder/elements";
    assert_eq!(exported(&request, "ELEMENTS_PATH").as_deref(), Some(path));
    assert_eq!(request.elements_path.len(), 3);
    for (list, entry) in [
        ("/mine:", ""),
        ("/nowhere", "/nowhere"),
        ("/mine::more", ""),
    ] {
        let error = run(&[("ELEMENTS_PATH", list)], "d").unwrap_err();
        assert_eq!(error, Error::InvalidElementDir(entry.to_owned()));
    }
    let fixture = Fixture::new(&[]);
    std::fs::remove_dir_all(fixture.directory.path().join("usr/share")).unwrap();
    assert!(matches!(
        fixture.run("d"),
        Err(Error::NoElementsDirectory(_))
    ));
}

#[test]
fn clearing_the_environment_keeps_what_options_set() {
    let pairs = [
        ("DIB_X", "1"),
        ("SECRET", "x"),
        ("TERM", "vt100"),
        ("ELEMENTS_PATH", "/mine"),
    ];
    let request = run(&pairs, "-c -a arm64 --offline -t tar d").unwrap();
    assert_eq!(request.elements_path.len(), 1);
    assert_eq!(request.formats, [OutputFormat::Tar]);
    assert!(request.offline && request.caller_dib.is_empty());
    for (name, value) in [
        ("SECRET", None),
        ("DIB_X", None),
        ("TERM", Some("vt100")),
        ("HOME", Some("/home/u")),
        ("CLEAR_ENV", Some("1")),
        ("ARCH", Some("arm64")),
    ] {
        assert_eq!(exported(&request, name).as_deref(), value, "{name}");
    }
    let inherited = run(&[("CLEAR_ENV", "1"), ("SECRET", "x")], "d").unwrap();
    assert_eq!(exported(&inherited, "SECRET"), None);
}

#[test]
fn tmpfs_rules() {
    assert!(!run(&[("DIB_NO_TMPFS", "no")], "d").unwrap().tmpfs.wanted);
    assert!(!run(&[], "--no-t d").unwrap().tmpfs.wanted);
    let gentoo = run(
        &[("GENTOO_PROFILE", "default/linux/amd64/17.1/hardened")],
        "d",
    )
    .unwrap();
    assert!(!gentoo.tmpfs.wanted);
    assert_eq!(
        gentoo.notices,
        ["disabling tmpfs for gentoo hardened build"]
    );
    assert_eq!(exported(&gentoo, "DIB_NO_TMPFS").as_deref(), Some("1"));
}

#[test]
fn log_rules() {
    let log = |pairs: &[(&str, &str)], line| run(pairs, line).unwrap().log;
    assert_eq!(log(&[], "d"), LogOptions::default());
    let both = log(&[], "--logfile x.log d");
    assert_eq!(both.file.as_deref(), Some(Path::new("/cwd/x.log")));
    assert!(both.quiet);
    assert!(!log(&[("DIB_QUIET", "0")], "--logfile x.log d").quiet);
    assert!(log(&[("DIB_QUIET", "1")], "d").quiet);
    assert_eq!(log(&[("LOGFILE", "/x")], "d").file, None);
    assert!(log(&[("DIB_NO_TIMESTAMP", "1")], "d").no_timestamp);
    let plain = run(&[], "--no-progress d").unwrap();
    assert!(plain.log.no_progress);
    assert_eq!(plain.dib_args, "d");
}

#[test]
fn the_users_block_device_is_left_alone() {
    let request = run(&[("DIB_BLOCK_DEVICE", "efi")], "d").unwrap();
    assert_eq!(
        exported(&request, "DIB_BLOCK_DEVICE").as_deref(),
        Some("efi")
    );
}

#[test]
fn shares_and_lib() {
    let request = run(&[], "--share /mine --share more:rw --lib /lib d").unwrap();
    let shares: Vec<(&Path, bool)> = request
        .shares
        .iter()
        .map(|share| (share.path.as_path(), share.writable))
        .collect();
    assert_eq!(
        shares,
        [(Path::new("/mine"), false), (Path::new("/cwd/more"), true)]
    );
    assert_eq!(request.lib.as_deref(), Some(Path::new("/lib")));
    assert!(matches!(
        run(&[], "--share /no d"),
        Err(Error::NoSuchShare(_))
    ));
    assert!(matches!(
        run(&[], "--lib /no d"),
        Err(Error::NotADirectory { .. })
    ));
}

#[test]
fn bad_input_is_refused() {
    assert_eq!(run(&[], "-n").unwrap_err(), Error::NoElements);
    assert_eq!(run(&[], "-t docker d").unwrap_err(), Error::NoDockerTarget);
    assert!(run(&[], "-t docker --docker-target x d").is_ok());
    for line in [
        "--image-size 0 d",
        "--image-size -1 d",
        "--image-size x d",
        "--mkfs-j 0 d",
    ] {
        assert!(
            matches!(run(&[], line), Err(Error::ImpossibleSize { .. })),
            "{line}"
        );
    }
    for line in [
        "--appliance x d",
        "--appliance namespace,tcg d",
        "--appliance auto,user-net d",
        "--appliance microvm,tcg,tcg d",
        "--appliance microvm, d",
        "--memsize 100 d",
        "--memsize 2G d",
        "--smp 0 d",
        "--min-tmpfs x d",
        "--max-online-resize x d",
    ] {
        assert!(
            matches!(run(&[], line), Err(Error::BadValue { .. })),
            "{line}"
        );
    }
    let yes = run(&[("DIB_CHECKSUM", "yes")], "d");
    assert!(matches!(yes, Err(Error::BadValue { .. })));
    let home = run(&[("HOME", "")], "d");
    assert!(matches!(
        home,
        Err(Error::MissingVariable { name: "HOME", .. })
    ));
}

#[test]
fn a_ramdisk_has_its_element_first_and_no_disk_image() {
    let run = |pairs: &[(&str, &str)], line| {
        Fixture::new(pairs)
            .run_as("ramdisk-image-create", line)
            .unwrap()
    };
    let element = |request: &BuildRequest| exported(request, "RAMDISK_ELEMENT");
    let plain = run(&[], "d");
    assert!(plain.ramdisk && plain.notices.is_empty());
    assert_eq!(plain.elements, ["ramdisk", "base", "d"]);
    assert_eq!(element(&plain).as_deref(), Some("ramdisk"));
    // Only disk-image-create's defaults for tmpfs ever apply (compat 2.055).
    assert_eq!(exported(&plain, "DIB_NO_TMPFS").as_deref(), Some("0"));
    assert_eq!(plain.tmpfs.min_gib, 2);
    for (line, expected) in [
        ("-n d", &["mine", "d"][..]),
        ("--ramdisk-element x -n d", &["x", "d"]),
        ("--ramdisk-element= -n d", &["ramdisk", "d"]),
    ] {
        let request = run(&[("RAMDISK_ELEMENT", "mine")], line);
        assert_eq!(request.elements, expected, "{line}");
        assert_eq!(element(&request).as_deref(), Some(expected[0]));
    }
    let two = run(&[("RAMDISK_ELEMENT", "x y")], "-n d");
    assert_eq!(two.elements, ["x", "y", "d"]);
    assert_eq!(element(&two).as_deref(), Some("x y"));
    let typed = run(&[], "-t qcow2,tar -o rd d");
    assert_eq!(typed.notices.len(), 1);
    assert!(typed.notices[0].starts_with("ramdisk-image-create makes no qcow2 image"));
}

#[test]
fn the_ramdisk_element_is_none_of_a_disk_image() {
    let request = run(&[("RAMDISK_ELEMENT", "mine")], "d").unwrap();
    assert_eq!(request.elements, ["base", "d"]);
    assert!(!request.ramdisk && request.notices.is_empty());
    let request = run(&[], "--ramdisk-element x d").unwrap();
    assert_eq!(request.elements, ["base", "d"]);
    assert_eq!(exported(&request, "RAMDISK_ELEMENT"), None);
    assert!(request.notices[0].starts_with("--ramdisk-element has no effect"));
}

#[test]
fn the_machine_is_what_options_and_variables_say() {
    let request = run(&[], "d").unwrap();
    assert_eq!(request.machine.memory_mib, 2048);
    assert_eq!(request.machine.force_tcg, None);
    let request = run(
        &[
            ("DIB_APPLIANCE", "microvm"),
            ("DIB_APPLIANCE_PACKAGES", "jq, lvm2"),
            ("DIB_APPLIANCE_SUPERMIN_D", "more"),
            ("LIBGUESTFS_BACKEND_SETTINGS", "a=b:force_tcg"),
        ],
        "--memsize 512 --smp 3 d",
    )
    .unwrap();
    let machine = request.machine;
    assert_eq!(request.appliance, crate::request::ApplianceChoice::Microvm);
    assert_eq!(machine.force_tcg, Some("LIBGUESTFS_BACKEND_SETTINGS"));
    assert_eq!((machine.memory_mib, machine.processors), (512, Some(3)));
    assert_eq!(machine.packages, ["jq", "lvm2"]);
    assert_eq!(machine.supermin_d.unwrap(), Path::new("/cwd/more"));
    let request = run(&[("DIB_APPLIANCE", "namespace")], "--app microvm,tcg d").unwrap();
    assert!(request.machine.force_tcg.is_some() && !request.machine.user_net);
    let request = run(&[("DIB_APPLIANCE", "microvm,user-net,tcg")], "d").unwrap();
    assert!(request.machine.force_tcg.is_some() && request.machine.user_net);
}

#[test]
fn a_size_with_another_unit_is_told_as_it_is_read() {
    for (size, told) in [
        ("10", 0),
        ("10GB", 0),
        ("1.5GiB", 0),
        ("10M", 1),
        ("10 T", 1),
    ] {
        let request = run(&[("DIB_IMAGE_SIZE", size)], "x").unwrap();
        assert_eq!(request.notices.len(), told, "{size}");
    }
}
