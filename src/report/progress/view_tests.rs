use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::pty::{openpty, Winsize};

use super::*;
use crate::report::progress::state::tests::{four_steps, hook_started};
use crate::report::progress::terminal::Terminal;

/// A terminal that can be looked at.
#[derive(Clone)]
struct Screen {
    parser: Arc<Mutex<vt100::Parser>>,
    ours: Arc<AtomicBool>,
    erased: Arc<AtomicBool>,
    shown: Arc<AtomicBool>,
}

impl Screen {
    fn new(rows: u16, columns: u16) -> Screen {
        Screen {
            parser: Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 1000))),
            ours: Arc::new(AtomicBool::new(true)),
            erased: Arc::default(),
            shown: Arc::default(),
        }
    }

    fn canvas(&self) -> Canvas {
        Canvas::new(Box::new(self.clone()), false)
    }

    /// The rows, without blanks at the end, and without blank ones at the end.
    fn rows(&self) -> Vec<String> {
        let parser = self.parser.lock().unwrap();
        let columns = parser.screen().size().1;
        let rows = parser.screen().rows(0, columns);
        let mut rows: Vec<String> = rows.map(|row| row.trim_end().to_owned()).collect();
        while rows.last().is_some_and(String::is_empty) {
            rows.pop();
        }
        rows
    }

    fn cursor(&self) -> (u16, u16) {
        self.parser.lock().unwrap().screen().cursor_position()
    }

    fn resize(&self, rows: u16, columns: u16) {
        let mut parser = self.parser.lock().unwrap();
        parser.screen_mut().set_size(rows, columns);
    }
}

impl Surface for Screen {
    fn size(&self) -> Size {
        let (rows, columns) = self.parser.lock().unwrap().screen().size();
        Size { columns, rows }
    }

    fn is_ours(&self) -> bool {
        self.ours.load(Ordering::SeqCst)
    }

    fn write(&mut self, text: &[u8]) {
        self.parser.lock().unwrap().process(text);
    }

    fn block(&self, shown: bool) {
        self.shown.store(shown, Ordering::SeqCst);
    }

    fn was_erased(&self) -> bool {
        self.erased.swap(false, Ordering::SeqCst)
    }
}

/// A canvas with a block of four rows.
fn in_a_hook(screen: &Screen) -> Canvas {
    let mut canvas = screen.canvas();
    canvas.progress = four_steps(None);
    canvas.progress.note(&hook_started("10-a"), 0.0);
    canvas.progress.doing = "run hooks of install.d".to_owned();
    canvas
        .progress
        .tail
        .push(b"\x1b[2Jone \xe6\x97\xa5\xe6\x9c\xac\n");
    canvas.draw();
    canvas
}

/// What stands in its rows.
const BLOCK: [&str; 4] = [
    " [          ] run hooks of install.d",
    "10-a of one, hook 1 of 2",
    "no earlier build of these elements",
    " | one \u{65e5}\u{672c}",
];

#[test]
fn lines_stay_above_the_block_and_the_block_goes() {
    let screen = Screen::new(10, 60);
    let mut canvas = in_a_hook(&screen);
    let seen = screen.rows();
    for (row, text) in seen.iter().zip(BLOCK) {
        assert!(row.contains(text), "{seen:?}");
    }
    assert_eq!(screen.cursor(), (0, 0));
    assert!(screen.shown.load(Ordering::SeqCst));
    canvas.print(b"root.d 21.0 s");
    canvas.write(b"WARNING safedib: \x1b[31mred\nhalf");
    canvas.draw();
    let seen = screen.rows();
    assert_eq!(
        seen[..3],
        ["root.d 21.0 s", "WARNING safedib: red", BLOCK[0]]
    );
    assert_eq!((seen.len(), screen.cursor()), (6, (2, 0)));
    canvas.end();
    assert_eq!(
        screen.rows(),
        ["root.d 21.0 s", "WARNING safedib: red", "half"]
    );
    assert_eq!(screen.cursor(), (3, 0));
    assert!(!screen.shown.load(Ordering::SeqCst));
}

#[test]
fn at_the_bottom_the_screen_scrolls() {
    let screen = Screen::new(10, 60);
    let mut canvas = in_a_hook(&screen);
    for number in 0..30 {
        canvas.print(format!("line {number}").as_bytes());
        canvas.draw();
    }
    let seen = screen.rows();
    assert_eq!(seen.len(), 10);
    let lines = [
        "line 24", "line 25", "line 26", "line 27", "line 28", "line 29",
    ];
    assert_eq!(seen[..6], lines);
    assert_eq!(seen[6], BLOCK[0]);
    canvas.end();
    assert_eq!(screen.rows(), lines);
}

#[test]
fn another_size_leaves_no_rest_of_the_old_block() {
    let screen = Screen::new(10, 60);
    let mut canvas = in_a_hook(&screen);
    canvas.print(b"a line");
    canvas.draw();
    for (rows, columns) in [(10, 20), (10, 200), (4, 40), (2, 12), (24, 80)] {
        screen.resize(rows, columns);
        canvas.draw();
        let seen = screen.rows();
        let totals = seen.iter().filter(|row| row.starts_with(" total"));
        assert!(totals.count() <= 1, "{seen:?}");
        let heads = seen.iter().filter(|row| row.contains("run hooks"));
        assert_eq!(heads.count(), 1 - usize::from(columns == 12), "{seen:?}");
        assert!(seen.len() <= usize::from(rows), "{seen:?}");
    }
    canvas.end();
    let left: Vec<String> = screen.rows();
    assert!(left.iter().all(|row| !row.starts_with(' ')), "{left:?}");
}

#[test]
fn who_has_the_terminal_gets_everything_as_it_is() {
    let screen = Screen::new(10, 60);
    let mut canvas = in_a_hook(&screen);
    canvas.suspend();
    canvas.draw();
    assert_eq!(screen.rows(), Vec::<String>::new());
    canvas.write(b"# \x1b[3Cls");
    assert_eq!(screen.rows(), ["#    ls"]);
    canvas.write(b"\r\n");
    canvas.resume();
    canvas.draw();
    assert_eq!(screen.rows()[..2], ["#    ls", BLOCK[0]]);
    canvas.suspend();
    canvas.end();
    assert_eq!(screen.rows(), ["#    ls"]);
}

#[test]
fn in_the_background_only_lines_are_written() {
    let screen = Screen::new(10, 60);
    let mut canvas = in_a_hook(&screen);
    // What the handler of the signal that stops us does.
    canvas.surface.write(super::super::paint::ERASE.as_bytes());
    screen.ours.store(false, Ordering::SeqCst);
    canvas.surface.write(b"$ ");
    canvas.draw();
    canvas.print(b"root.d");
    canvas.draw();
    assert_eq!(screen.rows(), ["$ root.d"]);
    screen.ours.store(true, Ordering::SeqCst);
    canvas.draw();
    assert_eq!(screen.rows()[..2], ["$ root.d", BLOCK[0]]);
}

#[test]
fn a_block_that_was_erased_is_drawn_again() {
    let screen = Screen::new(10, 60);
    let mut canvas = in_a_hook(&screen);
    canvas.surface.write(b"\r\x1b[Jstopped\r\n");
    screen.erased.store(true, Ordering::SeqCst);
    canvas.draw();
    assert_eq!(screen.rows()[..2], ["stopped", BLOCK[0]]);
}

#[test]
fn a_thread_paints_until_the_view_is_dropped() {
    let screen = Screen::new(10, 60);
    let view = View::start(Box::new(screen.clone()), false).unwrap();
    view.canvas().progress.turn_to("prepare the build", 0.0);
    let mut sink = view.sink();
    sink.write_all(b"a li").unwrap();
    sink.write_all(b"ne\nlast").unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let painted = |rows: &[String]| {
        let has = |text: &str| rows.iter().any(|row| row.contains(text));
        has("a line") && has("prepare the build")
    };
    while !painted(&screen.rows()) {
        assert!(Instant::now() < deadline, "{:?}", screen.rows());
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(screen.rows()[0], "a line");
    drop(view);
    assert_eq!(screen.rows(), ["a line", "last"]);
    sink.write_all(b"late\r\n").unwrap();
    assert_eq!(screen.rows(), ["a line", "last", "late"]);
}

/// What [`a_panic_erases_the_block`] executes, in a terminal.
#[test]
#[ignore = "it panics, and is for another test to start"]
fn panics_with_a_view() {
    let terminal = Terminal::of_stdout().unwrap().expect("a terminal");
    super::super::terminal::guard();
    let view = View::start(Box::new(terminal), true).unwrap();
    view.canvas().progress.turn_to("prepare to panic", 0.0);
    thread::sleep(Duration::from_millis(500));
    assert_eq!(view.canvas().drawn.len(), 3);
    panic!("as expected");
}

#[test]
fn a_panic_erases_the_block() {
    let size = Winsize {
        ws_row: 24,
        ws_col: 100,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let pty = openpty(&size, None).unwrap();
    let end = || Stdio::from(pty.slave.try_clone().unwrap());
    let name = "report::progress::view::tests::panics_with_a_view";
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env("TERM", "xterm")
        .env("RUST_BACKTRACE", "0")
        .stdin(end())
        .stdout(end())
        .stderr(end());
    let mut child = command.spawn().unwrap();
    drop((command, pty.slave));
    let (mut master, mut bytes) = (File::from(pty.master), Vec::new());
    // EIO stands for the end of file.
    let _end = master.read_to_end(&mut bytes);
    assert!(!child.wait().unwrap().success());
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("prepare to panic"), "{text:?}");
    let screen = Screen::new(24, 100);
    screen.parser.lock().unwrap().process(&bytes);
    let rows = screen.rows();
    let place = |text: &str| rows.iter().position(|row| row.contains(text));
    assert!(
        place("as expected") < place("test result: FAILED"),
        "{rows:#?}"
    );
    assert!(place("as expected").is_some(), "{rows:#?}");
    assert!(
        place("prepare to panic").is_none() && place(" total ").is_none(),
        "{rows:#?}"
    );
}
