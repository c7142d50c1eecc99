//! Checks of a statement's text: comparisons, bare `except`, and several
//! statements on one line.

use std::sync::LazyLock;

use regex::Regex;

use super::statement::Logical;
use super::{pattern, Finding};

pattern!(
    SINGLETON,
    r"\b(None|False|True)\s*([=!]=)|([=!]=)\s*(None|False|True)\b"
);
pattern!(NEGATIVE, r"\b(not)\s+[^\]\[)(}{ ]+\s+(in|is)\s");
pattern!(
    TYPE,
    r"[=!]=\s+type(?:\s*\(\s*([^)]*[^\s)])\s*\))|\btype(?:\s*\(\s*([^)]*[^\s)])\s*\))\s+[=!]="
);
pattern!(BARE_EXCEPT, r"^except\s*:");
pattern!(LAMBDA, r"\blambda\b");
pattern!(DEF, r"^(?:async\s+def|def)\b");
pattern!(IDENTIFIER, r"^[\p{L}_][\p{L}\p{N}_]*$");
pattern!(
    COMPOUND,
    concat!(
        r"^\s*(?:def|async\s+def|for|async\s+for|if|elif|else|try|except|finally|with",
        r"|async\s+with|class|while)\b"
    )
);

/// Looks at one statement.
pub(super) fn check(logical: &Logical) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |byte: usize, text: &str| found.push(Finding::new(logical.place(byte), text));
    let text = logical.text.as_str();
    singletons(text, &mut add);
    negatives(text, &mut add);
    types(text, &mut add);
    if BARE_EXCEPT.is_match(text) {
        add(0, "E722 do not use bare 'except'");
    }
    compound(text, &mut add);
    found
}

fn singletons(text: &str, add: &mut impl FnMut(usize, &str)) {
    for found in SINGLETON.captures_iter(text) {
        let name = found.get(1).or(found.get(4));
        let operator = found.get(2).or(found.get(3));
        let (Some(name), Some(operator)) = (name, operator) else {
            continue;
        };
        let same = operator.as_str() == "==";
        let not = if same { "" } else { "not " };
        let name = name.as_str();
        let mut advice = format!("'if cond is {not}{name}:'");
        if name != "None" {
            let positive = (name == "True") == same;
            let not = if positive { "" } else { "not " };
            advice.push_str(&format!(" or 'if {not}cond:'"));
        }
        let code = if name == "None" { "E711" } else { "E712" };
        let text = format!("{code} comparison to {name} should be {advice}");
        add(operator.start(), &text);
    }
}

fn negatives(text: &str, add: &mut impl FnMut(usize, &str)) {
    let after_is = |start: usize| {
        let before = text.get(..start).unwrap_or("");
        let bare = before.trim_end();
        before.len() == bare.len() + 1 && bare.ends_with("is")
    };
    let found = NEGATIVE.captures_iter(text).find_map(|found| {
        let not = found.get(1)?;
        (!after_is(not.start())).then(|| (not.start(), found.get(2).map(|word| word.as_str())))
    });
    match found {
        Some((start, Some("in"))) => add(start, "E713 test for membership should be 'not in'"),
        Some((start, _)) => add(start, "E714 test for object identity should be 'is not'"),
        None => {}
    }
}

fn types(text: &str, add: &mut impl FnMut(usize, &str)) {
    let attribute = |start: usize| {
        text.get(..start)
            .is_some_and(|before| before.ends_with('.'))
    };
    let Some(found) = TYPE.captures_iter(text).find(|found| {
        let start = found.get(0).map_or(0, |whole| whole.start());
        found.get(2).is_none() || !attribute(start)
    }) else {
        return;
    };
    let plain = found.get(1).is_some_and(|inner| {
        IDENTIFIER.is_match(inner.as_str()) && !["None", "True", "False"].contains(&inner.as_str())
    });
    if !plain {
        let start = found.get(0).map_or(0, |whole| whole.start());
        add(
            start,
            "E721 do not compare types, for exact checks use `is` / `is not`, for instance checks use `isinstance()`",
        );
    }
}

/// Colons that begin a statement's body on the same line, and semicolons.
fn compound(text: &str, add: &mut impl FnMut(usize, &str)) {
    let last = text.len().saturating_sub(1);
    let mut open = [0i32; 3];
    let mut from = 0;
    for (at, _) in text.match_indices(':').filter(|(at, _)| *at < last) {
        for c in text.get(from..at).unwrap_or("").chars() {
            match c {
                '{' => open[0] += 1,
                '}' => open[0] -= 1,
                '[' => open[1] += 1,
                ']' => open[1] -= 1,
                '(' => open[2] += 1,
                ')' => open[2] -= 1,
                _ => {}
            }
        }
        from = at;
        let before = text.get(..at).unwrap_or("");
        let assigns = text.get(at + 1..).is_some_and(|rest| rest.starts_with('='));
        if assigns || open.iter().any(|count| *count > 0) {
            continue;
        }
        if let Some(lambda) = LAMBDA.find(before) {
            let target = before.get(..lambda.start()).unwrap_or("").trim_end();
            let target = target.strip_suffix('=').map(str::trim);
            if target.is_some_and(|name| IDENTIFIER.is_match(name)) {
                add(0, "E731 do not assign a lambda expression, use a def");
            }
            break;
        }
        if DEF.is_match(text) {
            add(0, "E704 multiple statements on one line (def)");
        } else if COMPOUND.is_match(text) {
            add(at, "E701 multiple statements on one line (colon)");
        }
    }
    for (at, _) in text.match_indices(';') {
        match at < last {
            true => add(at, "E702 multiple statements on one line (semicolon)"),
            false => add(at, "E703 statement ends with a semicolon"),
        }
    }
}
