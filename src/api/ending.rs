//! Ending rights: revoking tokens, deleting stores and couriers. All of it is the platform's.

use super::orders::refused;
use super::{Api, Problem, ProblemCode, only};
use crate::auth::Principal;
use crate::domain::{CredentialId, DriverId, Role, StoreId};
use crate::store::{Outcome, Target};

impl Api {
    /// Revokes a token by its `jti`, or an API key by its id. Whether there is one nobody is told;
    /// another tenant's goes on. This process refuses it from now on, the others once they hear.
    pub async fn revoke_token(&self, principal: &Principal, id: &str) -> Result<(), Problem> {
        only(principal, &[Role::Platform])?;
        self.revoke(principal, id.parse().map_err(|_| Problem::not_found())?).await
    }

    /// The same for who may.
    pub(super) async fn revoke(
        &self,
        principal: &Principal,
        token: CredentialId,
    ) -> Result<(), Problem> {
        self.end(principal, Target::Revoke { token, keep: self.revoked.keep() }).await?;
        self.revoked.add(principal.tenant, token, self.now());
        Ok(())
    }

    /// Deletes a store without open orders. Past orders keep showing it.
    pub async fn delete_store(&self, principal: &Principal, id: &str) -> Result<(), Problem> {
        only(principal, &[Role::Platform])?;
        let store: StoreId = id.parse().map_err(|_| Problem::not_found())?;
        self.end(principal, Target::DeleteStore { store }).await
    }

    /// Deletes a courier without open orders. Past orders keep showing it.
    pub async fn delete_driver(&self, principal: &Principal, id: &str) -> Result<(), Problem> {
        only(principal, &[Role::Platform])?;
        let driver: DriverId = id.parse().map_err(|_| Problem::not_found())?;
        self.end(principal, Target::DeleteDriver { driver }).await
    }

    async fn end(&self, principal: &Principal, target: Target) -> Result<(), Problem> {
        match self.write_party(principal, target).await? {
            Outcome::Ended => Ok(()),
            Outcome::Refused(refusal, _) => Err(refused(refusal, principal)),
            Outcome::Placed(_)
            | Outcome::Changed(_)
            | Outcome::Repeated(_)
            | Outcome::Routed(_)
            | Outcome::Driver(_)
            | Outcome::Store(_) => {
                Err(Problem::new(ProblemCode::Internal, "another thing's outcome"))
            }
        }
    }
}
