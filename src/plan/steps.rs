//! The steps of a build in upstream's order (`lib/disk-image-create`).

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::elements::{HookCopy, Phase};
use crate::request::{variables, BuildRequest, Generation, OutputFormat};

use super::route::{DiskMaking, Place, Route};
use super::storage::CONFIG_FILE;
use super::{
    Archive, PlannedOutput, PlannedStep, RawDisk, SessionPaths, Step, Storage, TreePlace,
    PARAMS_FILE, STATE_DIR,
};

mod disk;

/// Name of the tar that only serves `-t tgz` or `-t docker`, in the output directory.
pub(super) const PRIVATE_TAR: &str = ".private.tar";

/// What the steps are made of.
pub(super) struct Parts<'a> {
    pub request: &'a BuildRequest,
    pub directories: Vec<String>,
    pub copies: Vec<HookCopy>,
    pub variables: BTreeMap<String, String>,
    pub storage: &'a Storage,
    pub paths: &'a SessionPaths,
    pub route: &'a Route,
    /// Directories whose new content is kept apart: where hooks see them, and
    /// where only the new content is seen.
    pub scratch: &'a [(PathBuf, PathBuf)],
    pub outputs: &'a [PlannedOutput],
    pub collect_from: PathBuf,
}

/// Lists the steps.
pub(super) fn steps(parts: Parts) -> Vec<PlannedStep> {
    let route = parts.route;
    let mut list = List::at(&route.root);
    root_steps(&parts, &mut list);
    if route.root.kind != route.tree.kind {
        list.push(Step::PackTree {
            from: TreePlace::Target,
        });
        hand_over(&parts, &mut list, &route.tree);
        list.extend([
            Step::CreateTarget,
            Step::FillTarget {
                from: TreePlace::Handoff,
            },
        ]);
    }
    tree_steps(&parts, &mut list);
    measure_steps(&parts, &mut list);
    disk::disk_steps(&parts, &mut list);
    finish_steps(&parts, &mut list);
    output_steps(&parts, &mut list);
    list.steps
}

/// Steps that are planned, and where the next one runs.
struct List<'a> {
    place: &'a Place,
    steps: Vec<PlannedStep>,
}

impl<'a> List<'a> {
    fn at(place: &'a Place) -> Self {
        List {
            place,
            steps: Vec::new(),
        }
    }

    fn push(&mut self, step: Step) {
        self.steps.push(PlannedStep {
            step,
            appliance: self.place.kind,
            why: self.place.why.clone(),
        });
    }

    fn extend(&mut self, steps: impl IntoIterator<Item = Step>) {
        steps.into_iter().for_each(|step| self.push(step));
    }
}

/// The engine's variables, and away with what an older engine keeps to itself.
fn set_variables(parts: &Parts) -> Step {
    let generation = parts.request.generation.generation;
    let own = variables::TMP_IMAGE_DIR;
    Step::SetVariables {
        set: parts.variables.clone(),
        unset: (!own.is_of(generation))
            .then(|| own.name.to_owned())
            .into_iter()
            .collect(),
    }
}

/// Goes on in another appliance, which knows nothing yet.
fn hand_over<'a>(parts: &Parts<'a>, list: &mut List<'a>, to: &'a Place) {
    list.push(Step::PackHandoff {
        scratch: parts.scratch.iter().map(|at| at.1.clone()).collect(),
    });
    list.place = to;
    list.extend([
        set_variables(parts),
        Step::UnpackHandoff {
            scratch: parts.scratch.iter().map(|at| at.0.clone()).collect(),
        },
    ]);
    list.extend(hide_size(parts));
}

fn root_steps(parts: &Parts, list: &mut List) {
    list.extend([
        set_variables(parts),
        Step::WriteBuildFile {
            path: CONFIG_FILE.into(),
            contents: parts.storage.yaml.clone(),
        },
        Step::WriteBuildFile {
            path: PARAMS_FILE.into(),
            contents: parts.storage.params_yaml(parts.paths),
        },
        Step::WriteBuildFile {
            path: Path::new(STATE_DIR).join("config.json"),
            contents: parts.storage.config_json.clone(),
        },
        Step::CreateTarget,
        Step::MergeHooks {
            directories: parts.directories.clone(),
            copies: parts.copies.clone(),
        },
        Step::RunHooks { phase: Phase::Root },
        Step::CheckRootDeployed,
    ]);
}

fn mount_kernel_filesystems(parts: &Parts) -> Step {
    Step::MountKernelFilesystems {
        sysfs_writable: parts.request.generation.generation <= Generation::V2,
    }
}

/// Older engines kept the measured size to themselves: hooks see what the
/// caller exports.
fn hide_size(parts: &Parts) -> Option<Step> {
    let generation = parts.request.generation.generation;
    if generation.has_block_device_layer() {
        return None;
    }
    let name = variables::DIB_IMAGE_SIZE.name;
    let given = parts.request.environment.get(OsStr::new(name));
    let given = given.and_then(|value| Some((name.to_owned(), value.to_str()?.to_owned())));
    Some(Step::SetVariables {
        unset: given
            .is_none()
            .then(|| name.to_owned())
            .into_iter()
            .collect(),
        set: given.into_iter().collect(),
    })
}

fn tree_steps(parts: &Parts, list: &mut List) {
    let request = parts.request;
    list.extend([
        Step::InstallResolvConf,
        mount_kernel_filesystems(parts),
        Step::WriteHookFile {
            path: "environment.d/11-dib-install-type.bash".into(),
            contents: format!(
                "export DIB_DEFAULT_INSTALLTYPE=${{DIB_DEFAULT_INSTALLTYPE:-\"{}\"}}\n",
                request.install_type
            ),
        },
    ]);
    extra_data_steps(parts, list);
    let generation = request.generation.generation;
    let run = |phase| Some(Step::RunHooks { phase });
    let packages = || {
        let packages = request.packages.clone();
        (!packages.is_empty()).then_some(Step::InstallPackages { packages })
    };
    let first = generation.installs_packages_first();
    let late = generation.has_late_outside_phases();
    let steps = [
        run(Phase::PreInstall),
        first.then(packages).flatten(),
        run(Phase::Install),
        (!first).then(packages).flatten(),
        run(Phase::PostInstall),
        late.then(|| run(Phase::PostRoot)).flatten(),
    ];
    list.extend(steps.into_iter().flatten());
}

/// Where the caller's environment is not that of the build, extra-data.d is the
/// one phase that sees it. What the request says to be another there comes back.
fn extra_data_steps(parts: &Parts, list: &mut List) {
    let phase = Phase::ExtraData;
    let request = parts.request;
    let of_build = |name: &str| -> Option<String> {
        let value = request.environment.get(OsStr::new(name))?;
        value.to_str().map(str::to_owned)
    };
    let mut set = request.extra_data_environment.clone();
    set.retain(|name, _| of_build(name).is_some() || !parts.variables.contains_key(name));
    if set.is_empty() {
        return list.push(Step::RunHooks { phase });
    }
    let (mut back, mut unset) = (BTreeMap::new(), Vec::new());
    for name in set.keys() {
        match of_build(name) {
            Some(value) => drop(back.insert(name.clone(), value)),
            None => unset.push(name.clone()),
        }
    }
    list.extend([
        Step::SetVariables {
            set,
            unset: Vec::new(),
        },
        Step::RunHooks { phase },
        Step::SetVariables { set: back, unset },
    ]);
}

fn measure_steps(parts: &Parts, list: &mut List) {
    list.extend([
        Step::UnmountTarget,
        Step::MoveTargetToBuilt,
        Step::MeasureTree {
            policy: parts.storage.size.clone(),
        },
    ]);
    list.extend(hide_size(parts));
    if parts.route.disk != DiskMaking::Hooks {
        list.push(Step::RunHooks {
            phase: Phase::BlockDevice,
        });
    }
}

fn finish_steps(parts: &Parts, list: &mut List) {
    let generation = parts.request.generation.generation;
    list.push(mount_kernel_filesystems(parts));
    if generation.has_late_outside_phases() {
        list.push(Step::RunHooks {
            phase: Phase::PreFinalise,
        });
    }
    for phase in [Phase::Finalise, Phase::Cleanup] {
        list.push(Step::RunHooks { phase });
    }
    list.extend([
        Step::FinaliseTarget {
            keep_link: generation.has_block_device_layer(),
            logs: generation.empties_logs(),
        },
        Step::UnmountTarget,
        Step::EndStrayProcesses,
    ]);
    let epoch = parts.request.source_date_epoch;
    list.extend(epoch.map(|epoch| Step::ClampTimes { epoch }));
    archive_steps(parts, list);
    if !parts.request.reports.files.is_empty() {
        list.push(Step::Inventory);
    }
    if parts.route.disk != DiskMaking::Offline {
        list.push(Step::ReleaseDevices);
    }
    let image = parts.request.image_path();
    list.push(Step::CollectSideFiles {
        directory: parts.collect_from.clone(),
        name: image.base_name,
        into: parts.request.side_directory.clone(),
        except: parts.outputs.iter().map(|o| o.staged.clone()).collect(),
    });
}

/// What only reads what is done: the conversions of the disk, raw last, because
/// it takes the disk away.
fn output_steps<'a>(parts: &Parts<'a>, list: &mut List<'a>) {
    list.place = &parts.route.convert;
    gzip_step(parts, list);
    let disks: Vec<_> = parts.outputs.iter().filter(|o| o.needs_disk()).collect();
    let disk = match parts.route.disk {
        DiskMaking::Offline => RawDisk::WorkDirectory,
        DiskMaking::Devices { .. } | DiskMaking::Hooks => RawDisk::OutputDirectory,
    };
    if !disks.is_empty() && parts.route.disk == DiskMaking::Offline {
        list.push(Step::AssembleDisk {
            layout: parts.storage.layout.clone(),
            disk,
        });
    }
    for output in &disks {
        if let Some(name) = output.format.qemu_img_name() {
            list.push(Step::ConvertDisk {
                disk,
                format: name.into(),
                compress: output.format == OutputFormat::Qcow2 && parts.request.compress,
                options: disk_options(parts.request, &output.format),
                output: output.staged.clone(),
            });
        }
        if output.format == OutputFormat::Vhd {
            list.push(Step::ConvertToVhd {
                disk,
                output: output.staged.clone(),
            });
        }
    }
    for output in disks.iter().filter(|o| o.format == OutputFormat::Raw) {
        list.push(Step::TakeRawDisk {
            disk,
            output: output.staged.clone(),
        });
    }
}

/// What `-o` of qemu-img gets: what the user gave comes last and wins.
fn disk_options(request: &BuildRequest, format: &OutputFormat) -> Option<String> {
    let given = request.qemu_img_options.clone();
    match (request.zstd && *format == OutputFormat::Qcow2, given) {
        (true, Some(given)) => Some(format!("compression_type=zstd,{given}")),
        (true, None) => Some("compression_type=zstd".to_owned()),
        (false, given) => given,
    }
}

fn staged(parts: &Parts, format: OutputFormat) -> Option<String> {
    let found = parts.outputs.iter().find(|output| output.format == format);
    found.map(|output| output.staged.clone())
}

/// The tar that `-t tgz` compresses: the user's own, or a private one.
fn tar_name(parts: &Parts) -> String {
    staged(parts, OutputFormat::Tar).unwrap_or_else(|| PRIVATE_TAR.into())
}

/// Archives are packed while the target is mounted, as upstream does it.
fn archive_steps(parts: &Parts, list: &mut List) {
    let of = |format| staged(parts, format);
    let wanted = [OutputFormat::Tar, OutputFormat::Tgz, OutputFormat::Docker];
    if wanted.into_iter().any(|format| of(format).is_some()) {
        list.push(Step::PackArchive {
            archive: Archive::Tar,
            output: tar_name(parts),
        });
    }
    if let Some(output) = of(OutputFormat::Aci) {
        list.push(Step::PackArchive {
            archive: Archive::Aci {
                manifest: parts.request.aci_manifest.clone(),
            },
            output,
        });
    }
    if let Some(output) = of(OutputFormat::Squashfs) {
        list.push(Step::PackArchive {
            archive: Archive::Squashfs,
            output,
        });
    }
}

fn gzip_step(parts: &Parts, list: &mut List) {
    let used = [OutputFormat::Tar, OutputFormat::Docker];
    if let Some(output) = staged(parts, OutputFormat::Tgz) {
        let mut program = parts.request.gzip.clone();
        if parts.request.source_date_epoch.is_some() {
            // gzip writes the time of the file that it reads (pigz, too).
            program.push_str(" -n");
        }
        list.push(Step::Gzip {
            program,
            input: tar_name(parts),
            output,
            remove_input: used.into_iter().all(|f| staged(parts, f).is_none()),
        });
    }
}
