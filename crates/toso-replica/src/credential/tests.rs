//! What a device shows at which moment of a ticket's life, and what it keeps of what the server hands over.

use toso_store::memory::MemoryChunkStore;

use super::*;

const NOW: TimestampMs = TimestampMs(1_663_545_600_000);
const LIFE_MS: u64 = 7 * 24 * 60 * 60 * 1000;

fn credential() -> Credential {
    Credential {
        server_url: "https://toso.example".to_owned(),
        server_id: ServerId([1; 16]),
        token: vec![1, 2, 3],
        unit: "2022/00001".parse().unwrap(),
        role: "recorder".to_owned(),
        token_ends: None,
        reach: Reach::default(),
    }
}

#[test]
fn a_ticket_is_shown_for_half_of_its_life_and_then_the_device_signs() {
    let device = Device::from_secret(&[3; 32]);
    let mut memory = SessionMemory::default();
    let shows = |memory: &SessionMemory, now| {
        let (proof, secret) = memory.proof(&credential(), &device, now, &|bytes| bytes.fill(9));
        assert_eq!(matches!(proof, Proof::Ticket(_)), secret.is_some());
        secret
    };
    assert_eq!(shows(&memory, NOW), None, "first contact");
    let ticket = Ticket { secret: TicketSecret([4; 32]), expires_at: NOW.plus_ms(LIFE_MS) };
    memory.keep_ticket(&ticket, NOW);
    let half = NOW.plus_ms(LIFE_MS / 2);
    assert_eq!(shows(&memory, NOW), Some(ticket.secret.clone()));
    assert_eq!(shows(&memory, TimestampMs(half.0 - 1)), Some(ticket.secret.clone()));
    assert_eq!(shows(&memory, half), None);
    // By the server's clock, as far as it is known.
    memory.clock_offset_ms = -1_000_000_000_000;
    assert_eq!(shows(&memory, TimestampMs(half.0 + 1_000_000_000_000 - 1)), Some(ticket.secret));
    // What a phone of before has kept is no secret, and is not shown.
    memory.ticket = vec![7; 28];
    assert_eq!(shows(&memory, NOW), None);
}

/// A server that has just started asks for proofs of a time that lies minutes ahead: a device that went on by its own clock was
/// asked again with every session.
#[test]
fn proofs_are_dated_no_earlier_than_the_server_has_asked_for() {
    let device = Device::from_secret(&[3; 32]);
    let mut memory = SessionMemory::default();
    let dated = |memory: &SessionMemory, now| match memory.proof(&credential(), &device, now, &|bytes| bytes.fill(9)).0
    {
        Proof::Ticket(shown) => shown.at(),
        Proof::Token { at, .. } => at,
    };
    let ticket = Ticket { secret: TicketSecret([4; 32]), expires_at: NOW.plus_ms(LIFE_MS) };
    for has_ticket in [false, true] {
        if has_ticket {
            memory.keep_ticket(&ticket, NOW);
        }
        for (asked, first) in
            [(NOW, NOW), (NOW.plus_ms(300_000), NOW.plus_ms(300_000)), (NOW.plus_ms(1), NOW.plus_ms(1_000))]
        {
            memory.proofs_from = asked;
            assert_eq!(dated(&memory, NOW), first);
            assert_eq!(dated(&memory, first), first);
            assert_eq!(dated(&memory, first.plus_ms(1_000)), first.plus_ms(1_000), "then by the clock");
        }
        memory.proofs_from = TimestampMs(0);
    }
    // Half of a ticket's life is over by the server's clock, whatever a proof is dated with.
    memory.proofs_from = NOW.plus_ms(LIFE_MS);
    assert!(matches!(memory.proof(&credential(), &device, NOW, &|bytes| bytes.fill(9)).0, Proof::Ticket(_)));
}

/// A device that joined before addresses, authorities and ends of tokens were kept.
#[test]
fn a_credential_of_before_is_read_and_says_what_it_knows() {
    #[derive(Serialize)]
    struct Former {
        server_url: String,
        server_id: ServerId,
        #[serde(with = "serde_bytes")]
        token: Vec<u8>,
        unit: UnitRef,
        role: String,
    }
    let Credential { server_url, server_id, token, unit, role, .. } = credential();
    let former = rmp_serde::to_vec(&Former { server_url, server_id, token, unit, role }).unwrap();
    let store = MemoryChunkStore::new();
    let settings = vec![(SETTING_CREDENTIAL.to_owned(), Some(former))];
    store.commit(Transaction { settings, ..Transaction::default() }).unwrap();
    assert_eq!(Credential::load(&store).unwrap(), credential());
    let full = Credential {
        token_ends: Some(NOW),
        reach: Reach { insecure_http: true, ca_pem: Some("pem".to_owned()) },
        ..credential()
    };
    full.keep(&store).unwrap();
    assert_eq!(Credential::load(&store).unwrap(), full);
}

/// What a session of an older build left has no server time, and no ticket that can be shown.
#[test]
fn the_memory_of_an_older_build_is_read() {
    let older = rmp_serde::to_vec(&(Some(Epoch(3)), serde_bytes::Bytes::new(b"t"), TimestampMs(5), -7_i64, true));
    let memory: SessionMemory = rmp_serde::from_slice(&older.unwrap()).unwrap();
    assert_eq!((memory.epoch, memory.clock_offset_ms, memory.foreign), (Some(Epoch(3)), -7, true));
    assert_eq!((memory.server_time(), memory.ticket_shown_until), (None, TimestampMs(0)));
    assert_eq!(memory.proofs_from, TimestampMs(0));
}
