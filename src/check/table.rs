//! The part of `docs/migrating.md` that is made from the rules.

use super::rules::ALL;

/// Where the generated part begins and ends in the page.
#[cfg(test)]
const MARKS: [&str; 2] = ["<!-- codes: generated -->\n", "<!-- end of codes -->\n"];

/// The table of codes.
pub fn markdown() -> String {
    let mut text = String::from("| code | severity | what is found | why it matters | way out |\n| --- | --- | --- | --- | --- |\n");
    for rule in ALL {
        let row = [
            rule.code,
            rule.severity.name(),
            rule.title,
            rule.reason,
            rule.way_out,
        ];
        text.push_str(&format!("| {} |\n", row.join(" | ").replace('\n', " ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_current() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/migrating.md");
        let page = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = page.split_once(MARKS[0]).expect("mark of the beginning");
        let (_, after) = rest.split_once(MARKS[1]).expect("mark of the end");
        let current = format!("{before}{}{}{}{after}", MARKS[0], markdown(), MARKS[1]);
        if std::env::var_os("SAFEDIB_WRITE_DOCS").is_some() {
            std::fs::write(&path, &current).unwrap();
        }
        let page = std::fs::read_to_string(&path).unwrap();
        assert!(
            page == current,
            "docs/migrating.md is out of date; run SAFEDIB_WRITE_DOCS=1 cargo test check"
        );
    }
}
