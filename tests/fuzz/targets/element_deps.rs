//! Trees of elements: each paragraph is an element, its first line the name, the
//! lines that begin with `+` what it provides, all others what it depends on; the
//! first paragraph is the request. What resolves is closed: whatever an element
//! depends on is there, or is provided by what is there; or by what is left out
//! because it is itself provided, as upstream has it.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use safedib::elements::{resolve, resolve_loosely, Catalog, Element, ElementSet};

fn catalog(paragraphs: std::str::Split<'_, &str>) -> Catalog {
    let mut catalog = Catalog::default();
    for paragraph in paragraphs {
        let (name, lists) = paragraph.split_once('\n').unwrap_or((paragraph, ""));
        let (provides, depends): (Vec<&str>, Vec<&str>) =
            lists.split('\n').partition(|line| line.starts_with('+'));
        let provides = provides.join("\n").replace('+', "");
        let element = Element::from_lists(
            name.into(),
            "/elements".into(),
            &depends.join("\n"),
            &provides,
        );
        catalog.elements.insert(name.into(), element);
    }
    catalog
}

fn check(set: &ElementSet, catalog: &Catalog) {
    let names: BTreeSet<&str> = set.names().into_iter().collect();
    assert_eq!(names.len(), set.elements.len(), "an element is there once");
    let all = catalog.elements.values();
    let counts = |element: &&Element| {
        names.contains(element.name.as_str())
            || all.clone().any(|e| e.provides.contains(&element.name))
    };
    let provided: BTreeSet<&str> = all
        .clone()
        .filter(counts)
        .flat_map(|element| element.provides.iter().map(String::as_str))
        .collect();
    for element in &set.elements {
        for dependency in &element.depends {
            let met = names.contains(dependency.as_str()) || provided.contains(dependency.as_str());
            assert!(met, "{} lacks {dependency}", element.name);
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut paragraphs = text.split("\n\n");
    let requested: Vec<String> = paragraphs
        .next()
        .unwrap_or_default()
        .split(' ')
        .map(str::to_owned)
        .collect();
    let catalog = catalog(paragraphs);
    match resolve(&requested, &catalog) {
        Ok(set) => {
            check(&set, &catalog);
            assert!(resolve_loosely(&requested, &catalog).is_ok());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
