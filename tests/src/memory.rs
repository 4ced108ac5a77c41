//! What a process takes of the machine's memory, from `/proc` (Linux).

/// Resident memory now, in bytes.
pub fn resident(pid: u32) -> u64 {
    field(pid, "VmRSS:")
}

/// The most resident memory so far, in bytes.
pub fn peak(pid: u32) -> u64 {
    field(pid, "VmHWM:")
}

fn field(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux tells");
    let kib: u64 = line.split_whitespace().next().and_then(|text| text.parse().ok()).expect("KiB");
    kib * 1024
}
