//! An evening for hours: does memory grow, does latency, and what does the log take on disk?
//!
//! Drift is the last fifth of the time against the second: the first fills caches.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};

use crate::database;
use crate::evening;
use crate::flags::Flags;
use crate::report::{Series, Stage, float};
use crate::rig::Rig;

/// An hour, unless one says otherwise.
const USUAL: u64 = 3_600;
/// Looks at the tables, whatever the time.
const POINTS: u64 = 300;

/// Runs the scenario.
pub(crate) async fn run(rig: &Rig, flags: &Flags) -> anyhow::Result<Vec<Stage>> {
    let seconds = flags.seconds(USUAL);
    let sizes = Arc::<Mutex<Vec<(f64, f64)>>>::default();
    let looking = rig.database_url().map(|url| {
        let every = Duration::from_secs((seconds / POINTS).max(1));
        tokio::spawn(look(url.to_owned(), every, Arc::clone(&sizes)))
    });
    let played = evening::play(rig, flags, seconds).await;
    if let Some(looking) = looking {
        looking.abort();
    }
    let mut stage = played?;
    let points = std::mem::take(&mut *sizes.lock().unwrap_or_else(PoisonError::into_inner));
    if !points.is_empty() {
        let (name, plot, unit) =
            ("tables and indexes".to_owned(), "disk".to_owned(), "MB".to_owned());
        stage.series.push(Series { name, plot, unit, points });
    }
    if let Some(url) = rig.database_url() {
        for (name, bytes) in tables(url).await? {
            stage.fact(&format!("on disk: {name}"), float(bytes) / 1e6, "MB");
        }
    }
    let drifts: Vec<_> = stage.series.iter().filter_map(drift).collect();
    for (name, drift) in drifts {
        stage.fact(&format!("drift: {name}"), drift * 100.0, "%");
    }
    Ok(vec![stage])
}

/// Looks again and again at what the tables take.
async fn look(url: String, every: Duration, sizes: Arc<Mutex<Vec<(f64, f64)>>>) {
    let began = Instant::now();
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Ok(tables) = tables(&url).await else { continue };
        let sum: u64 = tables.iter().map(|(_name, bytes)| bytes).sum();
        let mut sizes = sizes.lock().unwrap_or_else(PoisonError::into_inner);
        sizes.push((began.elapsed().as_secs_f64(), float(sum) / 1e6));
    }
}

/// Bytes of the five largest tables with their indexes; the log's partitions are one.
async fn tables(url: &str) -> anyhow::Result<Vec<(String, u64)>> {
    let query = "
        select case when relname like 'events%' then 'events' else relname::text end as name,
               sum(pg_total_relation_size(oid))::int8 as bytes
        from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace
        group by 1 order by 2 desc limit 5";
    let rows = database::ask(url, async |client| Ok(client.query(query, &[]).await?)).await?;
    let table = |row: &tokio_postgres::Row| -> anyhow::Result<(String, u64)> {
        Ok((row.try_get("name")?, row.try_get::<_, i64>("bytes")?.unsigned_abs()))
    };
    rows.iter().map(table).collect()
}

/// How much more the last fifth of a series is than its second, as a part; what is only rarely
/// there says nothing.
fn drift(series: &Series) -> Option<(String, f64)> {
    let fifth = series.points.len() / 5;
    let mean = |from: usize| -> Option<f64> {
        let points = series.points.get(from..from + fifth).filter(|points| points.len() >= 3)?;
        Some(points.iter().map(|(_, value)| value).sum::<f64>() / float(points.len() as u64))
    };
    let (early, late) = (mean(fifth)?, mean(series.points.len() - fifth)?);
    let name = format!("{}, {}", series.plot, series.name);
    (early > 0.0).then(|| (name, late / early - 1.0))
}
