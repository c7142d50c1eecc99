//! Which files of a hooks directory count, and in which order: two different
//! rules for hooks and for environment.d, both from upstream's dib-run-parts.

use std::cmp::Ordering;

/// Whether a file of this name can be a hook: `^[0-9A-Za-z_-]+$`, so that
/// neither data files nor editors' backups run.
pub fn is_hook_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| is_word(byte) || byte == b'-')
}

/// Whether a file of environment.d with this name is sourced. Dots are allowed;
/// a backslash too, by the letter of upstream's bracket expression.
pub fn is_environment_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| is_word(byte) || matches!(byte, b'-' | b'.' | b'\\'))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The running order of hooks: `LANG=C sort -n` on the bare names, that is by
/// the number at the beginning (none counts as 0), then by bytes.
pub fn compare_hooks(left: &str, right: &str) -> Ordering {
    Number::parse(left)
        .cmp(&Number::parse(right))
        .then_with(|| left.as_bytes().cmp(right.as_bytes()))
}

/// The order in which files of environment.d are sourced: by bytes. Upstream
/// gives `sort -n` whole paths, which all begin without a number.
pub fn compare_environment_files(left: &str, right: &str) -> Ordering {
    left.as_bytes().cmp(right.as_bytes())
}

/// The number that `sort -n` sees; digits as text, since there is no limit to
/// their count.
#[derive(PartialEq, Eq)]
struct Number<'a> {
    negative: bool,
    /// Without leading zeros.
    integer: &'a str,
    /// Without trailing zeros.
    fraction: &'a str,
}

impl<'a> Number<'a> {
    fn parse(text: &'a str) -> Self {
        let text = text.trim_start_matches([' ', '\t', '\n']);
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (integer, rest) = split_digits(text);
        let fraction = rest
            .strip_prefix('.')
            .map_or("", |rest| split_digits(rest).0);
        let integer = integer.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        Number {
            negative: negative && !(integer.is_empty() && fraction.is_empty()),
            integer,
            fraction,
        }
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

impl Ord for Number<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let magnitude = || {
            (self.integer.len(), self.integer, self.fraction).cmp(&(
                other.integer.len(),
                other.integer,
                other.fraction,
            ))
        };
        match (self.negative, other.negative) {
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => magnitude(),
            (true, true) => magnitude().reverse(),
        }
    }
}

impl PartialOrd for Number<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    const NAMES: [&str; 33] = [
        "00-x",
        "aa",
        "zz",
        "1_0",
        "03x",
        "05-d",
        "5-e",
        "010-f",
        "10-F",
        "10-f",
        "100-a",
        "20-b",
        "9-c",
        "-1",
        "-",
        "--5",
        "-0",
        "-0a",
        "-01",
        "-10",
        "0",
        "007",
        "7",
        "7a",
        "Z",
        "_9",
        "99999999999999999999999-a",
        "100000000000000000000000-a",
        "1.5-a",
        "1.50-b",
        "1.4999",
        "-1.5",
        ".5",
    ];

    /// What the real tool makes of it.
    fn sort_n(lines: &[String]) -> Vec<String> {
        let mut child = Command::new("sort")
            .arg("-n")
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn assert_same_as_sort(mut names: Vec<String>) {
        let expected = sort_n(&names);
        names.sort_by(|left, right| compare_hooks(left, right));
        assert_eq!(names, expected);
    }

    #[test]
    fn hooks_are_ordered_as_by_sort() {
        assert_same_as_sort(NAMES.iter().map(|name| name.to_string()).collect());
    }

    #[test]
    fn any_names_are_ordered_as_by_sort() {
        let mut state = 1_u64;
        let mut random = |bound: u64| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 33) % bound
        };
        let alphabet = b"00112359aAzZ_--..";
        let names = (0..3000)
            .map(|_| {
                let length = 1 + random(7);
                (0..length)
                    .map(|_| char::from(alphabet[random(alphabet.len() as u64) as usize]))
                    .collect()
            })
            .collect();
        assert_same_as_sort(names);
    }

    #[test]
    fn environment_files_are_ordered_as_by_sort_on_paths() {
        let mut names: Vec<String> = NAMES.iter().map(|name| name.to_string()).collect();
        let paths: Vec<String> = names
            .iter()
            .map(|name| format!("/h/x.d/../{name}"))
            .collect();
        let expected = sort_n(&paths);
        names.sort_by(|left, right| compare_environment_files(left, right));
        let ours: Vec<String> = names
            .iter()
            .map(|name| format!("/h/x.d/../{name}"))
            .collect();
        assert_eq!(ours, expected);
    }

    #[test]
    fn names_that_count() {
        for (name, hook, environment) in [
            ("10-a_B", true, true),
            ("-", true, true),
            ("10-a.bash", false, true),
            ("10-a~", false, false),
            ("a b", false, false),
            ("ä", false, false),
            (r"a\b", false, true),
            ("", false, false),
        ] {
            assert_eq!(is_hook_name(name), hook, "{name}");
            assert_eq!(is_environment_name(name), environment, "{name}");
        }
    }
}
