//! `toso field`: a field device on the command line.

mod record;
mod show;
mod sync;

use std::path::Path;
use std::sync::Arc;

use toso_client::{Invite, Replica, ReplicaOptions, enrol};
use toso_store::ChunkStore;
use toso_store_sled::{Options, SledChunkStore};

use crate::args::{FieldArgs, FieldCommand};
use crate::fail::Fail;
use crate::{output, token_file};

/// Runs one command on the device.
pub(crate) fn run(args: FieldArgs) -> Result<(), Fail> {
    let store = open(&args.home)?;
    match args.command {
        FieldCommand::Enrol { invite, name } => {
            let invite = Invite::parse(&invite)?;
            let rest = toso_client::rest::Rest::default();
            let credential = enrol(store.as_ref(), &rest, &invite, name.as_deref())?;
            eprintln!("enrolled as {} in {} at {}", credential.role, credential.unit, credential.server_url);
            Ok(())
        }
        FieldCommand::Token { out } => {
            let replica = replica(store)?;
            token_file::write(&out, &replica.credential()?, replica.device())
        }
        FieldCommand::Team { command } => record::team(&replica(store)?, command),
        FieldCommand::Member { command } => record::member(&replica(store)?, command),
        FieldCommand::Activity { command } => record::activity(&replica(store)?, &command),
        FieldCommand::Hamlet { command } => record::hamlet(&replica(store)?, command),
        FieldCommand::Conflicts(flag) => show::conflicts(&replica(store)?, flag.json),
        FieldCommand::Resolve { id, field, value } => {
            replica(store)?.resolve(id.parse()?, &field, &value)?;
            Ok(())
        }
        FieldCommand::Findings(flag) => show::findings(&replica(store)?, flag.json),
        FieldCommand::History { id, json } => show::history(&replica(store)?, id.parse()?, json.json),
        FieldCommand::Sync { watch, json } => sync::run(&Arc::new(replica(store)?), watch, json.json),
        FieldCommand::Status(flag) => {
            let status = replica(store)?.status()?;
            if flag.json { output::json(&status) } else { output::print(&output::fields(&status)?) }
        }
    }
}

fn open(home: &Path) -> Result<Arc<dyn ChunkStore>, Fail> {
    Ok(Arc::new(SledChunkStore::open(home, Options::phone())?))
}

fn replica(store: Arc<dyn ChunkStore>) -> Result<Replica, Fail> {
    Ok(Replica::open(store, &ReplicaOptions::default())?)
}
