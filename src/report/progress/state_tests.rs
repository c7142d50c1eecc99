use super::*;

/// A build of four steps: one of its own, a phase with two hooks, an archive, a disk.
pub(in crate::report::progress) fn four_steps(past: Option<Times>) -> Progress {
    let step = |text: &str, phase, packs| Shown {
        text: text.to_owned(),
        phase,
        packs,
    };
    let hook = |name: &str, element: &str| Hook {
        phase: Phase::Install,
        name: name.to_owned(),
        element: element.to_owned(),
        path: "/x".into(),
    };
    let mut progress = Progress::default();
    progress.set(
        vec![
            step("merge hooks (2 copies)", None, false),
            step("run hooks of install.d", Some(Phase::Install), false),
            step("pack image.tar", None, true),
            step("convert disk to image.qcow2", None, false),
        ],
        &[hook("10-a", "one"), hook("20-b", "two")],
        past,
    );
    progress.session(Some(0));
    progress
}

pub(in crate::report::progress) fn hook_started(name: &str) -> FromAgent {
    FromAgent::HookStarted {
        phase: Phase::Install,
        hook: name.to_owned(),
    }
}

fn hook_finished(name: &str, seconds: f64) -> FromAgent {
    FromAgent::HookFinished {
        phase: Phase::Install,
        hook: name.to_owned(),
        seconds,
    }
}

fn finished(index: usize, seconds: f64) -> FromAgent {
    FromAgent::StepFinished { index, seconds }
}

/// All events of a build, each with its time; the lines that it leaves.
fn run(progress: &mut Progress) -> Vec<String> {
    let started = |index| FromAgent::StepStarted { index };
    let events = [
        (2.0, started(0)),
        (2.5, finished(0, 0.5)),
        (2.5, started(1)),
        (3.0, hook_started("10-a")),
        (5.0, hook_finished("10-a", 2.0)),
        (5.0, hook_started("20-b")),
        (25.0, hook_finished("20-b", 20.0)),
        (25.5, finished(1, 23.0)),
        (25.5, started(2)),
        (25.5, finished(2, 0.0)),
        (25.5, started(3)),
        (30.0, finished(3, 4.5)),
    ];
    let lines = events
        .into_iter()
        .map(|(now, event)| progress.note(&event, now));
    lines.flatten().collect()
}

#[test]
fn phases_and_long_steps_leave_a_line() {
    let mut progress = four_steps(None);
    let lines = run(&mut progress);
    assert_eq!(
        lines,
        [
            "install.d                      23.0 s  2 hooks",
            "convert disk to image.qcow2        4.5 s",
        ]
    );
    assert_eq!(progress.done, 4);
    assert_eq!(progress.doing, "finish the archives");
    assert_eq!(
        progress.slowest(),
        [
            ("install.d/20-b of two".to_owned(), 20.0),
            ("install.d/10-a of one".to_owned(), 2.0)
        ]
    );
    assert_eq!(progress.fraction(30.0), 1.0);
}

#[test]
fn the_last_build_tells_what_is_left() {
    let mut first = four_steps(None);
    assert_eq!(first.left(1.0), None);
    run(&mut first);
    let mut past = first.times.clone();
    past.total = 32.0;
    let mut progress = four_steps(Some(past));
    // Up to the first step: it began after two seconds.
    assert_eq!(progress.left(1.0), Some(31.0));
    assert_eq!(progress.left(9.0), Some(30.0));
    progress.note(&FromAgent::StepStarted { index: 1 }, 10.0);
    progress.note(&hook_started("20-b"), 11.0);
    assert_eq!(progress.last_time(), Some(20.0));
    assert_eq!(progress.left(11.0), Some(27.0));
    assert_eq!(progress.left(21.0), Some(17.0));
    // Longer than the last time: nothing more passes.
    assert_eq!(progress.left(99.0), Some(7.0));
    // A hook that was not there then changes nothing.
    progress.note(&hook_started("30-new"), 100.0);
    assert_eq!(progress.left(101.0), Some(7.0));
    assert_eq!(progress.last_time(), None);
    assert!(progress.fraction(101.0) > 0.9);
}

#[test]
fn sessions_that_are_not_the_plans_leave_it_alone() {
    let mut progress = four_steps(None);
    progress.session(None);
    progress.turn_to("read the helper drive", 0.0);
    assert_eq!(
        progress.note(&FromAgent::StepStarted { index: 0 }, 1.0),
        None
    );
    assert_eq!(progress.note(&finished(0, 9.0), 9.0), None);
    assert_eq!(progress.doing, "read the helper drive");
    assert_eq!((progress.done, progress.step), (0, None));
    progress.session(Some(3));
    assert_eq!(
        progress.note(&FromAgent::StepStarted { index: 7 }, 9.0),
        None
    );
    progress.note(&FromAgent::StepStarted { index: 0 }, 9.0);
    assert_eq!(progress.doing, "convert disk to image.qcow2");
}
