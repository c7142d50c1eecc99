//! Which function executes which step.

use super::context::Context;
use super::error::Error;
use super::{finalise, hooks, measure, merge, mounts, pack, resolv, side, split, stray, target};
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
        Step::RunHooks { phase } => hooks::run_phase(context, phase),
        Step::CheckRootDeployed => target::check_root_deployed(context),
        Step::InstallResolvConf => resolv::install(context),
        Step::MountKernelFilesystems => mounts::mount_kernel_filesystems(context),
        Step::InstallPackages { packages } => hooks::install_packages(context, &packages),
        Step::UnmountTarget => mounts::unmount_target(context),
        Step::MoveTargetToBuilt => target::move_to_built(context),
        Step::MeasureTree { policy } => measure::measure(context, &policy),
        Step::SplitFilesystems { layout } => split::split(context, &layout),
        Step::FinaliseTarget => finalise::finalise(context),
        Step::EndStrayProcesses => stray::end_processes(context),
        Step::PackArchive { archive, output } => pack::pack_archive(context, &archive, &output),
        Step::Gzip {
            program,
            input,
            output,
            remove_input,
        } => pack::gzip(context, &program, &input, &output, remove_input),
        Step::AssembleDisk { layout } => pack::assemble(context, &layout),
        Step::ConvertDisk {
            format,
            compress,
            options,
            output,
        } => pack::convert_disk(context, &format, compress, options.as_deref(), &output),
        Step::ConvertToVhd { output } => pack::convert_to_vhd(context, &output),
        Step::TakeRawDisk { output } => pack::take_raw_disk(context, &output),
        Step::CollectSideFiles {
            directory,
            name,
            except,
        } => side::collect(context, &directory, &name, &except),
    }
}
