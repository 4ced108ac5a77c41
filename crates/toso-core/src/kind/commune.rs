//! A commune's own document: its hamlet list and the officers' sign-off. The table, and the rules between its fields.

use std::borrow::Cow;

use super::part::{Entry, EntryKey, MemberKey};
use super::{
    ActivityId, Always, Computed, Edit, Entries, HamletKind, HamletStatus, Households, Input, Refusal, Rules, Set,
};
use crate::edit::{EditError, Write};
use crate::id::DocId;
use crate::text::{Date, Label, PLACE_NAME_BYTES_MAX, PlaceName, hamlet_key, is_hamlet_key, place_key};

/// The most hamlets read of one commune: the communes of 2025 have at most about 150.
pub(crate) const HAMLETS_MAX: usize = 2_000;
/// The most links read of one hamlet.
const SUCCESSORS_MAX: usize = 64;

/// Hands the table of a commune's document to a macro.
#[macro_export]
macro_rules! commune_table {
    ($take:ident) => {
        $take! {
            /// A commune's own document.
            CommuneKind "commune", genesis [["hamlets"]], record CommuneRecord as Commune;
            /// A change to a commune's document. Hamlets are named by `hamlet_key`.
            edit CommuneEdit;
            fields {
                /// Hamlets by key.
                hamlets: Entries<HamletKey, HamletRecord> |key| {
                    /// A hamlet of a commune.
                    HamletRecord as Hamlet {
                        /// Its name; an edit's name must have the key.
                        name: Always<PlaceName> => HamletName(name), "Tên thôn", "Name of the hamlet", through AddHamlet;
                        /// What kind of settlement it is.
                        kind: Option<HamletKind> => HamletKind(kind), "Loại", "Kind";
                        /// Households.
                        households: Option<Households> => HamletHouseholds(households), "Số hộ", "Households";
                        /// Whether it exists.
                        status: Always<HamletStatus> = HamletStatus::Active => HamletStatus(status), "Tình trạng", "Status";
                        /// Keys of the hamlets it came from: the other direction of their links.
                        predecessors: Computed<Vec<String>>;
                        /// Keys of the hamlets it went into. The edit adds or removes (false) a link.
                        successors: Set<HamletKey> => HamletSuccessor[successor, present], "Đã nhập vào", "Went into";
                    }
                };
                /// The officer's sign-off: the day for which the figures are confirmed, ISO 8601.
                signed_off_on: Option<Date> => SignedOffOn(date), "Ngày xác nhận số liệu", "Signed off on", by Officers;
                /// The office that signed off.
                signed_off_by: Option<Label> => SignedOffBy(by), "Đơn vị xác nhận", "Signed off by", by Officers;
            }
            together {
                /// Adds a hamlet, or corrects how its name is written; the key follows from the name.
                AddHamlet {
                    /// Its name.
                    name: PlaceName => "hamlets/name",
                } as add_hamlet;
                /// Signs off, or withdraws the sign-off.
                SignOff {
                    /// The day for which the figures are confirmed.
                    date: Option<Date> => "signed_off_on",
                    /// The office.
                    by: Option<Label> => "signed_off_by",
                } as sign_off;
            }
        }
    };
}

commune_table!(kind);

fn add_hamlet(name: PlaceName) -> Vec<Write> {
    CommuneEdit::HamletName { key: hamlet_key(name.as_str()), name }.writes()
}

fn sign_off(date: Option<Date>, by: Option<Label>) -> Vec<Write> {
    let both = [CommuneEdit::SignedOffOn(date), CommuneEdit::SignedOffBy(by)];
    both.iter().flat_map(Edit::writes).collect()
}

impl Rules for CommuneKind {
    fn check(edit: &CommuneEdit, _: DocId) -> Result<(), EditError> {
        if let CommuneEdit::HamletName { key, name } = edit {
            // Older builds have keys of names that are stored with another dash today.
            let is_its_name = hamlet_key(name.as_str()) == *key || place_key(key) == place_key(name.as_str());
            if !is_its_name {
                return Err(EditError::OtherHamlet { field: format!("hamlets/{key}/name") });
            }
        }
        if let CommuneEdit::HamletSuccessor { key, successor, present: true } = edit
            && key == successor
        {
            return Err(EditError::IntoItself { field: format!("hamlets/{key}/successors") });
        }
        Ok(())
    }

    /// The other direction of the successor links is computed, so that the two can never disagree.
    fn finish(commune: &mut CommuneRecord) {
        let mut links = Vec::new();
        for (key, hamlet) in &mut commune.hamlets {
            hamlet.successors.retain(|successor| successor != key);
            links.extend(hamlet.successors.iter().map(|successor| (successor.clone(), key.clone())));
        }
        for (successor, predecessor) in links {
            if let Some(hamlet) = commune.hamlets.get_mut(&successor) {
                hamlet.predecessors.push(predecessor);
            }
        }
    }
}

impl Entry for HamletRecord {
    /// A hamlet is called by its key until its name has come.
    fn of(key: &str) -> Self {
        Self { name: key.to_owned(), ..Self::default() }
    }
}

/// A hamlet's key: what [`hamlet_key`] makes of its name.
#[derive(Debug)]
pub enum HamletKey {}

impl HamletKey {
    fn is_short(key: &str) -> bool {
        !key.is_empty() && key.len() <= PLACE_NAME_BYTES_MAX
    }

    /// A key is the key of itself, so both a name and a key are understood. A key that is spelled as no name is today stays
    /// what it is: older builds have stored such hamlets.
    fn of(name: &str, field: impl FnOnce() -> String) -> Result<String, EditError> {
        if Self::is_short(name) && is_hamlet_key(name) {
            return Ok(name.to_owned());
        }
        let name = PlaceName::parse(name).map_err(|error| Refusal::from(error).at(field()))?;
        Ok(hamlet_key(name.as_str()))
    }

    /// A key is what [`hamlet_key`] makes, and so the key of itself.
    fn is_key(key: &str) -> Result<(), EditError> {
        if is_hamlet_key(key) {
            return Ok(());
        }
        Err(EditError::OtherHamlet { field: "hamlets".to_owned() })
    }
}

impl EntryKey for HamletKey {
    type Given = String;
    const CAPITALS: &'static str = "NAME";
    const MAX: usize = HAMLETS_MAX;

    /// A hamlet's own name may hold a slash ("Khu phố 3/2"), so the field is what follows the last one.
    fn split<'a>(path: &'a str, sets: &[&str]) -> Option<(&'a str, &'a str)> {
        let of_set = sets.iter().filter(|set| !set.is_empty()).find_map(|set| {
            let (key, member) = path.split_once(set)?;
            let key = key.strip_suffix('/').filter(|_| member.starts_with('/'))?;
            Some((key, path.get(key.len() + 1..)?))
        });
        of_set.or_else(|| path.rsplit_once('/')).filter(|(key, _)| Self::is_short(key))
    }
    fn parse(text: &str, input: &Input<'_>) -> Result<String, EditError> {
        Self::of(text, || input.field())
    }
    fn text(given: &String) -> Cow<'_, str> {
        Cow::Borrowed(given)
    }
    fn check(given: &String) -> Result<(), EditError> {
        Self::is_key(given)
    }
    fn must_exist(_: &String) -> Option<ActivityId> {
        None
    }
}

impl MemberKey for HamletKey {
    type Given = String;
    type Shown = String;
    const CAPITALS: &'static str = "OTHER";
    const MAX: usize = SUCCESSORS_MAX;

    fn parse(text: &str, set: &str) -> Result<String, EditError> {
        Self::of(text, || set.to_owned())
    }
    fn text(given: &String) -> &str {
        given
    }
    fn check(given: &String) -> Result<(), EditError> {
        Self::is_key(given)
    }
    fn read(text: &str) -> Option<String> {
        Self::is_short(text).then(|| text.to_owned())
    }
}
