//! What became of each image, at the end.

use std::time::Duration;

use crate::request::image_yaml::{Image, PROGRAM};

use super::jobs::{ending, Done, Report};

/// A headline, and a row for each image.
pub(super) fn render(
    images: &[Image],
    done: &Done,
    outputs: impl Fn(&Image) -> Vec<String>,
) -> String {
    let mut rows = vec![["image", "result", "seconds", "outputs"].map(String::from)];
    for (image, report) in images.iter().zip(&done.reports) {
        let (result, seconds) = match report {
            Report::NotStarted => ("not started".into(), "-".into()),
            Report::NoProcess(error) => (format!("not started: {error}"), "-".into()),
            Report::Ended(status, took) => (ending(*status), seconds(*took)),
        };
        let outputs = match report.is_built() {
            true => outputs(image).join(" "),
            false => String::new(),
        };
        let outputs = match outputs.is_empty() {
            true => "-".into(),
            false => outputs,
        };
        rows.push([image.name.clone(), result, seconds, outputs]);
    }
    let built = done.reports.iter().filter(|report| report.is_built());
    let mut text = format!(
        "{PROGRAM}: {} of {} images built in {} s\n",
        built.count(),
        images.len(),
        seconds(done.took)
    );
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or_default()
    };
    let (name, result, time) = (width(0), width(1), width(2));
    for [image, ending, took, outputs] in &rows {
        text.push_str(&format!(
            "  {image:<name$}  {ending:<result$}  {took:>time$}  {outputs}\n"
        ));
    }
    text
}

fn seconds(took: Duration) -> String {
    format!("{:.1}", took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    #[test]
    fn columns_stand_below_each_other() {
        let image = |name: &str| Image {
            name: name.into(),
            ..Image::default()
        };
        let ended = |raw| Report::Ended(ExitStatus::from_raw(raw), Duration::from_millis(12_340));
        let images = ["short", "a-longer-one", "killed", "last"].map(image);
        let done = Done {
            reports: vec![ended(0), ended(2 << 8), ended(9), Report::NotStarted],
            interrupted: None,
            took: Duration::from_secs(100),
        };
        assert_eq!(
            render(&images, &done, |image| vec![format!("{}.tar", image.name)]),
            "diskimage-builder: 1 of 4 images built in 100.0 s\n\
             \x20 image         result              seconds  outputs\n\
             \x20 short         built                  12.3  short.tar\n\
             \x20 a-longer-one  failed (2)             12.3  -\n\
             \x20 killed        killed by signal 9     12.3  -\n\
             \x20 last          not started               -  -\n"
        );
    }
}
