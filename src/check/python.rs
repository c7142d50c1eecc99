//! Python 2: P7xx.

use regex::Regex;

use crate::request::Generation;

use super::file::{File, Language};
use super::report::Sink;
use super::rules;
use super::shell::Call;
use super::world::{Subject, World};

/// Modules that Python 3 does not have.
const MODULES: &str = r"^\s*(?:import|from)\s+(urllib2|urlparse|ConfigParser|StringIO|cPickle|httplib|Queue|commands|__builtin__|cStringIO)\b";

/// Statements that Python 3 does not read, and methods that it does not have.
const STATEMENTS: &str = r#"^\s*(?:print\s+["'\w%]|print\s*$|print\s*>>|exec\s+["'\w]|raise\s+\w+\s*,|except\s+[\w.]+\s*,\s*\w+\s*:)|\.(?:iteritems|itervalues|has_key)\(|\b(?:raw_input|unicode|xrange)\("#;

pub(super) fn look(world: &World, subject: &Subject, file: &File, sink: &mut Sink) {
    let inside = file.role.is_inside();
    let rule = match file.role.is_outside() {
        true => rules::PYTHON2_OUTSIDE,
        false => rules::PYTHON2_INSIDE,
    };
    // Engines up to 2.x put a `python` on the PATH of hooks outside.
    let given = file.role.is_outside() && world.generation <= Generation::V2;
    let plain = file.interpreter.trim() == "/usr/bin/env python";
    if is_python2(&file.interpreter) && !(given && plain) {
        sink.add(rule, &file.below, 1, format!("#!{}", file.interpreter));
    }
    if file.language == Language::Python {
        look_at_code(file, sink);
    }
    if !inside && !file.role.is_outside() {
        return;
    }
    let installs = world.installs_python2(subject);
    for call in file.script.commands.iter().filter_map(Call::of) {
        let old = !(given && call.name == "python")
            && matches!(
                call.name.as_str(),
                "python" | "python2" | "python2.7" | "pip2" | "python2.6"
            );
        let in_environment = call.program.contains('/')
            && !call.program.starts_with("/usr/bin/")
            && !call.program.starts_with("/bin/");
        if old && !in_environment && !(inside && installs) {
            let rule = if call.chrooted {
                rules::PYTHON2_INSIDE
            } else {
                rule
            };
            sink.add(rule, &file.below, call.line, super::needs::described(&call));
        }
    }
}

fn is_python2(interpreter: &str) -> bool {
    let mut words = interpreter.split_whitespace();
    let program = words.next().unwrap_or_default();
    let program = match program.ends_with("/env") {
        true => words.next().unwrap_or_default(),
        false => program,
    };
    let name = program.rsplit('/').next().unwrap_or_default();
    name == "python" || name.starts_with("python2")
}

fn look_at_code(file: &File, sink: &mut Sink) {
    let (Ok(modules), Ok(statements)) = (Regex::new(MODULES), Regex::new(STATEMENTS)) else {
        return;
    };
    let guarded = file.text.contains("ImportError") || file.text.contains("six");
    let mut text_quote: Option<&str> = None;
    for (index, line) in file.text.lines().enumerate() {
        let inside_text = text_quote.is_some();
        for quote in ["\"\"\"", "'''"] {
            if line.matches(quote).count() % 2 == 1 {
                text_quote = match text_quote {
                    Some(open) if open == quote => None,
                    Some(open) => Some(open),
                    None => Some(quote),
                };
            }
        }
        if inside_text || line.trim_start().starts_with('#') {
            continue;
        }
        if (!guarded && modules.is_match(line)) || statements.is_match(line) {
            sink.add(
                rules::PYTHON2_CODE,
                &file.below,
                index + 1,
                line.trim().to_owned(),
            );
        }
    }
}
