//! Who answers in the server's place: the sign-in page of a network, a proxy, a gateway whose server is down.
//!
//! Such an answer comes as HTTP like any other, often with status 200. So an answer counts as the register's only when it
//! says so: by the header [`toso_wire::rest::REGISTER_HEADER`], which the server gives with every answer, or as a problem document
//! (RFC 9457) where something in the server's own house had to refuse early.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use toso_wire::rest::REGISTER_HEADER;

/// How the register's own refusals are marked (RFC 9457).
pub const PROBLEM_TYPE: &str = "application/problem+json";

/// What answers in the server's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Between {
    /// The network, or its proxy, wants a sign-in.
    #[error("the network or its proxy wants a sign-in first: open any page in a browser, sign in, and try again")]
    SignIn,
    /// A gateway or proxy whose server does not answer it.
    #[error(
        "a gateway or proxy on the way does not reach the server: try again later, or tell the operator of the server"
    )]
    Gateway,
    /// Somebody else.
    #[error(
        "what answers is not the register: the network may want a sign-in (open any page in a browser), or the address is \
         another server's"
    )]
    Stranger,
}

impl Between {
    /// What an answer of this status is when the register has not said that it is its own; `None` when the register may
    /// have said it all the same: busy front doors close early.
    pub const fn of_status(status: u16) -> Option<Self> {
        match status {
            300..=399 | 407 | 511 => Some(Self::SignIn),
            429 | 503 => None,
            502 | 504 | 520..=527 => Some(Self::Gateway),
            _ => Some(Self::Stranger),
        }
    }

    /// The stable name of the case, for translations: a gateway is a bad network.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Gateway => "offline",
            Self::SignIn | Self::Stranger => "not_a_server",
        }
    }
}

/// True when the register says that an answer is its own.
pub fn is_registers(headers: &HeaderMap) -> bool {
    headers.contains_key(REGISTER_HEADER) || headers.get(CONTENT_TYPE).is_some_and(|of| of == PROBLEM_TYPE)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn an_answer_is_the_registers_when_it_says_so() {
        let with = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            headers
        };
        assert!(is_registers(&with(REGISTER_HEADER, "0123")));
        assert!(is_registers(&with("content-type", PROBLEM_TYPE)));
        assert!(!is_registers(&with("content-type", "text/html")) && !is_registers(&HeaderMap::new()));
    }

    #[test]
    fn a_status_tells_who_stands_between() {
        for (status, between) in [
            (200, Some(Between::Stranger)),
            (204, Some(Between::Stranger)),
            (302, Some(Between::SignIn)),
            (404, Some(Between::Stranger)),
            (407, Some(Between::SignIn)),
            (511, Some(Between::SignIn)),
            (502, Some(Between::Gateway)),
            (504, Some(Between::Gateway)),
            (503, None),
            (429, None),
        ] {
            assert_eq!(Between::of_status(status), between, "{status}");
        }
        assert_eq!((Between::Gateway.word(), Between::SignIn.word()), ("offline", "not_a_server"));
    }
}
