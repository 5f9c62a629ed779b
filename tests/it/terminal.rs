//! Terminals for tests: a controlling one, and none at all.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// A test waits at most this long for something to happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A terminal, and the program that it controls.
pub(crate) struct Terminal {
    /// The test's side of the terminal.
    own: File,
    pub(crate) program: Child,
    /// Everything shown so far.
    pub(crate) shown: String,
}

/// `command` in a session of its own, without a controlling terminal.
pub(crate) fn without_terminal(command: &Command) -> Command {
    run_by(&["setsid"], command)
}

/// `command`, run by a shell with this `line`, in which `"$@"` is the command.
pub(crate) fn in_shell(line: &str, command: &Command) -> Command {
    run_by(&["sh", "-c", line, "sh"], command)
}

/// `command`, run by the program `words`.
pub(crate) fn run_by(words: &[&str], command: &Command) -> Command {
    let mut session = Command::new(words[0]);
    session.args(&words[1..]).arg(command.get_program()).args(command.get_args()).env_clear().stdin(Stdio::null());
    session.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = command.get_current_dir() {
        session.current_dir(folder);
    }
    session
}

impl Terminal {
    /// `command`, controlled from a terminal with this many columns, which is also its standard input, output and error.
    pub(crate) fn of(command: &Command, columns: u16) -> Self {
        let own = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&own).and_then(|()| unlockpt(&own)).expect("it is ours");
        tcsetwinsize(&own, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).expect("it has a size");
        let name = ptsname(&own, Vec::new()).expect("it has a name");
        let other = File::options().read(true).write(true).open(OsStr::from_bytes(name.to_bytes())).expect("its other side");
        let mut session = run_by(&["setsid", "--ctty"], command);
        let stdio = || Stdio::from(other.try_clone().expect("a descriptor"));
        let program = session.stdin(stdio()).stdout(stdio()).stderr(stdio()).env("TERM", "xterm").spawn().expect("setsid runs");
        Self { own: own.into(), program, shown: String::new() }
    }

    /// Types a text.
    pub(crate) fn type_in(&mut self, text: &str) {
        self.own.write_all(text.as_bytes()).expect("the terminal is there");
    }

    /// Reads until `text` is shown.
    pub(crate) fn see(&mut self, text: &str) {
        let start = Instant::now();
        while !self.shown.contains(text) {
            assert!(start.elapsed() < PATIENCE && self.look(PATIENCE), "{}\nshould show: {text}", self.shown);
        }
    }

    /// Reads what is shown within this time; `false` if the other side is closed.
    pub(crate) fn look(&mut self, within: Duration) -> bool {
        let timeout = Timespec { tv_sec: within.as_secs().try_into().expect("few"), tv_nsec: within.subsec_nanos().into() };
        if poll(&mut [PollFd::new(&self.own, PollFlags::IN)], Some(&timeout)).expect("it can be waited for") == 0 {
            return true;
        }
        let mut bytes = [0; 4096];
        // Reading a terminal fails if its other side is closed.
        let read = self.own.read(&mut bytes).unwrap_or(0);
        self.shown.push_str(&String::from_utf8_lossy(&bytes[..read]));
        read > 0
    }

    /// Reads until the program has ended; returns its exit code and everything shown.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        let start = Instant::now();
        while self.look(Duration::from_millis(100)) {
            assert!(start.elapsed() < PATIENCE, "{}\nshould end", self.shown);
        }
        (exit_code(&mut self.program), self.shown)
    }

    /// Closes the terminal; returns the program's exit code.
    pub(crate) fn taken_away(self) -> Option<i32> {
        let Self { own, mut program, .. } = self;
        drop(own);
        exit_code(&mut program)
    }
}

/// The exit code of a program that ends soon; `None` if a signal ended it.
pub(crate) fn exit_code(program: &mut Child) -> Option<i32> {
    let start = Instant::now();
    loop {
        if let Some(status) = program.try_wait().expect("it can be waited for") {
            return status.code();
        }
        if start.elapsed() > PATIENCE {
            program.kill().expect("it runs");
            panic!("it should have ended");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
