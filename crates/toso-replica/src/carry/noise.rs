//! The handshake between two phones, with the device's own random source: the library would take the system's.

use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, Error};

use crate::identity::RandomSource;

/// Noise: keys made for this meeting alone, and proved by what is said first under them.
const NOISE: &str = "Noise_NN_25519_ChaChaPoly_BLAKE2s";
/// What both sides bind the handshake to.
const PROLOGUE: &[u8] = b"toso peer 1";

/// A handshake that has not begun.
pub(super) fn handshake(random: RandomSource) -> Result<Builder<'static>, Error> {
    Builder::with_resolver(NOISE.parse()?, Box::new(Resolver(random))).prologue(PROLOGUE)
}

/// The library's own ciphers, and the random source that was given.
struct Resolver(RandomSource);

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Given(RandomSource::clone(&self.0))))
    }

    fn resolve_dh(&self, choice: &snow::params::DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &snow::params::HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &snow::params::CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

struct Given(RandomSource);

impl Random for Given {
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        (self.0)(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn keys_come_from_the_random_source_that_was_given() {
        let first = |byte: u8| {
            let mut begun = handshake(Arc::new(move |bytes: &mut [u8]| bytes.fill(byte))).unwrap().build_initiator();
            let mut message = [0; 64];
            let length = begun.as_mut().unwrap().write_message(&[], &mut message).unwrap();
            message[..length].to_vec()
        };
        assert_eq!(first(7), first(7));
        assert_ne!(first(7), first(8));
    }
}
