//! What the program asks of Unix beyond the portable part of the standard library. Values in, values out: what follows
//! from them is decided by the callers.

mod account;
mod files;
mod process;

pub use self::process::forbid_core_dumps;

pub(crate) use self::account::{account, host, sudo_account};
pub(crate) use self::files::{
    FileId, PositionedIo, ReadFrom, is_device, is_own, let_all_read, mode_of, not_regular, owner_only, replaces_closed_stream,
    wait_until_writable,
};
pub(crate) use self::process::{hangups_are_ignored, make_room_for_files, outlive_file_size_limit, suspended};
