//! Whether Python's `json.load` reads a text. It takes more than the standard
//! has (NaN, Infinity, half surrogates), so our own JSON library cannot tell.

/// Deeper nesting ends Python's parser with a RecursionError.
const MAX_DEPTH: usize = 990;

/// Reads a text.
///
/// # Errors
/// The line and what is wrong there.
pub fn check(text: &str) -> Result<(), (usize, &'static str)> {
    let mut parser = Parser {
        bytes: text.as_bytes(),
        at: 0,
    };
    let found = parser.value(0).and_then(|()| match parser.peek() {
        None => Ok(()),
        Some(_) => Err("more after the value"),
    });
    found.map_err(|reason| {
        let before = parser.bytes.iter().take(parser.at);
        (1 + before.filter(|byte| **byte == b'\n').count(), reason)
    })
}

type Checked = Result<(), &'static str>;

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    /// The next byte that is no blank.
    fn peek(&mut self) -> Option<u8> {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Checked {
        if depth > MAX_DEPTH {
            return Err("nested too deeply");
        }
        match self.peek() {
            Some(b'{') => self.items(b'}', depth, true),
            Some(b'[') => self.items(b']', depth, false),
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9' | b'N' | b'I' | b't' | b'f' | b'n') => self.atom(),
            _ => Err("expecting a value"),
        }
    }

    fn items(&mut self, end: u8, depth: usize, named: bool) -> Checked {
        self.at += 1;
        if self.take(end) {
            return Ok(());
        }
        loop {
            if named {
                if self.peek() != Some(b'"') {
                    return Err("expecting a property name in double quotes");
                }
                self.string()?;
                if !self.take(b':') {
                    return Err("expecting ':'");
                }
            }
            self.value(depth + 1)?;
            if self.take(end) {
                return Ok(());
            }
            if !self.take(b',') {
                return Err("expecting ','");
            }
        }
    }

    fn string(&mut self) -> Checked {
        self.at += 1;
        loop {
            let byte = self.bytes.get(self.at).copied();
            self.at += 1;
            match byte {
                None => return Err("unterminated string"),
                Some(b'"') => return Ok(()),
                Some(0..=0x1f) => return Err("control character in a string"),
                Some(b'\\') => self.escape()?,
                Some(_) => {}
            }
        }
    }

    fn escape(&mut self) -> Checked {
        let letter = self.bytes.get(self.at).copied();
        self.at += 1;
        match letter {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(()),
            Some(b'u') => {
                let digits = self.bytes.get(self.at..self.at + 4).unwrap_or_default();
                if digits.len() < 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err("invalid \\u escape");
                }
                self.at += 4;
                Ok(())
            }
            _ => Err("invalid escape"),
        }
    }

    /// A number or a word.
    fn atom(&mut self) -> Checked {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        for word in ["-Infinity", "Infinity", "NaN", "true", "false", "null"] {
            if rest.starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(());
            }
        }
        let digits = |from: usize| {
            let rest = rest.get(from..).unwrap_or_default();
            rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
        };
        let sign = usize::from(rest.first() == Some(&b'-'));
        let mut length = match rest.get(sign) {
            Some(b'0') => sign + 1,
            Some(b'1'..=b'9') => sign + digits(sign),
            _ => return Err("expecting a value"),
        };
        if rest.get(length) == Some(&b'.') && digits(length + 1) > 0 {
            length += 1 + digits(length + 1);
        }
        if let Some(b'e' | b'E') = rest.get(length) {
            let signed = usize::from(matches!(rest.get(length + 1), Some(b'-' | b'+')));
            let count = digits(length + 1 + signed);
            if count > 0 {
                length += 1 + signed + count;
            }
        }
        self.at += length;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn what_python_reads() {
        for text in [
            "{}",
            " [1, -0.5e+3, 1E5] ",
            r#"{"a": {"a": null}, "a": "\ud800\n"}"#,
            "NaN",
            "[-Infinity, Infinity]",
            "1e999",
            "\"ü\"",
            "[true,false]",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\" 1}",
            "{a: 1}",
            "'x'",
            "01",
            "1.",
            "-",
            "\"\t\"",
            "\"\\q\"",
            "\"\\u12g4\"",
            "[] []",
            "tru",
            "\u{feff}{}",
            "// x\n{}",
            "{\"a\":1,}",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
        assert!(check(&"[".repeat(100_000)).is_err());
    }
}
