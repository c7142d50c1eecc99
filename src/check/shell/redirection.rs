//! Redirections: what a command writes to, and the here-documents that it opens.

use super::documents::OpenDocument;
use super::scanner::{Current, Scanner, Until};
use super::Word;

impl Scanner<'_> {
    pub(super) fn redirection(&mut self, current: &mut Current) {
        if current.in_test {
            self.skip(1);
            return;
        }
        if (self.starts("<(") || self.starts(">(")) && self.enter() {
            self.skip(2);
            self.commands(Until::Bracket);
            self.skip(1);
            self.depth -= 1;
            current.command.words.push(Word {
                text: "$()".into(),
                quoted: false,
            });
            return;
        }
        let operators = [
            "<<<", "<<-", "<<", "<>", "<&", "<", "&>>", "&>", ">>", ">&", ">|", ">",
        ];
        let Some(operator) = operators.into_iter().find(|it| self.starts(it)) else {
            return self.skip(1);
        };
        self.skip(operator.len());
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.skip(1);
        }
        if current.command.line == 0 {
            current.command.line = self.line;
        }
        let word = self.word();
        match operator {
            "<<" | "<<-" => self.open_documents.push(OpenDocument {
                end: word.text,
                tabs: operator == "<<-",
                expands: !word.quoted,
                command: None,
            }),
            "<<<" | "<" | "<&" => {}
            ">&" if word.text == "-" || word.text.bytes().all(|b| b.is_ascii_digit()) => {}
            _ => current.command.writes.push(word),
        }
    }
}
