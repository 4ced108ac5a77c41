//! Units are reorganised and volunteers change commune while phones are away: nothing is lost, nothing is counted twice,
//! and phone and centre agree at every moment.
//!
//! What others have met, in their users' reports, and each test below must not:
//! - medic/cht-core #11306 and #5701: after somebody was reassigned, the phone went on showing, and counting, places that
//!   the server no longer gave it, so the two disagreed for good.
//! - Tangerine #2722 and #2484: after locations were changed, edits of tablets that had not synced disappeared, and which
//!   ones did depended on who synced first.
//! - getodk/central #669, #698, #805: updates of a record that was made offline came before its creation, by another
//!   phone, and were refused or lost.
//! - kobocat #470: one submission over a network that kept breaking became several.

#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

mod deciding;
mod moving;
mod scene;
