//! Links from page to page lead somewhere.

use std::collections::BTreeSet;

use super::pages::{all, repository, Page};

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &Page) -> BTreeSet<String> {
    let headings = page.text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            title
                .chars()
                .filter(|c| c.is_alphanumeric() || "- _".contains(*c))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let pages = all();
    let pattern = regex::Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let mut followed = 0;
    for page in &pages {
        let directory = repository().join(&page.name);
        let directory = directory.parent().unwrap();
        for found in pattern.captures_iter(&page.text) {
            let link = &found[1];
            assert!(
                !link.contains("://"),
                "{}: {link} leaves the repository",
                page.name
            );
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => repository().join(&page.name),
                _ => directory.join(path),
            };
            let target = target
                .canonicalize()
                .unwrap_or_else(|error| panic!("{}: {link}: {error}", page.name));
            let linked = pages
                .iter()
                .find(|it| repository().join(&it.name).canonicalize().unwrap() == target);
            if let (Some(linked), false) = (linked, anchor.is_empty()) {
                assert!(anchors(linked).contains(anchor), "{}: {link}", page.name);
            }
            followed += 1;
        }
    }
    assert!(followed > 20);
}

/// Whoever reads from the table of contents on reaches every page.
#[test]
fn the_book_names_every_page() {
    let pages = all();
    let contents = pages.iter().find(|it| it.name == "docs/README.md").unwrap();
    for page in &pages {
        let Some(name) = page.name.strip_prefix("docs/") else {
            continue;
        };
        let named = name == "README.md" || contents.text.contains(&format!("]({name})"));
        assert!(named, "docs/README.md does not name {name}");
    }
}
