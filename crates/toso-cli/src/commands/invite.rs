//! `toso invite`: an officer's one-time invitations: make, list, withdraw.

#![expect(clippy::indexing_slicing, reason = "a JSON value read at a place that it has not is null, and no panic")]

use serde_json::Value;
use toso_client::make_invite;

use super::device::{get, post};
use crate::args::{AdminArgs, InviteArgs, InviteCommand, InviteOrder};
use crate::fail::Fail;
use crate::{input, output, token_file};

/// Makes an invite and prints it, or shows and withdraws those that were made.
pub(crate) fn run(mut args: InviteArgs) -> Result<(), Fail> {
    match args.command.take() {
        Some(InviteCommand::List { admin, unit, json }) => {
            let invites = all(&admin, &input::unit_of(&unit)?.to_string())?;
            if json.json {
                return output::json(&invites);
            }
            if invites.is_empty() {
                output::say("no invites");
                return Ok(());
            }
            output::lines(invites.iter().map(line))
        }
        Some(InviteCommand::Withdraw { admin, number, json }) => {
            let number = number.trim();
            if number.is_empty() || !number.chars().all(|c| c.is_ascii_alphanumeric()) {
                return Err(Fail::usage("an invite's number is what `toso invite list` shows first in its line"));
            }
            let withdrawn = post(&admin, &format!("/v1/invites/{number}/withdraw"), &serde_json::json!({}))?;
            if json.json { output::done_json(&withdrawn) } else { output::done(&line(&withdrawn)) }
        }
        None => match args.order() {
            Some(order) => make(&order),
            None => Err(Fail::usage("say for which unit and role, or list or withdraw; see toso invite --help")),
        },
    }
}

fn make(order: &InviteOrder) -> Result<(), Fail> {
    let unit = input::unit_of(&order.unit)?;
    let caller = token_file::read(&order.admin.admin_token_file)?;
    let life = input::duration(&order.expires)?;
    let rest = order.admin.reach.rest(&order.admin.server)?;
    let invite = make_invite(&rest, &order.admin.server, &caller, unit, order.role.word(), life)?;
    if let Some(warning) = &invite.warning {
        output::say(&format!("warning: {warning}"));
    }
    if order.qr {
        let code = qrcode::QrCode::new(invite.text.as_bytes())?;
        code.render::<qrcode::render::unicode::Dense1x2>().build().lines().for_each(output::say);
    }
    output::done(&invite.text)
}

/// Every page of the list, by the time at which the invites were made.
fn all(admin: &AdminArgs, unit: &str) -> Result<Vec<Value>, Fail> {
    let (mut invites, mut after) = (Vec::new(), String::new());
    loop {
        let page = get(admin, &format!("/v1/invites?unit={unit}&limit=200&after={after}"))?;
        invites.extend(page["items"].as_array().into_iter().flatten().cloned());
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut after),
            None => break,
        }
    }
    invites.sort_by_key(|invite| invite["created_at"].as_u64());
    Ok(invites)
}

fn line(invite: &Value) -> String {
    let text = |field: &str| invite[field].as_str().unwrap_or("-").to_owned();
    let who = |id: &str, name: &str| match (invite[id].as_str(), invite[name].as_str()) {
        (None, _) => "the admin token".to_owned(),
        (Some(id), None) => format!("device {id}"),
        (Some(id), Some(name)) => format!("{name} (device {id})"),
    };
    let at = |field: &str| invite[field].as_u64().map_or_else(|| "-".to_owned(), output::instant_of);
    let state = match text("state").as_str() {
        "open" => format!("until {}", at("expires_at")),
        "used" => format!("used by {}", who("used_by", "used_by_name")),
        "withdrawn" => format!("withdrawn on {}", at("withdrawn_at")),
        "expired" => format!("expired on {}", at("expires_at")),
        "void" => "void with its maker".to_owned(),
        other => other.to_owned(),
    };
    let maker = who("created_by", "created_by_name");
    format!("{}  {}  {}  by {maker} on {}  {state}", text("number"), text("unit"), text("role"), at("created_at"))
}
