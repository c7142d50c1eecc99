//! Scripts and data files of elements, as `safedib check` and `dib-lint` read
//! them: the first byte chooses who does.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use safedib::check::shell::{self, Call, Shell};
use safedib::lint::python::{self, Config};
use safedib::lint::{self, Exclusions};

/// The defaults: no file of settings is below it.
static CONFIG: LazyLock<Config> = LazyLock::new(|| Config::find("/".as_ref()).0);

fn scan(text: &str) {
    let script = shell::scan(text);
    let lines = text.split('\n').count();
    let known = Shell::new(&script);
    for command in &script.commands {
        assert!(command.line <= lines, "line {} of {lines}", command.line);
        if let Some(call) = Call::of(command) {
            let _ = (call.operands().count(), call.value_of("-o"));
        }
        for word in &command.words {
            let _ = known.resolve(&word.text);
        }
    }
    assert!(script.reads.iter().all(|read| read.line <= lines));
}

fuzz_target!(|data: &[u8]| {
    let Some((who, content)) = data.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(content);
    match who % 4 {
        0 => scan(&text),
        1 => {
            let lines = content.split(|byte| *byte == b'\n').count();
            for finding in python::findings(content, &CONFIG) {
                assert!(finding.row <= lines + 1, "{finding} of {lines}");
            }
        }
        2 => {
            let ours = lint::check_json(&text);
            if serde_json::from_str::<serde_json::Value>(&text).is_ok() {
                assert_eq!(ours, Ok(()), "what every parser reads");
            }
        }
        _ => {
            let exclusions = Exclusions::default().and_of(content);
            let _ = lint::layout(content, &exclusions);
        }
    }
});
