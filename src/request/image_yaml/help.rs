//! Help and documentation, rendered from the table of keys.

use super::property::{Property, PROPERTIES};

/// The keys of an image, each with what it takes and what it does.
pub fn keys() -> Vec<(String, String)> {
    let keys = PROPERTIES.iter();
    keys.map(|property| {
        let help = format!("{} ({})", property.help, property.kind.expected());
        (property.key.to_owned(), help)
    })
    .collect()
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
