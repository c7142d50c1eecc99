//! What a build tells about itself, as `--report FILE.json` has it. The fields are
//! described in `docs/report.md`.

use serde::{Deserialize, Serialize};

use super::difference::Difference;
use crate::protocol::Inventory;

/// Of [`BuildReport`]; it goes up when a field goes or means something else.
pub const VERSION: u32 = 1;

/// A build, its result and what it took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BuildReport {
    /// [`VERSION`].
    pub version: u32,
    /// Name and version of the program that wrote it.
    pub generator: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What was asked for, and when.
    pub image: ImageFacts,
    /// The files that it has left.
    pub outputs: Vec<OutputFacts>,
    /// Where it ran, in order.
    pub appliances: Vec<ApplianceFacts>,
    /// Its elements, by name.
    pub elements: Vec<ElementFacts>,
    /// The layer that it began with.
    pub layer: Option<LayerFacts>,
    /// What happened when, in the order in which it began.
    pub timeline: Vec<Event>,
    /// What the log warned of.
    pub warnings: Vec<String>,
    /// What is in the image; `None` if the build did not come that far.
    pub content: Option<Inventory>,
    /// What differs from an earlier build.
    pub difference: Option<Difference>,
}

/// How a build ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// In a word.
    pub state: State,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What to change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The phase whose hook failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The hook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<String>,
    /// The element that the hook comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub element: Option<String>,
    /// The hook's exit status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// The last lines of the hook's output.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tail: Vec<String>,
}

/// How a build ended, in a word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// All outputs are in place.
    Built,
    /// There are none.
    #[default]
    Failed,
    /// A signal ended it; there are none.
    Interrupted,
}

/// What was asked for, and when.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageFacts {
    /// Name as it was given, without an extension.
    pub name: String,
    /// Architecture.
    pub arch: String,
    /// The command line, without credentials and without what does not change the image.
    pub command: String,
    /// The elements that were asked for, the implicit ones included.
    pub requested: Vec<String>,
    /// Generation of the engine.
    pub generation: String,
    /// When the build began, UTC (RFC 3339).
    pub began: String,
    /// How long it took, seconds.
    pub seconds: f64,
    /// `SOURCE_DATE_EPOCH`.
    pub epoch: Option<u32>,
}

/// A file that a build has left.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OutputFacts {
    /// Name as messages show it.
    pub name: String,
    /// Absolute path; `None` for what was imported into a container engine.
    pub path: Option<String>,
    /// Format; `hook` for what a hook has written.
    pub format: String,
    /// Length of the file.
    pub bytes: u64,
    /// What it takes on its filesystem, bytes.
    pub allocated: u64,
    /// Its checksum, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// Steps that one appliance has executed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ApplianceFacts {
    /// `namespace` or `microvm`.
    pub kind: String,
    /// Why that one.
    pub why: String,
    /// Numbers of its first and last step, from 1.
    pub steps: (usize, usize),
    /// From its start to its end, seconds; 0 if it was not reached.
    pub seconds: f64,
    /// What was chosen because the host lacks something.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// An element.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ElementFacts {
    /// Its name.
    pub name: String,
    /// Its directory.
    pub path: String,
    /// Elements that asked for it; an empty name is the request.
    pub asked_by: Vec<String>,
}

/// A layer that a build began with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LayerFacts {
    /// What the log said of it.
    pub text: String,
    /// Hooks that did not run because their work is in it, as `PHASE.d/NAME`.
    pub hooks: Vec<String>,
}

/// Something that took time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    /// What it is.
    pub kind: EventKind,
    /// A hook's file name, or words for anything else.
    pub name: String,
    /// The phase of a hook, or of a step that runs hooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The element of a hook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub element: Option<String>,
    /// When it began, seconds since the build did.
    pub start: f64,
    /// How long it took, or went on until the end, seconds.
    pub seconds: f64,
    /// It came to its end; the hook that failed did not.
    pub ended: bool,
}

/// What an event is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// A hook.
    Hook,
    /// A step of the plan.
    Step,
    /// What a step had done beside later ones.
    Beside,
    /// The driver's own work.
    #[default]
    Own,
}

impl BuildReport {
    /// The hooks that ran.
    pub fn hooks(&self) -> impl Iterator<Item = &Event> {
        self.timeline
            .iter()
            .filter(|event| event.kind == EventKind::Hook)
    }

    /// Seconds of each phase's hooks, in the order in which the phases began.
    pub fn phases(&self) -> Vec<(&str, f64)> {
        let mut phases: Vec<(&str, f64)> = Vec::new();
        for hook in self.hooks() {
            let phase = hook.phase.as_deref().unwrap_or_default();
            match phases.iter_mut().find(|(known, _)| *known == phase) {
                Some((_, seconds)) => *seconds += hook.seconds,
                None => phases.push((phase, hook.seconds)),
            }
        }
        phases
    }
}
