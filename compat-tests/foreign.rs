//! Other people's elements, and upstream's: each of them is planned beside an
//! operating system, or refused for the reason that upstream has.
//!
//! What elements resolve to is compared with upstream's resolver, as in
//! `resolution.rs`. The rest of a plan is compared with what stands in the
//! elements' directories, read here in another way, and with tables that were
//! written by hand. `merged_hooks.rs` compares the order of hooks.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use safedib::driver;
use safedib::elements::{Catalog, Phase};
use safedib::error::Explain;
use safedib::plan::{Abilities, ApplianceKind, Plan, PlannedStep};
use safedib::request::{self, BuildRequest, Environment, HostFacts, Parsed};

#[path = "resolver.rs"]
mod resolver;
#[path = "foreign_tables.rs"]
mod tables;

use resolver::{ask_upstream, elements_of, Case, Outcome};
use tables::{DEVICES, PACKAGES, REFUSED, SYSTEM, TOOLS, UPSTREAM, WITH};

/// One element, and the request of a build with it.
struct Subject {
    package: &'static str,
    name: String,
    request: BuildRequest,
}

impl Subject {
    /// `with` is requested before the element.
    fn new(package: &'static str, name: &str, with: &[&str]) -> Subject {
        let directory = |package| elements_of(package).display().to_string();
        let environment: Environment = [
            ("HOME", "/nonexistent".to_owned()),
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
            ("ELEMENTS_PATH", directory(package)),
            ("DIB_ELEMENTS_DIR", directory(UPSTREAM)),
        ]
        .into_iter()
        .collect();
        let options = ["-o", "/tmp/image", "-t", "qcow2"];
        let words: Vec<OsString> = options
            .iter()
            .chain(with)
            .chain([&name])
            .map(Into::into)
            .collect();
        let parsed = request::parse("disk-image-create", &words, &environment);
        let Ok(Parsed::Build(raw)) = parsed else {
            panic!("{words:?} is a build");
        };
        let host = HostFacts::gather().unwrap();
        Subject {
            package,
            name: name.to_owned(),
            request: request::resolve(&raw, &environment, &host).unwrap(),
        }
    }

    /// For a host without KVM.
    fn plan(&self) -> Result<Plan, driver::Error> {
        driver::plan_for(&self.request, &Abilities::default())
    }

    /// What upstream's `disk-image-create` asks its resolver.
    fn case(&self) -> Case {
        Case {
            paths: self.request.elements_path.clone(),
            request: self.request.elements.clone(),
        }
    }

    fn is_of<T>(&self, row: &(&str, &str, T)) -> bool {
        (row.0, row.1) == (self.package, self.name.as_str())
    }
}

/// Every element of every package.
fn subjects() -> Vec<Subject> {
    let mut all = Vec::new();
    for (package, count) in PACKAGES {
        let catalog = Catalog::find(&[elements_of(package)]).unwrap();
        assert_eq!(catalog.elements.len(), count, "elements of {package}");
        all.extend(catalog.elements.keys().map(|name| {
            let row = WITH.iter().find(|row| (row.0, row.1) == (package, name));
            Subject::new(package, name, row.map_or(&[SYSTEM], |row| row.2))
        }));
    }
    all
}

/// Files of a directory of an element for which `counts`, by name.
fn files(directory: &Path, counts: impl Fn(&str, &fs::Metadata) -> bool) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries
        .filter_map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let metadata = fs::metadata(entry.path()).ok()?;
            (metadata.is_file() && counts(&name, &metadata)).then_some(name)
        })
        .collect()
}

/// Hooks as `dib-run-parts` chooses them (`find -xtype f -executable`, and its
/// regular expression), as (phase, name, element).
fn hooks_of(plan: &Plan) -> BTreeSet<(String, String, String)> {
    let is_hook = |name: &str, metadata: &fs::Metadata| {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        metadata.permissions().mode() & 0o111 != 0 && name.chars().all(plain)
    };
    let mut hooks = BTreeSet::new();
    for element in &plan.elements.elements {
        for phase in Phase::ALL.map(Phase::directory) {
            for name in files(&element.path.join(&phase), is_hook) {
                hooks.insert((phase.clone(), name, element.name.clone()));
            }
        }
    }
    hooks
}

/// Block-device configurations of the plan's elements.
fn configurations(plan: &Plan) -> Vec<PathBuf> {
    let is_configuration = |name: &str, _: &fs::Metadata| {
        ["block-device-default.yaml", "block-device-amd64.yaml"].contains(&name)
    };
    let elements = plan.elements.elements.iter();
    elements
        .flat_map(|element| {
            let names = files(&element.path, is_configuration);
            names.into_iter().map(|name| element.path.join(name))
        })
        .collect()
}

/// What differs, in words.
struct Differences<'a> {
    subject: &'a Subject,
    found: Vec<String>,
}

impl Differences<'_> {
    fn expect(&mut self, what: &str, right: bool, found: impl std::fmt::Debug) {
        if !right {
            let Subject { package, name, .. } = self.subject;
            self.found
                .push(format!("{package} {name}: {what}: {found:?}"));
        }
    }
}

/// Elements, hooks and the disk's configuration follow from files.
fn look_at_files(plan: &Plan, upstream: &[(String, PathBuf)], found: &mut Differences) {
    let elements = plan.elements.elements.iter();
    let elements: Vec<(String, PathBuf)> = elements
        .map(|element| (element.name.clone(), element.path.clone()))
        .collect();
    found.expect("elements", elements == upstream, (&elements, upstream));

    let directory = |phase: Phase| phase.directory();
    let hooks = plan.hooks.iter().map(|hook| {
        let (name, element) = (hook.name.clone(), hook.element.clone());
        (directory(hook.phase), name, element)
    });
    let (hooks, expected) = (hooks.collect(), hooks_of(plan));
    let odd: Vec<_> = expected.symmetric_difference(&hooks).collect();
    found.expect("hooks", odd.is_empty(), odd);

    let used = plan.messages.iter();
    let used: Vec<PathBuf> = used
        .filter_map(|line| line.strip_prefix("Using block-device config: "))
        .map(PathBuf::from)
        .collect();
    let there = configurations(plan);
    found.expect("block-device configuration", used == there, (&used, &there));
}

/// Appliances and tools, as the tables have them; what is left at the end.
fn look_at_tables(plan: &Plan, found: &mut Differences) {
    let subject = found.subject;
    let devices = DEVICES.iter().find(|row| subject.is_of(row));
    let in_machine = |step: &&PlannedStep| step.appliance == ApplianceKind::Microvm;
    let why = plan.steps.iter().filter(in_machine);
    let why: BTreeSet<&str> = why.map(|step| step.why.as_str()).collect();
    let right = match devices {
        Some((_, _, reason)) => why.iter().any(|why| why.contains(reason)),
        None => why.is_empty(),
    };
    found.expect("needs a block device", right, why);

    let tools = plan.tools.iter();
    let tools: Vec<String> = tools
        .filter(|tool| tool.element.as_ref() == Some(&subject.name))
        .map(|tool| tool.need.describe())
        .collect();
    let row = TOOLS.iter().find(|row| subject.is_of(row));
    let right = tools == row.map_or([].as_slice(), |row| row.2);
    found.expect("tools", right, tools);

    let outputs = plan.outputs.iter();
    let outputs: Vec<&Path> = outputs.filter_map(|it| it.path.as_deref()).collect();
    let names = plan.elements.names();
    let expected: &[&Path] = match names.contains(&"no-final-image") {
        true => &[],
        false => &[Path::new("/tmp/image.qcow2")],
    };
    found.expect("outputs", outputs == expected, &outputs);

    let json: serde_json::Value = serde_json::to_value(plan).unwrap();
    let listed = json["hooks"].as_array().map_or(0, Vec::len);
    found.expect("hooks in JSON", listed == plan.hooks.len(), listed);
}

#[test]
fn every_element_is_planned_or_refused_as_upstream_does() {
    let subjects = subjects();
    let cases: Vec<Case> = subjects.iter().map(Subject::case).collect();
    let (mut wrong, mut refused) = (Vec::new(), Vec::new());
    for (subject, upstream) in subjects.iter().zip(ask_upstream(&cases, "0")) {
        let mut found = Differences {
            subject,
            found: Vec::new(),
        };
        match (subject.plan(), upstream) {
            (Ok(plan), Outcome::Elements { elements }) => {
                look_at_files(&plan, &elements, &mut found);
                look_at_tables(&plan, &mut found);
            }
            (
                Err(error),
                Outcome::Error {
                    error: class,
                    message,
                },
            ) => {
                let ours = error.to_string();
                found.expect("error", ours.starts_with(&message), (ours, &message));
                found.expect("hint", error.hint().is_some(), &error);
                refused.push((subject.package, subject.name.as_str(), class, message));
            }
            (ours, upstream) => {
                let ours = ours.map(|_| "planned");
                found.expect("outcome", false, (ours, upstream));
            }
        }
        wrong.extend(found.found);
    }
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let expected = REFUSED.map(|(package, name, class, message)| {
        (package, name, class.to_owned(), message.to_owned())
    });
    assert_eq!(refused, expected);
}

/// Upstream refuses [`SYSTEM`] in place of what [`WITH`] has, too: in its
/// resolver, or when it merges the hooks (`merged_hooks.rs` compares that).
#[test]
fn what_is_not_planned_on_debian_cannot_be_built_on_it_by_upstream_either() {
    let others = WITH.iter().filter(|row| row.1 != SYSTEM);
    let subjects: Vec<Subject> = others
        .map(|(package, name, _)| Subject::new(package, name, &[SYSTEM]))
        .collect();
    let cases: Vec<Case> = subjects.iter().map(Subject::case).collect();
    let mut clash = Vec::new();
    for (subject, upstream) in subjects.iter().zip(ask_upstream(&cases, "0")) {
        let ours = subject.plan().expect_err(&subject.name).to_string();
        match upstream {
            Outcome::Error { message, .. } => assert!(ours.starts_with(&message), "{ours}"),
            Outcome::Elements { .. } => {
                let same = "There is a duplicated hook in your elements: ";
                assert!(ours.starts_with(same), "{ours}");
                clash.push(subject.name.as_str());
            }
        }
    }
    let by_hooks = WITH.iter().filter(|row| !row.2.is_empty());
    assert_eq!(clash, by_hooks.map(|row| row.1).collect::<Vec<_>>());
}
