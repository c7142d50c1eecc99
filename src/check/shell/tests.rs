use super::*;

fn calls(text: &str) -> Vec<String> {
    let script = scan(text);
    script
        .commands
        .iter()
        .filter_map(Call::of)
        .map(|call| format!("{}:{}", call.line, call.name))
        .collect()
}

fn reads(text: &str) -> Vec<String> {
    let script = scan(text);
    script
        .reads
        .iter()
        .map(|read| {
            let guard = if read.guarded { "?" } else { "" };
            format!("{}:{}{guard}", read.line, read.name)
        })
        .collect()
}

#[test]
fn commands_stand_where_the_shell_looks_for_them() {
    for (text, expected) in [
        (
            "a; b && c || d | e & f\n",
            &["1:a", "1:b", "1:c", "1:d", "1:e", "1:f"][..],
        ),
        ("# rm x\necho '; rm' \"| rm\" \\; rm # rm\n", &["2:echo"]),
        ("if a; then b; else c; fi\n", &["1:a", "1:b", "1:c"]),
        ("for x in rm mv; do y; done", &["1:for", "1:y"]),
        ("while ! a; do { b; }; done", &["1:a", "1:b"]),
        ("( a; b ) ; c", &["1:a", "1:b", "1:c"]),
        (
            "f() {\n a\n}\nfunction g { b; }\nf",
            &["2:a", "4:function", "5:f"],
        ),
        ("x=$(a $(b) \"$(c)\") d", &["1:b", "1:c", "1:a", "1:d"]),
        ("echo \"`a`\"", &["1:a", "1:echo"]),
        ("cat <<EOF\nrm x $(a)\nEOF\nb", &["1:cat", "2:a", "4:b"]),
        (
            "cat <<'EOF' | sudo tee x\nrm $(a)\nEOF\nb",
            &["1:cat", "1:tee", "4:b"],
        ),
        ("cat <<-\tEOF\n\trm\n\tEOF\nb", &["1:cat", "4:b"]),
        (
            "case $x in\n a|b) c ;;\n *) d\n;;\nesac\ne",
            &["2:c", "3:d", "6:e"],
        ),
        ("case x in (a) b;; esac; c", &["1:b", "1:c"]),
        ("x=$(case a in b) c;; esac)", &["1:c"]),
        ("[[ a && b || $c =~ (x|y) ]] && d", &["1:[[", "1:d"]),
        ("(( a = b & c )); d", &["1:d"]),
        ("a \\\n  b\nc", &["1:a", "3:c"]),
        (
            "sudo -E -u x env A=b nice -n 5 /usr/bin/tool a",
            &["1:tool"],
        ),
        ("sudo $P chroot $T setfiles /x", &["1:setfiles"]),
        ("sudo -Hiu $A dd if=x", &["1:dd"]),
        ("sudo chroot $T rm -f /x", &["1:rm"]),
        ("command -v rm; type rm", &["1:type"]),
        (
            "a 2>&1 >/dev/null < b; find | xargs -n1 rm",
            &["1:a", "1:find", "1:rm"],
        ),
        ("A=(\n rm\n mv # x)\n)\nb", &["5:b"]),
        ("diff <(a) <(b)", &["1:a", "1:b", "1:diff"]),
        (
            "T=\"sudo chroot $R apt\"\n$T update; U=/bin/x; sudo -E $U y; V=${V:-z}; ${V}",
            &["2:apt", "2:x", "2:z"],
        ),
        ("export X=1 Y=\"a b\"\n\"$Z\" rm", &["1:export", "2:"]),
    ] {
        assert_eq!(calls(text), expected, "{text}");
        assert_eq!(scan(text).lost, None, "{text}");
    }
}

#[test]
fn reading_and_setting_of_variables() {
    for (text, expected) in [
        ("echo $A \"${B}\" '$C' \\$D \"\\$E\"", &["1:A", "1:B"][..]),
        (
            "${A:-$B} ${C:?} ${D%x} ${#E} ${F+1} ${!G}",
            &["1:A?", "1:B", "1:C?", "1:D", "1:E", "1:F?", "1:G"],
        ),
        (
            "cat <<EOF\n$A \\$B\nEOF\ncat <<'EOF'\n$C\nEOF\n$D",
            &["2:A", "7:D"],
        ),
        ("$(( $A + 1 )) $1 $@ $$ ${2}", &["1:A"]),
        ("echo ${A:-\"${B}\"}", &["1:A?", "1:B"]),
    ] {
        assert_eq!(reads(text), expected, "{text}");
    }
    let script =
        scan("A=1 b; for C in x; do read -r D E; done; : ${F:=1}; local G=2 H\nI+=x J[1]=2");
    for name in ["A", "C", "D", "E", "F", "G", "H", "I", "J"] {
        assert!(script.sets(name), "{name} {:?}", script.sets);
    }
}

#[test]
fn open_quotes_and_depth_are_told() {
    for text in ["echo \"x", "echo 'x", "echo $(a", "echo ${A", "x=(a"] {
        assert_eq!(scan(text).lost, Some(1), "{text}");
    }
    let deep = "$(".repeat(100_000);
    assert!(scan(&deep).lost.is_some());
    let braces = "${A:-".repeat(100_000);
    assert!(scan(&braces).lost.is_some());
}

#[test]
fn no_text_breaks_the_scanner() {
    let alphabet = [
        "a", " ", "\n", "'", "\"", "$", "(", ")", "{", "}", "`", "\\", "<", ">", "&", "|", ";",
        "=", "case", " in ", "esac", "[[", "]]", "é", "<<E", "#", "E", "[", "((",
    ];
    let mut state = 7_u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..12 {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            text.push_str(alphabet[(state >> 33) as usize % alphabet.len()]);
        }
        scan(&text);
    }
}

#[test]
fn values_and_defaults_are_followed() {
    let script =
        scan("A=/var/x\nB=${B:-$A/y}\nC=${DIB_C:-~/c}\n: ${D:=/d}\nexport E=$TARGET_ROOT/e\n");
    let shell = Shell::new(&script);
    for (text, expected) in [
        ("$A/z", "/var/x/z"),
        ("${B}/z", "/var/x/y/z"),
        ("$C", "~/c"),
        ("$D", "/d"),
        ("$E/f", "$TARGET_ROOT/e/f"),
        ("$F", "$F"),
        ("${F:-/x}/y", "/x/y"),
        ("/plain", "/plain"),
    ] {
        assert_eq!(shell.resolve(text), expected, "{text}");
    }
}

#[test]
fn writes_and_documents_belong_to_their_command() {
    let script = scan("cat > $A/x <<EOF\nhello\nEOF\necho a >> \"/etc/b\" 2> /dev/null\n");
    assert_eq!(script.commands[0].writes[0].text, "$A/x");
    assert_eq!(script.commands[0].documents, [(2, "hello\n".to_owned())]);
    let writes: Vec<&str> = script.commands[1]
        .writes
        .iter()
        .map(|word| word.text.as_str())
        .collect();
    assert_eq!(writes, ["/etc/b", "/dev/null"]);
}

/// Scans a text in a thread of its own, as far as it takes: a scanner that goes
/// down with each bracket ends the process, one that stands still the test.
fn scans(text: &str) -> Script {
    let (send, receive) = std::sync::mpsc::channel();
    let owned = text.to_owned();
    std::thread::spawn(move || send.send(scan(&owned)));
    let scanned = receive.recv_timeout(std::time::Duration::from_secs(60));
    scanned.unwrap_or_else(|_| panic!("{:.60} ... takes too long", text))
}

#[test]
fn no_script_keeps_the_scanner_or_takes_it_down() {
    for text in ["`a=(`", "`a=(b`c", "`a=(`; rm x", "\"`a=(`\""] {
        let script = scans(text);
        assert!(script.lost.is_some(), "{text}");
    }
    for piece in [
        "$((",
        "$(",
        "${a:-",
        "`",
        "\"$((",
        "<(",
        "((",
        "(",
        "{ ",
        "case x in ",
        "[[ ",
        "a=(",
        "$(cat <<E\n",
        "\"",
        "'",
        "$'",
        "a[",
        "a[ ",
        "@(",
        "function ",
        "\\",
        "$",
        "((`",
        "<<a ",
    ] {
        scans(&piece.repeat(50_000));
        scans(&format!("`{}", piece.repeat(1000)));
    }
}
