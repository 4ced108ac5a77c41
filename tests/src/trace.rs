//! What a process asked of the system, in order: `strace` run on the real binary, and its output read back.
//!
//! A kill cannot show that data is synced before it is acknowledged, since the system keeps what a killed process wrote.
//! The order of system calls can: [`Trace`] has every write, sync and send with the moment it began and the moment it
//! returned. [`crate::power`] goes one step further and makes the files that a power cut would leave.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

/// The calls that change files, make them durable, or tell somebody.
const CALLS: &str = "pwrite64,pwritev,write,writev,sendto,sendmsg,fdatasync,fsync,sync_file_range,ftruncate,rename,\
                     renameat,renameat2,unlink,unlinkat,openat";
/// The largest string that strace prints whole: sled's buffers have 512 KiB.
const STRING_BYTES_MAX: &str = "4194304";

/// `strace` in front of a program, writing to `output`.
pub fn traced(output: &Path, program: &Path) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-yy", "-xx", "-s", STRING_BYTES_MAX, "-e", &format!("trace={CALLS}"), "-o"]);
    command.arg(output).arg("--").arg(program);
    command
}

/// True where a process can be traced; says so aloud where it cannot, since a test that looks like it ran is worse than
/// one that did not.
#[allow(clippy::print_stderr, reason = "the reader of the test's output must see it")]
pub fn can_trace() -> bool {
    let tried = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    let why = match tried {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    eprintln!("SKIPPED: strace cannot run here ({why}); on Debian or Ubuntu: apt install strace");
    false
}

/// What a call did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Bytes to a file at a place, or to a pipe or socket (no place).
    Write {
        /// The path, or strace's words for a socket or pipe.
        to: String,
        /// Where in the file.
        offset: Option<u64>,
        /// The bytes asked to be written.
        data: Vec<u8>,
    },
    /// `fsync` or `fdatasync`.
    Sync {
        /// The file or folder.
        file: String,
    },
    /// `sync_file_range`, which starts writing back and promises nothing after a power cut.
    SyncRange {
        /// The file.
        file: String,
    },
    /// `ftruncate`.
    Truncate {
        /// The file.
        file: String,
        /// Its new length.
        len: u64,
    },
    /// A file opened to be made, or to be made empty.
    Create {
        /// The path.
        file: String,
        /// Emptied when it was there.
        truncate: bool,
    },
    /// A new name.
    Rename {
        /// Old path.
        from: String,
        /// New path.
        to: String,
    },
    /// A name removed.
    Unlink {
        /// The path.
        file: String,
    },
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What it was.
    pub what: What,
    /// When it began: a line of the trace.
    pub begin: usize,
    /// When it returned, and what; `None` when the process ended before.
    pub end: Option<(usize, i64)>,
}

impl Call {
    /// True when it had returned without an error before `moment`.
    pub fn done_before(&self, moment: usize) -> bool {
        self.end.is_some_and(|(end, result)| end < moment && result >= 0)
    }
}

/// All calls, by the moment they began.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// The calls.
    pub calls: Vec<Call>,
    /// Moments there are.
    pub moments: usize,
    /// The moment at which each process had ended, in their order: a call of it that never returned does nothing later.
    pub ended: Vec<usize>,
}

impl Trace {
    /// Reads what strace wrote; several files are one process after the other.
    pub fn read(files: &[&Path]) -> Result<Self, String> {
        let mut trace = Self::default();
        for file in files {
            let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
            trace.add(&text)?;
        }
        Ok(trace)
    }

    /// Reads strace's text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut trace = Self::default();
        trace.add(text)?;
        Ok(trace)
    }

    fn add(&mut self, text: &str) -> Result<(), String> {
        let mut open: HashMap<&str, Option<usize>> = HashMap::new();
        for line in text.lines() {
            let moment = self.moments;
            self.moments += 1;
            // A kill may cut the last line.
            let Some((thread, rest)) = line.split_once(' ') else { continue };
            let rest = rest.trim_start();
            // Ends, signals, and calls of which a thread's end left nothing to tell.
            if ["+++", "---", "???"].iter().any(|mark| rest.starts_with(mark)) {
                continue;
            }
            if rest.starts_with("<... ") {
                if let (Some(Some(index)), Some(result)) = (open.remove(thread), result_of(rest)) {
                    self.calls[index].end = Some((moment, result));
                }
                continue;
            }
            let what = parse_call(rest).map_err(|error| format!("line {}: {error}", moment + 1))?;
            let index = self.calls.len();
            let end = (!rest.ends_with("<unfinished ...>")).then(|| result_of(rest)).flatten();
            if end.is_none() {
                open.insert(thread, what.is_some().then_some(index));
            }
            if let Some(what) = what {
                self.calls.push(Call { what, begin: moment, end: end.map(|result| (moment, result)) });
            }
        }
        self.ended.push(self.moments);
        self.moments += 1;
        Ok(())
    }

    /// From when on a call does nothing more: it has returned, or its process has ended.
    pub fn done(&self, call: &Call) -> usize {
        let ended = || self.ended.iter().copied().find(|ended| *ended >= call.begin);
        call.end.map(|(end, _)| end).or_else(ended).unwrap_or(usize::MAX)
    }

    /// Bytes sent or written to what `to` accepts, with their moments.
    pub fn writes_to<'a>(&'a self, to: impl Fn(&str) -> bool + 'a) -> impl Iterator<Item = (usize, &'a [u8])> {
        self.calls.iter().filter_map(move |call| match &call.what {
            What::Write { to: target, data, .. } if to(target) => Some((call.begin, data.as_slice())),
            What::Write { .. }
            | What::Sync { .. }
            | What::SyncRange { .. }
            | What::Truncate { .. }
            | What::Create { .. }
            | What::Rename { .. }
            | What::Unlink { .. } => None,
        })
    }

    /// Checks that what `file` took with `needle` in it was synced before something was told at `moment`: a write that
    /// had returned, then a sync that began after it and returned without an error, then the telling.
    pub fn check_synced(&self, file: &str, needle: &[u8], moment: usize) -> Result<(), String> {
        let carries = |data: &[u8]| data.windows(needle.len()).any(|window| window == needle);
        let write = self
            .calls
            .iter()
            .find(|call| matches!(&call.what, What::Write { to, data, .. } if to == file && carries(data)))
            .filter(|call| call.done_before(moment))
            .ok_or_else(|| format!("{file} had not taken what was told at moment {moment}"))?;
        let synced = self.calls.iter().any(|call| {
            matches!(&call.what, What::Sync { file: synced } if synced == file)
                && write.done_before(call.begin)
                && call.done_before(moment)
        });
        if synced {
            return Ok(());
        }
        Err(format!("no sync of {file} between its write at moment {} and the telling at {moment}", write.begin))
    }
}

/// What follows the last ` = `: a number, perhaps with a name or a path.
fn result_of(line: &str) -> Option<i64> {
    let (_, result) = line.rsplit_once(") ")?;
    let result = result.trim_start().strip_prefix("= ")?;
    let number: String = result.chars().take_while(|letter| letter.is_ascii_digit() || *letter == '-').collect();
    number.parse().ok()
}

fn parse_call(line: &str) -> Result<Option<What>, String> {
    let (name, rest) = line.split_once('(').ok_or_else(|| format!("no call: {line:.80}"))?;
    let mut arguments = Arguments(rest);
    Ok(Some(match name {
        "write" | "sendto" => {
            let to = arguments.descriptor()?;
            What::Write { to, offset: None, data: arguments.bytes()? }
        }
        "pwrite64" => {
            let to = arguments.descriptor()?;
            let data = arguments.bytes()?;
            arguments.number()?;
            What::Write { to, data, offset: Some(arguments.number()?) }
        }
        "writev" | "sendmsg" | "pwritev" => {
            let to = arguments.descriptor()?;
            let mut data = Vec::new();
            while arguments.skip_past("iov_base=") {
                data.extend(arguments.bytes()?);
            }
            if name == "pwritev" {
                return Err("pwritev to a file is not understood".to_owned());
            }
            What::Write { to, offset: None, data }
        }
        "fsync" | "fdatasync" => What::Sync { file: arguments.descriptor()? },
        "sync_file_range" => What::SyncRange { file: arguments.descriptor()? },
        "ftruncate" => What::Truncate { file: arguments.descriptor()?, len: arguments.number()? },
        "openat" => {
            arguments.skip_past(", ");
            let file = arguments.text()?;
            let flags = arguments.0.split([')', '<']).next().unwrap_or_default();
            if !flags.contains("O_CREAT") && !flags.contains("O_TRUNC") {
                return Ok(None);
            }
            What::Create { file, truncate: flags.contains("O_TRUNC") }
        }
        "rename" => What::Rename { from: arguments.text()?, to: arguments.text()? },
        "renameat" | "renameat2" => {
            arguments.skip_past(", ");
            let from = arguments.text()?;
            arguments.skip_past(", ");
            arguments.skip_past(", ");
            What::Rename { from, to: arguments.text()? }
        }
        "unlink" => What::Unlink { file: arguments.text()? },
        "unlinkat" => {
            arguments.skip_past(", ");
            What::Unlink { file: arguments.text()? }
        }
        other => return Err(format!("the call {other} is not understood")),
    }))
}

/// What is left of a call's arguments.
struct Arguments<'a>(&'a str);

impl Arguments<'_> {
    /// `12<\x2f\x74…>` or `14<TCP:[…->…]>`: what the descriptor stands for.
    fn descriptor(&mut self) -> Result<String, String> {
        let (_, rest) = self.0.split_once('<').ok_or("a descriptor without its path")?;
        let (name, rest) = if rest.starts_with("\\x") {
            let (name, rest) = rest.split_at(rest.find(['<', '>']).ok_or("a descriptor without its end")?);
            // A device has its numbers behind its path: `<\x2f…<char 1:3>>`.
            (String::from_utf8(unhex(name)?).map_err(|error| error.to_string())?, rest.trim_start_matches("<char "))
        } else {
            // An address of a socket has `->` inside.
            let mut end = 0;
            loop {
                end += rest.get(end..).and_then(|rest| rest.find('>')).ok_or("a descriptor without its end")?;
                if !rest.get(..end).is_some_and(|name| name.ends_with('-')) {
                    break;
                }
                end += 1;
            }
            let (name, rest) = rest.split_at(end);
            (name.to_owned(), rest)
        };
        self.0 = rest;
        Ok(name)
    }

    /// The next string, as bytes.
    fn bytes(&mut self) -> Result<Vec<u8>, String> {
        let (_, rest) = self.0.split_once('"').ok_or("a string is missing")?;
        let (text, rest) = rest.split_once('"').ok_or("a string has no end")?;
        if rest.starts_with("...") {
            return Err("a string was cut short; raise its limit".to_owned());
        }
        self.0 = rest;
        unhex(text)
    }

    fn text(&mut self) -> Result<String, String> {
        String::from_utf8(self.bytes()?).map_err(|error| error.to_string())
    }

    /// The next number after a comma.
    fn number(&mut self) -> Result<u64, String> {
        let (_, rest) = self.0.split_once(", ").ok_or("a number is missing")?;
        let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        let (number, rest) = rest.split_at(end);
        self.0 = rest;
        number.parse().map_err(|_| format!("{number:?} is no number"))
    }

    fn skip_past(&mut self, mark: &str) -> bool {
        let Some((_, rest)) = self.0.split_once(mark) else { return false };
        self.0 = rest;
        true
    }
}

/// `\x2f\x74` as bytes.
fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.as_bytes()
        .chunks(4)
        .map(|escape| match escape {
            [b'\\', b'x', high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect::<Option<_>>()
        .ok_or_else(|| format!("{text:.40} is not written in hexadecimal"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> String {
        use std::fmt::Write;
        text.bytes().fold(String::new(), |mut all, byte| {
            write!(all, "\\x{byte:02x}").expect("a string");
            all
        })
    }

    /// A write, its sync, and an answer on a socket, as strace prints them when threads interleave.
    fn sample(order: [&str; 3]) -> String {
        let db = hex("/data/db");
        let line = |name: &&str| match *name {
            "write" => format!(
                "7 pwrite64(12<{db}>, \"{}\", 3, 40 <unfinished ...>\n7 <... pwrite64 resumed>)           = 3\n",
                hex("abc")
            ),
            "sync" => format!("8 fdatasync(13<{db}>) = 0\n"),
            _ => format!(
                "9 sendto(14<TCP:[127.0.0.1:1->127.0.0.1:2]>, \"{}\", 3, MSG_NOSIGNAL, NULL, 0) = 3\n",
                hex("ACK")
            ),
        };
        order.iter().map(line).collect()
    }

    fn answered(text: &str) -> Result<(), String> {
        let trace = Trace::parse(text)?;
        let moment = trace.writes_to(|to| to.starts_with("TCP:")).next().expect("one answer").0;
        trace.check_synced("/data/db", b"bc", moment)
    }

    #[test]
    fn calls_are_read_with_their_moments() {
        let trace = Trace::parse(&sample(["write", "sync", "send"])).expect("it reads");
        let write = What::Write { to: "/data/db".to_owned(), offset: Some(40), data: b"abc".to_vec() };
        assert_eq!(trace.calls[0], Call { what: write, begin: 0, end: Some((1, 3)) });
        assert_eq!(trace.calls[1].end, Some((2, 0)));
        assert!(matches!(&trace.calls[2].what, What::Write { to, data, .. } if to.contains("->") && data == b"ACK"));
        let device = format!("7 write(1<{}<char 1:3>>, \"{}\", 3) = 3\n", hex("/dev/null"), hex("abc"));
        let write = What::Write { to: "/dev/null".to_owned(), offset: None, data: b"abc".to_vec() };
        assert_eq!(
            Trace::parse(&device).expect("it reads").calls[0],
            Call { what: write, begin: 0, end: Some((0, 3)) }
        );
    }

    #[test]
    fn an_answer_before_its_sync_is_found() {
        assert_eq!(answered(&sample(["write", "sync", "send"])), Ok(()));
        for wrong in [["sync", "write", "send"], ["write", "send", "sync"]] {
            assert!(answered(&sample(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_sync_that_failed_or_has_not_returned_or_is_another_files_is_none() {
        let good = sample(["write", "sync", "send"]);
        assert!(answered(&good.replace(") = 0", ") = -1 EIO (Input/output error)")).is_err());
        assert!(answered(&good.replace("fdatasync(", "sync_file_range(")).is_err());
        assert!(answered(&good.replace(&format!("fdatasync(13<{}", hex("/data/db")), "fdatasync(13</x")).is_err());
        let late = good.replace(">) = 0", "> <unfinished ...>") + "8 <... fdatasync resumed>) = 0\n";
        assert!(answered(&late).is_err());
        // A sync that began before the write had returned need not have taken it along.
        let db = hex("/data/db");
        let crossing = format!(
            "7 pwrite64(12<{db}>, \"{}\", 3, 40 <unfinished ...>\n8 fdatasync(13<{db}> <unfinished ...>\n\
             7 <... pwrite64 resumed>) = 3\n8 <... fdatasync resumed>) = 0\n{}",
            hex("abc"),
            sample(["send", "send", "send"]).lines().next().expect("a line")
        );
        assert!(answered(&crossing).is_err());
    }

    #[test]
    fn a_cut_string_is_an_error_not_a_short_write() {
        let cut = format!("7 write(1<{}>, \"{}\"..., 300) = 300\n", hex("/x"), hex("abc"));
        assert!(Trace::parse(&cut).expect_err("refused").contains("cut short"));
    }

    #[test]
    fn names_are_followed() {
        let (a, b) = (hex("/d/a"), hex("/d/b"));
        let text = format!(
            "7 openat(AT_FDCWD<{}>, \"{a}\", O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0666) = 5<{a}>\n\
             7 openat(AT_FDCWD<{}>, \"{a}\", O_RDONLY|O_CLOEXEC) = 6<{a}>\n7 rename(\"{a}\", \"{b}\") = 0\n\
             7 unlink(\"{b}\") = -1 ENOENT (No such file or directory)\n7 +++ exited with 0 +++\n",
            hex("/d"),
            hex("/d"),
        );
        let trace = Trace::parse(&text).expect("it reads");
        let create = What::Create { file: "/d/a".to_owned(), truncate: true };
        let rename = What::Rename { from: "/d/a".to_owned(), to: "/d/b".to_owned() };
        let whats: Vec<&What> = trace.calls.iter().map(|call| &call.what).collect();
        assert_eq!(whats, [&create, &rename, &What::Unlink { file: "/d/b".to_owned() }]);
        assert_eq!(trace.calls[2].end, Some((3, -1)));
    }
}
