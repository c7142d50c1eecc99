//! Here-documents: their text is no code, their variables are read.

use super::scanner::Scanner;
use super::Script;

/// A here-document whose text begins on the next line.
pub(super) struct OpenDocument {
    pub(super) end: String,
    pub(super) tabs: bool,
    pub(super) expands: bool,
    pub(super) command: Option<usize>,
}

impl Scanner<'_> {
    pub(super) fn read_documents(&mut self) {
        for document in std::mem::take(&mut self.open_documents) {
            let first = self.line;
            let mut body = String::new();
            while let Some(rest) = self.source.get(self.at..).filter(|rest| !rest.is_empty()) {
                let line = rest.split('\n').next().unwrap_or_default();
                let length = line.len() + 1;
                let bare = match document.tabs {
                    true => line.trim_start_matches('\t'),
                    false => line,
                };
                let ends = bare.trim_end_matches('\r') == document.end;
                if !ends {
                    body.push_str(line);
                    body.push('\n');
                }
                self.at = (self.at + length).min(self.text.len());
                self.line += 1;
                if ends {
                    break;
                }
            }
            if document.expands {
                self.expand_document(&body, first);
            }
            if let Some(command) = document
                .command
                .and_then(|index| self.script.commands.get_mut(index))
            {
                command.documents.push((first, body));
            }
        }
    }

    /// Variables and substitutions of a here-document whose end is not quoted.
    pub(super) fn expand_document(&mut self, body: &str, line: usize) {
        let mut inner = Scanner {
            text: body.as_bytes(),
            source: body,
            at: 0,
            line,
            depth: self.depth,
            script: Script::default(),
            open_documents: Vec::new(),
            in_backticks: false,
        };
        let mut word = String::new();
        while let Some(byte) = inner.peek() {
            match byte {
                b'\\' => inner.skip(2),
                b'$' => inner.dollar(&mut word),
                b'`' => inner.backtick(&mut word),
                _ => inner.skip(1),
            }
        }
        // What a substitution in a text calls runs before the command does.
        self.script.reads.append(&mut inner.script.reads);
        self.script.commands.append(&mut inner.script.commands);
        self.script.sets.append(&mut inner.script.sets);
    }
}
