//! A small writer of SVG. Coordinates are pixels with one decimal; there is no background, so the page's is seen.

use std::fmt::Write;

use super::style::{GRID, INK, Mark, Style};

/// Where a text is relative to its point.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Sizes of text, pixels.
pub(super) const TITLE: u32 = 17;
pub(super) const TEXT: u32 = 13;
pub(super) const SMALL: u32 = 12;

/// Half the size of a mark.
const MARK: f64 = 4.0;

/// An image under way.
pub(super) struct Svg {
    out: String,
}

impl Svg {
    pub(super) fn new(width: f64, height: f64, title: &str) -> Self {
        let mut svg = Self { out: String::new() };
        svg.add(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" font-family=\"system-ui, 'DejaVu Sans', sans-serif\" role=\"img\">"
        ));
        svg.add(format_args!("<title>{}</title>", escaped(title)));
        svg
    }

    pub(super) fn finish(mut self) -> String {
        self.out.push_str("</svg>\n");
        self.out
    }

    pub(super) fn text(&mut self, x: f64, y: f64, size: u32, anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let weight = if size == TITLE { " font-weight=\"600\"" } else { "" };
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\"{weight} text-anchor=\"{anchor}\" fill=\"{INK}\">{}</text>",
            escaped(text)
        ));
    }

    /// A faint line that helps the eye.
    pub(super) fn guide(&mut self, from: (f64, f64), to: (f64, f64)) {
        self.add(format_args!(
            "<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" stroke=\"{GRID}\" stroke-opacity=\"0.3\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    pub(super) fn line(&mut self, points: &[(f64, f64)], style: Style) {
        let mut path = String::new();
        for (number, (x, y)) in points.iter().enumerate() {
            let command = if number == 0 { 'M' } else { 'L' };
            write!(path, "{command}{x:.1} {y:.1}").expect("a String takes all");
        }
        let dashes = if style.dashed { " stroke-dasharray=\"6 4\"" } else { "" };
        self.add(format_args!(
            "<path d=\"{path}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"{dashes}/>",
            style.colour
        ));
    }

    /// From the smallest to the largest value, with a stroke at each end.
    pub(super) fn error_bar(&mut self, x: f64, from: f64, to: f64, colour: &str) {
        let (left, right) = (x - MARK, x + MARK);
        self.add(format_args!(
            "<path d=\"M{x:.1} {from:.1}L{x:.1} {to:.1}M{left:.1} {from:.1}L{right:.1} {from:.1}M{left:.1} {to:.1}L{right:.1} \
             {to:.1}\" stroke=\"{colour}\" stroke-width=\"1.2\"/>"
        ));
    }

    pub(super) fn mark(&mut self, x: f64, y: f64, style: Style) {
        let colour = style.colour;
        let around = |points: &[(f64, f64)]| {
            let shifted = points
                .iter()
                .map(|(right, down)| format!("{:.1} {:.1}", x + right, y + down));
            shifted.collect::<Vec<_>>().join("L")
        };
        match style.mark {
            Mark::Circle => self.add(format_args!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{MARK}\" fill=\"{colour}\"/>"
            )),
            Mark::Cross => {
                let one = around(&[(-MARK, -MARK), (MARK, MARK)]);
                let other = around(&[(-MARK, MARK), (MARK, -MARK)]);
                self.add(format_args!(
                    "<path d=\"M{one}M{other}\" stroke=\"{colour}\" stroke-width=\"2\"/>"
                ));
            }
            Mark::Square | Mark::Diamond | Mark::Triangle => {
                let path = match style.mark {
                    Mark::Square => around(&[(-MARK, -MARK), (MARK, -MARK), (MARK, MARK), (-MARK, MARK)]),
                    Mark::Diamond => around(&[
                        (-MARK - 1.0, 0.0),
                        (0.0, -MARK - 1.0),
                        (MARK + 1.0, 0.0),
                        (0.0, MARK + 1.0),
                    ]),
                    _ => around(&[(-MARK - 1.0, MARK), (0.0, -MARK - 1.0), (MARK + 1.0, MARK)]),
                };
                self.add(format_args!("<path d=\"M{path}Z\" fill=\"{colour}\"/>"));
            }
        }
    }

    pub(super) fn bar(&mut self, x: f64, y: f64, width: f64, height: f64, colour: &str) {
        self.add(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"2\" fill=\"{colour}\"/>"
        ));
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        writeln!(self.out, "{element}").expect("a String takes all");
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
