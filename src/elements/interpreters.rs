//! What runs a script.

use std::fs;
use std::io::Read;
use std::path::Path;

/// Enough for any `#!` line that the kernel reads (`BINPRM_BUF_SIZE`).
const HEAD: u64 = 256;

/// Name of the program that a script's `#!` line names, without its directory:
/// what `env` looks up, if that is the program. `None` for what is no script.
pub fn interpreter(path: &Path) -> Option<String> {
    let mut head = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(HEAD).read_to_end(&mut head))
        .ok()?;
    let line = head.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line.strip_prefix(b"#!")?).into_owned();
    let mut words = line.split_whitespace();
    let base = |word: &str| word.rsplit('/').next().map(str::to_owned);
    match base(words.next()?)?.as_str() {
        "env" => base(words.find(|word| !word.starts_with('-') && !word.contains('='))?),
        name => Some(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters_are_found() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, expected) in [
            ("#!/bin/bash\nx", Some("bash")),
            ("#! /usr/bin/python2.7 -u", Some("python2.7")),
            ("#!/usr/bin/env python\n", Some("python")),
            ("#!/usr/bin/env -S A=1 python3 -u\n", Some("python3")),
            ("#!\n", None),
            ("echo", None),
        ] {
            fs::write(file.path(), text).unwrap();
            assert_eq!(interpreter(file.path()).as_deref(), expected, "{text}");
        }
    }
}
