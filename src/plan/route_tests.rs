//! Which appliance gets what, in every case.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::*;
use crate::plan::{Plan, PlanInputs, PlannedStep, SessionPaths, Step, TreePlace};
use crate::request::{self, Environment, HostFacts, Parsed};

const LVM: &str =
    "[{local_loop: {name: image0}}, {lvm: {name: l, pvs: [{name: pv, base: image0}], \
    vgs: [{name: vg, base: [pv]}], lvs: [{name: lv, base: vg, extents: 100%VG}]}}, \
    {mkfs: {name: mkfs_root, base: lv, mount: {mount_point: /}}}]";
const XFS: &str = "[{local_loop: {name: image0}}, \
    {mkfs: {name: mkfs_root, base: image0, type: xfs, mount: {mount_point: /}}}]";
const BOOT: (&str, &str) = ("finalise.d/50-boot", "grub-install $IMAGE_BLOCK_DEVICE\n");
const CLOUD: (&str, &str) = ("root.d/10-cloud", "$TMP_HOOKS_PATH/bin/extract-image a b\n");

const DIVIDE: (&str, &str) = ("block-device.d/10-x", "sudo parted -s x\nkpartx y # lvm\n");

/// A build of one element with these hooks.
struct Build {
    directory: tempfile::TempDir,
    words: Vec<&'static str>,
    config: Option<&'static str>,
    epoch: Option<&'static str>,
    abilities: Abilities,
}

fn build(hooks: &[(&str, &str)], words: &[&'static str]) -> Build {
    let directory = tempfile::tempdir().unwrap();
    let element = directory.path().join("thing");
    fs::create_dir(&element).unwrap();
    fs::write(element.join("element-provides"), "operating-system\n").unwrap();
    for (name, text) in hooks {
        let path = element.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/bash\n{text}")).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    Build {
        directory,
        words: words.to_vec(),
        config: None,
        epoch: None,
        abilities: Abilities::default(),
    }
}

impl Build {
    fn config(mut self, text: &'static str) -> Self {
        self.config = Some(text);
        self
    }

    fn epoch(mut self, epoch: &'static str) -> Self {
        self.epoch = Some(epoch);
        self
    }

    fn kvm(mut self) -> Self {
        self.abilities.kvm = true;
        self
    }

    fn without_namespaces(mut self) -> Self {
        self.abilities.no_namespace = Some("forbidden here".into());
        self
    }

    fn plan(&self) -> Result<Plan, Error> {
        let mut environment = Environment::default();
        for (name, value) in [("HOME", "/home/u"), ("PATH", "/bin")] {
            environment.set(name, value);
        }
        environment.set("ELEMENTS_PATH", self.directory.path().to_str().unwrap());
        if let Some(config) = self.config {
            environment.set("DIB_BLOCK_DEVICE_CONFIG", config);
        }
        if let Some(epoch) = self.epoch {
            environment.set("SOURCE_DATE_EPOCH", epoch);
        }
        let words: Vec<OsString> = ["-n", "-o", "image", "thing"]
            .iter()
            .chain(&self.words)
            .map(OsString::from)
            .collect();
        let Parsed::Build(raw) = request::parse("disk-image-create", &words, &environment).unwrap()
        else {
            panic!("no build");
        };
        let host = HostFacts::gather().unwrap();
        let request = request::resolve(&raw, &environment, &host).unwrap();
        let inside = PathBuf::from("/inside");
        Plan::new(
            &request,
            &PlanInputs {
                paths: SessionPaths {
                    build_dir: inside.clone(),
                    image_dir: inside.clone(),
                    lib_dir: inside.clone(),
                    python: inside.clone(),
                    commands: None,
                    collect_from: inside,
                },
                ssh_keys: Vec::new(),
                helper_variables: Default::default(),
                scratch: vec![("/cwd".into(), "/collected".into())],
                root_uuid: "some-uuid".into(),
                abilities: &self.abilities,
                exists: &|_: &Path| true,
            },
        )
    }

    /// The stages, a letter each: n(amespace) or m(icrovm).
    fn stages(&self) -> String {
        let plan = self.plan().unwrap();
        let letter = |stage: &crate::plan::Stage| match stage.kind {
            ApplianceKind::Namespace => 'n',
            ApplianceKind::Microvm => 'm',
        };
        plan.stages().iter().map(letter).collect()
    }
}

#[test]
fn appliances_of_each_case() {
    let raw: &[&str] = &["-t", "raw"];
    let microvm: &[&str] = &["-t", "raw", "--appliance", "microvm"];
    for (case, build, stages) in [
        ("plain", build(&[], raw), "n"),
        ("plain, KVM", build(&[], raw).kvm(), "m"),
        (
            "plain, no namespaces",
            build(&[], raw).without_namespaces(),
            "m",
        ),
        ("boot loader", build(&[BOOT], raw), "nmn"),
        ("boot loader, KVM", build(&[BOOT], raw).kvm(), "m"),
        (
            "boot loader, tar only",
            build(&[BOOT], &["-t", "tar"]),
            "nm",
        ),
        (
            "boot loader, no namespaces",
            build(&[BOOT], raw).without_namespaces(),
            "m",
        ),
        ("lvm", build(&[], raw).config(LVM), "nmn"),
        ("lvm, tar only", build(&[], &["-t", "tar"]).config(LVM), "n"),
        ("xfs", build(&[], raw).config(XFS), "nmn"),
        ("cloud image", build(&[CLOUD], raw), "mn"),
        (
            "cloud image and boot loader",
            build(&[CLOUD, BOOT], raw),
            "mnmn",
        ),
        ("asked for", build(&[], microvm), "m"),
        ("boot loader, asked for", build(&[BOOT], microvm), "mn"),
        (
            "a loop device after root.d",
            build(&[("install.d/5-x", "losetup -f\n")], raw),
            "m",
        ),
    ] {
        assert_eq!(build.stages(), stages, "{case}");
    }
}

/// Until 2.4.
#[test]
fn hooks_that_divide_a_disk_run_in_a_machine() {
    let old = |hooks: &[(&str, &str)], words: &[&'static str]| {
        let mut all = vec!["--generation", "1"];
        all.extend(words);
        build(hooks, &all)
    };
    for (case, build, stages) in [
        ("raw", old(&[DIVIDE], &["-t", "raw"]), "nmn"),
        ("tar only", old(&[DIVIDE, BOOT], &["-t", "tar"]), "nm"),
        ("KVM", old(&[DIVIDE], &["-t", "raw"]).kvm(), "m"),
        ("none", old(&[], &["-t", "raw"]), "n"),
        ("boot loader alone", old(&[BOOT], &["-t", "raw"]), "nmn"),
    ] {
        assert_eq!(build.stages(), stages, "{case}");
    }
    let refused = old(&[DIVIDE], &["--appliance", "namespace"]).plan();
    assert!(matches!(refused, Err(Error::Lack(_))));

    let plan = old(&[DIVIDE], &["-t", "raw", "--mkfs-options", "-m 0"])
        .plan()
        .unwrap();
    let making: Vec<&Step> = plan
        .steps
        .iter()
        .map(|planned| &planned.step)
        .skip_while(|step| !matches!(step, Step::AttachDisk { .. }))
        .take(4)
        .collect();
    let options = ["-i", "4096", "-J", "size=64", "-m", "0"].map(String::from);
    let filesystem = Step::MakeRootFilesystem {
        fstype: "ext4".into(),
        options: options.into(),
        label: "cloudimg-rootfs".into(),
        uuid: Some("some-uuid".into()),
    };
    let line = crate::plan::DeviceLine::Evaluated;
    let from = TreePlace::Handoff;
    let rest = [
        Step::RunDeviceHooks { line },
        filesystem,
        Step::FillTarget { from },
    ];
    assert!(making[1..].iter().copied().eq(&rest), "{making:?}");
    let of_hook: Vec<&str> = plan
        .tools
        .iter()
        .filter(|tool| tool.element.as_deref() == Some("thing"))
        .map(|tool| tool.package)
        .collect();
    assert_eq!(of_hook, ["kpartx", "parted"]);
}

/// The elements write their own until 2.4.
#[test]
fn old_elements_keep_their_fstab() {
    for (generation, expected) in [("0", false), ("1", false), ("2", true), ("3", true)] {
        let plan = build(&[], &["-t", "raw", "--generation", generation])
            .plan()
            .unwrap();
        let found = plan.steps.iter().find_map(|planned| match planned.step {
            Step::SplitFilesystems { fstab, .. } => Some(fstab),
            _ => None,
        });
        assert_eq!(found, Some(expected), "{generation}");
    }
}

#[test]
fn a_disk_is_assembled_before_it_is_attached_where_that_is_possible() {
    let populated = |build: &Build| {
        let plan = build.plan().unwrap();
        let found = plan.steps.iter().find_map(|planned| match planned.step {
            Step::CreateDevices { populated, .. } => Some(populated),
            _ => None,
        });
        found.unwrap()
    };
    assert!(populated(&build(&[BOOT], &["-t", "raw"])));
    assert!(!populated(&build(&[BOOT], &["-t", "raw"]).config(LVM)));
    assert!(!populated(&build(&[BOOT], &["-t", "raw"]).kvm()));
}

#[test]
fn an_epoch_clamps_times_once_and_tells_what_varies() {
    let formats = &["-t", "tgz,raw,qcow2,vmdk"];
    let varying = |build: &Build| -> Vec<String> {
        let plan = build.plan().unwrap();
        let warned = |word: &String| plan.warnings.iter().any(|line| line.contains(word));
        let words = ["raw", "qcow2", "tgz", "vmdk"].map(String::from);
        words.into_iter().filter(warned).collect()
    };
    let steps = |build: &Build| -> Vec<String> {
        let text = |planned: &PlannedStep| match &planned.step {
            Step::Gzip { program, .. } => program.clone(),
            step => step.to_string(),
        };
        build.plan().unwrap().steps.iter().map(text).collect()
    };
    let plain = build(&[], formats);
    let dated = build(&[], formats).epoch("5");
    assert!(varying(&plain).is_empty() && plain.plan().unwrap().reproducible.is_none());
    assert_eq!(varying(&dated), ["vmdk"]);
    assert_eq!(
        varying(&build(&[BOOT], formats).epoch("5")),
        ["raw", "qcow2", "vmdk"]
    );
    let mut expected = Vec::new();
    for step in steps(&plain) {
        let is_last = step == Step::EndStrayProcesses.to_string();
        expected.push(match step.as_str() {
            "gzip" => "gzip -n".to_owned(),
            _ => step,
        });
        expected.extend(is_last.then(|| Step::ClampTimes { epoch: 5 }.to_string()));
    }
    assert_eq!(steps(&dated), expected);
    let ids = |build: Build| build.plan().unwrap().reproducible.unwrap();
    assert_eq!(
        ids(build(&[BOOT], &[]).epoch("5")),
        ids(build(&[], formats).epoch("5"))
    );
    for other in [
        build(&[], &[]).epoch("6"),
        build(&[], &["-o", "another"]).epoch("5"),
        build(&[], &["-p", "vim"]).epoch("5"),
        build(&[], &["-a", "arm64"]).epoch("5"),
    ] {
        assert_ne!(ids(other).ids, ids(build(&[], &[]).epoch("5")).ids);
    }
}

#[test]
fn a_tree_moves_once_for_each_change_of_appliance() {
    let plan = build(&[CLOUD, BOOT], &["-t", "raw"])
        .config(XFS)
        .plan()
        .unwrap();
    let moves: Vec<TreePlace> = plan
        .steps
        .iter()
        .filter_map(|planned| match planned.step {
            Step::PackTree { from } | Step::FillTarget { from } => Some(from),
            _ => None,
        })
        .collect();
    use TreePlace::{Built, Handoff, Target};
    assert_eq!(moves, [Target, Handoff, Built, Handoff]);
}

#[test]
fn the_namespace_appliance_refuses_when_no_other_may_run() {
    let words: &[&str] = &["-t", "raw", "--appliance", "namespace"];
    for (build, text) in [
        (build(&[BOOT], words), "50-boot, line 2"),
        (build(&[CLOUD], words), "10-cloud, line 2"),
        (build(&[], words).config(LVM), "'pv': lvm"),
        (build(&[], words).config(XFS), "type xfs"),
    ] {
        let error = build.plan().unwrap_err();
        assert!(matches!(error, Error::Lack(_)), "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[test]
fn what_no_appliance_does_is_refused_always() {
    for generation in ["2", "3"] {
        let old = build(&[DIVIDE], &["-t", "raw", "--generation", generation]);
        let error = old.plan().unwrap_err();
        assert!(matches!(error, Error::BlockDeviceHook { .. }), "{error}");
    }
    let both = build(&[DIVIDE], &["--generation", "1"]).config(XFS);
    assert!(matches!(both.plan(), Err(Error::TwoDisks { .. })));
    let elsewhere = build(&[], &["-t", "raw"])
        .config("[{local_loop: {name: image0, directory: /d}}, {mkfs: {name: mkfs_root, base: image0, mount: {mount_point: /}}}]");
    assert!(matches!(elsewhere.plan(), Err(Error::DiskElsewhere { .. })));
}
