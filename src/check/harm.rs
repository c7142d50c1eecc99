//! What worked only by harming the host: H5xx.

use super::file::File;
use super::needs::described;
use super::paths::{looks_like_path, place, Place};
use super::report::Sink;
use super::rules::{self, Rule};
use super::shell::{Call, Shell, Word};

/// Commands that change what all their operands name.
const CHANGE_ALL: [&str; 11] = [
    "rm", "rmdir", "unlink", "mkdir", "touch", "truncate", "mkfifo", "mknod", "shred", "tee",
    "setfattr",
];

/// The same, after a first operand that is no path.
const CHANGE_REST: [&str; 5] = ["chmod", "chown", "chgrp", "setfacl", "restorecon"];

/// Commands that change their last operand.
const CHANGE_LAST: [&str; 5] = ["cp", "mv", "ln", "install", "rsync"];

/// Programs and what it means that a hook outside the target calls them.
const CALLS: [(&[&str], &Rule); 6] = [
    (&["modprobe", "insmod", "rmmod", "depmod"], rules::MODULES),
    (
        &[
            "service",
            "systemctl",
            "initctl",
            "rc-service",
            "start",
            "stop",
            "restart",
            "chkconfig",
            "update-rc.d",
        ],
        rules::SERVICES,
    ),
    (
        &[
            "iptables",
            "ip6tables",
            "nft",
            "setenforce",
            "brctl",
            "ifconfig",
            "ifup",
            "ifdown",
            "swapon",
            "swapoff",
            "firewall-cmd",
            "ufw",
        ],
        rules::KERNEL,
    ),
    (&["pkill", "killall", "killall5"], rules::KILLS),
    (
        &[
            "useradd", "usermod", "userdel", "groupadd", "groupmod", "groupdel", "adduser",
            "addgroup", "deluser", "passwd", "chpasswd", "gpasswd",
        ],
        rules::ACCOUNTS,
    ),
    (&["gem", "easy_install", "npm"], rules::INSTALLS_HOST),
];

/// Options that turn a program to another tree.
const OTHER_ROOT: [&str; 9] = [
    "--root",
    "-R",
    "--installroot",
    "-b",
    "--basedir",
    "-r",
    "--prefix",
    "--target",
    "-t",
];

/// The same for package tools, wherever it stands in an argument.
const ROOT_OPTIONS: [&str; 8] = [
    "--root",
    "--installroot",
    "--basedir",
    "--prefix",
    "--target",
    "Dir=",
    "TARGET_ROOT",
    "TMP_MOUNT_PATH",
];

pub(super) fn look(file: &File, shell: &Shell, sink: &mut Sink) {
    for command in &file.script.commands {
        let call = Call::of(command);
        if call.as_ref().is_some_and(|call| call.chrooted) {
            continue;
        }
        let line = command.line;
        for word in &command.writes {
            written(file, line, ">", word, shell, sink);
        }
        let Some(call) = call else { continue };
        // A function of the script is no program.
        if file.script.functions.contains(&call.name) {
            continue;
        }
        programs(file, &call, sink);
        packages(file, &call, shell, sink);
        mounts(file, &call, shell, sink);
        if let Some(path) = call
            .arguments
            .iter()
            .find_map(|it| it.text.strip_prefix("of="))
        {
            let word = Word {
                text: path.to_owned(),
                quoted: false,
            };
            written(file, line, "dd", &word, shell, sink);
        }
        for word in changed(&call) {
            written(file, line, &call.name, word, shell, sink);
        }
    }
}

fn written(file: &File, line: usize, by: &str, word: &Word, shell: &Shell, sink: &mut Sink) {
    let path = shell.resolve(&word.text);
    if place(&path) != Place::Other && looks_like_path(&path) {
        sink.add(
            rules::WRITES_HOST,
            &file.below,
            line,
            format!("{by} {path}"),
        );
    }
}

/// The words of a call that name what it changes.
pub(super) fn changed<'a>(call: &Call<'a>) -> Vec<&'a Word> {
    let name = call.name.as_str();
    let operands: Vec<&Word> = call.operands().collect();
    if CHANGE_ALL.contains(&name) || (name == "install" && call.has("-d")) {
        return operands;
    }
    if CHANGE_REST.contains(&name) {
        return operands.get(1..).unwrap_or_default().to_vec();
    }
    if CHANGE_LAST.contains(&name) {
        let target = ["-t", "--target-directory"]
            .iter()
            .find_map(|option| call.value_of(option));
        let last = match target {
            Some(target) => call.arguments.iter().find(|word| word.text == target),
            None => operands.last().copied().filter(|_| operands.len() > 1),
        };
        return last.into_iter().collect();
    }
    let fetched = match name {
        "curl" => &["-o", "--output"][..],
        "wget" => &["-O", "--output-document", "-P"],
        _ => &[],
    };
    if let Some(file) = fetched.iter().find_map(|option| call.value_of(option)) {
        return call
            .arguments
            .iter()
            .filter(|word| word.text == file)
            .collect();
    }
    let edits = call
        .arguments
        .iter()
        .any(|word| word.text.starts_with("-i") || word.text.starts_with("--in-place"));
    if name == "sed" && edits {
        let scripted = call.has("-e") || call.has("-f");
        return operands
            .get(usize::from(!scripted)..)
            .unwrap_or_default()
            .to_vec();
    }
    Vec::new()
}

fn programs(file: &File, call: &Call, sink: &mut Sink) {
    let name = call.name.as_str();
    let elsewhere = call.arguments.iter().any(|word| {
        OTHER_ROOT.iter().any(|option| {
            word.text == *option
                || word
                    .text
                    .strip_prefix(option)
                    .is_some_and(|it| it.starts_with('='))
        })
    });
    if elsewhere {
        return;
    }
    if let Some((_, rule)) = CALLS.iter().find(|(names, _)| names.contains(&name)) {
        sink.add(rule, &file.below, call.line, described(call));
    } else if call.program.starts_with("/etc/init.d/") {
        sink.add(
            rules::SERVICES,
            &file.below,
            call.line,
            call.program.to_owned(),
        );
    } else if changes_kernel(call) {
        sink.add(rules::KERNEL, &file.below, call.line, described(call));
    }
}

fn changes_kernel(call: &Call) -> bool {
    match call.name.as_str() {
        "sysctl" => {
            call.has("-w") || call.has("-p") || call.operands().any(|word| word.text.contains('='))
        }
        "ip" => call.arguments.iter().any(|word| {
            matches!(
                word.text.as_str(),
                "add" | "set" | "del" | "delete" | "flush"
            )
        }),
        _ => false,
    }
}

fn packages(file: &File, call: &Call, shell: &Shell, sink: &mut Sink) {
    let verbs: &[&str] = match call.name.as_str() {
        "apt-get" | "apt" | "aptitude" | "yum" | "dnf" | "microdnf" | "zypper" => &[
            "install",
            "remove",
            "update",
            "upgrade",
            "purge",
            "dist-upgrade",
            "autoremove",
            "localinstall",
            "reinstall",
            "refresh",
            "groupinstall",
        ],
        "pip" | "pip2" | "pip3" => &["install", "uninstall"],
        "dpkg" => &["-i", "--install", "-r", "-P", "--purge"],
        "rpm" => &["-i", "-U", "-ivh", "-Uvh", "-e", "--install", "--import"],
        "emerge" => &["--sync"],
        _ => return,
    };
    let other_tree = call.arguments.iter().any(|word| {
        let text = shell.resolve(&word.text);
        ROOT_OPTIONS.iter().any(|option| text.contains(option))
    });
    if !other_tree
        && call
            .arguments
            .iter()
            .any(|word| verbs.contains(&word.text.as_str()))
    {
        sink.add(
            rules::INSTALLS_HOST,
            &file.below,
            call.line,
            described(call),
        );
    }
}

/// `mount` of a directory of the host, or onto one.
fn mounts(file: &File, call: &Call, shell: &Shell, sink: &mut Sink) {
    if call.name != "mount" {
        return;
    }
    let kind = call.value_of("-t").unwrap_or_default();
    let operands: Vec<String> = call
        .operands()
        .filter(|word| {
            call.value_of("-t") != Some(&word.text) && call.value_of("-o") != Some(&word.text)
        })
        .map(|word| shell.resolve(&word.text))
        .collect();
    let [source, .., destination] = operands.as_slice() else {
        return;
    };
    let bind = call.has("--bind")
        || call.has("-B")
        || call.has("--rbind")
        || call.value_of("-o").is_some_and(|it| it.contains("bind"));
    let from_host = bind && kind.is_empty() && place(source) != Place::Other;
    if from_host || place(destination) != Place::Other {
        sink.add(
            rules::MOUNTS_HOST,
            &file.below,
            call.line,
            format!("mount {source} on {destination}"),
        );
    }
}
