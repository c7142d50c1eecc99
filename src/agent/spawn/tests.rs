//! Real processes against the log.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::*;
use crate::agent::channel::Channel;
use crate::protocol::{receive, Frame, FromAgent};

fn log() -> (Log, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Log::new(Channel::from_stream(ours)).unwrap(), theirs)
}

fn text(log: Log, mut theirs: UnixStream) -> String {
    drop(log);
    let mut text = Vec::new();
    while let Ok(Some(Frame::Log(bytes))) = receive::<FromAgent>(&mut theirs) {
        text.extend(bytes);
    }
    String::from_utf8(text).unwrap()
}

fn shell(script: &str) -> Invocation {
    let environment = Environment::from([("PATH".into(), "/usr/bin:/bin".into())]);
    Invocation::new("/bin/bash", environment).args(["-c", script])
}

#[test]
fn output_is_merged_and_statuses_are_a_shells() {
    for (script, status) in [
        ("echo a; echo b >&2; exit 7", 7),
        ("echo a; echo b; kill -9 $$", 137),
    ] {
        let (mut log, theirs) = log();
        let outcome = run(&mut log, &shell(script), |_, _| Ok(())).unwrap();
        assert_eq!(outcome.status, status);
        assert_eq!(log.tail(Some("a")), ["b"]);
        assert_eq!(text(log, theirs), "a\nb\n");
    }
}

#[test]
fn background_processes_hold_nothing_up_and_may_print_later() {
    let (mut log, theirs) = log();
    let began = Instant::now();
    let script = "(sleep 0.3; echo late) & echo early";
    run(&mut log, &shell(script), |_, _| Ok(())).unwrap();
    assert!(began.elapsed() < Duration::from_millis(250));
    run(&mut log, &shell("sleep 0.5"), |_, _| Ok(())).unwrap();
    assert_eq!(text(log, theirs), "early\nlate\n");
}

#[test]
fn standard_output_can_be_kept_beside_the_log() {
    let (mut log, theirs) = log();
    let script = "echo out; echo err >&2; exec >&-; sleep 0.05; exit 3";
    let outcome = run(&mut log, &shell(script).capture(), |_, _| Ok(())).unwrap();
    assert_eq!(
        (outcome.status, outcome.stdout.as_slice()),
        (3, &b"out\n"[..])
    );
    let text = text(log, theirs);
    assert!(text.contains("out\n") && text.contains("err\n"), "{text}");
}

#[test]
fn events_are_parsed_from_the_right() {
    let (mut log, _theirs) = log();
    let script = "echo start 10-a >&$SAFEDIB_HOOK_EVENTS; echo junk >&$SAFEDIB_HOOK_EVENTS; \
                  echo end 10 a 1500000 4 >&$SAFEDIB_HOOK_EVENTS";
    let mut seen = Vec::new();
    run(&mut log, &shell(script).reports(), |_, event| {
        seen.push(event);
        Ok(())
    })
    .unwrap();
    let finished = HookEvent::Finished {
        name: "10 a".into(),
        seconds: 1.5,
        status: 4,
    };
    assert_eq!(seen, [HookEvent::Started("10-a".into()), finished]);
}

#[test]
fn what_reports_nothing_knows_of_no_events() {
    let (mut log, _theirs) = log();
    let script = "[ -z \"${SAFEDIB_HOOK_EVENTS+set}\" ]";
    let outcome = run(&mut log, &shell(script), |_, _| Ok(())).unwrap();
    assert_eq!(outcome.status, 0);
}

#[test]
fn a_missing_program_is_named() {
    let (mut log, _theirs) = log();
    let error = run(
        &mut log,
        &Invocation::new("/none/x", Environment::new()),
        |_, _| Ok(()),
    );
    assert!(error
        .unwrap_err()
        .to_string()
        .starts_with("cannot run /none/x: "));
}

#[test]
fn signals_are_default_or_pythons() {
    for (python, expected) in [(false, 0), (true, 0x0100_1000)] {
        let (mut log, _theirs) = log();
        let script =
            "while read name mask; do [ $name != SigIgn: ] || echo $mask; done </proc/$$/status";
        let invocation = shell(script).capture().python_signals(python);
        let outcome = run(&mut log, &invocation, |_, _| Ok(())).unwrap();
        let mask = String::from_utf8(outcome.stdout).unwrap();
        let mask = u64::from_str_radix(mask.trim(), 16).unwrap();
        assert_eq!(mask & 0x0100_1000, expected);
    }
}
