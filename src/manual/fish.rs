//! Completions for fish.

use super::front::generated_by;
use super::{Given, Kind, Manual, Operands, Opt};

/// What the lines below it call.
const ENGINE: &str = include_str!("fish.fish");

/// The script, for these commands.
pub(super) fn completions(manuals: &[&Manual]) -> String {
    let mut out = format!("{}\n{ENGINE}\n", generated_by("fish"));
    let linked: Vec<&str> = manuals
        .iter()
        .filter(|manual| manual.linked)
        .map(|manual| manual.name)
        .collect();
    // Loaded once for each command, all lines would be there as often.
    for command in ["safedib"].iter().chain(&linked) {
        out.push_str(&format!("complete -c {command} -e\n"));
    }
    out.push_str("\ncomplete -c safedib -f\n");
    let front = "complete -c safedib -n '__safedib_at safedib'";
    for (names, help) in [
        ("-s h -l help", "show the commands"),
        ("-s V -l version", "show the version"),
    ] {
        out.push_str(&format!("{front} {names} -d '{help}'\n"));
    }
    for manual in manuals {
        let help = quoted(manual.summary);
        out.push_str(&format!("{front} -a {} -d {help}\n", manual.name));
    }
    for manual in manuals {
        let lines = lines(manual);
        let at = format!("complete -c safedib -n '__safedib_at {}'", manual.name);
        out.push('\n');
        for line in &lines {
            out.push_str(&format!("{at} {line}\n"));
        }
        if manual.linked {
            for line in &lines {
                out.push_str(&format!("complete -c {} {line}\n", manual.name));
            }
        }
    }
    out
}

/// What `complete` is told of a command beside its name.
fn lines(manual: &Manual) -> Vec<String> {
    let mut lines: Vec<String> = manual.options().iter().map(option).collect();
    lines.extend(operands(manual.operands));
    lines
}

fn option(option: &Opt) -> String {
    let names: Vec<String> = option
        .names
        .iter()
        .map(|name| match name.strip_prefix("--") {
            Some(long) => format!("-l {long}"),
            None => format!("-s {}", name.trim_start_matches('-')),
        })
        .collect();
    let value = option.value.as_ref().map_or_else(String::new, |value| {
        let required = if value.given == Given::Word {
            " -r"
        } else {
            ""
        };
        format!("{required}{}", arguments(&value.kind))
    });
    format!("{}{value} -d {}", names.join(" "), quoted(option.brief()))
}

fn arguments(kind: &Kind) -> String {
    match kind {
        Kind::Any => " -f".to_owned(),
        Kind::Words(words) => format!(" -f -a {}", quoted(&words.join(" "))),
        Kind::List(words) => format!(" -f -a '(__safedib_list {})'", words.join(" ")),
        Kind::Element => " -f -a '(__safedib_elements)'".to_owned(),
        Kind::File => " -F".to_owned(),
        Kind::Directory => " -f -a '(__fish_complete_directories)'".to_owned(),
    }
}

fn operands(operands: Operands) -> Vec<String> {
    match operands {
        Operands::None => vec!["-f".to_owned()],
        Operands::Elements => vec!["-f -a '(__safedib_elements)'".to_owned()],
        Operands::Files => vec!["-F".to_owned()],
        Operands::Directories => vec!["-f -a '(__fish_complete_directories)'".to_owned()],
        Operands::Words(words) => {
            let words = words.iter();
            words
                .map(|(word, help)| format!("-f -a {word} -d {}", quoted(help)))
                .collect()
        }
        Operands::Names(names) => vec![format!("-f -a {}", quoted(&names().join(" ")))],
        Operands::CommandLine(commands) => vec![format!("-f -a {}", quoted(&commands.join(" ")))],
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
