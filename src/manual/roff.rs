//! Text in the language of man pages, man(7).

/// Longest line of a page's source, as `mandoc -T lint` wants it.
const WIDTH: usize = 78;

/// A text as roff reads it: nothing in it is an order, and what stands in
/// backticks is bold.
pub(super) fn text(plain: &str) -> String {
    let mut parts = plain.split('`');
    let mut out = escaped(parts.next().unwrap_or_default());
    let mut bold = true;
    for part in parts {
        match bold {
            true => out.push_str(&strong(part)),
            false => out.push_str(&escaped(part)),
        }
        bold = !bold;
    }
    out
}

/// Bold text.
pub(super) fn strong(plain: &str) -> String {
    match plain {
        "" => String::new(),
        _ => format!("\\fB{}\\fR", escaped(plain)),
    }
}

/// Italic text, for what a user puts something else for.
pub(super) fn emphasis(plain: &str) -> String {
    match plain {
        "" => String::new(),
        _ => format!("\\fI{}\\fR", escaped(plain)),
    }
}

/// Words of a synopsis: names in capitals are italic, options bold.
pub(super) fn synopsis(plain: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    let is_part = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    for character in plain.chars().chain(['\n']) {
        if is_part(character) {
            word.push(character);
            continue;
        }
        let is_name = word.chars().any(|c| c.is_ascii_uppercase())
            && !word.chars().any(|c| c.is_ascii_lowercase())
            && !word.starts_with('-');
        out.push_str(&match is_name {
            true => emphasis(&word),
            false => strong(&word),
        });
        word.clear();
        if character != '\n' {
            out.push_str(&escaped(&character.to_string()));
        }
    }
    out
}

/// Every character that means something to roff, spelled out. Quotes, dashes
/// and the like stay what is typed, also where a page is shown in UTF-8.
fn escaped(plain: &str) -> String {
    let mut out = String::with_capacity(plain.len());
    for character in plain.chars() {
        match character {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '\'' => out.push_str("\\(aq"),
            '`' => out.push_str("\\(ga"),
            '^' => out.push_str("\\(ha"),
            '~' => out.push_str("\\(ti"),
            '\n' => out.push(' '),
            _ => out.push(character),
        }
    }
    out
}

/// A paragraph in lines of a page, the last one ended. No line begins with
/// what would be an order.
pub(super) fn filled(roff: &str) -> String {
    let mut out = String::new();
    let mut line = String::new();
    for word in roff.split_ascii_whitespace() {
        if !line.is_empty() && line.len() + 1 + word.len() > WIDTH {
            out.push_str(&line);
            out.push('\n');
            line.clear();
        }
        if line.is_empty() {
            line.push_str(if word.starts_with('.') { "\\&" } else { "" });
        } else {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        out.push_str(&line);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_an_order() {
        assert_eq!(
            text("a `b-c` 'd' \\ ~/x"),
            "a \\fBb\\-c\\fR \\(aqd\\(aq \\e \\(ti/x"
        );
        assert_eq!(filled(".x"), "\\&.x\n");
        assert_eq!(filled(&text("'x'")), "\\(aqx\\(aq\n");
        assert_eq!(filled(""), "");
    }

    #[test]
    fn paragraphs_are_filled() {
        let words = "word ".repeat(40);
        let lines = filled(&words);
        assert!(lines.lines().all(|line| line.len() <= WIDTH), "{lines}");
        assert_eq!(lines.split_whitespace().count(), 40);
    }

    #[test]
    fn names_are_italic_and_options_bold() {
        assert_eq!(
            synopsis("[--done NAME...] DIR"),
            "[\\fB\\-\\-done\\fR \\fINAME\\fR...] \\fIDIR\\fR"
        );
        assert_eq!(synopsis("-B <path>"), "\\fB\\-B\\fR <\\fBpath\\fR>");
    }
}
