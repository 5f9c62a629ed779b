//! Terminals for tests: one that a program is controlled from, and none at all.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// What a test waits for must come within so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A terminal, and the program that it controls.
pub(crate) struct Terminal {
    /// Where the test types and looks.
    own: File,
    pub(crate) program: Child,
    /// All that has been shown.
    pub(crate) shown: String,
}

/// `command`, in a session of its own: it has no controlling terminal.
pub(crate) fn without_terminal(command: &Command) -> Command {
    run_by(&["setsid"], command)
}

/// `command`, run by a shell that does what `line` says: `"$@"` is the command.
pub(crate) fn in_shell(line: &str, command: &Command) -> Command {
    run_by(&["sh", "-c", line, "sh"], command)
}

/// `command` as it is, run by `words`.
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
    /// `command`, controlled from a terminal of so many columns, on which are its standard input, output and error.
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

    /// Types, where one is typed as the others are.
    pub(crate) fn type_in(&mut self, text: &str) {
        self.own.write_all(text.as_bytes()).expect("the terminal is there");
    }

    /// Looks until `text` is shown that was not asked for before.
    pub(crate) fn see(&mut self, text: &str) {
        let start = Instant::now();
        while !self.shown.contains(text) {
            assert!(start.elapsed() < PATIENCE && self.look(PATIENCE), "{}\nshould show: {text}", self.shown);
        }
    }

    /// Takes in what is shown within so long; `false` if nobody shows anything any more.
    pub(crate) fn look(&mut self, within: Duration) -> bool {
        let timeout = Timespec { tv_sec: within.as_secs().try_into().expect("few"), tv_nsec: within.subsec_nanos().into() };
        if poll(&mut [PollFd::new(&self.own, PollFlags::IN)], Some(&timeout)).expect("it can be waited for") == 0 {
            return true;
        }
        let mut bytes = [0; 4096];
        // A terminal whose other side is closed is an error to read.
        let read = self.own.read(&mut bytes).unwrap_or(0);
        self.shown.push_str(&String::from_utf8_lossy(&bytes[..read]));
        read > 0
    }

    /// Looks until the program has ended; answers its exit code and all that was shown.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        let start = Instant::now();
        while self.look(Duration::from_millis(100)) {
            assert!(start.elapsed() < PATIENCE, "{}\nshould end", self.shown);
        }
        (exit_code(&mut self.program), self.shown)
    }

    /// Takes the terminal away; answers the exit code of the program.
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
