//! Help and documentation, rendered from the table of keys.

use super::arguments::usage;
use super::property::{Property, PROPERTIES};

const OPTIONS: &str = "\
positional arguments:
  <filename>         files of image definitions

options:
  -h, --help         show this text
  --dry-run          show the command line of each image, and build none
  --stop-on-failure  begin no further image when one has failed
  -j N, --jobs N     build up to N images at the same time (default: 1)
  --no-progress      show the plain log on a terminal, too, not a live view
";

/// The text of `--help`.
pub fn help() -> String {
    let mut text = usage();
    text.push_str(
        "\nBuilds the images that files in YAML define, without root and without running\n\
         any of their elements' scripts on this machine. A file is a list; each item of\n\
         it is a map with some of these keys:\n\n",
    );
    for property in &PROPERTIES {
        text.push_str(&format!(
            "{}\n    {}\n    ({})\n",
            property.key,
            property.help,
            property.kind.expected()
        ));
    }
    text.push_str(
        "\nItems without imagename, or with one that has occurred, add to that image: lists\n\
         add up, maps are merged, and of everything else the last one counts.\n\n",
    );
    text.push_str(OPTIONS);
    text
}

/// The part of `docs/options.md` about `diskimage-builder`.
pub fn markdown() -> String {
    let mut text = String::from(
        "\n# Keys of image definitions (diskimage-builder)\n\n\
         Generated from `src/request/image_yaml/property.rs`. The options stand on the command line in this order.\n\
         Empty strings and lists give no option.\n\n\
         | Key | Value | Becomes | Meaning |\n|---|---|---|---|\n",
    );
    for property in &PROPERTIES {
        text.push_str(&format!(
            "| `{}` | {} | {} | {} |\n",
            property.key,
            property.kind.expected(),
            becomes(property),
            property.help
        ));
    }
    text
}

fn becomes(property: &Property) -> String {
    use super::property::Kind;
    match property.kind {
        Kind::Ramdisk => "`ramdisk-image-create`".into(),
        Kind::Environment => "variables".into(),
        Kind::Operands => "operands".into(),
        Kind::Count(_) => format!("`{}`, so often", property.option),
        Kind::Switch => format!("`{}`", property.option),
        Kind::Each => format!("`{} ...` for each", property.option),
        Kind::Pairs => format!("`{} KEY=VALUE,...`", property.option),
        _ => format!("`{} ...`", property.option),
    }
}
