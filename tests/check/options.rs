//! Options, formats and exit codes.

use serde_json::Value;

use super::repository::Repository;

#[test]
fn options_formats_and_exit_codes() {
    let repository = Repository::new();
    let write = |path: &str, text: &str| repository.write(path, 0o755, text);
    write("a/element-deps", "nowhere\n");
    write(
        "a/root.d/10-a",
        "#!/bin/bash\nsudo rm -rf /var/cache/x\nsudo modprobe nbd # rm /etc\n",
    );
    write("b/install.d/10-b", "#!/bin/bash\nrm -rf /var/cache/x\n");
    let repo = repository.root.display().to_string();
    let repo = repo.as_str();
    let run = |arguments: &[&str]| {
        let output = repository.check(arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), text, errors)
    };
    let (status, text, _) = run(&["--ignore=L", repo]);
    assert_eq!(status, Some(1), "{text}");
    for part in [
        "a  [",
        "  error   D101  element-deps:1  unknown dependency: 'nowhere'",
        "  error   H502  root.d/10-a:3   loads kernel modules outside the target: modprobe nbd",
        "  warning H501  root.d/10-a:2   writes outside the target: rm /var/cache/x",
        "2 elements, 1 without findings: 2 errors, 1 warning, 0 notes",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let (status, text, _) = run(&["--summary", "--ignore", "L", repo]);
    assert_eq!(status, Some(1));
    assert!(
        text.contains("a             2         1      0  D101 H501 H502\n"),
        "{text}"
    );
    assert!(
        text.contains("b             0         0      0\n"),
        "{text}"
    );
    let (status, text, _) = run(&["--ignore=D101,H502", repo]);
    assert_eq!(status, Some(0), "{text}");
    let (status, text, _) = run(&["--only", "H501", "--format=json", repo]);
    assert_eq!(status, Some(0));
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["schema"], 1);
    assert_eq!(report["counts"]["warnings"], 1);
    assert_eq!(report["elements"][0]["findings"][0]["severity"], "warning");
    let (_, text, _) = run(&["--only", "L,D101", "--summary", repo]);
    assert!(
        text.contains("  D101 L801 L806 L807 L808 L809 L813\n"),
        "{text}"
    );
    let (status, text, _) = run(&["--explain", "H502"]);
    assert_eq!(status, Some(0));
    assert!(text.contains("Way out: "), "{text}");
    write("c/block-device.d/10-c", "#!/bin/bash\necho $_PREFIX\n");
    for (generation, expected) in [("3", Some(1)), ("1", Some(0))] {
        let (status, text, _) = run(&["--only=G301,G302", "--generation", generation, repo]);
        assert_eq!(status, expected, "{text}");
    }
    for wrong in [
        &[][..],
        &["--generation", "4", repo],
        &["--only", "X1", repo],
        &["--only", "X", repo],
        &["--explain"],
        &["--format", "xml", repo],
        &["--format", "json", "--summary", repo],
        &["--no-such", repo],
        &["/nonexistent"],
        &[repository.root.join("elements/a/root.d").to_str().unwrap()],
    ] {
        let (status, text, errors) = run(wrong);
        assert_eq!((status, text.as_str()), (Some(2), ""), "{wrong:?}");
        assert!(errors.starts_with("check: "), "{errors}");
    }
}
