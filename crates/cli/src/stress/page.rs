//! The figures of a load as a picture: one page that needs nothing else, drawn here as SVG.

use std::fmt::Write;

use vmaple_linux::stress::{Latency, Locking};

use super::Side;
use super::table::{self, rate};

const STYLE: &str = include_str!("page.css");
const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 40.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 44.0;
/// Percentiles at which the lower axis has a mark.
const MARKS: [f64; 7] = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999];

/// How many nines: the lower axis of a latency curve.
fn nines(percent: f64) -> f64 {
    (100.0 / (100.0 - percent).max(1e-4)).log10()
}

fn x(percent: f64) -> f64 {
    let share = nines(percent) / nines(99.999);
    LEFT + share.min(1.0) * (WIDTH - LEFT - RIGHT)
}

/// The left axis: decades of nanoseconds from `low` to `high`.
fn y(ns: f64, low: i32, high: i32) -> f64 {
    let share = (ns.max(1.0).log10() - f64::from(low)) / f64::from(high - low);
    HEIGHT - BOTTOM - share.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
}

/// The class by which the style gives a side its colour.
fn class(side: &Side) -> &'static str {
    match (side.outcome.locking, side.is_baseline) {
        (Locking::Vma, true) => "alone",
        (Locking::Vma, false) => "vma",
        (Locking::Mmap, _) => "mmap",
        (Locking::Kernel, true) => "kernel-alone",
        (Locking::Kernel, false) => "kernel",
    }
}

type Value = fn(&Side) -> f64;
type Pick = fn(&Side) -> Option<&Latency>;

pub(super) fn render(sides: &[Side]) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>vmaple stress</title>\
         <style>{STYLE}</style></head><body><h1>vmaple stress</h1>"
    );
    head(&mut out, sides);
    legend(&mut out, sides);
    let pictures: [(&str, Pick); 3] = [
        ("Latency of mmap, munmap and mprotect", |side| {
            Some(&side.outcome.calls)
        }),
        ("Latency of page faults", |side| {
            side.outcome.faults.as_ref()
        }),
        ("Latency of a whole read of maps", |side| {
            side.outcome.reads.as_ref()
        }),
    ];
    for (title, pick) in pictures {
        curves(&mut out, title, sides, pick);
    }
    let bars_of: [(&str, Value); 3] = [
        ("Calls per second", |side| side.outcome.calls.per_second),
        ("Page faults per second", |side| {
            side.outcome.faults.as_ref().map_or(0.0, |l| l.per_second)
        }),
        ("Lines of maps per second", |side| {
            side.outcome.lines_per_second
        }),
    ];
    out.push_str("<div class=\"row\">");
    for (title, value) in bars_of {
        bars(&mut out, title, sides, value);
    }
    out.push_str("</div>");
    let _ = writeln!(
        out,
        "<section><h2>Figures</h2><pre>{}</pre></section></body></html>",
        escape(&table::render(sides))
    );
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// A number of things, in words.
fn counted(nr: usize, what: &str) -> String {
    format!("{nr} {what}{}", if nr == 1 { "" } else { "s" })
}

fn head(out: &mut String, sides: &[Side]) {
    let with_readers = sides.iter().max_by_key(|side| side.outcome.load.readers);
    let Some(load) = with_readers.map(|side| &side.outcome.load) else {
        return;
    };
    let manner = if load.preempted {
        "at low priority, on one processor with a thread that is busy two milliseconds of three"
    } else {
        "at the priority of all others"
    };
    let _ = write!(
        out,
        "<p>{} mappings that stay and as many that come and go; {}, {}; {} of maps {manner}; \
         {:.1} s for each side.</p>",
        load.vmas,
        counted(load.mappers, "mapper"),
        counted(load.faulters, "faulter"),
        counted(load.readers, "reader"),
        load.duration.as_secs_f64()
    );
}

fn legend(out: &mut String, sides: &[Side]) {
    out.push_str("<ul class=\"legend\">");
    for side in sides {
        let _ = write!(
            out,
            "<li><i class=\"{}\"></i>{}</li>",
            class(side),
            escape(&side.name)
        );
    }
    out.push_str("</ul>");
}

fn curves(out: &mut String, title: &str, sides: &[Side], pick: Pick) {
    let shown: Vec<(&Side, &Latency)> = sides
        .iter()
        .filter_map(|side| Some((side, pick(side).filter(|latency| latency.count > 0)?)))
        .collect();
    if shown.is_empty() {
        return;
    }
    let all = || shown.iter().flat_map(|(_, latency)| &latency.curve);
    let least = all().map(|point| point.ns).min().unwrap_or(1).max(1) as f64;
    let most = all().map(|point| point.ns).max().unwrap_or(10).max(10) as f64;
    let low = least.log10().floor() as i32;
    let high = (most.log10().ceil() as i32).max(low + 1);
    let _ = write!(
        out,
        "<section><h2>{title}</h2><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"{title}\">"
    );
    for decade in low..=high {
        let at = y(10_f64.powi(decade), low, high);
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text class=\"axis\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            at + 4.0,
            decade_name(decade)
        );
    }
    for percent in MARKS {
        let at = x(percent);
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{}\"/>\
             <text class=\"axis\" x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{percent} %</text>",
            HEIGHT - BOTTOM,
            HEIGHT - BOTTOM + 18.0
        );
    }
    let _ = write!(
        out,
        "<text class=\"axis\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">so many took no \
         longer</text>",
        f64::midpoint(LEFT, WIDTH - RIGHT),
        HEIGHT - 6.0
    );
    for (side, latency) in shown {
        curve(out, side, latency, low, high);
    }
    out.push_str("</svg></section>");
}

fn curve(out: &mut String, side: &Side, latency: &Latency, low: i32, high: i32) {
    let mut points = String::new();
    for point in &latency.curve {
        let _ = write!(
            points,
            "{:.1},{:.1} ",
            x(point.percent),
            y(point.ns as f64, low, high)
        );
    }
    let _ = write!(
        out,
        "<polyline class=\"curve {}\" points=\"{}\"><title>{}</title></polyline>",
        class(side),
        points.trim_end(),
        escape(&side.name)
    );
}

fn decade_name(decade: i32) -> String {
    let (exponent, unit) = match decade {
        ..3 => (decade, "ns"),
        3..6 => (decade - 3, "µs"),
        6..9 => (decade - 6, "ms"),
        _ => (decade - 9, "s"),
    };
    format!("{} {unit}", 10_f64.powi(exponent))
}

fn bars(out: &mut String, title: &str, sides: &[Side], value: Value) {
    let most = sides.iter().map(value).fold(0.0, f64::max);
    if most <= 0.0 {
        return;
    }
    let _ = write!(out, "<section><h2>{title}</h2><div class=\"bars\">");
    for side in sides {
        let amount = value(side);
        if amount <= 0.0 {
            continue;
        }
        let _ = write!(
            out,
            "<span>{}</span><b class=\"{}\" style=\"width:{:.1}%\"></b><em>{}</em>",
            escape(&side.name),
            class(side),
            (amount / most * 100.0).max(0.5),
            rate(amount)
        );
    }
    out.push_str("</div></section>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_not_many() {
        assert_eq!(counted(1, "mapper"), "1 mapper");
        assert_eq!(counted(2, "reader"), "2 readers");
    }

    #[test]
    fn axes_are_logarithmic() {
        assert!((x(0.0) - LEFT).abs() < 1e-9);
        assert!((x(99.9) - x(99.0) - (x(99.0) - x(90.0))).abs() < 1e-6);
        assert!(y(10.0, 1, 3) > y(100.0, 1, 3) && y(100.0, 1, 3) > y(1000.0, 1, 3));
        assert_eq!(decade_name(4), "10 µs");
        assert_eq!(decade_name(6), "1 ms");
    }
}
