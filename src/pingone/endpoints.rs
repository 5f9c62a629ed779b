//! PingOne's addresses: regions, and base URLs that are safe to send a token to.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use clap::ValueEnum;
use reqwest::Url;

use super::places::UrlPlaces;
use crate::domain::{EnvironmentId, UserId, quote};

/// A PingOne region. Source: foundations/conventions/pingone-api-requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
pub(crate) enum Region {
    // North America.
    Na,
    // Canada.
    Ca,
    // European Union.
    Eu,
    // Australia.
    Au,
    // Singapore.
    Sg,
    // Asia-Pacific.
    #[value(alias = "ASIA")]
    Ap,
}

impl Region {
    /// The top-level domain of its hosts, as in `PINGONE_TOP_LEVEL_DOMAIN`.
    pub(crate) fn top_level_domain(self) -> &'static str {
        match self {
            Self::Na => "com",
            Self::Ca => "ca",
            Self::Eu => "eu",
            Self::Au => "com.au",
            Self::Sg => "sg",
            Self::Ap => "asia",
        }
    }

    pub(crate) fn of_top_level_domain(domain: &str) -> Option<Self> {
        let domain = domain.trim_start_matches('.');
        Self::of(|region| region.top_level_domain().eq_ignore_ascii_case(domain))
    }

    fn of(is_it: impl Fn(Self) -> bool) -> Option<Self> {
        Self::value_variants().iter().copied().find(|region| is_it(*region))
    }

    /// Its name as an option's value.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Na => "NA",
            Self::Ca => "CA",
            Self::Eu => "EU",
            Self::Au => "AU",
            Self::Sg => "SG",
            Self::Ap => "AP",
        }
    }

    /// The region whose hosts these are, whatever their paths.
    pub(crate) fn of_hosts(api: &BaseUrl, auth: &BaseUrl) -> Option<Self> {
        Self::of(|region| api.place() == region.api_url().place() && auth.place() == region.auth_url().place())
    }

    pub(crate) fn api_url(self) -> BaseUrl {
        known(&format!("https://api.pingone.{}/v1", self.top_level_domain()))
    }

    pub(crate) fn auth_url(self) -> BaseUrl {
        known(&format!("https://auth.pingone.{}", self.top_level_domain()))
    }
}

fn known(url: &str) -> BaseUrl {
    url.parse().expect("a region's URL is well-formed")
}

/// A URL to which paths are appended: `https`, or `http` on this machine; without user, query or fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BaseUrl(Url);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotABaseUrl {
    #[error("this is not a URL: expected a form such as `https://api.pingone.eu/v1`")]
    NotAUrl,
    /// A token would cross the network in the clear.
    #[error("`{}` is not encrypted: expected `https`, since plain `http` is for loopback hosts only", quote(.0))]
    Plain(String),
    #[error("the URL has a user, a password, a query or a fragment: expected a form such as `https://api.pingone.eu/v1`")]
    Surplus,
    /// Requests would go to `/environments/…/environments/…`.
    #[error("`{}` is the URL of a request: expected the part before it, `{base}`", quote(.text))]
    Resource { text: String, base: String },
}

impl BaseUrl {
    /// Whether its host is this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.host();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        address.map_or(host.eq_ignore_ascii_case("localhost"), |address| address.is_loopback())
    }

    /// Whether connections to it are not encrypted, which is allowed on this machine only.
    pub(crate) fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    pub(crate) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The URL itself., each made from a validated type.
    pub(super) fn url(&self) -> Url {
        self.0.clone()
    }

    /// Its host, and the port if it is not the usual one.
    pub(crate) fn place(&self) -> String {
        let port = self.0.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{port}", self.host())
    }

    /// Its host and port, for an address to be found.
    pub(crate) fn host_and_port(&self) -> (&str, u16) {
        let host = self.host().trim_start_matches('[').trim_end_matches(']');
        (host, self.0.port_or_known_default().unwrap_or_default())
    }

    /// The base before `/environments` or before an environment's `/as`, if its path goes on so far.
    fn before_a_resource(&self) -> Option<String> {
        let segments: Vec<&str> = self.0.path_segments()?.filter(|segment| !segment.is_empty()).collect();
        let environments = segments.iter().position(|segment| segment.eq_ignore_ascii_case("environments"));
        let tokens = segments.iter().position(|segment| *segment == "as").map(|at| at.saturating_sub(1));
        let before = environments.or(tokens)?;
        let mut url = self.0.clone();
        url.set_path(&segments[..before].join("/"));
        Some(Self(url).to_string())
    }

    /// The base followed by `segments`, each made from a validated type.
    pub(super) fn with(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        url.path_segments_mut().expect("http and https have paths").pop_if_empty().extend(segments);
        url
    }
}

impl FromStr for BaseUrl {
    type Err = NotABaseUrl;

    fn from_str(text: &str) -> Result<Self, NotABaseUrl> {
        let url = Url::parse(text).map_err(|_| NotABaseUrl::NotAUrl)?;
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(NotABaseUrl::Surplus);
        }
        let base = Self(url);
        if let Some(before) = base.before_a_resource() {
            return Err(NotABaseUrl::Resource { text: text.to_owned(), base: before });
        }
        match base.0.scheme() {
            "https" => Ok(base),
            "http" if base.is_loopback() => Ok(base),
            "http" => Err(NotABaseUrl::Plain(text.to_owned())),
            _ => Err(NotABaseUrl::NotAUrl),
        }
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// The largest page of the user list. Source: paging-ordering-filtering-collections.
const PAGE: usize = 200;

/// The addresses of all requests.
#[derive(Debug, Clone)]
pub(crate) struct Endpoints {
    pub(crate) api: BaseUrl,
    pub(crate) auth: BaseUrl,
    pub(crate) environment: EnvironmentId,
    /// The environment of the worker application.
    pub(crate) auth_environment: EnvironmentId,
    /// Where the base URLs are set; `None` for those of a region, or of the sandbox inside this process.
    pub(crate) urls: Option<UrlPlaces>,
}

impl fmt::Display for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "environment {} at {}", self.environment, self.api)
    }
}

impl Endpoints {
    pub(crate) fn token(&self) -> Url {
        self.auth.with(&[&self.auth_environment.to_string(), "as", "token"])
    }

    pub(crate) fn environment(&self) -> Url {
        self.api.with(&["environments", &self.environment.to_string()])
    }

    pub(crate) fn capabilities(&self) -> Url {
        self.api.with(&["environments", &self.environment.to_string(), "capabilities"])
    }

    /// The first page of the user list, of all users or those that a SCIM `filter` selects.
    pub(crate) fn users(&self, filter: Option<&str>) -> Url {
        let mut url = self.api.with(&["environments", &self.environment.to_string(), "users"]);
        // Not every server reads `+` as a space.
        let encoded = |filter: &str| form_urlencoded::byte_serialize(filter.as_bytes()).collect::<String>().replace('+', "%20");
        let filter = filter.map(|filter| format!("&filter={}", encoded(filter))).unwrap_or_default();
        url.set_query(Some(&format!("limit={PAGE}{filter}")));
        url
    }

    /// A page of the user list with one user.
    pub(super) fn first_user(&self) -> Url {
        let mut url = self.users(None);
        url.set_query(Some("limit=1"));
        url
    }

    /// The hosts, and the region that they are those of.
    pub(crate) fn hosts(&self) -> String {
        let Self { api, auth, .. } = self;
        let region = match (
            Region::of(|region| api.to_string() == region.api_url().to_string()),
            Region::of(|region| auth.to_string() == region.auth_url().to_string()),
        ) {
            (Some(of_api), Some(of_auth)) if of_api == of_auth => format!("region {}", of_api.name()),
            (Some(of_api), Some(of_auth)) => format!("regions {} and {}", of_api.name(), of_auth.name()),
            (_, _) => "your own URLs, of no region".to_owned(),
        };
        format!("API {}, auth {}; {region}", api.place(), auth.place())
    }

    pub(crate) fn bypass_urls(&self) -> BypassUrls {
        BypassUrls(self.api.with(&["environments", &self.environment.to_string(), "users"]))
    }
}

/// The URLs of users' bypasses, built from their common prefix.
#[derive(Debug, Clone)]
pub(crate) struct BypassUrls(Url);

impl BypassUrls {
    pub(crate) fn of(&self, user: UserId) -> Url {
        let mut url = self.0.clone();
        url.path_segments_mut().expect("http and https have paths").push(&user.to_string()).push("bypassMFA");
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_over_https_or_stays_on_this_machine() {
        for good in
            ["https://api.pingone.eu/v1", "http://127.0.0.1:8089/v1", "http://localhost:1", "http://[::1]:80/v1/", "http://127.9.9.9"]
        {
            assert!(good.parse::<BaseUrl>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "api.pingone.eu",
            "http://api.pingone.eu/v1",
            "http://127.0.0.1.example.com",
            "http://localhost.example.com",
            "http://10.0.0.1",
            "http://0.0.0.0",
            "ftp://127.0.0.1",
            "https://user@api.pingone.eu/v1",
            "https://:secret@api.pingone.eu/v1",
            "https://api.pingone.eu/v1?x=y",
            "https://api.pingone.eu/v1#x",
        ] {
            let refused = bad.parse::<BaseUrl>().expect_err(bad);
            assert!(!refused.to_string().contains("secret"));
        }
        let why = |bad: &str| bad.parse::<BaseUrl>().expect_err(bad);
        assert_eq!(why("http://10.0.0.1"), NotABaseUrl::Plain("http://10.0.0.1".to_owned()));
        assert_eq!(why("https://api.pingone.eu/v1?x=y"), NotABaseUrl::Surplus);
        assert_eq!((why("ftp://127.0.0.1"), why("x")), (NotABaseUrl::NotAUrl, NotABaseUrl::NotAUrl));
    }

    #[test]
    fn the_url_of_a_request_is_no_base() {
        for (text, base) in [
            ("https://api.pingone.eu/v1/environments", "https://api.pingone.eu/v1"),
            ("https://api.pingone.eu/v1/environments/", "https://api.pingone.eu/v1"),
            ("https://api.pingone.eu/v1/Environments/abfba8f6/users", "https://api.pingone.eu/v1"),
            ("http://127.0.0.1:8089/environments", "http://127.0.0.1:8089"),
            ("https://auth.pingone.eu/abfba8f6/as/token", "https://auth.pingone.eu"),
            ("https://gateway.example/ping/abfba8f6/as", "https://gateway.example/ping"),
            ("https://auth.pingone.eu/as", "https://auth.pingone.eu"),
        ] {
            let refused = text.parse::<BaseUrl>().expect_err(text);
            assert_eq!(refused, NotABaseUrl::Resource { text: text.to_owned(), base: base.to_owned() });
            assert!(refused.to_string().ends_with(&format!(": expected the part before it, `{base}`")), "{refused}");
        }
        for good in ["https://environments.example/v1", "https://gateway.example/my-environments/v1", "https://as.example"] {
            assert!(good.parse::<BaseUrl>().is_ok(), "{good}");
        }
    }

    #[test]
    fn the_hosts_are_those_of_a_region_or_custom() {
        let environment: EnvironmentId = "abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6".parse().expect("a UUID");
        for (api, auth, expected) in [
            ("https://api.pingone.eu/v1/", "https://auth.pingone.eu", "API api.pingone.eu, auth auth.pingone.eu; region EU"),
            ("https://api.pingone.eu/v1", "https://auth.pingone.com", "API api.pingone.eu, auth auth.pingone.com; regions EU and NA"),
            (
                "https://api.pingone.eu/v2",
                "https://auth.pingone.eu",
                "API api.pingone.eu, auth auth.pingone.eu; your own URLs, of no region",
            ),
            ("http://[::1]:80/v1", "http://localhost:8089", "API [::1], auth localhost:8089; your own URLs, of no region"),
        ] {
            let (api, auth) = (api.parse().expect("a URL"), auth.parse().expect("a URL"));
            assert_eq!(Endpoints { api, auth, environment, auth_environment: environment, urls: None }.hosts(), expected);
        }
        for region in Region::value_variants().iter().copied() {
            let endpoints =
                Endpoints { api: region.api_url(), auth: region.auth_url(), environment, auth_environment: environment, urls: None };
            assert!(endpoints.hosts().ends_with(&format!("; region {}", region.name())), "{region:?}");
            let value = clap::ValueEnum::to_possible_value(&region).expect("named");
            assert_eq!(value.get_name(), region.name());
        }
    }

    #[test]
    fn a_base_url_knows_its_host() {
        for (text, host, is_loopback, is_plain) in [
            ("https://api.pingone.eu/v1", "api.pingone.eu", false, false),
            ("https://127.0.0.1:8443/v1", "127.0.0.1", true, false),
            ("http://localhost:8089", "localhost", true, true),
            ("http://[::1]:80/v1", "[::1]", true, true),
        ] {
            let url: BaseUrl = text.parse().expect(text);
            assert_eq!((url.host(), url.is_loopback(), url.is_plain()), (host, is_loopback, is_plain), "{text}");
            assert_eq!(url.to_string(), text.replace(":80/", "/"));
        }
        let environment: EnvironmentId = "abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6".parse().expect("a UUID");
        let (api, auth) = ("https://api.pingone.eu/v1/".parse().expect("a URL"), Region::Eu.auth_url());
        let shown = Endpoints { api, auth, environment, auth_environment: environment, urls: None }.to_string();
        assert_eq!(shown, format!("environment {environment} at https://api.pingone.eu/v1"));
    }

    #[test]
    fn requests_are_addressed_as_documented() {
        let id = "7e94b96e-0364-463b-a059-d97d1e4cb1d5";
        let environment: EnvironmentId = "abfba8f6-49eb-49f5-a5d9-80ad5c98f9f6".parse().expect("a UUID");
        for slash in ["", "/"] {
            let endpoints = Endpoints {
                api: format!("https://api.pingone.com.au/v1{slash}").parse().expect("a URL"),
                auth: Region::Au.auth_url(),
                environment,
                auth_environment: environment,
                urls: None,
            };
            assert_eq!(
                endpoints.bypass_urls().of(id.parse().expect("a UUID")).as_str(),
                format!("https://api.pingone.com.au/v1/environments/{environment}/users/{id}/bypassMFA")
            );
            assert_eq!(endpoints.token().as_str(), format!("https://auth.pingone.com.au/{environment}/as/token"));
        }
    }

    #[test]
    fn every_region_is_known_by_its_domain() {
        for region in Region::value_variants().iter().copied() {
            assert_eq!(Region::of_top_level_domain(region.top_level_domain()), Some(region));
        }
        assert_eq!(Region::of_top_level_domain("co.uk"), None);
        assert_eq!((Region::of_top_level_domain(".COM.AU"), Region::of_top_level_domain("eu")), (Some(Region::Au), Some(Region::Eu)));
        let urls = (Region::Ap.api_url().to_string(), Region::Na.auth_url().to_string());
        assert_eq!(urls, ("https://api.pingone.asia/v1".to_owned(), "https://auth.pingone.com".to_owned()));
    }
}
