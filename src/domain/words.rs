//! Closed lists of words: one macro, so that the text of a word is written once.

/// A word that is not in its list; holds the list's name and its members.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {list}; one of {}", .members.join(", "))]
pub struct UnknownWord {
    /// What the list is called, as in `status`.
    pub list: &'static str,
    /// Every word the list has.
    pub members: &'static [&'static str],
}

/// A closed list of words: an enumeration whose members have one text each, the same in SQL,
/// JSON and logs.
pub trait Word: Copy + Sized + 'static {
    /// What the list is called.
    const LIST: &'static str;
    /// Every member, in the order of declaration.
    const ALL: &'static [Self];
    /// Every member's text, in the order of declaration.
    const WORDS: &'static [&'static str];
    /// The member's text.
    fn word(self) -> &'static str;
    /// The member with this text.
    fn find(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL
            .iter()
            .copied()
            .find(|member| member.word() == text)
            .ok_or(UnknownWord { list: Self::LIST, members: Self::WORDS })
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident $list:literal { $($(#[$variant_doc:meta])* $variant:ident $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $crate::domain::Word for $name {
            const LIST: &'static str = $list;
            const ALL: &'static [Self] = &[$(Self::$variant,)+];
            const WORDS: &'static [&'static str] = &[$($text,)+];
            fn word(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str($crate::domain::Word::word(*self))
            }
        }
    };
}
pub(super) use words;
