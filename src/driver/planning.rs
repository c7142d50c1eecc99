//! The plan of a request, as a build would have it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::helpers;
use crate::plan::{Abilities, Plan, PlanInputs, Reproducible, SessionPaths};
use crate::request::{BuildRequest, Generation};

use super::layers::Layers;
use super::{host, machine, own_directories, scratch, Error, INSIDE};

/// Makes the plan of a request as a build would, with placeholders for names
/// that a build chooses at random.
///
/// # Errors
/// As [`Plan::new`].
pub fn plan(request: &BuildRequest) -> Result<Plan, Error> {
    let abilities = machine::abilities(request, machine::Kvm::AsRemembered, &mut |_| {})?;
    plan_for(request, &abilities)
}

/// As [`plan`], for a host with these abilities.
///
/// # Errors
/// As [`Plan::new`].
pub fn plan_for(request: &BuildRequest, abilities: &Abilities) -> Result<Plan, Error> {
    Ok(plan_and_layers(request, abilities, NO_SUFFIX)?.0)
}

/// In place of what a build chooses at random.
const NO_SUFFIX: &str = "XXXXXXXX";
const NO_UUID: &str = "00000000-0000-0000-0000-000000000000";

/// The plan, which begins with a layer if there is one that fits.
pub(super) fn plan_and_layers(
    request: &BuildRequest,
    abilities: &Abilities,
    suffix: &str,
) -> Result<(Plan, Option<Layers>), Error> {
    let uuid = Reproducible::ids(request).uuid("root filesystem");
    let uuid = uuid.map_err(|source| Error::Host {
        what: "make a UUID".into(),
        source,
    })?;
    let Some(options) = &request.layers else {
        return Ok((plan_named(request, abilities, suffix, &uuid)?, None));
    };
    let unnamed = plan_named(request, abilities, NO_SUFFIX, NO_UUID)?;
    let layers = Layers::find(request, options, &unnamed, uuid)?;
    let mut plan = plan_named(request, abilities, suffix, layers.root_uuid())?;
    let scratch: Vec<PathBuf> = own_directories(request).map(|own| own.path).collect();
    layers.change(&mut plan, &scratch);
    Ok((plan, Some(layers)))
}

fn plan_named(
    request: &BuildRequest,
    abilities: &Abilities,
    suffix: &str,
    root_uuid: &str,
) -> Result<Plan, Error> {
    let inside = Path::new(INSIDE);
    let paths = SessionPaths {
        build_dir: request.tmp_dir.join(format!("dib_build.{suffix}")),
        image_dir: request.tmp_dir.join(format!("dib_image.{suffix}")),
        lib_dir: request.lib.clone().unwrap_or_else(|| inside.join("lib")),
        python: inside.join("bin/python3"),
        commands: request
            .generation
            .generation
            .has_commands_on_path()
            .then(|| {
                inside
                    .join("commands")
                    .join(request.generation.generation.name())
            }),
        collect_from: match request.side_directory {
            Some(_) => scratch(request)[0].collect_at.clone(),
            None => scratch(request)[1].collect_at.clone(),
        },
    };
    Ok(Plan::new(
        request,
        &PlanInputs {
            paths,
            ssh_keys: host::ssh_keys(&request.home),
            helper_variables: helper_variables(request.generation.generation),
            scratch: own_directories(request)
                .map(|scratch| (scratch.path, scratch.collect_at))
                .collect(),
            root_uuid: root_uuid.to_owned(),
            abilities,
            exists: &|path| path.exists(),
        },
    )?)
}

/// What upstream's engine defines for the shell scripts that it starts.
fn helper_variables(generation: Generation) -> BTreeMap<String, String> {
    if generation == Generation::V0 {
        return BTreeMap::new();
    }
    let mut variables = helpers::exported_functions();
    variables.insert("PS4".into(), helpers::PS4.into());
    variables
}
