//! What games do with what belongs to a person.

use fireside_client_core::Command;
use fireside_protocol::{
    ConversationId, FolderId, FriendAction, NotificationLevel, Personal, personal::MUTED_FOR_EVER,
};

use crate::world::World;

impl World {
    /// One command on what belongs to the device's user.
    pub(crate) fn own(&mut self, index: usize) {
        match self.rng.below(100) {
            0..=37 => self.set_own(index),
            38..=62 => self.begin_to_write(index),
            63..=70 => {
                if self.command(index, Command::ReadAll) {
                    self.report.count("all read");
                }
            }
            71..=76 => {
                let n = self.rng.between(1, 3);
                let name = if self.rng.chance(200) {
                    String::new()
                } else {
                    format!("folder {}", self.rng.below(100))
                };
                let command = Command::SetFolder {
                    folder: Some(folder(n)),
                    name,
                    order: n as u32,
                };
                self.command(index, command);
            }
            77..=82 => {
                let on = self.rng.chance(400);
                if self.command(index, Command::SetReceipts { on }) {
                    self.report.count("receipts on or off");
                }
            }
            83..=85 => {
                if let Some(conversation) = self.known(index) {
                    let sequence = self.rng.between(1, 60);
                    let command = Command::Readers {
                        conversation,
                        sequence,
                    };
                    self.command(index, command);
                }
            }
            _ => self.befriend(index),
        }
    }

    fn set_own(&mut self, index: usize) {
        let Some(conversation) = self.known(index) else {
            return;
        };
        let on = self.rng.chance(600);
        let mut change = Personal::NOTHING;
        match self.rng.below(6) {
            0 => change.pinned = Some(on),
            1 => change.archived = Some(on),
            2 => {
                let soon = self.wall() + self.rng.between(1, 10_000);
                change.muted_until = self.rng.pick(&[0, soon, MUTED_FOR_EVER]).copied();
            }
            3 => {
                let levels = [
                    NotificationLevel::All,
                    NotificationLevel::Mentions,
                    NotificationLevel::Nothing,
                ];
                change.level = self.rng.pick(&levels).copied();
            }
            4 => change.marked_unread = Some(on),
            _ => {
                let n = self.rng.below(4);
                change.folder = Some(folder(n));
            }
        }
        let command = Command::SetPersonal {
            conversation,
            change,
        };
        if self.command(index, command) {
            self.report.count("own settings changed");
        }
    }

    fn begin_to_write(&mut self, index: usize) {
        let Some(conversation) = self.known(index) else {
            return;
        };
        if self.rng.chance(300) {
            let on = self.rng.chance(500);
            self.command(index, Command::SetComposing { conversation, on });
        }
        let text = if self.rng.chance(150) {
            String::new()
        } else {
            format!("draft {}", self.rng.below(1_000_000))
        };
        let command = Command::SetDraft {
            conversation,
            text,
            reply_to: 0,
        };
        if self.command(index, command) {
            self.report.count("drafts changed");
        }
    }

    /// Among a few users, so that they meet.
    fn befriend(&mut self, index: usize) {
        let user = self.user();
        let device = self.devices.get(index);
        let own = device.is_none_or(|device| device.user == user);
        if own {
            return;
        }
        let held = device.and_then(|device| {
            let mut rows = device.friends.iter().filter(|row| row.user != device.user);
            rows.next().cloned()
        });
        let (user, action) = match (held, self.rng.below(10)) {
            (Some(row), 0..=2) => (row.user, FriendAction::Accept),
            (Some(row), 3) => (row.user, FriendAction::Decline),
            (Some(row), 4) => (row.user, FriendAction::Remove),
            _ => (user, FriendAction::Request),
        };
        if self.command(index, Command::Friend { user, action }) {
            self.report.count("friends asked");
        }
    }

    /// Nobody writes any more.
    pub(crate) fn stop_composing(&mut self, index: usize) {
        let lines = self.devices.get(index).into_iter();
        let lines = lines.flat_map(|device| device.list.iter());
        let ids: Vec<ConversationId> = lines.map(|row| row.conversation).collect();
        for conversation in ids {
            let on = false;
            self.command(index, Command::SetComposing { conversation, on });
        }
    }
}

/// One of a few; 0 is none.
fn folder(n: u64) -> FolderId {
    FolderId([n as u8; 16])
}
