//! `ordercast tenant`.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::ValueEnum;

use super::admin::print;
use super::database::{self, Share};
use super::serve::block_on;
use crate::config::Config;
use crate::domain::{OfferMode, Status, TenantId, TenantPatch, Word as _};
use crate::store::{self, Database};
use crate::view;

/// How couriers are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Mode {
    /// The nearest first, one after the other
    OneByOne,
    /// Up to 20 at once
    Broadcast,
    /// Not by themselves: dispatchers and the platform say when, or name a courier
    Off,
}

/// Whether.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    /// It is so
    On,
    /// It is not
    Off,
}

/// Change the settings of a tenant, and print them; what is not given stays.
#[derive(Debug, clap::Args)]
pub(super) struct Tenant {
    /// Name or id (`tn_…`) of the tenant; a new name makes a new tenant
    name: String,
    /// How couriers are asked by themselves
    #[arg(long, value_enum)]
    offer_mode: Option<Mode>,
    /// Seconds a courier may think about an offer: 15 to 120
    #[arg(long)]
    offer_s: Option<i32>,
    /// Rounds until a search has failed: 1 to 100
    #[arg(long)]
    offer_rounds: Option<i32>,
    /// Seconds before an order is ready at which its search begins: 0 to 7200
    #[arg(long)]
    search_lead_s: Option<i32>,
    /// Seconds a store may think about a new order: 10 to 86400
    #[arg(long)]
    accept_s: Option<i32>,
    /// Hours after an order's end that its links show it: 1 to 8760
    #[arg(long)]
    link_ttl_h: Option<i32>,
    /// Hours for which the ways of its couriers are kept: 0, which keeps none, to 8760
    #[arg(long)]
    location_retention_h: Option<i32>,
    /// The last status in which a customer may cancel: scheduled to ready
    #[arg(long, value_name = "STATUS")]
    customer_cancel_until: Option<String>,
    /// Whether new orders go their way by themselves, for tests of an integration
    #[arg(long, value_enum)]
    robo: Option<Switch>,
}

impl Tenant {
    fn patch(&self) -> anyhow::Result<TenantPatch> {
        let until = self.customer_cancel_until.as_deref().map(Status::find).transpose();
        let patch = TenantPatch {
            accept_s: self.accept_s,
            customer_cancel_until: until.context("reading --customer-cancel-until")?,
            robo: self.robo.map(|robo| robo == Switch::On),
            offer_mode: self.offer_mode.map(|mode| match mode {
                Mode::OneByOne => Some(OfferMode::OneByOne),
                Mode::Broadcast => Some(OfferMode::Broadcast),
                Mode::Off => None,
            }),
            offer_s: self.offer_s,
            offer_rounds: self.offer_rounds,
            search_lead_s: self.search_lead_s,
            link_ttl_h: self.link_ttl_h,
            location_retention_h: self.location_retention_h,
        };
        if let Err((field, detail)) = patch.check() {
            bail!("--{} {detail}", field.replace('_', "-"));
        }
        Ok(patch)
    }
}

/// Changes a tenant's settings, and prints them on standard output.
pub(super) fn tenant(config: Config, tenant: &Tenant) -> anyhow::Result<ExitCode> {
    let patch = tenant.patch()?;
    let prepared = database::prepare(config, Share::Yes)?;
    let config = prepared.config.clone();
    let changed = block_on(async {
        store::migrate(&config.database.url.0).await?;
        let (database, _listening) = Database::new(&config.database)?;
        let id = find(&database, &tenant.name).await?;
        let changed = database.update_tenant(id, &patch).await?;
        database.close();
        changed.context("there is no such tenant")
    })??;
    print(&serde_json::to_string_pretty(&view::tenant(&changed))?);
    Ok(ExitCode::SUCCESS)
}

/// The tenant of this name, made if there is none, or of this identifier.
pub(super) async fn find(database: &Database, tenant: &str) -> anyhow::Result<TenantId> {
    match tenant.parse() {
        Ok(id) => {
            let found = database.find_tenant(id).await?;
            Ok(found.context("there is no such tenant")?.id)
        }
        Err(_) => Ok(database.upsert_tenant(tenant).await?),
    }
}
