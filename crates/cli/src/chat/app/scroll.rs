//! Scrolling: by what the last drawing showed.

use fireside_client_core::Command;

use super::{App, Move, OLDER_COUNT, Why};

impl App {
    /// Esc: closes what is over the messages, else goes to their end.
    pub(crate) fn escape(&mut self) {
        if self.popup.take().is_none() {
            self.show_list = false;
            self.show_end();
        }
    }

    pub(super) fn show_end(&mut self) {
        if let Some(timeline) = self
            .selected
            .and_then(|conversation| self.timelines.get_mut(&conversation))
        {
            timeline.anchor = None;
        }
        self.mark_read();
    }

    /// Scrolls the popup, or the timeline by what the last drawing showed.
    pub(crate) fn scroll(&mut self, to: Move) {
        let page = self.geometry.height.saturating_sub(1).max(1);
        if let Some(popup) = &mut self.popup {
            let last = popup.lines.len().saturating_sub(1);
            popup.scroll = match to {
                Move::Up(by) => popup.scroll.saturating_sub(by),
                Move::Down(by) => (popup.scroll + by).min(last),
                Move::PageUp => popup.scroll.saturating_sub(page),
                Move::PageDown => (popup.scroll + page).min(last),
                Move::Start => 0,
                Move::End => last,
            };
            return;
        }
        let Some(conversation) = self.selected else {
            return;
        };
        let total = self.geometry.lines.len();
        let top_bottom = self
            .geometry
            .height
            .saturating_sub(1)
            .min(total.saturating_sub(1));
        let bottom = match to {
            Move::Up(by) => self.geometry.bottom.saturating_sub(by),
            Move::Down(by) => self.geometry.bottom + by,
            Move::PageUp => self.geometry.bottom.saturating_sub(page),
            Move::PageDown => self.geometry.bottom + page,
            Move::Start => 0,
            Move::End => total,
        }
        .max(top_bottom);
        let anchor = if bottom + 1 >= total {
            None
        } else {
            self.geometry.lines.get(bottom).copied()
        };
        let up = matches!(to, Move::Up(_) | Move::PageUp | Move::Start);
        let Some(timeline) = self.timelines.get_mut(&conversation) else {
            return;
        };
        timeline.anchor = anchor;
        // The first line is in sight: more, if there is more.
        if up && bottom <= top_bottom && !timeline.loading_older && !timeline.start_reached {
            timeline.loading_older = true;
            self.act(
                Command::LoadOlder {
                    conversation,
                    count: OLDER_COUNT,
                },
                Why::Older(conversation),
            );
        }
        self.mark_read();
    }
}
