//! How a server is reached: by TLS, with whose word.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use toso_client::rest::Rest;
use toso_replica::Reach;

use super::ConvertFlag;
use crate::code_file;
use crate::fail::Fail;

/// The largest file of certificates: all public authorities together are some 250 KiB.
const CA_FILE_BYTES_MAX: u64 = 1 << 20;

/// What may be agreed about the way to a server.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(crate) struct ReachArgs {
    /// The certificates (PEM) of a private authority that the server's own is signed by; then no other is believed.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Speak http:// over a network, in the clear: for a test network only.
    #[arg(long)]
    insecure_http: bool,
}

/// What enrolling takes.
#[derive(Debug, ClapArgs)]
pub(crate) struct EnrolArgs {
    /// The invite, as the officer's QR code or message has it.
    pub(crate) invite: String,
    /// A name for the device in the officer's list.
    #[arg(long)]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) convert: ConvertFlag,
    /// Kept with the credential: every later sync goes the same way.
    #[command(flatten)]
    pub(crate) reach: ReachArgs,
}

impl ReachArgs {
    /// A client that goes this way to a server. Says loudly when the way is open to everybody.
    pub(crate) fn rest(&self, server: &str) -> Result<Rest, Fail> {
        let read = |file: &PathBuf| {
            let bytes = code_file::read_up_to(file, "file of certificates", CA_FILE_BYTES_MAX)?;
            Ok::<_, Fail>(Reach::pem_of_file(&bytes)?)
        };
        let reach = Reach { insecure_http: self.insecure_http, ca_pem: self.ca.as_ref().map(read).transpose()? };
        if let Some(warning) = reach.warning(server) {
            crate::output::say(&warning);
        }
        Ok(Rest::reaching(&reach)?)
    }
}
