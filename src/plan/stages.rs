//! A plan's steps as stages: consecutive steps in one appliance.

use std::ops::Range;

use super::{ApplianceKind, Plan, Share, Step};

/// What one appliance does in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage<'a> {
    /// The appliance.
    pub kind: ApplianceKind,
    /// Why that one.
    pub why: &'a str,
    /// Indexes of [`Plan::steps`].
    pub steps: Range<usize>,
}

impl Plan {
    /// The stages in order; at least one.
    pub fn stages(&self) -> Vec<Stage<'_>> {
        let mut stages: Vec<Stage> = Vec::new();
        for (index, planned) in self.steps.iter().enumerate() {
            match stages.last_mut() {
                Some(stage) if stage.kind == planned.appliance => stage.steps.end = index + 1,
                _ => stages.push(Stage {
                    kind: planned.appliance,
                    why: &planned.why,
                    steps: index..index + 1,
                }),
            }
        }
        stages
    }

    /// Whether any step runs in such an appliance.
    pub fn uses(&self, kind: ApplianceKind) -> bool {
        self.steps.iter().any(|planned| planned.appliance == kind)
    }

    /// Whether a stage needs the image's disk attached.
    pub fn needs_image_disk(&self, stage: &Stage) -> bool {
        self.steps[stage.steps.clone()].iter().any(|planned| {
            let step = &planned.step;
            matches!(step, Step::CreateDevices { .. } | Step::AttachDisk { .. })
        })
    }

    /// The host paths that an appliance shares.
    pub fn shares_of(&self, kind: ApplianceKind) -> Vec<Share> {
        let only = |share: &&Share| share.only_in.is_none_or(|only| only == kind);
        self.shares.iter().filter(only).cloned().collect()
    }
}
