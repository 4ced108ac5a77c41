//! Links that people are shown to tap on, so only such as show where they lead.

use super::limits::{LINK_BYTES_MAX, check_bytes, check_input};
use super::{TextError, canonical, check_whole};

text_value!(
    /// A link to a Zalo group or another https page, at most 300 bytes.
    ///
    /// The site's name is plain ASCII with a dot, without user name or password: a look-alike letter or `zalo.me@…`
    /// would lead elsewhere than it seems.
    Link,
    shown
);

const SCHEME: &str = "https://";
const HOST_BYTES_MAX: usize = 253;
const HOST_LABEL_BYTES_MAX: usize = 63;

impl Link {
    const WHAT: &str = "the link";

    /// Reads a link as copied from a browser or from Zalo.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        check_input(Self::WHAT, text)?;
        check_whole(Self::WHAT, text)?;
        let text = canonical(text);
        if text.is_empty() {
            return Err(TextError::Empty { what: Self::WHAT });
        }
        check_bytes(Self::WHAT, &text, LINK_BYTES_MAX)?;
        if let Some(at) = text.chars().position(|c| matches!(c, ' ' | '<' | '>' | '"' | '\\' | '\'')) {
            let allowed = "those of a web address, no blanks, quotes or brackets";
            return Err(TextError::Character { what: Self::WHAT, position: at + 1, allowed });
        }
        let rest = text
            .split_at_checked(SCHEME.len())
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(SCHEME))
            .map(|(_, rest)| rest)
            .ok_or(TextError::LinkScheme)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
        if !is_host(host) || port.is_some_and(|port| !is_port(port)) {
            return Err(TextError::LinkHost);
        }
        Ok(Self(format!("{SCHEME}{rest}")))
    }
}

fn is_host(host: &str) -> bool {
    host.len() <= HOST_BYTES_MAX && host.contains('.') && host.split('.').all(is_host_label)
}

fn is_host_label(label: &str) -> bool {
    (1..=HOST_LABEL_BYTES_MAX).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_show_where_they_lead_pass() {
        for (input, stored) in [
            ("https://zalo.me/g/abcdef123", "https://zalo.me/g/abcdef123"),
            (" HTTPS://zalo.me/g/abcdef123\n", "https://zalo.me/g/abcdef123"),
            ("https://onetouch.mic.gov.vn:8443/x?a=1&b=2#c", "https://onetouch.mic.gov.vn:8443/x?a=1&b=2#c"),
            ("https://zalo.me", "https://zalo.me"),
        ] {
            assert_eq!(Link::parse(input).unwrap().as_str(), stored);
        }
    }

    #[test]
    fn others_are_refused() {
        for input in ["http://zalo.me/g/a", "zalo.me/g/a", "javascript:alert(1)", "https:/zalo.me", "đhttps://zalo.me"]
        {
            assert_eq!(Link::parse(input), Err(TextError::LinkScheme), "{input}");
        }
        for input in [
            "https://",
            "https:///g",
            "https://localhost/g",
            "https://zalo.me@evil.example/",
            "https://zal\u{43E}.me/g",
            "https://.me",
            "https://zalo..me",
            "https://-zalo.me",
            "https://zalo-.me",
            "https://zalo.me:/g",
            "https://zalo.me:0/g",
            "https://zalo.me:65536/g",
            "https://zalo.me:+1/g",
        ] {
            assert_eq!(Link::parse(input), Err(TextError::LinkHost), "{input}");
        }
        assert!(matches!(Link::parse("https://zalo.me/a b"), Err(TextError::Character { position: 18, .. })));
        assert!(matches!(Link::parse("https://zalo.me/\"><b>"), Err(TextError::Character { position: 17, .. })));
        assert_eq!(
            Link::parse("https://zalo.me/\u{FFFD}"),
            Err(TextError::LostCharacter { what: "the link", position: 17 })
        );
        assert_eq!(Link::parse(""), Err(TextError::Empty { what: "the link" }));
    }

    #[test]
    fn length_is_bounded() {
        let link = |bytes: usize| format!("https://zalo.me/{}", "a".repeat(bytes - 16));
        assert!(Link::parse(&link(LINK_BYTES_MAX)).is_ok());
        assert_eq!(
            Link::parse(&link(LINK_BYTES_MAX + 1)),
            Err(TextError::TooManyBytes { what: "the link", bytes: 301, max: 300 })
        );
        let host = |bytes: usize| format!("https://{}.vn/", "a".repeat(bytes));
        assert!(Link::parse(&host(HOST_LABEL_BYTES_MAX)).is_ok());
        assert_eq!(Link::parse(&host(HOST_LABEL_BYTES_MAX + 1)), Err(TextError::LinkHost));
        // Four labels of 61 and their dots are 248 bytes.
        let name = |last: usize| format!("https://{}{}/", format!("{}.", "a".repeat(61)).repeat(4), "v".repeat(last));
        assert!(Link::parse(&name(HOST_BYTES_MAX - 248)).is_ok());
        assert_eq!(Link::parse(&name(HOST_BYTES_MAX - 247)), Err(TextError::LinkHost));
    }
}
