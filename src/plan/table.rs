//! The plan as a person reads it.

use std::fmt::{self, Display, Formatter};

use super::{Location, Phase, Plan, PlannedStep, Step};
use crate::request::DRIVE_HOME;

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        self.elements_section(f)?;
        self.hooks_section(f)?;
        self.shares_section(f)?;
        self.drive_section(f)?;
        self.tools_section(f)?;
        writeln!(f, "\nsteps")?;
        for (index, planned) in self.steps.iter().enumerate() {
            let PlannedStep {
                step,
                appliance,
                why,
            } = planned;
            let place = format!("{appliance:?}").to_lowercase();
            writeln!(f, "  {:>2}  {:<10} {} ({why})", index + 1, place, step)?;
        }
        writeln!(f, "\noutputs")?;
        for output in &self.outputs {
            match &output.path {
                Some(path) => writeln!(f, "  {}", path.display())?,
                None => writeln!(f, "  imported into a container engine as {}", output.shown)?,
            }
        }
        for output in &self.hook_outputs {
            writeln!(f, "  {} (from a hook)", output.path.display())?;
        }
        Ok(())
    }
}

impl Plan {
    fn elements_section(&self, f: &mut Formatter) -> fmt::Result {
        writeln!(f, "requested: {}", self.requested.join(" "))?;
        let told = &self.generation;
        writeln!(f, "generation: {} ({})", told.generation, told.why)?;
        writeln!(f, "\nelements")?;
        for element in &self.elements.elements {
            writeln!(
                f,
                "  {:<28} {} (asked for by {})",
                element.name,
                element.path.display(),
                self.elements.askers(&element.name)
            )?;
        }
        for (what, names) in [
            ("elements", &self.excluded_elements),
            ("scripts", &self.excluded_scripts),
        ] {
            if !names.is_empty() {
                writeln!(f, "  excluded {what}: {}", names.join(" "))?;
            }
        }
        for (used, hidden) in &self.overrides {
            writeln!(f, "  {} overrides {}", used.display(), hidden.display())?;
        }
        for warning in &self.warnings {
            writeln!(f, "  WARNING {warning}")?;
        }
        for message in &self.messages {
            writeln!(f, "  {message}")?;
        }
        Ok(())
    }

    fn hooks_section(&self, f: &mut Formatter) -> fmt::Result {
        writeln!(f, "\nenvironment files, sourced before every phase")?;
        for file in &self.environment_files {
            writeln!(f, "  {:<40} {}", file.name, file.element)?;
        }
        for phase in Phase::ALL {
            let hooks: Vec<_> = self.hooks_of(phase).collect();
            if hooks.is_empty() {
                continue;
            }
            writeln!(
                f,
                "\n{} ({})",
                phase.directory(),
                Plan::location_text(phase)
            )?;
            for hook in hooks {
                writeln!(f, "  {:<40} {}", hook.name, hook.element)?;
            }
        }
        for notice in &self.notices {
            writeln!(f, "  warning: {notice}")?;
        }
        Ok(())
    }

    fn shares_section(&self, f: &mut Formatter) -> fmt::Result {
        writeln!(f, "\nhost paths that hooks see")?;
        for share in &self.shares {
            let mode = if share.writable { "rw" } else { "ro" };
            writeln!(f, "  {mode} {} ({})", share.path.display(), share.why)?;
        }
        for name in &self.withheld {
            writeln!(
                f,
                "  not the variable {name}: its name says credential, and no hook mentions it"
            )?;
        }
        let network = match (self.network, self.metadata_service) {
            (true, true) => "outbound, and the cloud's metadata service",
            (true, false) => "outbound",
            (false, _) => "none",
        };
        writeln!(f, "  network: {network}")
    }

    fn drive_section(&self, f: &mut Formatter) -> fmt::Result {
        let Some(drive) = &self.helper_drive else {
            return Ok(());
        };
        let format = drive.format.as_deref().unwrap_or("whatever it is");
        writeln!(f, "\nhelper drive")?;
        writeln!(f, "  {} (format: {format})", drive.file.display())?;
        writeln!(
            f,
            "  a machine copies its home to {DRIVE_HOME} before the first step, \
             and back after the last"
        )
    }

    fn tools_section(&self, f: &mut Formatter) -> fmt::Result {
        writeln!(f, "\ncommands of this host that the build needs")?;
        for tool in &self.tools {
            let who = tool.element.as_deref().unwrap_or("safedib");
            writeln!(f, "  {:<28} {who}: {}", tool.need.describe(), tool.why)?;
        }
        Ok(())
    }
}

impl Display for Step {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        match self {
            Step::Say { text } => write!(f, "say \"{text}\""),
            Step::SetVariables { set, unset } => {
                write!(f, "export {} variables, remove {}", set.len(), unset.len())
            }
            Step::MergeHooks { copies, .. } => write!(f, "merge hooks ({} copies)", copies.len()),
            Step::WriteHookFile { path, .. } => write!(f, "write hooks/{}", path.display()),
            Step::WriteBuildFile { path, .. } => write!(f, "write {}", path.display()),
            Step::RunHooks { phase } => write!(f, "run hooks of {}", phase.directory()),
            Step::InstallPackages { packages } => {
                write!(f, "install packages {}", packages.join(" "))
            }
            Step::PackArchive { output, .. } => write!(f, "pack {output}"),
            Step::Gzip { input, output, .. } => write!(f, "compress {input} to {output}"),
            Step::ConvertDisk { output, .. } | Step::ConvertToVhd { output, .. } => {
                write!(f, "convert disk to {output}")
            }
            Step::TakeRawDisk { output, .. } => write!(f, "take raw disk as {output}"),
            Step::CreateTarget => f.write_str("create the target directory"),
            Step::CheckRootDeployed => f.write_str("check that root.d deployed a root"),
            Step::InstallResolvConf => f.write_str("install resolv.conf for the build"),
            Step::MountKernelFilesystems { .. } => {
                f.write_str("mount proc, dev, sys in the target")
            }
            Step::UnmountTarget => f.write_str("unmount everything in the target"),
            Step::MoveTargetToBuilt => f.write_str("move the tree to built"),
            Step::MeasureTree { .. } => f.write_str("measure the tree, size the disk"),
            Step::SplitFilesystems { layout, .. } => {
                write!(
                    f,
                    "give {} filesystems their trees",
                    layout.filesystems.len()
                )
            }
            Step::FinaliseTarget { logs, .. } => match logs {
                true => f.write_str("restore resolv.conf, empty /tmp and logs"),
                false => f.write_str("restore resolv.conf, empty /tmp"),
            },
            Step::ClampTimes { epoch } => write!(f, "set times after {epoch} to it"),
            Step::Inventory => f.write_str("look up files and packages"),
            Step::EndStrayProcesses => f.write_str("end processes that hooks left behind"),
            Step::PrepareTree { fstab, .. } => f.write_str(match fstab {
                true => "write fstab into the tree",
                false => "make the tree ready for its filesystem",
            }),
            Step::AttachDisk { .. } => f.write_str("attach the disk for the hooks that divide it"),
            Step::RunDeviceHooks { .. } => f.write_str(
                "run hooks of block-device.d, which name the device for the root filesystem",
            ),
            Step::MakeRootFilesystem { fstype, label, .. } => {
                write!(f, "make the {fstype} filesystem {label} there, mount it")
            }
            Step::CreateRawDisk { .. } => f.write_str("make the empty disk"),
            Step::CreateDevices { populated, .. } => f.write_str(match populated {
                true => "attach and mount the disk",
                false => "make, attach and mount the disk's filesystems",
            }),
            Step::FillTarget { .. } => f.write_str("copy the tree to the target"),
            Step::ReleaseDevices => f.write_str("unmount and detach the disk"),
            Step::PackTree { .. } => f.write_str("pack the tree for the next appliance"),
            Step::PackHandoff { .. } => {
                f.write_str("pack the work directories for the next appliance")
            }
            Step::UnpackHandoff { .. } => f.write_str("take what the appliance before has packed"),
            Step::RestoreLayer { .. } => f.write_str("take what an earlier build has kept"),
            Step::RenewResolvConf => f.write_str("install this appliance's resolv.conf"),
            Step::AssembleDisk { .. } => f.write_str("assemble the disk from the trees"),
            Step::ReadDrive { .. } => f.write_str("read the helper drive"),
            Step::WriteDrive => f.write_str("write the helper drive"),
            Step::OpenShell { location, .. } => f.write_str(match location {
                Location::Outside => "open a shell outside the target",
                Location::InTarget => "open a shell in the target",
            }),
            Step::CollectSideFiles { name, .. } => write!(f, "collect files named {name}.*"),
        }
    }
}
