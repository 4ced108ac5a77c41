//! Small files that people name, read with a bound: a name like `/dev/zero` must not fill the memory.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// All of a file of at most `max` bytes, whatever its metadata says; an error of kind `FileTooLarge` for more.
pub(crate) fn read(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {max} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The story: a restore with `--root-key /dev/zero` took 5 GB before it was ended.
    #[test]
    fn a_file_is_read_up_to_its_bound_and_one_without_end_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f");
        std::fs::write(&file, [1; 10]).unwrap();
        assert_eq!(read(&file, 10).unwrap(), [1; 10]);
        assert_eq!(read(&file, 9).unwrap_err().kind(), io::ErrorKind::FileTooLarge, "one byte past it");
        #[cfg(unix)]
        assert_eq!(read(Path::new("/dev/zero"), 9).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
