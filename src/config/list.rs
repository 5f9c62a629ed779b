//! The configuration of `users`: which users are listed, where from and where to.

use super::connection::variable;
use super::settings::Layers;
use super::{ConfigError, Connection, Existing, Users, connected, read_files};
use crate::cli::{ListPaceArgs, SelectionArgs, UsersArgs};
use crate::domain::Selection;
use crate::report::{ListPlace, ReadFile, check_list_place};

/// What `users` is to do.
#[derive(Debug)]
pub(crate) struct ListConfig {
    pub(crate) selection: Selection,
    pub(crate) connection: Connection,
    pub(crate) pace: ListPaceArgs,
    pub(crate) max_users: Option<u64>,
    pub(crate) place: ListPlace,
    pub(crate) existing: Existing,
}

impl ListConfig {
    pub(crate) fn of(arguments: UsersArgs) -> Result<Self, ConfigError> {
        let UsersArgs { selection, connection, pace, max_users, output } = arguments;
        let SelectionArgs { all_users, filter, population, group } = selection;
        let selection = Selection::of(filter, population, group);
        if selection.is_of_all() && !all_users {
            return Err(ConfigError::NobodyToList);
        }
        let layers = Layers::of(&connection, &variable)?;
        let users = Users::Directory(selection.clone());
        let files = read_files(&users, &layers);
        let files: Vec<ReadFile<'_>> = files.iter().map(|(what, path)| ReadFile { what, path }).collect();
        let place = check_list_place(output.output.as_deref(), &files)?;
        let existing = if output.overwrite { Existing::Overwrite } else { Existing::Keep };
        let settings = layers.settings();
        Ok(Self { selection, connection: connected(&layers, settings)?, pace, max_users, place, existing })
    }
}
