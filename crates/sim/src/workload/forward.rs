//! What is forwarded, and what of it is taken back.

use fireside_client_core::{
    Command,
    command::{MessageRef, Recipient},
    view::{Body, ConversationRow, TimelineRow},
};
use fireside_protocol::{ConversationId, Role, Sequence};

use crate::{oracle::forward::TITLE, world::World};

/// Messages remembered that somebody forwarded.
const FORWARDED_KEPT: usize = 40;
impl World {
    /// What others said in a group, where the user may.
    pub(super) fn take_back(&mut self, index: usize) {
        let Some(device) = self.devices.get(index) else {
            return;
        };
        let leads = |row: &&ConversationRow| matches!(row.role, Some(Role::Owner | Role::Admin));
        let led: Vec<_> = (device.list.iter().filter(leads))
            .map(|row| row.conversation)
            .collect();
        // Mostly what others have copies of.
        let copied = self.forwarded.iter().filter(|(id, _)| led.contains(id));
        let copied: Vec<_> = copied.copied().collect();
        let led = led.into_iter();
        let rows = led.filter_map(|id| Some((id, device.timelines.get(&id)?)));
        let rows = rows.flat_map(|(id, rows)| rows.iter().map(move |row| (id, row)));
        let others = rows.filter(|(_, row)| row.sender != device.user && !row.body.is_gone());
        let said: Vec<(ConversationId, Sequence)> = others
            .filter(|(_, row)| matches!(row.body, Body::Text(_)))
            .filter_map(|(id, row)| Some((id, row.sequence?)))
            .collect();
        let said = if copied.is_empty() { said } else { copied };
        if let Some((conversation, number)) = self.rng.pick(&said).copied() {
            self.forwarded.retain(|one| *one != (conversation, number));
            let message = MessageRef::Sequence(number);
            self.command(
                index,
                Command::Recall {
                    conversation,
                    message,
                },
            );
        }
    }

    /// Something on the screen, to somewhere else.
    pub(super) fn forward(&mut self, index: usize) {
        let Some(device) = self.devices.get(index) else {
            return;
        };
        let places: Vec<ConversationId> = device.timelines.keys().copied().collect();
        let Some(from) = self.rng.pick(&places).copied() else {
            return;
        };
        let rows = self
            .devices
            .get(index)
            .and_then(|it| it.timelines.get(&from));
        let said = |row: &TimelineRow| {
            let shown = matches!(row.body, Body::Text(_) | Body::Content(_));
            row.sequence.filter(|_| shown)
        };
        let mut numbers: Vec<Sequence> = rows.into_iter().flatten().filter_map(said).collect();
        let merged = self.rng.chance(600);
        let most = if merged { 1 + self.rng.below(3) } else { 1 };
        while numbers.len() as u64 > most {
            let place = self.rng.below(numbers.len() as u64) as usize;
            numbers.remove(place);
        }
        let mut from = from;
        let groups: Vec<ConversationId> = self.groups.iter().copied().collect();
        if self.rng.chance(300)
            && let Some(any) = self.rng.pick(&groups).copied()
        {
            // Seen or not.
            (from, numbers) = (any, vec![1 + self.rng.below(40)]);
        }
        let Some(conversation) = self.known(index).filter(|_| !numbers.is_empty()) else {
            return;
        };
        self.forwarded.extend(numbers.iter().map(|n| (from, *n)));
        let old = self.forwarded.len().saturating_sub(FORWARDED_KEPT);
        self.forwarded.drain(..old);
        let command = Command::Forward {
            to: Recipient::Conversation(conversation),
            from,
            messages: numbers,
            merged: merged.then(|| TITLE.to_owned()),
        };
        if self.command(index, command) {
            self.report.count("forwarded");
        }
    }
}
