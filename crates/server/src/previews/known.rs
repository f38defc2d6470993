//! What pages said a short while ago, so that a link that many write is read once.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use fireside_server_core::previews::PageSummary;
use foldhash::fast::RandomState;
use tokio::time::Instant;

use super::PreviewSettings;

/// Pages by their links as they are written. Each holds some KiB at most; the oldest make room.
pub(super) struct Known {
    pages: HashMap<String, (Instant, Option<PageSummary>), RandomState>,
    /// In the order they came in; the same link once for each time.
    order: VecDeque<(Instant, String)>,
    max: usize,
    read_for: Duration,
    failed_for: Duration,
}

impl Known {
    pub(super) fn new(settings: &PreviewSettings) -> Self {
        Self {
            pages: HashMap::default(),
            order: VecDeque::new(),
            max: settings.known_max,
            read_for: Duration::from_millis(settings.known_ms),
            failed_for: Duration::from_millis(settings.failed_ms),
        }
    }

    /// What is known of a page; `Some(None)`: it could not be read.
    pub(super) fn get(&self, url: &str, now: Instant) -> Option<Option<PageSummary>> {
        let (at, page) = self.pages.get(url)?;
        let holds = if page.is_some() {
            self.read_for
        } else {
            self.failed_for
        };
        (now.duration_since(*at) < holds).then(|| page.clone())
    }

    pub(super) fn put(&mut self, url: &str, page: Option<PageSummary>, now: Instant) {
        if self.max == 0 {
            return;
        }
        self.pages.insert(url.to_owned(), (now, page));
        self.order.push_back((now, url.to_owned()));
        while self.order.len() > self.max
            && let Some((at, oldest)) = self.order.pop_front()
        {
            // One that was read again since stays.
            if self.pages.get(&oldest).is_some_and(|(of, _)| *of == at) {
                self.pages.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(title: &str) -> PageSummary {
        PageSummary {
            title: title.to_owned(),
            ..PageSummary::default()
        }
    }

    #[test]
    fn for_a_time_and_so_many() {
        let mut known = Known::new(&PreviewSettings {
            known_max: 2,
            known_ms: 1_000,
            failed_ms: 10,
            ..PreviewSettings::default()
        });
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        known.put("a", Some(page("a")), at(0));
        known.put("b", None, at(1));
        assert_eq!(known.get("a", at(999)), Some(Some(page("a"))));
        assert_eq!(known.get("a", at(1_000)), None);
        assert_eq!(known.get("b", at(10)), Some(None));
        assert_eq!(known.get("b", at(11)), None, "a failure is soon forgotten");
        known.put("a", Some(page("a2")), at(20));
        assert_eq!(known.get("a", at(20)), Some(Some(page("a2"))));
        known.put("c", Some(page("c")), at(30));
        assert_eq!(known.get("a", at(30)), Some(Some(page("a2"))));
        for n in 0..100 {
            known.put(&n.to_string(), None, at(40));
        }
        assert!(known.pages.len() <= 2 && known.order.len() <= 2);
        let mut none = Known::new(&PreviewSettings {
            known_max: 0,
            ..PreviewSettings::default()
        });
        none.put("a", None, start);
        assert_eq!(none.get("a", start), None);
    }
}
