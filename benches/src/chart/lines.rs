//! A chart of lines over two logarithmic axes.

use super::axis::{LogAxis, Unit};
use super::grouped;
use super::style::Style;
use super::svg::{Anchor, SMALL, Svg, TEXT, TITLE};
use crate::report::Spread;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 450.0;
const LEFT: f64 = 76.0;
/// Where the plot ends and the legend begins.
const RIGHT: f64 = 590.0;
const TOP: f64 = 72.0;
const BOTTOM: f64 = 372.0;

/// Between the frame and the outermost dots.
const INSET: f64 = 22.0;

/// Names on the horizontal axis are left out where they would be nearer than this.
const NAME_DISTANCE: f64 = 42.0;

/// Between two lines of the legend.
const LEGEND_STEP: f64 = 22.0;

pub(super) struct Dot {
    pub(super) x: f64,
    pub(super) y: Spread,
}

pub(super) struct Line {
    pub(super) name: String,
    pub(super) style: Style,
    pub(super) dots: Vec<Dot>,
}

pub(super) struct LineChart<'a> {
    pub(super) title: &'a str,
    pub(super) subtitle: &'a str,
    pub(super) x_name: &'a str,
    pub(super) unit: Unit,
    pub(super) lines: Vec<Line>,
    /// Who has no figure where others have one, if anybody.
    pub(super) note: String,
}

impl LineChart<'_> {
    pub(super) fn draw(&self) -> String {
        let mut svg = Svg::new(WIDTH, HEIGHT, &format!("{}: {}", self.title, self.subtitle));
        svg.text(LEFT, 26.0, TITLE, Anchor::Start, self.title);
        svg.text(LEFT, 48.0, TEXT, Anchor::Start, self.subtitle);

        let dots = || self.lines.iter().flat_map(|line| &line.dots);
        let mut xs: Vec<f64> = dots().map(|dot| dot.x).collect();
        xs.sort_by(f64::total_cmp);
        xs.dedup();
        let (Some(first), Some(last)) = (xs.first(), xs.last()) else {
            return svg.finish();
        };
        let x_axis = LogAxis::exactly(*first, *last, LEFT + INSET, RIGHT - INSET);
        let low = dots().map(|dot| dot.y.min).fold(f64::INFINITY, f64::min);
        let high = dots().map(|dot| dot.y.max).fold(0.0, f64::max);
        let y_axis = LogAxis::rounded(low, high, BOTTOM, TOP);

        for tick in y_axis.ticks() {
            let y = y_axis.at(tick);
            svg.guide((LEFT, y), (RIGHT, y));
            svg.text(LEFT - 8.0, y + 4.0, SMALL, Anchor::End, &self.unit.shown(tick));
        }
        let mut named = f64::NEG_INFINITY;
        for value in xs {
            let x = x_axis.at(value);
            svg.guide((x, BOTTOM), (x, BOTTOM + 5.0));
            if x - named >= NAME_DISTANCE {
                svg.text(x, BOTTOM + 20.0, SMALL, Anchor::Middle, &grouped(value as usize));
                named = x;
            }
        }
        svg.text((LEFT + RIGHT) / 2.0, BOTTOM + 44.0, TEXT, Anchor::Middle, self.x_name);
        if !self.note.is_empty() {
            svg.text(LEFT, BOTTOM + 66.0, SMALL, Anchor::Start, &self.note);
        }

        for (number, line) in self.lines.iter().enumerate() {
            let mut points: Vec<_> = line.dots.iter().collect();
            points.sort_by(|one, other| one.x.total_cmp(&other.x));
            let path: Vec<_> = points
                .iter()
                .map(|dot| (x_axis.at(dot.x), y_axis.at(dot.y.median)))
                .collect();
            svg.line(&path, line.style);
            for (dot, (x, y)) in points.iter().zip(&path) {
                svg.error_bar(*x, y_axis.at(dot.y.min), y_axis.at(dot.y.max), line.style.colour);
                svg.mark(*x, *y, line.style);
            }
            let y = TOP + 12.0 + LEGEND_STEP * number as f64;
            svg.line(&[(RIGHT + 16.0, y), (RIGHT + 46.0, y)], line.style);
            svg.mark(RIGHT + 31.0, y, line.style);
            svg.text(RIGHT + 54.0, y + 4.0, TEXT, Anchor::Start, &line.name);
        }
        svg.finish()
    }
}
