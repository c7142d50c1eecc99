//! What a view knows of a build: pure, all times are seconds since its beginning
//! and come from the caller.

use std::collections::BTreeMap;

use crate::elements::{Hook, Phase};
use crate::plan::{Plan, Step};
use crate::protocol::FromAgent;

use super::tail::Tail;
use super::text::taken;
use super::times::Times;

/// Steps that take no longer leave no line.
const WORTH_A_LINE: f64 = 1.0;

/// Hooks that the summary names.
const SLOWEST: usize = 3;

/// A step as it is shown.
#[derive(Debug, Clone, Default)]
struct Shown {
    text: String,
    phase: Option<Phase>,
    /// It may go on beside the steps that follow.
    packs: bool,
}

/// A hook that runs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RunningHook {
    pub(super) phase: Phase,
    pub(super) name: String,
    pub(super) since: f64,
}

/// A point of the last build that this one has come to.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Mark {
    at: f64,
    /// What was left there.
    left: f64,
    /// How much of it passes before the next point.
    until_next: f64,
}

/// A build in progress.
#[derive(Debug, Default)]
pub(super) struct Progress {
    steps: Vec<Shown>,
    elements: BTreeMap<(Phase, String), String>,
    /// Index in the plan of the first step of the session; `None`: it is not one
    /// of the plan.
    first: Option<usize>,
    /// The step that runs.
    pub(super) step: Option<usize>,
    /// Steps that are done.
    pub(super) done: usize,
    /// What is being done.
    pub(super) doing: String,
    /// Since when.
    pub(super) since: f64,
    pub(super) hook: Option<RunningHook>,
    /// Hooks of this phase that have ended.
    pub(super) hooks: usize,
    /// Name and time of every hook that has ended.
    ended: Vec<(String, f64)>,
    /// The last build.
    pub(super) past: Option<Times>,
    mark: Option<Mark>,
    /// This build.
    pub(super) times: Times,
    pub(super) tail: Tail,
}

impl Progress {
    /// Learns what there is to do, and how long that took the last time.
    pub(super) fn begin(&mut self, plan: &Plan, past: Option<Times>) {
        let shown = |step: &Step| Shown {
            text: step.to_string(),
            phase: match step {
                Step::RunHooks { phase } => Some(*phase),
                Step::RunDeviceHooks { .. } => Some(Phase::BlockDevice),
                _ => None,
            },
            packs: matches!(step, Step::PackArchive { .. } | Step::Gzip { .. }),
        };
        self.set(
            plan.steps
                .iter()
                .map(|planned| shown(&planned.step))
                .collect(),
            &plan.hooks,
            past,
        );
    }

    fn set(&mut self, steps: Vec<Shown>, hooks: &[Hook], past: Option<Times>) {
        self.steps = steps;
        let named = hooks.iter().map(|hook| {
            let key = (hook.phase, hook.name.clone());
            (key, hook.element.clone())
        });
        self.elements = named.collect();
        self.mark = past.as_ref().map(|past| Mark {
            at: 0.0,
            left: past.total,
            until_next: past
                .items
                .values()
                .fold(past.total, |a, item| a.min(item.0)),
        });
        self.past = past;
    }

    /// A session begins whose first step is that one of the plan, or none of it.
    pub(super) fn session(&mut self, first: Option<usize>) {
        self.first = first;
        self.step = None;
    }

    /// Something else than a step is being done.
    pub(super) fn turn_to(&mut self, what: &str, now: f64) {
        self.step = None;
        self.hook = None;
        self.hooks = 0;
        what.clone_into(&mut self.doing);
        self.since = now;
    }

    /// Takes note of an event; gives the line that it leaves.
    pub(super) fn note(&mut self, event: &FromAgent, now: f64) -> Option<String> {
        match event {
            FromAgent::StepStarted { index } => {
                let step = self.first?.checked_add(*index)?;
                let text = self.steps.get(step)?.text.clone();
                self.turn_to(&text, now);
                self.step = Some(step);
                self.reach(&step.to_string(), now);
                None
            }
            FromAgent::HookStarted { phase, hook } => {
                self.hook = Some(RunningHook {
                    phase: *phase,
                    name: hook.clone(),
                    since: now,
                });
                self.reach(&place(*phase, hook), now);
                None
            }
            FromAgent::HookFinished {
                phase,
                hook,
                seconds,
            } => {
                self.hooks += 1;
                self.hook = None;
                self.keep(&place(*phase, hook), now, *seconds);
                self.ended.push((self.title(*phase, hook), *seconds));
                None
            }
            FromAgent::StepFinished { index, seconds } => self.finish(*index, *seconds, now),
            _ => None,
        }
    }

    fn finish(&mut self, index: usize, seconds: f64, now: f64) -> Option<String> {
        let first = self.first?;
        let step = first.checked_add(index)?;
        let begun = self.steps.get(first..=step)?;
        let shown = begun.last()?.clone();
        let next = match begun.iter().any(|step| step.packs) {
            true => "finish the archives",
            false => "go on",
        };
        self.done = step + 1;
        self.keep(&step.to_string(), now, seconds);
        let line = match shown.phase {
            Some(phase) if self.hooks > 0 => {
                let plural = if self.hooks == 1 { "" } else { "s" };
                let ran = format!("{} hook{plural}", self.hooks);
                Some(finished_line(&phase.directory(), seconds, &ran))
            }
            None if seconds >= WORTH_A_LINE => Some(finished_line(&shown.text, seconds, "")),
            _ => None,
        };
        self.turn_to(next, now);
        line
    }

    /// Writes down what has ended just now.
    fn keep(&mut self, name: &str, now: f64, seconds: f64) {
        let began = (now - seconds).max(0.0);
        self.times.items.insert(name.to_owned(), (began, seconds));
    }

    /// This build has come to a place of the last one.
    fn reach(&mut self, name: &str, now: f64) {
        let known = self.past.as_ref().and_then(|past| {
            let (began, seconds) = past.items.get(name)?;
            Some((past.total - began, *seconds))
        });
        if let Some((left, until_next)) = known {
            self.mark = Some(Mark {
                at: now,
                left,
                until_next,
            });
        }
    }

    /// Seconds that are left, if it goes as it did.
    pub(super) fn left(&self, now: f64) -> Option<f64> {
        let mark = self.mark?;
        let passed = (now - mark.at).min(mark.until_next).max(0.0);
        Some((mark.left - passed).max(0.0))
    }

    /// How much of the build is done, from 0 to 1: by time where it is known,
    /// else by steps.
    pub(super) fn fraction(&self, now: f64) -> f64 {
        let by_steps = || self.done as f64 / self.steps.len().max(1) as f64;
        let by_time = self.left(now).map(|left| now / (now + left).max(0.001));
        by_time.unwrap_or_else(by_steps).clamp(0.0, 1.0)
    }

    /// How many steps there are.
    pub(super) fn all(&self) -> usize {
        self.steps.len()
    }

    /// How many hooks of a phase are known.
    pub(super) fn hooks_of(&self, phase: Phase) -> usize {
        let of_phase = |key: &&(Phase, String)| key.0 == phase;
        self.elements.keys().filter(of_phase).count()
    }

    /// What the last build took for the hook, or else the step, that runs.
    pub(super) fn last_time(&self) -> Option<f64> {
        let name = match (&self.hook, self.step) {
            (Some(hook), _) => place(hook.phase, &hook.name),
            (None, Some(step)) => step.to_string(),
            _ => return None,
        };
        self.past.as_ref()?.items.get(&name).map(|item| item.1)
    }

    /// A hook with its element, if it has one: `10-x of bar`.
    pub(super) fn with_element(&self, phase: Phase, hook: &str) -> String {
        match self.elements.get(&(phase, hook.to_owned())) {
            Some(element) => format!("{hook} of {element}"),
            None => hook.to_owned(),
        }
    }

    fn title(&self, phase: Phase, hook: &str) -> String {
        format!("{}/{}", phase.directory(), self.with_element(phase, hook))
    }

    /// The slowest hooks, the slowest first.
    pub(super) fn slowest(&self) -> Vec<(String, f64)> {
        let mut hooks = self.ended.clone();
        hooks.sort_by(|a, b| b.1.total_cmp(&a.1));
        hooks.truncate(SLOWEST);
        hooks
    }
}

fn place(phase: Phase, hook: &str) -> String {
    format!("{}/{hook}", phase.directory())
}

/// What a finished phase or step leaves.
fn finished_line(what: &str, seconds: f64, more: &str) -> String {
    format!("{what:<24} {:>12}  {more}", taken(seconds))
        .trim_end()
        .to_owned()
}

#[cfg(test)]
#[path = "state_tests.rs"]
pub(super) mod tests;
