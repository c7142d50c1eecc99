//! From files to entries.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::yaml::{self, Mark};

use super::error::{Complaint, Error};
use super::image::Entry;
use super::schema;

const TABS: &str = "YAML is indented with blanks, never with tabs";
const LIST: &str = "the file is a list of images, each beginning with '- imagename: NAME'";

/// The entries of all files, in order.
///
/// # Errors
/// Everything that is wrong with any of them.
pub fn read(files: &[OsString]) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    let mut complaints = Vec::new();
    for file in files {
        let path = Path::new(file);
        match text_of(path) {
            Ok(text) => from_text(
                &path.to_string_lossy(),
                &text,
                &mut entries,
                &mut complaints,
            ),
            Err(complaint) => complaints.push(complaint),
        }
    }
    whole(entries, complaints)
}

/// The entries of one file's text; `file` is its name in messages.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_text(file: &str, text: &str) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    let mut complaints = Vec::new();
    from_text(file, text, &mut entries, &mut complaints);
    whole(entries, complaints)
}

fn whole(entries: Vec<Entry>, complaints: Vec<Complaint>) -> Result<Vec<Entry>, Error> {
    match complaints.is_empty() {
        true => Ok(entries),
        false => Err(Error(complaints)),
    }
}

fn text_of(path: &Path) -> Result<String, Complaint> {
    let complaint = |text: String| Complaint {
        file: path.to_string_lossy().into_owned(),
        at: None,
        text,
        hint: None,
    };
    let bytes = fs::read(path).map_err(|error| Complaint {
        hint: (error.kind() == ErrorKind::NotFound)
            .then(|| "give the path of a file with image definitions".to_owned()),
        ..complaint(format!("cannot be read: {error}"))
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.as_bytes().get(..error.utf8_error().valid_up_to());
        let line = valid
            .unwrap_or_default()
            .split(|byte| *byte == b'\n')
            .count();
        complaint(format!("line {line} is not UTF-8 text"))
    })
}

/// Reads one file's text.
pub(super) fn from_text(
    file: &str,
    text: &str,
    entries: &mut Vec<Entry>,
    complaints: &mut Vec<Complaint>,
) {
    let mut complain = |at: Option<Mark>, text: String, hint: Option<&str>| {
        complaints.push(Complaint {
            file: file.to_owned(),
            at,
            text,
            hint: hint.map(str::to_owned),
        });
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some((at, character)) = unprintable(text) {
        let text = format!(
            "the character U+{:04X} cannot stand in YAML",
            u32::from(character)
        );
        return complain(Some(at), text, None);
    }
    match yaml::load_nodes(text) {
        Ok(Some(node)) => schema::definitions(file, &node, entries, complaints),
        Ok(None) => complain(None, "no image is defined in it".into(), Some(LIST)),
        Err((at, yaml::YamlError::Syntax(error))) => {
            let hint = error.info().contains("tab").then_some(TABS);
            complain(Some(at), format!("not valid YAML: {}", error.info()), hint);
        }
        Err((at, error)) => complain(Some(at), error.to_string(), None),
    }
}

/// The first character that PyYAML refuses (`Reader.NON_PRINTABLE`).
fn unprintable(text: &str) -> Option<(Mark, char)> {
    let allowed = |c: char| {
        matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}')
            || c >= '\u{10000}'
    };
    text.split('\n').enumerate().find_map(|(line, text)| {
        let (column, found) = text.chars().enumerate().find(|(_, c)| !allowed(*c))?;
        let at = Mark {
            line: line + 1,
            column: column + 1,
        };
        Some((at, found))
    })
}
