//! Who runs the program, and on which machine.

use std::ffi::OsString;

use nix::unistd::{Uid, User};

/// The name of the account that the program runs as: that of the real user ID, whatever `USER` says. The number, if the system
/// has no name for it.
pub(crate) fn account() -> String {
    let id = Uid::current();
    match User::from_uid(id) {
        Ok(Some(user)) if !user.name.is_empty() => user.name,
        Ok(Some(_) | None) | Err(_) => id.to_string(),
    }
}

/// The account that became root with sudo, if the program runs as root.
pub(crate) fn sudo_account() -> Option<String> {
    sudo_account_of(Uid::current(), std::env::var_os("SUDO_USER"))
}

/// Anybody but root may have set the variable.
fn sudo_account_of(id: Uid, variable: Option<OsString>) -> Option<String> {
    let name = variable.filter(|_| id.is_root())?.to_string_lossy().into_owned();
    (!name.is_empty()).then_some(name)
}

/// The machine's name.
pub(crate) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a command of the system prints.
    fn printed(command: &str, arguments: &[&str]) -> String {
        let output = std::process::Command::new(command).args(arguments).output().expect("it runs");
        String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
    }

    #[test]
    fn the_account_and_the_host_are_those_of_the_system() {
        let name = printed("id", &["-run"]);
        assert_eq!(account(), if name.is_empty() { printed("id", &["-ru"]) } else { name });
        assert_eq!(host(), printed("uname", &["-n"]));
    }

    #[test]
    fn only_root_can_have_become_it_with_sudo() {
        let (root, ann) = (Uid::from_raw(0), Uid::from_raw(1000));
        for (id, variable, expected) in
            [(root, Some("ann"), Some("ann")), (root, Some(""), None), (root, None, None), (ann, Some("bob"), None)]
        {
            assert_eq!(sudo_account_of(id, variable.map(OsString::from)).as_deref(), expected, "{id} {variable:?}");
        }
    }
}
