//! What is wrong with files, and what becomes of them; `compat-tests/image_yaml.rs`
//! compares with upstream.

use super::files::from_text;
use super::*;
use crate::error::Explain;

/// The complaints about a text, with their hints.
fn complaints(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    from_text("f.yaml", text, &mut Vec::new(), &mut found);
    let shown = found.iter().map(|complaint| match &complaint.hint {
        Some(hint) => format!("{complaint} ({hint})"),
        None => complaint.to_string(),
    });
    shown.collect()
}

fn lines(texts: &[&str]) -> Vec<String> {
    let mut entries = Vec::new();
    for text in texts {
        let mut complaints = Vec::new();
        from_text("f.yaml", text, &mut entries, &mut complaints);
        assert_eq!(complaints, []);
    }
    images(entries).iter().map(Image::to_string).collect()
}

#[test]
fn every_error_has_its_place_and_a_way_out() {
    let table: &[(&str, &[&str])] = &[
        (
            "- imagename: a\n  image_size: 5\n  types: tar, raw\n  environment: {A: 1, B: on}\n",
            &[
                "f.yaml:2:3: unknown key 'image_size' (did you mean 'image-size'?)",
                "f.yaml:3:10: types must be a list of some of qcow2, tar, tgz, squashfs, vhd, \
                 docker, aci, raw, not the string 'tar, raw' (types: [tar, raw])",
                "f.yaml:4:20: environment: A must be a string, not the number 1 \
                 (quote it to make it a string)",
                "f.yaml:4:26: environment: B must be a string, not true \
                 (YAML reads true, yes, on, false, no and off as truth values; quote it)",
            ],
        ),
        (
            "- image-size: '5'\n- debug-trace: 3\n- image-size: 1.5\n- clear: y\n",
            &[
                "f.yaml:1:15: image-size must be an integer of at least 1, not the string '5' \
                 (image-size: 5, without quotes)",
                "f.yaml:2:16: debug-trace must be an integer from 0 to 2, not the number 3",
                "f.yaml:3:15: image-size must be an integer of at least 1, not the number 1.5 \
                 (fractions can be had with environment: {DIB_IMAGE_SIZE: '1.5'})",
                "f.yaml:4:10: clear must be true or false, not the string 'y' \
                 (true, yes, on, false, no and off are what YAML knows, without quotes)",
            ],
        ),
        (
            "- environment: {A=B: x, '': y, 7: z}\n- elements: [a, 1]\n- x\n",
            &[
                "f.yaml:1:17: environment: the string 'A=B' cannot be the name of a variable: \
                 no '=' may be in it",
                "f.yaml:1:25: environment: the string '' cannot be the name of a variable: it is empty",
                "f.yaml:1:32: environment: the number 7 cannot be the name of a variable: \
                 it is no string (quote it to make it a string)",
                "f.yaml:2:17: elements must be strings, not the number 1 \
                 (quote it to make it a string)",
                "f.yaml:3:3: an image must be a map of keys, not the string 'x' (imagename: NAME)",
            ],
        ),
        (
            "imagename: a\n",
            &["f.yaml:1:1: expected a list of images, not the map {'imagename': 'a'} \
               (write '- ' before its first key, and indent the others)"],
        ),
        (
            "",
            &["f.yaml: no image is defined in it (the file is a list of images, \
               each beginning with '- imagename: NAME')"],
        ),
        ("- a: [\n", &["f.yaml:2:1: not valid YAML: while parsing a node, did not find expected node content"]),
        ("- a: x\u{7}\n", &["f.yaml:1:7: the character U+0007 cannot stand in YAML"]),
        (
            "- a: !python x\n",
            &["f.yaml:1:6: could not determine a constructor for the YAML tag !python"],
        ),
    ];
    for (text, expected) in table {
        assert_eq!(complaints(text), *expected, "{text}");
    }
}

#[test]
fn a_single_error_has_the_hint_of_errors_elsewhere() {
    let complaint = |hint: &str| Complaint {
        file: "f".into(),
        at: None,
        text: "wrong".into(),
        hint: Some(hint.into()),
    };
    let one = Error(vec![complaint("a")]);
    assert_eq!(
        (one.to_string().as_str(), one.hint()),
        ("f: wrong", Some("a".into()))
    );
    let two = Error(vec![complaint("a"), complaint("b")]);
    assert_eq!(
        two.to_string(),
        "2 errors in the image definitions\nf: wrong\n    hint: a\nf: wrong\n    hint: b"
    );
    assert_eq!(two.hint(), None);
}

#[test]
fn entries_of_one_name_are_one_image_across_files() {
    let first = "- elements: [x]\n- imagename: b\n  environment: {A: '1', B: '2'}\n\
                 - elements: [y]\n  image-size: 3\n";
    let second = "- imagename: image\n  elements: [z, x]\n\
                  - {imagename: b, image-size: 4, environment: {C: '3', A: 4 4}}\n";
    assert_eq!(
        lines(&[first, second]),
        [
            "disk-image-create -o image x z x",
            "A='4 4' B=2 C=3 disk-image-create -o b --image-size 4 y"
        ]
    );
}

/// Upstream extends the one list that an anchor and its aliases share.
#[test]
fn what_is_added_to_one_image_stays_out_of_others() {
    let text = "- {imagename: a, elements: &e [x]}\n- {imagename: b, elements: *e}\n\
                - {imagename: a, elements: [y]}\n";
    assert_eq!(
        lines(&[text]),
        ["disk-image-create -o a x y", "disk-image-create -o b x"]
    );
}

#[test]
fn jobs_are_ours() {
    let parsed = |line: &str| parse(&line.split(' ').map(Into::into).collect::<Vec<_>>());
    for line in [
        "-j 3 a",
        "-j3 a",
        "-j=3 a",
        "--jobs 3 a",
        "--jobs=3 a",
        "--j 3 a",
        "a -j 3",
    ] {
        let Ok(Parsed::Run(arguments)) = parsed(line) else {
            panic!("{line}");
        };
        assert_eq!((arguments.jobs, arguments.files.len()), (3, 1), "{line}");
    }
    for (line, message) in [
        ("a -j", "argument -j/--jobs: expected one argument"),
        (
            "-j --dry-run a",
            "argument -j/--jobs: expected one argument",
        ),
        ("-j x a", "argument -j/--jobs: invalid int value: 'x'"),
        ("-j 0 a", "argument -j/--jobs: must be at least 1: '0'"),
        ("-j -1 a", "argument -j/--jobs: invalid int value: '-1'"),
    ] {
        assert_eq!(parsed(line).unwrap_err().message, message, "{line}");
    }
    assert_eq!(parsed("-hj4"), Ok(Parsed::Help));
    for line in ["--no-progress a", "a --no-p"] {
        let Ok(Parsed::Run(arguments)) = parsed(line) else {
            panic!("{line}");
        };
        assert!(arguments.no_progress, "{line}");
    }
}

#[test]
fn every_key_is_explained() {
    let keys = keys();
    assert_eq!(keys.len(), PROPERTIES.len());
    assert!(keys.iter().all(|(_, help)| help.ends_with(')')), "{keys:?}");
}
