//! Tenants and the credentials that act for them.

use super::{Database, Error, read, statement};
use crate::domain::{CredentialId, OfferMode, Status, Tenant, TenantId, TenantPatch, Word as _};

/// The mode of a tenant whose couriers are not asked by themselves, where null says that nothing
/// is to change.
const OFF: &str = "off";

/// An API key's owner.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Which credential.
    pub id: CredentialId,
    /// Whose.
    pub tenant: TenantId,
    /// `api_key`.
    pub kind: String,
    /// Who acts with it.
    pub subject: String,
}

fn tenant_of(row: &tokio_postgres::Row) -> Result<Tenant, Error> {
    let mode: Option<&str> = row.try_get("offer_mode")?;
    Ok(Tenant {
        id: TenantId::from_uuid(row.try_get("id")?),
        name: row.try_get("name")?,
        accept_s: row.try_get("accept_s")?,
        customer_cancel_until: Status::find(row.try_get("customer_cancel_until")?)?,
        robo: row.try_get("robo")?,
        offer_mode: mode.map(OfferMode::find).transpose()?,
        offer_s: row.try_get("offer_s")?,
        offer_rounds: row.try_get("offer_rounds")?,
        search_lead_s: row.try_get("search_lead_s")?,
        link_ttl_h: row.try_get("link_ttl_h")?,
        location_retention_h: row.try_get("location_retention_h")?,
    })
}

impl Database {
    /// The tenant of this name, made if there is none.
    pub async fn upsert_tenant(&self, name: &str) -> Result<TenantId, Error> {
        let fresh = TenantId::new();
        let rows = read!(self, UPSERT_TENANT, /* id */ &fresh.uuid(), /* name */ &name);
        let id = rows.first().map(|row| row.try_get("id")).transpose()?;
        Ok(id.map_or(fresh, TenantId::from_uuid))
    }

    /// A tenant with its settings.
    pub async fn find_tenant(&self, id: TenantId) -> Result<Option<Tenant>, Error> {
        let rows = read!(self, FIND_TENANT, /* id */ &id.uuid());
        rows.first().map(tenant_of).transpose()
    }

    /// Changes what is given of a tenant's settings. Nobody keeps them: each batch of changes reads
    /// them, so every process goes by them from the next one on.
    pub async fn update_tenant(
        &self,
        id: TenantId,
        patch: &TenantPatch,
    ) -> Result<Option<Tenant>, Error> {
        let until = patch.customer_cancel_until.map(Status::word);
        let mode = patch.offer_mode.map(|mode| mode.map_or(OFF, OfferMode::word));
        let rows = read!(
            self,
            UPDATE_TENANT,
            /* id */ &id.uuid(),
            /* accept_s */ &patch.accept_s,
            /* customer_cancel_until */ &until,
            /* robo */ &patch.robo,
            /* offer_mode */ &mode,
            /* offer_s */ &patch.offer_s,
            /* offer_rounds */ &patch.offer_rounds,
            /* search_lead_s */ &patch.search_lead_s,
            /* link_ttl_h */ &patch.link_ttl_h,
            /* location_retention_h */ &patch.location_retention_h,
        );
        rows.first().map(tenant_of).transpose()
    }

    /// Makes an API key usable, of which only the hash is given.
    pub async fn insert_credential(
        &self,
        credential: &Credential,
        hash: &[u8],
    ) -> Result<(), Error> {
        let client = self.reading().await?;
        let statement = statement::INSERT_CREDENTIAL.prepare(&client).await?;
        let (id, tenant) = (credential.id.uuid(), credential.tenant.uuid());
        client
            .execute(&statement, &[&id, &tenant, &credential.kind, &credential.subject, &hash])
            .await?;
        Ok(())
    }

    /// Whose API key has this hash, unless it has ended.
    pub async fn find_credential(&self, hash: &[u8]) -> Result<Option<Credential>, Error> {
        let rows = read!(self, FIND_CREDENTIAL, /* hash */ &hash);
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(Credential {
            id: CredentialId::from_uuid(row.try_get("id")?),
            tenant: TenantId::from_uuid(row.try_get("tenant_id")?),
            kind: row.try_get("kind")?,
            subject: row.try_get("subject_id")?,
        }))
    }
}
