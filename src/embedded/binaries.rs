//! Where the server's programs are, and which of them to use.
//!
//! Debian and Alpine keep them off PATH and one folder per major version, so PATH comes first and
//! then the newest of the usual folders.

use std::env;
use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::Error;
use super::program::{Account, command};

/// The major versions that the statements and this room are written for.
const SUPPORTED: RangeInclusive<u32> = 14..=18;

/// The usual folders; `*` is any rest of one name.
const USUAL: [&str; 13] = [
    "/usr/lib/postgresql/*/bin",                          // Debian, Ubuntu
    "/usr/pgsql-*/bin",                                   // Fedora, RHEL with PostgreSQL's packages
    "/usr/bin",                                           // Fedora, Arch
    "/usr/libexec/postgresql*",                           // Alpine
    "/usr/lib/postgresql*/bin",                           // openSUSE
    "/usr/lib64/postgresql-*/bin",                        // Gentoo
    "/opt/homebrew/opt/postgresql@*/bin",                 // Homebrew on Apple silicon
    "/usr/local/opt/postgresql@*/bin",                    // Homebrew on Intel
    "/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",    // Homebrew on Linux
    "/Applications/Postgres.app/Contents/Versions/*/bin", // Postgres.app
    "/opt/local/lib/postgresql*/bin",                     // MacPorts
    "/usr/local/bin",                                     // FreeBSD
    "/usr/local/pgsql/bin",                               // built from source
];

/// Names looked at in one folder, at most.
const LISTED_LIMIT: usize = 10_000;

/// A version as the program says it: `15.18`, `18beta1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    major: u32,
    minor: u32,
    text: String,
}

impl Version {
    /// Reads `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
    fn parse(said: &str) -> Option<Version> {
        let text = said.split_whitespace().nth(2)?;
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
        let major = numbers.next()?.ok()?;
        // `18beta1` has none.
        let minor = if text.contains('.') { numbers.next()?.ok()? } else { 0 };
        Some(Version { major, minor, text: text.to_owned() })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// A folder with `initdb` and `postgres` of a version that we can use.
#[derive(Debug)]
pub(super) struct Binaries {
    pub(super) dir: PathBuf,
    pub(super) version: Version,
}

impl Binaries {
    /// Finds the programs: only in `configured` when it is given, else the first in PATH that
    /// will do, else the newest of the usual folders. A cluster works with the major version
    /// that made it (`made_by`) and no other.
    pub(super) fn find(
        configured: Option<&Path>,
        made_by: Option<u32>,
        account: Option<&Account>,
    ) -> Result<Binaries, Error> {
        let ask = |dir: &Path| {
            let said = command(&dir.join("postgres"), Path::new("/"), account)
                .arg("--version")
                .output()?;
            Ok(String::from_utf8_lossy(&said.stdout).into_owned())
        };
        if let Some(dir) = configured {
            return choose(vec![dir.to_path_buf()], &[], made_by, ask);
        }
        let path = env::var_os("PATH").unwrap_or_default();
        // A relative entry would depend on where we were started.
        let path = env::split_paths(&path).filter(|dir| dir.is_absolute()).collect();
        choose(path, &USUAL, made_by, ask)
    }
}

fn choose(
    first: Vec<PathBuf>,
    usual: &[&str],
    made_by: Option<u32>,
    ask: impl Fn(&Path) -> io::Result<String>,
) -> Result<Binaries, Error> {
    let mut found = Vec::new();
    let mut usable = |dir: PathBuf| {
        if !dir.join("initdb").exists() || !dir.join("postgres").exists() {
            return None;
        }
        let said = ask(&dir);
        match said.as_deref().ok().and_then(Version::parse) {
            Some(version)
                if SUPPORTED.contains(&version.major)
                    && made_by.is_none_or(|major| major == version.major) =>
            {
                return Some(Binaries { dir, version });
            }
            Some(version) => found.push(format!("{} in {}", version.text, dir.display())),
            None => found.push(format!("one in {} that does not run ({said:?})", dir.display())),
        }
        None
    };
    let in_path = first.iter().cloned().find_map(&mut usable);
    let chosen = in_path.or_else(|| {
        usual
            .iter()
            .flat_map(|pattern| expand(pattern))
            .filter_map(&mut usable)
            .max_by(|a, b| a.version.cmp(&b.version))
    });
    if let Some(binaries) = chosen {
        return Ok(binaries);
    }
    if found.is_empty() {
        return Err(Error::NotFound {
            searched: first.into_iter().chain(usual.iter().map(PathBuf::from)).collect(),
        });
    }
    let wanted = match made_by {
        Some(major) => format!("{major}, which made the cluster in the data folder"),
        None => format!("{} to {}", SUPPORTED.start(), SUPPORTED.end()),
    };
    Err(Error::Unsuitable { wanted, found })
}

/// The folders that match a pattern with at most one `*`, in no particular order.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else {
        return vec![PathBuf::from(pattern)];
    };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or(("", before));
    let listed = fs::read_dir(format!("{parent}/")).into_iter().flatten().take(LISTED_LIMIT);
    listed
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(prefix))
        .map(|name| PathBuf::from(format!("{parent}/{name}{after}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::folder::Folder;
    use super::*;

    /// A folder with the programs named, under `root`; its version is the name before `/bin`.
    fn install(root: &Path, dir: &str, programs: &[&str]) -> PathBuf {
        let dir = root.join(dir);
        fs::create_dir_all(&dir).unwrap();
        for program in programs {
            fs::write(dir.join(program), "").unwrap();
        }
        dir
    }

    fn ask(dir: &Path) -> io::Result<String> {
        let version = dir.parent().unwrap().file_name().unwrap().to_string_lossy();
        match version.as_ref() {
            "broken" => Err(io::ErrorKind::PermissionDenied.into()),
            version => Ok(format!("postgres (PostgreSQL) {version} (Debian {version}-1)")),
        }
    }

    const BOTH: [&str; 2] = ["initdb", "postgres"];

    #[test]
    fn path_comes_first_and_then_the_newest_usual_folder() {
        let root = Folder::scratch(usize::MAX, None).unwrap();
        let in_path = install(root.path(), "path/15.3/bin", &BOTH);
        let client_only = install(root.path(), "path/18.0/bin", &["psql"]);
        for version in ["14.2", "17.9", "17.10", "13.1", "19.0", "broken"] {
            install(root.path(), &format!("usual/{version}/bin"), &BOTH);
        }
        install(root.path(), "usual/18.1/bin", &["postgres"]);
        let usual = format!("{}/usual/*/bin", root.path().display());
        let usual = [usual.as_str()];

        let chosen = choose(vec![client_only.clone(), in_path.clone()], &usual, None, ask).unwrap();
        assert_eq!(chosen.dir, in_path);
        let chosen = choose(vec![client_only.clone()], &usual, None, ask).unwrap();
        assert_eq!(chosen.version.text(), "17.10");
        let chosen = choose(vec![in_path.clone()], &usual, Some(14), ask).unwrap();
        assert_eq!(chosen.version.text(), "14.2");
        let refused = choose(vec![in_path], &[], Some(16), ask).unwrap_err().to_string();
        assert!(refused.starts_with("need PostgreSQL 16, which made the cluster"), "{refused}");
        assert!(refused.contains("found 15.3 in "), "{refused}");
    }

    #[test]
    fn versions_out_of_range_are_refused_by_name() {
        let root = Folder::scratch(usize::MAX, None).unwrap();
        let old = install(root.path(), "13.1/bin", &BOTH);
        let new = install(root.path(), "19beta1/bin", &BOTH);
        let refused = choose(vec![old, new], &[], None, ask).unwrap_err().to_string();
        assert!(refused.starts_with("need PostgreSQL 14 to 18, found 13.1 in "), "{refused}");
        assert!(refused.contains("19beta1 in "), "{refused}");
    }

    #[test]
    fn nothing_found_says_what_to_install_and_where_we_looked() {
        let refused =
            choose(vec!["/nowhere".into()], &["/nor/*/here"], None, ask).unwrap_err().to_string();
        for part in [
            "apt-get install",
            "dnf",
            "apk",
            "brew",
            "ORDERCAST_POSTGRES_BIN_DIR",
            "/nowhere, /nor/*/here",
        ] {
            assert!(refused.contains(part), "{part} in {refused}");
        }
    }

    #[test]
    fn the_version_is_read_from_what_the_program_says() {
        let read = |text: &str| Version::parse(&format!("postgres (PostgreSQL) {text}"));
        assert_eq!(read("15.18 (Debian 15.18-0+deb12u1)").unwrap().major, 15);
        assert_eq!(read("18beta1").unwrap().text(), "18beta1");
        assert_eq!(read("18devel").unwrap().major, 18);
        assert_eq!(read(""), None);
        assert_eq!(Version::parse("command not found"), None);
    }
}
