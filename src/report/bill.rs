//! The software in an image as a bill of materials: CycloneDX 1.5, as JSON.
//!
//! Nothing in it depends on where or when the image was built, but for the serial
//! number and the time that are handed in.

use std::collections::BTreeSet;

use serde_json::{json, Value};

use super::build_report::{BuildReport, OutputFacts};
use crate::protocol::{Inventory, Manager, Package, System};

/// What the image is called where others refer to it.
const IMAGE: &str = "image";

/// The bill of an image; `serial` is a UUID, `time` in the form of RFC 3339.
pub fn bill(report: &BuildReport, serial: &str, time: &str) -> Value {
    let nothing = Inventory::default();
    let content = report.content.as_ref().unwrap_or(&nothing);
    let packages = components(content);
    let refs: Vec<Value> = packages
        .iter()
        .map(|package| package["bom-ref"].clone())
        .collect();
    let mut all: Vec<Value> = system(&content.system).into_iter().collect();
    all.extend(packages);
    let mut metadata = json!({
        "timestamp": time,
        "tools": {"components": [{
            "type": "application",
            "name": "safedib",
            "version": env!("CARGO_PKG_VERSION"),
        }]},
        "component": image(report),
    });
    if let Some(note) = &content.note {
        metadata["properties"] = json!([property("safedib:note", note)]);
    }
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": format!("urn:uuid:{serial}"),
        "version": 1,
        "metadata": metadata,
        "components": all,
        "dependencies": [{"ref": IMAGE, "dependsOn": refs}],
        // What came without a package is not listed.
        "compositions": [{
            "aggregate": match content.manager {
                Some(_) => "incomplete",
                None => "unknown",
            },
            "assemblies": [IMAGE],
        }],
    })
}

fn image(report: &BuildReport) -> Value {
    let files: Vec<Value> = report.outputs.iter().map(file).collect();
    let name = report.image.name.rsplit('/').next().unwrap_or_default();
    json!({
        "type": "operating-system",
        "bom-ref": IMAGE,
        "name": name,
        "properties": [
            property("safedib:arch", &report.image.arch),
            property("safedib:elements", &elements(report)),
        ],
        "components": files,
    })
}

fn elements(report: &BuildReport) -> String {
    let names = report.elements.iter().map(|element| element.name.as_str());
    names.collect::<Vec<_>>().join(" ")
}

fn file(output: &OutputFacts) -> Value {
    let name = output.name.rsplit('/').next().unwrap_or_default();
    let mut file = json!({"type": "file", "name": name});
    if let Some(sum) = &output.sha256 {
        file["hashes"] = json!([{"alg": "SHA-256", "content": sum}]);
    }
    file
}

fn system(system: &System) -> Option<Value> {
    let mut component = json!({
        "type": "operating-system",
        "bom-ref": "system",
        "name": system.id.as_ref()?,
    });
    for (key, value) in [("version", &system.version), ("description", &system.name)] {
        if let Some(value) = value {
            component[key] = json!(value);
        }
    }
    Some(component)
}

fn components(content: &Inventory) -> Vec<Value> {
    let Some(manager) = content.manager else {
        return Vec::new();
    };
    let mut used = BTreeSet::new();
    let packages = content.packages.iter();
    packages
        .map(|package| {
            let purl = purl(manager, package, &content.system);
            // Two that are alike in all of this are still two.
            let mut name = purl.clone();
            for number in 2.. {
                if used.insert(name.clone()) {
                    break;
                }
                name = format!("{purl}#{number}");
            }
            component(package, &purl, &name)
        })
        .collect()
}

fn component(package: &Package, purl: &str, name: &str) -> Value {
    let version = match &package.epoch {
        Some(epoch) => format!("{epoch}:{}", package.version),
        None => package.version.clone(),
    };
    let mut component = json!({
        "type": "library",
        "bom-ref": name,
        "name": package.name,
        "version": version,
        "purl": purl,
    });
    if let Some(licence) = &package.licence {
        component["licenses"] = json!([{"license": {"name": licence}}]);
    }
    let properties: Vec<Value> = [
        ("safedib:source", &package.source),
        ("safedib:state", &package.state),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(property(name, value.as_ref()?)))
    .collect();
    if !properties.is_empty() {
        component["properties"] = Value::Array(properties);
    }
    component
}

fn property(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value})
}

/// The package URL (purl) of a package.
pub fn purl(manager: Manager, package: &Package, system: &System) -> String {
    let kind = match manager {
        Manager::Dpkg => "deb",
        Manager::Rpm => "rpm",
    };
    let vendor = system
        .id
        .as_ref()
        .map(|id| format!("{}/", encoded(&id.to_lowercase())));
    let name = match manager {
        Manager::Dpkg => package.name.to_lowercase(),
        Manager::Rpm => package.name.clone(),
    };
    let distribution = system.id.as_ref().map(|id| match &system.version {
        Some(version) => format!("{id}-{version}"),
        None => id.clone(),
    });
    let arch = Some(package.arch.clone()).filter(|arch| !arch.is_empty());
    // In the order of their names.
    let qualifiers = [
        ("arch", arch),
        ("distro", distribution),
        ("epoch", package.epoch.clone()),
    ];
    let qualifiers: Vec<String> = qualifiers
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", encoded(&value?))))
        .collect();
    let question = if qualifiers.is_empty() { "" } else { "?" };
    format!(
        "pkg:{kind}/{}{}@{}{question}{}",
        vendor.unwrap_or_default(),
        encoded(&name),
        encoded(&package.version),
        qualifiers.join("&")
    )
}

/// Percent-encoded as the purl specification has it, in which colons stay.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str, arch: &str) -> Package {
        Package {
            name: name.into(),
            version: version.into(),
            arch: arch.into(),
            ..Package::default()
        }
    }

    fn debian() -> System {
        System {
            id: Some("debian".into()),
            version: Some("12".into()),
            name: Some("Debian GNU/Linux 12 (bookworm)".into()),
        }
    }

    #[test]
    fn package_urls_are_those_of_the_specification() {
        let gcc = package("libstdc++6", "12.2.0-14+deb12u1", "amd64");
        assert_eq!(
            purl(Manager::Dpkg, &gcc, &debian()),
            "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12"
        );
        let epoch = package("vim", "2:9.0~1-4", "");
        assert_eq!(
            purl(Manager::Dpkg, &epoch, &System::default()),
            "pkg:deb/vim@2:9.0~1-4"
        );
        let rpm = Package {
            epoch: Some("1".into()),
            ..package("NetworkManager", "1.40-2.fc37", "x86_64")
        };
        let fedora = System {
            id: Some("fedora".into()),
            version: Some("37".into()),
            name: None,
        };
        assert_eq!(
            purl(Manager::Rpm, &rpm, &fedora),
            "pkg:rpm/fedora/NetworkManager@1.40-2.fc37?arch=x86_64&distro=fedora-37&epoch=1"
        );
    }

    #[test]
    fn nothing_is_guessed_and_nothing_is_listed_twice_under_one_name() {
        let twice = package("same", "1", "all");
        let report = BuildReport {
            content: Some(Inventory {
                manager: Some(Manager::Dpkg),
                packages: vec![twice.clone(), twice, package("other", "2", "all")],
                system: debian(),
                ..Inventory::default()
            }),
            outputs: vec![OutputFacts {
                name: "out/image.tar".into(),
                sha256: Some("00".repeat(32)),
                ..OutputFacts::default()
            }],
            ..BuildReport::default()
        };
        let bill = bill(&report, "0", "2000-01-01T00:00:00Z");
        let components = bill["components"].as_array().unwrap();
        let refs: BTreeSet<&str> = components
            .iter()
            .map(|component| component["bom-ref"].as_str().unwrap())
            .collect();
        assert_eq!(refs.len(), 4);
        assert!(components.iter().all(|c| c.get("licenses").is_none()));
        assert_eq!(
            bill["dependencies"][0]["dependsOn"]
                .as_array()
                .unwrap()
                .len(),
            3
        );
        let file = &bill["metadata"]["component"]["components"][0];
        assert_eq!(file["name"], "image.tar");
        assert_eq!(file["hashes"][0]["alg"], "SHA-256");
        assert_eq!(bill["compositions"][0]["aggregate"], "incomplete");
    }

    #[test]
    fn an_image_without_a_database_says_so() {
        let report = BuildReport {
            content: Some(Inventory {
                note: Some("no database".into()),
                ..Inventory::default()
            }),
            ..BuildReport::default()
        };
        let bill = bill(&report, "0", "2000-01-01T00:00:00Z");
        assert_eq!(bill["compositions"][0]["aggregate"], "unknown");
        assert_eq!(bill["metadata"]["properties"][0]["value"], "no database");
        assert!(bill["components"].as_array().unwrap().is_empty());
    }
}
