//! The one table of the engine's variables: code that reads one names it here,
//! and `docs/variables.md` is a rendering of it.
//!
//! The facts come from upstream's `lib/disk-image-create`, `common-defaults`,
//! `img-defaults` and `common-functions` (3.43.0).

mod table;

pub use table::*;

use super::generation::Generation;

/// Who gives a variable its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetBy {
    /// The caller's environment.
    User,
    /// The caller's environment, or a command-line option over it.
    Option,
    /// A command-line option only; a value of the caller's is overwritten.
    OptionOnly,
    /// The engine.
    Engine,
}

/// Where a variable can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visible {
    /// Exported to hooks outside and in the target.
    Hooks,
    /// Exported to hooks outside only.
    Outside,
    /// Read by the engine; hooks see it exactly if the caller exported it.
    Caller,
    /// Read by the engine; hooks never see it.
    Engine,
}

/// A variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Name.
    pub name: &'static str,
    /// Who sets it.
    pub set_by: SetBy,
    /// Value when nobody sets it, in words or literally; empty means unset.
    pub default: &'static str,
    /// Where it can be seen.
    pub visible: Visible,
    /// Unit of a number, else empty.
    pub unit: &'static str,
    /// The first and the last generation whose engine knows it. Any other leaves
    /// it alone: hooks see it exactly if the caller exported it.
    pub generations: (Generation, Generation),
    /// What it does.
    pub doc: &'static str,
}

impl Variable {
    /// Whether the engine of a generation knows it.
    pub fn is_of(&self, generation: Generation) -> bool {
        (self.generations.0..=self.generations.1).contains(&generation)
    }

    /// The generations, in words; empty for all.
    pub fn generation_words(&self) -> String {
        match self.generations {
            (Generation::V0, Generation::V3) => String::new(),
            (first, last) if first == last => format!(" Only in {}.x.", first.name()),
            (first, Generation::V3) => format!(" Since {}.x.", first.name()),
            (Generation::V0, last) => format!(" Until {}.x.", last.name()),
            (first, last) => format!(" From {}.x to {}.x.", first.name(), last.name()),
        }
    }
}

impl SetBy {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            SetBy::User => "user",
            SetBy::Option => "user, option",
            SetBy::OptionOnly => "option only",
            SetBy::Engine => "engine",
        }
    }
}

impl Visible {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Visible::Hooks => "all hooks",
            Visible::Outside => "hooks outside",
            Visible::Caller => "hooks, if exported by the caller",
            Visible::Engine => "engine",
        }
    }
}

/// `docs/variables.md`.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Variables\n\n\
         Generated from `src/request/variables/table.rs`; a test keeps the two equal.\n\n\
         Every exported variable of the caller reaches the hooks; this table lists those that the\n\
         engine itself reads or sets. *Option* means that a command-line option sets it\n\
         (see `options.md`). Values that environment.d files export reach hooks, never the engine.\n\
         Where a meaning ends with generations of diskimage-builder (see `generations.md`), the engine\n\
         of another one leaves the variable alone: hooks see it if the caller exported it.\n\n\
         | Name | Set by | Default | Seen by | Meaning |\n|---|---|---|---|---|\n",
    );
    for variable in ALL {
        let unit = match variable.unit {
            "" => String::new(),
            unit => format!(" Unit: {unit}."),
        };
        let default = match variable.default {
            "" => "unset".to_owned(),
            words => words.to_owned(),
        };
        text.push_str(&format!(
            "| `{}` | {} | {} | {} | {}{}{} |\n",
            variable.name,
            variable.set_by.words(),
            default,
            variable.visible.words(),
            variable.doc.replace('|', "\\|"),
            unit,
            variable.generation_words()
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::options;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_documented() {
        let mut seen = BTreeSet::new();
        for variable in ALL {
            assert!(seen.insert(variable.name), "{} twice", variable.name);
            assert!(variable.doc.ends_with('.'), "{}", variable.name);
        }
    }

    #[test]
    fn every_option_has_its_variable_here() {
        for option in options::OPTIONS {
            if let Some(variable) = option.variable {
                assert!(ALL.contains(&variable), "{}", variable.name);
                assert!(
                    matches!(variable.set_by, SetBy::Option | SetBy::OptionOnly),
                    "{}",
                    variable.name
                );
            }
        }
    }

    #[test]
    fn committed_page_is_current() {
        crate::request::check_page("docs/variables.md", &markdown());
    }
}
