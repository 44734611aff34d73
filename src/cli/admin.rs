//! `ordercast migrate` and `ordercast token`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::ValueEnum;

use super::database::{self, Share};
use super::serve::block_on;
use crate::auth::{self, Grant, Keys};
use crate::config::Config;
use crate::domain::{CredentialId, Role, TenantId};
use crate::store::{self, Credential, Database};

/// Brings the schema up to date.
pub(super) fn migrate(config: Config) -> anyhow::Result<ExitCode> {
    let prepared = database::prepare(config, Share::Yes)?;
    let url = prepared.config.database.url.0.clone();
    let applied = block_on(async move { Ok(store::migrate(&url).await?) })??;
    print(&format!("applied {applied} migrations"));
    Ok(ExitCode::SUCCESS)
}

/// What kind of credential to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// An API key of the platform: does not expire
    ApiKey,
    /// A token of the platform
    Platform,
    /// A token of a dispatcher
    Ops,
    /// A token of a store; --subject is its id
    Store,
    /// A token of a courier; --subject is its id
    Driver,
    /// A token of a customer; --order names what it may see
    Customer,
}

/// Make an API key or a token, and print it.
#[derive(Debug, clap::Args)]
pub(super) struct Token {
    /// Name or id (`tn_…`) of the tenant; a new name makes a new tenant
    #[arg(long)]
    tenant: String,
    /// What to make
    #[arg(long, value_enum, default_value = "api-key")]
    kind: Kind,
    /// Who it is for: a store's or courier's id, or a name
    #[arg(long, default_value = "cli")]
    subject: String,
    /// Orders a customer may see; may be repeated
    #[arg(long = "order")]
    orders: Vec<String>,
    /// Life of a token in seconds
    #[arg(long, default_value_t = 3_600)]
    ttl_s: u64,
}

/// Makes a credential and prints it on standard output.
pub(super) fn token(config: Config, token: &Token) -> anyhow::Result<ExitCode> {
    let prepared = database::prepare(config, Share::Yes)?;
    let config = prepared.config.clone();
    let made = block_on(async {
        store::migrate(&config.database.url.0).await?;
        let (database, _listening) = Database::new(&config.database)?;
        let tenant = super::tenant::find(&database, &token.tenant).await?;
        let made = make(&config, &database, tenant, token).await?;
        database.close();
        Ok((tenant, made))
    })?;
    let (tenant, made) = made?;
    note(&format!("tenant {tenant}"));
    print(&made);
    Ok(ExitCode::SUCCESS)
}

async fn make(
    config: &Config,
    database: &Database,
    tenant: TenantId,
    token: &Token,
) -> anyhow::Result<String> {
    let role = match token.kind {
        Kind::ApiKey => {
            let (id, key) = make_api_key(database, tenant, &token.subject).await?;
            note(&format!("id {id}"));
            return Ok(key);
        }
        Kind::Platform => Role::Platform,
        Kind::Ops => Role::Ops,
        Kind::Store => Role::Store,
        Kind::Driver => Role::Driver,
        Kind::Customer => Role::Customer,
    };
    let orders = token.orders.iter().map(|order| order.parse().context("reading --order"));
    let orders = orders.collect::<anyhow::Result<Vec<_>>>()?;
    let most = config.auth.token_ttl_max_s.secs();
    if token.ttl_s > most {
        // A revocation is remembered only as long as a token may live.
        bail!("--ttl-s must be at most {most} (auth.token_ttl_max_s)");
    }
    let now = auth::now();
    let expires_at = now + Duration::from_secs(token.ttl_s);
    let grant =
        Grant { tenant, role, subject: token.subject.clone(), orders, info: None, expires_at };
    let keys = Keys::configured(&config.auth);
    let issued = keys.issue(&grant, now)?;
    // What we would not accept ourselves is not handed out.
    let Ok(principal) = keys.verify(&issued, now) else {
        bail!("--subject must be the id of a store or courier, and a customer needs --order");
    };
    note(&format!("id {}", principal.credential));
    Ok(issued)
}

/// Makes an API key of a tenant, of which only the hash is kept; the id it is revoked by, and
/// the key.
pub(super) async fn make_api_key(
    database: &Database,
    tenant: TenantId,
    subject: &str,
) -> anyhow::Result<(CredentialId, String)> {
    let (key, hash) = auth::new_api_key();
    let credential = Credential {
        id: CredentialId::new(),
        tenant,
        kind: "api_key".to_owned(),
        subject: subject.to_owned(),
    };
    database.insert_credential(&credential, &hash).await?;
    Ok((credential.id, key))
}

#[expect(clippy::print_stdout, reason = "what the command was asked for")]
pub(super) fn print(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "beside what was asked for, for people")]
fn note(text: &str) {
    eprintln!("{text}");
}
