//! The rates that the licence allows, by group of endpoints, as far as PingOne's `capabilities` lists them. It is not documented
//! which group a bypass belongs to, so nothing depends on them: they are shown, recorded, and compared with `--rate`.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::answer::Answer;
use super::error::{PingOneError, ServerMessage};
use super::fetch::Fetched;
use super::session::Session;
use super::transport::{Resource, Transport};
use crate::stop::Stop;

/// At most this many rates are read: PingOne documents about twenty.
const MAX_RATES: usize = 64;
/// The longest name of a rate that is read, in bytes. The known names have up to 15.
const MAX_NAME: usize = 40;
/// The prefix of rate names. Source: the published definition of `LicenseQuantities`.
const RATE: &str = "rlg";
/// The share of each rate that one IP address may use unless it is listed in the admin console. Source: `settings/p1_rate_limits`.
const ADDRESS_SHARE: &str = "one address may use 35 % of each by default";

/// The groups that are shown under a name of their own.
const KNOWN: [(&str, &str); 6] = [
    ("rlgMfaRps", "MFA"),
    ("rlgMfaFixedRps", "MFA (fixed)"),
    ("rlgDirAccessRps", "directory reads"),
    ("rlgDirWriteRps", "directory writes"),
    ("rlgDirFixedRps", "directory (fixed)"),
    ("rlgCatchAllRps", "all others"),
];

/// The rates that a licence allows, by PingOne's names for them, such as `rlgMfaRps` (per second) or `…Rpm` (per minute).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LicenceRates(pub(crate) BTreeMap<String, u64>);

impl LicenceRates {
    /// The rates anywhere in a body.
    fn read(body: &Value) -> Self {
        let mut rates = Self::default();
        rates.collect(body);
        rates
    }

    /// Adds the rates in `value`. The recursion is bounded: the JSON parser allows 128 levels.
    fn collect(&mut self, value: &Value) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    match member.get("limit").and_then(Value::as_u64) {
                        Some(limit) if period(name).is_some() && self.0.len() < MAX_RATES => drop(self.0.insert(name.clone(), limit)),
                        Some(_) | None => self.collect(member),
                    }
                }
            }
            Value::Array(members) => members.iter().for_each(|member| self.collect(member)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The highest rate, in requests a second; `None` if there is none above zero (zero may mean unlimited).
    #[expect(clippy::cast_precision_loss, reason = "a rate of so many requests needs no more digits")]
    pub(crate) fn highest(&self) -> Option<f64> {
        let a_second = self.0.iter().filter_map(|(name, limit)| period(name).map(|(seconds, _)| *limit as f64 / seconds));
        a_second.filter(|rate| *rate > 0.0).reduce(f64::max)
    }
}

/// The period of the rate called `name`, in seconds, and its unit; `None` if that is not the name of a rate. Only ASCII letters
/// and digits are accepted, so the name is safe to show.
fn period(name: &str) -> Option<(f64, &'static str)> {
    if !name.starts_with(RATE) || name.len() > MAX_NAME || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    [("Rps", (1.0, "s")), ("Rpm", (60.0, "min"))].into_iter().find(|(suffix, _)| name.ends_with(suffix)).map(|(_, period)| period)
}

impl fmt::Display for LicenceRates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, limit)) in self.0.iter().enumerate() {
            let known = KNOWN.iter().find(|(known, _)| known == name).map(|(_, shown)| *shown);
            let shown = known.unwrap_or(&name[RATE.len()..name.len() - "Rps".len()]);
            let unit = period(name).map_or("s", |(_, unit)| unit);
            write!(f, "{}{shown} {limit}/{unit}", if index == 0 { "" } else { ", " })?;
        }
        write!(f, "; {ADDRESS_SHARE}")
    }
}

impl<W: Transport> Session<W> {
    /// Fetches the licence's rates, without retries; none if the server refuses or lists none, which is no fault. An error ends
    /// the run.
    pub(crate) async fn licence(&self, stop: &Stop) -> Result<LicenceRates, PingOneError> {
        let read = |answer: &Answer, _: &_| {
            let body = answer.body.as_deref().map_err(Clone::clone)?;
            serde_json::from_slice(body).map(|body| LicenceRates::read(&body)).map_err(|_| "the answer is not JSON".to_owned())
        };
        let why = match self.fetch_once(Resource::Licence, stop, read).await? {
            Fetched::Value(rates) if rates.is_empty() => "the answer has none".to_owned(),
            Fetched::Value(rates) => return Ok(rates),
            Fetched::Refused { detail, .. } | Fetched::Failed { detail, .. } | Fetched::Throttled(detail) => {
                ServerMessage::from(detail).to_string()
            }
            Fetched::Stopped => return Ok(LicenceRates::default()),
        };
        tracing::debug!("the rates of the licence are not known: {why}");
        Ok(LicenceRates::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> LicenceRates {
        LicenceRates::read(&serde_json::from_str(body).expect("JSON"))
    }

    #[test]
    fn rates_are_found_anywhere_in_the_body() {
        let rates = read(
            r#"{"license":{"quantities":[{"rlgMfaRps":{"limit":100},"rlgAuditRpm":{"limit":600},"rlgDirAccessRps":{"limit":200}}],
               "maxUsers":{"limit":5},"rlgX":{"limit":1},"rlgBadRps":{"limit":-1},"rlgWorseRps":{"limit":"many"},"rlg\u001b[2JRps":{"limit":1}},
               "rlgMfaFixedRps":{"limit":40,"used":3}}"#,
        );
        assert_eq!(
            rates.to_string(),
            "Audit 600/min, directory reads 200/s, MFA (fixed) 40/s, MFA 100/s; one address may use 35 % of each by default"
        );
        assert_eq!(rates.highest(), Some(200.0));
        for empty in ["{}", "[]", "null", "7", r#"{"rlgMfaRps":100}"#, r#"{"rlgMfaRps":{"limit":1e3}}"#] {
            assert!(read(empty).is_empty() && read(empty).highest().is_none(), "{empty}");
        }
    }

    #[test]
    fn rates_are_recognized_by_their_names() {
        let name = |length: usize| format!("rlg{}Rps", "x".repeat(length - 6));
        let named = |name: &str, limit: u64| read(&format!(r#"{{"{name}":{{"limit":{limit}}}}}"#)).highest();
        for (name, limit, expected) in [
            (name(40).as_str(), 7, Some(7.0)),
            (&name(41), 7, None),
            ("maxRps", 7, None),
            ("rlgMfaRpd", 7, None),
            ("rlgMfa Rps", 7, None),
            ("rlgAuditRpm", 90, Some(1.5)),
            ("rlgMfaRps", 0, None),
            ("rlgMfaRps", 1, Some(1.0)),
        ] {
            assert_eq!(named(name, limit), expected, "{name}");
        }
        let rates = read(r#"{"rlgMfaRps":{"limit":0},"rlgDirWriteRps":{"limit":3},"rlgAuditRpm":{"limit":120}}"#);
        assert_eq!(rates.highest(), Some(3.0));
        assert_eq!(
            rates.0.iter().map(|(name, limit)| format!("{name} {limit}")).collect::<Vec<_>>().join(", "),
            "rlgAuditRpm 120, rlgDirWriteRps 3, rlgMfaRps 0"
        );
        assert_eq!(rates.to_string(), "Audit 120/min, directory writes 3/s, MFA 0/s; one address may use 35 % of each by default");
    }

    #[test]
    fn the_number_of_rates_is_bounded() {
        let many: String = (0..9000).map(|index| format!(r#""rlg{index}Rps":{{"limit":{}}},"#, u64::MAX)).collect();
        let rates = read(&format!("{{{many}\"x\":1}}"));
        assert!(rates.0.len() == MAX_RATES && rates.to_string().len() < MAX_RATES * 80);
    }
}
