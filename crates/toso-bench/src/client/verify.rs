//! Looks acknowledged edits up on the server.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use toso_client::rest::{Rest, RestError};

use super::{Ack, Order, fleet, tell};
use crate::error::BenchError;

/// A line of a file of acknowledgements: what `storm` and `edit` print, and whatever else a harness puts between.
#[derive(Deserialize)]
struct Line {
    ack: Option<Ack>,
}

#[derive(Serialize)]
struct Verified {
    op: &'static str,
    acked: usize,
    lost: usize,
}

/// An acknowledged value is lost when the server shows an older one: the values of a document only rise.
pub(super) fn verify(order: &Order) -> Result<(), BenchError> {
    let path = order.acks.as_deref().ok_or_else(|| BenchError::usage("this operation needs --acks"))?;
    let file = std::fs::File::open(path)
        .map_err(|error| BenchError::usage(format!("cannot read {}: {error}", path.display())))?;
    let mut acked: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for (number, line) in (1..).zip(BufReader::new(file).lines()) {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let line: Line = serde_json::from_str(&line)
            .map_err(|error| BenchError::usage(format!("{}, line {number}: {error}", path.display())))?;
        if let Some(ack) = line.ack {
            acked.entry(ack.id).or_default().push(ack.value);
        }
    }
    let (rest, admin) = (Rest::default(), fleet::admin(order)?);
    let mut lost = 0;
    for (id, values) in &acked {
        let shown = match rest.get::<Value>(&order.url, &format!("/v1/teams/{id}"), admin) {
            Ok(team) => team.get("households_covered").and_then(Value::as_u64),
            Err(RestError::Refused { status: 404, .. }) => None,
            Err(error) => return Err(error.into()),
        };
        lost += values.iter().filter(|value| shown.is_none_or(|shown| shown < u64::from(**value))).count();
    }
    tell(&Verified { op: "verify", acked: acked.values().map(Vec::len).sum(), lost })
}
