//! Objects that an app has closed and hands to a call all the same. Kotlin's generator copies their handle without asking whether it is
//! still theirs, and the library would read what is freed. Here each is asked first. Swift and Python free an object when nobody
//! has it any more, so there is nothing to hand over.

use super::Language;

/// How a converter takes an object's handle: as it is generated, and asking first. Of a closed object it throws.
const TAKEN: [&str; 2] = ["return value.uniffiCloneHandle()", "return value.callWithHandle { it }"];

/// The same for the one object that calls take beside their arguments. It must not throw: the handle of the object that is called
/// is copied by then, and nobody would free that.
const SIGNAL: [&str; 2] = [
    "    override fun lower(value: StopSignal): Long {
        return value.uniffiCloneHandle()
    }
",
    "    override fun lower(value: StopSignal): Long =
        try {
            value.callWithHandle { it }
        } catch (_: IllegalStateException) {
            // Closed, so nobody can stop the call any more: as good as stopped.
            StopSignal().use { it.stop(); it.uniffiCloneHandle() }
        }
",
];

/// A generated source that hands over no freed object; an error when the generator wrote otherwise than it did.
pub(super) fn asked_first(language: Language, source: &str) -> Result<String, String> {
    match language {
        Language::Kotlin => in_kotlin(source),
        Language::Python | Language::Swift => Ok(source.to_owned()),
    }
}

fn in_kotlin(source: &str) -> Result<String, String> {
    let (signals, all) = (source.matches(SIGNAL[0]).count(), source.matches("value.uniffiCloneHandle()").count());
    if signals != 1 || source.matches(TAKEN[0]).count() != all {
        return Err(format!(
            "the generator takes handles otherwise than before: {signals} of a StopSignal among {all}; mend xtask/src/mobile/handles.rs"
        ));
    }
    Ok(source.replace(SIGNAL[0], SIGNAL[1]).replace(TAKEN[0], TAKEN[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_handle_is_asked_for_first_and_a_signals_lowering_never_throws() {
        let other = SIGNAL[0].replace("StopSignal", "PeerSession");
        let source = format!("{}{other}this.uniffiCloneHandle()", SIGNAL[0]);
        let asked = asked_first(Language::Kotlin, &source).unwrap();
        assert!(!asked.contains("value.uniffiCloneHandle()"), "{asked}");
        assert!(
            asked.contains("lower(value: PeerSession): Long {\n        return value.callWithHandle { it }"),
            "{asked}"
        );
        assert!(asked.contains("StopSignal().use") && asked.ends_with("this.uniffiCloneHandle()"), "{asked}");
        assert_eq!(asked_first(Language::Swift, "as it is").unwrap(), "as it is");
    }

    #[test]
    fn a_generator_that_writes_otherwise_is_noticed() {
        for source in [String::new(), SIGNAL[0].repeat(2), format!("{}lower(value.uniffiCloneHandle())", SIGNAL[0])] {
            assert!(asked_first(Language::Kotlin, &source).unwrap_err().ends_with("mend xtask/src/mobile/handles.rs"));
        }
    }
}
