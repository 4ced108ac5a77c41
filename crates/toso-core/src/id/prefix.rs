//! A device as a person names it: the first digits of its id, as a list shows them.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::{AuthorId, DeviceId, IdError};

/// The fewest digits that name a device: 8 of them are 32 bits, so among 10,000 devices one typed by mistake meets another's
/// in one of 400,000 cases.
pub const DEVICE_PREFIX_DIGITS_MIN: usize = 8;
/// The digits of a whole id.
pub(super) const DEVICE_ID_DIGITS: usize = 2 * size_of::<DeviceId>();

/// The first digits of a device's id, in lower case: at least [`DEVICE_PREFIX_DIGITS_MIN`], at most all of them. Whether they
/// name one device is for those to say who know the devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevicePrefix(String);

impl DevicePrefix {
    /// True when the device's id begins so.
    pub fn names(&self, device: DeviceId) -> bool {
        device.to_string().starts_with(&self.0)
    }
}

impl From<DeviceId> for DevicePrefix {
    fn from(device: DeviceId) -> Self {
        Self(device.to_string())
    }
}

impl From<AuthorId> for DevicePrefix {
    fn from(author: AuthorId) -> Self {
        Self(author.to_string())
    }
}

impl fmt::Display for DevicePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for DevicePrefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for DevicePrefix {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let fits = (DEVICE_PREFIX_DIGITS_MIN..=DEVICE_ID_DIGITS).contains(&text.len());
        if fits && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(IdError::NotADevice(text.chars().take(40).collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_digits_to_all_of_them_name_a_device_and_no_others_do() {
        let device = DeviceId([0xab; 16]);
        for digits in [DEVICE_PREFIX_DIGITS_MIN, 16, DEVICE_ID_DIGITS] {
            let prefix: DevicePrefix = "AB".repeat(digits / 2).parse().unwrap();
            assert!(prefix.names(device), "{prefix}");
            assert!(!prefix.names(DeviceId([0xac; 16])), "{prefix}");
        }
        assert!(DevicePrefix::from(device.author()).names(device));
        assert!(DevicePrefix::from(device).names(device));
        let past = "a".repeat(DEVICE_ID_DIGITS + 1);
        for wrong in ["", "abababa", past.as_str(), "abababag", "ab ababab", "abababaở"] {
            let error = wrong.parse::<DevicePrefix>().unwrap_err();
            assert!(error.to_string().contains("8 to 32"), "{wrong}: {error}");
        }
    }
}
