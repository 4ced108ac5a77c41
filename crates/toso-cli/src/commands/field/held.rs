//! `toso field held`: what the server did not take at once, and what officers decided.

use toso_replica::Replica;

use super::show::list;
use crate::args::HeldCommand;
use crate::fail::Fail;
use crate::output;

pub(super) fn run(replica: &Replica, command: HeldCommand) -> Result<(), Fail> {
    match command {
        HeldCommand::List(flag) => list(&replica.held()?, flag.json, "nothing is held", |held| {
            let place = held.unit_name.as_deref().unwrap_or("-");
            let note = if held.note.is_empty() { String::new() } else { format!(": {}", held.note) };
            let state = match held.state {
                toso_replica::HeldState::Waiting => format!("held for review by {place}"),
                toso_replica::HeldState::Refused => format!("refused ({}): {}", held.code, held.detail),
                other @ (toso_replica::HeldState::Accepted | toso_replica::HeldState::Returned) => {
                    format!("{}{note}", other.words())
                }
            };
            format!("{}  {} {}  {place}  {state}", held.doc, held.kind, held.label)
        }),
        HeldCommand::Dismiss => output::done(&replica.dismiss_held()?.to_string()),
    }
}
