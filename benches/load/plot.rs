//! Plots as SVG, with nothing that must be loaded.

use std::fmt::Write as _;

use crate::report::number;

/// Size of a plot, its margins included.
const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 34.0;

/// Lines are told apart by colour and dash, so that they are without colours too.
const STYLES: [(&str, &str); 8] = [
    ("#1f6fb2", ""),
    ("#c2410c", "6 3"),
    ("#15803d", "2 3"),
    ("#7e22ce", "8 3 2 3"),
    ("#b91c1c", "1 2"),
    ("#0f766e", "10 4"),
    ("#a16207", "4 2 1 2"),
    ("#475569", "3 6"),
];

/// One line.
pub(crate) struct Line<'a> {
    pub(crate) name: &'a str,
    pub(crate) points: &'a [(f64, f64)],
}

/// What runs along an axis.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Along {
    /// Seconds.
    Time,
    /// Quantiles, by how little lies beyond.
    Quantiles,
}

/// The bounds of several plots that are to be compared: the largest value of both axes.
pub(crate) fn bounds(lines: &[Line<'_>], along: Along) -> (f64, f64) {
    let points = lines.iter().flat_map(|line| line.points);
    points.fold((0.0_f64, 0.0_f64), |(x, y), point| (x.max(place(point.0, along)), y.max(point.1)))
}

fn place(x: f64, along: Along) -> f64 {
    match along {
        Along::Time => x,
        // 0 at the median's lower end, 1 at 90 %, 2 at 99 %.
        Along::Quantiles => -(1.0 - x).max(1e-9).log10(),
    }
}

/// A round number at or above.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    let step = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    step.iter().map(|step| step * power).find(|round| *round >= value).unwrap_or(value)
}

/// A plot with its lines and a legend.
pub(crate) fn svg(
    title: &str,
    unit: &str,
    lines: &[Line<'_>],
    along: Along,
    bounds: (f64, f64),
) -> String {
    let (right, top) = (
        if along == Along::Time { bounds.0.max(1.0) } else { bounds.0.max(1.0).ceil() },
        round_up(bounds.1),
    );
    let x = |value: f64| LEFT + place(value, along) / right * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<figure><figcaption>{} ({unit})</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"{}\">",
        escaped(title),
        escaped(title)
    );
    for nth in 0..=4 {
        let value = top * f64::from(nth) / 4.0;
        let _ = write!(
            svg,
            "<line class=grid x1={LEFT} x2={} y1={y:.1} y2={y:.1} /><text x={} y={:.1} \
             text-anchor=end>{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            y(value) + 4.0,
            number(value),
            y = y(value),
        );
    }
    let ticks: Vec<(f64, String)> = match along {
        Along::Time => (0..=4)
            .map(|nth| right * f64::from(nth) / 4.0)
            .map(|seconds| (seconds, clock(seconds)))
            .collect(),
        Along::Quantiles => [0.0, 0.9, 0.99, 0.999, 0.9999, 0.99999]
            .into_iter()
            .filter(|quantile| place(*quantile, along) <= right)
            .map(|quantile| (quantile, format!("{}%", (quantile * 1e5).round() / 1e3)))
            .collect(),
    };
    for (value, text) in ticks {
        let _ = write!(
            svg,
            "<text x={:.1} y={} text-anchor=middle>{text}</text>",
            x(value),
            HEIGHT - BOTTOM + 18.0
        );
    }
    for (line, (colour, dash)) in lines.iter().zip(STYLES.iter().cycle()) {
        let points =
            line.points.iter().map(|(at, value)| format!("{:.1},{:.1}", x(*at), y(*value)));
        let points: Vec<_> = points.collect();
        let _ = write!(
            svg,
            "<polyline points=\"{}\" fill=none stroke=\"{colour}\" stroke-width=1.6 \
             stroke-dasharray=\"{dash}\" />",
            points.join(" ")
        );
    }
    svg.push_str("</svg><p class=legend>");
    for (line, (colour, dash)) in lines.iter().zip(STYLES.iter().cycle()) {
        let _ = write!(
            svg,
            "<span><svg width=28 height=8><line x1=0 x2=28 y1=4 y2=4 stroke=\"{colour}\" \
             stroke-width=2 stroke-dasharray=\"{dash}\" /></svg> {}</span> ",
            escaped(line.name)
        );
    }
    svg.push_str("</p></figure>");
    svg
}

/// Seconds as people read them.
fn clock(seconds: f64) -> String {
    if seconds >= 7_200.0 {
        format!("{:.1} h", seconds / 3_600.0)
    } else if seconds >= 300.0 {
        format!("{:.0} min", seconds / 60.0)
    } else {
        format!("{} s", number(seconds))
    }
}

/// Text in a page.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
