//! Generated command lines against a second reading of the original: a list of
//! its options as they stand in its sources (guestfs-tools 1.50, dib/cmdline.ml,
//! dib/output_format_*.ml and mltools/tools_utils.ml), and a parser that knows no
//! more than the manual of `getopt_long_only`.

use super::line::{parse, Line, Parsed, Style};
use super::Error;

/// Names, and what kind of value: none, a text, an integer, or an optional text.
const ORIGINAL: &str = "\
p element-path = s
exclude-element = s
exclude-script = s
envvar = s
skip-base = -
root-label = s
install-type = s
image-cache = s
mkfs-options = s
extra-packages = s
checksum = -
python = s
ramdisk = -
ramdisk-element = s
name = s
fs-type = s
size = s
formats = s
arch = s
drive = s
drive-format = s
m memsize = i
network = -
no-network = -
smp = i
no-delete-on-failure = -
debug = i
B = s
docker-target = s
u = -
qemu-img-options = s
V version = -
v verbose = -
x = -
debug-gc = -
q quiet = -
color colors colour colours = -
wrap = -
machine-readable = o
short-options = -
long-options = -
help = -
";

struct Original {
    options: Vec<(Vec<&'static str>, &'static str)>,
}

/// What a line means: for each option in order its first name and value, then
/// the operands; or the first complaint's kind.
type Meaning = Result<Vec<(String, Option<String>)>, &'static str>;

impl Original {
    fn read() -> Self {
        let options = ORIGINAL
            .lines()
            .filter_map(|line| line.split_once(" = "))
            .map(|(names, kind)| (names.split(' ').collect(), kind));
        Original {
            options: options.collect(),
        }
    }

    fn short(&self, letter: char) -> Option<&(Vec<&'static str>, &'static str)> {
        let letter = letter.to_string();
        self.options
            .iter()
            .find(|(names, _)| names.contains(&letter.as_str()))
    }

    fn long(&self, name: &str) -> Vec<&(Vec<&'static str>, &'static str)> {
        let long = |(names, _): &&(Vec<&'static str>, &'static str), whole: bool| {
            names
                .iter()
                .filter(|known| known.len() > 1)
                .filter(|known| {
                    if whole {
                        **known == name
                    } else {
                        known.starts_with(name)
                    }
                })
                .count()
        };
        let mut found = Vec::new();
        for whole in [true, false] {
            for option in &self.options {
                for _ in 0..long(&option, whole) {
                    found.push(option);
                }
            }
            if !found.is_empty() {
                break;
            }
        }
        found
    }

    fn meaning(&self, words: &[String]) -> Meaning {
        let mut seen = Vec::new();
        let mut operands = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word == "--" {
                operands.extend(words.by_ref().cloned());
            } else if word == "-" || !word.starts_with('-') {
                operands.push(word.clone());
            } else {
                self.option(word, &mut words, &mut seen)?;
            }
        }
        seen.extend(
            operands
                .into_iter()
                .map(|word| ("element".into(), Some(word))),
        );
        Ok(seen)
    }

    fn option(
        &self,
        word: &str,
        words: &mut std::slice::Iter<String>,
        seen: &mut Vec<(String, Option<String>)>,
    ) -> Result<(), &'static str> {
        let text = word.trim_start_matches('-');
        let double = word.starts_with("--");
        let (name, attached) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        let first = text.chars().next().and_then(|letter| self.short(letter));
        let alone = !double && text.len() == 1 && first.is_some();
        let long = if alone { Vec::new() } else { self.long(name) };
        match (long.as_slice(), first) {
            ([one], _) => {
                let value = match (one.1, attached) {
                    ("-", Some(_)) => return Err("no argument"),
                    ("s" | "i", None) => Some(words.next().ok_or("argument")?.clone()),
                    (_, attached) => attached,
                };
                self.note(one, value, seen)
            }
            ([], Some(_)) if !double => self.letters(text, words, seen),
            ([], _) => Err("unrecognized"),
            _ => Err("ambiguous"),
        }
    }

    fn letters(
        &self,
        text: &str,
        words: &mut std::slice::Iter<String>,
        seen: &mut Vec<(String, Option<String>)>,
    ) -> Result<(), &'static str> {
        for (at, letter) in text.char_indices() {
            let option = self.short(letter).ok_or("invalid")?;
            if option.1 == "-" {
                self.note(option, None, seen)?;
                continue;
            }
            let rest = &text[at + 1..];
            let value = match rest {
                "" => words.next().ok_or("argument")?.clone(),
                rest => rest.to_owned(),
            };
            return self.note(option, Some(value), seen);
        }
        Ok(())
    }

    fn note(
        &self,
        option: &(Vec<&'static str>, &'static str),
        value: Option<String>,
        seen: &mut Vec<(String, Option<String>)>,
    ) -> Result<(), &'static str> {
        if option.1 == "i"
            && value
                .as_ref()
                .is_none_or(|value| value.parse::<i32>().is_err())
        {
            return Err("numeric");
        }
        seen.push((option.0[0].to_owned(), value));
        Ok(())
    }
}

/// A linear congruential generator: the same lines in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % limit
    }
}

/// Values that are good for `id`'s kind, now and then a bad one.
fn value(random: &mut Random, name: &str, kind: &str) -> String {
    let good: &[&str] = match (name, kind) {
        ("size", _) => &["10G", "512M", "1073741824b", "1.5G"],
        ("formats", _) => &["raw", "tar,raw", "qcow2,tgz,vhd,raw", "squashfs"],
        (_, "i") => &["0", "1", "3", "1024"],
        (_, "o") => &["stream:stdout", "file:/dev/null", "stream:stderr"],
        _ => &["one", "/srv/two", "three,four", "a=b", "with blank"],
    };
    if kind == "i" && random.below(12) == 0 {
        return "many".to_owned();
    }
    good[random.below(good.len())].to_owned()
}

fn generate(random: &mut Random, original: &Original) -> Vec<String> {
    let mut words = vec!["-B".to_owned(), "lib".to_owned()];
    for _ in 0..random.below(6) {
        let (names, kind) = &original.options[random.below(original.options.len())];
        if ["help", "short-options", "long-options"].contains(&names[0]) || names[0] == "V" {
            continue;
        }
        let name = names[random.below(names.len())];
        let cut = match random.below(4) {
            0 if name.len() > 2 => &name[..2 + random.below(name.len() - 2)],
            _ => name,
        };
        let dashes = if name.len() == 1 || random.below(3) == 0 {
            "-"
        } else {
            "--"
        };
        let value = value(random, names[0], kind);
        match (*kind, random.below(3)) {
            ("-", 0) if random.below(5) == 0 => words.push(format!("{dashes}{cut}=x")),
            ("-", _) => words.push(format!("{dashes}{cut}")),
            ("o", 0) => words.push(format!("{dashes}{cut}")),
            ("o", _) => words.push(format!("{dashes}{cut}={value}")),
            (_, 0) if name.len() > 1 => words.push(format!("{dashes}{cut}={value}")),
            (_, 1) if name.len() == 1 => words.push(format!("{dashes}{cut}{value}")),
            _ => words.extend([format!("{dashes}{cut}"), value]),
        }
        match random.below(9) {
            0 => words.push("element".to_owned()),
            1 => words.push("-uqx".to_owned()),
            2 if random.below(4) == 0 => words.push("--nonsense".to_owned()),
            3 if random.below(6) == 0 => words.push("-uz".to_owned()),
            _ => {}
        }
    }
    match random.below(8) {
        0 => {}
        1 => words.extend(["--", "-x", "debian"].map(str::to_owned)),
        2 => words.push("--name".to_owned()),
        _ => words.extend(["vm", "debian"].map(str::to_owned)),
    }
    words
}

/// What the original's own variables would be after these options.
fn expected(meaning: &[(String, Option<String>)]) -> Line {
    let words = ["-B".to_owned(), "b".to_owned(), "e".to_owned()];
    let Ok(Parsed::Build(mut line)) = parse(&words, false, &mut Style::default()) else {
        panic!("parses");
    };
    line.elements.clear();
    for (name, value) in meaning {
        let text = value.clone().unwrap_or_default();
        match name.as_str() {
            "element" => line.elements.push(text),
            "p" => line.element_paths.push(text),
            "exclude-element" => line.excluded_elements.push(text),
            "exclude-script" => line.excluded_scripts.push(text),
            "envvar" => line.envvars.push(text),
            "skip-base" => line.skip_base = true,
            "root-label" => line.root_label = value.clone(),
            "install-type" => line.install_type = value.clone(),
            "image-cache" => line.image_cache = value.clone(),
            "mkfs-options" => line.mkfs_options = value.clone(),
            "extra-packages" => line
                .extra_packages
                .extend(text.split(',').map(str::to_owned)),
            "checksum" => line.checksum = true,
            "python" => line.python = value.clone(),
            "ramdisk" => line.ramdisk = true,
            "ramdisk-element" => line.ramdisk_element = text,
            "name" => line.name = text,
            "fs-type" => line.fs_type = value.clone(),
            "size" => {
                line.size = Some(match text.as_str() {
                    "10G" => 10 << 30,
                    "512M" => 512 << 20,
                    "1073741824b" => 1 << 30,
                    _ => 3 << 29,
                })
            }
            "formats" => line.formats = super::values::formats(&text).unwrap(),
            "arch" => line.arch = value.clone(),
            "drive" => line.drive = value.clone(),
            "drive-format" => line.drive_format = value.clone(),
            "m" => line.memsize = text.parse().ok(),
            "network" => line.network = true,
            "no-network" => line.network = false,
            "smp" => line.smp = text.parse().ok(),
            "no-delete-on-failure" => line.delete_on_failure = false,
            "debug" => line.debug = text.parse().unwrap(),
            "B" => line.basepath = text,
            "docker-target" => line.docker_target = value.clone(),
            "u" => line.compress = false,
            "qemu-img-options" => line.qemu_img_options = value.clone(),
            "debug-gc" => line.debug_gc = true,
            "v" | "x" | "q" | "color" | "wrap" | "machine-readable" => {}
            other => panic!("{other}"),
        }
    }
    *line
}

fn kind_of(error: &Error) -> &'static str {
    let text = error.to_string();
    let kinds = [
        ("unrecognized option", "unrecognized"),
        ("is ambiguous; possibilities", "ambiguous"),
        ("doesn't allow an argument", "no argument"),
        ("requires an argument", "argument"),
        ("invalid option -- ", "invalid"),
        ("is not a numeric value", "numeric"),
    ];
    let found = kinds.iter().find(|(part, _)| text.contains(part));
    found.map_or("other", |(_, kind)| kind)
}

#[test]
fn five_hundred_lines_mean_what_they_meant() {
    let original = Original::read();
    let mut random = Random(20_230_207);
    let (mut built, mut refused) = (0, 0);
    for _ in 0..500 {
        let words = generate(&mut random, &original);
        let mut style = Style::default();
        let ours = parse(&words, false, &mut style);
        let meaning = original.meaning(&words);
        match (ours, meaning) {
            (Ok(Parsed::Build(line)), Ok(meaning)) => {
                let mut expected = expected(&meaning);
                expected.words.clone_from(&line.words);
                assert_eq!(*line, expected, "{words:?}");
                let has = |name: &str| meaning.iter().any(|(seen, _)| seen == name);
                assert_eq!(style.verbose, has("v"), "{words:?}");
                assert_eq!(style.trace, has("x"), "{words:?}");
                assert_eq!(style.quiet, has("q"), "{words:?}");
                assert_eq!(style.colours, has("color"), "{words:?}");
                assert_eq!(style.wrap, has("wrap"), "{words:?}");
                let readable = style.machine_readable.is_some();
                assert_eq!(readable, has("machine-readable"), "{words:?}");
                built += 1;
            }
            (Ok(Parsed::Listing(_)), Ok(meaning)) => {
                assert!(
                    !meaning.iter().any(|(name, _)| name == "element"),
                    "{words:?}"
                );
            }
            (Err(Error::NoElements), Ok(meaning)) => {
                assert!(
                    !meaning.iter().any(|(name, _)| name == "element"),
                    "{words:?}"
                );
                refused += 1;
            }
            (Err(error), Err(kind)) => {
                assert_eq!(kind_of(&error), kind, "{words:?}: {error}");
                refused += 1;
            }
            (ours, meaning) => panic!("{words:?}: {ours:?}, originally {meaning:?}"),
        }
    }
    // Both kinds are there in numbers, or the generator tests nothing.
    assert!(
        built >= 200 && refused >= 80,
        "{built} built, {refused} refused"
    );
}

#[test]
fn the_table_is_the_original_one() {
    let original = Original::read();
    let ours = super::table::OURS;
    assert_eq!(super::OPTIONS.len(), original.options.len() + ours.len());
    let shared = super::OPTIONS.iter();
    for option in shared.filter(|option| !ours.contains(&option.id)) {
        let known = original
            .options
            .iter()
            .find(|(names, _)| names == option.names);
        let (_, kind) = known.unwrap_or_else(|| panic!("{:?}", option.names));
        let ours = match option.value {
            super::Value::None => "-",
            super::Value::Required(_) if *kind == "i" => "i",
            super::Value::Required(_) => "s",
            super::Value::Optional(_) => "o",
        };
        assert_eq!(ours, *kind, "{:?}", option.names);
    }
}
