//! What can be wrong with a file.

use super::python;

/// What every bash script must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// `set -e`.
    Errors,
    /// `set -u`.
    Unset,
    /// `set -o pipefail`.
    Pipefail,
    /// Something with `DIB_DEBUG_TRACE`.
    Trace,
}

/// One thing that is wrong. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// `source-repository-*` without a newline at its end.
    RepositoryNewline,
    /// A `#!` line, and no x bit.
    NotExecutable,
    /// Findings in a Python script; never empty.
    Python(Vec<python::Finding>),
    /// Lines that are indented by a number of spaces that four does not divide.
    Indent(Vec<(usize, Vec<u8>)>),
    /// Lines of element-deps, and the same sorted.
    Unsorted(Vec<Vec<u8>>, Vec<Vec<u8>>),
    /// Bash by another `#!` line than `#!/bin/bash`.
    Interpreter,
    /// A bash script without it.
    Lacks(Setting),
    /// `set -x` in environment.d.
    Traces(usize),
    /// An executable file in environment.d.
    Executable,
    /// `export X=$(...)` in this line.
    Export(usize),
    /// `sudo` outside the target, with nothing that names the target.
    Sudo(usize, Vec<u8>),
    /// `which`.
    Which(usize, Vec<u8>),
    /// A tab before the text of this line.
    Tabs(usize),
    /// No newline at the end.
    Newline,
}

impl Fault {
    /// The line, 0 for the file as a whole.
    pub fn line(&self) -> usize {
        match self {
            Fault::Python(found) => found.first().map_or(0, |finding| finding.row),
            Fault::Indent(lines) => lines.first().map_or(0, |(line, _)| *line),
            Fault::Traces(line)
            | Fault::Export(line)
            | Fault::Sudo(line, _)
            | Fault::Which(line, _)
            | Fault::Tabs(line) => *line,
            Fault::Interpreter => 1,
            _ => 0,
        }
    }

    /// What upstream's dib-lint says of it, for `echo -e`.
    pub fn message(&self, path: &[u8]) -> Vec<u8> {
        let (before, after): (&[u8], &[u8]) = match self {
            Fault::RepositoryNewline => (b"", b" does not end with a newline"),
            Fault::NotExecutable => (b"", b" is not executable"),
            Fault::Python(_) => (b"", b" failed flake8"),
            Fault::Indent(_) => (b"", b" should use 4 spaces indent"),
            Fault::Unsorted(..) => (b"", b" is not sorted alphabetically"),
            Fault::Interpreter => (b"", b" : only use #!/bin/bash for scripts"),
            Fault::Lacks(Setting::Errors) => (b"", b" is not set -e"),
            Fault::Lacks(Setting::Unset) => (b"", b" is not set -u"),
            Fault::Lacks(Setting::Pipefail) => (b"", b" is not set -o pipefail"),
            Fault::Lacks(Setting::Trace) => (b"", b" does not follow DIB_DEBUG_TRACE"),
            Fault::Traces(_) => (b"Environment file ", b" should not set tracing"),
            Fault::Executable => (b"Environment file ", b" should not be marked as executable"),
            Fault::Export(_) => (b"Split export and assignments in ", b""),
            Fault::Sudo(..) => (b"", b" : potentially unsafe sudo\\n -- "),
            Fault::Which(..) => (b"", b" : potential use of which\\n -- "),
            Fault::Tabs(_) => (b"", b" contains tab characters"),
            Fault::Newline => (b"No newline at end of file: ", b""),
        };
        let quoted: &[u8] = match self {
            Fault::Sudo(_, line) | Fault::Which(_, line) => line,
            _ => b"",
        };
        [before, path, after, quoted].concat()
    }
}
