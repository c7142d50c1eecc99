//! Command lines of all four commands: the first byte chooses one, the words
//! behind it end with NUL or with the end of the line.
#![no_main]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use libfuzzer_sys::fuzz_target;
use safedib::request::{self, image_yaml, virt_dib, Environment, HostFacts, Parsed};

/// No such directory: what is fuzzed are words, not this machine's files.
const NOWHERE: &str = "/proc/self/fdinfo/nowhere";

fn environment() -> Environment {
    [("HOME", "/home/fuzz"), ("PATH", "/usr/bin")]
        .into_iter()
        .collect()
}

fn disk_image_create(program: &str, words: &[OsString]) {
    let environment = environment();
    let Ok(Parsed::Build(raw)) = request::parse(program, words, &environment) else {
        return;
    };
    let host = HostFacts {
        cwd: "/home/fuzz".into(),
        root: NOWHERE.into(),
        machine: "x86_64".into(),
        executable: None,
    };
    let _ = request::resolve(&raw, &environment, &host);
}

fn virt_dib(words: &[OsString]) {
    let words: Vec<String> = words
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let mut style = virt_dib::Style::default();
    let _ = virt_dib::parse(&words, false, &mut style);
}

fuzz_target!(|data: &[u8]| {
    let Some((command, rest)) = data.split_first() else {
        return;
    };
    let words: Vec<OsString> = rest
        .split(|byte| matches!(byte, 0 | b'\n'))
        .map(|word| OsString::from_vec(word.to_vec()))
        .collect();
    match command % 4 {
        0 => disk_image_create("disk-image-create", &words),
        1 => disk_image_create("ramdisk-image-create", &words),
        2 => virt_dib(&words),
        _ => {
            let _ = image_yaml::parse(&words);
        }
    }
});
