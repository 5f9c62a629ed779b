//! `verify`: checks a report against the record of its run.

use std::fmt::Write;

use super::error::RunError;
use super::print;
use crate::cli::VerifyArgs;
use crate::domain::shown;
use crate::exit::{EXIT_SUCCESS, EXIT_UNVERIFIED};
use crate::report::{Finding, verify};
use crate::ui::Console;

/// Checks a report, and writes what was found to standard output.
pub(super) fn verify_report(arguments: &VerifyArgs, console: &Console) -> Result<u8, RunError> {
    let verification = verify(&arguments.report)?;
    let mut text = String::new();
    for (subject, finding) in &verification.0 {
        let (mark, found) = match finding {
            Finding::Holds(found) => ("ok", found),
            Finding::Fails(found) => ("FAILED", found),
            Finding::Aside(found) => ("note", found),
        };
        writeln!(text, "{mark:<7} {subject:<8} {found}").expect("memory");
    }
    print(text.as_bytes())?;
    let (report, failed) = (shown(&arguments.report), verification.failed());
    if failed == 0 {
        console.tell(&format!("{report}: the report stands as its record says"));
        return Ok(EXIT_SUCCESS);
    }
    console.tell(&format!("{report}: the report does not stand as its record says: {failed} of {} checks failed", verification.0.len()));
    Ok(EXIT_UNVERIFIED)
}
