//! Records, edits and words of the register as Kotlin, Swift and Python see them: made from the tables of `toso-core`, so that a
//! line there is all that a new field takes (`docs/adding.md`).
//!
//! Apps are given texts for ids, days and the like, and give texts for everything that has a form of its own; the rules of
//! the register read them when the call is made. What breaks one is refused as [`TosoError::Invalid`] with the field's name,
//! and nothing is changed.

// What the tables name: parts of a kind and the types of their values.
use toso_core::kind::{
    self, ActivityRecord, Always, BirthYear, Computed, ConsentRecord, Entries, EntryId, Given, Group, HamletKey,
    HamletRecord, Households, Key, Map, MemberId, Required, Set, Shown, TeamId, TextVersion, YesNo,
};
use toso_core::text::{Date, DocumentNumber, Label, Link, Note, PersonName, Phone, PlaceName};

use std::collections::{BTreeMap, HashMap};

use toso_core::edit::{ActivityId, EditError};
use toso_core::id::DocId;
use toso_replica::DocView;

use crate::error::TosoError;
use crate::ids::doc_id;
use crate::words::{
    ActivityKind, Affiliation, ConsentMethod, Course, CourseStatus, Gender, HamletKind, HamletStatus, Receipt, Role,
    Skill, TeamLevel, TeamStatus,
};

/// What a record shows, as an app sees it.
pub trait ToApp {
    /// The app's type.
    type App;
    /// As an app sees it.
    fn to_app(self) -> Self::App;
}

/// What an edit holds, as an app gives it.
pub trait FromApp: Sized {
    /// The app's type.
    type App;
    /// Reads it by the rules of the register; `field` is its path, for errors.
    fn from_app(app: Self::App, field: &str) -> Result<Self, TosoError>;
}

/// An entry of a map, which an app sees in a list.
pub trait EntryToApp {
    /// The app's type.
    type App;
    /// As an app sees it.
    fn entry_to_app(self, key: String) -> Self::App;
}

/// What crosses as it is.
macro_rules! same {
    ($($type:ty),*) => {$(
        impl ToApp for $type {
            type App = Self;
            fn to_app(self) -> Self {
                self
            }
        }
        impl FromApp for $type {
            type App = Self;
            fn from_app(app: Self, _: &str) -> Result<Self, TosoError> {
                Ok(app)
            }
        }
    )*};
}

same!(bool, u16, u32, i64, String, Reached);
same!(TeamLevel, TeamStatus, HamletKind, HamletStatus, Role, Gender, Affiliation, Course, CourseStatus);
same!(Skill, ActivityKind, ConsentMethod);

/// Texts that the rules of the register read.
macro_rules! read {
    ($($type:ty),*) => {$(
        impl FromApp for $type {
            type App = String;
            fn from_app(app: String, field: &str) -> Result<Self, TosoError> {
                <$type>::parse(&app).map_err(|error| EditError::Value { field: field.to_owned(), error }.into())
            }
        }
    )*};
}

read!(PlaceName, PersonName, Label, Note, Date, Phone, DocumentNumber, Link);

impl ToApp for DocId {
    type App = String;
    fn to_app(self) -> String {
        self.to_string()
    }
}

impl FromApp for DocId {
    type App = String;
    fn from_app(app: String, _: &str) -> Result<Self, TosoError> {
        doc_id(&app)
    }
}

impl FromApp for ActivityId {
    type App = String;
    fn from_app(app: String, _: &str) -> Result<Self, TosoError> {
        let detail = "this is not an activity's id; a new one comes from new_activity_id";
        app.parse().map_err(|_| TosoError::invalid("activities", "edit.id", &detail))
    }
}

impl<T: ToApp> ToApp for Option<T> {
    type App = Option<T::App>;
    fn to_app(self) -> Self::App {
        self.map(T::to_app)
    }
}

impl<T: FromApp> FromApp for Option<T> {
    type App = Option<T::App>;
    fn from_app(app: Self::App, field: &str) -> Result<Self, TosoError> {
        app.map(|app| T::from_app(app, field)).transpose()
    }
}

impl<T: ToApp> ToApp for Vec<T> {
    type App = Vec<T::App>;
    fn to_app(self) -> Self::App {
        self.into_iter().map(T::to_app).collect()
    }
}

impl<T: FromApp> FromApp for Vec<T> {
    type App = Vec<T::App>;
    fn from_app(app: Self::App, field: &str) -> Result<Self, TosoError> {
        app.into_iter().map(|app| T::from_app(app, field)).collect()
    }
}

impl ToApp for BTreeMap<Course, CourseStatus> {
    type App = HashMap<Course, CourseStatus>;
    fn to_app(self) -> Self::App {
        self.into_iter().collect()
    }
}

impl<R: EntryToApp> ToApp for BTreeMap<String, R> {
    type App = Vec<R::App>;
    fn to_app(self) -> Self::App {
        self.into_iter().map(|(key, entry)| entry.entry_to_app(key)).collect()
    }
}

/// Makes an app's record and edits of a kind from its table; the grammar is that of `kind` in `toso-core`.
macro_rules! app_kind {
    (
        $(#[$about:meta])* $kind:ident $word:literal, genesis [$($genesis:expr),*], record $record:ident as $app:ident;
        $(#[$edit_about:meta])* edit $edit:ident;
        fields {$(
            #[doc = $doc:literal]
            $name:ident: $part:ty $(= $absent:path)?
                $(=> $variant:ident $(($given:ident))? $([$key:ident, $member:ident])?)?
                $(, $vi:literal, $en:literal $(, by $by:ident)? $(, through $call:ident)?)?
            $({ $(#[$g_about:meta])* $g_record:ident as $g_app:ident {$(
                #[doc = $g_doc:literal]
                $g_name:ident: $g_part:ty $(= $g_absent:path)? => $g_variant:ident($g_given:ident), $g_vi:literal, $g_en:literal;
            )*} })?
            $(|$id:ident| { $(#[$e_about:meta])* $e_record:ident as $e_app:ident {$(
                #[doc = $e_doc:literal]
                $e_name:ident: $e_part:ty $(= $e_absent:path)?
                    $(=> $e_variant:ident $(($e_given:ident))? $([$e_key:ident, $e_member:ident])?)?
                    $(, $e_vi:literal, $e_en:literal $(, through $e_call:ident)?)?;
            )*}
            $($(#[$c_about:meta])* counters $counts:ident as $counted:ident => $c_variant:ident($more:ident), at most $most:path {$(
                #[doc = $c_doc:literal] $count:ident = $c_name:ident, $c_vi:literal, $c_en:literal;
            )*})? })?;
        )*}
        together {$(
            $(#[$t_doc:meta])*
            $together:ident { $(#[doc = $p_doc:literal] $payload:ident: $payload_type:ty => $path:literal,)* } as $writes:ident;
        )*}
    ) => {
        $(#[$about])*
        #[derive(Clone, PartialEq, Eq, uniffi::Record)]
        pub struct $app {
            /// Its id.
            pub id: String,
            /// Its commune.
            pub commune: String,
            /// How far it has come.
            pub receipt: Receipt,
            $(#[doc = $doc] pub $name: <Shown<$part> as ToApp>::App,)*
        }

        // Records may hold names and numbers of people.
        impl std::fmt::Debug for $app {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($app)).field("id", &self.id).finish_non_exhaustive()
            }
        }

        impl From<DocView<kind::$record>> for $app {
            fn from(view: DocView<kind::$record>) -> Self {
                Self {
                    id: view.id.to_string(),
                    commune: view.commune.to_string(),
                    receipt: view.receipt,
                    $($name: view.record.$name.to_app(),)*
                }
            }
        }

        $(
            $(
                $(#[$g_about])*
                #[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
                pub struct $g_app {
                    $(#[doc = $g_doc] pub $g_name: <Shown<$g_part> as ToApp>::App,)*
                }

                impl ToApp for kind::$g_record {
                    type App = $g_app;
                    fn to_app(self) -> $g_app {
                        $g_app { $($g_name: self.$g_name.to_app(),)* }
                    }
                }
            )?
            $(
                $(#[$e_about])*
                #[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
                pub struct $e_app {
                    /// What edits call it.
                    pub $id: String,
                    $(#[doc = $e_doc] pub $e_name: <Shown<$e_part> as ToApp>::App,)*
                    $(
                        /// Its counters.
                        pub $counted: $counts,
                    )?
                }

                impl EntryToApp for kind::$e_record {
                    type App = $e_app;
                    fn entry_to_app(self, key: String) -> $e_app {
                        $e_app {
                            $id: key,
                            $($e_name: self.$e_name.to_app(),)*
                            $($counted: $counts { $($count: self.$c_name,)* },)?
                        }
                    }
                }

                $(
                    pub use kind::$counts;

                    /// As an edit it is what to add; negative numbers correct.
                    #[uniffi::remote(Record)]
                    $(#[$c_about])*
                    pub struct $counts {
                        $(#[doc = $c_doc] #[uniffi(default = 0)] pub $count: i64,)*
                    }
                )?
            )?
        )*

        $(#[$edit_about])*
        #[derive(Clone, uniffi::Enum)]
        pub enum $edit {
            $(
                $(
                    #[doc = $doc]
                    $(#[doc = stringify!($call)] #[cfg(any())])?
                    $variant {
                        $(#[doc = $doc] $given: <Given<$part> as FromApp>::App,)?
                        $(
                            /// Which one.
                            $key: <Key<$part> as FromApp>::App,
                            #[doc = $doc] $member: <kind::Member<$part> as FromApp>::App,
                        )?
                    },
                )?
                $($(
                    #[doc = $g_doc] $g_variant { #[doc = $g_doc] $g_given: <Given<$g_part> as FromApp>::App },
                )*)?
                $(
                    $($(
                        #[doc = $e_doc]
                        $(#[doc = stringify!($e_call)] #[cfg(any())])?
                        $e_variant {
                            /// Which one.
                            $id: <EntryId<$part> as FromApp>::App,
                            $(#[doc = $e_doc] $e_given: <Given<$e_part> as FromApp>::App,)?
                            $(
                                /// Which member.
                                $e_key: <Key<$e_part> as FromApp>::App,
                                #[doc = $e_doc] $e_member: <kind::Member<$e_part> as FromApp>::App,
                            )?
                        },
                    )?)*
                    $(
                        /// Adds to the counters; what several phones add apart adds up.
                        $c_variant {
                            /// Which one.
                            $id: <EntryId<$part> as FromApp>::App,
                            /// How many more; negative to correct.
                            $more: $counts,
                        },
                    )?
                )?
            )*
            $($(#[$t_doc])* $together { $(#[doc = $p_doc] $payload: <$payload_type as FromApp>::App,)* },)*
        }

        impl $edit {
            /// Reads it by the rules of the register.
            pub(crate) fn read(self) -> Result<kind::$edit, TosoError> {
                Ok(match self {
                    $(
                        $(
                            $(#[doc = stringify!($call)] #[cfg(any())])?
                            Self::$variant { $($given)? $($key, $member)? } => {
                                $(kind::$edit::$variant(<Given<$part> as FromApp>::from_app($given, stringify!($name))?))?
                                $(kind::$edit::$variant {
                                    $key: <Key<$part> as FromApp>::from_app($key, stringify!($name))?,
                                    $member: <kind::Member<$part> as FromApp>::from_app($member, stringify!($name))?,
                                })?
                            }
                        )?
                        $($(Self::$g_variant { $g_given } => {
                            let path = concat!(stringify!($name), "/", stringify!($g_name));
                            kind::$edit::$g_variant { $g_given: <Given<$g_part> as FromApp>::from_app($g_given, path)? }
                        })*)?
                        $(
                            $($(
                                $(#[doc = stringify!($e_call)] #[cfg(any())])?
                                Self::$e_variant { $id, $($e_given)? $($e_key, $e_member)? } => {
                                    let path = concat!(stringify!($name), "/", stringify!($e_name));
                                    kind::$edit::$e_variant {
                                        $id: <EntryId<$part> as FromApp>::from_app($id, path)?,
                                        $($e_given: <Given<$e_part> as FromApp>::from_app($e_given, path)?,)?
                                        $(
                                            $e_key: <Key<$e_part> as FromApp>::from_app($e_key, path)?,
                                            $e_member: <kind::Member<$e_part> as FromApp>::from_app($e_member, path)?,
                                        )?
                                    }
                                }
                            )?)*
                            $(Self::$c_variant { $id, $more } => kind::$edit::$c_variant {
                                $id: <EntryId<$part> as FromApp>::from_app($id, stringify!($name))?,
                                $more,
                            },)?
                        )?
                    )*
                    $(Self::$together { $($payload),* } => kind::$edit::$together {
                        $($payload: <$payload_type as FromApp>::from_app($payload, $path)?,)*
                    },)*
                })
            }
        }
    };
}

toso_core::commune_table!(app_kind);
toso_core::team_table!(app_kind);
toso_core::member_table!(app_kind);
