//! What a process costs, as the system counts it (`/proc` of Linux; elsewhere nothing is told).

use std::time::Duration;

/// `sysconf(_SC_CLK_TCK)` is 100 on every Linux that this runs on: the kernel's interface fixes it for user space.
const TICKS_PER_SECOND: u32 = 100;

/// A process that is watched.
#[derive(Debug, Clone, Copy)]
pub struct Process(Option<u32>);

impl Process {
    /// This one.
    pub fn own() -> Self {
        Self(None)
    }

    /// Another one, by its number.
    pub fn of(pid: u32) -> Self {
        Self(Some(pid))
    }

    /// Its processor time so far, in user space and in the kernel, of all its threads.
    pub fn cpu(self) -> Option<Duration> {
        cpu_of_stat(&self.read("stat")?)
    }

    /// Resident memory now, in bytes.
    pub fn memory_bytes(self) -> Option<u64> {
        kib_of_status(&self.read("status")?, "VmRSS:")
    }

    /// The most resident memory so far, in bytes.
    pub fn memory_peak_bytes(self) -> Option<u64> {
        kib_of_status(&self.read("status")?, "VmHWM:")
    }

    fn read(self, file: &str) -> Option<String> {
        let path = match self.0 {
            Some(pid) => format!("/proc/{pid}/{file}"),
            None => format!("/proc/self/{file}"),
        };
        std::fs::read_to_string(path).ok()
    }
}

fn kib_of_status(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Fields 14 and 15 of `stat`: the name before them may hold blanks and brackets, so they are counted from its end.
fn cpu_of_stat(stat: &str) -> Option<Duration> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let ticks = ticks()? + ticks()?;
    Some(Duration::from_secs(ticks) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_a_status_of_linux() {
        let status = "Name:\ttoso\nVmPeak:\t  900000 kB\nVmHWM:\t  123456 kB\nVmRSS:\t   1000 kB\n";
        assert_eq!(kib_of_status(status, "VmHWM:"), Some(123_456 * 1024));
        assert_eq!(kib_of_status(status, "VmRSS:"), Some(1_000 * 1024));
        assert_eq!(kib_of_status("Name:\ttoso\n", "VmHWM:"), None);
    }

    #[test]
    fn processor_time_is_read_behind_any_name() {
        let stat = "7 (a) b) (c) S 1 7 7 0 -1 4194560 5 0 0 0 150 27 0 0 20 0 9 0 123 456 789";
        assert_eq!(cpu_of_stat(stat), Some(Duration::from_millis(1_770)));
        assert_eq!(cpu_of_stat("7 (toso) S 1"), None);
    }

    #[test]
    fn this_process_has_cost_something() {
        if cfg!(target_os = "linux") {
            let own = Process::own();
            assert!(own.memory_bytes().unwrap() > 0);
            assert!(own.memory_peak_bytes().unwrap() >= own.memory_bytes().unwrap() / 2);
            assert!(own.cpu().is_some());
        }
    }
}
