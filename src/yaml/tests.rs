//! Types, structure, places.

use super::*;

#[test]
fn plain_scalars_follow_yaml_1_1() {
    let table = [
        ("8E00", Value::Str("8E00".into())),
        ("1e10", Value::Str("1e10".into())),
        ("EF02", Value::Str("EF02".into())),
        ("0700", Value::Int(448)),
        ("0x83", Value::Int(131)),
        ("0", Value::Int(0)),
        ("08", Value::Str("08".into())),
        ("1_000", Value::Int(1000)),
        ("1:30", Value::Int(90)),
        ("yes", Value::Bool(true)),
        ("off", Value::Bool(false)),
        ("y", Value::Str("y".into())),
        ("1.5", Value::Float(1.5)),
        ("~", Value::Null),
        ("'0700'", Value::Str("0700".into())),
        ("\"yes\"", Value::Str("yes".into())),
        ("100%", Value::Str("100%".into())),
        ("1:30.5", Value::Float(90.5)),
        ("2001-01-02", Value::Str("2001-01-02".into())),
        ("2001-1-2", Value::Str("2001-1-2".into())),
        ("!!str 12", Value::Str("12".into())),
    ];
    for (text, value) in table {
        assert_eq!(load(text).unwrap(), value, "{text}");
    }
}

#[test]
fn dates_are_dates_with_positions_and_strings_without() {
    for (text, date) in [
        ("2001-01-02", true),
        ("2001-1-2 3:04:05.6 Z", true),
        ("2001-1-2", false),
        ("'2001-01-02'", false),
    ] {
        let node = load_nodes(text).unwrap().unwrap();
        assert_eq!(matches!(node.value(), Value::Timestamp(_)), date, "{text}");
        assert_eq!(load(text).unwrap().as_str(), Some(text.trim_matches('\'')));
    }
}

#[test]
fn structure_aliases_and_merges() {
    let text = "a: &x {k: 1, l: [yes, 'it''s']}\nb: *x\nc: {<<: *x, k: 2}\n";
    assert_eq!(
        load(text).unwrap().to_string(),
        "{'a': {'k': 1, 'l': [True, \"it's\"]}, 'b': {'k': 1, 'l': [True, \"it's\"]}, \
         'c': {'k': 2, 'l': [True, \"it's\"]}}"
    );
    assert_eq!(load("# only a comment\n").unwrap(), Value::Null);
}

#[test]
fn merges_stand_where_pyyaml_puts_them() {
    let text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {k: 0, <<: [*a, *b], z: 3}\n";
    let value = load(text).unwrap();
    let merged = value.get("c").unwrap().to_string();
    assert_eq!(merged, "{'y': 1, 'z': 3, 'x': 1, 'k': 0}");
}

#[test]
fn values_and_errors_know_their_places() {
    let node = load_nodes("# c\n- ä: [1,\n    x]\n").unwrap().unwrap();
    let Data::List(items) = &node.data else {
        panic!("{node:?}");
    };
    let Data::Map(pairs) = &items[0].data else {
        panic!("{node:?}");
    };
    let Data::List(inner) = &pairs[0].1.data else {
        panic!("{node:?}");
    };
    let places = [&items[0], &pairs[0].1, &inner[0], &inner[1]].map(|node| node.at.to_string());
    assert_eq!(places, ["2:3", "2:6", "2:7", "3:5"]);
    for (text, place) in [("a: 1\nb: !x y\n", "2:4"), ("a: 1\nb: ]\n", "2:4")] {
        assert_eq!(load_nodes(text).unwrap_err().0.to_string(), place);
    }
}

#[test]
fn refuses_what_safe_load_refuses() {
    for text in [
        "a: [",
        "--- 1\n--- 2\n",
        "!!python/name:os.system x",
        "[a]: 1\n",
        "a: =\n",
        "- <<\n",
        "{<<: x}\n",
        "{<<: [x]}\n",
        "&a [*a]\n",
    ] {
        assert!(load(text).is_err(), "{text:?}");
    }
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..12 {
        let p = n - 1;
        bomb += &format!("a{n}: &a{n} [*a{p}, *a{p}, *a{p}, *a{p}, *a{p}, *a{p}, *a{p}, *a{p}]\n");
    }
    assert!(matches!(load(&bomb), Err(YamlError::TooLarge)));
    assert!(load(&"[".repeat(5000)).is_err());
}

#[test]
fn what_anchors_and_aliases_copy_is_bounded() {
    let aliases = "*t, ".repeat(1000);
    let large = |bytes: usize| format!("[&t {}, {aliases}]\n", "x".repeat(bytes));
    assert!(load(&large(1000)).is_ok());
    assert!(matches!(load(&large(100_000)), Err(YamlError::TooLarge)));
    // Nothing is copied more than once where no alias is.
    assert!(load(&format!("[{}]\n", "x".repeat(30 << 20))).is_ok());
    let (open, close) = ("[&a ".repeat(60), "]".repeat(60));
    let nested = |count: usize| format!("{open}[{}]{close}\n", "1, ".repeat(count));
    assert!(load(&nested(100)).is_ok());
    assert!(matches!(load(&nested(50_000)), Err(YamlError::TooLarge)));
}

#[test]
fn the_keys_of_a_mapping_are_bounded() {
    let mapping = |count: usize| -> String { (0..count).map(|n| format!("k{n}: 1\n")).collect() };
    assert!(load(&mapping(4000)).is_ok());
    assert!(matches!(load(&mapping(40_000)), Err(YamlError::TooLarge)));
}

#[test]
fn a_large_text_is_not_read_over_and_over() {
    let mut text = String::from("a:\n  b: [\n");
    text += &format!("# {}\n", "x".repeat(1 << 20));
    text += &"x,\n".repeat(200);
    let began = std::time::Instant::now();
    let _ = load(&text);
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

#[test]
fn lines_in_brackets_and_quotes_may_stand_anywhere() {
    let text = "- a: [x,\ny, {k:\n'v\nw'}\n]\n  b: \"q\nr \\\n  s\"\n  c: [\n1]\n";
    assert_eq!(
        load(text).unwrap().to_string(),
        "[{'a': ['x', 'y', {'k': 'v w'}], 'b': 'q r s', 'c': [1]}]"
    );
    let node = load_nodes("- a: [x,\ny, z]\n  b: w\n").unwrap().unwrap();
    let Data::List(items) = node.data else {
        panic!("no list");
    };
    let Data::Map(pairs) = &items[0].data else {
        panic!("no map");
    };
    let Data::List(words) = &pairs[0].1.data else {
        panic!("no list");
    };
    let places = [&words[1], &words[2], &pairs[1].1].map(|node| node.at.to_string());
    assert_eq!(places, ["2:1", "2:4", "3:6"]);
    for (text, place) in [("- a: [x,\ny: ]]\n", "2:5"), ("- a: [x,\ny, !t z]", "2:4")] {
        assert_eq!(load_nodes(text).unwrap_err().0.to_string(), place, "{text}");
    }
    let many = format!("- a: [\n{}]\n", "x,\n".repeat(1000));
    assert!(load(&many).is_err());
}
