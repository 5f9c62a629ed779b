//! Grants and audits PingOne MFA bypasses in bulk: the program around the library.

use std::io::Write;
use std::process::ExitCode;

use pingone_bypass::{Cli, Console, forbid_core_dumps, run, tell_of_mistake};

fn main() -> ExitCode {
    let forbidden = forbid_core_dumps();
    let arguments: Vec<_> = std::env::args_os().collect();
    let cli = match Cli::read(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let told = match Cli::explain(&error, &arguments) {
                Some(mistake) => writeln!(std::io::stderr(), "{mistake}"),
                None => error.print(),
            };
            // Standard output or error may be closed; there is nobody to tell.
            drop(told);
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            if error.use_stderr() {
                let words: Vec<String> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
                tell_of_mistake(&words, code);
            }
            return ExitCode::from(code);
        }
    };
    let console = Console::of(&cli);
    if let Err(error) = forbidden {
        console.warn(&format!("a crash might leave secrets in a core file, which the system does not let be forbidden: {error}"));
    }
    console.tell_of_panics();
    // One thread: it is faster than several, which hand rows to each other, and takes less of the processor.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("the system has a descriptor to give");
    let code = runtime.block_on(run(cli, &console));
    // A thread that nothing is waited for any more, of a name that is looked up, say, keeps nobody.
    runtime.shutdown_background();
    code.into()
}
