//! Elements that mean harm, or are broken in ways that do harm.

/// How a build with the element ends.
#[derive(Debug, Clone, Copy)]
pub enum Ends {
    /// With an image.
    Well,
    /// With an error whose message has this text.
    Badly(&'static str),
    /// Either, in good order: what is destroyed is the build's own.
    Somehow,
}

/// A hook, and how its build ends. `$PORT`, `$SOCKET`, `$PID`, `$TOP` are what
/// it is after. What it says after `reached` must never be in the log.
pub struct Case {
    pub name: &'static str,
    pub hook: &'static str,
    pub script: &'static str,
    pub ends: Ends,
}

const fn case(name: &'static str, hook: &'static str, ends: Ends, script: &'static str) -> Case {
    Case {
        name,
        hook,
        script,
        ends,
    }
}

const OUTSIDE: &str = "root.d/95-culprit";
const EARLY: &str = "extra-data.d/50-culprit";
const LATE: &str = "cleanup.d/50-culprit";
const INSIDE: &str = "install.d/50-culprit";

/// Writes bytes, as Python has them, to the agent's end of its channel.
macro_rules! speaks_as_agent {
    ($bytes:literal) => {
        concat!(
            "
        python3 - <<'END'
import ctypes, os, struct
libc = ctypes.CDLL(None, use_errno=True)
for pid in (int(name) for name in os.listdir('/proc') if name.isdigit()):
    try:
        words = open(f'/proc/{pid}/cmdline').read()
    except OSError:
        continue
    if 'safedib\\0agent' in words:
        channel = libc.syscall(438, os.pidfd_open(pid), 3, 0)
        if channel >= 0:
            os.write(channel, ",
            $bytes,
            ")
END
        sleep 5"
        )
    };
}

use Ends::{Badly, Somehow, Well};

pub const CASES: &[Case] = &[
    // what lies on the host
    case("deletes the system", EARLY, Somehow, "rm -rf /etc /home /root /opt /srv /boot /var /usr/local /usr/share"),
    case("deletes everything", EARLY, Somehow, "rm -rf --no-preserve-root / 2>/dev/null"),
    case("deletes everything, from the target", INSIDE, Somehow, "rm -rf --no-preserve-root / 2>/dev/null"),
    case("changes the elements", EARLY, Well, "
        rm -rf \"$TOP\"/elements/* 2>/dev/null && echo reached
        echo bad 2>/dev/null >>\"$TOP/elements/culprit/new\" && echo reached
        chmod -R 777 \"$TOP/elements\" 2>/dev/null && echo reached
        mount -o remount,rw \"$TOP/elements\" 2>/dev/null && echo reached || :"),
    case("changes what is the caller's", EARLY, Well, "
        for file in ~/.profile ~/.ssh/id_ed25519 ~/.cache/other/file \"$TOP/home/.profile\" \"$TOP/work/Makefile\" ./Makefile; do
            [ ! -e \"$file\" ] || echo \"reached $file\"
        done
        mkdir -p ~/.ssh ~/.cache/other && echo bad | tee ~/.profile ~/.ssh/id_ed25519 ~/.cache/other/file ./Makefile >/dev/null"),
    case("changes what is a neighbour's", EARLY, Well, "
        [ ! -e \"$TOP/other\" ] || echo reached
        mkdir -p \"$TOP/other\" /tmp/other /var/tmp/other && echo bad >\"$TOP/other/file\"
        rm -rf /tmp/* /var/tmp/other"),
    case("writes to the kernel", EARLY, Well, "
        for file in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/sys/vm/drop_caches /sys/kernel/mm/ksm/run /proc/1/oom_score_adj /proc/irq/default_smp_affinity; do
            echo 1 2>/dev/null >\"$file\" && echo \"reached $file\"
        done
        mount -o remount,rw /sys 2>/dev/null && echo reached || :"),
    case("replaces our binary", EARLY, Well, "
        for file in /run/safedib/bin/safedib /proc/$PPID/exe /proc/1/exe; do
            echo bad 2>/dev/null >>\"$file\" && echo \"reached $file\"
            rm -f \"$file\" 2>/dev/null && echo \"reached $file\"
        done
        head -c 4 /proc/1/exe 2>/dev/null && echo reached || :"),
    case("opens the host's disks", EARLY, Well, "
        mkdir -p /tmp/nodes && cd /tmp/nodes
        mknod disk b 8 0 || :; mknod memory c 1 1 || :; mknod kmsg c 1 11 || :
        python3 -c 'import os; os.mknod(\"/tmp/nodes/vda\", 0o60666, os.makedev(254, 0))' || :
        for node in *; do
            [ -b \"$node\" ] || [ -c \"$node\" ] || continue
            head -c 1 \"$node\" >/dev/null 2>&1 && echo \"reached $node\"
        done; :"),
    case("leaves its root", EARLY, Well, "
        python3 - <<'END'
import os
os.makedirs('/tmp/jail', exist_ok=True)
here = os.open('/', os.O_RDONLY)
os.chroot('/tmp/jail')
os.fchdir(here)
for _ in range(64):
    os.chdir('..')
os.chroot('.')
if os.path.exists(os.environ['TOP'] + '/other'):
    print('reached')
END"),
    case("makes namespaces of its own", EARLY, Well, "
        unshare --user --map-root-user --mount --net --pid --fork bash -c '
            mount -t tmpfs none /mnt 2>/dev/null
            [ ! -e \"$TOP/other\" ] || echo reached
            echo 1 2>/dev/null >/proc/sys/kernel/core_pattern && echo reached
            exec 3<>\"/dev/tcp/127.0.0.1/$PORT\" && echo reached' 2>/dev/null || :"),
    case("links to files of others", EARLY, Well, "
        for file in /etc/passwd \"$TOP/elements/culprit/extra-data.d/50-culprit\" /usr/bin/env; do
            ln \"$file\" \"$TMP_BUILD_DIR/linked\" 2>/dev/null && [ \"$(stat -c %h \"$file\")\" -gt 1 ] &&
                [[ $file = \"$TOP\"* ]] && echo \"reached $file\"
            rm -f \"$TMP_BUILD_DIR/linked\"
        done; :"),
    // what the target is made to look like
    case("makes /etc of the target a link", OUTSIDE, Somehow, "cd \"$TARGET_ROOT\"; rm -rf etc; ln -s / etc"),
    case("makes every directory of the target a link", OUTSIDE, Somehow, "
        cd \"$TARGET_ROOT\"; for name in dev proc sys tmp run var; do rm -rf \"$name\"; ln -s / \"$name\"; done"),
    case("makes directories of the target lead to the caller's", OUTSIDE, Somehow, "
        cd \"$TARGET_ROOT\"; for name in dev proc sys tmp etc; do rm -rf \"$name\"; ln -s \"$TOP/work\" \"$name\"; done"),
    case("makes resolv.conf a link", OUTSIDE, Well, "ln -sf /etc/passwd \"$TARGET_ROOT/etc/resolv.conf\""),
    case("makes fstab a link to the elements", OUTSIDE, Well, "ln -sf \"$TOP/elements/culprit/root.d/95-culprit\" \"$TARGET_ROOT/etc/fstab\""),
    case("makes /dev/null a file", OUTSIDE, Somehow, "rm -f \"$TARGET_ROOT/dev/null\"; echo text >\"$TARGET_ROOT/dev/null\""),
    case("makes /dev a file", OUTSIDE, Somehow, "rm -rf \"$TARGET_ROOT/dev\"; echo text >\"$TARGET_ROOT/dev\""),
    case("names files oddly", OUTSIDE, Well, r#"
        cd "$TARGET_ROOT"
        mkdir -- '..x' $'a\nb' $'\e]0;title\a' -rf "$(printf 'x%.0s' {1..255})" $'\xff\xfe' '*' '$(reboot)'
        path=.; for _ in {1..300}; do path+=/deep; done; mkdir -p "$path"
        ln -s ../../../../../../../../etc/passwd up; ln -s . self; ln -s loop loop"#),
    case("unpacks archives that lead away", OUTSIDE, Well, r#"
        python3 - <<'END'
import io, tarfile
with tarfile.open('/tmp/bad.tar', 'w') as archive:
    def add(name, kind=tarfile.REGTYPE, link=''):
        member = tarfile.TarInfo(name)
        member.type, member.linkname, member.size = kind, link, 3 * (kind == tarfile.REGTYPE)
        archive.addfile(member, io.BytesIO(b'bad'))
    add('../../../../../../../../../../escaped')
    add('/absolute')
    add('away', tarfile.SYMTYPE, '/')
    add('away/through')
    add('hard', tarfile.LNKTYPE, '/etc/passwd')
    add('disk', tarfile.BLKTYPE)
END
        tar -C "$TARGET_ROOT" -xPf /tmp/bad.tar || :"#),
    // the build's own processes and files
    case("mounts over everything", EARLY, Somehow, "
        for place in /run/safedib/out /run/safedib/bin /run/safedib/lib \"$TMP_BUILD_DIR\" /proc /dev /tmp /usr/bin; do
            mount -t tmpfs none \"$place\" || :
        done"),
    case("unmounts everything", EARLY, Somehow, "
        tac /proc/self/mounts | while read -r _ place _; do umount -l \"$place\"; done 2>/dev/null; :"),
    case("kills whatever it sees", EARLY, Badly("died"), "kill -9 -1; sleep 5"),
    case("kills who started it", INSIDE, Somehow, "kill -9 $PPID; sleep 1"),
    case("kills processes of the host", EARLY, Well, "
        kill -9 $PID 2>/dev/null && echo reached
        kill -9 1; grep -qa 987654 /proc/[0-9]*/cmdline 2>/dev/null && echo reached || :"),
    case("reboots", EARLY, Well, "
        reboot -ff 2>/dev/null; python3 -c '
import ctypes
libc = ctypes.CDLL(None)
for command in (0x01234567, 0x4321fedc, 0xcdef0123):
    libc.reboot(ctypes.c_int(command & 0x7fffffff | -(command & 0x80000000)))' || :"),
    case("starts threads without end", EARLY, Well, "
        python3 - <<'END'
import os, threading
threading.stack_size(65536)
wait, count = threading.Event(), 0
try:
    while count < 20000:
        threading.Thread(target=wait.wait, daemon=True).start()
        count += 1
    print('reached', count)
except RuntimeError:
    pass
os._exit(0 if count > 100 else 9)
END"),
    case("wants to outlive others in want of memory", EARLY, Well, "
        [ \"$(cat /proc/self/oom_score_adj)\" -ge 500 ] || echo reached
        echo -900 2>/dev/null >/proc/self/oom_score_adj && echo reached || :"),
    case("leaves processes that hold the output", EARLY, Well, "
        (trap '' HUP TERM INT; exec sleep 1000) & setsid nohup sleep 1000 & exec 9>&1; setsid sleep 1000 & disown -a"),
    case("holds a lock", EARLY, Well, "
        mkdir -p \"$TOP/locks\"; exec 9>>\"$TOP/locks/held\"; flock 9; setsid sleep 1000 &"),
    case("speaks to the driver in the agent's name", EARLY, Badly("protocol"), speaks_as_agent!("b'\\xff' * 4096")),
    case("says in the agent's name that all is done", EARLY, Badly("image.tar"), speaks_as_agent!("struct.pack('<IB', 19, 0) + b'{\"type\":\"finished\"}'")),
    // where outputs are collected
    case("puts a link in place of what it wrote", EARLY, Badly("is not a directory"), "
        rm -rf /run/safedib/out/side; ln -s \"$TOP/home\" /run/safedib/out/side
        (while :; do [ -L /run/safedib/out/side ] || { rm -rf /run/safedib/out/side; ln -s \"$TOP/home\" /run/safedib/out/side; }; done) & :"),
    case("puts other names beside the image", EARLY, Badly("not named after the image"), "
        mkdir -p /run/safedib/out/side; echo bad >/run/safedib/out/side/Makefile"),
    case("puts a link in place of the image", LATE, Somehow, "
        (while :; do rm -f /run/safedib/out/image.tar; ln -s \"$TOP/home/.ssh/id_ed25519\" /run/safedib/out/image.tar; done) & :"),
    case("leaves a link for a failed build", EARLY, Badly("50-culprit"), "
        ln -s elsewhere /run/safedib/out/break; mkdir -p /run/safedib/out/elsewhere
        ln -s \"$TOP/home/.ssh\" /run/safedib/out/elsewhere/0; exit 9"),
    case("leaves programs that run with the caller's rights", EARLY, Well, "
        mkdir -p /run/safedib/out/side/image.d && cp /bin/sh /run/safedib/out/side/image.d/sh && chmod 6755 /run/safedib/out/side/image.d/sh"),
    // secrets, and ways out
    case("reads keys", EARLY, Well, "
        cat ~/.ssh/* \"$TOP\"/home/.ssh/* /root/.ssh/* /etc/shadow 2>/dev/null; find / -xdev -name id_ed25519 2>/dev/null | grep . && echo reached || :"),
    case("reads the caller's environment", EARLY, Well, "
        env | grep -a hunter2 && echo reached
        cat /proc/[0-9]*/environ 2>/dev/null | grep -qa hunter2 && echo reached || :"),
    case("calls services of the host", EARLY, Well, "
        for host in 127.0.0.1 ::1 localhost 10.0.2.2 169.254.1.1 $(ip -o route | awk '$1 == \"default\" {print $3}'); do
            timeout 2 bash -c \"exec 3<>/dev/tcp/$host/$PORT\" 2>/dev/null && echo \"reached $host\"
        done; :"),
    case("calls sockets without a file", EARLY, Well, "
        python3 - <<'END'
import os, socket
for name in ('\\0' + os.environ['SOCKET'],):
    try:
        socket.socket(socket.AF_UNIX).connect(name)
        print('reached', name)
    except OSError:
        pass
END"),
    case("calls the hypervisor", EARLY, Well, "
        python3 - <<'END'
import socket
try:
    socket.socket(socket.AF_VSOCK)
    print('reached')
except OSError:
    pass
END"),
    case("takes routes into its own hands", EARLY, Well, "
        ip route del unreachable 169.254.169.254 2>/dev/null && echo reached
        ip link set lo down 2>/dev/null && echo reached
        unshare --net ip link set lo up 2>/dev/null && echo reached || :"),
    case("types into the caller's terminal", EARLY, Well, "
        (exec 3<>/dev/tty) 2>/dev/null && echo reached
        python3 - <<'END'
import fcntl, os, pty
_, terminal = pty.openpty()
for request in (0x5412, 0x541c):
    try:
        fcntl.ioctl(terminal, request, b'\\n')
        print('reached', request)
    except OSError as error:
        if error.errno != 1:
            print('reached', error)
END"),
    case("uses what few programs use of the kernel", EARLY, Well, "
        python3 - <<'END'
import ctypes, platform
libc = ctypes.CDLL(None, use_errno=True)
calls = {'x86_64': (250, 248, 321, 298, 323, 425, 304, 175, 246, 0x40000000 + 39),
         'aarch64': (219, 217, 280, 241, 282, 425, 265, 105, 104)}
for number in calls[platform.machine()]:
    result = libc.syscall(number, 0, 0, 0, 0, 0)
    if (result, ctypes.get_errno()) != (-1, 38):
        print('reached', number, result, ctypes.get_errno())
fields = dict(line.split(':\\t', 1) for line in open('/proc/self/status'))
left_out = 1 << 12 | 1 << 16 | 1 << 17 | 1 << 22 | 1 << 25 | 1 << 39
if int(fields['CapEff'], 16) & left_out or int(fields['CapBnd'], 16) & left_out:
    print('reached capabilities', fields['CapEff'])
if fields['NoNewPrivs'].strip() != '1' or fields['Seccomp'].strip() != '2':
    print('reached')
END"),
    // the log
    case("prints without end", EARLY, Well, "
        head -c 16M /dev/zero | tr '\\0' x; echo; head -c 4M /dev/urandom; echo; yes | head -c 2M; exit 0"),
    case("prints what terminals obey", EARLY, Badly("50-culprit"), "
        printf '\\033]0;title\\007\\033[2J\\033c' >&2; exit 9"),
];
