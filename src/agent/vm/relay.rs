//! Carries the agent's channel, a socket, to the virtio-serial port and back.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Fault;
use crate::protocol::machine::PORT_NAME;

/// Where the kernel lists ports and their names.
const PORTS: &str = "/sys/class/virtio-ports";
/// How long the port may take to appear, and its other end to be open.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(2);
const CHUNK: usize = 64 << 10;

/// Opens the port with our name; the kernel learns names a moment after ports.
pub(super) fn open_port() -> Result<File, Fault> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(device) = find_port(Path::new(PORTS)) {
            let path = Path::new("/dev").join(device);
            return OpenOptions::new()
                .read(true)
                .write(true)
                .open(&path)
                .map_err(Fault::of(format!("opening {}", path.display())));
        }
        if Instant::now() >= deadline {
            return Err(Fault::of(format!("finding the port {PORT_NAME}"))(
                io::ErrorKind::NotFound.into(),
            ));
        }
        thread::sleep(PAUSE);
    }
}

fn find_port(ports: &Path) -> Option<std::ffi::OsString> {
    fs::read_dir(ports).ok()?.flatten().find_map(|port| {
        let name = fs::read_to_string(port.path().join("name")).ok()?;
        (name.trim_end() == PORT_NAME).then(|| port.file_name())
    })
}

/// A running relay.
pub(super) struct Relay {
    outward: JoinHandle<()>,
}

impl Relay {
    /// Waits until what an ended agent has said is with the host.
    pub(super) fn drain(self) {
        // A thread that panicked has said so on the console.
        let _ = self.outward.join();
    }
}

/// Starts both directions. When the host closes its end the agent sees an end
/// of file, and ends.
pub(super) fn start(port: File, socket: UnixStream) -> Result<Relay, Fault> {
    let doing = || Fault::of("duplicating the channel");
    let (from_port, from_socket) = (
        port.try_clone().map_err(doing())?,
        socket.try_clone().map_err(doing())?,
    );
    let outward = thread::spawn(move || copy(from_socket, port));
    thread::spawn(move || inward(from_port, socket));
    Ok(Relay { outward })
}

fn copy(mut from: impl Read, mut to: impl Write) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

fn inward(mut port: File, mut socket: UnixStream) {
    // Until the host's end is known to be open, reading gives an end of file.
    let deadline = Instant::now() + PATIENCE;
    let mut buffer = vec![0; CHUNK];
    loop {
        match port.read(&mut buffer) {
            Ok(0) if Instant::now() < deadline => thread::sleep(PAUSE),
            Ok(count @ 1..) => {
                if socket.write_all(&buffer[..count]).is_ok() {
                    copy(&mut port, &mut socket);
                }
                break;
            }
            _ => break,
        }
    }
    // Fails only if the agent has ended already.
    let _ = socket.shutdown(Shutdown::Write);
}
