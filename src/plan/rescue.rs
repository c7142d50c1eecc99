//! What makes a disk of a build that has failed, for who wants to look at it.

use super::{RawDisk, Step};

/// The steps that bring the image as it is to the file `output`, when the step
/// `failed` of an appliance's `steps` has failed; none where there is no image
/// yet, or where only steps that were not reached could make its filesystems.
pub fn rescue(steps: &[Step], failed: usize, output: &str) -> Vec<Step> {
    let at = |is: fn(&Step) -> bool| steps.iter().position(is);
    let begins = at(|step| matches!(step, Step::CheckRootDeployed | Step::UnpackHandoff { .. }));
    let made = at(|step| matches!(step, Step::CreateDevices { .. } | Step::AttachDisk { .. }));
    let disk = steps.iter().find_map(|step| match step {
        Step::AssembleDisk { disk, .. } | Step::TakeRawDisk { disk, .. } => Some(*disk),
        Step::CreateDevices { .. } | Step::AttachDisk { .. } => Some(RawDisk::OutputDirectory),
        _ => None,
    });
    let (Some(disk), false) = (disk, begins.is_some_and(|begins| failed <= begins)) else {
        return Vec::new();
    };
    let filled = at(|step| matches!(step, Step::FillTarget { .. })).filter(|at| Some(*at) > made);
    let devices = made.is_some_and(|made| failed > made);
    let populated = steps.iter().any(|step| {
        matches!(
            step,
            Step::CreateDevices {
                populated: true,
                ..
            }
        )
    });
    let assembles = at(|step| matches!(step, Step::AssembleDisk { .. })).is_some();
    let has_content = match (devices, filled) {
        (true, Some(filled)) => failed > filled,
        (true, None) => true,
        (false, _) => made.is_none() || assembles || populated,
    };
    if !has_content {
        return Vec::new();
    }
    let mut list = Vec::new();
    if steps[failed..].contains(&Step::UnmountTarget) {
        list.extend([Step::EndStrayProcesses, Step::UnmountTarget]);
    }
    let pending = steps[failed..].iter().filter(|step| match step {
        Step::ReleaseDevices => devices,
        Step::MoveTargetToBuilt
        | Step::MeasureTree { .. }
        | Step::SplitFilesystems { .. }
        | Step::AssembleDisk { .. } => true,
        _ => false,
    });
    list.extend(pending.cloned());
    list.push(Step::TakeRawDisk {
        disk,
        output: output.to_owned(),
    });
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blockdev::{Graph, Layout};
    use crate::elements::Phase;

    fn layout() -> Layout {
        Layout {
            disks: Vec::new(),
            lvm: Default::default(),
            filesystems: Vec::new(),
            mount_points: Vec::new(),
        }
    }

    fn offline() -> Vec<Step> {
        let layout = layout();
        vec![
            Step::RunHooks { phase: Phase::Root },
            Step::CheckRootDeployed,
            Step::RunHooks {
                phase: Phase::Install,
            },
            Step::UnmountTarget,
            Step::MoveTargetToBuilt,
            Step::SplitFilesystems {
                layout: layout.clone(),
                fstab: true,
            },
            Step::RunHooks {
                phase: Phase::Finalise,
            },
            Step::UnmountTarget,
            Step::EndStrayProcesses,
            Step::AssembleDisk {
                layout,
                disk: RawDisk::WorkDirectory,
            },
            Step::Say { text: "x".into() },
            Step::TakeRawDisk {
                disk: RawDisk::WorkDirectory,
                output: "x.raw".into(),
            },
        ]
    }

    fn names(steps: &[Step]) -> Vec<String> {
        let word = |step: &Step| {
            let text = format!("{step:?}");
            text.split([' ', '{']).next().unwrap_or_default().to_owned()
        };
        steps.iter().map(word).collect()
    }

    #[test]
    fn what_is_left_to_do_for_a_disk_is_done() {
        let steps = offline();
        let rescue = |failed| names(&rescue(&steps, failed, "y"));
        assert!(rescue(0).is_empty() && rescue(1).is_empty());
        let all = "EndStrayProcesses UnmountTarget MoveTargetToBuilt SplitFilesystems AssembleDisk TakeRawDisk";
        assert_eq!(rescue(2).join(" "), all);
        let late = "EndStrayProcesses UnmountTarget AssembleDisk TakeRawDisk";
        assert_eq!(rescue(6).join(" "), late);
        assert_eq!(rescue(10), ["TakeRawDisk"]);
    }

    #[test]
    fn devices_are_given_up_if_they_have_content() {
        let devices = |populated| {
            let mut steps = offline();
            steps.truncate(5);
            steps.extend([
                Step::CreateDevices {
                    graph: Graph {
                        nodes: Vec::new(),
                        tables: Vec::new(),
                        order: Vec::new(),
                    },
                    layout: layout(),
                    block_size: None,
                    populated,
                },
                Step::FillTarget {
                    from: crate::plan::TreePlace::Built,
                },
                Step::RunHooks {
                    phase: Phase::Finalise,
                },
                Step::UnmountTarget,
                Step::ReleaseDevices,
            ]);
            if populated {
                steps.remove(6);
            }
            steps
        };
        let steps = devices(false);
        for failed in [2, 5, 6] {
            assert!(rescue(&steps, failed, "y").is_empty(), "{failed}");
        }
        let late = "EndStrayProcesses UnmountTarget ReleaseDevices TakeRawDisk";
        assert_eq!(names(&rescue(&steps, 7, "y")).join(" "), late);
        assert_eq!(names(&rescue(&devices(true), 6, "y")).join(" "), late);
    }
}
