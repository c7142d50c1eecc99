//! What bash makes of text in upstream's script.

/// `echo -e`: the text, and whether it ends with the newline (not after `\c`).
pub(super) fn echo_e(text: &[u8]) -> (Vec<u8>, bool) {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let Some((&letter, after)) = rest.split_first().filter(|_| byte == b'\\') else {
            out.push(byte);
            continue;
        };
        rest = after;
        match letter {
            b'a' => out.push(7),
            b'b' => out.push(8),
            b'c' => return (out, false),
            b'e' | b'E' => out.push(27),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(11),
            b'\\' => out.push(b'\\'),
            b'0' => out.push(number(&mut rest, 8, 3).unwrap_or(0) as u8),
            b'x' | b'u' | b'U' => escape(letter, &mut rest, &mut out),
            _ => out.extend([b'\\', letter]),
        }
    }
    (out, true)
}

/// `\xHH` is a byte, `\uHHHH` and `\UHHHHHHHH` are characters.
fn escape(letter: u8, rest: &mut &[u8], out: &mut Vec<u8>) {
    let digits = match letter {
        b'x' => 2,
        b'u' => 4,
        _ => 8,
    };
    match number(rest, 16, digits) {
        None => out.extend([b'\\', letter]),
        Some(value) if letter == b'x' => out.push(value as u8),
        Some(value) => {
            let c = char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER);
            out.extend(c.to_string().bytes());
        }
    }
}

fn number(rest: &mut &[u8], base: u32, most: usize) -> Option<u32> {
    let digit = |byte: &u8| char::from(*byte).to_digit(base);
    let count = rest
        .iter()
        .take(most)
        .take_while(|b| digit(b).is_some())
        .count();
    let (digits, after) = rest.split_at(count);
    *rest = after;
    let value = |sum: u32, byte: &u8| sum.wrapping_mul(base) + digit(byte).unwrap_or(0);
    (count > 0).then(|| digits.iter().fold(0, value))
}

/// The lines that `while read LINE` sees: backslashes quote the next character
/// and join lines, blanks at both ends go, NUL bytes do not exist, and a last line
/// without a newline is not seen.
pub(super) fn read_lines(text: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    // Each byte, and whether it is quoted.
    let mut line: Vec<(u8, bool)> = Vec::new();
    let mut bytes = text.iter().copied().filter(|byte| *byte != 0);
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => match bytes.next() {
                Some(b'\n') | None => {}
                Some(next) => line.push((next, true)),
            },
            b'\n' => lines.push(trimmed(&std::mem::take(&mut line))),
            _ => line.push((byte, false)),
        }
    }
    lines
}

fn trimmed(line: &[(u8, bool)]) -> Vec<u8> {
    let blank = |(byte, quoted): &(u8, bool)| !quoted && matches!(byte, b' ' | b'\t');
    let start = line.iter().take_while(|item| blank(item)).count();
    let end = line.iter().rev().take_while(|item| blank(item)).count();
    let kept = line.get(start..line.len() - end).unwrap_or_default();
    kept.iter().map(|(byte, _)| *byte).collect()
}

/// `head -n 1` in `$(...)`: without NUL bytes and newlines at the end.
pub(super) fn first_line(text: &[u8]) -> Vec<u8> {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    line.iter().copied().filter(|byte| *byte != 0).collect()
}

/// Lines as grep sees them.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let empty = text.is_empty();
    text.split(|byte| *byte == b'\n').filter(move |_| !empty)
}

/// `[ "$(tail -c 1 FILE)" = "" ]`.
pub(super) fn ends_with_newline(text: &[u8]) -> bool {
    matches!(text.last(), None | Some(b'\n' | 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echo() {
        for (text, expected) in [
            (r"a\nb\tc", "a\nb\tc"),
            (r"\\n \q \", r"\n \q \"),
            (r"\x41\x4\0101\u00e9\xg", "A\u{4}Aé\\xg"),
        ] {
            let (found, complete) = echo_e(text.as_bytes());
            assert_eq!(String::from_utf8(found).unwrap(), expected);
            assert!(complete);
        }
        assert_eq!(echo_e(br"ab\cd"), (b"ab".to_vec(), false));
    }

    #[test]
    fn reading() {
        let text = b"  one \\\n two\t\n\n\\ three\\\\n\\ \nlost";
        let found: Vec<String> = read_lines(text)
            .into_iter()
            .map(|line| String::from_utf8(line).unwrap())
            .collect();
        assert_eq!(found, ["one  two", "", " three\\n "]);
        assert_eq!(lines(b"").count(), 0);
        assert_eq!(lines(b"a\n\nb").count(), 3);
    }
}
