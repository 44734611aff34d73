//! The statements of one batch, sent one behind the other without waiting in between.

use deadpool_postgres::Object;
use tokio_postgres::Row;

use super::statement;

pub(super) type Parameters<'a> = Vec<&'a (dyn postgres_types::ToSql + Sync)>;

/// One statement of a pipeline; one that no change needs is left out.
pub(super) struct Step(Option<tokio_postgres::Statement>);

impl Step {
    pub(super) async fn prepare(
        client: &Object,
        wanted: bool,
        statement: statement::Statement,
    ) -> Result<Self, tokio_postgres::Error> {
        Ok(Self(if wanted { Some(statement.prepare(client).await?) } else { None }))
    }

    /// Sends the statement when first polled, and waits for its rows.
    pub(super) async fn run(
        &self,
        client: &Object,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        match &self.0 {
            Some(statement) => client.query(statement, &parameters).await,
            None => Ok(Vec::new()),
        }
    }
}
