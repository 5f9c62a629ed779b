//! `doctor`: tries what a run needs, one after the other, and touches no user.

use std::io;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::check_table::{Check, CheckTable, Checked, Failure};
use super::error::RunError;
use super::preflight::CLOCK_OFF;
use super::target::Target;
use crate::cli::DoctorArgs;
use crate::clock::{Clock, GOOD_TO, Offset};
use crate::config::{Connection, Diagnosis, Identity, NamedProxy, SettingLine, proxy_of};
use crate::domain::{RunId, quote, span_in_words};
use crate::pace::{Pacer, Rate};
use crate::pingone::{
    BaseUrl, Endpoints, EnvironmentInfo, HttpTransport, LicenceRates, Limits, PageResult, PingOneError, ServerMessage, Session, Unreached,
    WRONG_PATH,
};
use crate::stop::Stop;

/// How long one request may take: less than in a run, since somebody waits for the answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request is repeated that meets faults.
const PATIENCE: Duration = Duration::from_secs(30);
/// Tries of a request that meets faults.
const ATTEMPTS: u32 = 3;
/// The requests a second. There are fewer than ten in all.
const RATE: Rate = Rate::PerSecond(10.0);

/// Writes the table, and returns the exit code.
pub(super) async fn examine(arguments: &DoctorArgs) -> Result<u8, RunError> {
    let mut table = CheckTable::new(arguments.quiet)?;
    let Diagnosis { settings, connection } = Diagnosis::of(&arguments.connection);
    let connection = show_settings(&mut table, &settings, connection)?;
    if let Some(connection) = connection {
        check_connection(&mut table, &connection).await?;
    }
    table.end()
}

fn show_settings(
    table: &mut CheckTable,
    settings: &[SettingLine],
    connection: Result<Connection, crate::config::ConfigError>,
) -> Result<Option<Connection>, RunError> {
    let connection = match connection {
        Ok(connection) => connection,
        Err(error) => {
            table.note(Check::Settings, Failure::from(error))?;
            list(table, settings)?;
            return Ok(None);
        }
    };
    let seen = match &connection {
        Connection::Sandbox => "the sandbox inside this process needs none".to_owned(),
        Connection::PingOne { endpoints, .. } => endpoints.hosts(),
    };
    table.note(Check::Settings, Checked::Well(seen))?;
    list(table, settings)?;
    Ok(Some(connection))
}

/// The settings in columns: name, value, source.
fn list(table: &mut CheckTable, settings: &[SettingLine]) -> Result<(), RunError> {
    let widest = |part: fn(&SettingLine) -> &str| settings.iter().map(|line| part(line).chars().count()).max().unwrap_or_default();
    let (names, values) = (widest(|line| line.name), widest(|line| &line.value));
    for SettingLine { name, value, source } in settings {
        table.detail(&format!("{name:names$}  {value:values$}  {source}"))?;
    }
    Ok(())
}

/// All checks after that of the settings, up to the first one that the others depend on.
async fn check_connection(table: &mut CheckTable, connection: &Connection) -> Result<(), RunError> {
    let clock = Clock::of_this_machine().map_err(|_| RunError::ClockBefore1970)?;
    let target = Target::connect(connection).await?;
    let (endpoints, identity, stop) = (target.endpoints.clone(), target.identity.clone(), Stop::default());
    let limits = Limits { timeout: TIMEOUT, give_up_after: PATIENCE, max_attempts: ATTEMPTS };
    let (session, _sandbox) = target.open(Pacer::new(RATE), 1, limits, RunId::random(), clock)?;

    if !table.note(Check::Proxy, proxies(&endpoints).await)?
        || !table.note(Check::Dns, addresses(&endpoints).await)?
        || !table.note(Check::Tls, hosts(&session, &endpoints).await)?
    {
        return Ok(());
    }
    let offset = session.offset();
    table.note(Check::Clock, clock_of(offset))?;
    let now = offset.map_or(clock, |offset| clock.corrected(offset)).now();
    if !table.note(Check::Token, token(&session, &identity, now, &stop).await)?
        || !table.note(Check::Environment, environment(session.environment(&stop).await, &endpoints))?
    {
        return Ok(());
    }
    table.note(Check::Users, users(session.peek_at_users(&stop).await))?;
    table.note(Check::Licence, licence(session.licence(&stop).await))?;
    Ok(())
}

/// Both hosts; one, if they are the same.
fn both(endpoints: &Endpoints) -> Vec<&BaseUrl> {
    let Endpoints { api, auth, .. } = endpoints;
    if api.place() == auth.place() { vec![api] } else { vec![api, auth] }
}

/// The proxies, each of which must take a connection.
async fn proxies(endpoints: &Endpoints) -> Checked {
    let mut named = Vec::new();
    for base in both(endpoints) {
        let Some(proxy) = proxy_of(base) else { continue };
        let NamedProxy { variable, place, .. } = &proxy;
        let connected = tokio::time::timeout(TIMEOUT, tokio::net::TcpStream::connect(proxy.host_and_port())).await;
        if let Err(error) = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            let hint = format!("check the proxy's host and port in {variable}, and that it runs; NO_PROXY names hosts that need none");
            return Failure::new(format!("{place}, which {variable} names, takes no connection: {error}"), hint).into();
        }
        named.push(format!("{} by {place}, which {variable} names", base.place()));
    }
    Checked::Well(if named.is_empty() { "none is used".to_owned() } else { named.join("; ") })
}

/// The hosts' addresses. The name of a host that is reached by a proxy is the proxy's to resolve.
async fn addresses(endpoints: &Endpoints) -> Checked {
    let mut seen = Vec::new();
    for base in both(endpoints) {
        let (host, port) = base.host_and_port();
        if proxy_of(base).is_some() {
            seen.push(format!("{host} is resolved by the proxy"));
            continue;
        }
        let hint = "check the network and its name server, and `--region`, `--api-url` and `--auth-url`; behind a proxy, set HTTPS_PROXY";
        match tokio::time::timeout(TIMEOUT, tokio::net::lookup_host((host, port))).await {
            Ok(Ok(found)) => {
                let addresses: Vec<String> = found.map(|address| address.ip().to_string()).collect();
                seen.push(format!("{host} is {}", addresses.join(", ")));
            }
            Ok(Err(error)) => return Failure::new(format!("{host}: {error}"), hint).into(),
            Err(_) => return Failure::new(format!("{host}: no answer within {} s", TIMEOUT.as_secs()), hint).into(),
        }
    }
    Checked::Well(seen.join("; "))
}

async fn hosts(session: &Session<HttpTransport>, endpoints: &Endpoints) -> Checked {
    let mut seen = Vec::new();
    for base in both(endpoints) {
        let place = base.place();
        match session.reach(base).await {
            Ok(()) if base.is_plain() => seen.push(format!("{place} answers, unencrypted: it is on this machine")),
            Ok(()) => seen.push(format!("{place} answers, and its certificate is trusted")),
            Err(Unreached::Untrusted(why)) => {
                let hint = "an unknown issuer: if a proxy of yours opens TLS, name its certificate authority with `--ca-cert`; an expired certificate: check the \
                            clock here; one of another name: check the URLs";
                return Failure::new(format!("the certificate of {place} is not trusted: {why}"), hint).into();
            }
            Err(Unreached::Failed(why)) => {
                let Some(NamedProxy { variable, place: proxy, .. }) = proxy_of(base) else {
                    let hint = "check the network and its firewall, the proxy variables, `--region`, `--api-url` and `--auth-url`";
                    return Failure::new(format!("{place} does not answer: {why}"), hint).into();
                };
                let hint = format!(
                    "check that the proxy in {variable} lets this machine reach {place}, with the user and password that it asks for"
                );
                return Failure::new(format!("{place} does not answer by the proxy {proxy}: {why}"), hint).into();
            }
        }
    }
    Checked::Well(seen.join("; "))
}

fn clock_of(offset: Option<Offset>) -> Checked {
    let Some(offset) = offset else {
        return Checked::Unknown("PingOne did not tell its time".to_owned());
    };
    let off = span_in_words(Duration::from_secs(offset.off.as_secs()));
    match offset.off {
        off if off <= GOOD_TO => Checked::Well(format!("within {} s of PingOne's", GOOD_TO.as_secs())),
        much if much > CLOCK_OFF => {
            let hint = "set the clock here, or say `--trust-clock` with `grant` if PingOne's is the one that is wrong";
            Failure::new(format!("{off} {} PingOne's: a `grant` is refused", offset.side), hint).into()
        }
        _ => Checked::Well(format!("{off} {} PingOne's, whose time dates count from", offset.side)),
    }
}

async fn token(session: &Session<HttpTransport>, identity: &Identity, now: DateTime<Utc>, stop: &Stop) -> Checked {
    let Identity::Ready(token) = identity else {
        return match session.has_token(stop).await {
            Ok(_) => Checked::Well(format!("PingOne has issued one to {identity}")),
            Err(error) => Failure::from(error).into(),
        };
    };
    match token.stated_expiry() {
        None => Checked::Well("a ready one, which does not say when it expires".to_owned()),
        Some(expiry) if expiry <= now => {
            let hint = "a token lives one hour: fetch a new one, or give a client ID and secret, which renews it";
            Failure::refused(format!("the ready one expired at {}", expiry.format("%Y-%m-%dT%H:%M:%SZ")), hint).into()
        }
        Some(expiry) => {
            let left = Duration::from_secs((expiry - now).num_seconds().unsigned_abs());
            let at = expiry.format("%Y-%m-%dT%H:%M:%SZ");
            Checked::Well(format!("a ready one, which expires at {at} (in {}) and cannot be renewed", humantime::format_duration(left)))
        }
    }
}

fn environment(read: Result<Option<EnvironmentInfo>, PingOneError>, endpoints: &Endpoints) -> Checked {
    let id = endpoints.environment;
    let EnvironmentInfo { name, kind, unread, .. } = match read {
        Ok(info) => info.unwrap_or_default(),
        Err(error) => return Failure::from(error).into(),
    };
    if let Some(detail) = unread {
        let (is_refused, message) = (detail.status.is_some_and(|status| (400..500).contains(&status)), ServerMessage::from(detail));
        return match (is_refused, message.is_of_pingone()) {
            (true, true) => Checked::Unknown(format!("{id}, whose name and type may not be read: {message}")),
            (true, false) => Failure::refused(format!("{id}: {message}"), WRONG_PATH).into(),
            (false, _) => Failure::new(format!("{id}: PingOne does not answer: {message}"), "try again later").into(),
        };
    }
    let short = |text: crate::domain::ForeignText| quote(&text.to_string());
    match (name.map(short), kind.map(short)) {
        (Some(name), Some(kind)) => Checked::Well(format!("`{name}` ({kind}), {id}")),
        (Some(name), None) => Checked::Well(format!("`{name}`, {id}")),
        (None, _) => Checked::Well(id.to_string()),
    }
}

fn users(read: Result<PageResult, PingOneError>) -> Checked {
    let may_read = "the list may be read: a page of one user was asked for, and no bypass";
    match read {
        Ok(PageResult::Page(page)) => {
            let total = page.total.map(|users| format!(" (there are {users})")).unwrap_or_default();
            Checked::Well(format!("{may_read}{total}"))
        }
        Ok(PageResult::Refused(detail)) => {
            let hint = "check the API URL and `--environment-id`: the role is not why; `-vv` shows the requests";
            Failure::new(format!("PingOne refused the request for the user list: {}", ServerMessage::from(detail)), hint).into()
        }
        Ok(PageResult::Forbidden(detail)) => {
            let message = ServerMessage::from(detail);
            let hint = if message.is_of_pingone() {
                "give the worker application the role Identity Data Admin for the environment"
            } else {
                WRONG_PATH
            };
            Failure::refused(format!("PingOne does not let the user list be read: {message}"), hint).into()
        }
        Ok(PageResult::Failed(detail)) => {
            Failure::new(format!("the user list could not be had: {}", ServerMessage::from(detail)), "try again later").into()
        }
        Ok(PageResult::Stopped) => Checked::Unknown("not checked".to_owned()),
        Err(error) => Failure::from(error).into(),
    }
}

fn licence(read: Result<LicenceRates, PingOneError>) -> Checked {
    match read {
        Ok(rates) if rates.is_empty() => Checked::Unknown("PingOne does not tell its rates; the run finds the limit by itself".to_owned()),
        Ok(rates) => Checked::Well(rates.to_string()),
        Err(error) => Failure::from(error).into(),
    }
}
