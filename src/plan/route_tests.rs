//! Which appliance gets what, in every case.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::*;
use crate::plan::{Plan, PlanInputs, SessionPaths, Step, TreePlace};
use crate::request::{self, Environment, HostFacts, Parsed};

const LVM: &str =
    "[{local_loop: {name: image0}}, {lvm: {name: l, pvs: [{name: pv, base: image0}], \
    vgs: [{name: vg, base: [pv]}], lvs: [{name: lv, base: vg, extents: 100%VG}]}}, \
    {mkfs: {name: mkfs_root, base: lv, mount: {mount_point: /}}}]";
const XFS: &str = "[{local_loop: {name: image0}}, \
    {mkfs: {name: mkfs_root, base: image0, type: xfs, mount: {mount_point: /}}}]";
const BOOT: (&str, &str) = ("finalise.d/50-boot", "grub-install $IMAGE_BLOCK_DEVICE\n");
const CLOUD: (&str, &str) = ("root.d/10-cloud", "$TMP_HOOKS_PATH/bin/extract-image a b\n");

/// A build of one element with these hooks.
struct Build {
    directory: tempfile::TempDir,
    words: Vec<&'static str>,
    config: Option<&'static str>,
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
        abilities: Abilities::default(),
    }
}

impl Build {
    fn config(mut self, text: &'static str) -> Self {
        self.config = Some(text);
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
                root_uuid: String::new(),
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
    let old = build(&[("block-device.d/10-x", "")], &["-t", "raw"]);
    assert!(matches!(old.plan(), Err(Error::BlockDeviceHook { .. })));
    let elsewhere = build(&[], &["-t", "raw"])
        .config("[{local_loop: {name: image0, directory: /d}}, {mkfs: {name: mkfs_root, base: image0, mount: {mount_point: /}}}]");
    assert!(matches!(elsewhere.plan(), Err(Error::DiskElsewhere { .. })));
}
