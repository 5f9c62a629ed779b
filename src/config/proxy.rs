//! Checks that the HTTP client will use the proxy that an environment variable names. It silently ignores a value that it cannot
//! parse and connects directly, which is not what the operator asked for.

use std::ffi::OsString;

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;

use super::ConfigError;
use crate::pingone::BaseUrl;

/// The variables that name the proxy for HTTPS, in order of precedence; of two spellings, the first one that is set counts.
const VARIABLES: [[&str; 2]; 2] = [["HTTPS_PROXY", "https_proxy"], ["ALL_PROXY", "all_proxy"]];
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];
/// Web servers set this for CGI programs, where a request's header may look like a proxy variable. The HTTP client then ignores
/// all proxy variables.
const CGI_VARIABLE: &str = "REQUEST_METHOD";

/// Refuses a proxy setting for the host of `base` that the HTTP client would ignore. `variable` looks up an environment
/// variable.
pub(super) fn check_proxy(base: &BaseUrl, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<(), ConfigError> {
    let set = |names: [&'static str; 2]| names.into_iter().find_map(|name| Some((name, variable(name)?)));
    let named = |(_, value): &(&str, OsString)| !value.to_string_lossy().trim().is_empty();
    let Some((name, value)) = VARIABLES.into_iter().find_map(|names| set(names).filter(named)) else {
        return Ok(());
    };
    let Ok(url) = base.to_string().parse::<Uri>() else {
        return Ok(());
    };
    let spared = set(NO_PROXY).and_then(|(_, value)| value.into_string().ok()).unwrap_or_default();
    if base.is_loopback() || Matcher::builder().all("http://proxy").no(spared).build().intercept(&url).is_none() {
        return Ok(());
    }
    if variable(CGI_VARIABLE).is_some() {
        return Err(ConfigError::ProxyUnderCgi(name));
    }
    let is_usable = value.into_string().is_ok_and(|value| is_usable(&value, &url));
    if is_usable { Ok(()) } else { Err(ConfigError::NotAProxy(name)) }
}

/// Whether a connection to `url` would go through the proxy `value`.
fn is_usable(value: &str, url: &Uri) -> bool {
    let Some(proxy) = Matcher::builder().all(value.to_owned()).build().intercept(url) else {
        return false;
    };
    let proxy = proxy.uri();
    // SOCKS is not supported.
    let is_http = matches!(proxy.scheme_str(), Some("http" | "https"));
    let has_sound_port =
        proxy.authority().is_some_and(|authority| authority.as_str() == authority.host() || authority.port_u16().is_some());
    is_http && has_sound_port && proxy.host().is_some_and(|host| !host.is_empty())
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
