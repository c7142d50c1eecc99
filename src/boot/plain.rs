//! A console's bytes without what a terminal would obey.

/// Where in the stream a byte stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// In `ESC [ ...`, until a letter or its like.
    Sequence,
    /// In `ESC ] ...` and its like, until BEL, ESC or the end of a line.
    String,
    /// After the byte with which, in UTF-8, control characters of the upper half begin.
    Upper,
}

/// Takes control sequences and control characters out, but for tabs and line feeds.
#[derive(Debug, Default)]
pub(super) struct Plain(State);

/// First byte of U+0080 to U+00BF in UTF-8.
const UPPER: u8 = 0xc2;
const ESCAPE: u8 = 0x1b;

impl Plain {
    /// What of these bytes is text; they may be cut anywhere.
    pub(super) fn text(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(bytes.len());
        for byte in bytes {
            self.0 = self.next(*byte, &mut text);
        }
        text
    }

    fn next(&self, byte: u8, text: &mut Vec<u8>) -> State {
        match (self.0, byte) {
            // Two bytes: ST, and all that a terminal does with a letter after ESC.
            (State::Escape, b'[') => State::Sequence,
            (State::Escape, b']' | b'P' | b'X' | b'^' | b'_') => State::String,
            (State::Escape, b' '..=b'/') => State::Escape,
            (_, ESCAPE) => State::Escape,
            (State::Escape, _) => State::Text,
            (State::Sequence, 0x40..=0x7e) => State::Text,
            (State::Sequence, _) => State::Sequence,
            (State::String, 0x07 | b'\n') => State::Text,
            (State::String, _) => State::String,
            (State::Upper, 0x80..=0x9f) => State::Text,
            (State::Upper, _) => {
                text.push(UPPER);
                Plain::plainly(byte, text)
            }
            (State::Text, _) => Plain::plainly(byte, text),
        }
    }

    fn plainly(byte: u8, text: &mut Vec<u8>) -> State {
        if byte == UPPER {
            return State::Upper;
        }
        if matches!(byte, b'\n' | b'\t') || !byte.is_ascii_control() {
            text.push(byte);
        }
        State::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_find_nothing_to_obey_and_people_find_everything() {
        let shown =
            "\x1bc\x1b[?7l\x1b[2J\x1b[0mSeaBIOS\r\n[\x1b[0;32m  OK  \x1b[0m] \u{e9}\u{ab}\t.\
                     \x1b]0;title\x07\x1b(B\x1bPq\x1b\\ \u{9b}31m x\x08\x7f";
        let expected = "SeaBIOS\n[  OK  ] \u{e9}\u{ab}\t. 31m x";
        let mut plain = Plain::default();
        let whole = plain.text(shown.as_bytes());
        assert_eq!(String::from_utf8_lossy(&whole), expected);
        let mut plain = Plain::default();
        let pieces: Vec<u8> = shown.bytes().flat_map(|byte| plain.text(&[byte])).collect();
        assert_eq!(String::from_utf8_lossy(&pieces), expected);
    }
}
