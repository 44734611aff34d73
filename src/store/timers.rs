//! Timers: one row for each thing of which something will be due by itself.
//!
//! A row is written in the transaction that changes the thing, so it is there exactly while
//! something is due of it. Whoever claims a due row puts it off by a lease and asks the writer to
//! do what is due, which sets the row anew or ends it; if the asker dies in between, the lease
//! runs out and another claims it. The database's clock says what is due.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{Database, Error, statement};
use crate::domain::{OrderId, TenantId};

/// What a timer is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// An order: its release, the store's time to answer, the start of preparing.
    Order(OrderId),
}

impl Subject {
    /// The kinds that this release knows. Those of a newer one are left to it.
    const KINDS: &[&str] = &["order"];

    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::Order(_) => "order",
        }
    }

    pub(super) const fn uuid(self) -> Uuid {
        match self {
            Self::Order(id) => id.uuid(),
        }
    }

    fn from_row(row: &Row) -> Result<Option<Self>, Error> {
        let id = row.try_get("subject_id")?;
        Ok(match row.try_get("kind")? {
            "order" => Some(Self::Order(OrderId::from_uuid(id))),
            _ => None,
        })
    }
}

/// What a look at the timers has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// What was due, claimed for the one who looked; the earliest first in no order.
    pub claimed: Vec<(Subject, TenantId)>,
    /// How long until the next of the others is due; zero when there are more already.
    pub next_in: Option<Duration>,
}

impl Database {
    /// Claims at most `limit` due timers for as long as `lease`, the longest due first, and says
    /// when the next is due. One round trip; nobody is waited for, and what others are claiming
    /// is passed over.
    pub async fn claim_timers(&self, limit: u32, lease: Duration) -> Result<Look, Error> {
        let client = self.reading().await?;
        let claim = statement::CLAIM_TIMERS.prepare(&client).await?;
        let next = statement::FIND_NEXT_TIMER.prepare(&client).await?;
        let (limit, lease_s) = (i64::from(limit), lease.as_secs_f64());
        // Sent in this order without waiting in between: the second sees what the first has done.
        let claiming: [&(dyn postgres_types::ToSql + Sync); 3] = [
            /* kinds */ &Subject::KINDS,
            /* limit */ &limit,
            /* lease_s */ &lease_s,
        ];
        let finding: [&(dyn postgres_types::ToSql + Sync); 1] = [/* kinds */ &Subject::KINDS];
        let (claimed, next) =
            futures::join!(client.query(&claim, &claiming), client.query_opt(&next, &finding));
        let mut look = Look { claimed: Vec::new(), next_in: None };
        for row in claimed? {
            if let Some(subject) = Subject::from_row(&row)? {
                look.claimed.push((subject, TenantId::from_uuid(row.try_get("tenant_id")?)));
            }
        }
        if let Some(row) = next? {
            let wait_s: f64 = row.try_get("wait_s")?;
            // What is too long to be a duration is far enough away.
            let wait = Duration::try_from_secs_f64(wait_s.max(0.0)).unwrap_or(Duration::MAX);
            look.next_in = Some(wait);
        }
        Ok(look)
    }
}

/// Wakes whoever sleeps until the next timer when an earlier one is set.
#[derive(Debug, Default)]
pub struct Alarm {
    /// The earliest moment that is known; `None` when none is.
    earliest: Mutex<Option<Instant>>,
    bell: Notify,
}

impl Alarm {
    /// Something will be due at `at`.
    pub fn set(&self, at: Instant) {
        if self.bring_forward(at) {
            self.bell.notify_one();
        }
    }

    /// Forgets what is known: to be called before looking what is due, so that whatever is set
    /// during the look is heard after it.
    pub fn reset(&self) {
        *self.earliest.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Sleeps until `at`, or until an earlier moment that is set, before or meanwhile.
    pub async fn sleep_until(&self, at: Instant) {
        self.bring_forward(at);
        loop {
            let earliest = *self.earliest.lock().unwrap_or_else(PoisonError::into_inner);
            tokio::select! {
                () = sleep_until(earliest.unwrap_or(at)) => return,
                () = self.bell.notified() => {}
            }
        }
    }

    /// Whether `at` is earlier than all that was known.
    fn bring_forward(&self, at: Instant) -> bool {
        let mut earliest = self.earliest.lock().unwrap_or_else(PoisonError::into_inner);
        let is_earlier = earliest.is_none_or(|known| at < known);
        if is_earlier {
            *earliest = Some(at);
        }
        is_earlier
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use tokio::time::timeout;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[tokio::test]
    async fn a_sleep_ends_when_something_earlier_is_set_and_not_by_what_is_later() {
        let (alarm, began) = (Alarm::default(), Instant::now());
        let mut sleep = std::pin::pin!(alarm.sleep_until(began + HOUR));
        assert!(sleep.as_mut().now_or_never().is_none());
        for later in [began + 2 * HOUR, began + HOUR / 2] {
            alarm.set(later);
            assert!(sleep.as_mut().now_or_never().is_none());
        }
        alarm.set(began);
        timeout(HOUR / 60, sleep).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_set_before_a_sleep_ends_it_too_until_it_is_forgotten() {
        let (alarm, began) = (Alarm::default(), Instant::now());
        alarm.reset();
        // As during a look.
        alarm.set(began);
        timeout(HOUR / 60, alarm.sleep_until(began + HOUR)).await.unwrap();
        alarm.reset();
        assert!(alarm.sleep_until(began + HOUR).now_or_never().is_none());
    }
}
