//! Which function executes which step.

use super::context::Context;
use super::error::Error;
use super::{
    clamp, device_hooks, disks, drive, finalise, handoff, hooks, inventory, layers, measure, merge,
    mounts, pack, resolv, shell, side, split, stray, target,
};
use crate::blockdev::devices::bare::RootFilesystem;
use crate::plan::Step;

/// Executes one step.
///
/// # Errors
/// Whatever the step's function gives.
pub(crate) fn execute(context: &mut Context, step: Step) -> Result<(), Error> {
    match step {
        Step::Say { text } => context.say(text),
        Step::SetVariables { set, unset } => {
            context.variables.apply(set, unset);
            Ok(())
        }
        Step::CreateTarget => target::create(context),
        Step::MergeHooks {
            directories,
            copies,
        } => merge::merge(context, &directories, &copies),
        Step::WriteHookFile { path, contents } => merge::write_file(context, &path, &contents),
        Step::WriteBuildFile { path, contents } => {
            merge::write_build_file(context, &path, &contents)
        }
        Step::RunHooks { phase } => hooks::run_phase(context, phase),
        Step::CheckRootDeployed => target::check_root_deployed(context),
        Step::InstallResolvConf => resolv::install(context),
        Step::MountKernelFilesystems { sysfs_writable } => {
            mounts::mount_kernel_filesystems(context, sysfs_writable)
        }
        Step::InstallPackages { packages } => hooks::install_packages(context, &packages),
        Step::UnmountTarget => mounts::unmount_target(context),
        Step::MoveTargetToBuilt => target::move_to_built(context),
        Step::MeasureTree { policy } => measure::measure(context, &policy),
        Step::SplitFilesystems { layout, fstab } => split::split(context, &layout, fstab),
        Step::FinaliseTarget { keep_link, logs } => finalise::finalise(context, keep_link, logs),
        Step::ClampTimes { epoch } => clamp::clamp(context, epoch),
        Step::Inventory => inventory::take(context),
        Step::EndStrayProcesses => stray::end_processes(context),
        Step::PackArchive { archive, output } => pack::pack_archive(context, archive, &output),
        Step::Gzip {
            program,
            input,
            output,
            remove_input,
        } => {
            pack::gzip(context, program, &input, &output, remove_input);
            Ok(())
        }
        Step::AssembleDisk { layout, disk } => pack::assemble(context, &layout, disk),
        Step::ConvertDisk {
            disk,
            format,
            compress,
            options,
            output,
        } => pack::convert_disk(
            context,
            disk,
            &format,
            compress,
            options.as_deref(),
            &output,
        ),
        Step::ConvertToVhd { disk, output } => pack::convert_to_vhd(context, disk, &output),
        Step::TakeRawDisk { disk, output } => pack::take_raw_disk(context, disk, &output),
        Step::PrepareTree { layout, fstab } => split::prepare(context, &layout, fstab),
        Step::CreateRawDisk { layout } => disks::create_raw(context, &layout),
        Step::CreateDevices {
            graph,
            layout,
            block_size,
            populated,
        } => disks::create(context, &graph, &layout, block_size, populated),
        Step::AttachDisk { layout, units } => device_hooks::attach(context, &layout, units),
        Step::RunDeviceHooks { line } => hooks::run_device_hooks(context, line),
        Step::MakeRootFilesystem {
            fstype,
            options,
            label,
            uuid,
        } => device_hooks::make_filesystem(
            context,
            &RootFilesystem {
                fstype: &fstype,
                options: &options,
                label: &label,
                uuid: uuid.as_deref(),
            },
        ),
        Step::FillTarget { from } => handoff::fill_target(context, from),
        Step::ReleaseDevices => disks::release(context),
        Step::PackTree { from } => handoff::pack_tree(context, from),
        Step::PackHandoff { scratch } => handoff::pack(context, scratch),
        Step::UnpackHandoff { scratch } => handoff::unpack(context, scratch),
        Step::RestoreLayer { scratch } => layers::restore(context, &scratch),
        Step::RenewResolvConf => resolv::renew(context),
        Step::ReadDrive { cache } => drive::read(context, &cache),
        Step::WriteDrive => drive::write(context),
        Step::OpenShell {
            phase,
            location,
            before,
        } => shell::open(context, phase, location, before),
        Step::CollectSideFiles {
            directory,
            name,
            except,
            into,
        } => side::collect(context, &directory, &name, &except, into.as_deref()),
    }
}
