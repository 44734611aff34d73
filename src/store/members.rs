//! What processes tell each other: that they live, who is on which channel, and what need not
//! last.

use std::time::Duration;

use uuid::Uuid;

use super::{Database, Error, read, statement};

/// The channel of notifications by which processes tell each other what need not last.
pub(super) const CHANNEL: &str = "ordercast_processes";

/// A connection on a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRow {
    /// The channel.
    pub channel: String,
    /// The connection.
    pub client: Uuid,
    /// Who is behind it.
    pub user: String,
    /// JSON: what others may know of it.
    pub info: Option<String>,
}

/// A process among others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Whether the database did not know it: what it told of its members is gone as well.
    pub is_new: bool,
    /// How many others live.
    pub others: u64,
}

impl Database {
    /// Says that a process lives; others count if they said so within `alive`.
    pub async fn upsert_process(&self, id: Uuid, alive: Duration) -> Result<Seen, Error> {
        let alive_s = alive.as_secs_f64();
        let rows = read!(self, UPSERT_PROCESS, /* id */ &id, /* alive_s */ &alive_s);
        let Some(row) = rows.first() else { return Ok(Seen { is_new: true, others: 0 }) };
        let others: i64 = row.try_get("others")?;
        Ok(Seen { is_new: row.try_get("is_new")?, others: others.unsigned_abs() })
    }

    /// Forgets a process and its members.
    pub async fn delete_process(&self, id: Uuid) -> Result<(), Error> {
        let client = self.reading().await?;
        let statement = statement::DELETE_PROCESS.prepare(&client).await?;
        client.execute(&statement, &[/* id */ &id]).await?;
        Ok(())
    }

    /// Forgets processes that have not said for `silent` that they live.
    pub async fn delete_silent_processes(&self, silent: Duration) -> Result<(), Error> {
        let client = self.reading().await?;
        let statement = statement::DELETE_SILENT_PROCESSES.prepare(&client).await?;
        client.execute(&statement, &[/* silent_s */ &silent.as_secs_f64()]).await?;
        Ok(())
    }

    /// Adds members of a process's channels; those who are there already stay.
    pub async fn insert_members(&self, process: Uuid, members: &[MemberRow]) -> Result<(), Error> {
        let client = self.reading().await?;
        let statement = statement::INSERT_MEMBERS.prepare(&client).await?;
        let channels: Vec<&str> = members.iter().map(|it| it.channel.as_str()).collect();
        let clients: Vec<Uuid> = members.iter().map(|it| it.client).collect();
        let users: Vec<&str> = members.iter().map(|it| it.user.as_str()).collect();
        let infos: Vec<Option<&str>> = members.iter().map(|it| it.info.as_deref()).collect();
        client.execute(&statement, &[&process, &channels, &clients, &users, &infos]).await?;
        Ok(())
    }

    /// Removes members, by channel and connection, from a process's channels.
    pub async fn delete_members(
        &self,
        process: Uuid,
        gone: &[(String, Uuid)],
    ) -> Result<(), Error> {
        let client = self.reading().await?;
        let statement = statement::DELETE_MEMBERS.prepare(&client).await?;
        let channels: Vec<&str> = gone.iter().map(|(channel, _)| channel.as_str()).collect();
        let clients: Vec<Uuid> = gone.iter().map(|(_, client)| *client).collect();
        client.execute(&statement, &[&process, &channels, &clients]).await?;
        Ok(())
    }

    /// Who is on `channels` at processes other than `process` that said within `alive` that they
    /// live; at most `limit`. The channel of a row is not told.
    pub async fn list_members(
        &self,
        process: Uuid,
        channels: &[String],
        alive: Duration,
        limit: u32,
    ) -> Result<Vec<MemberRow>, Error> {
        let alive_s = alive.as_secs_f64();
        let limit = i64::from(limit);
        let rows = read!(self, LIST_MEMBERS, &process, &channels, &alive_s, &limit);
        rows.iter()
            .map(|row| {
                Ok(MemberRow {
                    channel: String::new(),
                    client: row.try_get("client_id")?,
                    user: row.try_get("user_id")?,
                    info: row.try_get("conn_info")?,
                })
            })
            .collect()
    }

    /// Tells all processes; each payload is shorter than 8,000 bytes, as PostgreSQL demands.
    pub async fn notify_processes(&self, payloads: &[String]) -> Result<(), Error> {
        read!(self, NOTIFY_PROCESSES, /* payloads */ &payloads);
        Ok(())
    }
}
