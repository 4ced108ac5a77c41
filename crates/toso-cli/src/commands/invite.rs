//! `toso invite`: an officer's one-time invitation.

use toso_client::make_invite;
use toso_client::rest::Rest;

use crate::args::InviteArgs;
use crate::fail::Fail;
use crate::{input, output, token_file};

/// Makes an invite and prints it.
pub(crate) fn run(args: &InviteArgs) -> Result<(), Fail> {
    let unit = input::unit_of(&args.unit)?;
    let caller = token_file::read(&args.admin.admin_token_file)?;
    let life = input::duration(&args.expires)?;
    let invite = make_invite(&Rest::default(), &args.admin.server, &caller, unit, args.role.word(), life)?;
    if args.qr {
        let code = qrcode::QrCode::new(invite.as_bytes())?;
        eprintln!("{}", code.render::<qrcode::render::unicode::Dense1x2>().build());
    }
    output::print(&invite)
}
