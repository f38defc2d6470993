//! How often each fault and each mechanism happened.

use std::collections::BTreeMap;

/// What a run must have seen often.
pub const MECHANISMS: &[&str] = &[
    "fault: link dropped",
    "fault: datagram lost",
    "fault: datagram doubled",
    "fault: streams reordered",
    "fault: slow reader",
    "fault: server killed before sync",
    "fault: server killed after sync",
    "fault: server drained",
    "fault: client killed",
    "fault: client disk broken",
    "fault: disk full",
    "fault: disk stalled",
    "fault: clock jumped",
    "server lives",
    "messages acknowledged",
    "edits acknowledged",
    "recalls acknowledged",
    "reactions",
    "pins",
    "polls",
    "votes",
    "anonymous polls",
    "anonymous votes",
    "polls closed",
    "cards",
    "answers to cards",
    "silent messages",
    "messages that end",
    "messages ended",
    "forwarded",
    "deleted for oneself",
    "joins",
    "leaves and removals",
    "late joiners with history",
    "blocks",
    "public conversations",
    "meetings",
    "channels made",
    "threads opened",
    "mutes",
    "bans",
    "members named",
    "links made",
    "links tried",
    "own settings changed",
    "drafts changed",
    "all read",
    "friends asked",
    "receipts on or off",
    "duplicate nonce answered",
    "retry in order",
    "stale version",
    "skip",
    "private entry",
    "behind",
    "head",
    "hole repaired",
    "reset",
    "rights changed",
    "page and live overlapping",
    "early data accepted",
    "early data refused",
    "resumed",
    "token renewed",
    "typing delivered",
    "rate limited",
    "asked again at rest",
    "name of another used",
];

/// Counts by name.
#[derive(Clone, Debug, Default)]
pub struct Report {
    counts: BTreeMap<&'static str, u64>,
}

impl Report {
    /// One more.
    pub fn count(&mut self, name: &'static str) {
        self.add(name, 1);
    }

    /// So many more.
    pub fn add(&mut self, name: &'static str, n: u64) {
        *self.counts.entry(name).or_default() += n;
    }

    /// How often.
    #[must_use]
    pub fn get(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or_default()
    }

    /// Takes another's counts in.
    pub fn merge(&mut self, other: &Self) {
        for (name, n) in &other.counts {
            self.add(name, *n);
        }
    }

    /// Mechanisms that happened less often.
    pub fn fewer_than(&self, times: u64) -> impl Iterator<Item = &'static str> + '_ {
        let all = MECHANISMS.iter().copied();
        all.filter(move |name| self.get(name) < times)
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for name in MECHANISMS {
            writeln!(f, "  {:>12}  {name}", self.get(name))?;
        }
        for (name, n) in &self.counts {
            if !MECHANISMS.contains(name) {
                writeln!(f, "  {n:>12}  {name}")?;
            }
        }
        Ok(())
    }
}
