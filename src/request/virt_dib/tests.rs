//! The words of complaints, and equal requests from equivalent command lines.

use std::ffi::OsString;

use crate::request::{self, BuildRequest, Environment, HostFacts};

use super::line::{parse, Parsed, Style};
use super::{resolve, Error};

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn complaint(line: &str) -> String {
    let error = parse(&words(line), false, &mut Style::default()).unwrap_err();
    error
        .to_string()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn complaints_are_glibcs_and_the_originals() {
    for (line, text) in [
        ("--foo", "virt-dib: unrecognized option '--foo'"),
        ("-foo=1", "virt-dib: unrecognized option '-foo=1'"),
        ("-z", "virt-dib: unrecognized option '-z'"),
        ("-xz", "virt-dib: invalid option -- 'z'"),
        ("-ve", "virt-dib: option '-ve' is ambiguous; possibilities: '-version' '-verbose'"),
        (
            "--colo=1",
            "virt-dib: option '--colo=1' is ambiguous; possibilities: '--color' '--colors' '--colour' '--colours'",
        ),
        (
            "-n x",
            "virt-dib: option '-n' is ambiguous; possibilities: '-name' '-network' '-no-delete-on-failure' '-no-network'",
        ),
        ("-checks=1", "virt-dib: option '-checksum' doesn't allow an argument"),
        ("--siz", "virt-dib: option '--size' requires an argument"),
        ("-m", "virt-dib: option requires an argument -- 'm'"),
        ("--smp x", "virt-dib: ‘x’ is not a numeric value."),
        ("--smp 9999999999", "virt-dib: 9999999999: integer out of range"),
        ("--debug=-1", "--debug parameter must be >= 0"),
        ("--size 5 --foo", "5: cannot parse size field"),
        ("--foo --size 5", "virt-dib: unrecognized option '--foo'"),
        ("--formats raw,aci", "invalid format ‘aci’ in --formats"),
        ("--machine-readable=x", "invalid format string for --machine-readable: x"),
        ("--machine-readable=stream:x", "invalid output stream for --machine-readable: stream:x"),
        ("--machine-readable=fd:x", "invalid output fd for --machine-readable: fd:x"),
        ("--machine-readable=x:y", "invalid output for --machine-readable: x:y"),
        ("vm", "-B must be specified"),
        ("-B x", "at least one distribution root element must be specified"),
    ] {
        assert_eq!(complaint(line), text, "{line}");
    }
}

#[test]
fn our_own_option_leaves_beginnings_as_they_were() {
    let style = |line: &str| {
        let mut style = Style::default();
        let parsed = parse(&words(line), false, &mut style);
        parsed
            .map(|_| style.no_progress)
            .map_err(|error| error.to_string())
    };
    for (line, expected) in [
        ("-B b --no-progress e", true),
        ("-B b -no-p e", true),
        ("-B b --no-net e", false),
    ] {
        assert_eq!(style(line), Ok(expected), "{line}");
    }
    let ambiguous = style("-B b --no e").unwrap_err();
    assert!(
        ambiguous.contains("'--no-delete-on-failure' '--no-network'"),
        "{ambiguous}"
    );
    assert!(!ambiguous.contains("--no-progress"), "{ambiguous}");
}

#[test]
fn letters_and_beginnings() {
    let build = |line: &str| match parse(&words(line), false, &mut Style::default()) {
        Ok(Parsed::Build(line)) => line,
        other => panic!("{line}: {other:?}"),
    };
    assert_eq!(build("-Bx -python3 e").element_paths, ["ython3"]);
    assert_eq!(build("-B x -m512 e").memsize, Some(512));
    assert_eq!(build("-B x -mem 512 e").memsize, Some(512));
    assert_eq!(build("-B x e -nam=y f -- -x").elements, ["e", "f", "-x"]);
    assert!(matches!(
        parse(&words("-h"), false, &mut Style::default()),
        Ok(Parsed::Text(_))
    ));
    let posix = parse(&words("-B x e -u"), true, &mut Style::default());
    assert!(matches!(posix, Ok(Parsed::Build(line)) if line.elements == ["e", "-u"]));
}

/// A host with elements and a library, and two callers of the same build.
struct Both {
    _directory: tempfile::TempDir,
    host: HostFacts,
    environment: Environment,
}

impl Both {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        for name in [
            "lib",
            "elements/base",
            "elements/block-device-mbr",
            "elements/block-device-efi",
            "old/vm",
        ] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        std::fs::write(root.join("lib/die"), "").unwrap();
        let host = HostFacts {
            cwd: root,
            root: "/".into(),
            machine: "x86_64".to_owned(),
            executable: None,
        };
        let environment = Environment::from_iter([("HOME", "/home/u"), ("PATH", "/usr/bin:/bin")]);
        Both {
            _directory: directory,
            host,
            environment,
        }
    }

    fn here(&self, name: &str) -> String {
        self.host.cwd.join(name).display().to_string()
    }

    fn ours(&self, line: &str) -> Result<BuildRequest, Error> {
        let mut style = Style::default();
        match parse(&words(line), false, &mut style) {
            Ok(Parsed::Build(line)) => resolve(&line, &style, &self.environment, &self.host),
            Err(error) => Err(error),
            other => panic!("{other:?}"),
        }
    }

    fn upstreams(&self, line: &str, variables: &[(&str, &str)]) -> BuildRequest {
        let mut environment = self.environment.clone();
        let elements = self.here("elements");
        for (name, value) in variables
            .iter()
            .chain(&[("DIB_ELEMENTS_DIR", elements.as_str())])
        {
            environment.set(name, *value);
        }
        let arguments: Vec<OsString> = words(line).into_iter().map(Into::into).collect();
        match request::parse("disk-image-create", &arguments, &environment) {
            Ok(request::Parsed::Build(raw)) => {
                request::resolve(&raw, &environment, &self.host).unwrap()
            }
            other => panic!("{other:?}"),
        }
    }
}

/// What the two syntaxes cannot say alike, and nothing else, is made equal.
fn comparable(mut request: BuildRequest) -> BuildRequest {
    request.program.clear();
    request.dib_args.clear();
    request.caller_dib.clear();
    request.log = Default::default();
    request
        .formats
        .sort_by_key(|format| format.name().to_owned());
    // virt-dib has one fixed size, one directory for side files, no old images,
    // and finds upstream's elements and temporary directory in its own way.
    request.size.fixed = false;
    request.ramdisk_by = None;
    request.side_directory = None;
    request.overwrite_old_image = false;
    request.base_elements = None;
    request.extra_data_environment.clear();
    request.handed_in = Default::default();
    request
        .environment
        .remove(std::ffi::OsStr::new("DIB_ELEMENTS_DIR"));
    request
}

/// A line of virt-dib, one of disk-image-create, and what the latter finds exported.
type Equivalent<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

#[test]
fn equivalent_command_lines_are_equal_requests() {
    let both = Both::new();
    let (lib, elements) = (both.here("lib"), both.here("elements"));
    let cases: &[Equivalent] = &[
        ("vm debian", "vm debian", &[]),
        (
            "--arch arm64 --name out --formats tar,raw --debug 2 --skip-base --extra-packages a,b vm",
            "-a arm64 -o out -t tar,raw -x -x -n -p a,b vm",
            &[],
        ),
        (
            "-u --qemu-img-options k=v --checksum --root-label l --install-type package debian",
            "-u --qemu-img-options k=v --checksum --root-label l --install-type package debian",
            &[],
        ),
        (
            "--mkfs-options=-Fx --fs-type xfs --image-cache /c --no-network debian",
            "--mkfs-options=-Fx --image-cache /c --no-network --offline debian",
            &[("FS_TYPE", "xfs")],
        ),
        (
            "-m 1024 --smp 3 --extra-packages a --extra-packages b,c --docker-target t --formats docker debian",
            "--memsize 1024 --smp 3 -p a -p b,c --docker-target t -t docker debian",
            &[],
        ),
        (
            "--envvar DIB_RELEASE=x --envvar MINE=y --size 2.5G debian",
            "--image-size 2.5 debian",
            &[("DIB_RELEASE", "x"), ("MINE", "y")],
        ),
    ];
    for (line, other, variables) in cases {
        let ours = both
            .ours(&format!("-B {lib} -p {elements} {line}"))
            .unwrap();
        let size = if line.contains("--size") {
            ""
        } else {
            "--image-size 5"
        };
        let other = format!("--no-tmpfs --lib {lib} {size} {other}");
        let upstreams = both.upstreams(&other, variables);
        assert_eq!(comparable(ours), comparable(upstreams), "{line}");
    }
}

#[test]
fn only_what_is_carried_is_seen() {
    let mut both = Both::new();
    let (lib, elements) = (both.here("lib"), both.here("elements"));
    both.environment.set("SECRET", "s");
    both.environment.set("OTHER", "o");
    both.environment.set("CARRIED", "c");
    both.environment.set("DIB_RELEASE", "caller");
    both.environment.set("ELEMENTS_PATH", "/nonexistent");
    both.environment.set("LIBGUESTFS_MEMSIZE", "777");
    both.environment.set("LIBGUESTFS_TMPDIR", "/big");
    let elements = format!("{elements}/../elements");
    let line = format!("-B {lib} -p {elements} --envvar CARRIED --envvar UNSET --name d/x.raw --formats raw debian");
    let request = both.ours(&line).unwrap();
    let seen = |name: &str| request.environment.get(std::ffi::OsStr::new(name)).cloned();
    assert_eq!(seen("CARRIED"), Some("c".into()));
    for name in ["SECRET", "OTHER", "UNSET", "DIB_RELEASE"] {
        assert_eq!(seen(name), None, "{name}");
    }
    // Hooks of extra-data.d see the caller's, but for what the engine knows, and
    // credentials.
    let extra_data = &request.extra_data_environment;
    assert_eq!(extra_data.get("OTHER").map(String::as_str), Some("o"));
    for name in ["SECRET", "DIB_RELEASE"] {
        assert!(!extra_data.contains_key(name), "{name}");
    }
    assert_eq!(request.image_name, "d/x.raw", "no extension is taken off");
    assert_eq!(seen("IMAGE_NAME"), Some("x.raw".into()));
    assert_eq!(request.side_directory.as_deref(), Some("x.raw.d"));
    assert_eq!(
        request.elements_path,
        [both.host.cwd.join("elements")],
        "appliances share no path with .. in it"
    );
    assert_eq!(request.machine.memory_mib, 777);
    assert_eq!(request.tmp_dir, std::path::Path::new("/big"));
    assert_eq!(request.size.image_kib, Some(5 << 20));
}

#[test]
fn another_python_is_named_and_the_usual_one_is_not() {
    let both = Both::new();
    let (lib, elements) = (both.here("lib"), both.here("elements"));
    let python = |name: &str| {
        let line = format!("-B {lib} -p {elements} --python {name} debian");
        both.ours(&line).unwrap().python
    };
    assert_eq!(python("perl"), Some("/usr/bin/perl".into()));
    assert_eq!(python("/usr/bin/python3"), None);
    assert_eq!(python("python3"), None);
}

#[test]
fn a_helper_drive_has_home_and_cache_of_all_but_extra_data() {
    let both = Both::new();
    let (lib, elements) = (both.here("lib"), both.here("elements"));
    let request = |words: &str| {
        let line = format!("-B {lib} -p {elements} --drive d.img {words} debian");
        both.ours(&line).unwrap()
    };
    let plain = request("");
    let drive = plain.helper_drive.as_ref().unwrap();
    assert_eq!(drive.file, both.host.cwd.join("d.img"));
    assert_eq!((&drive.format, &drive.extra_data_cache), (&None, &None));
    let seen = |name: &str| plain.environment.get(std::ffi::OsStr::new(name)).cloned();
    assert_eq!(seen("HOME"), Some(request::DRIVE_HOME.into()));
    let cache = "/run/safedib/home/.cache/image-create";
    assert_eq!(seen("DIB_IMAGE_CACHE"), Some(cache.into()));
    let own =
        |request: &BuildRequest, name: &str| request.extra_data_environment.get(name).cloned();
    assert_eq!(own(&plain, "HOME").as_deref(), Some("/home/u"));
    assert_eq!(own(&plain, "DIB_IMAGE_CACHE"), None);
    let both_caches = request("--drive-format raw --image-cache /c");
    assert_eq!(own(&both_caches, "DIB_IMAGE_CACHE").as_deref(), Some("/c"));
    let drive = both_caches.helper_drive.unwrap();
    assert_eq!(drive.format.as_deref(), Some("raw"));
}

#[test]
fn old_elements_get_no_block_device_element() {
    let both = Both::new();
    let (lib, elements, old) = (both.here("lib"), both.here("elements"), both.here("old"));
    let request = |path: &str| both.ours(&format!("-B {lib} -p {path} vm")).unwrap();
    assert_eq!(
        request(&elements).elements,
        ["base", "vm", "block-device-mbr"]
    );
    assert_eq!(request(&old).elements, ["base", "vm"]);
}

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    let both = Both::new();
    let (lib, elements) = (both.here("lib"), both.here("elements"));
    for (line, text) in [
        (
            "--python no-such-python e",
            "no-such-python needed but not found",
        ),
        ("--formats docker e", "docker: a target was not specified"),
        (
            "--envvar ELEMENTS_PATH=/x e",
            "--envvar ELEMENTS_PATH cannot be used",
        ),
        ("--envvar =x e", "--envvar '=x' does not name a variable"),
    ] {
        let error = both
            .ours(&format!("-B {lib} -p {elements} {line}"))
            .unwrap_err();
        assert!(error.to_string().contains(text), "{line}: {error}");
    }
    let error = both
        .ours(&format!("-B {lib} -p {elements} --python {lib}/die e"))
        .unwrap_err();
    assert!(matches!(error, Error::HiddenPython(_)), "{error}");
    let error = both
        .ours(&format!("-B {elements} -p {elements} e"))
        .unwrap_err();
    assert!(matches!(error, Error::NotTheLibrary(_)), "{error}");
    let error = both
        .ours(&format!("-B {lib} -p /nonexistent e"))
        .unwrap_err();
    assert!(matches!(error, Error::NoElementPath(_)), "{error}");
    let partly = both
        .ours(&format!("-B {lib} -p /nonexistent -p {elements} e"))
        .unwrap();
    assert!(partly
        .notices
        .iter()
        .any(|line| line.contains("/nonexistent")));
}
