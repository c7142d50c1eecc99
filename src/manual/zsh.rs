//! Completions for zsh.

use super::front::generated_by;
use super::{Given, Kind, Manual, Operands, Opt};

/// What is called by the functions of commands.
const ENGINE: &str = include_str!("zsh.zsh");

/// The script, for these commands; it can be sourced, and autoloaded as `_safedib`.
pub(super) fn completions(manuals: &[&Manual]) -> String {
    let linked = manuals.iter().filter(|manual| manual.linked);
    let linked: Vec<&str> = linked.map(|manual| manual.name).collect();
    let linked = linked.join(" ");
    let mut out = format!("#compdef safedib {linked}\n{}\n", generated_by("zsh"));
    out.push_str(ENGINE);
    for manual in manuals {
        out.push_str(&function(manual));
    }
    let commands: Vec<String> = manuals
        .iter()
        .map(|manual| format!("{}:{}", manual.name, manual.summary.replace(':', "")))
        .map(|text| quoted(&text))
        .collect();
    out.push_str(&format!(
        "\n_safedib_commands() {{\n    local -a commands=(\n        {}\n    )\n    \
         _describe command commands\n}}\n",
        commands.join("\n        ")
    ));
    out.push_str(&format!(
        "\ncompdef _safedib safedib {linked}\n\
         # Autoloaded, it is the function that is called.\n\
         [[ ${{funcstack[1]}} != _safedib ]] || _safedib \"$@\"\n"
    ));
    out
}

fn function(manual: &Manual) -> String {
    let mut words: Vec<String> = manual.options().iter().flat_map(option).collect();
    words.extend(operands(manual.operands));
    format!(
        "\n_safedib_of_{}() {{\n    _arguments -s -A '-*' \\\n        {}\n}}\n",
        manual.name,
        words.join(" \\\n        ")
    )
}

/// A specification of `_arguments` for each name of an option.
fn option(option: &Opt) -> Vec<String> {
    let brief = option.brief().replace(['[', ']', ':'], " ");
    let names = option.names.iter();
    names
        .map(|name| {
            let is_long = name.starts_with("--");
            let spec = match &option.value {
                None => format!("*{name}[{brief}]"),
                Some(value) => {
                    let (sign, colons) = match (value.given, is_long) {
                        (Given::Word, true) => ("=", ":"),
                        (Given::Word, false) => ("+", ":"),
                        (Given::Attached, _) => ("=-", ":"),
                        (Given::Optional, _) => ("=-", "::"),
                    };
                    let message = value.name.replace(['[', ']', ':', '|'], " ");
                    format!(
                        "*{name}{sign}[{brief}]{colons}{message}:{}",
                        action(&value.kind)
                    )
                }
            };
            quoted(&spec)
        })
        .collect()
}

fn action(kind: &Kind) -> String {
    match kind {
        Kind::Any => " ".to_owned(),
        Kind::Words(words) => format!("({})", words.join(" ")),
        Kind::List(words) => format!("_values -s , type {}", words.join(" ")),
        Kind::Element => "_safedib_elements".to_owned(),
        Kind::File => "_files".to_owned(),
        Kind::Directory => "_files -/".to_owned(),
    }
}

fn operands(operands: Operands) -> Vec<String> {
    let specs = match operands {
        Operands::None => vec![],
        Operands::Elements => vec!["*:element:_safedib_elements".to_owned()],
        Operands::Files => vec!["*:file:_files".to_owned()],
        Operands::Directories => vec!["*:directory:_files -/".to_owned()],
        Operands::Words(words) => {
            let words = words.iter().map(|(word, help)| {
                let help = help.replace([':', '(', ')', '"', '\\', '\''], "");
                format!("{word}\\:\"{help}\"")
            });
            let words: Vec<String> = words.collect();
            vec![format!("1:command:(({}))", words.join(" "))]
        }
        Operands::Names(names) => vec![format!("1:name:({})", names().join(" "))],
        Operands::CommandLine(commands) => vec![
            format!("1:command:({})", commands.join(" ")),
            "*::argument:_safedib_rest".to_owned(),
        ],
    };
    specs.iter().map(|spec| quoted(spec)).collect()
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
