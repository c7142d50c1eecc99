//! The report as one page of HTML: no foreign resources, readable without scripts.
//! What it shows may be anybody's words, so all text goes through [`Html::text`],
//! and the only script that the page allows is our own, by its digest.

mod difference;
mod space;
mod summary;
#[cfg(test)]
mod tests;
mod time;

use std::fmt::{self, Write};

use sha2::{Digest, Sha256};

use super::build_report::BuildReport;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Makes the page.
pub fn html(report: &BuildReport) -> String {
    let mut page = Html::default();
    page.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.raw(&format!(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; script-src 'sha256-{}'; base-uri 'none'; \
         form-action 'none'\">\n",
        base64(&Sha256::digest(SCRIPT))
    ));
    page.raw("<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
    page.text(&report.image.name);
    page.raw(" \u{2013} build report</title>\n<style>");
    page.raw(STYLE);
    page.raw("</style>\n</head>\n<body>\n<main>\n");
    summary::header(&mut page, report);
    summary::failure(&mut page, report);
    summary::warnings(&mut page, report);
    difference::section(&mut page, report);
    time::section(&mut page, report);
    space::section(&mut page, report);
    space::packages(&mut page, report);
    summary::outputs(&mut page, report);
    summary::elements(&mut page, report);
    summary::appliances(&mut page, report);
    summary::footer(&mut page, report);
    page.raw("</main>\n");
    space::data(&mut page, report);
    page.raw("<script>");
    page.raw(SCRIPT);
    page.raw("</script>\n</body>\n</html>\n");
    page.0
}

/// A page in the making.
#[derive(Default)]
struct Html(String);

impl Html {
    /// Adds markup of our own.
    fn raw(&mut self, markup: &str) {
        self.0.push_str(markup);
    }

    /// Adds text, whatever it says; also fit for an attribute in double quotes.
    fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(c),
            }
        }
    }

    /// Adds an element that holds a text; `open` is its name and attributes.
    fn element(&mut self, open: &str, text: &str) {
        let name = open.split(' ').next().unwrap_or_default();
        self.raw(&format!("<{open}>"));
        self.text(text);
        self.raw(&format!("</{name}>"));
    }

    /// Adds a cell of a number that is sorted by its value.
    fn number(&mut self, value: impl fmt::Display, shown: &str) {
        // A String takes everything.
        let _ = write!(self.0, "<td class=\"num\" data-v=\"{value}\">");
        self.text(shown);
        self.raw("</td>");
    }

    /// Begins a section.
    fn begin(&mut self, id: &str, class: &str, title: &str) {
        let class = match class {
            "" => String::new(),
            class => format!(" class=\"{class}\""),
        };
        self.raw(&format!("<section id=\"{id}\"{class}>\n"));
        self.element("h2", title);
        self.raw("\n");
    }

    fn end(&mut self) {
        self.raw("</section>\n");
    }

    /// Adds a table; `columns` are heads, `#` in front means numbers, `~` what is left
    /// out in a narrow window.
    fn table(&mut self, class: &str, columns: &[&str], rows: impl FnOnce(&mut Html)) {
        self.raw(&format!("<div class=\"scroll\"><table{class}><thead><tr>"));
        for column in columns {
            let name = column.trim_start_matches(['#', '~']);
            let class = match column.split_at(column.len() - name.len()).0 {
                "#" => " class=\"num\"",
                "~" => " class=\"wide\"",
                "~#" => " class=\"num wide\"",
                _ => "",
            };
            self.element(&format!("th{class} scope=\"col\""), name);
        }
        self.raw("</tr></thead>\n<tbody>\n");
        rows(self);
        self.raw("</tbody></table></div>\n");
    }
}

/// A size in words.
fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && value < 100.0);
    format!("{value:.digits$} {}", UNITS.get(unit).unwrap_or(&""))
}

/// A time in words.
fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 if seconds < 1.0 => format!("{seconds:.2} s"),
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole / 60 % 60),
    }
}

/// A number with its thousands apart.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// `1 file`, `2 files`.
fn counted(number: u64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {one}{plural}", count(number))
}

/// A part of a whole, percent.
fn percent(part: f64, whole: f64) -> f64 {
    match whole > 0.0 {
        true => (100.0 * part / whole).clamp(0.0, 100.0),
        false => 0.0,
    }
}

/// RFC 4648, for the digest of the script.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let index = group >> (18 - 6 * at) & 63;
            match at <= chunk.len() {
                true => out.push(char::from(LETTERS[index as usize])),
                false => out.push('='),
            }
        }
    }
    out
}
