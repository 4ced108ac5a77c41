//! The root key: signs every token, keys every ticket. One small file, mode 0600, beside the database.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use biscuit_auth::builder::Algorithm;
use biscuit_auth::{KeyPair, PrivateKey, PublicKey};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use ed25519_dalek::SigningKey;
use toso_core::id::ServerId;
use toso_core::text::pasted;
use toso_store::StoreError;
use zeroize::Zeroizing;

use super::random;
use crate::bounded;

/// The root key's file in the data folder.
pub const ROOT_KEY_FILE: &str = "root.key";
/// The admin token's file in the data folder.
pub const ADMIN_TOKEN_FILE: &str = "admin.token";
/// First word of the key file; a later layout takes another number.
pub const ROOT_KEY_LABEL: &str = "toso-root-key-1";
/// The largest key file that is read: 146 characters, twice that in UTF-16, and what a person wrote around them.
const KEY_FILE_BYTES_MAX: u64 = 4 * 1024;
/// Hexadecimal digits of each of its two keys.
const KEY_DIGITS: usize = 64;

/// Root keys as bytes, for [`super::Trust::with_keys`].
#[derive(Clone)]
pub struct RootSecrets {
    /// The Ed25519 secret that signs tokens.
    pub root: [u8; 32],
    /// The key of tickets.
    pub ticket: [u8; 32],
}

pub(super) struct RootKeys {
    pub(super) root: KeyPair,
    /// The same key, for what is no token.
    pub(super) signing: SigningKey,
    pub(super) ticket: Zeroizing<[u8; 32]>,
    server: ServerId,
}

impl RootKeys {
    /// Reads the key file; makes it when there is none, unless the database says that there was one.
    pub(super) fn open(data: &Path, must_exist: bool) -> Result<Self, KeyError> {
        let path = data.join(ROOT_KEY_FILE);
        match bounded::read(&path, KEY_FILE_BYTES_MAX).map(Zeroizing::new) {
            Ok(bytes) => Self::of_file(&bytes).ok_or_else(|| KeyError::Malformed { path: show(&path) }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && must_exist => {
                Err(KeyError::Missing { path: show(&path) })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let (root, ticket) = (KeyPair::new(), Zeroizing::new(random::<32>()?));
                let keys = Self::new(root, ticket);
                write_private(&path, &keys.to_text())?;
                Ok(keys)
            }
            Err(error) => Err(io("reading", &path, &error)),
        }
    }

    fn new(root: KeyPair, ticket: Zeroizing<[u8; 32]>) -> Self {
        let server = ServerId::from_public_key(&root.public().to_bytes());
        Self { signing: signing_key(&root), root, ticket, server }
    }

    /// Keys that lie in no file.
    pub(super) fn of_secrets(secrets: &RootSecrets) -> Result<Self, KeyError> {
        let root = key_pair(&secrets.root)?;
        Ok(Self::new(root, Zeroizing::new(secrets.ticket)))
    }

    /// What the file holds.
    fn to_text(&self) -> Zeroizing<String> {
        let root = Zeroizing::new(HEXLOWER.encode(&self.root.private().to_bytes()));
        let ticket = Zeroizing::new(HEXLOWER.encode(&*self.ticket));
        Zeroizing::new(format!("{ROOT_KEY_LABEL} {} {}\n", root.as_str(), ticket.as_str()))
    }

    /// Keys out of a file, however an editor has left it: its label, and two keys in digits.
    fn of_file(bytes: &[u8]) -> Option<Self> {
        let text = Zeroizing::new(pasted::plain(&pasted::file_text(bytes)?));
        let digits = text.trim_matches(|c: char| !c.is_ascii_alphanumeric()).strip_prefix(ROOT_KEY_LABEL)?;
        let digits: Zeroizing<String> = Zeroizing::new(digits.chars().filter(|c| !c.is_whitespace()).collect());
        let (root, ticket) = digits.split_at_checked(KEY_DIGITS)?;
        let root = Zeroizing::new(HEXLOWER_PERMISSIVE.decode(root.as_bytes()).ok()?);
        let ticket = Zeroizing::new(HEXLOWER_PERMISSIVE.decode(ticket.as_bytes()).ok()?);
        let private = PrivateKey::from_bytes(&root, Algorithm::Ed25519).ok()?;
        let ticket = <[u8; 32]>::try_from(ticket.as_slice()).ok()?;
        Some(Self::new(KeyPair::from(&private), Zeroizing::new(ticket)))
    }

    pub(super) fn server(&self) -> ServerId {
        self.server
    }

    pub(super) fn public(&self) -> PublicKey {
        self.root.public()
    }

    pub(super) fn public_bytes(&self) -> Vec<u8> {
        self.root.public().to_bytes()
    }
}

/// The key of a pair, which is Ed25519 wherever it comes from here.
fn signing_key(root: &KeyPair) -> SigningKey {
    let mut secret = Zeroizing::new([0; 32]);
    for (byte, of_root) in secret.iter_mut().zip(Zeroizing::new(root.private().to_bytes().to_vec()).iter()) {
        *byte = *of_root;
    }
    SigningKey::from_bytes(&secret)
}

/// Reads a key file: whose it is, and its text as it should be, to be copied.
pub(crate) fn read_key(path: &Path) -> Result<(ServerId, Zeroizing<String>), KeyError> {
    let bytes = Zeroizing::new(bounded::read(path, KEY_FILE_BYTES_MAX).map_err(|error| io("reading", path, &error))?);
    let keys = RootKeys::of_file(&bytes).ok_or_else(|| KeyError::Malformed { path: show(path) })?;
    Ok((keys.server(), keys.to_text()))
}

/// An Ed25519 key pair of its secret's bytes.
pub(super) fn key_pair(secret: &[u8; 32]) -> Result<KeyPair, KeyError> {
    let private = PrivateKey::from_bytes(secret, Algorithm::Ed25519);
    let private = private.map_err(|error| KeyError::Token { detail: error.to_string() })?;
    Ok(KeyPair::from(&private))
}

/// Writes a file that only its owner can read, whole or not at all: temporary file, fsync, rename, fsync of the folder.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), KeyError> {
    let mut temporary = PathBuf::from(path);
    temporary.set_extension("new");
    let written = (|| {
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        // A bare name is in the folder that the command runs in.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    })();
    written.map_err(|error| io("writing", path, &error))
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

fn io(operation: &'static str, path: &Path, error: &std::io::Error) -> KeyError {
    KeyError::Io { operation, path: show(path), detail: error.to_string() }
}

/// Why the server has no usable keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A key file could not be read or written.
    #[error("{operation} {path} failed: {detail}")]
    Io {
        /// What was being done.
        operation: &'static str,
        /// Which file.
        path: String,
        /// What the system said.
        detail: String,
    },
    /// The database has devices enrolled under a key that is not there.
    #[error("{path} is missing, but this data folder has been served before; restore the file from the key backup")]
    Missing {
        /// The file.
        path: String,
    },
    /// The file is another server's.
    #[error("{path} is the key of another server than the one that wrote this data folder; restore the right file")]
    ForeignKey {
        /// The file.
        path: String,
    },
    /// Not a key file, or cut off.
    #[error("{path} is damaged or of a newer version; restore the file from the key backup")]
    Malformed {
        /// The file.
        path: String,
    },
    /// The system's generator failed.
    #[error("the system's random generator failed: {detail}")]
    Random {
        /// What it said.
        detail: String,
    },
    /// A token could not be built.
    #[error("a token could not be made: {detail}")]
    Token {
        /// Why.
        detail: String,
    },
    /// The records could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}
