//! `toso backup`, `restore`, `export`, `import`, `verify`, `compact`: looking after a server's data.

use std::io::Write as _;
use std::path::Path;

use toso_core::time::TimestampMs;
use toso_server::trust::REVOCATIONS_FILE;
use toso_server::upkeep::restore::{Mode, Sources, restore};
use toso_server::upkeep::{UpkeepError, backup, compact, verify, write_export};
use toso_store::StoreError;
use toso_store::export::Contents;

use crate::args::{BackupArgs, CompactArgs, ExportArgs, RestoreArgs, VerifyArgs};
use crate::fail::Fail;
use crate::{output, token_file};

/// Findings that are printed; the number of the others is.
const FINDINGS_PRINTED_MAX: usize = 100;
/// Names that are written compressed, and the one that is not when a backup is made.
const COMPRESSED_ENDING: &str = "zst";
const PLAIN_ENDING: &str = "jsonl";

/// Writes a backup of a running or a stopped server.
pub(crate) fn back_up(args: &BackupArgs) -> Result<(), Fail> {
    let compress = !has_ending(&args.to, PLAIN_ENDING);
    let contents = match (&args.data, &args.server, &args.admin_token_file) {
        (Some(data), None, None) => {
            let key = args.with_keys.then(|| backup::copy_key(data, &args.to)).transpose()?;
            let written = write_export(&args.to, compress, |out| backup::export(data, now(), &mut warn_of_loss, out));
            if let (Err(_), Some(key)) = (&written, &key) {
                // A key copy without its backup is only something more to guard.
                let _ = std::fs::remove_file(key);
            }
            written?
        }
        (None, Some(server), Some(token)) => {
            if args.with_keys {
                return Err(Fail::usage(
                    "--with-keys needs --data: a root key never travels over the network; copy root.key from the \
                     server's data folder once, it never changes",
                ));
            }
            if !compress {
                return Err(Fail::usage(format!(
                    "a running server sends its backup compressed: choose a name that ends with .{COMPRESSED_ENDING} \
                     (`zstd -d` unpacks it)"
                )));
            }
            let caller = token_file::read(token)?;
            let rest = args.reach.rest(server)?;
            // It comes compressed.
            write_export(&args.to, false, |out| {
                let sent = rest.download(server, "/v1/backup", &caller, out);
                sent.map_err(|error| UpkeepError::Source(error.to_string()))
            })?
        }
        _ => return Err(Fail::usage("give --data DIR, or --server URL with --admin-token-file FILE")),
    };
    say(&format!("{}: {}, through sequence {}", args.to.display(), in_words(&contents), contents.header.last.0));
    if !args.with_keys {
        say("the root key is not in it: keep a copy of root.key somewhere else, a restore needs it");
    }
    Ok(())
}

/// Tells of entries that are gone from what is about to be written.
fn warn_of_loss(lost: &StoreError) {
    say(&format!("warning: only what is left is written: {lost}"));
}

/// Writes everything of a stopped server as plain lines.
pub(crate) fn export(args: &ExportArgs) -> Result<(), Fail> {
    if args.to == Path::new("-") {
        let mut out = output::open_stdout()?.lock();
        backup::export(&args.data, now(), &mut warn_of_loss, &mut out)?;
        return out.flush().map_err(|error| Fail::of_answer(&error));
    }
    let compress = has_ending(&args.to, COMPRESSED_ENDING);
    let contents = write_export(&args.to, compress, |out| backup::export(&args.data, now(), &mut warn_of_loss, out))?;
    say(&format!("{}: {}", args.to.display(), in_words(&contents)));
    Ok(())
}

/// Makes a data folder from a backup; a new epoch begins.
pub(crate) fn restore_backup(args: &RestoreArgs) -> Result<(), Fail> {
    make(args, Mode::Restore)?;
    say("what officers decided after the backup is GONE, and no list has it: what was set aside or let in \
         (`toso device set-asides` shows what is left), decisions about held changes, import days; ask them to decide again");
    say("a new epoch begins: phones compare with this server at their next contact");
    Ok(())
}

/// Makes a data folder from an export; everything goes on as it was.
pub(crate) fn import(args: &RestoreArgs) -> Result<(), Fail> {
    make(args, Mode::Import)?;
    say("the same epoch goes on: do not serve the folder that it came from any more");
    Ok(())
}

fn make(args: &RestoreArgs, mode: Mode) -> Result<(), Fail> {
    let sources = Sources { from: &args.from, key: args.root_key.as_deref(), revocations: args.revocations.as_deref() };
    let restored = restore(sources, &args.data, mode, now())?;
    let header = &restored.contents.header;
    say(&format!(
        "{}: {} of server {}, through sequence {}",
        restored.path.display(),
        in_words(&restored.contents),
        header.server,
        header.last.0
    ));
    if restored.erased > 0 {
        say(&format!("{} changes of erased documents were stored without their content", restored.erased));
    }
    let joined = &restored.joined;
    for list in &joined.from {
        say(&format!("joined the list of revocations {}", list.display()));
    }
    if joined.is_complete {
        say(&format!(
            "{} devices and {} withdrawn invites stay shut out, {} used invites stay used, {} moved devices stay where they were \
             moved to; do again what was done after that list was copied",
            joined.devices, joined.invites, joined.used, joined.placed
        ));
    } else {
        say(&format!(
            "no list of revocations goes on past this file: the server will start in QUARANTINE and take nothing from \
             devices until `toso quarantine end` says who is shut out. If {} still has {REVOCATIONS_FILE}, remove {} and \
             {} again with --revocations FILE",
            match mode {
                Mode::Restore => "the lost data folder",
                Mode::Import => "the folder that the export was made of",
            },
            restored.path.display(),
            match mode {
                Mode::Restore => "restore",
                Mode::Import => "import",
            }
        ));
    }
    Ok(())
}

/// Checks a folder or a file; fails when something is wrong.
pub(crate) fn verify(args: &VerifyArgs) -> Result<(), Fail> {
    let verified = match (&args.data, &args.backup) {
        (Some(data), None) => verify::folder(data)?,
        (None, Some(file)) => {
            let contents = verify::export(file)?;
            return output::print(&format!(
                "{} is whole: {}, through sequence {}",
                file.display(),
                in_words(&contents),
                contents.header.last.0
            ));
        }
        _ => return Err(Fail::usage("give --data DIR or --backup FILE")),
    };
    let checked = verified.checked;
    output::print(&format!(
        "{} values, {} runs, {} entries, {} commands, {} index keys, {} records, {} changes, {} documents checked",
        checked.values,
        checked.runs,
        checked.entries,
        checked.commands,
        checked.index_keys,
        checked.records,
        verified.changes,
        verified.documents
    ))?;
    if verified.newer > 0 {
        output::print(&format!("{} more documents need a newer version of toso; they are kept", verified.newer))?;
    }
    if let Some(from) = verified.restored {
        output::print(&format!("restored from epoch {} at sequence {}", from.epoch.0, from.last.0))?;
    }
    output::print(&match verified.counted.0 {
        0 => "there are no stored views; the next start counts from the log".to_owned(),
        through => format!("the stored views count everything through sequence {through}"),
    })?;
    if verified.is_whole() {
        return output::print("nothing is wrong");
    }
    for finding in verified.findings.iter().take(FINDINGS_PRINTED_MAX) {
        output::print(&format!("WRONG: {finding}"))?;
    }
    let all = verified.findings.len() as u64 + verified.more_findings;
    Err(Fail::new(format!("{all} things are wrong; restore from a backup that `toso verify --backup` finds whole")))
}

/// Rewrites the database of a stopped server.
pub(crate) fn compact(args: &CompactArgs) -> Result<(), Fail> {
    let compacted = compact::compact(&args.data)?;
    output::print(&format!(
        "{} entries, {} records: {} bytes before, {} after",
        compacted.entries, compacted.records, compacted.before_bytes, compacted.after_bytes
    ))
}

/// What a file holds, in words. Only one of before has records.
fn in_words(contents: &Contents) -> String {
    let Contents { entries, commands, records, .. } = contents;
    if *records > 0 {
        return format!("{entries} changes, {records} records");
    }
    format!("{entries} changes, {commands} commands")
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(ending))
}

/// For people; stdout may be the data.
fn say(text: &str) {
    text.lines().for_each(output::say);
}

fn now() -> TimestampMs {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    TimestampMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
