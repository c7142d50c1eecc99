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
pub(super) mod tests {
    use super::*;

    /// A build of four steps: one of its own, a phase with two hooks, an archive, a disk.
    pub(in crate::report::progress) fn four_steps(past: Option<Times>) -> Progress {
        let step = |text: &str, phase, packs| Shown {
            text: text.to_owned(),
            phase,
            packs,
        };
        let hook = |name: &str, element: &str| Hook {
            phase: Phase::Install,
            name: name.to_owned(),
            element: element.to_owned(),
            path: "/x".into(),
        };
        let mut progress = Progress::default();
        progress.set(
            vec![
                step("merge hooks (2 copies)", None, false),
                step("run hooks of install.d", Some(Phase::Install), false),
                step("pack image.tar", None, true),
                step("convert disk to image.qcow2", None, false),
            ],
            &[hook("10-a", "one"), hook("20-b", "two")],
            past,
        );
        progress.session(Some(0));
        progress
    }

    pub(in crate::report::progress) fn hook_started(name: &str) -> FromAgent {
        FromAgent::HookStarted {
            phase: Phase::Install,
            hook: name.to_owned(),
        }
    }

    fn hook_finished(name: &str, seconds: f64) -> FromAgent {
        FromAgent::HookFinished {
            phase: Phase::Install,
            hook: name.to_owned(),
            seconds,
        }
    }

    fn finished(index: usize, seconds: f64) -> FromAgent {
        FromAgent::StepFinished { index, seconds }
    }

    /// All events of a build, each with its time; the lines that it leaves.
    fn run(progress: &mut Progress) -> Vec<String> {
        let started = |index| FromAgent::StepStarted { index };
        let events = [
            (2.0, started(0)),
            (2.5, finished(0, 0.5)),
            (2.5, started(1)),
            (3.0, hook_started("10-a")),
            (5.0, hook_finished("10-a", 2.0)),
            (5.0, hook_started("20-b")),
            (25.0, hook_finished("20-b", 20.0)),
            (25.5, finished(1, 23.0)),
            (25.5, started(2)),
            (25.5, finished(2, 0.0)),
            (25.5, started(3)),
            (30.0, finished(3, 4.5)),
        ];
        let lines = events
            .into_iter()
            .map(|(now, event)| progress.note(&event, now));
        lines.flatten().collect()
    }

    #[test]
    fn phases_and_long_steps_leave_a_line() {
        let mut progress = four_steps(None);
        let lines = run(&mut progress);
        assert_eq!(
            lines,
            [
                "install.d                      23.0 s  2 hooks",
                "convert disk to image.qcow2        4.5 s",
            ]
        );
        assert_eq!(progress.done, 4);
        assert_eq!(progress.doing, "finish the archives");
        assert_eq!(
            progress.slowest(),
            [
                ("install.d/20-b of two".to_owned(), 20.0),
                ("install.d/10-a of one".to_owned(), 2.0)
            ]
        );
        assert_eq!(progress.fraction(30.0), 1.0);
    }

    #[test]
    fn the_last_build_tells_what_is_left() {
        let mut first = four_steps(None);
        assert_eq!(first.left(1.0), None);
        run(&mut first);
        let mut past = first.times.clone();
        past.total = 32.0;
        let mut progress = four_steps(Some(past));
        // Up to the first step: it began after two seconds.
        assert_eq!(progress.left(1.0), Some(31.0));
        assert_eq!(progress.left(9.0), Some(30.0));
        progress.note(&FromAgent::StepStarted { index: 1 }, 10.0);
        progress.note(&hook_started("20-b"), 11.0);
        assert_eq!(progress.last_time(), Some(20.0));
        assert_eq!(progress.left(11.0), Some(27.0));
        assert_eq!(progress.left(21.0), Some(17.0));
        // Longer than the last time: nothing more passes.
        assert_eq!(progress.left(99.0), Some(7.0));
        // A hook that was not there then changes nothing.
        progress.note(&hook_started("30-new"), 100.0);
        assert_eq!(progress.left(101.0), Some(7.0));
        assert_eq!(progress.last_time(), None);
        assert!(progress.fraction(101.0) > 0.9);
    }

    #[test]
    fn sessions_that_are_not_the_plans_leave_it_alone() {
        let mut progress = four_steps(None);
        progress.session(None);
        progress.turn_to("read the helper drive", 0.0);
        assert_eq!(
            progress.note(&FromAgent::StepStarted { index: 0 }, 1.0),
            None
        );
        assert_eq!(progress.note(&finished(0, 9.0), 9.0), None);
        assert_eq!(progress.doing, "read the helper drive");
        assert_eq!((progress.done, progress.step), (0, None));
        progress.session(Some(3));
        assert_eq!(
            progress.note(&FromAgent::StepStarted { index: 7 }, 9.0),
            None
        );
        progress.note(&FromAgent::StepStarted { index: 0 }, 9.0);
        assert_eq!(progress.doing, "convert disk to image.qcow2");
    }
}
