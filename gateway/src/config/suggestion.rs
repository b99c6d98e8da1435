//! "Did you mean …?" for names nobody knows.

/// Names further apart than this share of their length are strangers.
const DISTANCE_SHARE: usize = 3;

/// Longer names are nobody's slip of the finger, and comparing them costs their length squared.
const NAME_BYTES_MAX: usize = 100;

/// The known name that `unknown` was most likely meant to be.
pub(super) fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if unknown.len() > NAME_BYTES_MAX {
        return None;
    }
    let last = |name: &str| name.rsplit_once('.').map(|(_, key)| key.to_owned());
    known
        .map(|name| {
            // The right key in the wrong section beats any slip of the finger.
            let moved = last(name).is_some_and(|key| Some(key) == last(unknown));
            (if moved { 0 } else { distance(unknown, name) }, name)
        })
        .min()
        .filter(|(distance, name)| *distance <= name.len().div_ceil(DISTANCE_SHARE))
        .map(|(_, name)| name)
}

/// Insertions, deletions, changes and swaps of neighbours that turn `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let swapped = if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    rows[i - 2][j - 2] + 1
                } else {
                    usize::MAX
                };
                changed.min(swapped).min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1)
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = [
        "listen.tcp",
        "listen.tls",
        "tokens.grace",
        "connections.heartbeat_interval",
    ];

    #[test]
    fn a_slip_of_the_finger_finds_its_neighbour() {
        assert_eq!(nearest("listen.tpc", KNOWN.into_iter()), Some("listen.tcp"));
        assert_eq!(nearest("token.grace", KNOWN.into_iter()), Some("tokens.grace"));
    }

    #[test]
    fn a_key_in_the_wrong_section_is_found_in_the_right_one() {
        assert_eq!(
            nearest("rooms.heartbeat_interval", KNOWN.into_iter()),
            Some("connections.heartbeat_interval")
        );
    }

    #[test]
    fn swapped_neighbours_are_one_slip() {
        assert_eq!(distance("lgo", "log"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "tls"), 3);
    }

    #[test]
    fn a_stranger_is_not_taken_for_a_neighbour() {
        assert_eq!(nearest("postgres", KNOWN.into_iter()), None);
        assert_eq!(nearest(&"x".repeat(100_000), KNOWN.into_iter()), None);
    }
}
