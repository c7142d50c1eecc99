//! `tar` that stores placeholders as the device nodes that they stand for, see
//! [`devnodes`](crate::agent::devnodes).
//!
//! The real tar does the work. Where it creates an archive, its compressor is
//! [`FILTER`], which reads the archive before it is compressed, and starts the
//! compressor that was asked for. A node that `--transform` renames stays an
//! empty file. Reading and extracting need nothing of this.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufReader, BufWriter};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use super::{complain, exec_real, without_shims};
use crate::agent::paths;
use crate::output::{tar_nodes, NodeRegistry};

/// Name of the filter among the shims.
pub(super) const FILTER: &str = "safedib-tar-filter";
/// What tells the filter the compressor, a line for the shell.
const COMPRESSOR: &str = "SAFEDIB_TAR_COMPRESSOR";
/// What tells the filter the directories that names may be relative to.
const BASES: &str = "SAFEDIB_TAR_BASES";
/// Options of one letter that have an argument.
const WITH_ARGUMENT: &[u8] = b"bCfFgHIKLNTVX";
/// Compressors by letter, by long option, and by suffixes for `-a`. Numbers
/// stand in for letters where tar has none.
const COMPRESSORS: &[(u8, &str, &[&str])] = &[
    (b'z', "gzip", &["gz", "tgz", "taz"]),
    (b'j', "bzip2", &["bz2", "tbz2", "tbz", "tz2", "tb2"]),
    (b'J', "xz", &["xz", "txz"]),
    (b'Z', "compress", &["Z", "taZ"]),
    (1, "lzma", &["lzma", "tlz"]),
    (2, "lzip", &["lz"]),
    (3, "lzop", &["lzo"]),
    (4, "zstd", &["zst", "tzst"]),
];
/// Other long options that matter.
const LONG: &[(u8, &str)] = &[
    (b'c', "create"),
    (b'a', "auto-compress"),
    (b'C', "directory"),
    (b'f', "file"),
    (b'I', "use-compress-program"),
];

/// Runs tar.
pub(super) fn main(arguments: Vec<OsString>) -> ExitCode {
    let placeholders = NodeRegistry::load(Path::new(paths::NODES))
        .is_ok_and(|registry| registry.entries().next().is_some());
    let line = match placeholders.then(|| parse(&arguments)) {
        Some(line) if line.creates => line,
        _ => return exec_real("tar", &arguments),
    };
    let mut base = std::env::current_dir().unwrap_or_default();
    let mut bases = base.clone().into_os_string();
    for directory in &line.directories {
        base.push(directory);
        bases.push("\n");
        bases.push(&base);
    }
    std::env::set_var(BASES, bases);
    std::env::set_var(COMPRESSOR, line.compressor());
    let filter = format!("--use-compress-program={}/{FILTER}", paths::SHIMS);
    let mut words = vec![OsString::from(filter)];
    words.extend(line.words);
    exec_real("tar", &words)
}

/// What matters of a command line.
#[derive(Debug, Default, PartialEq, Eq)]
struct Line {
    creates: bool,
    /// All but what is about compression; of short options one a word.
    words: Vec<OsString>,
    directories: Vec<OsString>,
    file: Option<OsString>,
    program: Option<OsString>,
    by_suffix: bool,
}

impl Line {
    /// Takes an option in.
    fn option(&mut self, letter: u8, value: Option<OsString>) {
        if let Some(row) = COMPRESSORS.iter().find(|row| row.0 == letter) {
            self.program = Some(row.1.into());
            return;
        }
        match (letter, &value) {
            (b'a', _) => return self.by_suffix = true,
            (b'I', _) => return self.program = value,
            (b'c', _) => self.creates = true,
            (b'C', Some(directory)) => self.directories.push(directory.clone()),
            (b'f', Some(file)) => self.file = Some(file.clone()),
            _ => {}
        }
        let letter = OsString::from_vec(vec![b'-', letter]);
        self.words
            .extend([Some(letter), value].into_iter().flatten());
    }

    /// What the filter has to start, for a shell.
    fn compressor(&self) -> OsString {
        let suffix = self
            .file
            .as_ref()
            .and_then(|file| Path::new(file).extension()?.to_str());
        let fits = |row: &&(u8, &str, &[&str])| row.2.iter().any(|end| Some(*end) == suffix);
        let by_suffix = COMPRESSORS.iter().find(fits).map(|row| row.1.into());
        let program = self.program.clone();
        program
            .or(by_suffix.filter(|_| self.by_suffix))
            .unwrap_or_default()
    }
}

fn parse(arguments: &[OsString]) -> Line {
    let mut line = Line::default();
    let mut rest = arguments.iter().cloned();
    let mut first = true;
    while let Some(word) = rest.next() {
        let bytes = word.as_bytes().to_vec();
        let old_style = std::mem::take(&mut first) && !bytes.starts_with(b"-");
        if bytes == b"--" {
            line.words.push(word);
            line.words.extend(rest.by_ref());
        } else if let Some(long) = bytes.strip_prefix(b"--") {
            let mut parts = long.splitn(2, |byte| *byte == b'=');
            let name = parts.next().unwrap_or_default();
            let value = parts.next().map(|value| OsString::from_vec(value.into()));
            let mut known = LONG.iter().copied();
            let known = known.find(|row| row.1.as_bytes() == name).or_else(|| {
                let mut compressors = COMPRESSORS.iter();
                let row = compressors.find(|row| row.1.as_bytes() == name)?;
                Some((row.0, row.1))
            });
            match known {
                Some((letter, _)) if WITH_ARGUMENT.contains(&letter) => {
                    let value = value.or_else(|| rest.next());
                    line.option(letter, value);
                }
                Some((letter, _)) => line.option(letter, None),
                None => line.words.push(word),
            }
        } else if old_style {
            for letter in bytes {
                let takes = WITH_ARGUMENT.contains(&letter);
                line.option(letter, takes.then(|| rest.next()).flatten());
            }
        } else if bytes.len() > 1 && bytes[0] == b'-' {
            let takes = |letter: &u8| WITH_ARGUMENT.contains(letter);
            let end = bytes.iter().position(takes).unwrap_or(bytes.len());
            bytes[1..end]
                .iter()
                .for_each(|letter| line.option(*letter, None));
            if let Some(letter) = bytes.get(end) {
                let attached = &bytes[end + 1..];
                let value = match attached.is_empty() {
                    true => rest.next(),
                    false => Some(OsString::from_vec(attached.into())),
                };
                line.option(*letter, value);
            }
        } else {
            line.words.push(word);
        }
    }
    line
}

/// Runs the filter: tar's compressor.
pub(super) fn filter(_arguments: Vec<OsString>) -> ExitCode {
    match run_filter() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain("tar", format_args!("storing device nodes: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run_filter() -> io::Result<bool> {
    let registry = NodeRegistry::load(Path::new(paths::NODES)).map_err(io::Error::other)?;
    let bases = std::env::var_os(BASES).unwrap_or_default();
    let mut bases: Vec<PathBuf> = bases
        .as_bytes()
        .split(|byte| *byte == b'\n')
        .map(|base| OsStr::from_bytes(base).into())
        .collect();
    // tar stores absolute names without their first slash
    bases.push("/".into());
    let mut find = |name: &Path| {
        let found = |base: &PathBuf| base.join(name).symlink_metadata().ok();
        let mut files = bases.iter().rev().filter_map(found);
        files.find_map(|metadata| registry.find(&metadata).cloned())
    };
    let input = BufReader::new(io::stdin().lock());
    let program = std::env::var_os(COMPRESSOR).unwrap_or_default();
    if program.is_empty() {
        tar_nodes::filter(input, BufWriter::new(io::stdout().lock()), &mut find)?;
        return Ok(true);
    }
    let path = without_shims(&std::env::var_os("PATH").unwrap_or_default());
    let mut compressor = Command::new("/bin/sh")
        .arg("-c")
        .arg(program)
        .env("PATH", path)
        .stdin(Stdio::piped())
        .spawn()?;
    let to = compressor.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    tar_nodes::filter(input, BufWriter::new(to), &mut find)?;
    Ok(compressor.wait()?.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_read_as_tar_reads_them() {
        for (line, creates, words, directories, compressor) in [
            (
                "--numeric-owner -C /t -zcf /c/x.tar.gz --exclude=./tmp/* .",
                true,
                "--numeric-owner -C /t -c -f /c/x.tar.gz --exclude=./tmp/* .",
                "/t",
                "gzip",
            ),
            ("czCf /t x .", true, "-c -C /t -f x .", "/t", "gzip"),
            ("-C/a -cC b -f- .", true, "-C /a -c -C b -f - .", "/a b", ""),
            ("-acf x.tar.xz .", true, "-c -f x.tar.xz .", "", "xz"),
            ("-acf x.tar .", true, "-c -f x.tar .", "", ""),
            ("-cf x.gz .", true, "-c -f x.gz .", "", ""),
            (
                "--create --zstd --file=x --directory /t .",
                true,
                "-c -f x -C /t .",
                "/t",
                "zstd",
            ),
            ("-Ipigz -cf x -- -z", true, "-c -f x -- -z", "", "pigz"),
            ("-xzf x -C /t", false, "-x -f x -C /t", "/t", "gzip"),
            ("-C /t -tvf cz", false, "-C /t -t -v -f cz", "/t", ""),
        ] {
            let arguments: Vec<OsString> = line.split(' ').map(Into::into).collect();
            let got = parse(&arguments);
            let joined = |words: &[OsString]| words.join(OsStr::new(" "));
            assert_eq!(got.creates, creates, "{line}");
            assert_eq!(joined(&got.words), words, "{line}");
            assert_eq!(joined(&got.directories), directories, "{line}");
            assert_eq!(got.compressor(), compressor, "{line}");
        }
    }
}
