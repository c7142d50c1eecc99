//! Image formats that more than one tool can write.

mod common;

use std::fs;
use std::process::Command;

use common::{callers, tool, Caller, Run};

/// A build to raw and vhd, whose outside hook puts `vhd_util` into the
/// appliance's own /usr/local, and looks at what the machine has otherwise.
fn build(caller: &Caller, vhd_util: &str) -> Run {
    let hook = format!(
        "#!/bin/bash\nset -eu\nrm -f /usr/local/bin/vhd-util\n\
         sudo tee /usr/local/bin/vhd-util > /dev/null <<'END'\n{vhd_util}END\n\
         [ ! -s /usr/local/bin/vhd-util ] || sudo chmod 755 /usr/local/bin/vhd-util\n"
    );
    Run::build(caller, "raw,vhd")
        .element_file("brings", "extra-data.d/50-vhd-util", &hook)
        .args(["safedib-fake-os", "brings"])
}

/// Each conversion appends its types to the bytes, and leaves what upstream
/// expects to be left.
const CONVERTS: &str = r#"#!/bin/bash
set -eu
if [ $# = 0 ]; then
    echo "usage: vhd-util COMMAND [OPTIONS]"
    echo "COMMAND := { create | query | convert | revert }"
    exit 0
fi
[ "$1 $2 $4 $6 $8" = "convert -s -t -i -o" ] && [ $# = 9 ]
cp --sparse=always "$7" "$7.bak"
[ "$7" = "$9" ] || [ ! -e "$9" ]
{ cat "$7.bak"; echo "$3 to $5"; } > "$9"
"#;

#[test]
fn vhd_goes_through_a_vhd_util_that_converts() {
    for caller in callers() {
        let run = build(&caller, CONVERTS);
        let outcome = run.run().success().leaves(&["image.raw", "image.vhd"]);
        assert!(
            outcome
                .stdout
                .contains("Converting image using vhd-util convert\n"),
            "{outcome}"
        );
        let mut expected = fs::read(run.dir.join("image.raw")).unwrap();
        expected.extend(b"0 to 1\n1 to 2\n");
        assert!(fs::read(run.dir.join("image.vhd")).unwrap() == expected);
    }
}

#[test]
fn a_failing_vhd_util_fails_the_build() {
    for caller in callers() {
        let text = CONVERTS.replace("echo \"$3 to $5\"", "echo no room >&2; exit 5");
        build(&caller, &text)
            .run()
            .failure(1, &["vhd-util failed (exit status 5): no room"])
            .leaves(&[]);
    }
}

/// As the raw disk to the byte, found to be VHD by qemu-img itself.
#[test]
fn vhd_is_written_by_qemu_img_where_vhd_util_is_none_or_cannot() {
    let xens = "#!/bin/sh\necho 'usage: vhd-util COMMAND [OPTIONS]'\n\
                echo 'COMMAND := { create | query }'\n";
    let reasons = [
        ("", "there is no vhd-util"),
        (xens, "this vhd-util has no command 'convert'"),
    ];
    for (text, why) in reasons {
        for caller in callers() {
            // No whole number of cylinders, which qemu-img would round up to.
            let run = build(&caller, text).env("DIB_IMAGE_SIZE", "0.2");
            let outcome = run.run().success().leaves(&["image.raw", "image.vhd"]);
            let line = format!("Converting image using qemu-img convert, because {why}\n");
            assert!(outcome.stdout.contains(&line), "{outcome}");
            let qemu_img =
                |words: &[&str]| tool(Command::new("qemu-img").args(words).current_dir(&run.dir));
            let info = qemu_img(&["info", "--output=json", "image.vhd"]);
            let info: serde_json::Value = serde_json::from_str(&info).unwrap();
            assert_eq!(info["format"], "vpc");
            let size = fs::metadata(run.dir.join("image.raw")).unwrap().len();
            assert_eq!(info["virtual-size"], size);
            qemu_img(&["compare", "image.raw", "image.vhd"]);
        }
    }
}

#[test]
fn zstd_is_one_of_the_compressions() {
    let caller = callers().pop().unwrap();
    for (words, kind) in [
        (&["--compression=zstd"][..], "zstd"),
        (
            &[
                "--compression",
                "zlib",
                "--compression",
                "zstd",
                "--qemu-img-options",
                "compat=1.1",
            ],
            "zstd",
        ),
        (&["--compression", "zlib"], "zlib"),
    ] {
        let run = Run::build(&caller, "qcow2").args(words.iter().copied());
        let run = run.args(["safedib-fake-os"]);
        run.run().success().leaves(&["image.qcow2"]);
        let mut info = Command::new("qemu-img");
        info.args(["info", "image.qcow2"]).current_dir(&run.dir);
        let text = tool(&mut info);
        assert!(
            text.contains(&format!("compression type: {kind}\n")),
            "{text}"
        );
    }
    for (words, texts) in [
        (
            ["--compression=xz", "-x"],
            ["'xz'", "hint: give zlib or zstd"],
        ),
        (
            ["--compression=zstd", "-u"],
            ["-u compresses nothing", "hint: leave out"],
        ),
    ] {
        let run = Run::build(&caller, "qcow2").args(words);
        run.args(["safedib-fake-os"]).run().failure(1, &texts);
    }
}
