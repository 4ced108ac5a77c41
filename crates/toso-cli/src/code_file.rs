//! Small files that hold a code: tokens and keys. What is wrong with one is said of the file, before anything is sent.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use zeroize::Zeroizing;

use crate::fail::Fail;

/// The largest such file: a token has at most 4 KiB as text, twice that in UTF-16, and whatever a person wrote around it.
const CODE_FILE_BYTES_MAX: u64 = 64 * 1024;

/// The bytes of a file that holds a code. `what` is how the command calls it.
pub(crate) fn read(path: &Path, what: &str) -> Result<Zeroizing<Vec<u8>>, Fail> {
    read_up_to(path, what, CODE_FILE_BYTES_MAX)
}

/// The same for a file that may be larger.
pub(crate) fn read_up_to(path: &Path, what: &str, bytes_max: u64) -> Result<Zeroizing<Vec<u8>>, Fail> {
    let shown = path.display();
    let cannot = |error: std::io::Error| Fail::new(format!("cannot read the {what} {shown}: {error}"));
    let file = File::open(path).map_err(cannot)?;
    let kind = file.metadata().map_err(cannot)?;
    if kind.is_dir() {
        return Err(Fail::new(format!("{shown} is a folder and no {what}; name the file in it")));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > bytes_max {
        return Err(Fail::new(format!("{shown} has more than {bytes_max} bytes and is no {what}")));
    }
    if bytes.is_empty() {
        return Err(Fail::new(format!("the {what} {shown} is empty; write it anew")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_empty_and_large_files_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let said = |path: &Path| read(path, "token file").unwrap_err().to_string();
        assert!(said(folder.path()).contains("is a folder"));
        let file = folder.path().join("t");
        assert!(said(&file).contains("cannot read the token file"));
        std::fs::write(&file, "").unwrap();
        assert!(said(&file).contains("is empty"));
        let limit = usize::try_from(CODE_FILE_BYTES_MAX).unwrap();
        std::fs::write(&file, vec![b'a'; limit]).unwrap();
        assert_eq!(read(&file, "token file").unwrap().len(), limit);
        std::fs::write(&file, vec![b'a'; limit + 1]).unwrap();
        assert!(said(&file).contains("more than"));
    }
}
