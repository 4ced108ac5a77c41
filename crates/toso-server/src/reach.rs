//! Where an address can be reached from, as far as the address itself says.
//!
//! An invite that sends a phone to `127.0.0.1` sends it to itself. Nobody notices until a volunteer stands in a village with
//! it, so the maker of the invite is told.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where an address can be reached from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Nothing speaks against it.
    Wide,
    /// From some places only, and why.
    Narrow(&'static str),
    /// From nowhere, and why: no device could use it.
    Nowhere(&'static str),
}

/// Scheme, host and port of an address: what a browser calls its origin. `None` when it is none.
pub(crate) fn origin_of(url: &str) -> Option<String> {
    let (scheme, host, port) = parts(url)?;
    let usual = if scheme == "https" { 443 } else { 80 };
    let port = port.filter(|port| *port != usual).map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{scheme}://{host}{port}"))
}

impl Reach {
    /// Of an address that begins with `http://` or `https://`.
    pub(crate) fn of_url(url: &str) -> Self {
        match parts(url) {
            _ if url.contains(['?', '#']) => {
                Self::Nowhere("an address of a server has no ? and no #: every path is added to its end")
            }
            None => Self::Nowhere("it is no address of the form https://host or https://host:port"),
            Some((_, _, Some(0))) => Self::Nowhere("nothing listens on port 0"),
            Some((_, host, _)) => Self::of_host(&host),
        }
    }

    fn of_host(host: &str) -> Self {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            return match address {
                IpAddr::V4(address) => Self::of_v4(address),
                IpAddr::V6(address) => address.to_ipv4_mapped().map_or_else(|| Self::of_v6(address), Self::of_v4),
            };
        }
        let last = host.rsplit('.').next().unwrap_or_default();
        match last {
            "localhost" => Self::Narrow("localhost is each device's own name for itself"),
            "invalid" | "test" => Self::Narrow("such names exist nowhere"),
            "local" | "lan" | "internal" | "home" | "localdomain" | "arpa" => {
                Self::Narrow("such names are known only within one network")
            }
            // 127.1, 0x7f000001 and 2130706433 are addresses to some programs and names to others.
            number if number.starts_with(|c: char| c.is_ascii_digit()) => {
                Self::Nowhere("it is neither a name nor an address of four numbers")
            }
            only if only == host => Self::Narrow("a name without a dot is known only within one network"),
            _ => Self::Wide,
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        let [first, second, ..] = address.octets();
        if first == 0 {
            Self::Nowhere("0.0.0.0 means every address of this machine, and no device can dial it")
        } else if address.is_broadcast() || address.is_multicast() || first >= 240 {
            Self::Nowhere("such addresses belong to no machine")
        } else if address.is_loopback() {
            Self::Narrow("a device that dials it reaches itself")
        } else if address.is_link_local() {
            Self::Narrow("it is reached only over the same cable or access point")
        } else if address.is_documentation() {
            Self::Narrow("such addresses are kept for examples and lead nowhere")
        } else if address.is_private() || (first == 100 && (64..128).contains(&second)) {
            Self::Narrow("it is reached only from the same local network")
        } else {
            Self::Wide
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        let [first, second, ..] = address.segments();
        if address.is_unspecified() {
            Self::Nowhere("[::] means every address of this machine, and no device can dial it")
        } else if address.is_multicast() {
            Self::Nowhere("such addresses belong to no machine")
        } else if address.is_loopback() {
            Self::Narrow("a device that dials it reaches itself")
        } else if address.is_unicast_link_local() {
            Self::Narrow("it is reached only over the same cable or access point")
        } else if (first, second) == (0x2001, 0x0db8) {
            Self::Narrow("such addresses are kept for examples and lead nowhere")
        } else if address.is_unique_local() {
            Self::Narrow("it is reached only from the same local network")
        } else {
            Self::Wide
        }
    }
}

/// Scheme, host (lower case, without a dot at its end) and port.
fn parts(url: &str) -> Option<(&'static str, String, Option<u16>)> {
    let lower = url.to_ascii_lowercase();
    let (scheme, rest) = lower
        .strip_prefix("https://")
        .map(|rest| ("https", rest))
        .or_else(|| lower.strip_prefix("http://").map(|rest| ("http", rest)))?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // The end of a bracketed address, or the last colon, is where the port begins.
    let (host, port) = match authority.rsplit_once(']') {
        Some((host, port)) => (format!("{host}]"), port.strip_prefix(':').or(port.is_empty().then_some(""))?),
        None => match authority.split_once(':') {
            Some((host, port)) => (host.to_owned(), port),
            None => (authority.to_owned(), ""),
        },
    };
    let port = if port.is_empty() { None } else { Some(port.parse().ok()?) };
    let host = host.strip_suffix('.').unwrap_or(&host);
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let fits = match inner {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')),
    };
    let printable = url.bytes().all(|byte| byte.is_ascii_graphic());
    (fits && printable).then(|| (scheme, host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Servers that listened on 0.0.0.0 sent phones there, and nobody was told.
    #[test]
    fn what_an_address_says_about_itself() {
        for wide in
            ["https://toso.example.vn", "http://203.162.4.191:7878", "https://[2405:4800::1]", "https://A.gov.vn./x"]
        {
            assert_eq!(Reach::of_url(wide), Reach::Wide, "{wide}");
        }
        for narrow in [
            "http://127.0.0.1:7878",
            "http://127.9.9.9",
            "http://localhost",
            "http://LOCALHOST.:80",
            "http://toso.localhost",
            "http://[::1]:7878",
            "http://[::ffff:127.0.0.1]",
            "http://169.254.1.1",
            "http://[fe80::1]",
            "http://192.168.1.5",
            "http://10.0.0.1",
            "http://172.16.0.1",
            "http://100.64.0.1",
            "http://[fd00::1]",
            "http://192.0.2.1",
            "http://[2001:db8::1]",
            "http://centre",
            "http://centre.local:7878",
            "https://centre.invalid",
        ] {
            assert!(matches!(Reach::of_url(narrow), Reach::Narrow(_)), "{narrow}");
        }
        for nowhere in [
            "http://0.0.0.0:7878",
            "http://0.1.2.3",
            "http://[::]:7878",
            "http://[::ffff:0.0.0.0]",
            "http://255.255.255.255",
            "http://224.0.0.1",
            "http://[ff02::1]",
            "http://127.1",
            "http://2130706433",
            "http://0x7f000001",
            "http://toso.example:0",
            "http://toso.example:99999",
            "http://",
            "http://user@toso.example",
            "http://toso .example",
            "http://toso.example/\n",
            "http://[::1",
            "ftp://toso.example",
            "https://toso.example/x?y",
            "https://toso.example#w",
        ] {
            assert!(matches!(Reach::of_url(nowhere), Reach::Nowhere(_)), "{nowhere}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port_without_the_usual_one() {
        for (url, origin) in [
            ("https://Toso.Example/", "https://toso.example"),
            ("https://toso.example:443", "https://toso.example"),
            ("http://127.0.0.1:7878/x?y", "http://127.0.0.1:7878"),
            ("http://[::1]:80", "http://[::1]"),
        ] {
            assert_eq!(origin_of(url).as_deref(), Some(origin));
        }
        assert_eq!(origin_of("toso.example"), None);
    }
}
