//! Checks that the HTTP client will use the proxy that an environment variable names. It silently ignores a value that it cannot
//! parse and connects directly, which is not what the operator asked for.

use std::ffi::OsString;

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;

use super::ConfigError;
use crate::pingone::BaseUrl;

/// The variables that name the proxy for HTTPS, in order of precedence; of two spellings, the first one that is set counts.
const VARIABLES: [[&str; 2]; 2] = [["HTTPS_PROXY", "https_proxy"], ["ALL_PROXY", "all_proxy"]];
/// The ports of a proxy that names none. Source: RFC 9110.
const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];
/// Web servers set this for CGI programs, where a request's header may look like a proxy variable. The HTTP client then ignores
/// all proxy variables.
const CGI_VARIABLE: &str = "REQUEST_METHOD";

/// Looks an environment variable up.
type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Refuses a proxy setting for the host of `base` that the HTTP client would ignore.
pub(super) fn check_proxy(base: &BaseUrl, variable: Variables<'_>) -> Result<(), ConfigError> {
    let Some((name, value, url)) = proxy_setting(base, variable) else {
        return Ok(());
    };
    if variable(CGI_VARIABLE).is_some() {
        return Err(ConfigError::ProxyUnderCgi(name));
    }
    let is_usable = value.into_string().is_ok_and(|value| usable(&value, &url).is_some());
    if is_usable { Ok(()) } else { Err(ConfigError::NotAProxy(name)) }
}

/// A proxy that a variable names. What else stands there may be a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedProxy {
    pub(crate) variable: &'static str,
    /// Its host, and the port if it is named.
    pub(crate) place: String,
    host: String,
    port: u16,
}

impl NamedProxy {
    /// Its host and port, for a connection.
    pub(crate) fn host_and_port(&self) -> (&str, u16) {
        (self.host.trim_start_matches('[').trim_end_matches(']'), self.port)
    }
}

/// The proxy for the host of `base`, if there is one.
pub(super) fn proxy_of(base: &BaseUrl, variable: Variables<'_>) -> Option<NamedProxy> {
    let (name, value, url) = proxy_setting(base, variable)?;
    let proxy = usable(&value.into_string().ok()?, &url)?;
    let host = proxy.host().unwrap_or_default().to_owned();
    let place = format!("{host}{}", proxy.port_u16().map(|port| format!(":{port}")).unwrap_or_default());
    let usual = if proxy.scheme_str() == Some("https") { HTTPS_PORT } else { HTTP_PORT };
    Some(NamedProxy { variable: name, place, host, port: proxy.port_u16().unwrap_or(usual) })
}

/// The variable that names a proxy for the host of `base`, its value, and the URL of `base`; `None` if it is reached directly.
fn proxy_setting(base: &BaseUrl, variable: Variables<'_>) -> Option<(&'static str, OsString, Uri)> {
    let set = |names: [&'static str; 2]| names.into_iter().find_map(|name| Some((name, variable(name)?)));
    let named = |(_, value): &(&str, OsString)| !value.to_string_lossy().trim().is_empty();
    let (name, value) = VARIABLES.into_iter().find_map(|names| set(names).filter(named))?;
    let url = base.to_string().parse::<Uri>().ok()?;
    let spared = set(NO_PROXY).and_then(|(_, value)| value.into_string().ok()).unwrap_or_default();
    let is_direct = base.is_loopback() || Matcher::builder().all("http://proxy").no(spared).build().intercept(&url).is_none();
    (!is_direct).then_some((name, value, url))
}

/// The proxy `value`, if a connection to `url` would go through it.
fn usable(value: &str, url: &Uri) -> Option<Uri> {
    let proxy = Matcher::builder().all(value.to_owned()).build().intercept(url)?.uri().clone();
    // SOCKS is not supported.
    let is_http = matches!(proxy.scheme_str(), Some("http" | "https"));
    let has_sound_port =
        proxy.authority().is_some_and(|authority| authority.as_str() == authority.host() || authority.port_u16().is_some());
    let is_usable = is_http && has_sound_port && proxy.host().is_some_and(|host| !host.is_empty());
    is_usable.then_some(proxy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    fn checked(variables: &[(&str, &str)], base: &str) -> Result<(), String> {
        let variable = |name: &str| variables.iter().find(|(set, _)| *set == name).map(|(_, value)| OsString::from(value));
        check_proxy(&base.parse().expect("a URL"), &variable).map_err(|error| error.to_string())
    }

    const API: &str = "https://api.pingone.eu/v1";

    #[test]
    fn a_proxy_that_would_be_ignored_is_refused() {
        for good in [
            "http://proxy.example.com:8080",
            "proxy.example.com:8080",
            "proxy",
            "http://10.0.0.1",
            "https://proxy:443/",
            "http://me:p%40ss@proxy:3128",
            "http://[::1]:8080",
            "",
            " ",
        ] {
            assert_eq!(checked(&[("HTTPS_PROXY", good)], API), Ok(()), "{good}");
        }
        for bad in [
            "http://",
            "http//proxy:8080",
            "http:/proxy",
            "://proxy",
            "htp://proxy",
            "socks5://proxy:1080",
            "http://proxy:80 80",
            "http://me:s3cret pass@proxy",
            "http://proxy:port",
            "http://proxy:99999",
            "/proxy",
            "pröxy",
        ] {
            for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
                let refused = checked(&[(name, bad)], API).expect_err(bad);
                assert!(refused.starts_with(name) && !refused.contains("s3cret"), "{bad}: {refused}");
            }
            for harmless in [
                &[("HTTPS_PROXY", "proxy"), ("ALL_PROXY", bad)][..],
                &[("HTTPS_PROXY", "proxy"), ("https_proxy", bad)],
                &[("HTTPS_PROXY", bad), ("NO_PROXY", "pingone.eu")],
                &[("HTTPS_PROXY", bad), ("no_proxy", "*")],
                &[("HTTP_PROXY", bad)],
            ] {
                assert_eq!(checked(harmless, API), Ok(()), "{harmless:?}");
            }
            assert_eq!(checked(&[("HTTPS_PROXY", bad)], "http://127.0.0.1:8089/v1"), Ok(()), "this machine is reached directly");
            assert!(checked(&[("HTTPS_PROXY", ""), ("ALL_PROXY", bad)], API).is_err(), "{bad}");
            assert!(checked(&[("HTTPS_PROXY", bad), ("ALL_PROXY", "proxy")], API).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_proxy_is_ignored_silently() {
        let named = |name: &str| (name == "ALL_PROXY").then(|| OsString::from_vec(b"http://pr\xffxy".to_vec()));
        assert!(matches!(check_proxy(&API.parse().expect("a URL"), &named), Err(ConfigError::NotAProxy("ALL_PROXY"))));
        let refused = checked(&[("HTTPS_PROXY", "proxy"), ("REQUEST_METHOD", "GET")], API).expect_err("it would not be used");
        assert!(refused.contains("REQUEST_METHOD"), "{refused}");
        assert_eq!(checked(&[("REQUEST_METHOD", "GET")], API), Ok(()));
    }
}
