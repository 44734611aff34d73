//! Where events may be posted to: so that nobody who may register a webhook can have ordercast call
//! what stands beside it.
//!
//! A name is judged by the addresses it stands for, and an endpoint is connected to at one of the
//! very addresses that were judged: what a name server says a moment later changes nothing.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use awc::http::Uri;

use crate::config;

/// Longest URL.
const URL_BYTES: usize = 2_048;

/// Why nothing may be posted to a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// It is longer than 2,048 bytes.
    #[error("is longer than {URL_BYTES} bytes")]
    TooLong,
    /// It cannot be read, names no host, or has a fragment.
    #[error("is not a URL of the form https://host/path")]
    NotAUrl,
    /// It is not encrypted.
    #[error("must begin with https://")]
    NotHttps,
    /// It names a user.
    #[error("must not hold a user or a password")]
    NamesUser,
    /// Its host is an address that is not of the public internet, or stands for one.
    #[error("leads to an address that is not of the public internet")]
    Private,
}

/// Why there is no address to connect to.
#[derive(Debug)]
pub(super) enum NoAddress {
    /// Nothing may be posted there.
    Bad(BadUrl),
    /// The name cannot be looked up.
    Lookup(io::Error),
}

/// Judges URLs and addresses.
#[derive(Debug, Clone, Copy)]
pub struct Guard {
    allow_http: bool,
    allow_private: bool,
}

impl Guard {
    /// A guard that lets pass what these settings do.
    pub const fn new(settings: &config::Webhooks) -> Self {
        Self { allow_http: settings.allow_http, allow_private: settings.allow_private }
    }

    /// Reads a URL, and judges what can be judged of it without looking up a name.
    pub fn read(&self, url: &str) -> Result<Uri, BadUrl> {
        if url.len() > URL_BYTES {
            return Err(BadUrl::TooLong);
        }
        // Some would read on after a backslash or a fragment where we end, or the other way round.
        if url.contains(['#', '\\']) || url.chars().any(char::is_whitespace) {
            return Err(BadUrl::NotAUrl);
        }
        let uri: Uri = url.parse().map_err(|_| BadUrl::NotAUrl)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(BadUrl::NotAUrl);
        };
        match scheme {
            "https" => {}
            "http" if self.allow_http => {}
            _ => return Err(BadUrl::NotHttps),
        }
        if authority.as_str().contains('@') {
            return Err(BadUrl::NamesUser);
        }
        let host = authority.host();
        let port = authority.as_str().strip_prefix(host).and_then(|rest| {
            rest.is_empty().then_some(1).or_else(|| rest.strip_prefix(':')?.parse().ok())
        });
        if host.is_empty() || port.is_none_or(|port: u16| port == 0) {
            return Err(BadUrl::NotAUrl);
        }
        match literal(host) {
            Some(address) if !self.allows(address) => Err(BadUrl::Private),
            _ => Ok(uri),
        }
    }

    /// Whether this address may be connected to.
    fn allows(self, address: IpAddr) -> bool {
        self.allow_private || is_public(address)
    }

    /// The addresses of a URL that may be connected to, at least one.
    pub(super) async fn addresses(self, uri: &Uri) -> Result<Vec<SocketAddr>, NoAddress> {
        let host = uri.host().unwrap_or_default();
        let standard = if uri.scheme_str() == Some("http") { 80 } else { 443 };
        let port = uri.port_u16().unwrap_or(standard);
        let found = if let Some(address) = literal(host) {
            vec![SocketAddr::new(address, port)]
        } else {
            tokio::net::lookup_host((host, port)).await.map_err(NoAddress::Lookup)?.collect()
        };
        self.judge(found)
    }

    /// Those of the addresses that may be connected to. None of them, if the name stands for one
    /// that may not be: an honest one does not.
    fn judge(self, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, NoAddress> {
        if found.is_empty() {
            return Err(NoAddress::Lookup(io::ErrorKind::NotFound.into()));
        }
        if found.iter().all(|address| self.allows(address.ip())) {
            Ok(found)
        } else {
            Err(NoAddress::Bad(BadUrl::Private))
        }
    }
}

/// The address that a host is written as.
fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    bare.unwrap_or(host).parse().ok()
}

/// Whether the address is of the public internet.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// All but the special purposes of IANA's registry, multicast, and what is reserved.
const fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127 | 224..=255, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [192, 168, ..]
            | [198, 18..=19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
    )
}

/// Global unicast alone, and of that neither what is for protocols, tunnels and documentation. So
/// neither what wraps an address of version 4, which may be any: mapped, translated, 6to4, Teredo.
const fn is_public_v6(address: Ipv6Addr) -> bool {
    matches!(address.segments(), [0x2000..=0x3fff, ..])
        && !matches!(
            address.segments(),
            [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x2002, ..] | [0x3fff, 0..=0x0fff, ..]
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Guard = Guard { allow_http: false, allow_private: false };
    const OPEN: Guard = Guard { allow_http: true, allow_private: true };

    /// The first and last address of each range that nobody outside may be posted to.
    const CLOSED: &[&str] = &[
        // This network, private use, shared by providers, loopback, link-local.
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.0",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.0.0",
        "169.254.169.254",
        "169.254.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.168.0.0",
        "192.168.255.255",
        // Protocols, documentation, 6to4 relays, benchmarks.
        "192.0.0.0",
        "192.0.0.255",
        "192.0.2.0",
        "192.0.2.255",
        "192.88.99.0",
        "192.88.99.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.0",
        "198.51.100.255",
        "203.0.113.0",
        "203.0.113.255",
        // Multicast, reserved, broadcast.
        "224.0.0.0",
        "239.255.255.255",
        "240.0.0.0",
        "255.255.255.255",
        // Unspecified, loopback, version 4 in version 6.
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:8.8.8.8",
        "::ffff:0:7f00:1",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:ffff::1",
        "2001::1",
        "2001:0:7f00:1::",
        // Discarded, protocols, documentation.
        "100::",
        "100::ffff",
        "2001:1ff:ffff::",
        "2001:2::",
        "2001:10::",
        "2001:20::",
        "2001:db8::",
        "2001:db8:ffff::1",
        "3fff::",
        "3fff:fff:ffff::",
        // Unique local, link-local, once site-local, multicast.
        "fc00::",
        "fc00::1",
        "fd12:3456::1",
        "fdff:ffff::",
        "fe80::",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "feff::1",
        "ff00::",
        "ff02::1",
        "ffff::1",
        "4000::",
        "1fff::1",
        "5f00::1",
    ];

    /// The neighbours of these ranges.
    const PUBLIC: &[&str] = &[
        "1.0.0.0",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "191.255.255.255",
        "192.0.1.0",
        "192.0.3.0",
        "192.88.98.255",
        "192.88.100.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "198.51.99.255",
        "198.51.101.0",
        "203.0.112.255",
        "203.0.114.0",
        "223.255.255.255",
        "2000::1",
        "2001:200::",
        "2001:db7:ffff::",
        "2001:db9::",
        "2001:4860:4860::8888",
        "2003::1",
        "2a00:1450::1",
        "3ffe::1",
        "3fff:1000::",
    ];

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_addresses_of_the_public_internet_pass() {
        for text in CLOSED {
            assert!(!STRICT.allows(address(text)), "{text}");
            assert!(OPEN.allows(address(text)), "{text}");
        }
        for text in PUBLIC {
            assert!(STRICT.allows(address(text)), "{text}");
        }
    }

    #[test]
    fn an_address_in_the_url_is_judged_like_any() {
        let host = |text: &str| match address(text) {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        for text in CLOSED {
            let url = format!("https://{}:8443/hook", host(text));
            assert_eq!(STRICT.read(&url).unwrap_err(), BadUrl::Private, "{url}");
            OPEN.read(&url).unwrap();
        }
        for text in PUBLIC {
            STRICT.read(&format!("https://{}/hook?a=b", host(text))).unwrap();
        }
    }

    #[test]
    fn a_url_that_can_be_read_in_two_ways_is_refused() {
        for (url, why) in [
            ("http://example.com/", BadUrl::NotHttps),
            ("ftp://example.com/", BadUrl::NotHttps),
            ("https://ann:secret@example.com/", BadUrl::NamesUser),
            ("https://ann@example.com/", BadUrl::NamesUser),
            ("https://8.8.8.8@10.0.0.1/", BadUrl::NamesUser),
            ("https://", BadUrl::NotAUrl),
            ("https:///path", BadUrl::NotAUrl),
            ("https://example.com:0/", BadUrl::NotAUrl),
            ("https://example.com:/", BadUrl::NotAUrl),
            ("https://example.com:99999/", BadUrl::NotAUrl),
            ("https://example.com/#@10.0.0.1", BadUrl::NotAUrl),
            ("https://example.com\\@10.0.0.1/", BadUrl::NotAUrl),
            ("https://example.com/ a", BadUrl::NotAUrl),
            ("https://exämple.com/", BadUrl::NotAUrl),
            ("example.com", BadUrl::NotAUrl),
            ("/hook", BadUrl::NotAUrl),
            ("", BadUrl::NotAUrl),
            ("file:///etc/passwd", BadUrl::NotAUrl),
        ] {
            assert_eq!(STRICT.read(url).unwrap_err(), why, "{url}");
        }
        let long = format!("https://example.com/{}", "a".repeat(URL_BYTES));
        assert_eq!(STRICT.read(&long).unwrap_err(), BadUrl::TooLong);
        OPEN.read("http://example.com/").unwrap();
        let uri = STRICT.read("https://example.com:8443/hook?a=b").unwrap();
        assert_eq!(uri, "https://example.com:8443/hook?a=b");
    }

    #[test]
    fn one_address_that_may_not_be_reached_spoils_a_name() {
        let at = |text: &str| SocketAddr::new(address(text), 443);
        let mixed = vec![at("8.8.8.8"), at("10.0.0.1")];
        let refused = STRICT.judge(mixed.clone());
        assert!(matches!(refused, Err(NoAddress::Bad(BadUrl::Private))), "{refused:?}");
        assert_eq!(OPEN.judge(mixed.clone()).unwrap(), mixed);
        let both = vec![at("8.8.8.8"), at("2001:4860:4860::8888")];
        assert_eq!(STRICT.judge(both.clone()).unwrap(), both);
        assert!(matches!(STRICT.judge(vec![]), Err(NoAddress::Lookup(_))));
    }

    #[tokio::test]
    async fn a_name_is_judged_by_what_it_stands_for() {
        // Names that no server is asked for, and numbers as the resolver of the system reads them.
        for host in ["localhost", "localhost:8443", "127.1", "2130706433", "0x7f000001", "0"] {
            let uri = STRICT.read(&format!("https://{host}/")).unwrap();
            let refused = STRICT.addresses(&uri).await;
            assert!(matches!(refused, Err(NoAddress::Bad(BadUrl::Private))), "{host} {refused:?}");
        }
        let uri = OPEN.read("http://localhost/").unwrap();
        let found = OPEN.addresses(&uri).await.unwrap();
        assert!(found.iter().all(|at| at.ip().is_loopback() && at.port() == 80), "{found:?}");
    }
}
