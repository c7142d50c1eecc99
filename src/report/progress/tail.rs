//! The last lines of a build's output, however they arrive.

use std::collections::VecDeque;

use super::text::{clean, last_written};

/// Lines that are kept: more than a view shows, because blank ones are left out.
const LINES: usize = 16;

/// Bytes of a line that are kept.
const LINE_BYTES: usize = 1024;

/// Lines that stay visible: the engine's own, from inside an appliance.
const WARNING: &[u8] = b"WARNING safedib:";

/// The last lines, the one that is not complete among them.
#[derive(Debug, Default)]
pub(super) struct Tail {
    lines: VecDeque<Vec<u8>>,
    open: Vec<u8>,
}

impl Tail {
    /// Takes the next bytes, cut anywhere; gives the engine's warnings among the
    /// lines that are complete now, cleaned.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut warnings = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.extend(piece);
            if !piece.ends_with(b"\n") {
                continue;
            }
            let line = std::mem::take(&mut self.open);
            if line.starts_with(WARNING) {
                warnings.push(clean(&line));
            }
            if self.lines.len() == LINES {
                self.lines.pop_front();
            }
            self.lines.push_back(line);
        }
        warnings
    }

    /// The last lines that are neither blank nor noise of shell tracing, as in the
    /// log, cleaned.
    pub(super) fn last(&self, count: usize) -> Vec<String> {
        let lines = self.lines.iter().chain([&self.open]).rev();
        let cleaned = lines.map(|line| clean(line));
        let noise = |line: &str| line.contains("set +o") || line.contains("xtrace");
        let shown = cleaned.filter(|line| !line.trim().is_empty() && !noise(line));
        let mut last: Vec<String> = shown.take(count).collect();
        last.reverse();
        last
    }

    fn extend(&mut self, piece: &[u8]) {
        // Progress bars go back to the beginning of their line for hours.
        let body = last_written(piece);
        let goes_back = piece.iter().position(|byte| *byte == b'\r');
        let within = goes_back.is_some_and(|at| {
            let rest = piece.get(at..).unwrap_or_default();
            rest.iter().any(|byte| !matches!(byte, b'\r' | b'\n'))
        });
        if within || (self.open.ends_with(b"\r") && !body.is_empty()) {
            self.open.clear();
        }
        let room = LINE_BYTES.saturating_sub(self.open.len());
        self.open.extend_from_slice(&body[..body.len().min(room)]);
        if piece.ends_with(b"\r") && !self.open.ends_with(b"\r") {
            self.open.push(b'\r');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_and_blank_ones_left_out() {
        let text = b"one\n\ntwo\r\n+ set +o xtrace\nthree\n  \nfo";
        let expected = ["one", "two", "three", "fo"];
        for size in 1..text.len() {
            let mut tail = Tail::default();
            for piece in text.chunks(size) {
                assert_eq!(tail.push(piece), Vec::<String>::new());
            }
            assert_eq!(tail.last(9), expected, "pieces of {size}");
            assert_eq!(tail.last(2), expected[2..], "pieces of {size}");
        }
    }

    #[test]
    fn a_progress_bar_is_one_line_of_bounded_size() {
        let text = b"get\n 1 %\r 22 %\r 333 %\r\n";
        for size in 1..text.len() {
            let mut tail = Tail::default();
            for piece in text.chunks(size) {
                tail.push(piece);
            }
            assert_eq!(tail.last(9), ["get", " 333 %"], "pieces of {size}");
        }
        let mut tail = Tail::default();
        for percent in 0..100_000 {
            tail.push(format!("\r{percent} %").as_bytes());
            assert!(tail.open.len() < 20);
        }
        assert_eq!(tail.last(9), ["99999 %"]);
        tail.push(&[b'x'; 3 * LINE_BYTES]);
        tail.push(&[b'x'; 3 * LINE_BYTES]);
        tail.push(&[b'\r'; 3 * LINE_BYTES]);
        tail.push(b"\r");
        assert!(tail.open.len() <= LINE_BYTES + 1);
        for _ in 0..10 * LINES {
            tail.push(b"line\n");
        }
        assert_eq!(tail.lines.len(), LINES);
    }

    #[test]
    fn warnings_from_inside_are_found() {
        let mut tail = Tail::default();
        assert!(tail.push(b"x\nWARNING safe").is_empty());
        let warnings = tail.push(b"dib: \x1b[5mlook\nWARNING of another\n");
        assert_eq!(warnings, ["WARNING safedib: look"]);
    }
}
