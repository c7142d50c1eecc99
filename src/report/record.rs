//! What happened when: the events of agents and the driver's own work, in seconds
//! since the build began.

use std::time::{Instant, SystemTime};

use crate::plan::Phase;
use crate::protocol::{FromAgent, Inventory};

/// Most spans that are kept: an agent can send what it likes.
const MAX_SPANS: usize = 20_000;

/// A piece of work.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// What was done.
    pub work: Work,
    /// When it began, seconds since the build did.
    pub start: f64,
    /// How long it took, or had taken when everything ended, seconds.
    pub seconds: f64,
    /// It came to its end.
    pub ended: bool,
}

/// What a span is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// A step, by its index in the plan.
    Step(usize),
    /// What a step had done beside later ones.
    Beside(usize),
    /// A hook.
    Hook {
        /// Its phase.
        phase: Phase,
        /// Its file name.
        name: String,
    },
    /// The keeping of a layer.
    Layer,
    /// The driver's own work, in words.
    Own(String),
}

/// An appliance of a build.
#[derive(Debug, Clone, PartialEq)]
pub struct StageSpan {
    /// Index of its first step in the plan.
    pub first: usize,
    /// When it was started, seconds since the build began.
    pub start: f64,
    /// From then until it had ended.
    pub seconds: f64,
    /// What was chosen because the host lacks something.
    pub notes: Vec<String>,
}

/// All of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    began: Instant,
    began_at: SystemTime,
    spans: Vec<Span>,
    stages: Vec<StageSpan>,
    /// An appliance has been started, and no step of it has begun.
    starting: bool,
    inventory: Option<Inventory>,
}

impl Default for Record {
    /// Begins now.
    fn default() -> Self {
        Record {
            began: Instant::now(),
            began_at: SystemTime::now(),
            spans: Vec::new(),
            stages: Vec::new(),
            starting: false,
            inventory: None,
        }
    }
}

impl Record {
    /// Takes note of an appliance that is about to start; `first` is the index of its
    /// first step in the plan.
    pub fn begin_stage(&mut self, first: usize) {
        self.stages.push(StageSpan {
            first,
            start: self.now(),
            seconds: 0.0,
            notes: Vec::new(),
        });
        self.starting = true;
    }

    /// Takes note of what the appliance that has started says about itself.
    pub fn note_stage(&mut self, notes: &[String]) {
        if let Some(stage) = self.stages.last_mut() {
            stage.notes = notes.to_vec();
        }
    }

    /// Takes note that the last appliance has ended: nothing of it goes on.
    pub fn end_stage(&mut self) {
        let now = self.now();
        if let Some(stage) = self.stages.last_mut() {
            stage.seconds = now - stage.start;
        }
        for span in self.spans.iter_mut().filter(|span| !span.ended) {
            if span.seconds == 0.0 {
                span.seconds = now - span.start;
            }
        }
    }

    /// Takes note of the driver's own work, which began then and has ended.
    pub fn own(&mut self, what: impl Into<String>, began: Instant) {
        let seconds = began.elapsed().as_secs_f64();
        let start = (self.now() - seconds).max(0.0);
        self.push(Work::Own(what.into()), start, seconds, true);
    }

    /// Takes note of an event.
    pub fn note(&mut self, event: &FromAgent) {
        let now = self.now();
        let first = self.stages.last().map_or(0, |stage| stage.first);
        match event {
            FromAgent::StepStarted { index } => {
                if std::mem::take(&mut self.starting) {
                    let start = self.stages.last().map_or(now, |stage| stage.start);
                    let what = Work::Own("start of the appliance".into());
                    self.push(what, start, now - start, true);
                }
                self.push(Work::Step(first.saturating_add(*index)), now, 0.0, false);
            }
            FromAgent::StepFinished { index, seconds } => {
                self.close(&Work::Step(first.saturating_add(*index)), *seconds);
            }
            FromAgent::BesideFinished {
                index,
                seconds,
                ago,
            } => {
                let since = self.stages.last().map_or(0.0, |stage| stage.start);
                let ended = (now - ago.max(0.0)).max(since);
                let start = (ended - seconds.max(0.0)).max(since);
                let work = Work::Beside(first.saturating_add(*index));
                self.push(work, start, ended - start, true);
            }
            FromAgent::HookStarted { phase, hook } => {
                self.push(hook_of(*phase, hook), now, 0.0, false);
            }
            FromAgent::HookFinished {
                phase,
                hook,
                seconds,
            } => self.close(&hook_of(*phase, hook), *seconds),
            FromAgent::LayerKept { seconds, .. } => {
                let seconds = seconds.max(0.0).min(now);
                self.push(Work::Layer, now - seconds, seconds, true);
            }
            FromAgent::Inventory { inventory } => self.inventory = Some((**inventory).clone()),
            FromAgent::BreakStarted { .. }
            | FromAgent::BreakEnded
            | FromAgent::ShellStarted
            | FromAgent::ShellEnded
            | FromAgent::Hello { .. }
            | FromAgent::Failed { .. }
            | FromAgent::Finished => {}
        }
    }

    /// When the build began.
    pub fn began_at(&self) -> SystemTime {
        self.began_at
    }

    /// Seconds since then.
    pub fn now(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// What was done, in the order in which it began.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The appliances.
    pub fn stages(&self) -> &[StageSpan] {
        &self.stages
    }

    /// What an agent has found in the target, unchecked.
    pub fn inventory(&self) -> Option<&Inventory> {
        self.inventory.as_ref()
    }

    fn push(&mut self, work: Work, start: f64, seconds: f64, ended: bool) {
        if self.spans.len() < MAX_SPANS {
            self.spans.push(Span {
                work,
                start,
                seconds,
                ended,
            });
        }
    }

    /// Ends the last such work that goes on.
    fn close(&mut self, work: &Work, seconds: f64) {
        let now = self.now();
        let open = self.spans.iter_mut().rev();
        let span = open
            .filter(|span| !span.ended)
            .find(|span| span.work == *work);
        if let Some(span) = span {
            // What an agent says cannot be longer than what was seen.
            span.seconds = seconds.max(0.0).min(now - span.start);
            span.ended = true;
        }
    }
}

fn hook_of(phase: Phase, name: &str) -> Work {
    Work::Hook {
        phase,
        name: name.chars().take(300).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(hook: &str) -> FromAgent {
        FromAgent::HookStarted {
            phase: Phase::Install,
            hook: hook.to_owned(),
        }
    }

    #[test]
    fn spans_follow_from_events() {
        let mut record = Record::default();
        record.begin_stage(3);
        record.note_stage(&["slow".to_owned()]);
        record.note(&FromAgent::StepStarted { index: 1 });
        record.note(&started("a"));
        record.note(&FromAgent::HookFinished {
            phase: Phase::Install,
            hook: "a".into(),
            seconds: 1e9,
        });
        record.note(&started("b"));
        record.note(&FromAgent::BesideFinished {
            index: 0,
            seconds: 1e9,
            ago: -5.0,
        });
        record.end_stage();
        record.own("renames", Instant::now());
        let works: Vec<&Work> = record.spans().iter().map(|span| &span.work).collect();
        let hook = |name| hook_of(Phase::Install, name);
        let own = |what: &str| Work::Own(what.into());
        assert_eq!(
            works,
            [
                &own("start of the appliance"),
                &Work::Step(4),
                &hook("a"),
                &hook("b"),
                &Work::Beside(3),
                &own("renames")
            ]
        );
        let ended: Vec<bool> = record.spans().iter().map(|span| span.ended).collect();
        assert_eq!(ended, [true, false, true, false, true, true]);
        let now = record.now();
        for span in record.spans() {
            assert!(
                span.start >= 0.0 && span.start + span.seconds <= now,
                "{span:?}"
            );
        }
        assert_eq!(record.stages()[0].notes, ["slow"]);
    }

    #[test]
    fn what_an_agent_sends_does_not_grow_for_ever() {
        let mut record = Record::default();
        for _ in 0..MAX_SPANS + 10 {
            record.note(&started(&"x".repeat(1000)));
        }
        assert_eq!(record.spans().len(), MAX_SPANS);
    }
}
