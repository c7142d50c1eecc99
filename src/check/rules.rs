//! The rules as data: what a code means, why it matters, and the way out.
//! `docs/migrating.md` has the table.

use serde::{Serialize, Serializer};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// A build with the element fails.
    Error,
    /// The element behaves differently than its author expects.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    /// All, the worst first.
    pub const ALL: [Severity; 3] = [Severity::Error, Severity::Warning, Severity::Note];

    /// `error`, `warning`, `note`.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// A kind of finding.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable code: never reused for something else.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What is found, in a few words.
    pub title: &'static str,
    /// Why it matters.
    pub reason: &'static str,
    /// What to do about it.
    pub way_out: &'static str,
}

impl Rule {
    /// Whether it is one of dib-lint's, of which a script easily has several.
    pub(super) fn is_lint(&self) -> bool {
        self.code.starts_with('L')
    }

    /// The rule of a code.
    pub fn of(code: &str) -> Option<&'static Rule> {
        ALL.iter().copied().find(|rule| rule.code == code)
    }
}

/// Rules go out as their codes.
pub(super) fn as_code<S: Serializer>(rule: &&'static Rule, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(rule.code)
}

macro_rules! rules {
    ($($id:ident = $code:literal, $severity:ident, $title:literal, $reason:literal, $way_out:literal;)*) => {
        $(
            #[doc = $title]
            pub const $id: &Rule = &Rule {
                code: $code,
                severity: Severity::$severity,
                title: $title,
                reason: $reason,
                way_out: $way_out,
            };
        )*

        /// All rules, by code.
        pub const ALL: &[&Rule] = &[$($id),*];
    };
}

rules! {
    UNRESOLVED = "D101", Error, "unknown dependency",
        "A build with this element ends before any hook runs.",
        "Put the repository that has the element on ELEMENTS_PATH (and name it to check), or take the line out of element-deps.";
    NOT_A_NAME = "D102", Error, "a line of element-deps or element-provides is no name",
        "Every line is the name of an element: there are no comments, and blanks are part of the name.",
        "Leave one name on each line and nothing else.";
    MISNAMED_DEPS = "D103", Warning, "a list of dependencies under a name that is not read",
        "Only element-deps and element-provides are read, so what this file lists is not part of the build.",
        "Rename it to element-deps, and see whether the element still resolves.";
    CONFLICT = "D104", Error, "the dependencies exclude each other",
        "The elements that this one asks for provide the same name, which ends a build.",
        "Depend on one provider, or let the user choose it by naming it on the command line.";
    NOT_EXECUTABLE = "F201", Warning, "hook is not executable",
        "A hook without the x bit does not run.",
        "chmod +x it, or move it to a directory that is no phase's.";
    BAD_NAME = "F202", Warning, "executable file with a name that is no hook's",
        "Only letters, digits, - and _ may stand in a hook's name; any other file does not run.",
        "Rename it (a suffix such as .sh or .bash goes), or take the x bit off.";
    DANGLING = "F203", Warning, "hook is a link to nothing",
        "The hooks of all elements are copied into one tree; where the link leads does not come along.",
        "Make the link relative to a file in the same element that is copied too, or copy the file.";
    NO_SHEBANG = "F204", Note, "hook without a #! line",
        "bash, which starts the hooks, runs it itself; nothing says which interpreter was meant.",
        "Begin it with #!/bin/bash.";
    DUPLICATE = "F205", Error, "hook has the same name as a dependency's",
        "The hooks of all elements are copied into one tree, and a name that is taken ends the build.",
        "Rename one of them; by convention the element's name stands in it.";
    ODD_PHASE = "F206", Warning, "directory looks like a phase and is none",
        "Nothing runs what is in it.",
        "Move the scripts to the phase that is meant.";
    CARRIAGE_RETURN = "F207", Error, "the #! line ends in a carriage return",
        "The kernel looks for an interpreter whose name ends in that character.",
        "Store the file with Unix line ends.";
    LOST = "F208", Note, "the script could not be read to its end",
        "A quote or bracket stays open for this scanner: findings may be missing.",
        "See whether bash -n accepts the script; if it does, this is our fault.";
    DEVICE_HOOKS = "G301", Error, "hooks of block-device.d",
        "Up to 1.x these made the disk. Since 2.4 a block-device configuration describes it, and no hook makes it.",
        "Build with --generation 1 (and elements of that time), or describe the layout in block-device-default.yaml as upstream's block-device-mbr does.";
    PREFIX = "G302", Error, "reads _PREFIX",
        "Only the engines of 0.1.x and 1.x set it; hooks run with `set -u` end there.",
        "Use _LIB for the engine's files, and TMP_HOOKS_PATH for files of elements; or build with --generation 1.";
    RUN_PARTS = "G303", Warning, "calls dib-run-parts",
        "It was a command of the host, and one of the target where the element dib-run-parts put it.",
        "Depend on the element dib-run-parts for the target; outside, loop over the files.";
    ELEMENT_INFO = "G304", Warning, "calls element-info",
        "The command belongs to the host, and is not in the appliance.",
        "IMAGE_ELEMENT has the names, IMAGE_ELEMENT_YAML and get_image_element_array have the directories.";
    DIE_INSIDE = "G305", Warning, "calls `die` in the target",
        "The function is exported to hooks outside only: sudo drops functions on the way into the target. The hook ends with `command not found` instead of its message.",
        "Write the message to standard error and exit 1.";
    ROOT_UUID = "G306", Warning, "reads DIB_IMAGE_ROOT_FS_UUID",
        "Engines since 2.4 do not set it: the block-device layer makes the filesystem.",
        "Mount by label: DIB_ROOT_LABEL.";
    TARGET_ROOT = "G307", Error, "reads TARGET_ROOT where it is not set",
        "It is set in root.d and cleanup.d only, and never in the target.",
        "Outside use TMP_MOUNT_PATH; in the target its paths begin with /.";
    DIB_PYTHON = "G308", Error, "needs dib-python without depending on it",
        "/usr/local/bin/dib-python is made in pre-install.d by the element dib-python.",
        "Add dib-python to element-deps, or write #!/usr/bin/env python3.";
    NEEDS_COMMAND = "N401", Note, "needs a command outside the target",
        "Hooks outside the target see the commands of the host's /usr, read-only; the microvm appliance has those of its packages.",
        "Install the package on the building host; for the microvm add it to DIB_APPLIANCE_PACKAGES.";
    NEEDS_DEVICE = "N402", Note, "needs a block device",
        "Only the microvm appliance has block devices; the build is slower there, and needs qemu.",
        "Nothing, if `safedib doctor` finds the microvm usable. Without devices the build runs in namespaces.";
    HOST_PATH = "N403", Warning, "reads a path of the host that the appliance does not show",
        "Hooks outside the target see the host's /usr and some of /etc; /home, /opt, /srv, /var and the like are empty.",
        "Hand the directory in with --share PATH, or let a variable name it that the user sets to a shared path.";
    NETWORK = "N404", Note, "uses the network outside the target",
        "The build fails with --no-network or DIB_OFFLINE unless the hook has another way.",
        "Fetch by source-repositories or cache-url, which keep what they fetched.";
    CONTAINERS = "N405", Warning, "uses a container engine outside the target",
        "The appliance has no socket of the host's docker or podman.",
        "Start from a root element that needs no container, or bring the tree as a tarball by DIB_LOCAL_IMAGE.";
    OTHER_USER = "N406", Warning, "becomes another user outside the target",
        "The appliance has root and the caller; files of other users of the host are not there.",
        "Leave `sudo -u` out: what variables such as DIB_X name is shared with the appliance as the caller sees it.";
    ASKS_USER = "N407", Warning, "asks whether it runs as root outside the target",
        "Upstream hooks outside run as the caller and call sudo. In the appliance they run as its root.",
        "Take the question out: root of the appliance is no root of the host.";
    WRITES_HOST = "H501", Warning, "writes outside the target",
        "Upstream, with sudo, this changed the host. Here it changes the appliance, and is gone at its end.",
        "Write below TMP_MOUNT_PATH (TARGET_ROOT), TMP_BUILD_DIR or DIB_IMAGE_CACHE, or to files named after IMAGE_NAME.";
    MODULES = "H502", Error, "loads kernel modules outside the target",
        "Upstream this changed the host's kernel. The appliance's modules are not the hook's to load.",
        "Take it out; a module that the image needs at boot belongs in its /etc/modules-load.d.";
    SERVICES = "H503", Warning, "controls services outside the target",
        "Upstream this started or stopped services of the host. No service manager runs in the appliance.",
        "Take it out, or enable the service in the target (systemctl enable in install.d).";
    MOUNTS_HOST = "H504", Warning, "mounts a directory of the host, or outside the target",
        "Upstream this stayed mounted on the host when the build was killed. The appliance does not have the directory.",
        "Hand it in with --share PATH; caches belong in DIB_IMAGE_CACHE.";
    INSTALLS_HOST = "H505", Warning, "installs packages outside the target",
        "Upstream this changed the host. The appliance's package tools do not install into it.",
        "Install what the hook needs on the building host; what the image needs belongs in package-installs.yaml.";
    KERNEL = "H506", Error, "changes settings of the host's kernel or network",
        "Upstream this changed the host. The appliance refuses it, or it changes only the appliance.",
        "Take it out; settings of the image belong in its /etc/sysctl.d and network configuration.";
    KILLS = "H507", Warning, "kills processes by name outside the target",
        "Upstream this hit processes of the host. In the appliance there are none but the build's.",
        "Take it out: what hooks leave running is ended after each phase.";
    ACCOUNTS = "H508", Warning, "changes accounts outside the target",
        "Upstream this changed the host's users or groups.",
        "Run it in the target, in install.d, or by chroot.";
    UNSET = "V601", Note, "reads a variable that nothing sets",
        "No engine sets it, no environment.d that was seen, and no README names it; under `set -u`, and in a `when` of package-installs, the build ends there if the user does not export it.",
        "Give it a default in environment.d (export X=${X:-value}), and name it in the README.";
    OUTSIDE_PATH = "V602", Warning, "uses a directory of the builder in the target",
        "The variable holds a path outside the target, where it leads nowhere.",
        "In the target paths begin with /; files of hooks lie beside the hook, at $(dirname $0)/..";
    PYTHON2_OUTSIDE = "P701", Error, "Python 2 outside the target",
        "No system that builds today has a python or python2 command by default.",
        "Port the hook to Python 3, with #!/usr/bin/env python3.";
    PYTHON2_INSIDE = "P702", Warning, "Python 2 in the target",
        "Current releases have neither python nor python2, unless the element installs one.",
        "Call python3, or depend on dib-python and call dib-python.";
    PYTHON2_CODE = "P703", Warning, "code that only Python 2 runs",
        "Python 3 stops at it, or does not find the module.",
        "Port it; 2to3 shows what to change.";
    NO_README = "L801", Note, "lacks a README.rst",
        "Nothing says what the element is for, and which variables it knows.",
        "Write one; the first lines say what the element does.";
    LINT_MODE = "L802", Note, "script is not executable",
        "A #! line without the x bit: what calls it by name fails.",
        "chmod +x it, or take the #! line out.";
    LINT_INDENT = "L803", Note, "indentation is no multiple of four spaces",
        "Upstream's convention for scripts.",
        "Indent by four, or switch the test off in the file: # dib-lint: disable=indent";
    LINT_UNSORTED = "L804", Note, "element-deps is not sorted",
        "Upstream's convention; no order of dependencies is kept.",
        "Sort it: LC_ALL=C sort -o element-deps element-deps";
    LINT_INTERPRETER = "L805", Note, "bash by another #! line than #!/bin/bash",
        "Upstream's convention; /usr/bin/env finds whatever comes first on PATH.",
        "Begin it with #!/bin/bash.";
    LINT_ERRORS = "L806", Note, "bash script goes on after errors",
        "Without set -e a command that fails does not end the hook, and the image is built without what it should have done.",
        "Add set -e (or set -eu), or switch the test off in the file: # dib-lint: disable=sete";
    LINT_UNSET = "L807", Note, "bash script takes unset variables for empty ones",
        "Without set -u a name that is mistyped is an empty text.",
        "Add set -u (or set -eu), or switch the test off in the file: # dib-lint: disable=setu";
    LINT_PIPEFAIL = "L808", Note, "bash script looks at the last command of a pipe only",
        "Without set -o pipefail a download that fails before a pipe goes unnoticed.",
        "Add set -o pipefail, or switch the test off in the file: # dib-lint: disable=setpipefail";
    LINT_TRACE = "L809", Note, "bash script does not follow DIB_DEBUG_TRACE",
        "With -x, hooks are expected to show what they do.",
        "Begin with: if [ ${DIB_DEBUG_TRACE:-0} -gt 0 ]; then set -x; fi; or switch the test off in the file: # dib-lint: disable=dibdebugtrace";
    LINT_TRACES = "L810", Note, "file of environment.d sets tracing",
        "It is sourced: every script after it is traced.",
        "Take set -x out.";
    LINT_EXECUTABLE = "L811", Note, "file of environment.d is executable",
        "It is sourced, and never started.",
        "Take the x bit off.";
    LINT_EXPORT = "L812", Note, "export and command substitution in one line",
        "The status is that of export: set -e does not see that the command failed.",
        "Split it: NAME=$(...), then export NAME.";
    LINT_SUDO = "L813", Note, "sudo outside the target, on a line that names no place of the build",
        "Upstream it ran as root of the host. Here it is root of the appliance.",
        "Name TARGET_ROOT or TMP_MOUNT_PATH on the line; where it is right as it is, write # dib-lint: safe_sudo behind it.";
    LINT_WHICH = "L814", Note, "calls which",
        "Small systems do not have the command.",
        "Use command -v or type -p; where it is only the word, write # dib-lint: which behind it.";
    LINT_TABS = "L815", Note, "indented by tabs",
        "Upstream's convention for scripts and documentation.",
        "Use spaces, or switch the test off in the file: # dib-lint: disable=tabindent";
    LINT_NEWLINE = "L816", Note, "no newline at the end",
        "Upstream's convention; `read` does not see the last line.",
        "End the file with a newline.";
    MARKDOWN = "L817", Note, "documentation in Markdown",
        "Upstream's convention: documentation is reStructuredText.",
        "Make it a .rst.";
    LINT_PYTHON = "L818", Note, "layout of a Python script",
        "Codes of flake8, by the settings of the repository's tox.ini, setup.cfg or .flake8.",
        "See what flake8 says of the file; # noqa behind a line excuses it.";
    BAD_YAML = "L819", Note, "file cannot be read as YAML",
        "Nothing of the engine's reads it, but its name says that something should.",
        "Mend it: python3 -c 'import sys, yaml; yaml.safe_load(sys.stdin)' < FILE";
    UNREADABLE = "C901", Error, "configuration file that cannot be read",
        "The hook that reads this file of all elements of a build fails: those of package-installs and svc-map outside the target, pkg-map where a package is to be installed.",
        "Mend it: pkg-map is JSON, svc-map is YAML, package-installs either.";
    BAD_PACKAGES = "C902", Error, "package-installs has an entry that ends the build",
        "The hook 99-squash-package-install of the element package-installs stops at it.",
        "An entry is a mapping (or a list of such) with phase, uninstall, build-only, installtype, arch or not-arch, dib_python_version, when.";
    NO_EFFECT = "C903", Warning, "configuration without effect",
        "The script that reads the file does not look at this, or never finds it to be the case.",
        "Correct the name, or take it out.";
    BAD_MAP = "C904", Error, "pkg-map is not built as it must be",
        "pkg-map fails in the target, and so does every installation of packages of the element.",
        "default holds names; family and distro hold mappings of names by their own names; release holds such by distribution and release.";
    BAD_SERVICES = "C905", Error, "svc-map is not built as it must be",
        "The hook 10-merge-svc-map-files of the element svc-map stops at it.",
        "A service is a mapping of distributions, families or default to names, and stands in one element only.";
    BAD_LAYOUT = "C906", Error, "block-device configuration is not valid",
        "A build that takes this configuration ends before any hook runs.",
        "Correct the node that the message names.";
    PROVIDES_ELEMENT = "C907", Note, "provides a name that an element has",
        "A build that asks for both ends; where only this one is asked for, the other is not part of it.",
        "Nothing, if it is meant to stand for that element; else provide a name of its own.";
    BAD_REPOSITORY = "C908", Error, "line of a source-repository file that cannot be read",
        "The hook of source-repositories stops at it.",
        "NAME TYPE DESTINATION LOCATION [REF], with the type git, tar, file or package, and a DESTINATION that begins with /.";
    LOST_REPOSITORY = "C909", Warning, "last line of a source-repository file is not read",
        "The hook of source-repositories reads whole lines: without a newline the repository is not fetched, and nothing says so.",
        "End the file with a newline.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_sorted_by_topic() {
        let codes: Vec<&str> = ALL.iter().map(|rule| rule.code).collect();
        let mut unique = codes.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), codes.len());
        for rule in ALL {
            assert!(rule.reason.ends_with('.'), "{}", rule.code);
            assert!(rule.way_out.len() > 10, "{}", rule.code);
            assert!(
                rule.title
                    .starts_with(|c: char| !c.is_uppercase() || c == 'P'),
                "{}",
                rule.code
            );
        }
    }
}
