//! Real shells at a real terminal, and a driver that types.

use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::agent::channel::Channel;
use crate::agent::variables::Environment;
use crate::protocol::{receive, Frame};

fn bash(script: &str) -> Invocation {
    let environment = Environment::from([("PATH".into(), "/usr/bin:/bin".into())]);
    Invocation::new("/bin/bash", environment).args(["-c", script])
}

/// Runs a script at a terminal at which `types` types; its status, and what it showed.
fn run(script: &str, types: impl FnOnce(Typist) + Send + 'static) -> (i32, String) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let mut log = Log::new(Channel::from_stream(ours)).unwrap();
    let (typist, keyboard) = Keyboard::pair().unwrap();
    let told = protocol::Terminal {
        size: Size {
            rows: 33,
            columns: 99,
        },
        name: Some("dumb".into()),
    };
    let mut terminal = Terminal::new(keyboard, told);
    let reader = thread::spawn(move || {
        let mut shown = Vec::new();
        let mut messages = Vec::new();
        while let Ok(Some(frame)) = receive::<FromAgent>(&mut theirs) {
            match frame {
                Frame::Terminal(bytes) => shown.extend(bytes),
                Frame::Message(message) => messages.push(message),
                Frame::Log(_) => {}
            }
        }
        assert_eq!(messages, [FromAgent::ShellStarted, FromAgent::ShellEnded]);
        String::from_utf8_lossy(&shown).into_owned()
    });
    let typing = thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        types(typist);
    });
    let status = terminal.run(&mut log, &bash(script)).unwrap();
    drop(log);
    typing.join().unwrap();
    (status, reader.join().unwrap())
}

#[test]
fn a_process_has_the_terminal_and_its_size() {
    let script = "stty size; tty; echo $TERM; read -r line; stty size; echo \"[$line]\"; exit 4";
    let (status, shown) = run(script, |typist| {
        typist.resized(Size {
            rows: 10,
            columns: 20,
        });
        typist.typed(b"words\r".to_vec());
    });
    assert_eq!(status, 4, "{shown}");
    for expected in [
        "33 99\r\n",
        "/dev/pts/",
        "dumb\r\n",
        "10 20\r\n",
        "[words]\r\n",
    ] {
        assert!(shown.contains(expected), "{expected:?}: {shown}");
    }
}

/// The key is one that means nothing before the script is ready for it.
#[test]
fn the_key_for_interrupts_is_a_signal_there() {
    const CTRL_G: u8 = 7;
    let script = "trap 'echo caught; exit 5' INT; stty intr ^G; sleep 10 & wait";
    let (status, shown) = run(script, |typist| {
        for _ in 0..50 {
            typist.typed(vec![CTRL_G]);
            thread::sleep(Duration::from_millis(100));
        }
    });
    assert_eq!((status, shown.contains("caught")), (5, true), "{shown}");
}

/// Nobody reads the keys, and the other direction goes on; what is left running
/// holds nothing up.
#[test]
fn neither_direction_waits_for_the_other() {
    let began = Instant::now();
    let script = "stty raw -echo; (sleep 30) & sleep 1; printf '%65536d' 7 | tail -c 3; exit 0";
    let (status, shown) = run(script, |typist| {
        for _ in 0..100 {
            typist.typed(vec![b'x'; 4096]);
        }
    });
    assert_eq!((status, shown.ends_with("  7")), (0, true), "{shown}");
    assert!(began.elapsed() < Duration::from_secs(20));
}
