//! `toso field`: a field device on the command line.

mod beside;
mod carry;
mod held;
mod record;
mod show;
mod sync;

use std::path::Path;
use std::sync::Arc;

use toso_client::{Invite, enrol};
use toso_core::text::canonical;
use toso_replica::register::{check_leaving, leave_register};
use toso_replica::{Credential, Replica, ReplicaStatus};
use toso_store::{ChunkStore, StoreError};
use toso_store_sled::{Options, SledChunkStore, StoreKey};

use crate::args::{FieldArgs, FieldCommand};
use crate::fail::Fail;
use crate::{code_file, input, output, token_file};

/// Runs one command on the device.
pub(crate) fn run(args: FieldArgs) -> Result<(), Fail> {
    // Only joining makes a device. What was mistyped is told before anything is made.
    if let FieldCommand::Enrol(args) = &args.command {
        Invite::parse(&args.invite).map(drop)?;
    } else {
        check_there(&args.home)?;
    }
    let opener = opener(&args.home, args.key_file.as_deref())?;
    let store = if matches!(args.command, FieldCommand::Sync { watch: true, .. }) {
        beside::open_to_watch(&args.home, &opener)?
    } else {
        beside::open(&args.home, &opener)?
    };
    match args.command {
        FieldCommand::Enrol(args) => {
            let invite = Invite::parse(&args.invite)?;
            let rest = args.reach.rest(&invite.url)?;
            let name = args.name.as_deref().map(|name| input::device_name(name, args.convert)).transpose()?;
            let credential = enrol(store.as_ref(), &rest, &invite, name.as_deref())?;
            let Credential { role, unit, server_url, .. } = &credential;
            output::say(&format!("enrolled as {role} in {unit} at {server_url}"));
            match (replica(store)?.device_names()?.own_name(), name.as_deref().map(canonical)) {
                (Some(kept), Some(asked)) if kept != asked => output::say(&format!(
                    "officers go on seeing this device as {kept}: it has used this invite before, which gives no new name; \
                     another name takes a new invite"
                )),
                _ => {}
            }
            Ok(())
        }
        FieldCommand::Leave { forget_everything } => leave(store.as_ref(), forget_everything),
        FieldCommand::Token { out } => {
            let replica = replica(store)?;
            token_file::write(&out, &replica.credential()?, replica.device())
        }
        FieldCommand::Team { command } => record::team(&replica(store)?, command),
        FieldCommand::Member { command } => record::member(&replica(store)?, command),
        FieldCommand::Activity { command } => record::activity(&replica(store)?, &command),
        FieldCommand::Hamlet { command } => record::hamlet(&replica(store)?, command),
        FieldCommand::Commune { command } => record::commune(&replica(store)?, command),
        FieldCommand::Conflicts(flag) => show::conflicts(&replica(store)?, flag.json),
        FieldCommand::Resolve { id, field, value } => {
            replica(store)?.resolve(id.parse()?, &field, &value)?;
            Ok(())
        }
        FieldCommand::Findings(flag) => show::findings(&replica(store)?, flag.json),
        FieldCommand::History { id, json } => show::history(&replica(store)?, id.parse()?, json.json),
        FieldCommand::Names { ids } => show::fetch_names(&replica(store)?, &ids),
        FieldCommand::Sync { watch: false, json } => {
            let replica = Arc::new(replica(store)?);
            let done = sync::run(&replica, json.json);
            warn(&replica.status()?);
            done
        }
        FieldCommand::Sync { watch: true, json } => sync::watch(&args.home, store, &opener, json.json),
        FieldCommand::Bundle { command } => carry::bundle(&replica(store)?, command),
        FieldCommand::Peer(args) => carry::peer(&replica(store)?, &args),
        FieldCommand::Held { command } => held::run(&replica(store)?, command),
        FieldCommand::Status(flag) => {
            let replica = replica(store)?;
            let status = replica.status()?;
            warn(&status);
            if flag.json {
                return output::json(&status);
            }
            show::status(&replica, &status)
        }
    }
}

/// Empties the folder, when that was asked for in so many words.
fn leave(store: &dyn ChunkStore, forget_everything: bool) -> Result<(), Fail> {
    check_leaving(store)?;
    let (server, records) = (Credential::load(store)?.server_url, store.documents_len()?);
    if !forget_everything {
        return Err(Fail::usage(format!(
            "this would remove all {records} record(s) of the register at {server} from this folder, with the device's key and \
             its right to sync; say --forget-everything if that is what you want"
        )));
    }
    leave_register(store)?;
    output::say(&format!(
        "{records} record(s) of the register at {server} are gone from this folder; it can join another"
    ));
    Ok(())
}

/// Says what a person must know about this device, whatever else was asked.
fn warn(status: &ReplicaStatus) {
    if let (true, Some(server)) = (status.in_the_clear, &status.server) {
        output::say(&format!(
            "WARNING: everything goes to {server} in the clear; anybody on the network can read and change it"
        ));
    }
    if status.newer > 0 {
        output::say(&format!(
            "{} records here are of a kind that only a newer version of toso can show; they are kept and passed on",
            status.newer
        ));
    }
    if let (true, Some(end)) = (status.token_ends_soon, status.token_ends) {
        let end = output::instant(end);
        output::say(&format!(
            "this device's right to sync ends on {end}; sync before that, or enrol again with a new invite"
        ));
    }
}

/// Refuses a folder in which no device is: a mistyped one must not become a new device.
fn check_there(home: &Path) -> Result<(), Fail> {
    let is_taken = match std::fs::read_dir(home) {
        // A first enrolment that was cut off has left no more than its lock.
        Ok(mut entries) => entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != "lock")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        // What else is wrong, the store tells better.
        Err(_) => true,
    };
    if is_taken {
        return Ok(());
    }
    let shown = home.display();
    Err(Fail::new(format!(
        "no device is in the folder {shown}; check --home, or make one there with `toso field --home {shown} enrol INVITE`"
    )))
}

/// What opens a device's folder, by its key if there is one.
fn opener(
    home: &Path,
    key_file: Option<&Path>,
) -> Result<impl Fn() -> Result<Arc<dyn ChunkStore>, StoreError> + use<>, Fail> {
    let (home, key) = (home.to_owned(), key_file.map(store_key).transpose()?);
    Ok(move || {
        let options = Options::phone();
        let store = match &key {
            Some(key) => SledChunkStore::open_encrypted(&home, options, key)?,
            None => SledChunkStore::open(&home, options)?,
        };
        Ok(Arc::new(store) as Arc<dyn ChunkStore>)
    })
}

fn store_key(file: &Path) -> Result<StoreKey, Fail> {
    let shown = file.display();
    let contents = code_file::read(file, "key file")?;
    let no_key = || Fail::new(format!("{shown} holds no key; a key file has 32 bytes, or 64 hexadecimal digits"));
    StoreKey::parse(&contents).ok_or_else(no_key)
}

fn replica(store: Arc<dyn ChunkStore>) -> Result<Replica, Fail> {
    Ok(Replica::open(store, &toso_client::system::options())?)
}
