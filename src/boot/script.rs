//! What is expected of a console, and typed there.

/// A part of a talk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Talk {
    /// Wait for this text.
    Expect(String),
    /// Type this line.
    Send(String),
}

/// What a console shows when nothing more will come.
const DEAD_ENDS: [&str; 4] = [
    "Kernel panic - not syncing",
    "No bootable device",
    "UEFI Interactive Shell",
    "grub rescue>",
];

/// Lines of the console that an error shows.
const TAIL_LINES: usize = 20;
/// Characters of such a line.
const TAIL_WIDTH: usize = 300;

/// A talk that is going on.
#[derive(Debug)]
pub(super) struct Script {
    talk: std::collections::VecDeque<Talk>,
    /// What has been shown since the last text that was expected.
    pending: Vec<u8>,
    tail: Vec<String>,
    line: Vec<u8>,
}

/// What comes of new bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Reaction {
    /// To be typed.
    pub(super) keys: Vec<u8>,
    /// What has been shown instead of what is expected.
    pub(super) dead_end: Option<&'static str>,
}

impl Script {
    pub(super) fn new(talk: &[Talk]) -> Script {
        Script {
            talk: talk.iter().cloned().collect(),
            pending: Vec::new(),
            tail: Vec::new(),
            line: Vec::new(),
        }
    }

    /// Takes what the console shows, as plain text; with nothing, what is typed first.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Reaction {
        self.pending.extend_from_slice(bytes);
        self.note(bytes);
        let mut reaction = Reaction::default();
        while let Some(next) = self.talk.front() {
            match next {
                Talk::Send(line) => {
                    reaction.keys.extend_from_slice(line.as_bytes());
                    // What the key Enter is on a terminal.
                    reaction.keys.push(b'\r');
                }
                Talk::Expect(text) => match find(&self.pending, text.as_bytes()) {
                    Some(end) => drop(self.pending.drain(..end)),
                    None => break,
                },
            }
            self.talk.pop_front();
        }
        if self.talk.is_empty() {
            return reaction;
        }
        let pending = &self.pending;
        reaction.dead_end = DEAD_ENDS
            .into_iter()
            .find(|end| find(pending, end.as_bytes()).is_some());
        // Nothing is searched twice, but for the beginning of a text.
        let longest = self.expected().map_or(0, str::len);
        let kept = DEAD_ENDS
            .iter()
            .map(|end| end.len())
            .fold(longest, usize::max);
        let surplus = self.pending.len().saturating_sub(kept);
        self.pending.drain(..surplus);
        reaction
    }

    /// Whether all has been said.
    pub(super) fn is_over(&self) -> bool {
        self.talk.is_empty()
    }

    /// What it is waiting for.
    pub(super) fn expected(&self) -> Option<&str> {
        self.talk.iter().find_map(|talk| match talk {
            Talk::Expect(text) => Some(text.as_str()),
            Talk::Send(_) => None,
        })
    }

    /// The last lines of the console.
    pub(super) fn tail(&self) -> Vec<String> {
        let mut tail = self.tail.clone();
        let last = shown(&self.line);
        if !last.trim().is_empty() {
            tail.push(last);
        }
        let surplus = tail.len().saturating_sub(TAIL_LINES);
        tail.split_off(surplus)
    }

    fn note(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = TAIL_WIDTH.saturating_mul(4).saturating_sub(self.line.len());
            self.line.extend(piece.iter().take(room));
            if !piece.ends_with(b"\n") {
                continue;
            }
            let line = shown(&std::mem::take(&mut self.line));
            if !line.trim().is_empty() {
                self.tail.push(line);
                let surplus = self.tail.len().saturating_sub(TAIL_LINES);
                self.tail.drain(..surplus);
            }
        }
    }
}

/// Where the first occurrence ends.
fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    let at = bytes
        .windows(text.len().max(1))
        .position(|part| part == text)?;
    at.checked_add(text.len())
}

/// A line for somebody to read.
pub(super) fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .filter(|c| *c == '\t' || !c.is_control())
        .take(TAIL_WIDTH)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(words: &[&str]) -> Vec<Talk> {
        let talk = |word: &&str| match word.strip_prefix('>') {
            Some(line) => Talk::Send(line.to_owned()),
            None => Talk::Expect((*word).to_owned()),
        };
        words.iter().map(talk).collect()
    }

    #[test]
    fn texts_come_in_order_and_in_any_pieces() {
        let mut script = Script::new(&talk(&["login: ", ">root", ">x", "# "]));
        assert_eq!(script.take(b""), Reaction::default());
        assert_eq!(script.take(b"# noise\r\nhost log").keys, b"");
        assert_eq!(script.take(b"in: ").keys, b"root\rx\r");
        assert_eq!(script.expected(), Some("# "));
        assert!(!script.is_over());
        for byte in b"Password\r\n# " {
            script.take(&[*byte]);
        }
        assert!(script.is_over());
    }

    #[test]
    fn one_piece_can_answer_several_expectations() {
        let mut script = Script::new(&talk(&["a", "b", "a"]));
        script.take(b"abab");
        assert!(script.is_over());
        let mut script = Script::new(&talk(&["b", "a"]));
        script.take(b"ab");
        assert!(!script.is_over());
    }

    #[test]
    fn dead_ends_are_told_unless_they_are_expected() {
        let mut script = Script::new(&talk(&["login: "]));
        script.take(b"[1.0] Kernel panic - not ");
        let reaction = script.take(b"syncing: x");
        assert_eq!(reaction.dead_end, Some("Kernel panic - not syncing"));
        let mut script = Script::new(&talk(&["Kernel panic"]));
        assert_eq!(script.take(b"Kernel panic - not syncing").dead_end, None);
        assert!(script.is_over());
    }

    #[test]
    fn memory_is_bounded_and_the_tail_is_plain() {
        let mut script = Script::new(&talk(&["never"]));
        for number in 0..10_000 {
            script.take(format!("line\x07 {number}\n\n").as_bytes());
        }
        script.take(&[b'x'; 100_000]);
        assert!(script.pending.len() < 100 && script.line.len() < 2000);
        let tail = script.tail();
        assert_eq!(tail.len(), TAIL_LINES);
        assert_eq!(tail[TAIL_LINES - 2], "line 9999");
        assert_eq!(tail[TAIL_LINES - 1].len(), TAIL_WIDTH);
    }
}
