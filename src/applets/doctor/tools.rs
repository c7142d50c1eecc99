//! Commands of the host that builds need.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::driver;
use crate::elements::{self, Need};
use crate::plan::{self, PlannedTool};

use super::findings::{Build, Check, Group};

/// Commands that the default build needs.
pub(super) fn needed(builds: &[Build]) -> Group {
    let path = driver::command_dirs();
    let command = builds.first().map(|build| build.command.as_str());
    Group {
        name: "tools",
        title: format!("commands that `{}` needs", command.unwrap_or_default()),
        checks: of_default(builds)
            .iter()
            .map(|tool| {
                let name = tool.need.describe();
                let by = tool.element.as_deref().unwrap_or("safedib");
                let text = format!("{by}: {}", tool.why);
                match tool.need.is_met(&path) {
                    true => Check::ok(name, text),
                    false => Check::lacks(name, text).mended_by(Some(install(tool.package))),
                }
            })
            .collect(),
    }
}

/// Commands that other builds need: missing ones are none of the default
/// build's lacks.
pub(super) fn others(builds: &[Build]) -> Group {
    let listed = of_default(builds);
    let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
    let mut add = |need: Need, package, by: String| {
        if listed.iter().any(|tool| tool.need == need) {
            return;
        }
        let entry = wanted.entry(need.describe()).or_insert_with(|| Wanted {
            need,
            package,
            by: Vec::new(),
        });
        if !entry.by.contains(&by) {
            entry.by.push(by);
        }
    };
    for tool in elements::known_tools() {
        add(tool.need, tool.package, format!("element {}", tool.element));
    }
    for tool in plan::known_tools() {
        add(tool.need, tool.package, tool.builds);
    }
    let path = driver::command_dirs();
    Group {
        name: "other-tools",
        title: "commands that other builds need".into(),
        checks: wanted
            .into_iter()
            .map(|(name, wanted)| wanted.check(name, &path))
            .collect(),
    }
}

struct Wanted {
    need: Need,
    package: &'static str,
    by: Vec<String>,
}

impl Wanted {
    fn check(self, name: String, path: &[PathBuf]) -> Check {
        let by = self.by.join(", ").replace(", element ", ", ");
        match self.need.is_met(path) {
            true => Check::ok(name, by),
            false => Check::note(name, format!("not installed; needed for {by}"))
                .mended_by(Some(install(self.package))),
        }
    }
}

/// The tools of the default build, each once.
fn of_default(builds: &[Build]) -> Vec<PlannedTool> {
    let mut tools: Vec<PlannedTool> = Vec::new();
    for tool in builds.iter().take(1).flat_map(|build| &build.tools) {
        if !tools.iter().any(|known| known.need == tool.need) {
            tools.push(tool.clone());
        }
    }
    tools
}

fn install(package: &str) -> String {
    format!("apt-get install {package}")
}
