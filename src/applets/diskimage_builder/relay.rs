//! Output of builds that run side by side: whole lines, each with its image.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::Child;
use std::thread::JoinHandle;

/// Longest line that is kept together.
const LONGEST: u64 = 64 * 1024;

/// The threads that pass on what a build says.
pub(super) struct Relay(Vec<JoinHandle<()>>);

impl Relay {
    /// Passes on the output of a process that has pipes for it.
    pub(super) fn start(name: &str, child: &mut Child) -> Relay {
        let mut threads = Vec::new();
        if let Some(pipe) = child.stdout.take() {
            let name = name.to_owned();
            threads.push(std::thread::spawn(move || {
                pass(&name, pipe, |line| write(&mut io::stdout().lock(), line));
            }));
        }
        if let Some(pipe) = child.stderr.take() {
            let name = name.to_owned();
            threads.push(std::thread::spawn(move || {
                pass(&name, pipe, |line| write(&mut io::stderr().lock(), line));
            }));
        }
        Relay(threads)
    }

    /// Waits until everything is said.
    pub(super) fn finish(self) {
        for thread in self.0 {
            // A thread that panicked has said why.
            let _result = thread.join();
        }
    }
}

/// Says something on stderr, of our own.
pub(super) fn say(text: &str) {
    write(&mut io::stderr().lock(), text.as_bytes());
}

/// Our reader may have gone; a build goes on without it.
fn write(to: &mut impl Write, line: &[u8]) {
    let _closed = to.write_all(line).and_then(|()| to.flush());
}

fn pass(name: &str, pipe: impl Read, out: impl Fn(&[u8])) {
    let mut reader = BufReader::new(pipe);
    loop {
        let mut line = format!("{name}: ").into_bytes();
        let read = (&mut reader).take(LONGEST).read_until(b'\n', &mut line);
        match read {
            Ok(0) => return,
            Ok(_) => {
                if line.last() != Some(&b'\n') {
                    line.push(b'\n');
                }
                out(&line);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn every_line_has_its_image_and_its_end() {
        let said = RefCell::new(Vec::new());
        let text = b"one\n\nraw \xff\nlast";
        pass("x", &text[..], |line| {
            said.borrow_mut().extend_from_slice(line)
        });
        assert_eq!(said.into_inner(), b"x: one\nx: \nx: raw \xff\nx: last\n");
    }
}
