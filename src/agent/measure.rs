//! The size of the disk, from the size of the tree
//! (`lib/disk-image-create`, "Calculating image size").

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::context::Context;
use super::error::Error;
use crate::output::content_size;
use crate::plan::{SizeFormula, SizePolicy};

/// Measures the tree, decides the size, exports `DIB_IMAGE_SIZE` in KiB.
///
/// # Errors
/// `du` fails; or a requested size is less than what the tree takes, which
/// upstream notices only when the copy runs out of space.
pub(crate) fn measure(context: &mut Context, policy: &SizePolicy) -> Result<(), Error> {
    if policy.requested_kib.is_none() {
        context.say("Calculating image size (this may take a minute)...")?;
    }
    let reported = match policy.usage_report {
        Some(full) => Some(report(context, full)?),
        None => None,
    };
    let tree_kib = match (reported, &context.reproducible) {
        // What du counts depends on the filesystem of the tree.
        (_, Some(_)) => content_size(&context.built())?.div_ceil(1024),
        (Some(reported), None) => reported,
        (None, None) => du(context, "-scxk")?.1,
    };
    if policy.efi_padding_kib > 0 {
        context.say("Expanding disk for EFI partition")?;
    }
    let size_kib = size_kib(tree_kib, policy);
    if tree_kib > size_kib {
        return Err(Error::TooSmall { tree_kib, size_kib });
    }
    context.set_size(size_kib);
    Ok(())
}

/// The formula: a requested size is taken as it is; else what the tree takes,
/// with what was asked for beside, or divided by 0.6, and a journal. Padding for
/// an EFI partition is added in each case, and all is rounded up to 64 KiB.
///
/// For trees below about 40 MiB upstream's size is too small for its own
/// journal, and mkfs fails; ours is then what mkfs needs.
fn size_kib(tree_kib: u64, policy: &SizePolicy) -> u64 {
    let size = match (policy.requested_kib, policy.extra_kib) {
        (Some(requested), _) => requested,
        (None, Some(extra)) => tree_kib + extra,
        (None, None) if policy.formula == SizeFormula::Blocks600 => (tree_kib * 1024).div_ceil(600),
        // awk computes this in double precision, and truncates
        (None, None) => (tree_kib as f64 / 0.6) as u64,
    };
    let size = match (policy.requested_kib, policy.journal_mib) {
        (None, Some(journal)) => {
            let smallest = smallest_with_journal(journal) + policy.unused_kib;
            (size + journal * 1024).max(smallest)
        }
        _ => size,
    };
    match (policy.formula, policy.requested_kib) {
        (SizeFormula::Blocks600, None) => policy.rounded_kib(size + 1),
        _ => policy.rounded_kib(size),
    }
}

/// mke2fs (1.47) refuses a journal larger than half of what it has left beside
/// its own tables; measured for journals of 16, 64 and 128 MiB.
fn smallest_with_journal(journal_mib: u64) -> u64 {
    journal_mib * (2048 + 10) + 1024
}

/// Runs du on the built tree; its output, and the total of its last line.
fn du(context: &mut Context, options: &str) -> Result<(Vec<u8>, u64), Error> {
    let built = context.built();
    // standard output must not go to the log, so this one runs on its own
    let output = std::process::Command::new("du")
        .arg(options)
        .arg(&built)
        .env("LC_ALL", "C")
        .stdin(std::process::Stdio::null())
        .stderr(
            context
                .log
                .writer()
                .map_err(Error::io("share", "the log"))?,
        )
        .output()
        .map_err(|source| Error::Spawn {
            program: "du".to_owned(),
            source,
        })?;
    if !output.status.success() {
        return Err(Error::Tool {
            program: "du".to_owned(),
            status: super::spawn::shell_status(output.status),
        });
    }
    match total(&output.stdout) {
        Some(total) => Ok((output.stdout, total)),
        None => Err(Error::NoSize {
            program: "du".to_owned(),
            output: String::from_utf8_lossy(&output.stdout).into_owned(),
        }),
    }
}

fn total(output: &[u8]) -> Option<u64> {
    let last = output
        .split(|byte| *byte == b'\n')
        .rfind(|line| !line.is_empty())?;
    std::str::from_utf8(last)
        .ok()?
        .split('\t')
        .next()?
        .parse()
        .ok()
}

/// Prints what takes the space, the largest first; everything if `full`, else
/// what takes 10 MiB and more.
fn report(context: &mut Context, full: bool) -> Result<u64, Error> {
    let (listing, total) = du(context, "-acxk")?;
    let (title, filter) = match full {
        true => ("Image size report", ""),
        // numfmt prints a decimal only below ten
        false => (
            "Image size report (files > 10MiB)",
            " | grep -E 'MiB|GiB|TiB|PiB' | grep -v '\\..MiB'",
        ),
    };
    let path = context.build_dir.join("du_output.tmp");
    write(&path, &listing).map_err(Error::io("write", &path))?;
    let rule = "=".repeat(title.len());
    for line in [&rule, title, &rule] {
        context.say(line)?;
    }
    let script = format!(
        "sort -nr \"$1\" | numfmt --to=iec-i --padding=7 --suffix=B --field=1 --from-unit=1024{filter}; :"
    );
    let invocation = context
        .outside("sh")
        .args(["-c", script.as_str(), "sh"])
        .args([&path]);
    context.run_tool(&invocation)?;
    context.say("\n===== end image size report =====\n")?;
    std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
    Ok(total)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    File::create(path)?.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(requested: Option<u64>, extra: Option<u64>, journal: Option<u64>) -> SizePolicy {
        SizePolicy {
            requested_kib: requested,
            extra_kib: extra,
            journal_mib: journal,
            formula: SizeFormula::SixTenths,
            unused_kib: 0,
            efi_padding_kib: 0,
            usage_report: None,
        }
    }

    #[test]
    fn the_size_is_upstreams() {
        for (tree, policy, expected) in [
            (42 * 1024, policy(None, None, Some(64)), 71680 + 65536),
            (100, policy(None, None, None), 192),
            (96, policy(None, None, None), 192),
            (100_000, policy(None, Some(24), Some(64)), 100_032 + 65536),
            (1000, policy(None, None, Some(64)), 132_736),
            (1000, policy(Some(1_572_864), Some(5), Some(64)), 1_572_864),
            (1000, policy(Some(2001), None, None), 2048),
        ] {
            assert_eq!(size_kib(tree, &policy), expected, "{tree} {policy:?}");
        }
        // 42 MiB are 73401 blocks of 600 bytes; 150 KiB are 256, four times 64
        for (tree, requested, expected) in [
            (42 * 1024, None, 138_944),
            (150, None, 320),
            (150, Some(1 << 20), 1 << 20),
        ] {
            let journal = (tree > 1000).then_some(64);
            let old = SizePolicy {
                formula: SizeFormula::Blocks600,
                ..policy(requested, None, journal)
            };
            assert_eq!(size_kib(tree, &old), expected, "{tree}");
        }
        let efi = SizePolicy {
            efi_padding_kib: 525 * 1024,
            ..policy(Some(1 << 20), None, None)
        };
        assert_eq!(size_kib(10, &efi), (1 << 20) + 525 * 1024);
    }

    #[test]
    fn the_total_is_the_last_line() {
        assert_eq!(total(b"4\t/x/a b\n12\t/x\n16\ttotal\n"), Some(16));
        assert_eq!(total(b""), None);
        assert_eq!(total(b"du: x\n"), None);
    }
}
