//! Bills of materials against CycloneDX's own schema, and the same one again.

use std::fs;
use std::process::Command;

use super::common::{callers, Run};
use super::{build, or_lacks, repository};

/// The schemas, in the Python package of CycloneDX's.
const SCHEMAS: &str = "upstream-fixtures/cache/cyclonedx-python-lib-11.12.0/cyclonedx/schema/_res";

fn bills(run: Run) -> Run {
    run.args(["--checksum", "--report=r.cdx.json"])
}

#[test]
fn bills_are_what_the_schema_wants() {
    let schemas = repository().join(SCHEMAS);
    for caller in callers() {
        let packaged = bills(build(&caller, "tar"));
        let bare = bills(Run::build(&caller, "tar").args(["safedib-one-file"]));
        for run in [packaged, bare] {
            run.run().success();
            let mut check = Command::new("/usr/bin/python3");
            check
                .arg("-B")
                .arg(repository().join("tests/report/validate_bill.py"))
                .arg(&schemas)
                .arg(run.dir.join("r.cdx.json"));
            let what = "schema of CycloneDX: run scripts/fetch-fixtures";
            let Some(said) = or_lacks(&mut check, what, schemas.is_dir()) else {
                return;
            };
            assert!(said.contains("valid"), "{said}");
        }
    }
}

#[test]
fn a_reproducible_image_has_a_reproducible_bill() {
    let caller = callers().remove(0);
    let made = |memory: &str| {
        let run = bills(build(&caller, "tar"))
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .env("DIB_NO_TMPFS", memory);
        run.run().success();
        fs::read_to_string(run.dir.join("r.cdx.json")).unwrap()
    };
    let bill = made("0");
    assert_eq!(bill, made("1"));
    assert!(
        bill.contains("\"timestamp\": \"2023-11-14T22:13:20Z\""),
        "{bill}"
    );
}
