//! Bash's own notation of an exported variable.

/// What bash's `declare -p NAME` prints for an exported scalar under
/// `LC_ALL=C`, without the final newline.
///
/// Bash quotes with `"..."` while every byte is printable ASCII, and with
/// `$'...'` as soon as one is not; in the C locale a byte above 0x7e never is.
pub fn declare_p(name: &str, value: &[u8]) -> String {
    let mut text = format!("declare -x {name}=");
    if value.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        text.push('"');
        for byte in value {
            if matches!(byte, b'"' | b'\\' | b'$' | b'`') {
                text.push('\\');
            }
            text.push(char::from(*byte));
        }
        text.push('"');
    } else {
        text.push_str("$'");
        for byte in value {
            push_ansi_c(&mut text, *byte);
        }
        text.push('\'');
    }
    text
}

fn push_ansi_c(text: &mut String, byte: u8) {
    let letter = match byte {
        0x1b => 'E',
        0x07 => 'a',
        0x08 => 'b',
        b'\t' => 't',
        b'\n' => 'n',
        0x0b => 'v',
        0x0c => 'f',
        b'\r' => 'r',
        b'\\' => '\\',
        b'\'' => '\'',
        0x20..=0x7e => {
            text.push(char::from(byte));
            return;
        }
        _ => {
            text.push_str(&format!("\\{byte:03o}"));
            return;
        }
    };
    text.push('\\');
    text.push(letter);
}

/// A name that bash takes as a variable's; others pass through its environment
/// unseen by `declare`.
pub(crate) fn is_identifier(name: &[u8]) -> bool {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let first = name.first();
    first.is_some_and(|byte| !byte.is_ascii_digit()) && name.iter().all(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;
    use std::process::Command;

    fn bash(value: &[u8]) -> Vec<u8> {
        let output = Command::new("bash")
            .args(["--norc", "-c", "declare -p DIB_X"])
            .env("LC_ALL", "C")
            .env("DIB_X", std::ffi::OsStr::from_bytes(value))
            .output()
            .expect("bash runs");
        assert!(output.status.success());
        output.stdout
    }

    #[test]
    fn agrees_with_bash() {
        let mut values: Vec<Vec<u8>> = [
            "",
            "plain",
            "two words",
            "q\"uote 'single'",
            "back\\slash\\",
            "$HOME `id` $(id) !x",
            "line\nline\n",
            "tab\t",
            "esc\x1b\x07\x08\x0b\x0c\r\x01\x7f",
            "'\n\\\"$`",
            "näme ✓",
            "~ # * [a] {b} =",
        ]
        .iter()
        .map(|text| text.as_bytes().to_vec())
        .collect();
        values.push(b"raw\xff\xfe".to_vec());
        values.extend((1..=255u8).map(|byte| vec![b'a', byte, b'"', b'z']));
        for value in values {
            let ours = declare_p("DIB_X", &value) + "\n";
            assert_eq!(
                String::from_utf8_lossy(&bash(&value)),
                ours,
                "value {value:?}"
            );
        }
    }

    #[test]
    fn identifiers() {
        assert!(is_identifier(b"DIB_1"));
        assert!(!is_identifier(b"1DIB"));
        assert!(!is_identifier(b"DIB-X"));
        assert!(!is_identifier(b""));
    }
}
