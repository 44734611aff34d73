//! Ending rights: revoking tokens, deleting stores and couriers. All of it is the platform's.

use serde_json::Value;

use super::{Answer, Api, Asked, Problem, only};
use crate::auth::Principal;
use crate::domain::{CredentialId, DriverId, Role, StoreId};
use crate::store::Target;

impl Api {
    /// Revokes a token by its `jti`, or an API key by its id. Whether there is one nobody is told;
    /// another tenant's goes on. This process refuses it from now on, the others once they hear.
    pub async fn revoke_token(&self, asked: &Asked, id: &str) -> Result<Answer, Problem> {
        only(&asked.principal, &[Role::Platform])?;
        let token: CredentialId = id.parse().map_err(|_| Problem::not_found())?;
        let target = Target::Revoke { token, keep: self.revoked.keep() };
        let answer = self.end(asked, "token.revoke", &token.to_string(), target).await?;
        self.revoked.add(asked.principal.tenant, token, self.now());
        Ok(answer)
    }

    /// The same for who may, without a key.
    pub(super) async fn revoke(
        &self,
        principal: &Principal,
        token: CredentialId,
    ) -> Result<(), Problem> {
        let asked = Asked { principal: principal.clone(), idempotency_key: None, if_match: None };
        let target = Target::Revoke { token, keep: self.revoked.keep() };
        self.end(&asked, "token.revoke", &token.to_string(), target).await?;
        self.revoked.add(principal.tenant, token, self.now());
        Ok(())
    }

    /// Deletes a store without open orders. Past orders keep showing it.
    pub async fn delete_store(&self, asked: &Asked, id: &str) -> Result<Answer, Problem> {
        only(&asked.principal, &[Role::Platform])?;
        let store: StoreId = id.parse().map_err(|_| Problem::not_found())?;
        let target = Target::DeleteStore { store };
        self.end(asked, "store.delete", &store.to_string(), target).await
    }

    /// Deletes a courier without open orders. Past orders keep showing it.
    pub async fn delete_driver(&self, asked: &Asked, id: &str) -> Result<Answer, Problem> {
        only(&asked.principal, &[Role::Platform])?;
        let driver: DriverId = id.parse().map_err(|_| Problem::not_found())?;
        let target = Target::DeleteDriver { driver };
        self.end(asked, "driver.delete", &driver.to_string(), target).await
    }

    async fn end(
        &self,
        asked: &Asked,
        method: &str,
        what: &str,
        target: Target,
    ) -> Result<Answer, Problem> {
        self.write_party(asked, (method, what, &Value::Null), target).await
    }
}
