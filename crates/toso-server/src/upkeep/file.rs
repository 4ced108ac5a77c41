//! An export file that appears whole or not at all, readable by its owner only.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use toso_store::export::{Compressor, Contents, read_all};

use super::place::look_for_file;
use super::{UpkeepError, failed, in_file, parent, sync_folder, with_suffix};

/// The ending of a file that is not there yet.
const PART_ENDING: &str = ".part";

/// Writes an export under another name, reads it back, syncs it, and gives it its name. `fill` writes the bytes, which
/// are compressed here when `compress` says so. Whatever fails, nothing has the name.
pub fn write_export(
    to: &Path,
    compress: bool,
    fill: impl FnOnce(&mut dyn Write) -> Result<(), UpkeepError>,
) -> Result<Contents, UpkeepError> {
    look_for_file(to)?;
    let part = with_suffix(to, PART_ENDING);
    let written = write_part(&part, compress, fill).and_then(|contents| {
        fs::rename(&part, to).and_then(|()| sync_folder(&parent(to))).map_err(failed("naming", to))?;
        Ok(contents)
    });
    if written.is_err() {
        // It may never have been made.
        let _ = fs::remove_file(&part);
    }
    written
}

fn write_part(
    part: &Path,
    compress: bool,
    fill: impl FnOnce(&mut dyn Write) -> Result<(), UpkeepError>,
) -> Result<Contents, UpkeepError> {
    let failed = || failed("writing", part);
    // One that a killed process left.
    match fs::remove_file(part) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed()(error)),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = BufWriter::new(options.open(part).map_err(failed())?);
    if compress {
        let mut packed = Compressing { out: &mut out, compressor: Compressor::new().map_err(failed())? };
        fill(&mut packed)?;
        let Compressing { out, compressor } = packed;
        compressor.finish().and_then(|end| out.write_all(&end)).map_err(failed())?;
    } else {
        fill(&mut out)?;
    }
    let written = out.into_inner().map_err(|error| failed()(error.into_error()))?;
    written.sync_all().map_err(failed())?;
    read_all(BufReader::new(File::open(part).map_err(failed())?)).map_err(in_file(part))
}

struct Compressing<'a> {
    out: &'a mut dyn Write,
    compressor: Compressor,
}

impl Write for Compressing<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let ready = self.compressor.push(bytes)?;
        self.out.write_all(&ready)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}
