//! What is wrong with the files.

use std::fmt;

use crate::error::Explain;
use crate::yaml::Mark;

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The file as the user named it.
    pub file: String,
    /// Where; `None` if it is the file itself.
    pub at: Option<Mark>,
    /// What.
    pub text: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(at) => write!(f, "{}:{at}: {}", self.file, self.text),
            None => write!(f, "{}: {}", self.file, self.text),
        }
    }
}

/// Everything that is wrong with the files, in their order.
#[derive(Debug, PartialEq, Eq)]
pub struct Error(pub Vec<Complaint>);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [one] = self.0.as_slice() {
            return one.fmt(f);
        }
        write!(f, "{} errors in the image definitions", self.0.len())?;
        for complaint in &self.0 {
            write!(f, "\n{complaint}")?;
            if let Some(hint) = &complaint.hint {
                write!(f, "\n    hint: {hint}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl Explain for Error {
    fn hint(&self) -> Option<String> {
        match self.0.as_slice() {
            [one] => one.hint.clone(),
            _ => None,
        }
    }
}
