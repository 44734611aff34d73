//! The head of a statement's file.
//!
//! ```text
//! -- name: what it does, in one sentence,
//! -- over as many lines as that takes.
//! -- $1 name type   $2 name type[]?
//! -- => column type   column type?
//! -- locks: which, in which order, until when
//! -- index: name, name
//! -- used by: store::module, store::module
//! ```
//!
//! Parameters, columns and indexes may take several lines. All but the first and the last are absent when
//! there is nothing to say.

use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// As the server names it; `[]` at the end for an array.
    pub(crate) kind: String,
    pub(crate) nullable: bool,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.name, self.kind, if self.nullable { "?" } else { "" })
    }
}

#[derive(Debug, Default)]
pub(crate) struct Header {
    pub(crate) name: String,
    pub(crate) parameters: Vec<Field>,
    pub(crate) columns: Vec<Field>,
    pub(crate) indexes: Vec<String>,
    pub(crate) used_by: Vec<String>,
    /// What follows the head.
    pub(crate) body: String,
}

/// The parts of a head in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    About,
    Parameters,
    Columns,
    Locks,
    Index,
    UsedBy,
}

fn is_word(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

fn field(words: &[&str]) -> Result<Field, String> {
    let [name, kind] = words else {
        return Err(format!("{words:?} is not a name and a type"));
    };
    let (kind, nullable) = kind.strip_suffix('?').map_or((*kind, false), |kind| (kind, true));
    if !is_word(name) || !is_word(kind.strip_suffix("[]").unwrap_or(kind)) {
        return Err(format!("{words:?} is not a name and a type"));
    }
    Ok(Field { name: (*name).to_owned(), kind: kind.to_owned(), nullable })
}

/// Items of a line, parted by three spaces, each with one space between its words.
fn items(line: &str) -> impl Iterator<Item = Vec<&str>> {
    line.split("   ").map(|item| item.split(' ').collect())
}

fn names(text: &str) -> Vec<String> {
    text.split(", ").map(str::to_owned).collect()
}

impl Header {
    pub(crate) fn parse(sql: &str) -> Result<Self, String> {
        let mut header = Self::default();
        let mut lines = sql.lines().peekable();
        let first = lines.next().unwrap_or_default();
        let (name, about) = first
            .strip_prefix("-- ")
            .and_then(|line| line.split_once(": "))
            .ok_or("the first line is not \"-- name: what it does\"")?;
        if !is_word(name) || about.is_empty() {
            return Err(format!("{name:?} is not a name, or nothing is said of it"));
        }
        name.clone_into(&mut header.name);
        let (mut part, mut about) = (Part::About, about.to_owned());
        while let Some(line) = lines.next_if(|line| line.starts_with("--")) {
            let line = line.strip_prefix("-- ").ok_or(format!("{line:?} is not \"-- …\""))?;
            let now = header.line(line, part, &mut about)?;
            let repeats = !matches!(now, Part::Locks | Part::UsedBy);
            if now < part || now == part && !repeats {
                return Err(format!("{line:?} is out of order"));
            }
            part = now;
        }
        if part != Part::UsedBy {
            return Err("the head does not end with \"-- used by: …\"".to_owned());
        }
        if !about.ends_with('.') {
            return Err(format!("{about:?} is not a sentence"));
        }
        header.body = lines.map(|line| format!("{line}\n")).collect();
        Ok(header)
    }

    fn line(&mut self, line: &str, part: Part, about: &mut String) -> Result<Part, String> {
        if line.starts_with('$') {
            for words in items(line) {
                let number = self.parameters.len() + 1;
                if words.first() != Some(&format!("${number}").as_str()) {
                    return Err(format!("{words:?} should be ${number}"));
                }
                self.parameters.push(field(words.get(1..).unwrap_or_default())?);
            }
            Ok(Part::Parameters)
        } else if let Some(columns) = line.strip_prefix("=> ") {
            for words in items(columns) {
                self.columns.push(field(&words)?);
            }
            Ok(Part::Columns)
        } else if line.starts_with("locks: ") {
            Ok(Part::Locks)
        } else if let Some(indexes) = line.strip_prefix("index: ") {
            self.indexes.extend(names(indexes));
            Ok(Part::Index)
        } else if let Some(modules) = line.strip_prefix("used by: ") {
            self.used_by = names(modules);
            Ok(Part::UsedBy)
        } else if part == Part::About {
            about.push(' ');
            about.push_str(line);
            Ok(Part::About)
        } else {
            Err(format!("{line:?} is none of: $1 …, => …, locks: …, index: …, used by: …"))
        }
    }
}

#[test]
fn a_head_is_read_as_it_stands() {
    let sql = "-- find_x: an x\n-- or two.\n-- $1 a int8   $2 b uuid[]?\n-- => c text?\n\
               -- index: x_pkey, y\n-- used by: store::x\nselect 1\n";
    let header = Header::parse(sql).unwrap();
    assert_eq!((header.name.as_str(), header.body.as_str()), ("find_x", "select 1\n"));
    let shown: Vec<String> =
        header.parameters.iter().chain(&header.columns).map(Field::to_string).collect();
    assert_eq!(shown, ["a int8", "b uuid[]?", "c text?"]);
    assert_eq!((header.indexes, header.used_by), (names("x_pkey, y"), names("store::x")));
}

#[test]
fn a_head_with_a_slip_is_refused() {
    for slip in [
        "select 1\n",
        "-- find_x an x.\n-- used by: store::x\n",
        "-- find_x: an x.\n",
        "-- find_x: no sentence\n-- used by: store::x\n",
        "-- find_x: an x.\n-- $2 a int8\n-- used by: store::x\n",
        "-- find_x: an x.\n-- $1 a  int8\n-- used by: store::x\n",
        "-- find_x: an x.\n-- $1 a INT8\n-- used by: store::x\n",
        "-- find_x: an x.\n-- => a int8\n-- $1 b int8\n-- used by: store::x\n",
        "-- find_x: an x.\n-- => a int8 b int8\n-- used by: store::x\n",
        "-- find_x: an x.\n-- used by: store::x\n-- index: x_pkey\n",
        "-- find_x: an x.\n-- index: x_pkey\n-- a remark\n-- used by: store::x\n",
    ] {
        assert!(Header::parse(slip).is_err(), "{slip}");
    }
}
