//! Every key an app can meet has a text in both languages, and every place in a text has an argument that fills it.

use std::collections::{BTreeSet, HashMap};

use toso_core::{record, text::TextError};

use super::{Language, all, fill, message, message_keys};

fn text_of(key: &str) -> [String; 2] {
    [Language::Vietnamese, Language::English].map(|language| message(key, &HashMap::new(), language))
}

#[test]
fn every_text_is_there_in_both_languages_and_no_key_comes_twice() {
    let mut seen = BTreeSet::new();
    for found in all() {
        assert!(!found.vi.trim().is_empty() && !found.en.trim().is_empty(), "{}", found.key);
        assert!(seen.insert(found.key), "{} comes twice", found.key);
        let places = |text: &str| {
            text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0.to_owned())).collect::<BTreeSet<_>>()
        };
        assert_eq!(places(found.vi), places(found.en), "{}", found.key);
    }
    assert_eq!(message_keys().len(), seen.len());
    assert!(message_keys().is_sorted());
}

#[test]
fn every_word_of_the_register_has_a_text() {
    fn has<T: Copy + std::fmt::Display>(prefix: &str, words: &[T]) {
        for word in words {
            let key = format!("{prefix}.{word}");
            assert!(text_of(&key).iter().all(|text| *text != key), "{key}");
        }
    }
    has("team_level", record::TeamLevel::ALL);
    has("team_status", record::TeamStatus::ALL);
    has("hamlet_kind", record::HamletKind::ALL);
    has("hamlet_status", record::HamletStatus::ALL);
    has("role", record::Role::ALL);
    has("gender", record::Gender::ALL);
    has("affiliation", record::Affiliation::ALL);
    has("course", record::Course::ALL);
    has("course_status", record::CourseStatus::ALL);
    has("skill", record::Skill::ALL);
    has("activity_kind", record::ActivityKind::ALL);
    has("consent_method", record::ConsentMethod::ALL);
}

/// The sources name keys as literals; a key without a text would be shown as it is.
#[test]
fn every_key_that_the_sources_name_has_a_text() {
    let sources = [include_str!("../error.rs"), include_str!("../error/from.rs"), include_str!("../edits/parse.rs")]
        .into_iter()
        .chain([include_str!("../toso.rs"), include_str!("../toso/carry.rs")]);
    let mut named = 0;
    for source in sources {
        for opening in ["info(\"", "ErrorInfo::new(\"", ", \"edit."] {
            for (at, _) in source.match_indices(opening) {
                let from = if opening.starts_with(',') { at + 3 } else { at + opening.len() };
                let key = source.get(from..).and_then(|rest| rest.split('"').next()).unwrap_or_default();
                assert!(text_of(key).iter().all(|text| text != key), "{key}");
                named += 1;
            }
        }
    }
    assert!(named > 50, "only {named} keys were found: the sources name them in another way now");
}

#[test]
fn what_the_register_says_of_a_text_has_a_text() {
    let errors = [
        TextError::Empty { what: "" },
        TextError::TooLong { what: "", length: 81, max: 80 },
        TextError::TooManyBytes { what: "", bytes: 2, max: 1 },
        TextError::NoLetter { what: "" },
        TextError::OnlyAKind { what: "" },
        TextError::Character { what: "", position: 1, allowed: "" },
        TextError::Hidden { what: "", position: 1 },
        TextError::Legacy { what: "", found: toso_core::text::legacy_text("NguyÔn V¨n Thö").expect("it is") },
        TextError::LostCharacter { what: "", position: 1 },
        TextError::PhoneService,
        TextError::PhonePrefix,
        TextError::PhoneDigits { digits: 9 },
        TextError::PhoneUnknown,
        TextError::DateFormat,
        TextError::DateNotInCalendar,
        TextError::DateYear,
        TextError::BirthYear,
        TextError::DocumentNumber,
        TextError::LinkScheme,
        TextError::LinkHost,
    ];
    for error in errors {
        let field = "full_name".to_owned();
        let told = crate::TosoError::from(toso_core::edit::EditError::Value { field, error });
        for language in [Language::Vietnamese, Language::English] {
            let text = crate::error_text(&told, language);
            assert!(text != told.info().key && !text.contains(['{', '…']), "{text}");
        }
    }
}

#[test]
fn what_the_register_says_of_a_day_has_a_text() {
    use toso_core::edit::EditError;
    let field = || "joined_on".to_owned();
    for error in [
        EditError::DayToCome { field: field(), today: toso_core::text::Date::parse("30/11/2026").expect("a day") },
        EditError::BirthYear { field: field(), min: 1905, max: 2020 },
        EditError::DaysOutOfOrder { field: field(), earlier: "birth_year".to_owned() },
    ] {
        let told = crate::TosoError::from(error);
        for language in [Language::Vietnamese, Language::English] {
            let text = crate::error_text(&told, language);
            assert!(text != told.info().key && !text.contains(['{', '…']), "{text}");
        }
    }
}

#[test]
fn every_finding_has_a_text() {
    for finding in [
        "several_leaders",
        "no_consent",
        "day_to_come",
        "day_before_programme",
        "birth_year",
        "days_out_of_order",
        "legacy_text",
    ] {
        let key = format!("finding.{finding}");
        assert!(text_of(&key).iter().all(|text| *text != key), "{key}");
    }
}

#[test]
fn what_sync_says_has_a_text() {
    for word in [
        "offline",
        "busy",
        "server_clock",
        "moved",
        "update_needed",
        "unauthorized",
        "revoked",
        "out_of_scope",
        "server",
        "not_a_server",
        "not_proved",
        "insecure",
        "certificate",
        "certificate_time",
        "token_ends_soon",
        "not_enrolled",
        "storage",
        "internal",
    ] {
        assert!(text_of(word).iter().all(|text| text != word), "{word}");
    }
}

#[test]
fn places_are_filled_once_and_what_is_missing_shows() {
    let args = HashMap::from([("a".to_owned(), "{b}".to_owned()), ("b".to_owned(), "x".to_owned())]);
    assert_eq!(fill("{a} and {b}", &args), "{b} and x");
    assert_eq!(fill("{c}", &args), "…");
    assert_eq!(fill("a { b", &args), "a { b");
    assert_eq!(message("no.such.key", &args, Language::English), "no.such.key");
}
