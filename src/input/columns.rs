//! Finds out what each column holds, once, from the beginning of the text: the delimiter, the column of user IDs (or of the
//! attribute that users are looked up by), the column of end dates, and the columns that are carried into the report.

use csv::ByteRecord;

use super::error::HeaderFault;
use super::source::Beginning;
use super::{InputError, parser};
use crate::domain::{Attribute, CsvDialect, LineEnd, Operation, UserId};
use crate::report::{COLUMNS, FAILED_COLUMNS, UNNAMED_COLUMN, delimiter_of_report, is_of_a_report};

/// The delimiters that are detected, most likely first.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// Recognized names for the column of user IDs, in order of preference.
const USER: &[&str] = &["userID", "id"];
/// Recognized names for the column of end dates, in order of preference.
const UNTIL: &[&str] = &["bypassMFAEnabledUntil", "until", "endDate"];

/// The options that describe the input's format.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dialect {
    pub(crate) user_column: Option<String>,
    /// What the values of the users' column are, if they are no user IDs.
    pub(crate) lookup_by: Option<Attribute>,
    pub(crate) until_column: Option<String>,
    pub(crate) delimiter: Option<u8>,
    pub(crate) no_headers: bool,
}

/// A column and its name in the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) index: usize,
    pub(crate) name: String,
}

/// How to look up the users of rows without a user ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lookup {
    pub(crate) column: Column,
    pub(crate) by: Attribute,
}

/// The columns of a grant's report by which the grant is undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GrantColumns {
    pub(crate) result: Column,
    /// The end date that PingOne answered.
    pub(crate) until: Column,
    /// The end date that was requested.
    pub(crate) requested: Column,
    /// What the user had before.
    pub(crate) previous: Column,
}

/// The format of an input.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) dialect: CsvDialect,
    pub(crate) has_header: bool,
    /// The column of user IDs or, if there is none, of the attribute that users are looked up by.
    pub(crate) user: Column,
    /// Set if rows may need a lookup: all of them if this is the column `user`; otherwise, in a report used as input, the
    /// rows whose user was not found.
    pub(crate) lookup: Option<Lookup>,
    /// The column of end dates, if the operation needs them and there is one.
    pub(crate) until: Option<Column>,
    /// The further columns of a grant's report, if the operation undoes one.
    pub(crate) grant: Option<GrantColumns>,
    /// The columns that are carried into the report.
    pub(crate) carried: Vec<Column>,
    /// The columns that are not, because the report has its own column of that name.
    pub(crate) superseded: Vec<String>,
    pub(crate) names: Vec<String>,
}

impl Layout {
    /// The layout of `source` for an `operation`. `has_until`: whether `--until` gives an end date for every row.
    pub(crate) fn of(source: &Beginning, operation: Operation, dialect: &Dialect, has_until: bool) -> Result<Self, InputError> {
        let First { dialect: form, line, record: first } = First::of(source, dialect)?;
        let fault = |fault| InputError::Header { name: source.name.clone(), line, fault };
        let names = if dialect.no_headers {
            (1..=first.len()).map(|number| format!("{UNNAMED_COLUMN}{number}")).collect()
        } else {
            header_names(&first).map_err(fault)?
        };
        let find = Finder { names: &names, first: &first, no_headers: dialect.no_headers };
        let (user, lookup, grant) = match operation {
            Operation::Restore(_) => {
                let find = Finder { names: own_names(&names), ..find };
                let (user, grant) = find.grant().map_err(fault)?;
                (user, None, Some(grant))
            }
            Operation::Grant | Operation::LookAndGrant | Operation::Audit | Operation::End(_) => {
                let (user, lookup) = find.user(dialect).map_err(fault)?;
                (user, lookup, None)
            }
        };
        let is_looked_up = lookup.as_ref().is_some_and(|lookup| lookup.column == user);
        let until = match operation {
            Operation::Audit | Operation::End(_) | Operation::Restore(_) => None,
            Operation::Grant | Operation::LookAndGrant if has_until && dialect.until_column.is_none() => {
                find.optional(UNTIL, 1).map_err(fault)?
            }
            Operation::Grant | Operation::LookAndGrant => Some(find.required(dialect.until_column.as_deref(), UNTIL, 1).map_err(fault)?),
        };
        let (superseded, carried) = names
            .iter()
            .enumerate()
            .filter(|(index, _)| (*index != user.index || is_looked_up) && until.as_ref().is_none_or(|until| *index != until.index))
            .map(|(index, name)| Column { index, name: name.clone() })
            .partition::<Vec<_>, _>(|column| COLUMNS.iter().any(|own| plain(own) == plain(&column.name)));
        let (looked_up, superseded) = superseded.into_iter().partition(|column| is_looked_up && *column == user);
        let carried = with_values_of(lookup.as_ref(), looked_up, carried);
        let superseded = superseded.into_iter().map(|column| column.name).collect();
        Ok(Self { dialect: form, has_header: !dialect.no_headers, user, lookup, until, grant, carried, superseded, names })
    }

    /// Whether the input is itself a report, with all of a report's columns.
    pub(crate) fn is_of_a_report(&self) -> bool {
        is_of_a_report(&self.names)
    }

    /// Whether every row is looked up.
    pub(crate) fn has_no_ids(&self) -> bool {
        self.lookup.as_ref().is_some_and(|lookup| lookup.column == self.user)
    }

    pub(crate) fn carried_names(&self) -> impl Iterator<Item = &str> {
        self.carried.iter().map(|column| column.name.as_str())
    }
}

/// The `carried` columns with the one that users are `looked_up` by, if the report has a column of its name: it then gets the name
/// of its attribute, so that the report tells which user it could not find.
fn with_values_of(lookup: Option<&Lookup>, looked_up: Vec<Column>, mut carried: Vec<Column>) -> Vec<Column> {
    let named = looked_up.into_iter().zip(lookup).map(|(Column { index, name }, Lookup { by, .. })| {
        let is_free = carried.iter().all(|column| plain(&column.name) != plain(by.name()));
        Column { index, name: if is_free { by.name().to_owned() } else { format!("{name} as given") } }
    });
    let named: Vec<_> = named.collect();
    carried.extend(named);
    carried.sort_by_key(|column| column.index);
    carried
}

/// The first record of a source, which is the header if there is one.
pub(super) struct First {
    pub(super) dialect: CsvDialect,
    /// The line on which the record begins, from 1.
    pub(super) line: u64,
    pub(super) record: ByteRecord,
}

impl First {
    pub(super) fn of(source: &Beginning, dialect: &Dialect) -> Result<Self, InputError> {
        let delimiter = dialect.delimiter.unwrap_or_else(|| likeliest_delimiter(&source.head, dialect));
        let FirstRecord { line, record, line_end } = FirstRecord::of(&source.head, delimiter);
        if source.has_more && !source.head.contains(&b'\n') {
            return Err(InputError::Header { name: source.name.clone(), line, fault: HeaderFault::TooLong });
        }
        let shown = (record.len() > 1).then_some(delimiter);
        let dialect = CsvDialect { delimiter: dialect.delimiter.or(shown), has_mark: !source.mark.is_empty(), line_end };
        Ok(Self { dialect, line, record })
    }
}

/// Whether a column with this `name` is the `wanted` one: whatever the case, with or without `_`, `-` and spaces.
pub(super) fn is_named(name: &str, wanted: &str) -> bool {
    plain(name) == plain(wanted)
}

/// A name normalized for comparison: in lower case, without `_`, `-` and spaces.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

fn likeliest_delimiter(head: &[u8], dialect: &Dialect) -> u8 {
    if dialect.no_headers {
        let count = |&delimiter: &u8| outside_quotes(head, delimiter);
        return DELIMITERS.into_iter().rev().max_by_key(count).unwrap_or(DELIMITERS[0]);
    }
    if let Some(delimiter) = delimiter_of_report(head) {
        return delimiter;
    }
    let typed = dialect.user_column.iter().chain(&dialect.until_column).map(|name| plain(name));
    let known = USER.iter().chain(UNTIL).copied().chain(Attribute::ALL.map(Attribute::name));
    let wanted: Vec<String> = known.map(plain).chain(typed).collect();
    let known = |record: &ByteRecord| {
        let names = record.iter().map(|field| plain(&String::from_utf8_lossy(field)));
        names.filter(|name| wanted.iter().any(|wanted| wanted == name.trim())).count()
    };
    let score = |&delimiter: &u8| {
        let record = FirstRecord::of(head, delimiter).record;
        (known(&record), record.len())
    };
    DELIMITERS.into_iter().rev().max_by_key(score).unwrap_or(DELIMITERS[0])
}

/// How often `delimiter` stands in the first line of `head` that is not blank, outside of quotes: those that begin a value,
/// whatever separates values.
fn outside_quotes(head: &[u8], delimiter: u8) -> usize {
    let is_blank = |line: &[u8]| line.iter().all(|byte| byte.is_ascii_whitespace() || DELIMITERS.contains(byte));
    let mut rest = head;
    while let Some(at) = memchr::memchr(b'\n', rest).filter(|at| is_blank(&rest[..*at])) {
        rest = &rest[at + 1..];
    }
    let (mut is_inside, mut before, mut count) = (false, b'\n', 0);
    for byte in rest {
        match byte {
            b'"' if is_inside => is_inside = false,
            // The second of two quotes continues the value.
            b'"' => is_inside = before == b'"' || before == b'\n' || DELIMITERS.contains(&before),
            b'\n' if !is_inside => break,
            byte if !is_inside && *byte == delimiter => count += 1,
            _ => {}
        }
        before = *byte;
    }
    count
}

/// The first record that is not blank.
struct FirstRecord {
    /// The line on which it begins.
    line: u64,
    record: ByteRecord,
    line_end: LineEnd,
}

impl FirstRecord {
    fn of(head: &[u8], delimiter: u8) -> Self {
        let mut reader = parser(delimiter).from_reader(head);
        let mut record = ByteRecord::new();
        while reader.read_byte_record(&mut record).unwrap_or(false) && super::is_blank(&record) {}
        let inside = memchr::memchr_iter(b'\n', record.as_slice()).count() as u64;
        let ended = u64::from(head.contains(&b'\n'));
        let line = reader.position().line().saturating_sub(inside + ended).max(1);
        let end = usize::try_from(reader.position().byte()).unwrap_or(head.len()).min(head.len());
        let line_end = if head[..end].ends_with(b"\r\n") { LineEnd::CrLf } else { LineEnd::Lf };
        Self { line, record, line_end }
    }
}

pub(super) fn header_names(header: &ByteRecord) -> Result<Vec<String>, HeaderFault> {
    let name = |field: &[u8]| {
        let name = std::str::from_utf8(field).map_err(|_| HeaderFault::NotUtf8)?.trim();
        if name.contains('\r') && !name.contains('\n') { Err(HeaderFault::BareCarriageReturn) } else { Ok(name.to_owned()) }
    };
    header.iter().map(name).collect()
}

/// The names of a report's columns without those that it has as a file of failed rows: two of them have names of its own.
fn own_names(names: &[String]) -> &[String] {
    let own = names.len().saturating_sub(FAILED_COLUMNS.len());
    let is_of_failures = names[own..] == FAILED_COLUMNS && FAILED_COLUMNS.iter().all(|name| names[..own].iter().any(|own| own == name));
    if is_of_failures { &names[..own] } else { names }
}

/// Finds columns in the first record.
struct Finder<'a> {
    names: &'a [String],
    first: &'a ByteRecord,
    no_headers: bool,
}

impl Finder<'_> {
    /// The column of users, and how users without an ID are looked up. A column chosen by the user is looked up by its
    /// attribute if it has the name of one, and else as the user says.
    fn user(&self, dialect: &Dialect) -> Result<(Column, Option<Lookup>), HeaderFault> {
        let Dialect { user_column, lookup_by, .. } = dialect;
        let named = user_column.as_deref();
        if let Some(by) = *lookup_by {
            return self.looked_up(named, by);
        }
        let lookup = |column: Column| attribute_of(&column).map(|by| Lookup { column, by });
        if named.is_some() || self.no_headers {
            let user = self.required(named, USER, 0)?;
            let lookup = lookup(user.clone()).filter(|_| !self.no_headers);
            return Ok((user, lookup));
        }
        let attribute = || self.optional(&Attribute::ALL.map(Attribute::name), 0);
        match self.optional(USER, 0)? {
            // With two such columns, it is not clear what to look up a user without an ID by.
            Some(user) if is_of_a_report(self.names) => Ok((user, attribute().ok().flatten().and_then(lookup))),
            Some(user) => Ok((user, None)),
            None => match attribute()? {
                Some(column) => Ok((column.clone(), lookup(column))),
                None => self.required(None, USER, 0).map(|user| (user, None)),
            },
        }
    }

    /// The column of users, which are looked up `by` this attribute. Without a name, that is the attribute's own column, or that
    /// of user IDs if there is no other. A name that says another attribute is refused.
    fn looked_up(&self, named: Option<&str>, by: Attribute) -> Result<(Column, Option<Lookup>), HeaderFault> {
        let all = |column: Column| (column.clone(), Some(Lookup { column, by }));
        if named.is_some() || self.no_headers {
            let user = self.required(named, USER, 0)?;
            return match attribute_of(&user).filter(|says| *says != by && !self.no_headers) {
                Some(_) => Err(HeaderFault::OtherAttribute { column: user.name, by: by.name() }),
                None => Ok(all(user)),
            };
        }
        match (self.optional(USER, 0)?, self.by_name(by.name())?) {
            // Its user IDs are what an earlier run has found.
            (Some(user), Some(column)) if is_of_a_report(self.names) => Ok((user, Some(Lookup { column, by }))),
            (Some(user), Some(column)) => Err(HeaderFault::TwoOfUsers { ids: user.name, values: column.name }),
            (Some(user), None) => Ok(all(user)),
            (None, Some(column)) => Ok(all(column)),
            (None, None) => self.required(Some(by.name()), USER, 0).map(all),
        }
    }

    /// The column of user IDs of a grant's report, and its further columns.
    fn grant(&self) -> Result<(Column, GrantColumns), HeaderFault> {
        let column = |name: &str| {
            self.by_name(name)?.ok_or_else(|| HeaderFault::NotAGrantsReport { wanted: name.to_owned(), found: self.names.to_vec() })
        };
        let until = column("bypassMFAEnabledUntil")?;
        let (result, requested, previous) = (column("result")?, column("requestedUntil")?, column("previousUntil")?);
        Ok((column("userID")?, GrantColumns { result, until, requested, previous }))
    }

    /// The column that the user named, or else the first with one of the `known` names. Without a header, the column with the
    /// number that the user gave, or else the one at index `usual`.
    fn required(&self, named: Option<&str>, known: &[&str], usual: usize) -> Result<Column, HeaderFault> {
        let found = match named {
            Some(name) if self.no_headers => return self.numbered(name),
            Some(name) => self.by_name(name)?,
            None => self.optional(known, usual)?,
        };
        found.ok_or_else(|| HeaderFault::Missing {
            wanted: named.unwrap_or(known[0]).to_owned(),
            users: known == USER,
            found: self.names.to_vec(),
            data: !self.no_headers && self.first.iter().any(is_user_id),
        })
    }

    fn optional(&self, known: &[&str], usual: usize) -> Result<Option<Column>, HeaderFault> {
        if self.no_headers {
            return Ok(self.names.get(usual).map(|name| Column { index: usual, name: name.clone() }));
        }
        known.iter().find_map(|name| self.by_name(name).transpose()).transpose()
    }

    fn by_name(&self, wanted: &str) -> Result<Option<Column>, HeaderFault> {
        let wanted = plain(wanted);
        let mut found = self.names.iter().enumerate().filter(|(_, name)| plain(name) == wanted);
        let Some((index, name)) = found.next() else {
            return Ok(None);
        };
        match found.next() {
            None => Ok(Some(Column { index, name: name.clone() })),
            Some(_) => Err(HeaderFault::Twice(name.clone())),
        }
    }

    fn numbered(&self, text: &str) -> Result<Column, HeaderFault> {
        let index = text.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let found = index.and_then(|index| self.names.get(index).map(|name| Column { index, name: name.clone() }));
        found.ok_or_else(|| HeaderFault::NotANumber(text.to_owned(), self.names.len()))
    }
}

/// The attribute that the name of a column says.
fn attribute_of(column: &Column) -> Option<Attribute> {
    Attribute::ALL.into_iter().find(|by| plain(by.name()) == plain(&column.name))
}

fn is_user_id(field: &[u8]) -> bool {
    std::str::from_utf8(field).is_ok_and(|text| text.trim().parse::<UserId>().is_ok())
}
