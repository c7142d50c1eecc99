//! From a request to a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::elements::{
    self, Catalog, ElementSet, EnvironmentFile, Hook, HookNotice, Location, Phase,
};
use crate::request::{
    self, BuildRequest, ElementGeneration, ElementPath, EngineInputs, HelperDrive,
};

use super::route::{Case, Route};
use super::steps::{self, Parts};
use super::storage::{storage, Storage};
use super::{
    old, outputs, reproducible, shares, shell, tools, withheld, Abilities, Error, HookOutput,
    PlannedOutput, PlannedStep, PlannedTool, Reproducible, Share,
};

/// What a build will do: everything that can be known before it starts.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// Version of this structure.
    pub version: u32,
    /// The command, as the user typed its name.
    pub program: String,
    /// Requested elements, the implicit ones included.
    pub requested: Vec<String>,
    /// Generation of the engine that they are given, and why.
    pub generation: ElementGeneration,
    /// Elements with their paths and who asked for them.
    pub elements: ElementSet,
    /// `(used, hidden)` element directories.
    pub overrides: Vec<(PathBuf, PathBuf)>,
    /// Hooks that will run, in order.
    pub hooks: Vec<Hook>,
    /// environment.d files in the order in which they are sourced.
    pub environment_files: Vec<EnvironmentFile>,
    /// Files in phase directories that do not run as their author may think.
    pub notices: Vec<HookNotice>,
    /// Times and identifiers of the image, if two builds are to be the same.
    pub reproducible: Option<Reproducible>,
    /// What will not go as the elements' authors thought.
    pub warnings: Vec<String>,
    /// Log lines about what was chosen: the block-device configuration, a ramdisk.
    pub messages: Vec<String>,
    /// Elements that are left out, whoever asks for them.
    pub excluded_elements: Vec<String>,
    /// Names of scripts that are left out of every element.
    pub excluded_scripts: Vec<String>,
    /// The disk that is read before the first step, and written after the last.
    pub helper_drive: Option<HelperDrive>,
    /// Host paths that hooks see.
    pub shares: Vec<Share>,
    /// The caller's variables that hooks do not get.
    pub withheld: BTreeSet<String>,
    /// Whether hooks have a network.
    pub network: bool,
    /// Whether the network leads to the cloud's metadata service; that of a
    /// machine always does.
    pub metadata_service: bool,
    /// Commands of the host that the build needs.
    pub tools: Vec<PlannedTool>,
    /// Files that it leaves.
    pub outputs: Vec<PlannedOutput>,
    /// Files that hooks are expected to write beside the image.
    pub hook_outputs: Vec<HookOutput>,
    /// The steps.
    pub steps: Vec<PlannedStep>,
}

/// What the plan needs to know beside the request; found out once by the caller.
pub struct PlanInputs<'a> {
    /// Paths that the session will have inside the appliance.
    pub paths: SessionPaths,
    /// The caller's public ssh keys and `authorized_keys`.
    pub ssh_keys: Vec<PathBuf>,
    /// Variables that come with our helper scripts: exported functions, `PS4`.
    pub helper_variables: BTreeMap<String, String>,
    /// Directories whose new content is kept apart: where hooks see them, and
    /// where only the new content is seen.
    pub scratch: Vec<(PathBuf, PathBuf)>,
    /// `DIB_IMAGE_ROOT_FS_UUID`, where the generation has it.
    pub root_uuid: String,
    /// What works on this host.
    pub abilities: &'a Abilities,
    /// Tells whether a path of the host exists.
    pub exists: &'a dyn Fn(&Path) -> bool,
}

/// Paths inside the appliance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionPaths {
    /// `TMP_BUILD_DIR`.
    pub build_dir: PathBuf,
    /// `TMP_IMAGE_DIR`.
    pub image_dir: PathBuf,
    /// `_LIB`.
    pub lib_dir: PathBuf,
    /// `DIB_PYTHON_EXEC` unless the user set it.
    pub python: PathBuf,
    /// The commands that hooks of the generation find first on their PATH.
    pub commands: Option<PathBuf>,
    /// Where new files of the image's directory can be collected.
    pub collect_from: PathBuf,
}

impl Plan {
    /// Makes the plan of a request. Reads element directories, changes nothing.
    ///
    /// # Errors
    /// Everything about elements, hooks and the block-device configuration that
    /// is wrong, and whatever this version does not build yet, by name.
    pub fn new(request: &BuildRequest, inputs: &PlanInputs) -> Result<Plan, Error> {
        let generation = request.generation.generation;
        let (catalog, mut set) = find_elements(request)?;
        set.exclude(&request.excluded_elements);
        let mut merged = elements::merge_without(&set, &request.excluded_scripts)?;
        let mut warnings = old::gone_sources(request, &set);
        let withheld = withheld::withheld(request, &merged)?;
        warnings.extend(old::drop_unknown_phases(generation, &mut merged));
        let hooks: Vec<&Hook> = merged.hooks.values().flatten().collect();
        warnings.extend(old::check_interpreters(generation, &hooks, inputs.exists)?);
        let storage = storage(request, &set, &inputs.root_uuid)?;
        let outputs = outputs::outputs(request, &set);
        let route = Route::choose(&Case {
            request,
            abilities: inputs.abilities,
            set: &set,
            hooks,
            layout: &storage.layout,
            configured_by: storage.configured_by.as_deref(),
            outputs: &outputs,
        })?;
        if route.makes_disk(&outputs) {
            storage.check_size()?;
        }
        let reproducible = Reproducible::of(request);
        if reproducible.is_some() {
            warnings.extend(reproducible::warnings(&outputs, &route, &storage.layout));
        }
        let variables = variables(request, &set, &storage, inputs)?;
        let steps = steps::steps(Parts {
            request,
            directories: merged.directories.iter().cloned().collect(),
            copies: merged.copies.clone(),
            variables,
            storage: &storage,
            paths: &inputs.paths,
            route: &route,
            scratch: &inputs.scratch,
            outputs: &outputs,
            collect_from: inputs.paths.collect_from.clone(),
        });
        let (steps, outputs, hook_outputs) = match &request.shell {
            None => (steps, outputs, outputs::hook_outputs(request, &set)),
            Some(place) => (shell::end_with_shell(steps, place)?, Vec::new(), Vec::new()),
        };
        let mut tools = tools::tools(request, &set, &outputs, &storage.layout, &route);
        tools.extend(tools::device_hook_tools(merged.hooks.values().flatten())?);
        Ok(Plan {
            version: 1,
            program: request.program.clone(),
            requested: request.elements.clone(),
            generation: request.generation.clone(),
            excluded_elements: request.excluded_elements.clone(),
            excluded_scripts: request.excluded_scripts.clone(),
            helper_drive: request.helper_drive.clone(),
            reproducible,
            shares: shares::shares(request, &set, &inputs.ssh_keys, inputs.exists),
            withheld,
            network: !request.no_network,
            metadata_service: request.metadata_service,
            tools,
            overrides: catalog.overrides,
            messages: outputs::ramdisk_by(request, &set)
                .map(|name| {
                    format!("Element '{name}' makes this a ramdisk build: no format is made")
                })
                .into_iter()
                .chain(storage.messages)
                .collect(),
            hook_outputs,
            elements: set,
            outputs,
            steps,
            hooks: merged.hooks.into_values().flatten().collect(),
            environment_files: merged.environment_files,
            notices: merged.notices,
            warnings,
        })
    }

    /// The caller's environment as hooks see it.
    pub fn environment(&self, request: &BuildRequest) -> Vec<(OsString, OsString)> {
        let environment = request.environment.clone().into_iter();
        let withheld = |name: &OsString| {
            let name = name.to_str();
            name.is_some_and(|name| self.withheld.contains(name))
        };
        environment.filter(|(name, _)| !withheld(name)).collect()
    }

    /// The hooks of a phase in running order.
    pub fn hooks_of(&self, phase: Phase) -> impl Iterator<Item = &Hook> {
        self.hooks.iter().filter(move |hook| hook.phase == phase)
    }

    /// Where a phase runs, in words.
    pub fn location_text(phase: Phase) -> &'static str {
        match phase.location() {
            Location::Outside => "outside",
            Location::InTarget => "in target",
        }
    }
}

/// The elements that there are, and those of the build. Until 2.4 entries of
/// `ELEMENTS_PATH` did not have to exist.
fn find_elements(request: &BuildRequest) -> Result<(Catalog, ElementSet), Error> {
    let loose = request.generation.generation.allows_several_providers();
    if !loose {
        let catalog = Catalog::find(&request.elements_path)?;
        let set = elements::resolve(&request.elements, &catalog)?;
        return Ok((catalog, set));
    }
    let mut path = request.elements_path.clone();
    path.retain(|entry| entry.is_dir());
    let catalog = Catalog::find(&path)?;
    let set = elements::resolve_loosely(&request.elements, &catalog)?;
    Ok((catalog, set))
}

fn variables(
    request: &BuildRequest,
    set: &ElementSet,
    storage: &Storage,
    inputs: &PlanInputs,
) -> Result<BTreeMap<String, String>, Error> {
    let layout = &storage.layout;
    let paths = &inputs.paths;
    let engine = EngineInputs {
        elements: set
            .elements
            .iter()
            .map(|element| ElementPath {
                name: element.name.clone(),
                path: element.path.clone(),
            })
            .collect(),
        build_dir: paths.build_dir.clone(),
        image_dir: paths.image_dir.clone(),
        lib_dir: paths.lib_dir.clone(),
        base_elements: request.base_elements.as_ref().map(|base| base.path.clone()),
        python: paths.python.clone(),
        commands: paths.commands.clone(),
        root_uuid: inputs.root_uuid.clone(),
        root_label: layout.root_label()?,
        root_fstype: layout.root_fstype()?,
        boot_label: layout.boot_label(),
        mount_points: layout.mount_points(),
        functions: BTreeMap::new(),
    };
    let mut variables = request::engine_variables(request, &engine)?;
    variables.extend(inputs.helper_variables.clone());
    Ok(variables)
}
