//! Judging what ends a right: a token that is revoked, a store or a courier that is deleted.
//!
//! Each is said once by an event of the log, so that every process hears it in order with
//! everything else. Asking again is answered like the first time and writes nothing.

use std::time::Duration;

use super::change::{Change, Outcome};
use super::judge::Room;
use super::writes::Writes;
use crate::domain::{CredentialId, DriverId, Duty, Fact, Refusal, StoreId};

impl Room {
    pub(super) fn judge_revoke(
        &mut self,
        change: &Change,
        token: CredentialId,
        keep: Duration,
        writes: &mut Writes,
    ) -> Outcome {
        if self.revoked.insert((change.tenant, token)) {
            writes.revoked.push((change.tenant, token, self.now + keep));
            let fact = Fact::TokenRevoked { token };
            writes.add_event_about(change, self.now, &fact, None, None);
        }
        Outcome::Ended
    }

    pub(super) fn judge_delete_store(
        &mut self,
        change: &Change,
        id: StoreId,
        writes: &mut Writes,
    ) -> Outcome {
        if self.stores.get(&id).is_none_or(|(store, _)| store.tenant != change.tenant) {
            return Outcome::Refused(Refusal::NotFound, None);
        }
        if self.deleted_stores.contains(&id) {
            return Outcome::Ended;
        }
        // No other change of this batch is about a store: what was read is what stands.
        if self.busy_stores.contains(&id) {
            return Outcome::Refused(Refusal::HasOpenOrders, None);
        }
        self.deleted_stores.insert(id);
        writes.ended_stores.push(id);
        writes.add_event_about(change, self.now, &Fact::StoreDeleted, Some(id), None);
        Outcome::Ended
    }

    pub(super) fn judge_delete_driver(
        &mut self,
        change: &Change,
        id: DriverId,
        writes: &mut Writes,
    ) -> Outcome {
        let found = self.drivers.get_mut(&id).filter(|(driver, _)| driver.tenant == change.tenant);
        let Some((driver, active)) = found else {
            return Outcome::Refused(Refusal::NotFound, None);
        };
        if self.deleted_drivers.contains(&id) {
            return Outcome::Ended;
        }
        // Those that this batch has assigned are counted.
        if *active > 0 {
            return Outcome::Refused(Refusal::HasOpenOrders, None);
        }
        driver.duty = Duty::Off;
        self.deleted_drivers.insert(id);
        writes.ended_drivers.push(id);
        writes.add_event_about(change, self.now, &Fact::DriverDeleted, None, Some(id));
        Outcome::Ended
    }
}
