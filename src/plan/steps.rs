//! The steps of a build in upstream's order (`lib/disk-image-create`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::elements::{HookCopy, Phase};
use crate::request::{ApplianceChoice, BuildRequest, OutputFormat};

use super::{ApplianceKind, Archive, PlannedOutput, PlannedStep, Step, Storage};

/// Name of the tar that only serves `-t tgz` or `-t docker`, in the output directory.
pub(super) const PRIVATE_TAR: &str = ".private.tar";

/// Where the steps of a request run, and why: nothing that is built so far needs
/// a block device, so the microvm is for those who ask for it.
pub fn choice(request: &BuildRequest) -> (ApplianceKind, &'static str) {
    match request.appliance {
        ApplianceChoice::Microvm => (ApplianceKind::Microvm, "asked for"),
        ApplianceChoice::Namespace => (ApplianceKind::Namespace, "asked for"),
        ApplianceChoice::Auto => (ApplianceKind::Namespace, "needs no block device"),
    }
}

/// What the steps are made of.
pub(super) struct Parts<'a> {
    pub request: &'a BuildRequest,
    pub directories: Vec<String>,
    pub copies: Vec<HookCopy>,
    pub variables: BTreeMap<String, String>,
    pub storage: &'a Storage,
    pub outputs: &'a [PlannedOutput],
    pub collect_from: PathBuf,
}

/// Lists the steps.
pub(super) fn steps(parts: Parts) -> Vec<PlannedStep> {
    let mut list = Vec::new();
    tree_steps(&parts, &mut list);
    finish_steps(&parts, &mut list);
    output_steps(&parts, &mut list);
    let (appliance, why) = choice(parts.request);
    list.into_iter()
        .map(|step| PlannedStep {
            step,
            appliance,
            why: why.into(),
        })
        .collect()
}

fn tree_steps(parts: &Parts, list: &mut Vec<Step>) {
    let request = parts.request;
    list.extend([
        Step::SetVariables {
            set: parts.variables.clone(),
            unset: Vec::new(),
        },
        Step::CreateTarget,
        Step::MergeHooks {
            directories: parts.directories.clone(),
            copies: parts.copies.clone(),
        },
        Step::RunHooks { phase: Phase::Root },
        Step::CheckRootDeployed,
        Step::InstallResolvConf,
        Step::MountKernelFilesystems,
        Step::WriteHookFile {
            path: "environment.d/11-dib-install-type.bash".into(),
            contents: format!(
                "export DIB_DEFAULT_INSTALLTYPE=${{DIB_DEFAULT_INSTALLTYPE:-\"{}\"}}\n",
                request.install_type
            ),
        },
    ]);
    for phase in [Phase::ExtraData, Phase::PreInstall, Phase::Install] {
        list.push(Step::RunHooks { phase });
    }
    if !request.packages.is_empty() {
        list.push(Step::InstallPackages {
            packages: request.packages.clone(),
        });
    }
    for phase in [Phase::PostInstall, Phase::PostRoot] {
        list.push(Step::RunHooks { phase });
    }
}

fn finish_steps(parts: &Parts, list: &mut Vec<Step>) {
    list.extend([
        Step::UnmountTarget,
        Step::MoveTargetToBuilt,
        Step::MeasureTree {
            policy: parts.storage.size.clone(),
        },
        Step::RunHooks {
            phase: Phase::BlockDevice,
        },
        Step::SplitFilesystems {
            layout: parts.storage.layout.clone(),
        },
        Step::MountKernelFilesystems,
        Step::RunHooks {
            phase: Phase::PreFinalise,
        },
        Step::RunHooks {
            phase: Phase::Finalise,
        },
        Step::RunHooks {
            phase: Phase::Cleanup,
        },
        Step::FinaliseTarget,
        Step::UnmountTarget,
        Step::EndStrayProcesses,
    ]);
}

/// Archives first, as upstream packs them while the target is mounted; then
/// the disk and its conversions; raw last, because it takes the disk away.
fn output_steps(parts: &Parts, list: &mut Vec<Step>) {
    archive_steps(parts, list);
    let disks: Vec<_> = parts.outputs.iter().filter(|o| o.needs_disk()).collect();
    if !disks.is_empty() {
        list.push(Step::AssembleDisk {
            layout: parts.storage.layout.clone(),
        });
    }
    for output in &disks {
        if let Some(name) = output.format.qemu_img_name() {
            list.push(Step::ConvertDisk {
                format: name.into(),
                compress: output.format == OutputFormat::Qcow2 && parts.request.compress,
                options: parts.request.qemu_img_options.clone(),
                output: output.staged.clone(),
            });
        }
        if output.format == OutputFormat::Vhd {
            list.push(Step::ConvertToVhd {
                output: output.staged.clone(),
            });
        }
    }
    for output in disks.iter().filter(|o| o.format == OutputFormat::Raw) {
        list.push(Step::TakeRawDisk {
            output: output.staged.clone(),
        });
    }
    let image = parts.request.image_path();
    list.push(Step::CollectSideFiles {
        directory: parts.collect_from.clone(),
        name: image.base_name,
        except: parts.outputs.iter().map(|o| o.staged.clone()).collect(),
    });
}

fn archive_steps(parts: &Parts, list: &mut Vec<Step>) {
    let staged = |format: &OutputFormat| {
        parts
            .outputs
            .iter()
            .find(|output| output.format == *format)
            .map(|output| output.staged.clone())
    };
    let tar = staged(&OutputFormat::Tar);
    let needs_private = staged(&OutputFormat::Docker).is_some();
    let tgz = staged(&OutputFormat::Tgz);
    if tar.is_some() || tgz.is_some() || needs_private {
        let name = tar.clone().unwrap_or_else(|| PRIVATE_TAR.into());
        list.push(Step::PackArchive {
            archive: Archive::Tar,
            output: name.clone(),
        });
        if let Some(output) = tgz {
            list.push(Step::Gzip {
                program: parts.request.gzip.clone(),
                input: name,
                output,
                remove_input: tar.is_none() && !needs_private,
            });
        }
    }
    if let Some(output) = staged(&OutputFormat::Aci) {
        list.push(Step::PackArchive {
            archive: Archive::Aci {
                manifest: parts.request.aci_manifest.clone(),
            },
            output,
        });
    }
    if let Some(output) = staged(&OutputFormat::Squashfs) {
        list.push(Step::PackArchive {
            archive: Archive::Squashfs,
            output,
        });
    }
}
