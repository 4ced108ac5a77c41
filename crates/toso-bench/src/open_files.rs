//! Open files: each connection takes one on either side, and systems allow few of them unless asked.

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::error::BenchError;

/// Files that a process has open besides its connections: the store, the runtime, standard streams; with room to spare.
const BESIDE_CONNECTIONS: u64 = 256;

/// Makes room for so many connections of this process, and of each process that it starts from now on.
pub(crate) fn make_room(connections: usize) -> Result<(), BenchError> {
    let needed = connections as u64 + BESIDE_CONNECTIONS;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    limit.current = Some(limit.maximum.map_or(needed, |maximum| needed.min(maximum)));
    let raised = setrlimit(Resource::Nofile, limit).is_ok();
    match limit.current {
        Some(current) if raised && current >= needed => Ok(()),
        allowed => Err(BenchError::failed(format!(
            "{connections} connections need {needed} open files and this machine allows {}; raise the limit (`ulimit \
             -n {needed}`, as root `ulimit -Hn {needed}` first), or take a smaller --scale",
            allowed.unwrap_or_default()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_a_few_and_not_for_more_than_the_system_allows() {
        make_room(1).unwrap();
        if let Some(maximum) = getrlimit(Resource::Nofile).maximum {
            let most = usize::try_from(maximum - BESIDE_CONNECTIONS).unwrap();
            make_room(most).unwrap();
            let refused = make_room(most + 1).unwrap_err().to_string();
            assert!(refused.contains("open files") && refused.contains("--scale"), "{refused}");
        }
    }
}
