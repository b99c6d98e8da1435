//! What happened to files, and what is left of them when the power fails after any of it.

use std::collections::HashMap;
use std::path::Path;

use super::Chance;

/// A disk writes a sector whole or not at all.
const SECTOR_BYTES: usize = 512;

/// A file, by the order in which they appeared: a name may be deleted and made anew.
pub(super) type FileNumber = usize;

/// What happened.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// It was there before, on the disk.
    Found {
        file: FileNumber,
        name: String,
        bytes: Box<[u8]>,
    },
    Made {
        file: FileNumber,
        name: String,
    },
    Written {
        file: FileNumber,
        at: usize,
        bytes: Box<[u8]>,
    },
    Truncated {
        file: FileNumber,
        length: usize,
    },
    /// All that was done to the file before is on the disk.
    Synced {
        file: FileNumber,
    },
    Deleted {
        name: String,
        /// The folder was synced too.
        lasting: bool,
    },
    /// Something else, by whoever records.
    Noted(usize),
}

/// Events in order.
#[derive(Debug, Default)]
pub(crate) struct History(pub(super) Vec<Event>);

/// What is left of the files of a folder, by name.
#[derive(Debug, Default)]
pub(crate) struct Remains(HashMap<String, Vec<u8>>);

/// What becomes of that which was on its way when the power failed.
#[derive(Debug, Clone, Copy)]
struct Mood {
    /// How many in 100 writes reach the disk whole.
    kept: usize,
    /// How many in 100 of the others do in parts.
    torn: usize,
}

impl History {
    /// A moment to cut at: anywhere, or near a sync, a truncation or a deletion, where things go wrong if they do.
    pub(crate) fn moment(&self, chance: &mut Chance) -> usize {
        // What was there before is there at all of them.
        let is_found = |event: &&Event| matches!(event, Event::Found { .. });
        let first = self.0.iter().take_while(is_found).count();
        let anywhere = first + chance.below(self.0.len() - first + 1);
        if chance.in_100(50) {
            return anywhere;
        }
        let is_delicate = |event: &Event| {
            matches!(
                event,
                Event::Synced { .. } | Event::Truncated { .. } | Event::Deleted { .. }
            )
        };
        let next = self.0[anywhere..].iter().position(is_delicate);
        let near = anywhere + next.unwrap_or(0) + chance.below(5);
        near.saturating_sub(2).clamp(first, self.0.len())
    }

    /// The moment after all that has happened.
    pub(crate) fn end(&self) -> usize {
        self.0.len()
    }

    /// What was noted before `moment`.
    pub(crate) fn noted(&self, moment: usize) -> impl Iterator<Item = usize> {
        self.0[..moment].iter().filter_map(|event| match event {
            Event::Noted(note) => Some(*note),
            _ => None,
        })
    }

    /// What the disk may hold when the power fails before the event `moment`.
    pub(crate) fn remains(&self, moment: usize, chance: &mut Chance) -> Remains {
        let events = &self.0[..moment];
        // Cuts at which nothing of what was on its way arrived, or all of it, are as likely as those between.
        let mood = Mood {
            kept: [0, 10, 50, 90, 100][chance.below(5)],
            torn: [0, 50, 100][chance.below(3)],
        };
        // Of each file, the last sync: what was done to it before is there.
        let syncs: HashMap<FileNumber, usize> = (events.iter().enumerate())
            .filter_map(|(number, event)| match event {
                Event::Synced { file } => Some((*file, number)),
                _ => None,
            })
            .collect();
        let is_synced = |file, number| syncs.get(file).is_some_and(|sync| number < *sync);
        let mut files: HashMap<FileNumber, Vec<u8>> = HashMap::new();
        for (number, event) in events.iter().enumerate() {
            match event {
                Event::Found { file, bytes, .. } => {
                    files.insert(*file, bytes.to_vec());
                }
                Event::Made { file, .. } => {
                    files.insert(*file, Vec::new());
                }
                Event::Written { file, at, bytes } => {
                    let content = files.entry(*file).or_default();
                    if is_synced(file, number) || chance.in_100(mood.kept) {
                        put(content, *at, bytes);
                    } else if chance.in_100(mood.torn) {
                        put_some_sectors(content, *at, bytes, chance);
                    }
                }
                Event::Truncated { file, length } => {
                    if is_synced(file, number) || chance.in_100(mood.kept) {
                        files.entry(*file).or_default().resize(*length, 0);
                    }
                }
                Event::Synced { .. } | Event::Deleted { .. } | Event::Noted(_) => {}
            }
        }
        let mut remains = HashMap::new();
        for (name, file) in self.names(moment, chance) {
            remains.extend(files.remove(&file).map(|content| (name, content)));
        }
        Remains(remains)
    }

    /// Which file has which name: a file system keeps changes of names in their order, so some of the last may be missing.
    fn names(&self, moment: usize, chance: &mut Chance) -> HashMap<String, FileNumber> {
        let mut names = HashMap::new();
        let mut lasting = 0;
        let mut made_last = Vec::new();
        let mut changes = Vec::new();
        for event in &self.0[..moment] {
            match event {
                Event::Found { file, name, .. } => {
                    names.insert(name.clone(), *file);
                }
                Event::Made { file, name } => {
                    changes.push((name.clone(), Some(*file)));
                    made_last.push(*file);
                }
                Event::Deleted { name, lasting: synced } => {
                    changes.push((name.clone(), None));
                    if *synced {
                        lasting = changes.len();
                    }
                }
                // SQLite syncs the folder with the first sync of a file that it has made.
                Event::Synced { file } if made_last.contains(file) => {
                    lasting = changes.len();
                    made_last.clear();
                }
                _ => {}
            }
        }
        let kept = lasting + chance.below(changes.len() - lasting + 1);
        for (name, file) in changes.into_iter().take(kept) {
            match file {
                Some(file) => names.insert(name, file),
                None => names.remove(&name),
            };
        }
        names
    }
}

impl Remains {
    /// Writes them to a folder.
    pub(crate) fn write_to(&self, folder: &Path) {
        std::fs::create_dir_all(folder).expect("a folder for temporary files");
        for (name, content) in &self.0 {
            std::fs::write(folder.join(name), content).expect("room for a small file");
        }
    }
}

fn put(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[at..end].copy_from_slice(bytes);
}

/// Each sector of the file reaches the disk or does not.
fn put_some_sectors(content: &mut Vec<u8>, at: usize, bytes: &[u8], chance: &mut Chance) {
    let mut done = 0;
    while done < bytes.len() {
        let within = SECTOR_BYTES - (at + done) % SECTOR_BYTES;
        let next = (done + within).min(bytes.len());
        if chance.in_100(50) {
            put(content, at + done, &bytes[done..next]);
        }
        done = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(at: usize, byte: u8, count: usize) -> Event {
        Event::Written {
            file: 0,
            at,
            bytes: vec![byte; count].into(),
        }
    }

    /// All that can remain at a moment, tried a thousand times.
    fn outcomes(history: &History, moment: usize) -> Vec<Option<Vec<u8>>> {
        let mut chance = Chance(1);
        let mut outcomes: Vec<_> = (0..1_000)
            .map(|_| history.remains(moment, &mut chance).0.remove("file"))
            .collect();
        outcomes.sort();
        outcomes.dedup();
        outcomes
    }

    #[test]
    fn what_was_synced_is_there_and_what_was_not_may_be() {
        let made = Event::Made {
            file: 0,
            name: "file".to_owned(),
        };
        let history = History(vec![
            made,
            written(0, 1, 2),
            Event::Synced { file: 0 },
            written(2, 2, 1),
        ]);
        assert_eq!(outcomes(&history, 0), [None]);
        // Neither its name nor its content is synced.
        assert_eq!(outcomes(&history, 2), [None, Some(vec![]), Some(vec![1, 1])]);
        assert_eq!(outcomes(&history, 3), [Some(vec![1, 1])]);
        assert_eq!(outcomes(&history, 4), [Some(vec![1, 1]), Some(vec![1, 1, 2])]);
    }

    #[test]
    fn a_write_is_torn_between_sectors() {
        let found = Event::Found {
            file: 0,
            name: "file".to_owned(),
            bytes: vec![0; 1024].into(),
        };
        let history = History(vec![found, written(500, 1, 24)]);
        let lengths = |content: &Option<Vec<u8>>| {
            let content = content.as_ref().expect("it was there");
            let ones = |part: &[u8]| part.iter().filter(|byte| **byte == 1).count();
            (ones(&content[..512]), ones(&content[512..]))
        };
        let mut outcomes: Vec<_> = outcomes(&history, 2).iter().map(lengths).collect();
        outcomes.sort_unstable();
        assert_eq!(outcomes, [(0, 0), (0, 12), (12, 0), (12, 12)]);
    }

    #[test]
    fn a_file_that_was_deleted_may_come_back_unless_the_folder_was_synced() {
        let found = || Event::Found {
            file: 0,
            name: "file".to_owned(),
            bytes: vec![7].into(),
        };
        let deleted = |lasting| Event::Deleted {
            name: "file".to_owned(),
            lasting,
        };
        assert_eq!(
            outcomes(&History(vec![found(), deleted(false)]), 2),
            [None, Some(vec![7])]
        );
        assert_eq!(outcomes(&History(vec![found(), deleted(true)]), 2), [None]);
    }
}
