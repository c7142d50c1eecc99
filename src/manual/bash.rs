//! Completions for bash. They need nothing of the package bash-completion.

use super::front::generated_by;
use super::{Given, Kind, Manual, Operands, Opt};

/// What the tables are used by.
const ENGINE: &str = include_str!("bash.bash");

/// The script, for these commands.
pub(super) fn completions(manuals: &[&Manual]) -> String {
    let mut out = generated_by("bash");
    out.push_str("\n# The options of a command.\n__safedib_options() {\n    case $1 in\n");
    for manual in manuals {
        let names: Vec<String> = manual.options().iter().flat_map(typed).collect();
        out.push_str(&format!(
            "    {}) echo '{}' ;;\n",
            manual.name,
            names.join(" ")
        ));
    }
    out.push_str(&format!(
        "    safedib) echo '{}' ;;\n    esac\n}}\n",
        FRONT.join(" ")
    ));
    out.push_str("\n# What follows an option of a command, if anything does.\n__safedib_value() {\n    case \"$1 $2\" in\n");
    for manual in manuals {
        for option in manual.options() {
            let Some(value) = &option.value else {
                continue;
            };
            let names = option.names.iter().filter(|name| match value.given {
                Given::Word => true,
                // The word after `=` alone.
                Given::Attached | Given::Optional => name.starts_with("--"),
            });
            let cases: Vec<String> = names
                .map(|name| format!("'{} {name}'", manual.name))
                .collect();
            let attached = if value.given == Given::Word {
                ""
            } else {
                "attached "
            };
            out.push_str(&format!(
                "    {}) echo '{attached}{}' ;;\n",
                cases.join(" | "),
                kind(&value.kind)
            ));
        }
    }
    out.push_str("    *) return 1 ;;\n    esac\n}\n");
    out.push_str(
        "\n# What the other words of a command are.\n__safedib_operands() {\n    case $1 in\n",
    );
    for manual in manuals {
        out.push_str(&format!(
            "    {}) echo '{}' ;;\n",
            manual.name,
            operands(manual.operands)
        ));
    }
    let all: Vec<&str> = manuals.iter().map(|manual| manual.name).collect();
    out.push_str(&format!(
        "    safedib) echo 'words {}' ;;\n    esac\n}}\n\n{ENGINE}",
        all.join(" ")
    ));
    let linked = manuals.iter().filter(|manual| manual.linked);
    let linked: Vec<&str> = linked.map(|manual| manual.name).collect();
    out.push_str(&format!(
        "\ncomplete -F __safedib safedib {}\n",
        linked.join(" ")
    ));
    out
}

/// Options of `safedib` without a command.
pub(super) const FRONT: [&str; 4] = ["-h", "--help", "-V", "--version"];

/// The names of an option, with `=` where a value must follow it at once.
fn typed(option: &Opt) -> Vec<String> {
    let attached = option
        .value
        .as_ref()
        .is_some_and(|value| value.given == Given::Attached);
    let names = option.names.iter();
    names
        .map(|name| match attached {
            true => format!("{name}="),
            false => name.clone(),
        })
        .collect()
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Any => "none".to_owned(),
        Kind::Words(words) => format!("words {}", words.join(" ")),
        Kind::List(words) => format!("list {}", words.join(" ")),
        Kind::Element => "elements".to_owned(),
        Kind::File => "files".to_owned(),
        Kind::Directory => "directories".to_owned(),
    }
}

fn operands(operands: Operands) -> String {
    match operands {
        Operands::None => "none".to_owned(),
        Operands::Elements => "elements".to_owned(),
        Operands::Files => "files".to_owned(),
        Operands::Directories => "directories".to_owned(),
        Operands::Words(words) => {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            format!("words {}", words.join(" "))
        }
        Operands::Names(names) => format!("words {}", names().join(" ")),
        Operands::CommandLine(commands) => format!("words {}", commands.join(" ")),
    }
}
