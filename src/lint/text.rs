//! Text as bash and its tools see it in upstream's script.

/// The lines that `while read LINE` sees, each with the number of its first:
/// backslashes quote the next character and join lines, blanks at both ends go, NUL
/// bytes do not exist, and a last line without a newline is not seen.
pub(super) fn read_lines(text: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let mut lines = Vec::new();
    let (mut first, mut number) = (1, 1);
    // Each byte, and whether it is quoted.
    let mut line: Vec<(u8, bool)> = Vec::new();
    let mut bytes = text.iter().copied().filter(|byte| *byte != 0);
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => match bytes.next() {
                Some(b'\n') => number += 1,
                None => {}
                Some(next) => line.push((next, true)),
            },
            b'\n' => {
                lines.push((first, trimmed(&std::mem::take(&mut line))));
                number += 1;
                first = number;
            }
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
pub fn first_line(text: &[u8]) -> Vec<u8> {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    line.iter().copied().filter(|byte| *byte != 0).collect()
}

/// Lines as grep sees them.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let empty = text.is_empty();
    text.split(|byte| *byte == b'\n').filter(move |_| !empty)
}

/// `[ "$(tail -c 1 FILE)" = "" ]`.
pub fn ends_with_newline(text: &[u8]) -> bool {
    matches!(text.last(), None | Some(b'\n' | 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading() {
        let text = b"  one \\\n two\t\n\n\\ three\\\\n\\ \nlost";
        let found: Vec<String> = read_lines(text)
            .into_iter()
            .map(|(number, line)| format!("{number}{}", String::from_utf8(line).unwrap()))
            .collect();
        assert_eq!(found, ["1one  two", "3", "4 three\\n "]);
        assert_eq!(lines(b"").count(), 0);
        assert_eq!(lines(b"a\n\nb").count(), 3);
    }
}
