//! `toso field bundle` and `toso field peer`: helping each other where no server is in reach.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use toso_client::fetch_carry_pass;
use toso_replica::carry::{BUNDLE_BYTES_MAX, CarryError};
use toso_replica::{PeerEffect, PeerError, PeerReport, Replica, Side};

use crate::args::{BundleCommand, PeerArgs};
use crate::fail::Fail;
use crate::output;

/// How long a peer may be silent before the meeting is given up.
const PEER_SILENCE_MAX: Duration = Duration::from_secs(30);
/// Bytes read from the pipe at a time.
const READ_BYTES: usize = 64 * 1024;

pub(super) fn bundle(replica: &Replica, command: BundleCommand) -> Result<(), Fail> {
    match command {
        BundleCommand::Make { to, unit, json } => {
            let unit = unit.map(|text| text.parse().map_err(Fail::new)).transpose()?;
            let (bytes, report) = replica.make_bundle(unit)?;
            write_new(&to, &bytes)?;
            if json.json {
                return output::done_json(&report);
            }
            output::say(&format!(
                "{} batch(es), {} bytes; {} found no place",
                report.parcels, report.bytes, report.left
            ));
            Ok(())
        }
        BundleCommand::Open { file, json } => {
            let report = replica.open_bundle(&read_bundle(&file)?)?;
            if json.json {
                return output::done_json(&report);
            }
            output::say(&format!(
                "took {} batch(es) with {} change(s) to carry, knew {}; {} own change(s) were received",
                report.parcels, report.changes, report.known, report.received
            ));
            Ok(())
        }
        BundleCommand::Key { unit } => {
            let unit = unit.map(|text| text.parse().map_err(Fail::new)).transpose()?;
            Ok(fetch_carry_pass(replica, unit)?)
        }
    }
}

pub(super) fn peer(replica: &Replica, args: &PeerArgs) -> Result<(), Fail> {
    let (mut pipe, side) = match (&args.listen, &args.connect) {
        (Some(address), _) => {
            let listener = TcpListener::bind(address)?;
            // On stderr, since stdout is the report's.
            output::say(&format!("listening on {}", listener.local_addr()?));
            (listener.accept()?.0, Side::Called)
        }
        (None, Some(address)) => (TcpStream::connect(address)?, Side::Caller),
        (None, None) => return Err(Fail::new("say --listen ADDR on one device and --connect ADDR on the other")),
    };
    pipe.set_nodelay(true)?;
    pipe.set_read_timeout(Some(PEER_SILENCE_MAX))?;
    pipe.set_write_timeout(Some(PEER_SILENCE_MAX))?;
    let report = meet(replica, &mut pipe, side)?;
    if args.json.json {
        return output::done_json(&report);
    }
    output::say(&format!(
        "gave {} batch(es); took {} with {} change(s) to carry; {} own change(s) were received",
        report.given, report.taken.parcels, report.taken.changes, report.taken.received
    ));
    Ok(())
}

/// Moves bytes between the pipe and the session until both sides are done.
fn meet(replica: &Replica, pipe: &mut TcpStream, side: Side) -> Result<PeerReport, Fail> {
    let (mut session, mut effects) = replica.meet(side)?;
    let mut report = PeerReport::default();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        for effect in effects {
            match effect {
                PeerEffect::Send(bytes) => pipe.write_all(&bytes)?,
                PeerEffect::Met(peer) => {
                    output::say(&format!("met {}, {} of {}", peer.device, peer.role, peer.unit));
                }
                PeerEffect::Take(handover) => report.taken.add(replica.take_handover(handover)?),
                PeerEffect::End => {
                    report.given = session.given();
                    return Ok(report);
                }
            }
        }
        let read = match pipe.read(&mut buffer) {
            Ok(0) => return Err(PeerError::Lost.into()),
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Err(PeerError::Lost.into());
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => 0,
            Err(error) => return Err(error.into()),
        };
        effects = session.handle(buffer.get(..read).unwrap_or_default())?;
    }
}

/// Written beside and renamed, so that nobody sends half of it. What has the name already stays: it may be anything.
fn write_new(to: &Path, bytes: &[u8]) -> Result<(), Fail> {
    let shown = to.display();
    let exists = || Fail::new(format!("{shown} is there already, and was left as it is; choose another name"));
    if fs::symlink_metadata(to).is_ok() {
        return Err(exists());
    }
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |error: std::io::Error| Fail::new(format!("cannot write {shown}: {error}"));
    // Readable by its owner alone.
    let mut beside = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    beside.write_all(bytes).and_then(|()| beside.as_file().sync_all()).map_err(failed)?;
    beside
        .persist_noclobber(to)
        .map(drop)
        .map_err(|error| if error.error.kind() == ErrorKind::AlreadyExists { exists() } else { failed(error.error) })
}

/// Not more of it than a bundle may have.
fn read_bundle(file: &Path) -> Result<Vec<u8>, Fail> {
    let unreadable = |error| Fail::new(format!("cannot read {}: {error}", file.display()));
    let opened = File::open(file).map_err(unreadable)?;
    let size = opened.metadata().map_err(unreadable)?.len();
    if size > BUNDLE_BYTES_MAX as u64 {
        return Err(CarryError::TooLarge { bytes: size }.into());
    }
    let mut bytes = Vec::new();
    opened.take(BUNDLE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}
