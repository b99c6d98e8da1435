//! How things look: readable on a light page and on a dark one, and without colours by their marks.

/// Of all text.
pub(super) const INK: &str = "#767676";

/// Of lines that help the eye; drawn faintly.
pub(super) const GRID: &str = "#808080";

/// The mark of a line's dots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Circle,
    Square,
    Diamond,
    Triangle,
    Cross,
}

/// How a server is drawn, everywhere the same.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) colour: &'static str,
    pub(super) mark: Mark,
    /// Whether its line is broken: a floor, not a server.
    pub(super) dashed: bool,
}

/// The style of a server by its name in results.
pub(super) fn of(side: &str) -> Style {
    let (colour, mark, dashed) = match side {
        "bare" => ("#8c8c8c", Mark::Circle, true),
        "sluice" => ("#2f81d0", Mark::Circle, false),
        "nats" => ("#cf7a22", Mark::Square, false),
        "mosquitto" => ("#b05fc0", Mark::Diamond, false),
        "rumqttd" => ("#3f9a4b", Mark::Triangle, false),
        // A gateway with more workers.
        _ => ("#139a9a", Mark::Cross, false),
    };
    Style { colour, mark, dashed }
}
