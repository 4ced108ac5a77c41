//! Invites that no longer stand: an officer who had laid some aside was revoked, and came back with a new key under one of
//! them, as officer of the same district.

use std::str::FromStr as _;

use toso_core::id::AuthorId;
use toso_store::RecordStore as _;

use super::*;
use crate::tables::INVITE_TABLE;

fn district() -> UnitRef {
    UnitRef::new(UnitList::L2022, "001").expect("a code")
}

/// A device of a unit, invited by the admin token.
fn joined(trust: &Trust, seed: u8, unit: UnitRef, role: AccessRole) -> DeviceId {
    let invite = trust.invite(&InviteOrder { unit, ..order(role) }, NOW).expect("an invite");
    trust.enrol(&request(trust.server(), &invite, &key(seed)), NOW).expect("enrolled").device
}

fn laid_aside(trust: &Trust, maker: DeviceId) -> Invite {
    let life_ms = INVITE_LIFE_MS_MAX;
    let asked = InviteOrder { life_ms, created_by: Some(maker.author()), ..order(AccessRole::Officer) };
    trust.invite(&asked, NOW).expect("an invite")
}

#[test]
fn an_invite_stands_only_while_its_maker_could_still_make_it() {
    type Change = fn(&Trust, DeviceId) -> TimestampMs;
    let revoked: Change = |trust, maker| {
        assert!(trust.revoke(maker, NOW).unwrap());
        NOW
    };
    let moved: Change = |trust, maker| {
        let elsewhere = UnitRef::new(UnitList::L2022, "760").expect("a code");
        assert!(trust.move_device(maker, elsewhere, None, NOW).unwrap());
        NOW
    };
    let demoted: Change = |trust, maker| {
        assert_eq!(joined(trust, 1, district(), AccessRole::Recorder), maker);
        NOW
    };
    let to_its_own_rank: Change = |trust, maker| {
        assert!(trust.move_device(maker, commune(), None, NOW).unwrap());
        NOW
    };
    for (what, change) in [("revoked", revoked), ("moved", moved), ("demoted", demoted), ("beside", to_its_own_rank)] {
        let Place { trust, .. } = place();
        let maker = joined(&trust, 1, district(), AccessRole::Officer);
        let (used, laid) = (laid_aside(&trust, maker), laid_aside(&trust, maker));
        assert!(trust.enrol(&request(trust.server(), &used, &key(2)), NOW).is_ok(), "{what}: good until then");
        let now = change(&trust, maker);
        let back = trust.enrol(&request(trust.server(), &laid, &key(3)), now);
        assert!(matches!(back, Err(EnrolError::VoidInvite)), "{what}: {back:?}");
        assert!(
            trust.enrol(&request(trust.server(), &used, &key(2)), now).is_ok(),
            "{what}: a lost answer is repeated"
        );
    }
    let Place { trust, .. } = place();
    let ends = NOW.plus_ms(TOKEN_LIFE_MS);
    let maker = joined(&trust, 1, district(), AccessRole::Officer);
    let asked = InviteOrder { created_by: Some(maker.author()), ..order(AccessRole::Recorder) };
    let late = || {
        let invite = trust.invite(&InviteOrder { life_ms: 2000, ..asked.clone() }, TimestampMs(ends.0 - 1000)).unwrap();
        request(trust.server(), &invite, &key(4))
    };
    assert!(trust.enrol(&late(), TimestampMs(ends.0 - 1)).is_ok());
    assert!(matches!(trust.enrol(&late(), ends), Err(EnrolError::VoidInvite)), "its maker's token has ended");
}

#[test]
fn an_invite_is_withdrawn_once_and_not_after_its_use() {
    let Place { trust, .. } = place();
    let made = || trust.invite(&order(AccessRole::Recorder), NOW).unwrap();
    let (one, other) = (made(), made());
    let (listed, more) = trust.invites(None, 10, |_| true).unwrap();
    assert_eq!((listed.len(), more), (2, false));
    let number_of = |invite: &Invite| -> InviteNumber {
        data_encoding::HEXLOWER.encode(&blake3::hash(&invite.secret).as_bytes()[..8]).parse().unwrap()
    };
    let by = AuthorId([7; 8]);
    let taken = trust.withdraw_invite(number_of(&one), Some(by), NOW).unwrap().expect("it is there");
    assert_eq!(taken.withdrawn, Some(Withdrawal { by: Some(by), at: NOW }));
    assert_eq!(trust.withdraw_invite(number_of(&one), None, NOW.plus_ms(1)).unwrap(), Some(taken), "once");
    let refused = trust.enrol(&request(trust.server(), &one, &key(1)), NOW);
    assert!(matches!(refused, Err(EnrolError::WithdrawnInvite)));
    let device = trust.enrol(&request(trust.server(), &other, &key(1)), NOW).unwrap().device;
    let used = trust.withdraw_invite(number_of(&other), None, NOW).unwrap().expect("it is there");
    assert_eq!((used.used_by, used.withdrawn), (Some(device.author()), None));
    assert_eq!(trust.withdraw_invite(InviteNumber::from_str("0011223344556677").unwrap(), None, NOW).unwrap(), None);
}

#[test]
fn lists_of_invites_meet_without_gap_or_overlap_and_say_how_each_stands() {
    let Place { trust, store, .. } = place();
    for _ in 0..23 {
        trust.invite(&order(AccessRole::Recorder), NOW).unwrap();
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let (page, more) = trust.invites(after, 5, |_| true).unwrap();
        after = page.last().map(|(number, _)| *number);
        seen.extend(page);
        if !more {
            break;
        }
    }
    assert_eq!(seen.len(), 23);
    assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0));
    let (_, record) = &seen[0];
    assert_eq!(trust.invite_state(record, NOW), InviteState::Open);
    assert_eq!(trust.invite_state(record, NOW.plus_ms(1000)), InviteState::Expired);
    assert_eq!(store.records(INVITE_TABLE, &[]).unwrap().len(), 23);
}

/// Records of the revision before had no last field.
#[test]
fn invites_of_before_are_still_read() {
    #[derive(serde::Serialize)]
    struct Before {
        unit: UnitRef,
        role: String,
        expires_at: TimestampMs,
        created_by: Option<AuthorId>,
        created_at: TimestampMs,
        used_by: Option<AuthorId>,
    }
    let before = Before {
        unit: commune(),
        role: "recorder".to_owned(),
        expires_at: NOW,
        created_by: None,
        created_at: NOW,
        used_by: None,
    };
    let read = InviteRecord::decode(&rmp_serde::to_vec(&before).unwrap()).unwrap();
    assert_eq!((read.unit, read.withdrawn), (commune(), None));
}

/// The story: one commune officer's token made 3,003 devices in half a minute, each with its own budget of writing.
#[test]
fn an_officer_invites_so_many_a_day_and_so_many_of_them_enrol() {
    let Place { folder, store, trust } = place();
    let maker = joined(&trust, 1, commune(), AccessRole::Officer);
    let asked = |trust: &Trust, by: DeviceId, unit, now| {
        let asked = InviteOrder {
            created_by: Some(by.author()),
            life_ms: INVITE_LIFE_MS_MAX,
            unit,
            ..order(AccessRole::Recorder)
        };
        trust.invite(&asked, now)
    };
    let enrol = |trust: &Trust, invite: &Invite, seed: u32, now| {
        let key = SigningKey::from_bytes(blake3::hash(&seed.to_be_bytes()).as_bytes());
        trust.enrol(&request(trust.server(), invite, &key), now)
    };
    let mut made = Vec::new();
    for number in 0..INVITES_OF_COMMUNE_DAY {
        made.push(asked(&trust, maker, commune(), NOW.plus_ms(number as u64)).unwrap());
    }
    let refused = asked(&trust, maker, commune(), NOW.plus_ms(200)).unwrap_err();
    assert!(matches!(refused, InviteError::ManyToday(many) if many.wait_ms == DAY_MS - 200), "{refused}");
    let trust = Trust::open(folder.path(), store, NOW.plus_ms(200)).unwrap();
    assert!(asked(&trust, maker, commune(), NOW.plus_ms(200)).is_err(), "a restart gives nothing back");
    // For this commune nobody but the admin token has any left; a district's officer has for others.
    let above = joined(&trust, 2, district(), AccessRole::Officer);
    assert!(asked(&trust, above, commune(), NOW.plus_ms(200)).is_err());
    assert!(asked(&trust, above, "2022/00004".parse().unwrap(), NOW.plus_ms(200)).is_ok());
    assert!(trust.invite(&order(AccessRole::Recorder), NOW).is_ok(), "an operator at the machine is not bound");
    // What was laid aside for days does not enrol all at once.
    let later = NOW.plus_ms(DAY_MS + 200);
    made.push(asked(&trust, maker, commune(), later).unwrap());
    for (seed, invite) in (0..).zip(made.iter().take(INVITES_OF_COMMUNE_DAY)) {
        enrol(&trust, invite, seed, later).unwrap();
    }
    let last = made.last().unwrap();
    let refused = enrol(&trust, last, 1_000, later).unwrap_err();
    assert!(matches!(refused, EnrolError::ManyToday(_)), "{refused}");
    assert!(enrol(&trust, &made[0], 0, later).is_ok(), "a lost answer is repeated");
    assert!(enrol(&trust, last, 1_000, later.plus_ms(DAY_MS)).is_ok(), "and the invite is good the next day");
}

/// The story: a district's officer was told when there is room among the district's invites, while the commune's were used up
/// for hours longer.
#[test]
fn the_wait_that_is_told_is_the_longer_of_two() {
    const HOUR_MS: u64 = DAY_MS / 24;
    let Place { folder: _folder, store: _store, trust } = place();
    let maker = joined(&trust, 1, district(), AccessRole::Officer);
    let asked = |unit: UnitRef, now| {
        let asked = InviteOrder { created_by: Some(maker.author()), unit, ..order(AccessRole::Recorder) };
        trust.invite(&asked, now)
    };
    for code in ["00004", "00006", "00007", "00008", "00010", "00013", "00016", "00019", "00022"] {
        for _ in 0..INVITES_OF_COMMUNE_DAY {
            asked(UnitRef::new(UnitList::L2022, code).unwrap(), NOW).unwrap();
        }
    }
    let later = NOW.plus_ms(HOUR_MS);
    for _ in 0..INVITES_OF_COMMUNE_DAY {
        asked(commune(), later).unwrap();
    }
    let told = |unit: UnitRef| match asked(unit, later) {
        Err(InviteError::ManyToday(many)) => many.wait_ms,
        other => panic!("{other:?}"),
    };
    assert_eq!(told("2022/00025".parse().unwrap()), DAY_MS - HOUR_MS, "the maker's alone");
    assert_eq!(told(commune()), DAY_MS, "both: the commune's lasts longer");
}
