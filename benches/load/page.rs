//! A report as one page that needs nothing else, alone or with an earlier one beside it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::plot::{Along, Line, bounds, escaped, svg};
use crate::report::{Report, Stage, float, number};

const STYLE: &str = "
:root{color-scheme:light dark;--line:#8884;--dim:#777}
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1240px;padding:0 1rem}
h1{margin-bottom:0}h2{margin-top:2.5rem;border-bottom:1px solid var(--line)}
table{border-collapse:collapse;margin:1rem 0}
th,td{padding:.15rem .8rem .15rem 0;text-align:left;font-weight:400}
td.n{text-align:right;font-variant-numeric:tabular-nums}td.u,small,figcaption{color:var(--dim)}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(380px,1fr));gap:1rem}
figure{margin:0}svg{width:100%;height:auto}.legend svg{width:28px;height:8px}
svg text{font-size:11px;fill:currentColor}.grid{stroke:var(--line)}
.legend span{margin-right:1rem;white-space:nowrap;font-size:13px}
.ok::before{content:'\\2713\\00a0'}
";

/// The page; `old` stands to the left of `new`.
pub(crate) fn page(new: &Report, old: Option<&Report>) -> String {
    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport \
         content=\"width=device-width\"><title>ordercast: {0}</title><style>{STYLE}</style>\
         <h1>ordercast: {0}</h1>",
        escaped(&new.scenario)
    );
    for (what, report) in old.map(|old| ("before", old)).into_iter().chain([("now", new)]) {
        let what = if old.is_some() { what } else { "" };
        let _ = write!(
            page,
            "<p><b>{what}</b> {} <br><code>cargo bench --bench load -- {}</code><br><small>{}</small></p>",
            escaped(&report.at),
            escaped(&report.command),
            escaped(&report.conditions.join("; "))
        );
    }
    for stage in &new.stages {
        let before = old.and_then(|old| old.stages.iter().find(|other| other.name == stage.name));
        write_stage(&mut page, stage, before);
    }
    page.push_str("</html>\n");
    page
}

fn write_stage(page: &mut String, stage: &Stage, before: Option<&Stage>) {
    let _ = write!(page, "<h2>{}</h2>", escaped(&stage.name));
    write_facts(page, stage, before);
    page.push_str("<div class=plots>");
    let both: Vec<&Stage> = before.into_iter().chain([stage]).collect();
    let title = |stage: &Stage, what: &str| match before {
        None => what.to_owned(),
        Some(before) if std::ptr::eq(before, stage) => format!("{what}, before"),
        Some(_) => format!("{what}, now"),
    };
    let curves = |stage: &Stage| -> Vec<(String, Vec<(f64, f64)>)> {
        stage.waits.iter().map(|wait| (wait.name.clone(), wait.curve.clone())).collect()
    };
    write_plots(page, &both, "latency by percentile", "ms", Along::Quantiles, &curves, &title);
    let plots: BTreeSet<(&str, &str)> =
        stage.series.iter().map(|series| (series.plot.as_str(), series.unit.as_str())).collect();
    for (plot, unit) in plots {
        let of = |stage: &Stage| -> Vec<(String, Vec<(f64, f64)>)> {
            let series = stage.series.iter().filter(|series| series.plot == plot);
            series.map(|series| (series.name.clone(), series.points.clone())).collect()
        };
        write_plots(page, &both, plot, unit, Along::Time, &of, &title);
    }
    page.push_str("</div>");
    for what in &stage.verified {
        let _ = write!(page, "<p class=ok>{}</p>", escaped(what));
    }
}

type Curves = Vec<(String, Vec<(f64, f64)>)>;

/// The same plot of each stage, to the same scale.
fn write_plots(
    page: &mut String,
    stages: &[&Stage],
    name: &str,
    unit: &str,
    along: Along,
    of: &dyn Fn(&Stage) -> Curves,
    title: &dyn Fn(&Stage, &str) -> String,
) {
    let all: Vec<Curves> = stages.iter().map(|stage| of(stage)).collect();
    let lines: Vec<Vec<Line<'_>>> = all
        .iter()
        .map(|curves| curves.iter().map(|(name, points)| Line { name, points }).collect())
        .collect();
    let bounds = lines
        .iter()
        .map(|lines| bounds(lines, along))
        .fold((0.0_f64, 0.0_f64), |(x, y), (right, top)| (x.max(right), y.max(top)));
    for (stage, lines) in stages.iter().zip(&lines) {
        if lines.iter().any(|line| line.points.len() > 1) {
            page.push_str(&svg(&title(stage, name), unit, lines, along, bounds));
        }
    }
}

fn write_facts(page: &mut String, stage: &Stage, before: Option<&Stage>) {
    page.push_str("<table>");
    if before.is_some() {
        page.push_str("<tr><td><td class=n>before<td class=n>now<td><td class=n>change");
    }
    let mut row = |name: &str, value: f64, old: Option<f64>, unit: &str| {
        let _ = write!(page, "<tr><th>{}", escaped(name));
        if before.is_some() {
            let _ = write!(page, "<td class=n>{}", old.map_or("–".to_owned(), number));
        }
        let _ = write!(page, "<td class=n>{}<td class=u>{}", number(value), escaped(unit));
        if let Some(old) = old.filter(|old| *old != 0.0) {
            let _ = write!(page, "<td class=n>{:+.1} %", (value / old - 1.0) * 100.0);
        }
    };
    for fact in &stage.facts {
        let old = before.and_then(|stage| stage.facts.iter().find(|old| old.name == fact.name));
        row(&fact.name, fact.value, old.map(|old| old.value), &fact.unit);
    }
    page.push_str("</table>");
    write_waits(page, stage, before);
}

/// How long it took, a column for each quantile.
fn write_waits(page: &mut String, stage: &Stage, before: Option<&Stage>) {
    let Some(first) = stage.waits.first() else { return };
    page.push_str("<table><tr><td class=u>ms");
    for (quantile, _) in &first.quantiles {
        let _ = write!(page, "<td class=n>{quantile}");
    }
    page.push_str("<td class=n>of");
    for wait in &stage.waits {
        let old = before.and_then(|stage| stage.waits.iter().find(|old| old.name == wait.name));
        for (what, row) in old.map(|old| (", before", old)).into_iter().chain([("", wait)]) {
            let _ = write!(page, "<tr><th>{}{what}", escaped(&row.name));
            for (_, ms) in &row.quantiles {
                let _ = write!(page, "<td class=n>{}", number(*ms));
            }
            let _ = write!(page, "<td class=n>{}", number(float(row.count)));
        }
        if let Some(old) = old {
            page.push_str("<tr><td class=u>change");
            for ((_, now), (_, old)) in wait.quantiles.iter().zip(&old.quantiles) {
                let _ = write!(page, "<td class=n>{:+.1} %", (now / old.max(1e-6) - 1.0) * 100.0);
            }
        }
    }
    page.push_str("</table>");
}
