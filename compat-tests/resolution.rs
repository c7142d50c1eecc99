//! The resolution bar: the elements that a request resolves to, or the kind of
//! error, equal what upstream's own resolver makes of it.
//!
//! The resolver is the one of 3.43.0, run by `resolve_upstream.py`. It is also
//! what the element trees of 1.28.0 and 0.1.46 are resolved with: their own
//! generations' semantics (several providers of a name allowed) are not built
//! yet. Upstream walks Python sets, so one request may have several outcomes
//! that depend on the hash seed: ours must be among those of [`SEEDS`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use safedib::elements::{resolve, Catalog, Error};

#[path = "resolver.rs"]
mod resolver;

use resolver::{ask_upstream, elements_of, Case, Outcome};

/// Values of PYTHONHASHSEED that upstream is run with.
const SEEDS: [&str; 6] = ["0", "1", "2", "3", "4", "5"];

/// Fixed, so that a failure can be repeated.
const RANDOM_SEED: u64 = 0x5afe_d1b0;

fn resolve_ours(case: &Case) -> Outcome {
    let found = Catalog::find(&case.paths).and_then(|catalog| resolve(&case.request, &catalog));
    match found {
        Ok(set) => Outcome::Elements {
            elements: set
                .elements
                .into_iter()
                .map(|element| (element.name, element.path))
                .collect(),
        },
        Err(error) => {
            let class = match &error {
                Error::NotADirectory { .. } => "InvalidElementDir",
                Error::MissingElement { .. } => "MissingElementException",
                Error::AlreadyProvided { .. } | Error::RequestedButProvided { .. } => {
                    "AlreadyProvidedException"
                }
                Error::MissingOperatingSystem { .. } => "MissingOSException",
                other => panic!("{other}: {case:?}"),
            };
            // Upstream logs its message about requested elements and raises
            // an exception without text.
            let message = match &error {
                Error::RequestedButProvided { .. } => String::new(),
                other => other.to_string(),
            };
            Outcome::Error {
                error: class.to_owned(),
                message,
            }
        }
    }
}

/// Equal sets and paths; of errors the same class, with upstream's text at the
/// beginning of ours.
fn agree(ours: &Outcome, upstream: &Outcome) -> bool {
    match (ours, upstream) {
        (
            Outcome::Error { error, message },
            Outcome::Error {
                error: theirs,
                message: text,
            },
        ) => error == theirs && message.is_empty() == text.is_empty() && message.starts_with(text),
        (ours, theirs) => ours == theirs,
    }
}

/// Compares all cases; returns how often each kind of outcome came up.
fn compare(cases: &[Case]) -> BTreeMap<String, usize> {
    let runs: Vec<Vec<Outcome>> = SEEDS.iter().map(|seed| ask_upstream(cases, seed)).collect();
    let mut differences = Vec::new();
    let mut kinds = BTreeMap::new();
    for (index, case) in cases.iter().enumerate() {
        let ours = resolve_ours(case);
        let upstream: BTreeSet<&Outcome> = runs.iter().map(|run| &run[index]).collect();
        if !upstream.iter().any(|outcome| agree(&ours, outcome)) {
            differences.push(format!(
                "{case:?}\n  ours: {ours:?}\n  upstream: {upstream:?}"
            ));
        }
        let kind = match &ours {
            Outcome::Elements { .. } => "resolved".to_owned(),
            Outcome::Error { error, .. } => error.clone(),
        };
        *kinds.entry(kind).or_default() += 1;
        if upstream.len() > 1 {
            *kinds.entry("upstream undecided".to_owned()).or_default() += 1;
        }
    }
    assert!(
        differences.is_empty(),
        "{} of {} cases differ from upstream:\n{}",
        differences.len(),
        cases.len(),
        differences.join("\n")
    );
    println!("{} cases agree: {kinds:?}", cases.len());
    kinds
}

#[test]
fn every_element_of_the_pinned_versions_alone() {
    let mut cases = Vec::new();
    for version in ["3.43.0", "2.38.0", "1.28.0", "0.1.46"] {
        let paths = vec![elements_of(&format!("diskimage-builder-{version}"))];
        let catalog = Catalog::find(&paths).unwrap();
        assert!(catalog.elements.len() > 70, "{version} has its elements");
        cases.extend(catalog.elements.into_keys().map(|name| Case {
            paths: paths.clone(),
            request: vec![name],
        }));
    }
    let kinds = compare(&cases);
    assert!(kinds["resolved"] >= 20, "{kinds:?}");
}

/// Most elements alone only miss an operating system; this compares their sets.
#[test]
fn every_element_of_the_pinned_versions_with_an_operating_system() {
    let mut cases = Vec::new();
    for version in ["3.43.0", "2.38.0", "1.28.0", "0.1.46"] {
        let paths = vec![elements_of(&format!("diskimage-builder-{version}"))];
        let catalog = Catalog::find(&paths).unwrap();
        cases.extend(catalog.elements.into_keys().map(|name| Case {
            paths: paths.clone(),
            request: ["base".to_owned(), "ubuntu".to_owned(), name].into(),
        }));
    }
    let kinds = compare(&cases);
    assert!(kinds["resolved"] >= 250, "{kinds:?}");
}

/// Small dense graphs of made-up elements, where the order of the search
/// decides far more often than among real elements.
#[test]
fn random_graphs() {
    const NAMES: [&str; 9] = ["a", "b", "c", "d", "e", "f", "v", "w", "operating-system"];
    let base = tempfile::tempdir().unwrap();
    let mut random = Random(RANDOM_SEED);
    let mut cases = Vec::new();
    for graph in 0..60 {
        let path = base.path().canonicalize().unwrap().join(graph.to_string());
        for name in NAMES.iter().take(6 + random.below(3)) {
            let mut lists = [String::new(), String::new()];
            for (list, most) in lists.iter_mut().zip([4, 2]) {
                for _ in 0..random.below(most) {
                    list.push_str(NAMES[random.below(NAMES.len())]);
                    list.push('\n');
                }
            }
            if *name == "a" && random.below(4) > 0 {
                lists[1].push_str("operating-system\n");
            }
            let [depends, provides] = lists;
            std::fs::create_dir_all(path.join(name)).unwrap();
            std::fs::write(path.join(name).join("element-deps"), depends).unwrap();
            std::fs::write(path.join(name).join("element-provides"), provides).unwrap();
        }
        cases.extend((0..10).map(|_| {
            Case {
                paths: vec![path.clone()],
                request: (0..=random.below(3))
                    .map(|_| NAMES[random.below(6)].to_owned())
                    .collect(),
            }
        }));
    }
    let kinds = compare(&cases);
    assert!(kinds["resolved"] >= 30, "{kinds:?}");
    assert!(kinds["upstream undecided"] >= 1, "{kinds:?}");
}

struct Random(u64);

impl Random {
    /// Knuth's MMIX generator, its upper bits.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// A request of up to seven elements, mostly with one operating system and
/// mostly with `base`, sometimes with a name twice or one that does not exist.
fn random_request(random: &mut Random, catalog: &Catalog) -> Vec<String> {
    let all: Vec<&String> = catalog.elements.keys().collect();
    let systems: Vec<&String> = catalog
        .elements
        .values()
        .filter(|element| element.provides.contains("operating-system"))
        .map(|element| &element.name)
        .collect();
    let mut request = Vec::new();
    if random.below(3) > 0 {
        request.push("base".to_owned());
    }
    if random.below(8) > 0 {
        request.push(systems[random.below(systems.len())].clone());
    }
    for _ in 0..random.below(6) {
        request.push(all[random.below(all.len())].clone());
    }
    if random.below(12) == 0 {
        request.push("no-such-element".to_owned());
    }
    if request.is_empty() || random.below(8) == 0 {
        request.push(all[random.below(all.len())].clone());
        request.extend(request.last().cloned());
    }
    let first = random.below(request.len());
    request.rotate_left(first);
    request
}

#[test]
fn random_sets_of_elements() {
    let paths = |packages: &[&str]| -> Vec<PathBuf> {
        packages
            .iter()
            .map(|package| elements_of(package))
            .collect()
    };
    let mut random = Random(RANDOM_SEED);
    let mut cases = Vec::new();
    for (count, paths) in [
        (80, paths(&["diskimage-builder-3.43.0"])),
        (
            40,
            paths(&[
                "sahara-image-elements-19.0.0",
                "tripleo-image-elements-15.0.0",
                "diskimage-builder-3.43.0",
            ]),
        ),
        (
            20,
            paths(&[
                "ironic-python-agent-builder-7.4.0",
                "diskimage-builder-3.43.0",
            ]),
        ),
        // One version hides most of the other.
        (
            20,
            paths(&["diskimage-builder-2.38.0", "diskimage-builder-3.43.0"]),
        ),
        (
            20,
            paths(&["tripleo-image-elements-15.0.0", "diskimage-builder-1.28.0"]),
        ),
        (
            20,
            paths(&["sahara-image-elements-19.0.0", "diskimage-builder-0.1.46"]),
        ),
    ] {
        let catalog = Catalog::find(&paths).unwrap();
        cases.extend((0..count).map(|_| Case {
            paths: paths.clone(),
            request: random_request(&mut random, &catalog),
        }));
    }
    assert_eq!(cases.len(), 200);
    let kinds = compare(&cases);
    assert!(kinds["resolved"] >= 50, "{kinds:?}");
    assert!(kinds["MissingElementException"] >= 5, "{kinds:?}");
    assert!(kinds["MissingOSException"] >= 5, "{kinds:?}");
    assert!(kinds["AlreadyProvidedException"] >= 5, "{kinds:?}");
}

#[test]
fn entries_that_are_no_directories() {
    let elements = elements_of("diskimage-builder-3.43.0");
    let cases: Vec<Case> = ["", "/nonexistent", "/dev/null"]
        .iter()
        .map(|entry| Case {
            paths: vec![elements.clone(), PathBuf::from(entry)],
            request: vec!["debian-minimal".to_owned()],
        })
        .collect();
    assert_eq!(compare(&cases)["InvalidElementDir"], 3);
}
