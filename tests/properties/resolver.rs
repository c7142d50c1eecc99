//! What resolves is closed, has nothing that nobody asked for, and is the same
//! for every order in which directories are read; cycles end.

use std::collections::BTreeSet;
use std::fs;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::subsequence;
use safedib::elements::{resolve, resolve_loosely, Catalog, Element, ElementSet};

use crate::cases;

/// An element: what it depends on and what it provides, by number.
type Lists = (BTreeSet<usize>, BTreeSet<usize>);

/// Elements 0 to 11, the first of which is the operating system; 12 and 13
/// exist as provided names only, 14 not at all.
fn elements() -> impl Strategy<Value = Vec<Lists>> {
    let depends = btree_set(
        prop_oneof![30 => 0..12usize, 3 => 12..14usize, 1 => Just(14)],
        0..4,
    );
    let provides = btree_set(prop_oneof![3 => 12..14usize, 1 => 0..12usize], 0..2);
    let provides = prop_oneof![4 => Just(BTreeSet::new()), 1 => provides];
    vec((depends, provides), 12)
}

fn request() -> impl Strategy<Value = Vec<usize>> {
    // Each once: of an element that provides something, the second is refused.
    let names = subsequence((1..12usize).collect::<Vec<_>>(), 0..5).prop_shuffle();
    names.prop_map(|mut names| {
        names.insert(names.len() / 2, 0);
        names
    })
}

fn name(number: &usize) -> String {
    format!("e{number:02}")
}

/// Texts of `element-deps` and `element-provides`.
fn texts(index: usize, (depends, provides): &Lists) -> (String, String) {
    let lines = |numbers: &BTreeSet<usize>| -> String {
        numbers
            .iter()
            .map(|number| format!("{}\n", name(number)))
            .collect()
    };
    let system = if index == 0 { "operating-system\n" } else { "" };
    (lines(depends), format!("{system}{}", lines(provides)))
}

fn catalog(elements: &[Lists]) -> Catalog {
    let mut catalog = Catalog::default();
    for (index, lists) in elements.iter().enumerate() {
        let (depends, provides) = texts(index, lists);
        let element = Element::from_lists(name(&index), "/e".into(), &depends, &provides);
        catalog.elements.insert(name(&index), element);
    }
    catalog
}

fn names(set: &ElementSet) -> Vec<String> {
    set.elements
        .iter()
        .map(|element| element.name.clone())
        .collect()
}

fn check(requested: &[String], catalog: &Catalog, set: &ElementSet) -> Result<(), TestCaseError> {
    let there: BTreeSet<String> = names(set).into_iter().collect();
    prop_assert_eq!(there.len(), set.elements.len(), "each is there once");
    prop_assert!(names(set).is_sorted(), "the order is that of names");
    // As upstream has it, an element that another one provides, or it itself, is
    // left out, and what it provides is provided all the same.
    let all = catalog.elements.values();
    let replaced = |element: &&Element| {
        there.contains(&element.name) || all.clone().any(|e| e.provides.contains(&element.name))
    };
    let provided: BTreeSet<&String> = all
        .clone()
        .filter(replaced)
        .flat_map(|element| &element.provides)
        .collect();
    for element in &set.elements {
        prop_assert_eq!(Some(element), catalog.elements.get(&element.name));
        for dependency in &element.depends {
            let met = there.contains(dependency) || provided.contains(dependency);
            prop_assert!(met, "{} lacks {}", element.name, dependency);
        }
        let asked = requested.contains(&element.name)
            || all.clone().any(|e| e.depends.contains(&element.name));
        prop_assert!(asked, "nobody asks for {}", element.name);
    }
    for request in requested {
        prop_assert!(there.contains(request), "{} was asked for", request);
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(3000))]

    #[test]
    fn what_resolves_is_closed_and_asked_for(elements in elements(), request in request()) {
        let catalog = catalog(&elements);
        let requested: Vec<String> = request.iter().map(name).collect();
        match resolve(&requested, &catalog) {
            Ok(set) => {
                check(&requested, &catalog, &set)?;
                prop_assert_eq!(&resolve(&requested, &catalog).unwrap(), &set);
                let loosely = resolve_loosely(&requested, &catalog);
                prop_assert_eq!(&loosely.unwrap(), &set, "the rules until 2.4 allow more");
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    /// Without names that are provided the order of a request means nothing, and
    /// the result is what can be reached.
    #[test]
    fn plain_dependencies_come_to_all_that_can_be_reached(
        depends in vec(btree_set(0..30usize, 0..4), 30),
        request in btree_set(1..30usize, 0..6),
    ) {
        let elements: Vec<Lists> = depends.into_iter().map(|all| (all, BTreeSet::new())).collect();
        let catalog = catalog(&elements);
        let mut reached: BTreeSet<usize> = BTreeSet::new();
        let mut next: Vec<usize> = request.iter().copied().chain([0]).collect();
        while let Some(number) = next.pop() {
            if reached.insert(number) {
                next.extend(&elements[number].0);
            }
        }
        let mut requested: Vec<String> = request.iter().chain(&[0]).map(name).collect();
        let forward = resolve(&requested, &catalog).unwrap();
        prop_assert_eq!(names(&forward), reached.iter().map(name).collect::<Vec<_>>());
        requested.reverse();
        prop_assert_eq!(names(&resolve(&requested, &catalog).unwrap()), names(&forward));
    }

    #[test]
    fn cycles_of_any_length_end(length in 1..400usize, chords in vec((0..400usize, 0..400usize), 0..20)) {
        let mut elements: Vec<Lists> = (0..length)
            .map(|index| (BTreeSet::from([(index + 1) % length]), BTreeSet::new()))
            .collect();
        for (from, to) in chords {
            elements[from % length].0.insert(to % length);
        }
        let set = resolve(&[name(&(length - 1))], &catalog(&elements)).unwrap();
        prop_assert_eq!(set.elements.len(), length);
    }
}

proptest! {
    #![proptest_config(cases(40))]

    /// Directories are listed in the order of their making, on some filesystems,
    /// or of a hash: the elements of two trees made in different orders are the same.
    #[test]
    fn the_order_of_a_listing_does_not_matter(
        elements in elements(),
        order in Just((0..12usize).collect::<Vec<_>>()).prop_shuffle(),
        request in request(),
    ) {
        let made = |order: &[usize]| {
            let base = tempfile::tempdir().unwrap();
            for index in order {
                let (depends, provides) = texts(*index, &elements[*index]);
                let path = base.path().join(name(index));
                fs::create_dir(&path).unwrap();
                fs::write(path.join("element-deps"), depends).unwrap();
                fs::write(path.join("element-provides"), provides).unwrap();
            }
            let found = Catalog::find(&[base.path().to_owned()]).unwrap();
            (base, found)
        };
        let sorted: Vec<usize> = (0..12).collect();
        let ((_one, first), (_other, second)) = (made(&sorted), made(&order));
        let requested: Vec<String> = request.iter().map(name).collect();
        match (resolve(&requested, &first), resolve(&requested, &second)) {
            (Ok(one), Ok(other)) => {
                prop_assert_eq!(names(&one), names(&other));
                prop_assert_eq!(one.requested_by, other.requested_by);
            }
            (one, other) => {
                let text = |error: Option<_>| error.map(|e: safedib::elements::Error| e.to_string());
                prop_assert_eq!(text(one.err()), text(other.err()));
            }
        }
    }
}
