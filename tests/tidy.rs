//! What a reader relies on and no compiler checks: which room imports which, how long a file is,
//! that it says what it is for, and that numbers with a meaning stand in one place.

#![expect(clippy::unwrap_used, clippy::string_slice, reason = "a failed step should fail the test")]
#![expect(clippy::format_collect, reason = "short texts, for people")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms, from the top: each imports only from those before it.
const ROOMS: &[&str] = &[
    "domain",
    "config",
    "telemetry",
    "protocol",
    "auth",
    "tls",
    "jwks",
    "frame",
    "wire",
    "view",
    "store",
    "hub",
    "locations",
    "session",
    "feed",
    "presence",
    "timers",
    "webhooks",
    "api",
    "http",
    "channels",
    "docs",
    "server",
    "dashboard",
    "embedded",
    "app",
    "cli",
];

/// What the order would allow and the rooms forbid themselves.
const BARRED: &[(&str, &[&str], &str)] = &[
    ("protocol", &["domain", "config", "telemetry"], "knows frames, and nothing of orders"),
    ("jwks", &["domain", "protocol"], "brings keys, and judges nothing"),
    (
        "frame",
        &["domain", "config", "telemetry", "auth", "jwks"],
        "knows bytes, and nothing of orders",
    ),
    ("store", &["protocol", "frame", "auth", "jwks"], "knows no socket, no channel and no token"),
    (
        "wire",
        &["domain", "config", "telemetry", "auth", "jwks"],
        "knows bytes, and nothing of orders",
    ),
    ("hub", &["store"], "knows no SQL"),
    (
        "session",
        &["domain", "auth", "view", "store"],
        "knows connections; what they are served from, a source says",
    ),
];

/// Lines of a file, its tests at the foot not counted.
const LONGEST: usize = 500;
/// Files that may be longer, and why.
const LONG: &[(&str, &str)] = &[];
/// Characters of a line of SQL.
const WIDEST: usize = 110;

/// Tests that may wait for time rather than for a condition, and why.
const SLEEPERS: &[(&str, &str)] = &[
    (
        "tests/behaviour/support/mod.rs",
        "pauses between two looks at a condition of the database that cannot be awaited",
    ),
    (
        "tests/behaviour/chaos.rs",
        "goes on at moments drawn by chance: waiting is what it does, not how it finds out",
    ),
];

struct Source {
    /// From the root of the repository.
    path: String,
    text: String,
}

impl Source {
    /// Without comments and without the tests at the foot; nothing of a file of tests.
    fn code(&self) -> String {
        if self.path.starts_with("src/") && self.path.contains("/tests/") {
            return String::new();
        }
        let body = self.body();
        let code = body.lines().map(|line| match line.find("//") {
            // Not the double slash of a URL.
            Some(at) if !line[..at].ends_with(':') => &line[..at],
            _ => line,
        });
        code.map(|line| format!("{line}\n")).collect()
    }

    /// Without the tests at the foot.
    fn body(&self) -> &str {
        self.text.split("\n#[cfg(test)]\nmod tests").next().unwrap()
    }

    /// The room that it is in; `None` for those that tie the rooms together.
    fn room(&self) -> Option<&str> {
        let place = self.path.strip_prefix("src/")?;
        let room = place.split('/').next()?;
        let room = room.strip_suffix(".rs").unwrap_or(room);
        (!matches!(room, "lib" | "main")).then_some(room)
    }

    /// Whether it is the file of a room, whose parent is the crate itself.
    fn is_rooms_root(&self) -> bool {
        let place = self.path.strip_prefix("src/").unwrap_or_default();
        !place.contains('/') || place.matches('/').count() == 1 && place.ends_with("/mod.rs")
    }
}

fn files(folder: &str, ending: &str) -> Vec<Source> {
    fn walk(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, ending, found);
            } else if path.extension().is_some_and(|its| its == ending) {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&root.join(folder), ending, &mut found);
    found.sort();
    let source = |path: PathBuf| Source {
        path: path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(),
        text: fs::read_to_string(&path).unwrap(),
    };
    found.into_iter().map(source).collect()
}

fn sources() -> Vec<Source> {
    files("src", "rs")
}

/// The names that follow each `crate::`, also those between braces.
fn roots_after<'a>(code: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let name = |text: &'a str| -> &'a str {
        let text = text.trim_start();
        text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap()
    };
    let mut roots = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        if code[..at].ends_with(|letter: char| letter.is_alphanumeric() || letter == '_') {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        let Some(list) = rest.strip_prefix('{') else {
            roots.insert(name(rest));
            continue;
        };
        let (mut depth, mut begins) = (0, true);
        for (at, letter) in list.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => begins = true,
                _ if begins && !letter.is_whitespace() => {
                    roots.insert(name(&list[at..]));
                    begins = false;
                }
                _ => {}
            }
        }
    }
    roots
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rooms_import_only_from_rooms_above_them() {
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(room) = source.room() else { continue };
        let Some(own) = ROOMS.iter().position(|known| *known == room) else {
            wrong.push(format!("{}: {room} is no room; add it to ROOMS and to STYLE", source.path));
            continue;
        };
        let code = source.code();
        let mut roots = roots_after(&code, "crate::");
        if source.is_rooms_root() {
            // Of a room's own file the parent is the crate.
            let parents = roots_after(&code, "super::").into_iter();
            roots.extend(parents.filter(|root| ROOMS.contains(root)));
        }
        let barred = BARRED.iter().find(|(barred, ..)| *barred == room);
        for root in roots {
            match ROOMS.iter().position(|known| *known == root) {
                // A macro of ours, which the crate's root holds.
                None => {}
                Some(at) if at > own => {
                    wrong.push(format!("{}: {room} imports {root}, below it", source.path));
                }
                Some(_) => {
                    if let Some((_, rooms, why)) = barred
                        && rooms.contains(&root)
                    {
                        wrong.push(format!("{}: imports {root}, but {room} {why}", source.path));
                    }
                }
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn only_the_store_speaks_to_postgresql() {
    let crates = ["tokio_postgres", "deadpool_postgres", "postgres_types", "refinery"];
    let strangers = sources().into_iter().filter(|source| source.room() != Some("store"));
    let wrong = strangers.filter(|source| crates.iter().any(|name| source.code().contains(name)));
    assert_none(&wrong.map(|source| source.path).collect::<Vec<_>>());
}

#[test]
fn only_the_feed_publishes() {
    let wrong = sources().into_iter().filter(|source| {
        !matches!(source.room(), Some("feed" | "hub")) && source.code().contains(".publish(")
    });
    assert_none(&wrong.map(|source| source.path).collect::<Vec<_>>());
}

#[test]
fn each_file_says_what_it_is_for() {
    let all = sources().into_iter().chain(files("tests", "rs")).chain(files("benches", "rs"));
    let wrong = all.filter(|source| {
        let is_tests = source.path.starts_with("src/") && source.path.contains("/tests/");
        !is_tests && !source.text.starts_with("//! ")
    });
    let wrong: Vec<String> =
        wrong.map(|source| format!("{} does not begin with //!", source.path)).collect();
    assert_none(&wrong);
}

#[test]
fn no_file_is_too_long() {
    let mut wrong = Vec::new();
    for source in sources().into_iter().chain(files("tests", "rs")) {
        let lines = source.body().lines().count();
        let may = LONG.iter().any(|(path, _)| *path == source.path);
        if (lines > LONGEST) != may {
            let path = &source.path;
            wrong.push(format!("{path}: {lines} lines, {LONGEST} may be; split it by noun"));
        }
    }
    assert_none(&wrong);
}

#[test]
fn no_line_of_sql_is_too_wide() {
    let mut wrong = Vec::new();
    for source in files("sql/statements", "sql") {
        for (at, line) in source.text.lines().enumerate() {
            if line.chars().count() > WIDEST || line.ends_with(' ') || line.contains('\t') {
                wrong.push(format!("{}:{}: too wide, or blanks at its end", source.path, at + 1));
            }
        }
    }
    assert_none(&wrong);
}

/// Successes, which are no problems: a handler may name them.
const SUCCESSES: &[&str] = &[
    "OK",
    "CREATED",
    "ACCEPTED",
    "NO_CONTENT",
    "MULTI_STATUS",
    "NOT_MODIFIED",
    "SWITCHING_PROTOCOLS",
];
const RESPONSES: &[&str] = &[
    "Ok",
    "Created",
    "Accepted",
    "NoContent",
    "NotModified",
    "SwitchingProtocols",
    "build",
    "new",
];

#[test]
fn http_statuses_stand_in_the_table_of_problems() {
    let mut wrong = Vec::new();
    for source in sources().into_iter().filter(|source| source.path != "src/http/problem.rs") {
        let code = source.code();
        let known = |allowed: &[&str], name: &str| {
            name.starts_with(char::is_lowercase) || allowed.contains(&name)
        };
        for name in roots_after(&code, "StatusCode::") {
            if source.room() != Some("http") || !known(SUCCESSES, name) {
                wrong.push(format!("{}: StatusCode::{name}", source.path));
            }
        }
        for name in roots_after(&code, "HttpResponse::") {
            if !known(RESPONSES, name) {
                wrong.push(format!("{}: HttpResponse::{name}", source.path));
            }
        }
    }
    assert_none(&wrong);
}

/// Numbers with which a WebSocket is closed. 1000 is left out: it is a number like others.
fn closes_a_socket(number: u32) -> bool {
    matches!(number, 1001..=1015 | 3000..=3099 | 3500..=3599)
}

#[test]
fn websocket_codes_stand_in_the_table_of_codes() {
    // What a peer may send is the protocol's to say: RFC 6455, section 7.4.
    let allowed = ["src/protocol/code.rs", "src/frame.rs"];
    let mut wrong = Vec::new();
    for source in sources() {
        let code = source.code();
        let words = code.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        let numbers = words.filter_map(|word| word.replace('_', "").parse().ok());
        for number in numbers.filter(|number| closes_a_socket(*number)) {
            if !allowed.contains(&source.path.as_str()) {
                wrong.push(format!("{}: {number}", source.path));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn no_test_sleeps() {
    let sleeping = concat!("sle", "ep(");
    let wrong = files("tests", "rs").into_iter().chain(sources()).filter(|source| {
        let tests = if source.path.starts_with("src/") && !source.path.contains("/tests/") {
            source.text.strip_prefix(source.body()).unwrap()
        } else {
            source.text.as_str()
        };
        let may = SLEEPERS.iter().any(|(path, _)| *path == source.path);
        tests.contains(sleeping) != may
    });
    let wrong: Vec<String> = wrong.map(|source| format!("{} sleeps", source.path)).collect();
    assert_none(&wrong);
}

#[test]
fn imports_are_read_also_between_braces() {
    let code = "use crate::{a, b::{c, d}, e as f};\ncrate::g::h(); pub(crate) use mycrate::i;";
    assert_eq!(roots_after(code, "crate::"), BTreeSet::from(["a", "b", "e", "g"]));
}
