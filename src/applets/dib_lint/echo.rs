//! bash's `echo -e`, with which upstream prints findings.

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
}
