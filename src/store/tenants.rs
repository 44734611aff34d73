//! Tenants and the credentials that act for them.

use super::{Database, Error, read, statement};
use crate::domain::{CredentialId, TenantId};

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

impl Database {
    /// The tenant of this name, made if there is none.
    pub async fn upsert_tenant(&self, name: &str) -> Result<TenantId, Error> {
        let fresh = TenantId::new();
        let rows = read!(self, UPSERT_TENANT, /* id */ &fresh.uuid(), /* name */ &name);
        let id = rows.first().map(|row| row.try_get("id")).transpose()?;
        Ok(id.map_or(fresh, TenantId::from_uuid))
    }

    /// The name of a tenant.
    pub async fn find_tenant(&self, id: TenantId) -> Result<Option<String>, Error> {
        let rows = read!(self, FIND_TENANT, /* id */ &id.uuid());
        Ok(rows.first().map(|row| row.try_get("name")).transpose()?)
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
