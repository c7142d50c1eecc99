//! `diskimage-builder FILE...`: the images that files in YAML define.
//!
//! An image is a command line of `disk-image-create`, which a process of our own
//! executable builds, so that its variables are its own and nothing of one build
//! outlives it.

mod jobs;
mod relay;
mod summary;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use thiserror::Error as ThisError;

use crate::driver;
use crate::error::{Error, Explain};
use crate::manual::{Manual, Operands, Options};
use crate::request::image_yaml::{self, Arguments, Image, Parsed, PROGRAM};
use crate::request::{BuildRequest, Environment};

use relay::say;

use super::{disk_image_create, fail, print};

/// The manual.
pub(super) static MANUAL: Manual = Manual {
    name: PROGRAM,
    linked: true,
    summary: "build the images that files in YAML define",
    usage: &["[OPTION]... FILE..."],
    description: &[
        "Builds the images that files in YAML define, without root and without running any of their elements' scripts \
         on this machine. A file is a list; each item of it is a map with some of these keys. Items without imagename, \
         or with one that has occurred, add to that image: lists add up, maps are merged, and of everything else the \
         last one counts.",
        "Errors in a file come all at once, each as `FILE:LINE:COLUMN: what`, before anything is built.",
    ],
    further: Some(("Keys of an image", image_yaml::keys)),
    options: Options::Listed(&[
        ("--dry-run", "show the command line of each image, and build none"),
        (
            "--stop-on-failure",
            "begin no further image when one has failed",
        ),
        (
            "-j N, --jobs N",
            "build up to N images at the same time (default: 1)",
        ),
        (
            "--no-progress",
            "show the plain log on a terminal, too, not a live view",
        ),
        ("-h, --help", "show this text"),
    ]),
    operands: Operands::Files,
    statuses: &[
        ("0", "all images are there"),
        ("1", "one was not built, or a file is wrong"),
        ("2", "the command line is none"),
    ],
    examples: &[(
        "Two images at a time:",
        "diskimage-builder -j 2 images.yaml",
    )],
    see_also: &["disk-image-create", "safedib-plan", "safedib-variables"],
    ..Manual::EMPTY
};

/// What can be wrong beside the files.
#[derive(Debug, ThisError)]
enum BuilderError {
    /// Images that are built at the same time would write the same files.
    #[error("the images {} would write the same files, {}.*", names.join(" and "), path.display())]
    SameOutputs {
        /// Their names.
        names: Vec<String>,
        /// Where, without the extension.
        path: PathBuf,
    },
    /// An image that cannot be planned.
    #[error("image {name}: {reason}")]
    Image {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
        /// What mends it.
        hint: Option<String>,
    },
    /// Words of an image that ask for help or the version.
    #[error("image {0}: its words ask for no build")]
    NoBuild(String),
    /// Some images are not there.
    #[error("{failed} of {all} images {}", if *.all == 1 { "was not built" } else { "were not built" })]
    Failed {
        /// How many were not built.
        failed: usize,
        /// How many were defined.
        all: usize,
    },
    /// A signal ended it.
    #[error("interrupted by {name}; no build is left running")]
    Interrupted {
        /// The signal.
        name: &'static str,
        /// Its number.
        number: i32,
    },
    /// A call of the system failed.
    #[error("cannot {what}: {source}")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

impl Explain for BuilderError {
    fn hint(&self) -> Option<String> {
        match self {
            BuilderError::SameOutputs { .. } => {
                Some("give them different names, or build them one after the other: -j 1".into())
            }
            BuilderError::Image { hint, .. } => hint.clone(),
            BuilderError::NoBuild(_) => {
                Some("remove --help, -h or --version from its elements".into())
            }
            _ => None,
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            BuilderError::Interrupted { number, .. } => {
                u8::try_from(128 + number).unwrap_or(u8::MAX)
            }
            _ => 1,
        }
    }
}

/// Reads the files, and builds or shows what they define.
pub fn run(_name: &str, words: &[OsString]) -> ExitCode {
    match build_all(words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(PROGRAM, &error),
    }
}

fn build_all(words: &[OsString]) -> Result<(), Error> {
    let Some((arguments, images)) = read(words)? else {
        return Ok(());
    };
    if images.is_empty() {
        say(&format!(
            "{PROGRAM}: nothing to build: the files define no image\n"
        ));
    }
    if arguments.dry_run {
        for image in &images {
            say(&announcement(image));
        }
        return Ok(());
    }
    let caller = Environment::current();
    if arguments.jobs > 1 {
        refuse_same_outputs(&images, &caller)?;
    }
    let done = jobs::run(&images, &arguments)?;
    if !images.is_empty() {
        say(&summary::render(&images, &done, |image| {
            outputs(image, &caller)
        }));
    }
    let failed = done.reports.iter().filter(|report| !report.is_built());
    let failed = failed.count();
    match (done.interrupted, failed) {
        (Some(signal), _) => Err(BuilderError::Interrupted {
            name: signal.as_str(),
            number: signal as i32,
        }
        .into()),
        (None, 0) => Ok(()),
        (None, failed) => Err(BuilderError::Failed {
            failed,
            all: images.len(),
        }
        .into()),
    }
}

/// The images of a command line; `None` after help, which has been given then.
fn read(words: &[OsString]) -> Result<Option<(Arguments, Vec<Image>)>, Error> {
    match image_yaml::parse(words)? {
        Parsed::Help => {
            print(&MANUAL.help_below(&image_yaml::usage()));
            Ok(None)
        }
        Parsed::Run(arguments) => {
            let entries = image_yaml::read(&arguments.files)?;
            Ok(Some((arguments, image_yaml::images(entries))))
        }
    }
}

/// What upstream says on stderr before a build, or instead of it.
fn announcement(image: &Image) -> String {
    format!("{image}\n\n")
}

fn request(image: &Image, caller: &Environment) -> Result<BuildRequest, Error> {
    let environment = image.environment(caller);
    let request = disk_image_create::request(image.program, &image.words, &environment)?;
    request.ok_or_else(|| BuilderError::NoBuild(image.name.clone()).into())
}

/// What a build that succeeded has left, as the user names it.
fn outputs(image: &Image, caller: &Environment) -> Vec<String> {
    let planned =
        request(image, caller).and_then(|request| Ok((driver::plan(&request)?, request.checksums)));
    let Ok((plan, checksums)) = planned else {
        return Vec::new();
    };
    let images = plan
        .outputs
        .iter()
        .map(|output| (&output.shown, output.path.as_ref()));
    let hooks = plan
        .hook_outputs
        .iter()
        .map(|output| (&output.shown, Some(&output.path)));
    let mut outputs = Vec::new();
    for (shown, path) in images.chain(hooks) {
        let Some(path) = path else {
            outputs.push(shown.clone());
            continue;
        };
        let wanted = [
            ("", true),
            (".md5", checksums.md5),
            (".sha256", checksums.sha256),
        ];
        for (extension, _) in wanted.iter().filter(|(_, wanted)| *wanted) {
            let mut file = path.clone().into_os_string();
            file.push(extension);
            if PathBuf::from(file).exists() {
                outputs.push(format!("{shown}{extension}"));
            }
        }
    }
    outputs
}

/// Images whose names lead to the same path cannot be built at the same time.
/// One that cannot be resolved fails when its turn comes.
fn refuse_same_outputs(images: &[Image], caller: &Environment) -> Result<(), BuilderError> {
    let mut paths: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for image in images {
        let Ok(request) = request(image, caller) else {
            continue;
        };
        let path = request.image_path();
        let directory = std::fs::canonicalize(&path.directory).unwrap_or(path.directory);
        let names = paths.entry(directory.join(path.base_name)).or_default();
        names.push(image.name.clone());
    }
    match paths.into_iter().find(|(_, names)| names.len() > 1) {
        Some((path, names)) => Err(BuilderError::SameOutputs { names, path }),
        None => Ok(()),
    }
}

/// The plans of all images of a command line, as text or as JSON.
///
/// # Errors
/// Whatever is wrong with the words, the files or an image.
pub(super) fn plan(words: &[OsString], json: bool) -> Result<String, Error> {
    let Some((_, images)) = read(words)? else {
        return Ok(String::new());
    };
    let caller = Environment::current();
    let mut text = String::new();
    let mut list = Vec::new();
    for image in &images {
        let plan = request(image, &caller).and_then(|request| Ok(driver::plan(&request)?));
        let plan = plan.map_err(|error| BuilderError::Image {
            name: image.name.clone(),
            reason: error.reason(),
            hint: error.hint(),
        })?;
        if json {
            list.push(serde_json::json!({
                "image": image.name, "command": image.to_string(), "plan": plan,
            }));
        } else {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&format!("image {}: {image}\n\n{plan}", image.name));
        }
    }
    match json {
        true => Ok(format!("{:#}\n", serde_json::Value::Array(list))),
        false => Ok(text),
    }
}
