//! A chart of bars in groups, each with its figure written above it.

use super::style::Style;
use super::svg::{Anchor, SMALL, Svg, TEXT, TITLE};
use crate::report::Spread;

const HEIGHT: f64 = 400.0;
const LEFT: f64 = 30.0;
const TOP: f64 = 96.0;
const BOTTOM: f64 = 326.0;

/// A bar and what is free beside it; the names below need it.
const STEP: f64 = 78.0;
const BAR: f64 = 46.0;

/// Between two groups.
const GAP: f64 = 34.0;

/// No chart is narrower than its title.
const WIDTH_MIN: f64 = 520.0;

pub(super) struct Bar {
    pub(super) name: String,
    pub(super) style: Style,
    pub(super) value: Spread,
}

pub(super) struct Group {
    pub(super) name: String,
    pub(super) bars: Vec<Bar>,
}

pub(super) struct BarChart<'a> {
    pub(super) title: &'a str,
    pub(super) subtitle: &'a str,
    pub(super) groups: Vec<Group>,
}

impl BarChart<'_> {
    pub(super) fn draw(&self) -> String {
        let bars: usize = self.groups.iter().map(|group| group.bars.len()).sum();
        let content = STEP * bars as f64 + GAP * self.groups.len().saturating_sub(1) as f64;
        let mut svg = Svg::new((2.0 * LEFT + content).max(WIDTH_MIN), HEIGHT, self.title);
        svg.text(LEFT, 26.0, TITLE, Anchor::Start, self.title);
        svg.text(LEFT, 48.0, TEXT, Anchor::Start, self.subtitle);

        let largest = self.groups.iter().flat_map(|group| &group.bars);
        let largest = largest.map(|bar| bar.value.max).fold(f64::MIN_POSITIVE, f64::max);
        let height = |value: f64| (BOTTOM - TOP) * value.max(0.0) / largest;
        let mut x = LEFT;
        for group in &self.groups {
            let width = STEP * group.bars.len() as f64;
            svg.guide((x, BOTTOM), (x + width, BOTTOM));
            svg.text(x + width / 2.0, BOTTOM + 46.0, TEXT, Anchor::Middle, &group.name);
            for bar in &group.bars {
                let middle = x + STEP / 2.0;
                let top = BOTTOM - height(bar.value.median);
                svg.bar(middle - BAR / 2.0, top, BAR, height(bar.value.median), bar.style.colour);
                let highest = BOTTOM - height(bar.value.max);
                if bar.value.min < bar.value.max {
                    svg.error_bar(middle, BOTTOM - height(bar.value.min), highest, super::style::INK);
                }
                svg.text(middle, highest - 8.0, SMALL, Anchor::Middle, &figure(bar.value.median));
                svg.text(middle, BOTTOM + 20.0, SMALL, Anchor::Middle, &bar.name);
                x += STEP;
            }
            x += GAP;
        }
        svg.finish()
    }
}

/// Two digits after the point where they matter.
fn figure(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.0}")
    }
}
