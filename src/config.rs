//! The one configuration: `config/default.toml`, then a file, then the environment, then flags.
//!
//! Every setting has its default, unit and bound in `config/default.toml`, which is compiled in.
//! All mistakes are reported at once, each with its name. Nothing else reads the environment.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use actix_web::http::Uri;
use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use serde::Deserialize;

use crate::domain::TenantId;

/// `config/default.toml`, the list of every setting.
pub const DEFAULTS: &str = include_str!("../config/default.toml");

/// A duration written as whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct Millis(u64);

/// A duration written as whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct Secs(u64);

impl Millis {
    /// The duration.
    pub const fn get(self) -> Duration {
        Duration::from_millis(self.0)
    }
}
impl Secs {
    /// The duration.
    pub const fn get(self) -> Duration {
        Duration::from_secs(self.0)
    }
    /// The duration in seconds.
    pub const fn secs(self) -> u64 {
        self.0
    }
}

/// A secret: never shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Deserialize, Default)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "(none)" } else { "(set)" })
    }
}

macro_rules! sections {
    ($($(#[$doc:meta])* $section:ident { $($field:ident: $type:ty,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(missing_docs, reason = "config/default.toml documents each setting")]
        pub struct $section { $(pub $field: $type,)+ }
    )+};
}
sections! {
    /// `[server]`
    Server { host: String, port: u16, workers: usize, backlog: u32, body_limit_bytes: usize,
        request_head_timeout_s: Secs, keep_alive_s: Secs, shutdown_timeout_s: Secs,
        unread_timeout_s: Secs, unsent_bytes: u32, metrics: bool, }
    /// `[database]`
    Database { url: Secret, listen_url: Secret, pool_size: usize, pool_wait_ms: Millis,
        statement_timeout_ms: Millis, connect_timeout_ms: Millis, shared_reads_max: usize,
        upkeep_timeout_s: Secs, }
    /// `[embedded]`
    Embedded { bin_dir: String, data_dir: String, max_connections: u16, shared_buffers_mb: u32, }
    /// `[auth]`
    Auth { secret: Secret, previous_secrets: Vec<Secret>, token_ttl_max_s: Secs,
        token_ttl_default_s: Secs, token_limit_bytes: usize, not_before_leeway_s: Secs,
        jwks_file: String, jwks_url: String, jwks_ca_file: String, jwks_refresh_s: Secs,
        jwks_min_refresh_s: Secs, jwks_timeout_ms: Millis, jwks_limit_bytes: usize,
        jwks_keys_max: usize, kidless_tries_max: usize, jwks_tenant: String, issuer: String,
        audience: String, api_key_cache_s: Secs, api_key_cache_size: usize, }
    /// `[writer]`
    Writer {
        queue_len: usize, batch_max: usize, batches_max: usize, overlap_min: usize,
        idempotency_ttl_s: Secs, }
    /// `[timers]`
    Timers { batch_max: u32, lease_ms: Millis, gap_ms: Millis, poll_interval_ms: Millis, }
    /// `[feed]`
    Feed { poll_interval_ms: Millis, probe_interval_ms: Millis, page_len: u32,
        reconnect_min_ms: Millis, reconnect_max_ms: Millis, worker_queue_len: usize,
        window_len: usize, preload_timeout_ms: Millis, }
    /// `[socket]`
    Socket { max_sockets: usize, message_limit_bytes: usize, commands_per_message: usize,
        calls_beside_max: usize, max_subscriptions: usize, channel_name_bytes: usize,
        mailbox_bytes: usize, subscribe_buffer_len: usize, recovery_limit: u32, history_limit: u32,
        snapshot_orders: u32, ping_interval_s: Secs, pong_timeout_s: Secs, stale_timeout_s: Secs,
        reply_timeout_ms: Millis, close_timeout_s: Secs, expiry_grace_s: Secs, send_buffer_bytes: usize,
        close_pace_ms: Millis, moves_len: usize, presence_limit: u32, sse_retry_min_ms: Millis, sse_retry_max_ms: Millis,
        allowed_origins: Vec<String>, }
    /// `[api]`
    Api { page_len_default: u32, page_len_max: u32, events_len_max: u32,
        long_poll_max_s: Secs, long_polls_max: usize, bulk_items_max: usize,
        bulk_body_limit_bytes: usize, }
    /// `[links]`
    Links { full_view_s: Secs, ttl_max_h: u32, per_order_max: u32, sockets_max: usize, keep_s: Secs, }
    /// `[limits]`
    Limits { tenant_writes_per_s: u32, tenant_reads_per_s: u32, link_reads_per_s: u32,
        link_reads_burst: u32, store_sockets_max: usize, }
    /// `[proofs]`
    Proofs { body_limit_bytes: usize, data_limit_bytes: usize, uploads_max: usize, store_s: Secs, }
    /// `[locations]`
    Locations { flush_ms: Millis, customer_pace_ms: Millis, board_pace_ms: Millis,
        messages_per_s: u32, points_per_s: u32, burst_s: Secs, speed_max: u32, keep_s: Secs,
        couriers_max: usize, trail_len: usize, trail_look_ms: Millis, board_age_s: Secs,
        board_max: u32, stale_s: Secs, radius_max_m: u32, near_max: u32, area_stores_max: u32,
        trail_page_max: u32, }
    /// `[webhooks]`
    Webhooks { allow_http: bool, allow_private: bool, ca_file: String, per_tenant_max: u32,
        timeout_ms: Millis, answer_limit_bytes: usize, deliveries_max: usize, turn_s: Secs,
        page_len: u32, lease_s: Secs, look_interval_ms: Millis, retry_after_max_s: Secs,
        failing_max_s: Secs, attempts_max: u32, attempts_ttl_s: Secs, prior_secret_max_s: Secs, }
    /// `[retention]`
    Retention { events_days: u32, lock_ms: Millis, }
    /// `[pages]`
    Pages { tile_url: String, tile_credit: String, }
    /// `[log]`
    Log { filter: String, format: String, }
    /// Every setting, by section.
    Config { server: Server, database: Database, embedded: Embedded, auth: Auth, writer: Writer,
        timers: Timers, feed: Feed, socket: Socket, api: Api, links: Links, limits: Limits, proofs: Proofs,
        locations: Locations, webhooks: Webhooks, retention: Retention, pages: Pages, log: Log, }
}

/// Mistakes in the configuration, all of them.
#[derive(Debug, thiserror::Error)]
#[error("the configuration does not do:\n  {}", .0.join("\n  "))]
pub struct Mistakes(pub Vec<String>);

/// What the command line overrides; an absent value overrides nothing.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `server.host`
    pub host: Option<String>,
    /// `server.port`
    pub port: Option<u16>,
    /// `embedded.data_dir`
    pub data_dir: Option<PathBuf>,
    /// `database.url`
    pub database_url: Option<String>,
    /// Other defaults than those of `config/default.toml`, by a setting's name; the file and the
    /// environment override them.
    pub defaults: Vec<(&'static str, String)>,
}

impl Config {
    /// Reads the defaults, `file` if given, the environment and `overrides`, in this order.
    pub fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Self, Mistakes> {
        let mut figment = Figment::from(Toml::string(DEFAULTS));
        for (key, value) in &overrides.defaults {
            figment = figment.merge(Serialized::default(key, value));
        }
        if let Some(path) = file {
            figment = figment.merge(Toml::file_exact(path));
        }
        figment = figment
            .merge(Env::raw().only(&["ORDERCAST_DATABASE_URL"]).map(|_| "database.url".into()))
            .merge(
                Env::raw().only(&["ORDERCAST_POSTGRES_BIN_DIR"]).map(|_| "embedded.bin_dir".into()),
            )
            .merge(
                Env::prefixed("ORDERCAST_").filter(|key| key.as_str().contains("__")).split("__"),
            );
        let text = |path: &PathBuf| path.display().to_string();
        for (key, value) in [
            ("server.host", overrides.host.clone()),
            ("embedded.data_dir", overrides.data_dir.as_ref().map(text)),
            ("database.url", overrides.database_url.clone()),
        ] {
            if let Some(value) = value {
                figment = figment.merge(Serialized::default(key, value));
            }
        }
        if let Some(port) = overrides.port {
            figment = figment.merge(Serialized::default("server.port", port));
        }
        let config: Self = figment.extract().map_err(|error| {
            Mistakes(error.into_iter().map(|mistake| mistake.to_string()).collect())
        })?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Mistakes> {
        let mut mistakes = Vec::new();
        let mut within = |name: &str, value: u128, low: u128, high: u128| {
            if !(low..=high).contains(&value) {
                mistakes.push(format!("{name} is {value}; it must be {low} to {high}"));
            }
        };
        macro_rules! bounds {
            ($($section:ident.$field:ident $low:literal..=$high:expr;)+) => {$(
                within(
                    concat!(stringify!($section), ".", stringify!($field)),
                    u128::from(Number::number(self.$section.$field)), $low, $high,
                );
            )+};
        }
        bounds! {
            server.workers 0..=256; server.backlog 1..=65_535;
            server.body_limit_bytes 1_024..=16_777_216; server.request_head_timeout_s 1..=120;
            server.keep_alive_s 1..=600; server.shutdown_timeout_s 1..=120;
            server.unread_timeout_s 1..=600; server.unsent_bytes 4_096..=4_194_304;
            database.pool_size 1..=200; database.pool_wait_ms 50..=60_000;
            database.statement_timeout_ms 100..=600_000; database.connect_timeout_ms 100..=60_000;
            database.shared_reads_max 0..=1_000_000; database.upkeep_timeout_s 10..=86_400;
            embedded.max_connections 10..=1_000; embedded.shared_buffers_mb 16..=65_536;
            auth.token_ttl_max_s 60..=31_536_000; auth.api_key_cache_s 0..=300;
            auth.token_ttl_default_s 60..=u128::from(self.auth.token_ttl_max_s.secs());
            auth.api_key_cache_size 1..=100_000; auth.token_limit_bytes 4_096..=65_536;
            auth.not_before_leeway_s 0..=300; auth.jwks_refresh_s 1..=86_400;
            auth.jwks_min_refresh_s 1..=u128::from(self.auth.jwks_refresh_s.secs());
            auth.jwks_timeout_ms 100..=30_000; auth.jwks_limit_bytes 1_024..=1_048_576;
            auth.jwks_keys_max 1..=100; auth.kidless_tries_max 1..=16;
            writer.queue_len 1..=1_000_000; writer.batch_max 1..=4_096;
            writer.batches_max 1..=16; writer.overlap_min 1..=4_096;
            writer.idempotency_ttl_s 60..=604_800;
            timers.batch_max 1..=4_096; timers.lease_ms 1_000..=600_000;
            timers.gap_ms 1..=1_000; timers.poll_interval_ms 100..=60_000;
            feed.poll_interval_ms 50..=60_000; feed.probe_interval_ms 200..=60_000;
            feed.page_len 1..=10_000; feed.reconnect_min_ms 10..=60_000;
            feed.reconnect_max_ms 10..=60_000; feed.worker_queue_len 1..=1_024;
            feed.window_len 0..=1_000_000; feed.preload_timeout_ms 1..=60_000;
            socket.max_sockets 1..=1_000_000; socket.message_limit_bytes 1_024..=1_048_576;
            socket.commands_per_message 1..=1_024; socket.calls_beside_max 1..=1_024;
            socket.max_subscriptions 1..=4_096;
            socket.channel_name_bytes 16..=255; socket.mailbox_bytes 16_384..=16_777_216;
            socket.subscribe_buffer_len 16..=100_000; socket.recovery_limit 1..=10_000;
            socket.history_limit 1..=1_000; socket.snapshot_orders 1..=20_000;
            socket.ping_interval_s 5..=300; socket.pong_timeout_s 1..=60;
            socket.stale_timeout_s 1..=120; socket.reply_timeout_ms 100..=60_000; socket.close_timeout_s 1..=30;
            socket.expiry_grace_s 0..=300; socket.send_buffer_bytes 4_096..=4_194_304;
            socket.close_pace_ms 0..=1_000; socket.moves_len 16..=1_000_000; socket.presence_limit 1..=10_000;
            socket.sse_retry_min_ms 100..=self.socket.sse_retry_max_ms.get().as_millis();
            socket.sse_retry_max_ms 100..=600_000;
            api.page_len_default 1..=u128::from(self.api.page_len_max);
            api.page_len_max 1..=100; api.events_len_max 1..=1_000;
            api.long_poll_max_s 0..=60; api.long_polls_max 1..=100_000;
            links.full_view_s 60..=86_400; links.ttl_max_h 1..=8_760; links.per_order_max 1..=100;
            links.sockets_max 1..=100_000; links.keep_s 0..=31_536_000;
            limits.tenant_writes_per_s 0..=1_000_000; limits.tenant_reads_per_s 0..=1_000_000;
            limits.link_reads_per_s 0..=1_000_000; limits.link_reads_burst 1..=1_000_000;
            limits.store_sockets_max 1..=100_000;
            api.bulk_items_max 1..=5_000; api.bulk_body_limit_bytes 1_024..=67_108_864;
            proofs.body_limit_bytes 1_024..=16_777_216;
            proofs.data_limit_bytes 0..=1_048_576; proofs.uploads_max 1..=1_000;
            proofs.store_s 0..=31_536_000;
            locations.flush_ms 50..=10_000; locations.customer_pace_ms 0..=60_000;
            locations.board_pace_ms 0..=60_000; locations.messages_per_s 1..=1_000;
            locations.points_per_s 1..=10_000; locations.burst_s 1..=600;
            locations.speed_max 10..=1_000_000; locations.keep_s 60..=86_400;
            locations.couriers_max 1_000..=10_000_000; locations.trail_len 0..=10_000_000;
            locations.trail_look_ms 100..=600_000; locations.board_age_s 60..=86_400;
            locations.board_max 1..=100_000; locations.stale_s 1..=3_600;
            locations.radius_max_m 100..=200_000; locations.near_max 1..=10_000; locations.trail_page_max 1..=10_000;
            locations.area_stores_max 1..=100_000;
            webhooks.per_tenant_max 1..=1_000; webhooks.timeout_ms 100..=30_000;
            webhooks.answer_limit_bytes 0..=1_048_576; webhooks.deliveries_max 1..=1_000;
            webhooks.turn_s 1..=300; webhooks.page_len 1..=1_000; webhooks.lease_s 10..=600;
            webhooks.look_interval_ms 50..=60_000; webhooks.retry_after_max_s 5..=86_400;
            webhooks.failing_max_s 60..=2_592_000; webhooks.attempts_max 1..=100_000;
            webhooks.attempts_ttl_s 60..=2_592_000; webhooks.prior_secret_max_s 0..=2_592_000;
            retention.events_days 0..=3_650; retention.lock_ms 10..=5_000;
        }
        if !matches!(self.log.format.as_str(), "text" | "json") {
            mistakes.push(format!("log.format is {:?}; it must be text or json", self.log.format));
        }
        if !self.auth.secret.0.is_empty() && self.auth.secret.0.len() < 32 {
            mistakes.push("auth.secret is too short; it must have at least 32 bytes".to_owned());
        }
        if self.auth.secret.0.is_empty() && !self.database.url.0.is_empty() {
            mistakes.push(
                "auth.secret is empty; with a database of your own it must have at least 32 bytes \
                 (ORDERCAST_AUTH__SECRET)"
                    .to_owned(),
            );
        }
        self.auth.check(&mut mistakes);
        if !self.pages.tile_url.is_empty() && self.pages.tile_origin().is_none() {
            mistakes.push(format!(
                "pages.tile_url is {:?}; it must begin with https://, or with http:// and a \
                 loopback host, and have {{z}}, {{x}} and {{y}} behind the host",
                self.pages.tile_url
            ));
        }
        if self.api.bulk_items_max > self.writer.queue_len {
            // It would never fit as a whole, and what is done already would be asked for first.
            mistakes.push("api.bulk_items_max must be at most writer.queue_len".to_owned());
        }
        if self.webhooks.lease_s.get() < 2 * self.webhooks.timeout_ms.get() {
            mistakes.push("webhooks.lease_s must be at least twice webhooks.timeout_ms".to_owned());
        }
        if mistakes.is_empty() { Ok(()) } else { Err(Mistakes(mistakes)) }
    }
}

/// Secrets that a token may still be signed by besides the current one.
const PREVIOUS_SECRETS_MAX: usize = 4;

impl Auth {
    /// What is no number.
    fn check(&self, mistakes: &mut Vec<String>) {
        let mut wrong = |mistake: String| mistakes.push(mistake);
        if self.previous_secrets.len() > PREVIOUS_SECRETS_MAX {
            wrong(format!("auth.previous_secrets are more than {PREVIOUS_SECRETS_MAX}"));
        }
        if self.previous_secrets.iter().any(|secret| secret.0.len() < 32) {
            wrong("auth.previous_secrets: each must have at least 32 bytes".to_owned());
        }
        if !self.jwks_file.is_empty() && !self.jwks_url.is_empty() {
            wrong("auth.jwks_file and auth.jwks_url exclude each other".to_owned());
        }
        if !self.jwks_url.is_empty() && !is_safe_url(&self.jwks_url) {
            wrong(format!(
                "auth.jwks_url is {:?}; it must begin with https://, or with http:// and a \
                 loopback host, and name no user",
                self.jwks_url
            ));
        }
        if !self.jwks_tenant.is_empty() && self.jwks_tenant.parse::<TenantId>().is_err() {
            wrong(format!("auth.jwks_tenant is {:?}; it must be a tenant's id", self.jwks_tenant));
        }
    }
}

impl Pages {
    /// Where the tiles of maps come from, as browsers are to be told, or nothing if there are none.
    #[must_use]
    pub fn tile_origin(&self) -> Option<String> {
        let tile = ["{z}", "{x}", "{y}"].iter().try_fold(self.tile_url.clone(), |url, part| {
            url.contains(part).then(|| url.replace(part, "0"))
        })?;
        let uri = tile.parse::<Uri>().ok().filter(|_| is_safe_url(&tile))?;
        let origin = format!("{}://{}", uri.scheme_str()?, uri.authority()?);
        // A host is no place for them, and this goes into a header.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b":/.-[]".contains(&byte);
        (self.tile_url.starts_with(&origin) && origin.bytes().all(is_plain)).then_some(origin)
    }
}

/// Whether nobody on the way can change what is fetched from there.
fn is_safe_url(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default();
    let is_loopback = || {
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    };
    let names_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    let is_safe = match uri.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => is_loopback(),
        _ => false,
    };
    is_safe && !names_user
}

/// What the bounds are checked on.
trait Number {
    fn number(self) -> u64;
}
impl Number for u16 {
    fn number(self) -> u64 {
        u64::from(self)
    }
}
impl Number for u32 {
    fn number(self) -> u64 {
        u64::from(self)
    }
}
impl Number for usize {
    fn number(self) -> u64 {
        u64::try_from(self).unwrap_or(u64::MAX)
    }
}
impl Number for Millis {
    fn number(self) -> u64 {
        self.0
    }
}
impl Number for Secs {
    fn number(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_alone_are_a_configuration() {
        let config: Config = Figment::from(Toml::string(DEFAULTS)).extract().unwrap();
        config.check().unwrap();
        assert_eq!(config.socket.ping_interval_s.get(), Duration::from_secs(25));
    }

    #[test]
    fn the_production_example_is_a_configuration() {
        let example = include_str!("../config/production.example.toml");
        let config: Config =
            Figment::from(Toml::string(DEFAULTS)).merge(Toml::string(example)).extract().unwrap();
        config.check().unwrap();
    }

    #[test]
    fn all_mistakes_are_named_at_once() {
        let file = "[writer]\nbatch_max = 0\n[auth]\nsecret = \"short\"\n[log]\nformat = \"xml\"";
        let config: Config =
            Figment::from(Toml::string(DEFAULTS)).merge(Toml::string(file)).extract().unwrap();
        let text = config.check().unwrap_err().to_string();
        for name in ["writer.batch_max", "auth.secret", "log.format"] {
            assert!(text.contains(name), "{name} in {text}");
        }
    }

    #[test]
    fn keys_are_fetched_only_where_nobody_can_change_them_on_the_way() {
        for url in [
            "https://id.example.com/jwks",
            "http://localhost:8080/jwks",
            "http://127.0.0.1/",
            "http://[::1]:9/jwks",
        ] {
            assert!(is_safe_url(url), "{url}");
        }
        for url in [
            "http://id.example.com/jwks",
            "http://127.0.0.1.example.com/",
            "http://localhost@example.com/",
            "https://ann:secret@example.com/",
            "http://10.0.0.1/",
            "ftp://localhost/",
            "file:///etc/passwd",
            "/jwks",
            "localhost",
            "nonsense nonsense",
        ] {
            assert!(!is_safe_url(url), "{url}");
        }
    }

    #[test]
    fn mistakes_about_keys_are_named() {
        let file = "[auth]\nprevious_secrets = [\"short\"]\njwks_file = \"a\"\n\
            jwks_url = \"http://example.com\"\njwks_tenant = \"acme\"\njwks_min_refresh_s = 301";
        let config: Config =
            Figment::from(Toml::string(DEFAULTS)).merge(Toml::string(file)).extract().unwrap();
        let text = config.check().unwrap_err().to_string();
        for mistake in [
            "auth.previous_secrets: each",
            "auth.jwks_file and",
            "auth.jwks_url is",
            "auth.jwks_tenant is",
            "auth.jwks_min_refresh_s is 301",
        ] {
            assert!(text.contains(mistake), "{mistake} in {text}");
        }
    }

    #[test]
    fn tiles_come_from_one_safe_host_or_from_nowhere() {
        let origin = |url: &str| {
            Pages { tile_url: url.to_owned(), tile_credit: String::new() }.tile_origin()
        };
        let host = Some("https://tiles.example.com".to_owned());
        assert_eq!(origin("https://tiles.example.com/{z}/{x}/{y}.png?key=1"), host);
        let near = Some("http://127.0.0.1:8000".to_owned());
        assert_eq!(origin("http://127.0.0.1:8000/{z}/{y}/{x}"), near);
        for url in [
            "",
            "https://tiles.example.com/{z}/{x}.png",
            "http://tiles.example.com/{z}/{x}/{y}.png",
            "https://{z}.example.com/{x}/{y}.png",
            "https://me@example.com/{z}/{x}/{y}.png",
            "https://example.com; script-src */{z}/{x}/{y}.png",
        ] {
            assert_eq!(origin(url), None, "{url}");
        }
        let file = "[pages]\ntile_url = \"https://tiles.example.com\"";
        let config: Config =
            Figment::from(Toml::string(DEFAULTS)).merge(Toml::string(file)).extract().unwrap();
        assert!(config.check().unwrap_err().to_string().contains("pages.tile_url is"));
    }

    #[test]
    fn a_lease_outlasts_what_is_done_under_it() {
        let file = "[webhooks]\ntimeout_ms = 10001\nlease_s = 20";
        let config: Config =
            Figment::from(Toml::string(DEFAULTS)).merge(Toml::string(file)).extract().unwrap();
        assert!(config.check().unwrap_err().to_string().contains("webhooks.lease_s must be"));
    }

    #[test]
    fn the_queue_has_a_place_for_each_item_of_a_request() {
        let file = "[writer]\nqueue_len = 499";
        let config: Config =
            Figment::from(Toml::string(DEFAULTS)).merge(Toml::string(file)).extract().unwrap();
        assert!(config.check().unwrap_err().to_string().contains("api.bulk_items_max must be"));
    }

    #[test]
    fn an_unknown_setting_is_a_mistake() {
        let figment =
            Figment::from(Toml::string(DEFAULTS)).merge(Toml::string("[server]\nprot = 1"));
        assert!(figment.extract::<Config>().unwrap_err().to_string().contains("prot"));
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Secret("hunter2".to_owned())), "(set)");
    }
}
