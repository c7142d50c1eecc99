use super::*;
use crate::request::{parse, resolve, Environment, HostFacts, Parsed};
use std::ffi::OsString;
use std::process::Command;

fn request(environment: &[(&str, &OsStr)], line: &[&str]) -> BuildRequest {
    let directory = tempfile::tempdir().unwrap();
    let elements = directory
        .path()
        .join("usr/share/diskimage-builder/elements");
    std::fs::create_dir_all(elements).unwrap();
    let host = HostFacts {
        cwd: PathBuf::from("/work"),
        root: directory.path().to_owned(),
        machine: "x86_64".to_owned(),
        executable: None,
    };
    let mut environment: Environment = environment.iter().copied().collect();
    environment.set("HOME", "/home/u");
    let line: Vec<OsString> = line.iter().map(OsString::from).collect();
    match parse("disk-image-create", &line, &environment).unwrap() {
        Parsed::Build(raw) => resolve(&raw, &environment, &host).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn inputs() -> EngineInputs {
    let element = |name: &str, path: &str| ElementPath {
        name: name.to_owned(),
        path: path.into(),
    };
    EngineInputs {
        elements: vec![
            element("debian-minimal", "/e/debian-minimal"),
            element("odd", "/my elements/it's $HOME/odd"),
        ],
        build_dir: "/tmp/dib_build.x".into(),
        image_dir: "/tmp/dib_image.x".into(),
        lib_dir: "/lib/ours".into(),
        base_elements: Some("/e".into()),
        python: "/py".into(),
        root_label: "cloudimg-rootfs".to_owned(),
        root_fstype: "ext4".to_owned(),
        mount_points: "/".to_owned(),
        functions: [("die".to_owned(), "{  echo dead\n}".to_owned())].into(),
        ..EngineInputs::default()
    }
}

fn bash(set: &BTreeMap<String, String>, script: &str) -> String {
    let output = Command::new("bash")
        .args(["--norc", "-c", script])
        .env_clear()
        .envs(set)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn everything_is_there() {
    let request = request(
        &[("PATH", OsStr::new("/bin"))],
        &["-x", "vm", "debian-minimal"],
    );
    let set = engine_variables(&request, &inputs()).unwrap();
    for (name, value) in [
        ("ARCH", "amd64"),
        ("DIB_ARGS", "-x vm debian-minimal"),
        (
            "DIB_BLOCK_DEVICE_PARAMS_YAML",
            "/tmp/dib_build.x/block-device/params.yaml",
        ),
        ("DIB_BOOT_LABEL", ""),
        ("DIB_CHECKSUM", "0"),
        ("DIB_DEBUG_TRACE", "1"),
        ("DIB_IMAGE_CACHE", "/home/u/.cache/image-create"),
        ("DIB_LOCKFILES", "/home/u/.cache/dib/lockfiles"),
        ("DIB_MIN_TMPFS", "2"),
        ("DIB_MOUNTPOINTS", "/"),
        ("DIB_NO_TMPFS", "0"),
        ("DIB_OFFLINE", ""),
        ("DIB_PYTHON_EXEC", "/py"),
        ("DIB_ROOT_FSTYPE", "ext4"),
        ("DIB_ROOT_LABEL", "cloudimg-rootfs"),
        ("ELEMENTS_PATH", "/usr/share/diskimage-builder/elements"),
        ("FS_TYPE", "ext4"),
        ("IMAGE_ELEMENT", "debian-minimal odd"),
        ("IMAGE_NAME", "image"),
        ("IMAGE_TYPE", "qcow2"),
        ("LC_ALL", "C"),
        ("OUT_IMAGE_PATH", ""),
        ("PATH", "/bin:/sbin:/usr/sbin:/usr/local/sbin"),
        ("SHLVL", "1"),
        ("TMP_BUILD_DIR", "/tmp/dib_build.x"),
        ("TMP_HOOKS_PATH", "/tmp/dib_build.x/hooks"),
        ("TMP_IMAGE_DIR", "/tmp/dib_image.x"),
        ("_BASE_ELEMENT_DIR", "/e"),
        ("_LIB", "/lib/ours"),
    ] {
        assert_eq!(set.get(name).map(String::as_str), Some(value), "{name}");
    }
    for absent in [
        "TARGET_ROOT",
        "DIB_BLOCK_DEVICE",
        "DIB_DEFAULT_INSTALLTYPE",
        "ROOT_LABEL",
    ] {
        assert!(!set.contains_key(absent), "{absent}");
    }
}

#[test]
fn functions_work_in_bash() {
    let mut set = engine_variables(&request(&[], &["x"]), &inputs()).unwrap();
    set.insert("PATH".to_owned(), "/usr/bin:/bin".to_owned());
    let script = "eval declare -A found=($(get_image_element_array)); \
                  for name in debian-minimal odd; do echo \"${found[$name]}\"; done; die";
    let expected = "/e/debian-minimal\n/my elements/it's $HOME/odd\ndead\n";
    assert_eq!(bash(&set, script), expected);
}

#[test]
fn dib_env_is_what_bash_declares() {
    let nasty = OsStr::from_bytes(b"a \"b\"\n$c \xff\n");
    let pairs = [
        ("DIB_X", OsStr::new("1")),
        ("DIB_NASTY", nasty),
        ("DIB_IMAGE_SIZE", OsStr::new("3")),
        ("DIB_BAD-NAME", OsStr::new("x")),
        ("NOT_DIB", OsStr::new("x")),
    ];
    let request = request(
        &pairs,
        &["--image-size", "5", "debian", "it's", "-p", "a b"],
    );
    let set = engine_variables(&request, &inputs()).unwrap();
    let mut command = Command::new("bash");
    command.args(["--norc", "-c"]);
    command.arg("export DIB_ARGS=\"$@\"; printf %s \"$(declare -p $(compgen -v | grep '^DIB_'))\"");
    command.args(["bash", "--image-size", "5", "debian", "it's", "-p", "a b"]);
    command
        .env_clear()
        .envs(pairs)
        .envs([("LC_ALL", "C"), ("DIB_PYTHON_EXEC", "/py")]);
    let output = command.env("PATH", "/usr/bin:/bin").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), set["DIB_ENV"]);
}

#[test]
fn the_engine_is_one_more_shell() {
    for (caller, level) in [("", "1"), ("x", "1"), ("5", "6"), ("-3", "0"), ("999", "1")] {
        assert_eq!(shell_level(Some(OsStr::new(caller))), level, "{caller}");
    }
    let request = request(&[("SHLVL", OsStr::new("2"))], &["x"]);
    let set = engine_variables(&request, &inputs()).unwrap();
    assert_eq!(set["SHLVL"], "3");
}
