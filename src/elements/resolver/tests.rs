use super::*;
use crate::error::LONGEST_NAME;

/// `name: deps / provides`, separated by semicolons.
fn catalog(text: &str) -> Catalog {
    let mut catalog = Catalog::default();
    for entry in text.split(';').filter(|entry| !entry.trim().is_empty()) {
        let (name, lists) = entry.split_once(':').unwrap();
        let (depends, provides) = lists.split_once('/').unwrap_or((lists, ""));
        let names = |list: &str| list.split_whitespace().map(str::to_owned).collect();
        let name = name.trim().to_owned();
        catalog.elements.insert(
            name.clone(),
            Element {
                path: format!("/e/{name}").into(),
                name,
                depends: names(depends),
                provides: names(provides),
            },
        );
    }
    catalog
}

fn run(request: &str, text: &str) -> Result<ElementSet, Error> {
    let requested: Vec<String> = request.split_whitespace().map(str::to_owned).collect();
    resolve(&requested, &catalog(text))
}

fn names(set: &ElementSet) -> String {
    let names: Vec<&str> = set.elements.iter().map(|e| e.name.as_str()).collect();
    names.join(" ")
}

const OS: &str = "os: / operating-system;";

#[test]
fn sets() {
    for (request, text, expected) in [
        ("os", "", "os"),
        ("os a", "a: b; b: c; c:", "a b c os"),
        ("os a a", "a:", "a os"),
        ("os self", "self: self", "os self"),
        ("os a", "a: b; b: a", "a b os"),
        (
            "os virtual-user p",
            "virtual-user: v; p: / v",
            "os p virtual-user",
        ),
        // Provided before it is looked up: no need for it to exist.
        ("p a os", "p: / gone; a: gone", "a os p"),
        // A provider that comes along as a dependency, before the name's turn.
        ("a os", "a: b z; b: / z; z:", "a b os"),
    ] {
        let set = run(request, &format!("{OS}{text}")).unwrap();
        assert_eq!(names(&set), expected, "{request} in {text}");
    }
}

#[test]
fn errors() {
    for (request, text, expected) in [
        ("nope", "", "Element 'nope' not found"),
        (
            "os a",
            "a: b; b: nope",
            "Element 'nope' not found (asked for by 'b', which 'a' asks for)",
        ),
        (
            "os os",
            "",
            "operating-system: already provided by ['os'] ('os' is requested twice)",
        ),
        (
            "p q os",
            "p: / x; q: / x",
            "x: already provided by ['p'], and by 'q'",
        ),
        (
            "x p os",
            "p: / x; x:",
            "The following elements are already provided by another element\nx : already provided by ['p']",
        ),
        // Conflicts are found before the missing operating system.
        (
            "x p",
            "p: / x; x:",
            "The following elements are already provided by another element\nx : already provided by ['p']",
        ),
        ("a", "a:", "Please include an operating system element"),
        // Breadth first: the dependency's turn comes before its provider's.
        ("os a", "a: b gone; b: c; c: / gone", "Element 'gone' not found (asked for by 'a')"),
        // A cycle of provides: each would replace the other.
        (
            "a b os",
            "a: / b; b: / a",
            "The following elements are already provided by another element\nb : already provided by ['a']",
        ),
    ] {
        let error = run(request, &format!("{OS}{text}")).unwrap_err();
        assert_eq!(error.to_string(), expected, "{request} in {text}");
    }
}

#[test]
fn who_asked_is_recorded_for_every_element() {
    let set = run("os a b", &format!("{OS} a: c b; b: c; c: a")).unwrap();
    let asked = |name: &str| set.requested_by[name].join(",");
    assert_eq!(asked("os"), "");
    assert_eq!(asked("a"), ",c");
    assert_eq!(asked("b"), ",a");
    assert_eq!(asked("c"), "a,b");
}

#[test]
fn near_names_are_suggested() {
    let catalog = catalog("debian-minimal:; debian:; ubuntu:; ubuntu-minimal:; vm:; fedora:");
    for (name, expected) in [
        ("debian-minmal", &["debian-minimal"][..]),
        ("ubutnu", &["ubuntu"]),
        ("minimal", &["debian-minimal", "ubuntu-minimal"]),
        ("wm", &["vm"]),
        ("quite-different", &[]),
    ] {
        assert_eq!(near_names(name, &catalog), expected, "{name}");
    }
}

#[test]
fn operating_systems_are_suggested() {
    let error = run("a", &format!("{OS} a:")).unwrap_err();
    assert!(
        matches!(&error, Error::MissingOperatingSystem { candidates } if candidates == &["os"]),
        "{error:?}"
    );
}

#[test]
fn a_name_longer_than_any_directorys_has_no_near_names() {
    let longest = "x".repeat(LONGEST_NAME);
    let near = |name: &str| {
        let error = run(name, &format!("{OS}{longest}:")).unwrap_err();
        let Error::MissingElement { suggestions, .. } = error else {
            panic!("{error}");
        };
        suggestions
    };
    assert_eq!(near(&longest[1..]), [longest.as_str()]);
    assert!(near(&format!("{longest}x")).is_empty());
    // Compared with the longest name this one would take tens of gigabytes.
    assert!(near(&"x".repeat(16 << 20)).is_empty());
}
