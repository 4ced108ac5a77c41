//! `toso quarantine`: for the operator of a server that was restored without its list of revocations.

use serde::Serialize;
use serde_json::Value;
use toso_core::id::DeviceId;

use super::device::{get, post};
use crate::args::{QuarantineArgs, QuarantineCommand};
use crate::fail::Fail;
use crate::output;

#[derive(Serialize)]
struct End {
    revoke: Vec<DeviceId>,
}

/// Runs one command.
pub(crate) fn run(args: &QuarantineArgs) -> Result<(), Fail> {
    match &args.command {
        QuarantineCommand::Show { admin, json } => {
            let answer = get(admin, "/v1/quarantine")?;
            if json.json { output::json(&answer) } else { output::print(&words(&answer)) }
        }
        QuarantineCommand::End { admin, revoke, none: _, json } => {
            let ids = revoke.iter().flat_map(|ids| ids.split(',')).map(|id| id.trim().parse().map_err(Fail::new));
            let revoke = ids.collect::<Result<_, _>>()?;
            let answer: Value = post(admin, "/v1/quarantine/end", &End { revoke })?;
            if json.json { output::done_json(&answer) } else { output::done(&words(&answer)) }
        }
    }
}

fn words(answer: &Value) -> String {
    let state = if answer["quarantined_since"].is_null() {
        "the server works"
    } else {
        "the server is in quarantine: it takes nothing from devices"
    };
    format!(
        "{state}; {} devices and {} withdrawn invites on the list of revocations",
        answer["listed_devices"], answer["listed_invites"]
    )
}
