//! A board without a clock battery started in 1970 and enrolled a commune's phones: every token had ended when the clock was
//! set, and the invites had to be made and carried out once more.

use super::*;

#[test]
fn a_clock_behind_the_newest_entry_neither_invites_nor_enrols() {
    let Place { trust, .. } = place();
    let invite = trust.invite(&order(AccessRole::Recorder), NOW).unwrap();
    let request = request(trust.server(), &invite, &key(1));
    let newest = NOW.plus_ms(CLOCK_BEHIND_MS_MAX);
    trust.passed_times().saw_entry(newest);
    assert!(trust.invite(&order(AccessRole::Recorder), NOW).is_ok(), "at the tolerance");
    let behind = TimestampMs(NOW.0 - 1);
    let words = "2022-09-19T06:59:59+07:00, but the register has entries of 2022-09-19T08:00:00+07:00";
    for refused in [
        trust.invite(&order(AccessRole::Recorder), behind).unwrap_err().to_string(),
        trust.enrol(&request, behind).unwrap_err().to_string(),
    ] {
        assert!(refused.contains(words) && refused.contains("NTP"), "{refused}");
    }
    // What comes by the wrong clock does not make it right.
    trust.passed_times().saw_entry(TimestampMs(0));
    let from_1970 = trust.enrol(&request, TimestampMs(0));
    assert!(
        matches!(from_1970, Err(EnrolError::Clock(told)) if told == ClockBehind::Register { now: TimestampMs(0), newest })
    );
    assert!(trust.enrol(&request, NOW).is_ok(), "the invite is untouched, and good once the clock is set");
}

#[test]
fn a_clock_before_the_software_itself_neither_invites_nor_enrols_although_the_register_is_empty() {
    let Place { trust, .. } = place();
    let invite = trust.invite(&order(AccessRole::Recorder), NOW).unwrap();
    let request = request(trust.server(), &invite, &key(1));
    let behind = TimestampMs(NOW.0 - 1);
    trust.passed_times().saw_release(NOW);
    for refused in [
        trust.invite(&order(AccessRole::Recorder), behind).unwrap_err().to_string(),
        trust.enrol(&request, behind).unwrap_err().to_string(),
    ] {
        let words =
            "2022-09-19T06:59:59+07:00, but this version of its software was released on 2022-09-19T07:00:00+07:00";
        assert!(refused.contains(words) && refused.contains("NTP"), "{refused}");
    }
    assert!(trust.enrol(&request, NOW).is_ok(), "at the release, with an invite that is untouched");
}

#[test]
fn the_release_is_a_day_of_vietnam() {
    assert_eq!(toso_projection::AsOf(RELEASED_AT).to_string(), "2026-11-01T00:00:00+07:00");
}
