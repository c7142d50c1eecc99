//! `--report`: what is written about a build, and where.

use std::ffi::OsStr;
use std::path::Path;

use super::HostFacts;
use crate::request::error::Error;
use crate::request::options::OptionId;
use crate::request::raw::RawRequest;
use crate::request::resolved::{ReportFile, ReportKind, ReportOptions};

/// Extensions, the longer ones first.
const KINDS: [(&str, ReportKind); 3] = [
    (".cdx.json", ReportKind::BillOfMaterials),
    (".json", ReportKind::Json),
    (".html", ReportKind::Html),
];

/// The options; `log` is the file that the log goes to.
pub(super) fn reports(
    raw: &RawRequest,
    log: Option<&Path>,
    host: &HostFacts,
) -> Result<ReportOptions, Error> {
    let mut files: Vec<ReportFile> = Vec::new();
    for value in raw.all(OptionId::Report) {
        let refused = |why, hint| Error::BadValue {
            what: "--report",
            value: value.to_string_lossy().into_owned(),
            why,
            hint,
        };
        let kind = kind(value).ok_or_else(|| {
            refused(
                "its extension does not tell what to write",
                "end it in .html, in .json, or in .cdx.json for a bill of materials",
            )
        })?;
        let path = host.absolute(value);
        if files.iter().any(|file| file.path == path) {
            return Err(refused("it was given before", "give each report once"));
        }
        if log == Some(&path) {
            return Err(refused(
                "the log goes there",
                "give report and log a file each",
            ));
        }
        files.push(ReportFile { kind, path });
    }
    let against = raw.last(OptionId::ReportAgainst);
    let compares = |file: &ReportFile| file.kind != ReportKind::BillOfMaterials;
    match against {
        Some(value) if !files.iter().any(compares) => Err(Error::BadValue {
            what: "--report-against",
            value: value.to_string_lossy().into_owned(),
            why: "no report shows a difference",
            hint: "give --report FILE.html or --report FILE.json, too",
        }),
        _ => Ok(ReportOptions {
            files,
            against: against.map(|path| host.absolute(path)),
        }),
    }
}

fn kind(path: &OsStr) -> Option<ReportKind> {
    let name = Path::new(path).file_name()?.to_string_lossy();
    let ends = |(extension, _): &&(&str, ReportKind)| name.ends_with(*extension);
    KINDS.iter().find(ends).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[&str]) -> Result<ReportOptions, Error> {
        let option = |word: &&str| {
            let (name, value) = word.split_once('=').unwrap();
            let id = match name {
                "report" => OptionId::Report,
                _ => OptionId::ReportAgainst,
            };
            (id, Some(value.into()))
        };
        let raw = RawRequest {
            given: line.iter().map(option).collect(),
            ..RawRequest::default()
        };
        let host = HostFacts {
            cwd: "/here".into(),
            root: "/".into(),
            machine: String::new(),
            executable: None,
        };
        reports(&raw, Some(Path::new("/here/log.json")), &host)
    }

    #[test]
    fn the_extension_tells_what_is_written() {
        let read = read(&[
            "report=a.html",
            "report=/b/c.json",
            "report=d.cdx.json",
            "against=old.json",
        ])
        .unwrap();
        let expected = [
            (ReportKind::Html, "/here/a.html"),
            (ReportKind::Json, "/b/c.json"),
            (ReportKind::BillOfMaterials, "/here/d.cdx.json"),
        ];
        let found: Vec<(ReportKind, &str)> = read
            .files
            .iter()
            .map(|file| (file.kind, file.path.to_str().unwrap()))
            .collect();
        assert_eq!(found, expected);
        assert_eq!(read.against.as_deref(), Some(Path::new("/here/old.json")));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (line, text) in [
            (&["report=a.txt"][..], "extension"),
            (&["report="], "extension"),
            (&["report=html/"], "extension"),
            (&["report=a.json", "report=../here/a.json"], "before"),
            (&["report=log.json"], "log"),
            (&["report=a.cdx.json", "against=o.json"], "difference"),
            (&["against=o.json"], "difference"),
        ] {
            let error = read(line).unwrap_err().to_string();
            assert!(error.contains(text), "{line:?}: {error}");
        }
    }
}
