//! The database a command works on: the configured one, or a private one of our own.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::auth;
use crate::config::{Config, Secret};
use crate::embedded::{self, Durability, Postgres, Settings};

/// A file in the private server's folder that says where it can be reached while it runs.
const URL_FILE: &str = "url";
/// A file in the private server's folder with the secret that signs tokens.
const SECRET_FILE: &str = "secret";

/// A usable database, and the private server behind it, if it is ours. Dropping it stops that
/// server.
#[derive(Debug)]
pub(super) struct Prepared {
    /// The configuration, with the database's URL and a secret.
    pub(super) config: Config,
    /// Held for its end.
    server: Option<Postgres>,
}

impl Prepared {
    /// In a few words, for people.
    pub(super) fn describe(&self) -> String {
        match &self.server {
            Some(server) => format!(
                "PostgreSQL {} of its own, commits wait for the disk",
                server.server_version()
            ),
            None => "the PostgreSQL that is configured".to_owned(),
        }
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            // What cannot be removed names a socket that is gone; connecting says so.
            drop(fs::remove_file(server.data_dir().join(URL_FILE)));
        }
    }
}

/// Whether a command may work on a private server that another process has started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// The server is this command's own.
    No,
    /// A running one will do.
    Yes,
}

/// What the settings say about the private server.
pub(super) fn settings(config: &Config, durability: Durability) -> Settings {
    let path = |text: &str| Some(PathBuf::from(text)).filter(|_| !text.is_empty());
    Settings {
        bin_dir: path(&config.embedded.bin_dir),
        data_dir: path(&config.embedded.data_dir),
        durability,
        max_connections: config.embedded.max_connections,
        shared_buffers_mb: config.embedded.shared_buffers_mb,
    }
}

/// Finds or starts the database.
pub(super) fn prepare(mut config: Config, share: Share) -> anyhow::Result<Prepared> {
    if !config.database.url.0.is_empty() {
        return Ok(Prepared { config, server: None });
    }
    let started = Postgres::start(&settings(&config, Durability::Durable));
    let (url, folder, server) = match started {
        Ok(server) => {
            let (url, folder) = (server.url("postgres"), server.data_dir().to_path_buf());
            write_private(&folder.join(URL_FILE), &url)?;
            (url, folder, Some(server))
        }
        Err(embedded::Error::InUse { data_dir, .. }) if share == Share::Yes => {
            let url = fs::read_to_string(data_dir.join(URL_FILE))
                .context("the private PostgreSQL is in use and does not say where")?;
            (url, data_dir, None)
        }
        Err(error) => return Err(error).context("starting a private PostgreSQL"),
    };
    config.database.url = Secret(url);
    if config.auth.secret.0.is_empty() {
        config.auth.secret = Secret(secret(&folder.join(SECRET_FILE))?);
    }
    Ok(Prepared { config, server })
}

/// Finds the configured database, or starts a new one that is removed with [`Prepared`]. Its
/// commits wait for the disk all the same: what is measured on it is honest.
pub(super) fn for_one_run(mut config: Config) -> anyhow::Result<Prepared> {
    if !config.database.url.0.is_empty() || !config.embedded.data_dir.is_empty() {
        return prepare(config, Share::No);
    }
    let server = Postgres::temporary(&settings(&config, Durability::Durable))
        .context("starting a private PostgreSQL")?;
    config.database.url = Secret(server.url("postgres"));
    Ok(Prepared { config, server: Some(server) })
}

/// The secret kept with the private server, drawn when there is none.
fn secret(path: &Path) -> anyhow::Result<String> {
    if let Ok(secret) = fs::read_to_string(path)
        && secret.len() >= 32
    {
        return Ok(secret);
    }
    let secret = auth::new_secret();
    write_private(path, &secret)?;
    Ok(secret)
}

fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("writing {}", path.display()))
}
