//! The page in headless Chromium: nothing on its console, the map drawn and usable,
//! no window too narrow for it. Screenshots are left in `target/report`.
//!
//! Chromium is large: `scripts/setup` installs it for CI and with `SAFEDIB_SLOW=1`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::common::{callers, tool, Caller, Run};
use super::{build, or_lacks, repository};

const CHROMIUM: &str = "/usr/bin/chromium";

/// Opens a page as the ordinary user; `name` tells the screenshots of pages apart.
fn look(run: &Run, caller: &Caller, page: &str, name: &str) {
    let shots = run.dir.join("shots");
    let _ = fs::remove_dir_all(&shots);
    fs::create_dir(&shots).unwrap();
    run.give(&shots);
    let mut words: Vec<String> = Vec::new();
    if let Caller::Other(user) = caller {
        words.extend([
            "setpriv".into(),
            format!("--reuid={}", user.uid),
            format!("--regid={}", user.gid),
            "--init-groups".into(),
            "--".into(),
        ]);
    }
    let script = run.dir.join("browser.py");
    fs::copy(repository().join("tests/report/browser.py"), &script).unwrap();
    words.extend(["/usr/bin/python3".into(), "-B".into()]);
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .arg(&script)
        .arg(CHROMIUM)
        .arg(run.dir.join(page))
        .arg(&shots)
        .env("HOME", run.home())
        .env("LANG", "C.UTF-8")
        .current_dir(&run.dir);
    let said = tool(&mut command);
    println!("{said}");
    let kept = target().join(name);
    fs::create_dir_all(&kept).unwrap();
    for shot in fs::read_dir(&shots).unwrap() {
        let shot = shot.unwrap().path();
        if shot.extension().is_some_and(|extension| extension == "png") {
            fs::copy(&shot, kept.join(shot.file_name().unwrap())).unwrap();
        }
    }
}

fn target() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| repository().join("target"));
    target.join("report")
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it with the slow ones"]
fn pages_work_in_a_browser() {
    let what = "Chromium (/usr/bin/chromium)";
    let there = Path::new(CHROMIUM).exists();
    if or_lacks(&mut Command::new("true"), what, there).is_none() {
        return;
    }
    let caller = callers().remove(0);
    let run = build(&caller, "tar").args(["--report=r.json"]);
    run.run().success();
    let failing = build(&caller, "tar")
        .element_file(
            "wrong",
            "install.d/70-wrong",
            "#!/bin/bash\necho no; exit 3\n",
        )
        .args(["--report=failed.html", "wrong"]);
    failing.run().failure(3, &[]);
    look(&failing, &caller, "failed.html", "failed");
    let run = run.env("VERSION", "2").args(["--report=r.html"]);
    run.run().success();
    look(&run, &caller, "r.html", "compared");
    // A report of something large that another test has built.
    if let Some(page) = std::env::var_os("SAFEDIB_REPORT") {
        fs::copy(&page, run.dir.join("large.html")).unwrap();
        look(&run, &caller, "large.html", "large");
    }
}
