//! The hand-written statements: one file each in `sql/statements`, included at build time.
//!
//! The head of a file says its parameters and columns; `tests/statements.rs` holds it against a
//! migrated server, and this list against the folder.

use deadpool_postgres::ClientWrapper;

/// One statement.
#[derive(Debug, Clone, Copy)]
pub struct Statement {
    /// The file's name without its ending, as in the head of the file.
    pub name: &'static str,
    /// The whole file: the comment travels along, so that `pg_stat_activity` names it.
    pub sql: &'static str,
}

impl Statement {
    /// The prepared statement, from the connection's cache.
    pub(super) async fn prepare(
        &self,
        client: &ClientWrapper,
    ) -> Result<tokio_postgres::Statement, tokio_postgres::Error> {
        client.prepare_cached(self.sql).await
    }
}

macro_rules! statements {
    ($($name:ident $file:literal)+) => {
        $(
            #[doc = concat!("`sql/statements/", $file, ".sql`")]
            pub const $name: Statement = Statement {
                name: $file,
                sql: include_str!(concat!("../../sql/statements/", $file, ".sql")),
            };
        )+
        /// Every statement there is.
        pub const ALL: &[Statement] = &[$($name,)+];
    };
}

statements! {
    ADVANCE_IDLE_WEBHOOKS "advance_idle_webhooks"
    ADVANCE_WEBHOOK "advance_webhook"
    ANSWER_IDEMPOTENCY_KEY "answer_idempotency_key"
    APPEND_EVENTS "append_events"
    BEGIN_CUT "begin_cut"
    CHECK_CUT "check_cut"
    CLAIM_IDEMPOTENCY_KEY "claim_idempotency_key"
    CLAIM_TIMERS "claim_timers"
    CLAIM_WEBHOOKS "claim_webhooks"
    DELETE_IDEMPOTENCY_KEYS "delete_idempotency_keys"
    DELETE_LINKS "delete_links"
    DELETE_MEMBERS "delete_members"
    DELETE_PROCESS "delete_process"
    DELETE_REVOKED_TOKENS "delete_revoked_tokens"
    DELETE_SILENT_PROCESSES "delete_silent_processes"
    DELETE_TIMERS "delete_timers"
    DELETE_WEBHOOK "delete_webhook"
    DELETE_WEBHOOK_ATTEMPTS "delete_webhook_attempts"
    DROP_OLD_EVENTS "drop_old_events"
    END_CREDENTIALS "end_credentials"
    END_DRIVERS "end_drivers"
    END_STORES "end_stores"
    ERASE_EVENTS "erase_events"
    ERASE_IDEMPOTENCY_KEYS "erase_idempotency_keys"
    ERASE_PROOFS "erase_proofs"
    FAIL_WEBHOOK "fail_webhook"
    FIND_BUSY_STORES "find_busy_stores"
    FIND_CANDIDATES "find_candidates"
    FIND_CREDENTIAL "find_credential"
    FIND_DRIVER "find_driver"
    FIND_ENABLED_WEBHOOK "find_enabled_webhook"
    FIND_EVENT "find_event"
    FIND_IDEMPOTENCY_KEY "find_idempotency_key"
    FIND_IDEMPOTENCY_KEYS "find_idempotency_keys"
    FIND_LINK "find_link"
    FIND_LOCATIONS "find_locations"
    FIND_NEXT_TIMER "find_next_timer"
    FIND_OFFER "find_offer"
    FIND_ORDER "find_order"
    FIND_PICTURE "find_picture"
    FIND_PLACED_ORDERS "find_placed_orders"
    FIND_REVOKED_TOKENS "find_revoked_tokens"
    FIND_ROBO_COURIERS "find_robo_couriers"
    FIND_ROBO_ORDERS "find_robo_orders"
    FIND_STORE "find_store"
    FIND_TENANT "find_tenant"
    FIND_TRANSACTION_STATUS "find_transaction_status"
    FIND_UNLOCATED "find_unlocated"
    FIND_UNSEEN_ORDERS "find_unseen_orders"
    FIND_WEBHOOK "find_webhook"
    FINISH_CUT "finish_cut"
    HOLD_STORES "hold_stores"
    INSERT_CREDENTIAL "insert_credential"
    INSERT_IDEMPOTENCY_KEYS "insert_idempotency_keys"
    INSERT_LINK "insert_link"
    INSERT_MEMBERS "insert_members"
    INSERT_ORDERS "insert_orders"
    INSERT_PROOFS "insert_proofs"
    INSERT_REVOKED_TOKENS "insert_revoked_tokens"
    INSERT_ROBO_COURIERS "insert_robo_couriers"
    INSERT_WEBHOOK "insert_webhook"
    KEEP_IDEMPOTENCY_KEY "keep_idempotency_key"
    KEEP_TRAILS "keep_trails"
    LIFT_BORDER "lift_border"
    LIST_AREA_STORES "list_area_stores"
    LIST_DRIVER_OFFERS "list_driver_offers"
    LIST_DRIVER_ORDERS "list_driver_orders"
    LIST_DRIVERS "list_drivers"
    LIST_ERRANDS "list_errands"
    LIST_LINKS "list_links"
    LIST_LOCATIONS "list_locations"
    LIST_MEMBERS "list_members"
    LIST_NEAR_DRIVERS "list_near_drivers"
    LIST_OPEN_DRIVER_ORDERS "list_open_driver_orders"
    LIST_OPEN_ORDERS "list_open_orders"
    LIST_OPEN_STORE_ORDERS "list_open_store_orders"
    LIST_ORDER_OFFERS "list_order_offers"
    LIST_ORDERS "list_orders"
    LIST_PROOFS "list_proofs"
    LIST_STORE_ORDERS "list_store_orders"
    LIST_STORES "list_stores"
    LIST_TRAIL "list_trail"
    LIST_TRAILED_TENANTS "list_trailed_tenants"
    LIST_WEBHOOK_ATTEMPTS "list_webhook_attempts"
    LIST_WEBHOOKS "list_webhooks"
    LOCK_DRIVERS "lock_drivers"
    LOCK_ENDING_STORES "lock_ending_stores"
    LOCK_ORDERS "lock_orders"
    LOCK_STORES "lock_stores"
    NOTE_SILENT_STORES "note_silent_stores"
    NOTE_WEBHOOK_PING "note_webhook_ping"
    NOTIFY_LOCATIONS "notify_locations"
    NOTIFY_PROCESSES "notify_processes"
    READ_BATCH_DRIVERS "read_batch_drivers"
    READ_BATCH_OFFERS "read_batch_offers"
    READ_BATCH_STOPS "read_batch_stops"
    READ_BATCH_STORES "read_batch_stores"
    READ_DRIVER_EVENTS "read_driver_events"
    READ_EPOCH "read_epoch"
    READ_ERASED_EVENTS "read_erased_events"
    READ_EVENTS "read_events"
    READ_HEAD "read_head"
    READ_LAST_DRIVER_EVENTS "read_last_driver_events"
    READ_LAST_ORDER_EVENTS "read_last_order_events"
    READ_LAST_STORE_EVENTS "read_last_store_events"
    READ_LAST_TENANT_EVENTS "read_last_tenant_events"
    READ_OLDEST_POSITION "read_oldest_position"
    READ_ORDER_EVENTS "read_order_events"
    READ_REVOKED_TOKENS "read_revoked_tokens"
    READ_STORE_EVENTS "read_store_events"
    READ_TENANT_EVENTS "read_tenant_events"
    READ_TRANSACTION "read_transaction"
    RELEASE_WEBHOOK "release_webhook"
    REPLAY_WEBHOOK "replay_webhook"
    ROTATE_WEBHOOK "rotate_webhook"
    UPDATE_DRIVER "update_driver"
    UPDATE_DUTY "update_duty"
    UPDATE_ORDERS "update_orders"
    UPDATE_PAUSE "update_pause"
    UPDATE_STORE "update_store"
    UPDATE_TENANT "update_tenant"
    UPDATE_WEBHOOK "update_webhook"
    UPSERT_DRIVER "upsert_driver"
    UPSERT_LOCATIONS "upsert_locations"
    UPSERT_OFFERS "upsert_offers"
    UPSERT_PROCESS "upsert_process"
    UPSERT_STORE "upsert_store"
    UPSERT_TENANT "upsert_tenant"
    UPSERT_TIMERS "upsert_timers"
    WAKE_TOURS "wake_tours"
}
