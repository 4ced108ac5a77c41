//! What a list keeps and reads back: after any end of the process, through an editor, at its limit, and with any damage.

use std::fs;

use super::*;

const NOW: TimestampMs = TimestampMs(1_663_545_600_000);

fn device(number: u8) -> Entry {
    Entry::Device(DeviceId::from_public_key(&[number; 32]))
}

fn made(folder: &Path) -> Revocations {
    let list = Revocations::open(folder).unwrap();
    assert!(!list.is_kept());
    list.make().unwrap();
    list
}

#[test]
fn what_was_added_is_there_after_any_end_of_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let list = made(folder.path());
    for entry in [device(1), Entry::Invite([7; 32]), device(1), Entry::Server(ServerId([3; 16])), Entry::Seen] {
        list.add(entry, NOW).unwrap();
    }
    let path = folder.path().join(REVOCATIONS_FILE);
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 5, "each thing once");
    // A line that was being written, as the power may leave it: a part of it, or nothing but zeros.
    for torn in [&b"device 01"[..], &[0; 100]] {
        OpenOptions::new().append(true).open(&path).unwrap().write_all(torn).unwrap();
        let again = Revocations::open(folder.path()).unwrap();
        assert!(again.is_kept() && again.listed().invites == HashSet::from([[7; 32]]));
        assert_eq!(again.listed(), list.listed());
    }
    let again = Revocations::open(folder.path()).unwrap();
    again.add(device(2), NOW).unwrap();
    let listed = Listed::read(&path).unwrap().unwrap();
    assert_eq!((listed.devices.len(), listed.server, listed.last), (2, Some(ServerId([3; 16])), NOW));
}

/// What is written must be read again: a list that had grown past the limit would have stopped the next start.
#[test]
fn a_full_list_takes_no_line_more_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let list = made(folder.path());
    list.add(device(1), NOW).unwrap();
    let before = list.listed().bytes;
    list.add(device(2), NOW).unwrap();
    let line = list.listed().bytes - before;
    list.0.lock().listed.bytes = LIST_BYTES_MAX - line + 1;
    let refused = list.add(device(3), NOW).unwrap_err();
    assert!(
        matches!(refused, StoreError::TooLarge { .. }) && refused.to_string().contains("move it away"),
        "{refused}"
    );
    assert!(!list.has_device(DeviceId::from_public_key(&[3; 32])), "nothing of it counts");
    list.0.lock().listed.bytes = LIST_BYTES_MAX - line;
    list.add(device(3), NOW).unwrap();
    assert_eq!(list.listed().bytes, LIST_BYTES_MAX);
    assert_eq!(Listed::read(&folder.path().join(REVOCATIONS_FILE)).unwrap().unwrap().devices.len(), 3);
}

/// The story: a copy that had gone through Windows and an editor was called damaged, and the words led to making it anew
/// from records that lacked what it had.
#[test]
fn a_list_is_read_however_an_editor_left_it_and_written_on() {
    let folder = tempfile::tempdir().unwrap();
    let list = made(folder.path());
    let placed = Placement { unit: "2022/00001".parse().unwrap(), role: AccessRole::Officer, moves: 2 };
    let Entry::Device(moved) = device(3) else { unreachable!() };
    let entries = [device(1), Entry::Used([7; 32], AuthorId([5; 8])), Entry::Placed(moved, placed), device(2)];
    list.add_all(&entries, NOW).unwrap();
    let path = folder.path().join(REVOCATIONS_FILE);
    let whole = fs::read_to_string(&path).unwrap();
    for left in [
        format!("\u{FEFF}{whole}"),
        whole.replace('\n', "\r\n"),
        format!("{whole}\n\n"),
        whole.trim_end().to_owned(),
        format!("\u{FEFF}\r\n{}", whole.trim_end().replace('\n', "\r\n\r\n")),
    ] {
        fs::write(&path, &left).unwrap();
        assert_eq!(Listed::read(&path).unwrap().unwrap(), list.listed(), "{left:?}");
        let again = Revocations::open(folder.path()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), whole, "as it was");
        again.add(device(4), NOW).unwrap();
        assert_eq!(Listed::read(&path).unwrap().unwrap().devices.len(), 3);
    }
    let older = Entry::Placed(moved, Placement { moves: 1, ..placed });
    list.add(older, NOW).unwrap();
    assert_eq!(list.placement(moved), Some(placed), "of two placements the newer stands");
    fs::write(&path, whole.replace("officer", "viewer")).unwrap();
    let said = |error: StoreError| error.to_string();
    assert!(said(Listed::read(&path).unwrap_err()).contains("--revocations"));
    assert!(said(Revocations::open(folder.path()).unwrap_err()).contains("the next start makes it anew"));
}

/// A list that forgets is the way back in, so no damage may pass for a shorter list.
#[test]
fn a_line_that_was_changed_added_or_taken_out_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let list = made(folder.path());
    for number in 1..=4 {
        list.add(device(number), NOW).unwrap();
    }
    let path = folder.path().join(REVOCATIONS_FILE);
    let whole = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let without = |left_out: usize| {
        let kept = lines.iter().enumerate().filter(|(number, _)| *number != left_out);
        kept.flat_map(|(_, line)| [*line, "\n"]).collect::<String>()
    };
    for left_out in 0..lines.len() - 1 {
        fs::write(&path, without(left_out)).unwrap();
        assert!(matches!(Listed::read(&path), Err(StoreError::Damaged { .. })), "line {left_out} is missing");
    }
    for place in (0..whole.len() - 1).step_by(7) {
        let mut bytes = whole.clone().into_bytes();
        bytes[place] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(matches!(Listed::read(&path), Err(StoreError::Damaged { .. })), "byte {place} is another");
    }
    fs::write(&path, format!("{whole}{}\n", lines[2])).unwrap();
    assert!(matches!(Revocations::open(folder.path()), Err(StoreError::Damaged { .. })), "a line comes twice");
    fs::write(&path, "").unwrap();
    assert!(matches!(Listed::read(&path), Err(StoreError::Damaged { .. })), "emptied");
}
