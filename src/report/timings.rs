//! How long the parts of a build took, from the agent's events.

use std::fmt;

use super::record::Record;
use crate::plan::Phase;
use crate::protocol::FromAgent;

/// Wall time of the hooks of a phase.
#[derive(Debug, Clone, PartialEq)]
pub struct PhaseTime {
    /// The phase.
    pub phase: Phase,
    /// Hooks that ended well.
    pub hooks: usize,
    /// Sum of their wall times.
    pub seconds: f64,
}

/// Collects the times that an agent reports.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Timings {
    phases: Vec<PhaseTime>,
    steps: Vec<(usize, f64)>,
    record: Record,
}

impl Timings {
    /// Takes note of an event; events without a time are ignored.
    pub fn note(&mut self, event: &FromAgent) {
        self.record.note(event);
        match event {
            FromAgent::HookFinished { phase, seconds, .. } => self.note_hook(*phase, *seconds),
            FromAgent::StepFinished { index, seconds } => self.steps.push((*index, *seconds)),
            _ => {}
        }
    }

    /// When everything happened.
    pub fn record(&mut self) -> &mut Record {
        &mut self.record
    }

    /// Phases that had hooks, in the order in which they began.
    pub fn phases(&self) -> &[PhaseTime] {
        &self.phases
    }

    /// Index in the session and seconds of each finished step, in order.
    pub fn steps(&self) -> &[(usize, f64)] {
        &self.steps
    }

    /// The sum over all steps, in seconds.
    pub fn total(&self) -> f64 {
        self.steps.iter().map(|(_, seconds)| seconds).sum()
    }

    fn note_hook(&mut self, phase: Phase, seconds: f64) {
        match self.phases.iter_mut().find(|time| time.phase == phase) {
            Some(time) => {
                time.hooks += 1;
                time.seconds += seconds;
            }
            None => self.phases.push(PhaseTime {
                phase,
                hooks: 1,
                seconds,
            }),
        }
    }
}

impl fmt::Display for Timings {
    /// One line: `root 21.0 s (3 hooks), install 45.2 s (9 hooks)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, time) in self.phases.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let plural = if time.hooks == 1 { "" } else { "s" };
            write!(
                f,
                "{comma}{} {:.1} s ({} hook{plural})",
                time.phase.name(),
                time.seconds,
                time.hooks
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_are_summed_by_phase() {
        let mut timings = Timings::default();
        let hook = |phase, seconds| FromAgent::HookFinished {
            phase,
            hook: "x".to_owned(),
            seconds,
        };
        timings.note(&hook(Phase::Root, 1.5));
        timings.note(&hook(Phase::Install, 2.0));
        timings.note(&hook(Phase::Install, 0.25));
        timings.note(&FromAgent::StepFinished {
            index: 7,
            seconds: 4.0,
        });
        timings.note(&FromAgent::Finished);
        assert_eq!(
            timings.to_string(),
            "root 1.5 s (1 hook), install 2.2 s (2 hooks)"
        );
        assert_eq!(timings.steps(), [(7, 4.0)]);
        assert_eq!(timings.total(), 4.0);
    }
}
