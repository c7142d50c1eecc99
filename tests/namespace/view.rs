//! What hooks see and may do.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use nix::unistd::{getegid, geteuid};
use safedib::appliance::{Scratch, WorkDir};

use crate::environment::{run, run_ok, script, share, spec};

#[test]
fn inner_root_is_the_caller_or_nobody_of_the_host() {
    let output = run_ok(
        &spec(),
        "id -u; id -g; id -G; cat /proc/self/uid_map; echo $$; cat /proc/1/comm",
    );
    let lines: Vec<Vec<&str>> = output
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines[..3], [["0"], ["0"], ["0"]]);
    if geteuid().is_root() {
        assert_eq!(lines[3][0], "0");
        assert_ne!(lines[3][1], "0", "inner root is host root");
        assert_eq!(lines[3][2], "65536");
    } else {
        assert_eq!(lines[3], ["0", "0", "1"]);
        assert_eq!(lines[4][..2], ["1", "1"]);
        assert!(lines[4][2].parse::<u32>().unwrap() >= 65_534);
    }
    assert!(output.ends_with("2\nsafedib\n"), "{output}");
}

#[test]
fn nobody_waits_for_the_disk() {
    // There is no descriptor 999: whoever asked the kernel would hear of it.
    let calls = "import os; os.fsync(999); os.fdatasync(999); os.sync(); print('at once')";
    let output = run_ok(&spec(), &format!("python3 -c {calls:?}"));
    assert_eq!(output, "at once\n");
}

#[test]
fn the_maps_as_the_host_sees_them() {
    // Of the agent: pid 1 hides itself.
    let marker = format!("safedib-maps-{}", std::process::id());
    let running =
        safedib::appliance::namespace::start(&spec(), &script(&format!("sleep 60 # {marker}\n:")))
            .unwrap();
    let pid = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .find(|entry| {
            let path = entry.path();
            fs::read(path.join("cmdline"))
                .is_ok_and(|text| String::from_utf8_lossy(&text).contains(&marker))
                && fs::read_to_string(path.join("status"))
                    .is_ok_and(|text| text.contains("\nNoNewPrivs:\t1"))
        })
        .expect("the agent");
    let map = fs::read_to_string(pid.path().join("uid_map")).unwrap();
    let first: Vec<u32> = map
        .lines()
        .next()
        .unwrap()
        .split_whitespace()
        .map(|word| word.parse().unwrap())
        .collect();
    assert_eq!(first[0], 0);
    if geteuid().is_root() {
        assert!(first[1] >= 65_536, "{map}");
    } else {
        assert_eq!(first[1], geteuid().as_raw(), "{map}");
    }
    running.end();
}

#[test]
fn nothing_of_the_host_that_is_not_shared_is_seen() {
    let secret = tempfile::tempdir().unwrap();
    let output = run_ok(
        &spec(),
        &format!(
            "ls -A /home/* /root /srv /opt /mnt /boot 2>/dev/null | grep -v -e : -e '^$'
             ls -A /var/lib/dpkg/info /tmp /run/lock /dev/shm
             test -e {} && echo tmp
             for f in shadow gshadow sudoers ssh machine-id ssl/private hostid; do test -e /etc/$f && echo $f; done
             test -s /var/lib/dpkg/status && echo dpkg
             test -e /.host -o -e /.layers && echo old root
             ls -d /proc/[0-9]* | wc -l",
            secret.path().display()
        ),
    );
    let expected = ["/var/lib/dpkg/info:", "/tmp:", "/run/lock:", "/dev/shm:"];
    let seen: Vec<&str> = output
        .lines()
        .filter(|line| !line.is_empty() && !expected.contains(line))
        .collect();
    assert!(
        seen.len() == 1 && seen[0].parse::<u32>().unwrap() < 8,
        "{output}"
    );
}

#[test]
fn the_system_is_written_over_and_stays_as_it_was() {
    let name = format!("safedib-test-{}", std::process::id());
    run_ok(
        &spec(),
        &format!("set -e; touch /usr/bin/{name} /usr/lib/{name} /etc/{name} /{name} ~/{name} /var/tmp/{name} /opt/{name}; mkdir /usr/share/{name}; echo x >> /etc/passwd"),
    );
    for dir in [
        "/usr/bin",
        "/usr/lib",
        "/etc",
        "/",
        "/var/tmp",
        "/opt",
        "/usr/share",
    ] {
        assert!(!fs::exists(format!("{dir}/{name}")).unwrap(), "{dir}");
    }
}

#[test]
fn read_only_shares_stay_so_and_writable_ones_are_the_callers() {
    let dir = tempfile::tempdir().unwrap();
    let (ro, rw) = (dir.path().join("ro"), dir.path().join("rw"));
    for path in [&ro, &rw] {
        fs::create_dir(path).unwrap();
        fs::write(path.join("file"), "host").unwrap();
        fs::set_permissions(path.join("file"), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let file = dir.path().join("single");
    fs::write(&file, "single").unwrap();
    let mut spec = spec();
    spec.shares = vec![share(&ro, false), share(&rw, true), share(&file, false)];
    let output = run_ok(
        &spec,
        &format!(
            "cd {}
             ls -A; cat ro/file rw/file single; echo
             stat -c %u:%g ro/file rw/file rw
             for f in ro/file ro/new single; do (echo x > $f) 2>/dev/null && echo wrote $f; done
             for m in ro single; do mount -o remount,rw,bind $PWD/$m 2>/dev/null && echo remounted $m; umount $PWD/$m; done
             ls -A ro; echo x > ro/file
             echo inside > rw/new; chown 33:44 rw/new; true",
            dir.path().display()
        ),
    );
    assert_eq!(
        output, "ro\nrw\nsingle\nhosthostsingle\n0:0\n0:0\n0:0\n",
        "{output}"
    );
    assert_eq!(fs::read_to_string(ro.join("file")).unwrap(), "host");
    assert_eq!(fs::read_to_string(&file).unwrap(), "single");
    let owner = fs::metadata(rw.join("new")).unwrap();
    if geteuid().is_root() {
        assert_eq!((owner.uid(), owner.gid()), (33, 44));
    } else {
        assert!(owner.uid() > 65_535);
    }
    assert_eq!(
        fs::metadata(rw.join("file")).unwrap().gid(),
        getegid().as_raw()
    );
}

#[test]
fn a_scratch_directory_keeps_what_hooks_write_apart() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("sub")).unwrap();
    fs::write(dir.path().join("sub/old"), "host").unwrap();
    let mut spec = spec();
    spec.shares = vec![share(dir.path(), false)];
    spec.scratch = vec![
        Scratch {
            path: dir.path().join("sub"),
            collect_at: "/run/safedib/a".into(),
        },
        Scratch {
            path: "/elsewhere/x y".into(),
            collect_at: "/run/safedib/b".into(),
        },
    ];
    let output = run_ok(
        &spec,
        &format!(
            "cd {}/sub; cat old; echo; echo n > new; echo o >> old; rm -f nothing; cat old
             cd '/elsewhere/x y'; mkdir -p d; echo z > d/e; ls -A /run/safedib/a; cat /run/safedib/b/d/e",
            dir.path().display()
        ),
    );
    assert_eq!(output, "host\nhosto\nnew\nold\nz\n");
    assert_eq!(
        fs::read_to_string(dir.path().join("sub/old")).unwrap(),
        "host"
    );
    assert!(!dir.path().join("sub/new").exists());
}

#[test]
fn a_target_can_be_built_in_a_work_directory() {
    let disk = tempfile::tempdir().unwrap();
    let mut spec = spec();
    spec.work_dirs = vec![
        WorkDir {
            path: "/tmp/dib_build.x".into(),
            on_disk: None,
        },
        WorkDir {
            path: "/tmp/dib_image.x".into(),
            on_disk: Some(disk.path().to_owned()),
        },
    ];
    let output = run_ok(
        &spec,
        "set -e
         for d in /tmp/dib_build.x /tmp/dib_image.x; do
             cd $d; stat -c %a .
             touch f; chown 65534:65534 f; stat -c %u:%g f
             cp /bin/true cap; chown 0:0 cap; setcap cap_net_raw+ep cap; getcap cap
             touch t; setfattr -n user.t -v 1 t; getfattr --only-values -n user.t t; echo
             mkdir -p m/proc m/sys m/dev m/b; mount -t proc proc m/proc; mount -t sysfs sysfs m/sys
             mount --rbind /dev m/dev; echo x > m/dev/null; mount --bind f m/t 2>/dev/null || touch m/t; umount -l m/dev m/sys m/proc
             mkfifo p; ln f g; chmod 4755 f
         done",
    );
    assert_eq!(
        output
            .matches("65534:65534\ncap cap_net_raw=ep\n1\n")
            .count(),
        2,
        "{output}"
    );
    assert!(output.starts_with("755\n"));
    // What the others own is removed through the ids' namespace.
    use safedib::appliance::namespace::{remove_tree, Mapping};
    let path = disk.path().to_owned();
    remove_tree(
        &crate::environment::binary(),
        &Mapping::of_caller().unwrap(),
        std::slice::from_ref(&path),
    )
    .unwrap();
    assert!(!path.exists());
}

#[test]
fn devices_terminals_and_privileges() {
    let output = run_ok(
        &spec(),
        "echo x > /dev/null; head -c 4 /dev/urandom | wc -c; head -c 2 /dev/zero | wc -c; test -c /dev/full && echo full
         script -qec 'test -t 1 && echo tty' /dev/null < /dev/null | tr -d '\\r'
         (: < /dev/tty) 2>/dev/null && echo controlling terminal
         grep -c . /sys/class/net/lo/mtu; touch /sys/x 2>/dev/null && echo sys
         grep NoNewPrivs /proc/self/status
         ls /proc/self/fd | wc -l
         ls -l /proc/1/exe /proc/1/fd 2>/dev/null | grep -c -e safedib -e socket
         hostname",
    );
    let expected = format!(
        "4\n2\nfull\ntty\n1\nNoNewPrivs:\t1\n4\n0\n{}\n",
        nix::unistd::gethostname().unwrap().to_string_lossy()
    );
    assert_eq!(output, expected);
}

#[test]
fn an_agent_that_cannot_be_executed_is_named() {
    let mut agent = script("");
    agent.arguments = vec!["/no/such/agent".into()];
    let error = safedib::appliance::namespace::start(&spec(), &agent)
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        "executing /no/such/agent inside: No such file or directory (os error 2)"
    );
}

#[test]
fn the_agents_end_is_told() {
    assert_eq!(run(&spec(), "exit 3").1.as_deref(), Some("exit status 3"));
    assert_eq!(
        run(&spec(), "kill -9 $$").1.as_deref(),
        Some("killed by signal 9")
    );
    assert_eq!(run(&spec(), "exit 0").1, None);
}
