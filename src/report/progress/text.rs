//! Text for a terminal: cleaned of what it would obey, cut to its width, and
//! times and sizes in words.

use unicode_width::UnicodeWidthChar;

/// Distance of tab stops, columns.
const TAB: usize = 8;

/// What stands at the end of a text that was cut.
const CUT: &str = "...";

/// Where in an escape sequence (ECMA-48) a text stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Text,
    /// After ESC.
    Escape,
    /// After CSI, up to the final byte.
    Control,
    /// After OSC, DCS and their like, up to ST or BEL.
    String,
}

impl State {
    fn after(self, character: char) -> State {
        match (self, character) {
            (State::String, '\x07' | '\u{9c}') | (_, '\x18' | '\x1a') => State::Text,
            (_, '\x1b') => State::Escape,
            (State::String, _) => State::String,
            (State::Escape, '[') | (State::Text, '\u{9b}') => State::Control,
            (State::Escape, ']' | 'P' | 'X' | '^' | '_')
            | (State::Text, '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}') => State::String,
            (State::Escape, ' '..='/') => State::Escape,
            (State::Control, ' '..='?') => State::Control,
            _ => State::Text,
        }
    }
}

/// A line as a terminal would show it in the end: without escape sequences and
/// control characters, with what follows the last carriage return only, tabs as
/// blanks. Bytes that are no UTF-8 become U+FFFD.
pub(super) fn clean(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(last_written(line));
    let mut cleaned = String::with_capacity(text.len());
    let mut column: usize = 0;
    let mut state = State::Text;
    for character in text.chars() {
        let before = state;
        state = before.after(character);
        if before != State::Text || state != State::Text {
            continue;
        }
        if character == '\t' {
            let blanks = TAB - column % TAB;
            cleaned.extend(std::iter::repeat_n(' ', blanks));
            column += blanks;
        } else if !is_hidden(character) {
            cleaned.push(character);
            column += columns_of(character);
        }
    }
    cleaned
}

/// What follows the last carriage return of a line, but for those at its end.
pub(super) fn last_written(line: &[u8]) -> &[u8] {
    let ends = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let end = line.iter().rposition(|byte| !ends(byte));
    let line = &line[..end.map_or(0, |at| at + 1)];
    let begin = line.iter().rposition(|byte| *byte == b'\r');
    &line[begin.map_or(0, |at| at + 1)..]
}

/// Whether a character moves the cursor, or changes the order of others.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        )
}

fn columns_of(character: char) -> usize {
    character.width().unwrap_or(0)
}

/// Columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// As much of a cleaned text as has room in so many columns; "..." stands for the
/// rest. Characters that take none are left out, because terminals differ in
/// what they make of them.
pub(super) fn fit(text: &str, columns: usize) -> String {
    let shown = text.chars().filter(|character| columns_of(*character) > 0);
    if width(text) <= columns {
        return shown.collect();
    }
    let cut = match columns > 2 * CUT.len() {
        true => CUT,
        false => "",
    };
    let mut fitting = String::new();
    let mut room = columns - cut.len();
    for character in shown {
        match room.checked_sub(columns_of(character)) {
            Some(rest) => room = rest,
            None => break,
        }
        fitting.push(character);
    }
    fitting + cut
}

/// A time that goes on, in whole seconds.
pub(super) fn running(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// A time that something has taken.
pub(super) fn taken(seconds: f64) -> String {
    match seconds < 60.0 {
        true => format!("{:.1} s", seconds.max(0.0)),
        false => running(seconds),
    }
}

/// A size in powers of ten, as disks are sold.
pub(super) fn size(bytes: u64) -> String {
    let units = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    let bytes = bytes as f64;
    let unit = units.into_iter().find(|(unit, _)| bytes >= *unit);
    match unit {
        Some((unit, name)) => format!("{:.1} {name}", bytes / unit),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        for (line, expected) in [
            (&b"plain\n"[..], "plain"),
            (b"\x1b[31mred\x1b[0m \x1b[2J\x1b[10;3Hx", "red x"),
            (b"\x1b]0;title\x07after", "after"),
            (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
            (b"\x1bP1$r0m\x1b\\dcs", "dcs"),
            (b"\x1b_apc\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\end", "end"),
            (b"\x1b(0box\x1b(B \x1b#8 \x1bc\x1b7\x1b8", "box  "),
            ("\u{9b}31mc1\u{9d}0;t\u{9c}!".as_bytes(), "c1!"),
            (b"bell\x07 back\x08\x08 nul\0 del\x7f", "bell back nul del"),
            (b"\xff\xfe", "\u{fffd}\u{fffd}"),
            (b"never ended \x1b]0;swallowed", "never ended "),
            (b"cut off \x1b[31\x18here", "cut off here"),
            (
                "rtl \u{202e}txt\u{202c} \u{2067}x\u{2069}".as_bytes(),
                "rtl txt x",
            ),
            (b"a\tb\tc", "a       b       c"),
        ] {
            assert_eq!(clean(line), expected, "{line:?}");
        }
    }

    #[test]
    fn a_carriage_return_begins_the_line_again() {
        assert_eq!(clean(b"10 %\r20 %\r30 %\r"), "30 %");
        assert_eq!(clean(b"dos\r\n"), "dos");
        assert_eq!(clean(b"\r\r\n"), "");
        assert_eq!(clean(b""), "");
    }

    #[test]
    fn texts_are_cut_by_columns() {
        assert_eq!(fit("short", 5), "short");
        assert_eq!(fit("longer text", 10), "longer ...");
        assert_eq!(fit("longer", 4), "long");
        assert_eq!(fit("x", 0), "");
        // Two columns each: five of them and the dots are thirteen.
        assert_eq!(
            fit(
                "\u{65e5}\u{672c}\u{8a9e}\u{65e5}\u{672c}\u{8a9e}\u{65e5}",
                13
            ),
            "\u{65e5}\u{672c}\u{8a9e}\u{65e5}\u{672c}..."
        );
        assert_eq!(fit("\u{65e5}\u{672c}\u{8a9e}", 5), "\u{65e5}\u{672c}");
        assert_eq!(fit("e\u{301}\u{200d}\u{fe0f}", 9), "e");
        for columns in 0..40 {
            let text = "a\u{65e5}b\u{1f600}c\u{301}d ".repeat(5);
            assert!(width(&fit(&text, columns)) <= columns, "{columns}");
        }
    }

    #[test]
    fn times_and_sizes_have_units() {
        let seen: Vec<String> = [-1.0, 0.9, 59.99, 60.0, 187.0, 3600.0, 7384.0]
            .into_iter()
            .map(running)
            .collect();
        let expected = [
            "0 s",
            "0 s",
            "59 s",
            "1 min 00 s",
            "3 min 07 s",
            "1 h 00 min",
            "2 h 03 min",
        ];
        assert_eq!(seen, expected);
        assert_eq!(taken(21.04), "21.0 s");
        assert_eq!(taken(75.5), "1 min 15 s");
        assert_eq!(size(999), "999 bytes");
        assert_eq!(size(312_400_000), "312.4 MB");
        assert_eq!(size(5 << 30), "5.4 GB");
    }
}
