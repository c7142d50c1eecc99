use super::*;
use crate::request::options;
use std::process::Command;

/// A small generator: the same command lines in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % limit
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

fn real(grammar: &Grammar, arguments: &[OsString], posix: bool) -> (String, Vec<String>) {
    let short: String = grammar
        .short
        .iter()
        .map(|(letter, value)| format!("{}{}", char::from(*letter), if *value { ":" } else { "" }))
        .collect();
    let long: Vec<String> = grammar
        .long
        .iter()
        .map(|long| {
            let colons = match (long.value, long.optional) {
                (true, true) => "::",
                (true, false) => ":",
                (false, _) => "",
            };
            format!("{}{colons}", long.name)
        })
        .collect();
    let mut command = Command::new("/usr/bin/getopt");
    command.env("LC_ALL", "C").env_remove("POSIXLY_CORRECT");
    if posix {
        command.env("POSIXLY_CORRECT", "");
    }
    let output = command
        .args(["-o", &short, "-l", &long.join(","), "-n", "dic", "--"])
        .args(arguments)
        .output()
        .expect("getopt runs");
    let errors = String::from_utf8(output.stderr).unwrap();
    (
        String::from_utf8(output.stdout).unwrap(),
        errors.lines().map(str::to_owned).collect(),
    )
}

/// What getopt(1) prints for the words.
fn printed(grammar: &Grammar, words: &Words) -> String {
    // A value that may be left out is empty then.
    let left_out = |name: &Name| {
        let mut long = grammar.long.iter();
        long.any(|long| long.optional && *name == Name::Long(long.name))
    };
    let quoted = |word: &OsString| format!(" '{}'", word.to_str().unwrap().replace('\'', "'\\''"));
    let mut text = String::new();
    for (name, value) in &words.options {
        text += &match name {
            Name::Short(letter) => format!(" -{}", char::from(*letter)),
            Name::Long(name) => format!(" --{name}"),
        };
        text += &match value {
            Some(value) => quoted(value),
            None if left_out(name) => " ''".to_owned(),
            None => String::new(),
        };
    }
    text += " --";
    text += &words.operands.iter().map(quoted).collect::<String>();
    text + "\n"
}

fn word(random: &mut Random, grammar: &Grammar) -> OsString {
    let long = grammar.long[random.below(grammar.long.len())].name;
    let text = match random.below(10) {
        0 | 1 => random
            .pick(&["vm", "ubuntu", "base vm", "", "-", "it's"])
            .to_owned(),
        2 => random
            .pick(&["--", "---", "--=x", "-:", "-;", "--foo", "-W"])
            .to_owned(),
        3 | 4 => format!("--{long}"),
        5 | 6 => format!("--{}", &long[..=random.below(long.len())]),
        7 => format!(
            "--{}={}",
            &long[..=random.below(long.len())],
            random.pick(&["", "3", "a=b"])
        ),
        8 => random
            .pick(&["-x", "-u", "-xxu", "-n", "-h", "-c", "-z", "-xzq"])
            .to_owned(),
        _ => random
            .pick(&["-a", "-abar", "-xo", "-t", "-tqcow2", "-pfoo,bar", "-o"])
            .to_owned(),
    };
    OsString::from(text)
}

fn compare(grammar: &Grammar, seed: u64, lines: usize) {
    let mut random = Random(seed);
    let mut complaints = 0;
    for _ in 0..lines {
        let arguments: Vec<OsString> = (0..random.below(7))
            .map(|_| word(&mut random, grammar))
            .collect();
        let posix = random.below(5) == 0;
        let (stdout, errors) = real(grammar, &arguments, posix);
        match parse(grammar, "dic", &arguments, posix) {
            Ok(words) => {
                assert!(errors.is_empty(), "{arguments:?}: {errors:?}");
                assert_eq!(printed(grammar, &words), stdout, "{arguments:?}");
            }
            Err(ours) => {
                complaints += 1;
                assert_eq!(ours, errors, "{arguments:?}");
            }
        }
    }
    assert!(
        complaints > lines / 10 && complaints < lines,
        "{complaints}"
    );
}

/// All options on one footing, as getopt(1) knows no other.
fn flat(keep: fn(&Long) -> bool) -> Grammar {
    let mut grammar = options::grammar();
    grammar.long.retain(keep);
    grammar.long.iter_mut().for_each(|long| long.extra = false);
    grammar
}

#[test]
fn agrees_with_getopt_on_upstreams_options() {
    compare(&flat(|long| !long.extra), 1, 400);
}

#[test]
fn agrees_with_getopt_on_all_options() {
    compare(&flat(|_| true), 2, 400);
}

#[test]
fn every_abbreviation_of_upstream_keeps_its_meaning() {
    let upstream = flat(|long| !long.extra);
    let ours = options::grammar();
    for long in &upstream.long {
        for end in 1..=long.name.len() {
            for tail in ["", "=v"] {
                let argument = [OsString::from(format!("--{}{tail}", &long.name[..end]))];
                assert_eq!(
                    parse(&ours, "dic", &argument, false),
                    parse(&upstream, "dic", &argument, false),
                    "{argument:?}"
                );
            }
        }
    }
}

#[test]
fn our_options_have_prefixes_of_their_own() {
    let grammar = options::grammar();
    for (typed, meant) in [
        ("--no", Some("no-tmpfs")),
        ("--no-n", Some("no-network")),
        ("--image-e=1", Some("image-extra-size")),
        ("--image-s=1", Some("image-size")),
        ("--mkfs=1", Some("mkfs-options")),
        ("--mkfs-j=1", Some("mkfs-journal-size")),
        ("--off", Some("offline")),
        ("--app=auto", Some("appliance")),
        ("--l=f", Some("logfile")),
        ("--li=d", Some("lib")),
        ("--image=1", None),
        ("--m=1", None),
    ] {
        let parsed = parse(&grammar, "dic", &[OsString::from(typed)], false);
        let name = parsed.ok().map(|words| words.options[0].0);
        assert_eq!(name, meant.map(Name::Long), "{typed}");
    }
}
