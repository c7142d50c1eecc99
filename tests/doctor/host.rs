//! The doctor on hosts that lack something, and its answers.

use std::time::Duration;

use serde_json::Value;

use super::common::{callers, Caller, Outcome, Run};

/// What the doctor may take, beside what other tests take at the same time.
const LIMIT: Duration = Duration::from_secs(6);

/// The doctor, with small elements of the names that it looks for.
pub fn doctor(caller: &Caller) -> Run {
    Run::new(caller, "safedib")
        .element_file("base", "element-deps", "")
        .element_file(
            "debian-minimal",
            "element-deps",
            "debootstrap\npackage-installs\n",
        )
        .element_file("debian-minimal", "element-provides", "operating-system\n")
        .element_file("debootstrap", "README.rst", "")
        .element_file("package-installs", "README.rst", "")
        .element_file("block-device-mbr", "README.rst", "")
        .element_file(
            "vm",
            "finalise.d/50-loader",
            "#!/bin/sh\necho $IMAGE_BLOCK_DEVICE\n",
        )
        .args(["doctor"])
}

pub fn mask(paths: &[&str]) -> String {
    let mounts: Vec<String> = paths
        .iter()
        .map(|path| format!("mount --bind /dev/null {path}"))
        .collect();
    mounts.join("; ")
}

/// Fails for a slow doctor and for one that panicked or left something.
#[track_caller]
pub fn calm(outcome: Outcome) -> Outcome {
    assert!(outcome.took < LIMIT, "{:?}: {outcome}", outcome.took);
    assert!(!outcome.stderr.contains("panicked"), "{outcome}");
    outcome.leaves(&[])
}

/// The check of that name in that group.
#[track_caller]
pub fn check<'a>(findings: &'a Value, group: &str, name: &str) -> &'a Value {
    let groups = findings["groups"].as_array().unwrap();
    let group = groups.iter().find(|found| found["name"] == group).unwrap();
    let checks = group["checks"].as_array().unwrap();
    checks
        .iter()
        .find(|check| check["name"] == name)
        .unwrap_or_else(|| panic!("no {name} in {group:#}"))
}

#[track_caller]
pub fn parse(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome}"))
}

/// A host that lacks something: who looks, what root does to the host, and what
/// the doctor must say then.
pub struct Lack<'a> {
    pub setup: &'a str,
    /// Exit status.
    pub status: i32,
    /// Group and name of a check, with its status.
    pub check: (&'a str, &'a str, &'a str),
    /// Part of what it says, and the command that mends it.
    pub detail: &'a str,
    pub mend: Option<&'a str>,
}

impl Lack<'_> {
    #[track_caller]
    pub fn is_found_by(&self, caller: &Caller) -> Option<Value> {
        let run = doctor(caller).args(["--json"]);
        let outcome = calm(run.run_prepared(self.setup, ":")?);
        let findings = parse(&outcome);
        let (group, name, status) = self.check;
        let check = check(&findings, group, name);
        assert_eq!(check["status"], status, "{check:#}");
        let detail = check["detail"].as_str().unwrap();
        assert!(detail.contains(self.detail), "{check:#}");
        assert_eq!(check["mend"].as_str(), self.mend, "{check:#}");
        assert_eq!(outcome.status, self.status, "{outcome}");
        assert_eq!(findings["works"], self.status == 0);
        Some(findings)
    }
}

/// The ordinary user, if there is one: root lacks less.
pub fn ordinary() -> impl Iterator<Item = Caller> {
    let root = nix::unistd::Uid::effective().is_root();
    callers()
        .into_iter()
        .filter(move |caller| !root || *caller != Caller::Current)
}
