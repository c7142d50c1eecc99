use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use super::*;

/// A standard output that can be read back.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A standard output that fails in one way.
struct Broken(io::ErrorKind);

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn bare() -> LogOptions {
    LogOptions {
        no_timestamp: true,
        ..LogOptions::default()
    }
}

fn filtered(pieces: &[&[u8]]) -> Vec<u8> {
    let stdout = Shared::default();
    let mut log = LogWriter::new(&bare(), stdout.clone()).unwrap();
    for piece in pieces {
        log.feed(piece);
    }
    log.finish().unwrap();
    stdout.take()
}

#[test]
fn lines_are_cut_and_filtered_however_they_arrive() {
    let text = b"one\n+ set +o posix\n\ntwo xtrace\nthr\xff\x00ee\r\nSet +o\nlast";
    let expected = b"one\n\nthr\xff\x00ee\r\nSet +o\nlast";
    assert_eq!(filtered(&[text]), expected);
    for size in 1..text.len() {
        let pieces: Vec<&[u8]> = text.chunks(size).collect();
        assert_eq!(filtered(&pieces), expected, "pieces of {size}");
    }
}

#[test]
fn a_last_line_that_is_noise_is_dropped_too() {
    assert_eq!(filtered(&[b"a\nxtrace"]), b"a\n");
}

#[test]
fn a_stamp_stands_before_every_line() {
    let stdout = Shared::default();
    let mut log = LogWriter::new(&LogOptions::default(), stdout.clone()).unwrap();
    log.feed(b"one\ntw");
    log.feed(b"o\n\nend");
    log.finish().unwrap();
    let text = String::from_utf8(stdout.take()).unwrap();
    let form = regex::Regex::new(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \| (.*)$").unwrap();
    let lines: Vec<_> = text
        .lines()
        .map(|line| form.captures(line).expect(line)[1].to_owned())
        .collect();
    assert_eq!(lines, ["one", "two", "", "end"]);
    assert!(!text.ends_with('\n'));
}

#[test]
fn a_complete_line_goes_out_at_once() {
    let stdout = Shared::default();
    let mut log = LogWriter::new(&bare(), stdout.clone()).unwrap();
    log.feed(b"done\nhalf");
    assert_eq!(stdout.take(), b"done\n");
    log.feed(b" and half\n");
    assert_eq!(stdout.take(), b"half and half\n");
}

#[test]
fn the_log_file_is_appended_and_always_stamped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    std::fs::write(&path, "before\n").unwrap();
    let options = LogOptions {
        no_timestamp: true,
        quiet: false,
        file: Some(path.clone()),
        given: None,
        ..LogOptions::default()
    };
    let stdout = Shared::default();
    let mut log = LogWriter::new(&options, stdout.clone()).unwrap();
    log.feed(b"line\n");
    log.finish().unwrap();
    assert_eq!(stdout.take(), b"line\n");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("before\n2"), "{text}");
    assert!(text.ends_with(" | line\n"), "{text}");
}

#[test]
fn quiet_writes_to_the_file_only() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions {
        no_timestamp: false,
        quiet: true,
        file: Some(dir.path().join("log")),
        given: None,
        ..LogOptions::default()
    };
    let stdout = Shared::default();
    let mut log = LogWriter::new(&options, stdout.clone()).unwrap();
    log.say("hello");
    log.finish().unwrap();
    assert!(stdout.take().is_empty());
    let text = std::fs::read_to_string(dir.path().join("log")).unwrap();
    assert!(text.ends_with(" | hello\n"));
}

#[test]
fn a_log_file_in_no_directory_is_an_error_with_a_hint() {
    let options = LogOptions {
        file: Some("/nonexistent/log".into()),
        ..LogOptions::default()
    };
    let error = LogWriter::new(&options, io::sink()).map(drop).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/log"));
    assert!(error.hint().unwrap().contains("--logfile"));
}

#[test]
fn own_lines_start_on_a_new_line_and_are_never_dropped() {
    let stdout = Shared::default();
    let mut log = LogWriter::new(&bare(), stdout.clone()).unwrap();
    log.feed(b"no newline");
    log.say("a hook called xtrace failed");
    log.feed(b"xtra");
    log.feed(b"ce");
    log.say("two\nlines");
    log.feed(b"next\n");
    log.finish().unwrap();
    assert_eq!(
        stdout.take(),
        b"no newline\na hook called xtrace failed\ntwo\nlines\nnext\n"
    );
}

#[test]
fn a_reader_that_left_does_not_matter_but_a_full_disk_does() {
    let mut log = LogWriter::new(&bare(), Broken(io::ErrorKind::BrokenPipe)).unwrap();
    log.feed(b"a\n");
    log.feed(b"b\n");
    assert!(log.finish().is_ok());
    let mut log = LogWriter::new(&bare(), Broken(io::ErrorKind::StorageFull)).unwrap();
    log.feed(b"a\n");
    assert!(matches!(log.check(), Err(LogError::Stdout { .. })));
    log.feed(b"b\n");
    assert!(log.finish().is_ok(), "an error is told once");
}

#[test]
fn a_log_file_on_a_full_disk_is_reported() {
    let options = LogOptions {
        file: Some("/dev/full".into()),
        ..bare()
    };
    let stdout = Shared::default();
    let mut log = LogWriter::new(&options, stdout.clone()).unwrap();
    log.feed(b"a\n");
    log.feed(b"b\n");
    assert!(matches!(log.finish(), Err(LogError::Write { .. })));
    assert_eq!(stdout.take(), b"a\nb\n");
}

#[test]
fn the_loss_of_a_log_that_nobody_asked_for_is_no_failure() {
    let stdout = Shared::default();
    let mut log = LogWriter::new(&bare(), stdout.clone()).unwrap();
    let full = Broken(io::ErrorKind::StorageFull);
    log.file = Some(Channel::spare(Box::new(full), "/spare".into()));
    log.place = LogPlace::File("/spare".into());
    log.feed(b"a\n");
    log.feed(b"b\n");
    assert_eq!(*log.place(), LogPlace::Split(Path::new("/spare").into()));
    assert!(log.finish().is_ok());
    assert_eq!(stdout.take(), b"a\nb\n");
}

#[test]
fn memory_stays_bounded() {
    let mut log = LogWriter::new(&bare(), io::sink()).unwrap();
    let piece = vec![b'x'; 300_000];
    for _ in 0..200 {
        log.feed(&piece);
    }
    assert!(log.pending.capacity() <= 2 * LINE_LIMIT);
    let newlines = vec![b'\n'; 4 << 20];
    let mut stamped = LogWriter::new(&LogOptions::default(), io::sink()).unwrap();
    stamped.feed(&newlines);
    let channel = stamped.stdout.as_ref().unwrap();
    assert!(channel.buffer.capacity() <= 4 * LINE_LIMIT);
}

#[test]
fn long_lines_keep_their_bytes_and_are_judged_by_their_beginning() {
    let mut long = vec![b'x'; 3 * LINE_LIMIT];
    long.extend_from_slice(b" end\nnext\n");
    assert_eq!(filtered(&[&long]), long);
    let pieces: Vec<&[u8]> = long.chunks(1000).collect();
    assert_eq!(filtered(&pieces), long);
    let mut noise = b"set +o".to_vec();
    noise.extend_from_slice(&long);
    assert_eq!(filtered(&[&noise]), b"next\n");
}

#[test]
fn a_copy_has_what_comes_while_it_is_open() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("copy");
    let out = Shared::default();
    let mut log = LogWriter::new(&bare(), out.clone()).unwrap();
    log.say("before");
    log.open_copy(&path).unwrap();
    assert!(matches!(log.open_copy(&path), Err(LogError::Open { .. })));
    log.feed(b"a hook\nunfinished");
    log.record_in_copy("only there");
    log.close_copy();
    log.say("after");
    let copy = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = copy
        .lines()
        .filter_map(|line| Some(line.split_once(" | ")?.1))
        .collect();
    assert_eq!(lines, ["a hook", "unfinished", "only there"]);
    let shown = String::from_utf8(out.take()).unwrap();
    assert!(
        !shown.contains("only there") && shown.contains("after"),
        "{shown}"
    );
}
