//! The macros that make a kind from its table. A table is a `macro_rules` of its own ([`crate::team_table`] and its like),
//! which hands its lines to a macro: here to `kind`, in the mobile library to one that makes an app's types.
//!
//! ```text
//! fields {
//!     /// Docstring of the field and of its edit.
//!     name: Part = value until somebody gives one => Variant(payload), "Nhãn", "Label", by Officers, through merge;
//! }
//! ```
//!
//! `Part` is a type of [`super::part`] over one of [`super::value`]: it brings parser, limit, stored form, reader and
//! equality. What follows it is left out where it does not apply:
//!
//! - `= value`: for `Always`, which has no "not known"
//! - `=> Variant(payload)`: the edit of a single value; `=> Variant[member, payload]`: of a member of a set or map; none for
//!   what is computed
//! - `"…", "…"`: what people call it; none for what is computed
//! - `by Officers`: only they may write it
//! - `through call`: apps have that call instead of the edit
//! - `{ Record as AppName { … } }` after a `Group`, `|id| { Record as AppName { … } }` after `Entries`: their own lines;
//!   `counters` follow an entry's lines
//!
//! `together { … }` lists the edits that write several fields at once. The function after `as` says what they write; it and
//! all rules between fields are ordinary Rust below the table.

/// The value of a line until somebody gives one.
macro_rules! absent {
    () => {
        Default::default()
    };
    ($absent:expr) => {
        $absent
    };
}

/// What a line says of its field.
macro_rules! line {
    ($name:ident) => {
        line!($name, "", "")
    };
    ($name:ident, $vi:literal, $en:literal) => {
        line!($name, $vi, $en, Anyone)
    };
    ($name:ident, $vi:literal, $en:literal, $by:ident) => {
        $crate::kind::Line { name: stringify!($name), vi: $vi, en: $en, by: $crate::kind::By::$by }
    };
}

/// Makes the struct of a record, or of a group or an entry in it.
macro_rules! record {
    ($(#[$about:meta])* $record:ident {
        $(#[doc = $doc:literal] $name:ident: $part:ty $(= $absent:path)? $(, $vi:literal, $en:literal $(, by $by:ident)?)?;)*
    }) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub struct $record {
            $(#[doc = $doc] pub $name: $crate::kind::Shown<$part>,)*
        }

        impl Default for $record {
            fn default() -> Self {
                Self { $($name: absent!($($absent)?),)* }
            }
        }

        impl $crate::kind::part::Fields for $record {
            const SETS: &'static [&'static str] =
                &[$(if <$part as $crate::kind::part::Part>::HAS_MEMBERS { stringify!($name) } else { "" }),*];

            fn show(&mut self, map: Option<&str>, key: &str, value: &automerge::ValueRef<'_>) -> bool {
                match map.unwrap_or(key) {
                    $(stringify!($name) if <$part as $crate::kind::part::Part>::IS_MAP == map.is_some() => {
                        <$part as $crate::kind::part::Part>::show(&mut self.$name, key, value)
                    })*
                    // A newer version's field.
                    _ => false,
                }
            }

            fn each<'a>(&'a self, at: $crate::kind::At<'a>, see: &mut dyn FnMut($crate::kind::Seen<'a>)) {
                // Its own values first, then those of its groups and entries.
                for in_map in [false, true] {
                    $(if <$part as $crate::kind::part::Part>::IS_MAP == in_map {
                        <$part as $crate::kind::part::Part>::each(&self.$name, stringify!($name), at, see);
                    })*
                }
            }

            fn describe(within: $crate::kind::field::Within, into: &mut Vec<$crate::kind::Field>) {
                $(<$part as $crate::kind::part::Part>::describe(
                    line!($name $(, $vi, $en $(, $by)?)?), within, into,
                );)*
            }
        }
    };
}

/// Makes a kind from its table: records, edits, and the ways between documents and both.
macro_rules! kind {
    (
        $(#[$about:meta])* $kind:ident $word:literal, genesis [$($genesis:expr),*], record $record:ident as $app:ident;
        $(#[$edit_about:meta])* edit $edit:ident;
        fields {$(
            #[doc = $doc:literal]
            $name:ident: $part:ty $(= $absent:path)?
                $(=> $variant:ident $(($given:ident))? $([$key:ident, $member:ident])?)?
                $(, $vi:literal, $en:literal $(, by $by:ident)? $(, through $call:ident)?)?
            // A group.
            $({ $(#[$g_about:meta])* $g_record:ident as $g_app:ident {$(
                #[doc = $g_doc:literal]
                $g_name:ident: $g_part:ty $(= $g_absent:path)? => $g_variant:ident($g_given:ident), $g_vi:literal, $g_en:literal;
            )*} })?
            // Entries.
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
            $together:ident { $($(#[$p_doc:meta])* $payload:ident: $payload_type:ty => $path:literal,)* } as $writes:ident;
        )*}
    ) => {
        record! { $(#[$about])* $record {
            $(#[doc = $doc] $name: $part $(= $absent)? $(, $vi, $en $(, by $by)?)?;)*
        } }
        $(
            $(record! { $(#[$g_about])* $g_record {
                $(#[doc = $g_doc] $g_name: $g_part $(= $g_absent)?, $g_vi, $g_en;)*
            } })?
            $(
                record! { $(#[$e_about])* $e_record {
                    $(#[doc = $e_doc] $e_name: $e_part $(= $e_absent)? $(, $e_vi, $e_en)?;)*
                    $($(#[doc = $c_doc] $c_name: $crate::kind::Counter, $c_vi, $c_en;)*)?
                } }
                $(
                    $(#[$c_about])*
                    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
                    pub struct $counts {
                        $(#[doc = $c_doc] pub $count: i64,)*
                    }

                    impl $counts {
                        /// Fields and counts.
                        pub(crate) fn counts(self) -> impl Iterator<Item = (&'static str, i64)> {
                            [$((stringify!($c_name), self.$count)),*].into_iter()
                        }
                    }
                )?
            )?
        )*

        $(#[$edit_about])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $edit {
            $(
                $(#[doc = $doc] $variant
                    $((#[doc = concat!("The ", stringify!($given), ".")] $crate::kind::Given<$part>))?
                    $({
                        #[doc = concat!("Which ", stringify!($key), ".")] $key: $crate::kind::Key<$part>,
                        #[doc = concat!("Its value (", stringify!($member), ").")] $member: $crate::kind::Member<$part>,
                    })?,
                )?
                $($(#[doc = $g_doc] $g_variant {
                    #[doc = concat!("The ", stringify!($g_given), ".")] $g_given: $crate::kind::Given<$g_part>,
                },)*)?
                $(
                    $($(#[doc = $e_doc] $e_variant {
                        /// Which entry.
                        $id: $crate::kind::EntryId<$part>,
                        $(#[doc = concat!("The ", stringify!($e_given), ".")] $e_given: $crate::kind::Given<$e_part>,)?
                        $(
                            #[doc = concat!("Which ", stringify!($e_key), ".")] $e_key: $crate::kind::Key<$e_part>,
                            #[doc = concat!("Its value (", stringify!($e_member), ").")] $e_member: $crate::kind::Member<$e_part>,
                        )?
                    },)?)*
                    $(
                        /// Adds to the counters of an entry, which must be in the document; additions made apart add up.
                        $c_variant {
                            /// Which entry.
                            $id: $crate::kind::EntryId<$part>,
                            /// How many more; negative to correct.
                            $more: $counts,
                        },
                    )?
                )?
            )*
            $($(#[$t_doc])* $together { $($(#[$p_doc])* $payload: $payload_type,)* },)*
        }

        #[doc = concat!("The kind of a ", $word, ", as its table says.")]
        pub(crate) enum $kind {}

        impl $crate::kind::Kind for $kind {
            const NAME: &'static str = $word;
            const GENESIS: &'static [&'static [&'static str]] = &[$(&$genesis),*];
            const OFFICERS: &'static [&'static str] = &[$($($((stringify!($name), $crate::kind::By::$by).0,)?)?)*];
            type Record = $record;
            type Edit = $edit;

            fn fields() -> &'static [$crate::kind::Field] {
                static FIELDS: std::sync::LazyLock<Vec<$crate::kind::Field>> =
                    std::sync::LazyLock::new($crate::kind::described::<$record>);
                &FIELDS
            }

            fn genesis() -> &'static $crate::document::Genesis {
                static GENESIS: std::sync::LazyLock<$crate::document::Genesis> =
                    std::sync::LazyLock::new(|| $crate::document::Genesis::make(<$kind as $crate::kind::Kind>::GENESIS));
                &GENESIS
            }
        }

        #[allow(unused_imports, reason = "not every kind has sets and entries")]
        impl $crate::kind::Edit for $edit {
            fn parse(input: &$crate::kind::Input<'_>) -> Result<Option<Self>, $crate::edit::EditError> {
                use $crate::kind::part::{EntryKey, HasEntries, MemberKey, Members, Slot};
                let (head, rest) = input.field.split_once('/').map_or((input.field, None), |(head, rest)| (head, Some(rest)));
                match head {
                    $(stringify!($name) => {
                        $(
                            $(if rest.is_none() {
                                let $given = <$part as Slot>::parse(input)?;
                                return Ok(Some(Self::$variant($given)));
                            })?
                            $(if let Some(member) = rest {
                                let $key = <<$part as Members>::Key as MemberKey>::parse(member, concat!(stringify!($name), "/…"))?;
                                let $member = <$part as Members>::parse(input)?;
                                return Ok(Some(Self::$variant { $key, $member }));
                            })?
                        )?
                        $(match rest {
                            $(Some(stringify!($g_name)) => {
                                let $g_given = <$g_part as Slot>::parse(input)?;
                                return Ok(Some(Self::$g_variant { $g_given }));
                            })*
                            _ => {}
                        })?
                        $(if let Some((entry, path)) = rest.and_then(<$part as HasEntries>::split) {
                            type Id = <$part as HasEntries>::Key;
                            let (head, rest) = path.split_once('/').map_or((path, None), |(head, rest)| (head, Some(rest)));
                            match (head, rest) {
                                $($(
                                    $((stringify!($e_name), None) => {
                                        let $id = <Id as EntryKey>::parse(entry, input)?;
                                        let $e_given = <$e_part as Slot>::parse(input)?;
                                        return Ok(Some(Self::$e_variant { $id, $e_given }));
                                    })?
                                    $((stringify!($e_name), Some(member)) => {
                                        let set = concat!(stringify!($name), "/…/", stringify!($e_name), "/…");
                                        let $id = <Id as EntryKey>::parse(entry, input)?;
                                        let $e_key = <<$e_part as Members>::Key as MemberKey>::parse(member, set)?;
                                        let $e_member = <$e_part as Members>::parse(input)?;
                                        return Ok(Some(Self::$e_variant { $id, $e_key, $e_member }));
                                    })?
                                )?)*
                                $($((stringify!($c_name), None) => {
                                    let $id = <Id as EntryKey>::parse(entry, input)?;
                                    let $count = input.more($most)?;
                                    let $more = $counts { $count, ..$counts::default() };
                                    return Ok(Some(Self::$c_variant { $id, $more }));
                                })*)?
                                _ => {}
                            }
                        })?
                        Ok(None)
                    })*
                    _ => Ok(None),
                }
            }

            fn writes(&self) -> Vec<$crate::edit::Write> {
                use $crate::edit::Write;
                use $crate::kind::part::{EntryKey, HasEntries, MemberKey, Members, Slot};
                match self {
                    $(
                        $(Self::$variant $(($given))? $({ $key, $member })? => vec![
                            $(Write::set(None, stringify!($name), <$part as Slot>::scalar($given)))?
                            $(Write::set(
                                Some(stringify!($name)),
                                <<$part as Members>::Key as MemberKey>::text($key).to_owned(),
                                <$part as Members>::scalar($member),
                            ))?
                        ],)?
                        $($(Self::$g_variant { $g_given } => vec![Write::set(
                            Some(stringify!($name)),
                            stringify!($g_name),
                            <$g_part as Slot>::scalar($g_given),
                        )],)*)?
                        $(
                            $($(Self::$e_variant { $id, $($e_given)? $($e_key, $e_member)? } => {
                                let entry = <<$part as HasEntries>::Key as EntryKey>::text($id);
                                let name = stringify!($e_name);
                                vec![
                                    $(Write::set(
                                        Some(stringify!($name)),
                                        format!("{entry}/{name}"),
                                        <$e_part as Slot>::scalar($e_given),
                                    ))?
                                    $(Write::set(
                                        Some(stringify!($name)),
                                        format!("{entry}/{name}/{}", <<$e_part as Members>::Key as MemberKey>::text($e_key)),
                                        <$e_part as Members>::scalar($e_member),
                                    ))?
                                ]
                            })?)*
                            $(Self::$c_variant { $id, $more } => {
                                let entry = <<$part as HasEntries>::Key as EntryKey>::text($id);
                                let counts = $more.counts().filter(|(_, count)| *count != 0);
                                counts.map(|(name, count)| Write::add(stringify!($name), format!("{entry}/{name}"), count)).collect()
                            })?
                        )?
                    )*
                    $(Self::$together { $($payload),* } => $writes($(Clone::clone($payload)),*),)*
                }
            }

            fn check(&self) -> Result<(), $crate::edit::EditError> {
                use $crate::kind::part::{EntryKey, HasEntries, MemberKey, Members, Slot};
                match self {
                    $(
                        $(Self::$variant $(($given))? $({ $key, .. })? => {
                            $(<$part as Slot>::check($given).map_err(|refusal| refusal.at(stringify!($name))))?
                            $(<<$part as Members>::Key as MemberKey>::check($key))?
                        })?
                        $($(Self::$g_variant { $g_given } => <$g_part as Slot>::check($g_given)
                            .map_err(|refusal| refusal.at(concat!(stringify!($name), "/", stringify!($g_name)))),)*)?
                        $(
                            $($(Self::$e_variant { $id, $($e_given)? $($e_key, ..)? } => {
                                type Id = <$part as HasEntries>::Key;
                                <Id as EntryKey>::check($id)?;
                                $(<$e_part as Slot>::check($e_given).map_err(|refusal| {
                                    refusal.at(format!("{}/{}/{}", stringify!($name), <Id as EntryKey>::text($id), stringify!($e_name)))
                                }))?
                                $(<<$e_part as Members>::Key as MemberKey>::check($e_key))?
                            })?)*
                            $(Self::$c_variant { $id, $more } => {
                                type Id = <$part as HasEntries>::Key;
                                <Id as EntryKey>::check($id)?;
                                $crate::kind::input::check_counts($more.counts(), -$most..=$most, |name| {
                                    format!("{}/{}/{name}", stringify!($name), <Id as EntryKey>::text($id))
                                })
                            })?
                        )?
                    )*
                    // What they put together is theirs to check.
                    $(Self::$together { .. } => Ok(()),)*
                }
            }

            fn must_exist(&self) -> Option<$crate::edit::ActivityId> {
                use $crate::kind::part::{EntryKey, HasEntries};
                match self {
                    $(
                        $(Self::$variant { .. } => None,)?
                        $($(Self::$g_variant { .. } => None,)*)?
                        $(
                            $($(Self::$e_variant { $id, .. } => <<$part as HasEntries>::Key as EntryKey>::must_exist($id),)?)*
                            $(Self::$c_variant { $id, .. } => <<$part as HasEntries>::Key as EntryKey>::must_exist($id),)?
                        )?
                    )*
                    $(Self::$together { .. } => None,)*
                }
            }
        }
    };
}
