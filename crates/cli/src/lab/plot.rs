//! What does a sweep look like? One SVG that says by itself what is to the right, upwards, and which line is which.

use super::args::Axis;
use super::sweep::{Cell, Measure};
use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 90.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 64.0;
/// Distinguishable also without colours by the order of the legend; from the Okabe-Ito palette.
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];
/// From this ratio of the largest to the smallest value on, equal steps upwards are equal factors.
const LOGARITHMIC_FROM: f64 = 30.0;

/// The plot: the first axis to the right, one line for each combination of the others.
pub fn svg(title: &str, axes: &[Axis], cells: &[Cell], measure: Measure) -> String {
    let Some((first, others)) = axes.split_first() else { return String::new() };
    let mut lines: Vec<(String, Vec<Option<f64>>)> = Vec::new();
    for cell in cells {
        let Some((x, rest)) = cell.values.split_first() else { continue };
        let name = others.iter().zip(rest).map(|(axis, value)| format!("{} = {value}", axis.key));
        let name = name.collect::<Vec<_>>().join(", ");
        let value = measure.of(&cell.report).filter(|_| cell.report.completed());
        let at = first.values.iter().position(|value| value == x).unwrap_or(0);
        let line = match lines.iter().position(|(known, _)| *known == name) {
            Some(line) => line,
            None => {
                lines.push((name, vec![None; first.values.len()]));
                lines.len() - 1
            }
        };
        lines[line].1[at] = value;
    }
    let values: Vec<f64> = lines.iter().flat_map(|(_, values)| values.iter().flatten().copied()).collect();
    let scale = Scale::of(&values);
    let legend_rows = if others.is_empty() { 0 } else { lines.len() };
    let height = HEIGHT + legend_rows as f64 * 20.0;
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>"
    );
    text(&mut out, (LEFT, 24.0), "start", "#000000\" font-weight=\"bold", title);
    let how = if scale.logarithmic { ", each line a factor" } else { "" };
    let incomplete = cells.iter().filter(|cell| !cell.report.completed()).count();
    let missing =
        if incomplete > 0 { format!("; {incomplete} runs did not complete") } else { String::new() };
    text(&mut out, (LEFT, 44.0), "start", "#555555", &format!("{}{how}{missing}", measure.title()));
    grid(&mut out, &scale, measure);
    let step = (WIDTH - LEFT - RIGHT) / first.values.len().max(1) as f64;
    let x_of = |at: usize| LEFT + step * (at as f64 + 0.5);
    for (at, value) in first.values.iter().enumerate() {
        text(&mut out, (x_of(at), HEIGHT - BOTTOM + 20.0), "middle", "#000000", value);
    }
    text(&mut out, ((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - BOTTOM + 44.0), "middle", "#555555", &first.key);
    for (number, (name, values)) in lines.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let points: Vec<(f64, f64, f64)> = values
            .iter()
            .enumerate()
            .filter_map(|(at, value)| value.map(|value| (x_of(at), scale.y(value), value)))
            .collect();
        let path: Vec<String> = points.iter().map(|(x, y, _)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path.join(" ")
        );
        for (x, y, value) in &points {
            let _ = writeln!(
                out,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"><title>{}</title></circle>",
                escaped(&measure.text(*value))
            );
            // Where there are few points, each says its number.
            if lines.len() * first.values.len() <= 16 {
                text(&mut out, (*x, y - 8.0), "middle", colour, &measure.text(*value));
            }
        }
        if legend_rows > 0 {
            let y = HEIGHT + 8.0 + number as f64 * 20.0;
            let _ = writeln!(
                out,
                "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                LEFT + 24.0
            );
            text(&mut out, (LEFT + 32.0, y + 4.0), "start", "#000000", name);
        }
    }
    out.push_str("</svg>\n");
    out
}

fn grid(out: &mut String, scale: &Scale, measure: Measure) {
    for value in &scale.ticks {
        let y = scale.y(*value);
        let _ = writeln!(
            out,
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#dddddd\"/>",
            WIDTH - RIGHT
        );
        text(out, (LEFT - 8.0, y + 4.0), "end", "#555555", &measure.text(*value));
    }
}

fn text(out: &mut String, (x, y): (f64, f64), anchor: &str, colour: &str, words: &str) {
    let words = escaped(words);
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{words}</text>"
    );
}

/// Names and values come from outside.
fn escaped(text: &str) -> String {
    let plain = text.chars().filter(|character| !character.is_control()).collect::<String>();
    plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Where a value is on the page.
struct Scale {
    low: f64,
    high: f64,
    logarithmic: bool,
    ticks: Vec<f64>,
}

impl Scale {
    fn of(values: &[f64]) -> Scale {
        let high = values.iter().copied().fold(0.0, f64::max);
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        if low > 0.0 && low.is_finite() && high / low > LOGARITHMIC_FROM {
            let (from, to) = (low.log10().floor() as i32, high.log10().ceil() as i32);
            let ticks: Vec<f64> = (from..=to).map(|power| 10f64.powi(power)).collect();
            return Scale { low: 10f64.powi(from), high: 10f64.powi(to), logarithmic: true, ticks };
        }
        let high = if high > 0.0 { high } else { 1.0 };
        // Steps of 1, 2 or 5 times a power of ten, at least four of them.
        let power = 10f64.powf((high / 4.0).log10().floor());
        let step =
            [5.0, 2.0, 1.0].into_iter().map(|n| n * power).find(|step| high / step >= 4.0).unwrap_or(power);
        let count = (high / step).ceil();
        let ticks = (0..=count as u32).map(|number| f64::from(number) * step).collect();
        Scale { low: 0.0, high: count * step, logarithmic: false, ticks }
    }

    fn y(&self, value: f64) -> f64 {
        let share = if self.logarithmic {
            (value / self.low).log10() / (self.high / self.low).log10()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP - 8.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_have_round_steps_and_become_factors_where_values_are_far_apart() {
        let scale = Scale::of(&[3.0, 42.0]);
        assert_eq!(scale.ticks, [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
        assert!(!scale.logarithmic && scale.y(50.0) < scale.y(42.0));
        let scale = Scale::of(&[0.001, 0.9]);
        assert!(scale.logarithmic);
        assert_eq!(scale.ticks.len(), 4);
        assert!((scale.y(0.001) - (HEIGHT - BOTTOM)).abs() < 1e-9);
        assert_eq!(Scale::of(&[]).low, 0.0);
    }

    #[test]
    fn what_comes_from_outside_cannot_leave_its_place() {
        assert_eq!(escaped("a<b>&\"\u{7}"), "a&lt;b&gt;&amp;&quot;");
    }
}
