//! `[previews]`: whether links have previews, and how little is taken for one.

use std::time::Duration;

use serde::Deserialize;

/// `[previews]`. Changes hold after a restart; that it was switched off holds after a reload.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PreviewSettings {
    /// Reads the pages behind links. Off: the server calls nobody.
    pub enabled: bool,
    /// Reads pages without TLS too, and follows redirects to them.
    pub http: bool,
    /// Reads pages on other ports than 443 and 80 too.
    pub other_ports: bool,
    /// Time for one page, look-up and redirects included, in ms.
    pub time_ms: u64,
    /// What is read of a page, in bytes: the rest is left.
    pub bytes_max: usize,
    /// Redirects followed for one page.
    pub redirects_max: usize,
    /// Pages read at once.
    pub fetches_max: usize,
    /// Pages that wait to be read; above it new ones are left unread.
    pub queue_max: usize,
    /// Pages remembered, those that could not be read too.
    pub known_max: usize,
    /// How long what a page says is remembered, in ms.
    pub known_ms: u64,
    /// How long it is remembered that a page could not be read, in ms.
    pub failed_ms: u64,
    /// Only pages of these hosts and of those below them; none: of all.
    pub allow: Vec<String>,
    /// No pages of these hosts and of those below them.
    pub deny: Vec<String>,
    /// Reads pages of this machine and of its own network too: whoever writes a link makes the server call what only it can reach. For tests.
    pub danger_reach_own_network: bool,
}

impl Default for PreviewSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            http: false,
            other_ports: false,
            time_ms: 5_000,
            bytes_max: 256 * 1024,
            redirects_max: 3,
            fetches_max: 8,
            queue_max: 256,
            known_max: 1_024,
            known_ms: 3_600_000,
            failed_ms: 60_000,
            allow: Vec::new(),
            deny: Vec::new(),
            danger_reach_own_network: false,
        }
    }
}

impl PreviewSettings {
    pub(super) const fn time(&self) -> Duration {
        Duration::from_millis(self.time_ms)
    }

    /// Whether pages of a host may be read.
    pub(super) fn allows(&self, host: &str) -> bool {
        let host = plain(host);
        let is_of = |name: &String| {
            let name = plain(name);
            let rest = host.strip_suffix(&name);
            !name.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        !self.deny.iter().any(is_of) && (self.allow.is_empty() || self.allow.iter().any(is_of))
    }
}

/// A host's name as it is compared: without the dot that may end it.
fn plain(host: &str) -> String {
    let host = host.trim_end_matches('.').trim_start_matches('.');
    host.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_compared_whole() {
        let settings = PreviewSettings {
            allow: vec!["Example.com".to_owned(), "b.example".to_owned()],
            deny: vec!["bad.example.com".to_owned()],
            ..PreviewSettings::default()
        };
        for (host, allowed) in [
            ("example.com", true),
            ("www.EXAMPLE.com.", true),
            ("myexample.com", false),
            ("com", false),
            ("bad.example.com", false),
            ("very.bad.example.com.", false),
            ("b.example", true),
            ("a.example", false),
        ] {
            assert_eq!(settings.allows(host), allowed, "{host}");
        }
        assert!(PreviewSettings::default().allows("anything"));
    }
}
