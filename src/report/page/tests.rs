//! What a page must never do, whatever it is about.

use super::*;
use crate::protocol::{Inventory, Manager, Package, Space};
use crate::report::build_report::{Event, EventKind, LayerFacts, Outcome, OutputFacts, State};
use crate::report::{tidy_report, Difference};

const EVIL: &str = "</script><img src=x onerror=alert(1)>\"'&\u{1b}[2J";

fn evil() -> BuildReport {
    let text = || EVIL.to_owned();
    let space = Space {
        name: text(),
        bytes: 4096,
        files: 1,
        directory: true,
        ..Space::default()
    };
    let package = Package {
        name: text(),
        version: text(),
        arch: text(),
        source: Some(text()),
        licence: Some(text()),
        state: Some(text()),
        ..Package::default()
    };
    let mut report = BuildReport {
        outcome: Outcome {
            state: State::Failed,
            message: Some(text()),
            hint: Some(text()),
            hook: Some(text()),
            element: Some(text()),
            tail: vec![text()],
            ..Outcome::default()
        },
        outputs: vec![OutputFacts {
            name: text(),
            path: Some(text()),
            format: text(),
            ..OutputFacts::default()
        }],
        timeline: [EventKind::Hook, EventKind::Step, EventKind::Own]
            .map(|kind| Event {
                kind,
                name: text(),
                phase: Some(text()),
                element: Some(text()),
                seconds: 1.0,
                ..Event::default()
            })
            .to_vec(),
        layer: Some(LayerFacts {
            text: text(),
            hooks: vec![text()],
        }),
        warnings: vec![text()],
        content: Some(Inventory {
            tree: Space {
                bytes: 8192,
                children: vec![space.clone()],
                ..Space::default()
            },
            unowned: space,
            manager: Some(Manager::Dpkg),
            note: Some(text()),
            packages: vec![package],
            ..Inventory::default()
        }),
        ..BuildReport::default()
    };
    report.image.name = text();
    report.image.command = text();
    tidy_report(&mut report);
    let mut earlier = report.clone();
    earlier.warnings.clear();
    earlier.content = Some(Inventory {
        manager: Some(Manager::Dpkg),
        ..Inventory::default()
    });
    report.difference = Some(Difference::between(&earlier, &report, EVIL));
    report
}

#[test]
fn nobodys_words_become_markup() {
    let page = html(&evil());
    assert!(!page.contains("<img"), "markup of a name");
    assert!(!page.contains('\u{1b}'), "a control character");
    // Ours: one for data, one for the program.
    assert_eq!(page.matches("</script>").count(), 2);
    assert_eq!(page.matches("<script").count(), 2);
    let data = page.split("id=\"space-data\">").nth(1).unwrap();
    let data = data.split("</script>").next().unwrap();
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    let name = data["directories"][3][0][0].as_str().unwrap();
    assert!(name.starts_with("</script><img"), "{name}");
}

#[test]
fn only_our_script_may_run_and_nothing_is_fetched() {
    let page = html(&BuildReport::default());
    let script = page.rsplit("<script>").next().unwrap();
    let script = script.split("</script>").next().unwrap();
    let digest = base64(&Sha256::digest(script));
    assert!(page.contains(&format!("script-src 'sha256-{digest}'")));
    assert!(page.contains("default-src 'none'"));
    for foreign in ["http:", "https:", "//", "@import", "url(", "src="] {
        let found = page.match_indices(foreign).any(|(at, _)| {
            // Comments of the script are lines of their own.
            !(foreign == "//" && page[..at].ends_with(|c: char| c.is_whitespace()))
        });
        assert!(!found, "{foreign}");
    }
    assert!(!SCRIPT.contains("innerHTML") && !SCRIPT.contains("eval"));
}

#[test]
fn a_large_image_makes_no_large_page() {
    let package = |number: usize| Package {
        name: format!("a-package-of-ordinary-name-{number}"),
        version: "1:2.34.5-6+deb12u7".into(),
        arch: "amd64".into(),
        bytes: 1 << 20,
        files: 100,
        ..Package::default()
    };
    let file = |number: usize| Space {
        name: format!("a-file-of-ordinary-name-{number}"),
        bytes: 1 << 20,
        files: 1,
        ..Space::default()
    };
    let report = BuildReport {
        content: Some(Inventory {
            tree: Space {
                bytes: 3000 << 20,
                children: (0..3000).map(file).collect(),
                ..Space::default()
            },
            manager: Some(Manager::Dpkg),
            packages: (0..20_000).map(package).collect(),
            ..Inventory::default()
        }),
        ..BuildReport::default()
    };
    let page = html(&report);
    assert!(page.len() < 2_000_000, "{}", page.len());
    assert!(page.contains("Only the first 4000 are shown"));
}

#[test]
fn digests_and_numbers_are_written_as_they_should() {
    for (text, expected) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foobar", "Zm9vYmFy"),
    ] {
        assert_eq!(base64(text.as_bytes()), expected);
    }
    assert_eq!(bytes(0), "0 bytes");
    assert_eq!(bytes(1536), "1.5 KiB");
    assert_eq!(bytes(361 << 20), "361 MiB");
    assert_eq!(bytes(u64::MAX), "16777216 TiB");
    assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
    assert_eq!(counted(1, "file"), "1 file");
    assert_eq!(duration(0.04), "0.04 s");
    assert_eq!(duration(59.4), "59.4 s");
    assert_eq!(duration(184.2), "3 min 4 s");
    assert_eq!(duration(7325.0), "2 h 2 min");
}
