//! What is a token and what is none.

use biscuit_auth::{Biscuit, KeyPair};

use super::*;

#[test]
fn forged_foreign_and_borrowed_tokens_are_refused() {
    let Place { folder: _folder, trust, .. } = place();
    let enrolment = enrolled(&trust, 1, AccessRole::Recorder);
    let refused = |proof: &Proof| matches!(trust.authenticate(proof, None, FRESH, NOW), Err(Refusal::Unauthorized(_)));
    let server = trust.server();
    assert!(refused(&proof(server, &enrolment.token, &key(2), NOW, &[1; 8])), "another device's key");
    assert!(refused(&proof(ServerId([1; 16]), &enrolment.token, &key(1), NOW, &[1; 8])), "signed for another server");
    let other = place().trust;
    let foreign = enrolled(&other, 1, AccessRole::Recorder).token;
    assert!(refused(&proof(server, &foreign, &key(1), NOW, &[1; 8])), "another server's token");
    let forged = Biscuit::builder()
        .code(format!(r#"device("{}"); unit(2022, "00"); role("admin");"#, enrolment.device))
        .unwrap()
        .build(&KeyPair::new())
        .unwrap()
        .to_vec()
        .unwrap();
    assert!(refused(&proof(server, &forged, &key(1), NOW, &[1; 8])), "signed by a stranger");
    let mut same = 0;
    for position in (0..enrolment.token.len()).step_by(7) {
        let mut bent = enrolment.token.clone();
        bent[position] ^= 0x10;
        // The encoding has a byte that says nothing (an unknown algorithm of the next key reads as the usual one): bent
        // there, it is the same token. Anywhere else it is none.
        if trust.authenticate(&proof(server, &bent, &key(1), NOW, &[1; 8]), None, FRESH, NOW).is_ok() {
            assert_eq!(trust.keys.verify(&bent), trust.keys.verify(&enrolment.token), "byte {position}");
            same += 1;
        }
    }
    assert!(same <= 1, "{same} bytes of the token say nothing");
    assert!(refused(&proof(server, &vec![0; TOKEN_BYTES_MAX + 1], &key(1), NOW, &[1; 8])), "oversized");
    let admin = URL_SAFE_NO_PAD.decode(std::fs::read_to_string(trust.admin_token_path()).unwrap()).unwrap();
    assert!(refused(&proof(server, &admin, &key(1), NOW, &[1; 8])), "an admin token opens no session");
}

/// The story: one who had a token could append a block to it, whose check joined a few facts with each other until both
/// cores stood still, or whose rule made facts until the memory was gone. No key was needed, and a revoked viewer's token
/// did. So nothing is accepted but the one block that the root key has signed, and nothing is evaluated.
#[test]
fn a_token_with_an_appended_block_is_none_whatever_the_block_says() {
    let Place { folder: _folder, trust, .. } = place();
    let token = enrolled(&trust, 1, AccessRole::Recorder).token;
    let append = |code: &str| {
        let block = biscuit_auth::builder::BlockBuilder::new().code(code).unwrap();
        Biscuit::from(&token, trust.keys.public()).unwrap().append(block).unwrap()
    };
    let facts = (0..40).map(|number| format!("read({number});")).collect::<Vec<_>>().concat();
    let endless = format!(
        "{facts} check if read($a), read($b), read($c), read($d), read($e), read($f), read($g), read($h), write($i);"
    );
    let flood = format!("{facts} write($a, $b, $c, $d, $e) <- read($a), read($b), read($c), read($d), read($e);");
    let recursion =
        format!("{facts} write($a, $b) <- read($a), read($b); write($a, $c) <- write($a, $b), write($b, $c);");
    let harmless = "";
    let wider = r#"unit(2022, "00"); role("admin");"#;
    let pattern = r#"check if "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".matches("(a*)*b");"#;
    let started = std::time::Instant::now();
    for code in [&endless, &flood, &recursion, harmless, wider, pattern] {
        let appended = append(code);
        for token in [appended.to_vec().unwrap(), appended.seal().unwrap().to_vec().unwrap()] {
            assert_eq!(trust.keys.verify(&token), Err(TokenRefusal::Invalid), "{code}");
            let signed = proof(trust.server(), &token, &key(1), NOW, &[1; 8]);
            assert!(matches!(trust.authenticate(&signed, None, FRESH, NOW), Err(Refusal::Unauthorized(_))));
        }
    }
    // Any one of the first three, evaluated, takes minutes.
    assert!(started.elapsed().as_secs() < 30, "nothing of them was evaluated");
    let sealed = Biscuit::from(&token, trust.keys.public()).unwrap().seal().unwrap().to_vec().unwrap();
    assert_eq!(trust.keys.verify(&sealed), trust.keys.verify(&token), "sealing says nothing new");
}

/// Rules and checks of the block itself are the root key's own, and are not evaluated either.
#[test]
fn nothing_of_the_first_block_is_evaluated() {
    let Place { folder: _folder, trust, .. } = place();
    let facts = (0..40).map(|number| format!("read({number});")).collect::<Vec<_>>().concat();
    let code = format!(
        r#"{facts} key(hex:{}, 1); unit(2022, "00001"); role("viewer");
        check if read($a), read($b), read($c), read($d), read($e), read($f), read($g), read($h), write($i);"#,
        "01".repeat(32)
    );
    let token = Biscuit::builder().code(code).unwrap().build(&trust.keys.root).unwrap().to_vec().unwrap();
    assert_eq!(trust.keys.verify(&token).unwrap().role, AccessRole::Viewer);
}

#[test]
fn a_token_is_good_for_a_year_and_no_longer() {
    let Place { folder: _folder, trust, .. } = place();
    let token = enrolled(&trust, 1, AccessRole::Recorder).token;
    let at =
        |now: TimestampMs| trust.authenticate(&proof(trust.server(), &token, &key(1), now, &[1; 8]), None, FRESH, now);
    assert!(at(NOW.plus_ms(TOKEN_LIFE_MS - 1)).is_ok());
    let Err(Refusal::Unauthorized(text)) = at(NOW.plus_ms(TOKEN_LIFE_MS)) else { panic!("refused for good") };
    assert_eq!(text, TokenRefusal::Ended.to_string());
}

#[test]
fn a_captured_hello_is_asked_for_again_on_every_connection_and_not_accepted() {
    let Place { folder: _folder, trust, .. } = place();
    let token = enrolled(&trust, 1, AccessRole::Recorder).token;
    let captured = proof(trust.server(), &token, &key(1), NOW, &[1; 8]);
    assert!(trust.authenticate(&captured, None, FRESH, NOW).is_ok());
    for later in [0, 1, CLOCK_SKEW_MS_MAX] {
        let again = trust.authenticate(&captured, None, FRESH, NOW.plus_ms(later));
        assert!(matches!(again, Err(Refusal::Challenge(challenge)) if challenge.reason == ChallengeReason::Used));
    }
    let answer = proof(trust.server(), &token, &key(1), NOW, &FRESH);
    assert!(trust.authenticate(&answer, Some(FRESH), [9; 8], NOW).is_ok(), "its owner signs the nonce and goes on");
}
