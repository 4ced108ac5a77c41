//! `toso invite`: an officer's one-time invitation.

use serde::{Deserialize, Serialize};
use toso_client::rest::Rest;

use crate::args::InviteArgs;
use crate::fail::Fail;
use crate::{input, output, token_file};

/// The request of `POST /v1/invites`.
#[derive(Serialize)]
pub(crate) struct InviteRequest<'a> {
    /// `2022/00004`.
    pub(crate) unit: String,
    pub(crate) role: &'a str,
    pub(crate) expires_in_s: u64,
}

/// Its answer.
#[derive(Deserialize)]
pub(crate) struct InviteResponse {
    pub(crate) invite: String,
}

/// Makes an invite and prints it.
pub(crate) fn run(args: &InviteArgs) -> Result<(), Fail> {
    let unit = input::unit_of(&args.unit)?;
    let caller = token_file::read(&args.admin.admin_token_file)?;
    let request = InviteRequest {
        unit: unit.to_string(),
        role: args.role.word(),
        expires_in_s: input::duration(&args.expires)?.as_secs(),
    };
    let response: InviteResponse = Rest::default().post(&args.admin.server, "/v1/invites", &caller, &request)?;
    if args.qr {
        let code = qrcode::QrCode::new(response.invite.as_bytes())?;
        eprintln!("{}", code.render::<qrcode::render::unicode::Dense1x2>().build());
    }
    output::print(&response.invite)
}
