//! The clients' half of the world: cores with their links, disks, timers and games that keep views by applying diffs.

use bytes::Bytes;
use fireside_client_core::{
    Action, Command, Config, ConnectionState, Event, EventClass, LinkEvent, Session,
    event::Completion,
    storage::{StoreOp, Transaction},
};
use fireside_protocol::{
    Code, ConversationId, Entry, FrameBuffer, Lane, Now, Raw, RawFrame, ServerFrame, decode,
    frames::UserRecordKind, limits::PAGE_FRAME_BYTES_MAX,
};

use crate::{
    device::Device,
    network::{DATAGRAM, LinkKey, StreamKey},
    rest::WITNESS,
    server_side::token,
    violation::Violation,
    world::{EPOCH_MS, TOKEN_LIFE_MS, What, World},
};

impl World {
    /// Time as a device sees it.
    #[must_use]
    pub fn device_now(&self, device: &Device) -> Now {
        let wall = (EPOCH_MS + self.now).saturating_add_signed(device.clock_offset);
        Now {
            monotonic_ms: self.now,
            wall_ms: wall,
        }
    }

    /// Starts a client on what its disk has.
    pub(crate) fn start_client(&mut self, index: usize) {
        let Some(device) = self.devices.get_mut(index) else {
            return;
        };
        if device.session.is_some() {
            return;
        }
        device.life += 1;
        device.disk.broken = false;
        device.forgetful = false;
        device.texts_before = device.texts;
        self.record.outbox_found(index, device.texts);
        device.disk_free_at = self.now;
        device.disk.rev_ignored = self.plan.client_breaks.rev_ignored;
        let config = Config {
            user: Some(device.user.clone()),
            device: device.id,
            seed: device.seed(),
            breaks: self.plan.client_breaks,
            reconnect_delay_ms_max: 5_000,
            ..Config::default()
        };
        let now = Now {
            monotonic_ms: self.now,
            wall_ms: (EPOCH_MS + self.now).saturating_add_signed(device.clock_offset),
        };
        device.session = Some(Session::new(config, now));
        self.pump_client(index);
        self.give_token(index);
        self.command(index, Command::Connect);
    }

    /// A fresh token.
    pub(crate) fn give_token(&mut self, index: usize) {
        let until = self.wall() + TOKEN_LIFE_MS;
        let Some(device) = self.devices.get(index) else {
            return;
        };
        let token = token(&device.user, until);
        self.command(index, Command::SetToken(token));
    }

    /// Gives a command. Answers whether it was taken.
    pub(crate) fn command(&mut self, index: usize, command: Command) -> bool {
        let Some(device) = self.devices.get(index) else {
            return false;
        };
        let now = self.device_now(device);
        let Some(device) = self.devices.get_mut(index) else {
            return false;
        };
        let call = device.next_call;
        device.next_call += 1;
        let Some(session) = device.session.as_mut() else {
            return false;
        };
        let taken = session.handle_command(call, command, now).is_ok();
        if taken {
            device.calls.insert(call);
        }
        self.pump_client(index);
        taken
    }

    /// The process is gone at once.
    pub(crate) fn kill_client(&mut self, index: usize) {
        let Some(device) = self.devices.get_mut(index) else {
            return;
        };
        if device.session.is_none() {
            return;
        }
        let links: Vec<LinkKey> = device.links.values().copied().collect();
        if let Some(session) = &device.session {
            let counters = session.counters();
            self.report.add("hole repaired", counters.holes_repaired);
            self.report.add("reset", counters.resets);
            self.report
                .add("page and live overlapping", counters.page_live_overlaps);
            self.report.add("retry in order", counters.retry_in_order);
        }
        device.forget();
        for key in links {
            if let Some(link) = self.links.get_mut(&key) {
                link.client_open = false;
            }
            let notice = self.rng.between(10, 2_000);
            self.schedule(notice, What::ServerLost(key));
        }
    }

    pub(crate) fn link_opened(&mut self, key: LinkKey) {
        let life = self.server.life;
        let up = self.server.node.is_some() && !self.server.draining;
        let Some(link) = self.links.get_mut(&key) else {
            return;
        };
        if link.early {
            // Only the client's side: what it sends is judged when the handshake is done.
            link.client_open = true;
            let same = self
                .devices
                .get(link.client)
                .and_then(|device| device.ticket_life)
                == Some(life);
            link.server_open = same && up;
            link.server_life = life;
            return self.tell(key, LinkEvent::Up { early: true });
        }
        if !up || self.rng.chance(if self.faults { 30 } else { 0 }) {
            return self.client_fails(key);
        }
        link.client_open = true;
        link.server_open = true;
        link.server_life = life;
        self.tell(key, LinkEvent::Up { early: false });
    }

    pub(crate) fn link_confirmed(&mut self, key: LinkKey) {
        let now = self.server_now();
        let life = self.server.life;
        let up = self.server.node.is_some();
        let Some(link) = self.links.get_mut(&key) else {
            return;
        };
        if !link.client_open {
            return;
        }
        let accepted = link.server_open && link.server_life == life && up;
        if !up {
            return self.client_fails(key);
        }
        link.early = false;
        link.server_open = true;
        link.server_life = life;
        self.report.count(if accepted {
            "early data accepted"
        } else {
            "early data refused"
        });
        if accepted
            && let Some(session) = self
                .links
                .get(&key)
                .and_then(|link| link.session.as_ref())
                .map(|(session, _)| *session)
            && let Some(node) = self.server.node.as_mut()
        {
            node.handle_confirmed(session, now);
            self.pump_server();
        }
        let key = if accepted { key } else { self.rename(key) };
        self.tell(
            key,
            LinkEvent::Confirmed {
                early_accepted: accepted,
            },
        );
    }

    /// Gives a link another name, so that refused early data that is still on its way is lost.
    fn rename(&mut self, key: LinkKey) -> LinkKey {
        let new = self.fresh_link();
        if let Some(link) = self.links.remove(&key) {
            if let Some(device) = self.devices.get_mut(link.client) {
                device.links.insert(link.local, new);
            }
            // A slow reader reads on under the new name.
            let reads_again = link.slow_until_ms.max(self.now);
            self.links.insert(new, link);
            self.schedule_at(reads_again, What::Drained(new));
        }
        new
    }

    fn client_fails(&mut self, key: LinkKey) {
        if let Some(link) = self.links.get_mut(&key) {
            link.client_open = true;
        }
        self.client_lost(key, None);
    }

    /// The client notices that a link is gone.
    pub(crate) fn client_lost(&mut self, key: LinkKey, code: Option<u16>) {
        let Some(link) = self.links.get_mut(&key) else {
            return;
        };
        if !link.client_open {
            return;
        }
        let event = LinkEvent::Down {
            code: code.map(Code::from_number),
            reason: "the link is gone".to_owned(),
        };
        self.tell(key, event);
        if let Some(link) = self.links.get_mut(&key) {
            link.client_open = false;
            if !link.server_open {
                self.links.remove(&key);
            }
        }
    }

    /// Tells a core about its link.
    fn tell(&mut self, key: LinkKey, event: LinkEvent) {
        let Some(link) = self.links.get(&key) else {
            return;
        };
        let (index, local, life) = (link.client, link.local, link.client_life);
        let Some(device) = self.devices.get(index).filter(|device| device.life == life) else {
            return;
        };
        let now = self.device_now(device);
        if let Some(session) = self
            .devices
            .get_mut(index)
            .and_then(|device| device.session.as_mut())
        {
            session.handle_link(local, event, now);
        }
        self.pump_client(index);
    }

    /// A frame arrives at a client.
    pub(crate) fn client_gets(&mut self, key: LinkKey, stream: StreamKey, frame: &Bytes) {
        let Some(link) = self.links.get(&key) else {
            return;
        };
        if !link.client_open {
            return;
        }
        let (index, local, life) = (link.client, link.local, link.client_life);
        let witness = link.session.as_ref().map(|(_, user)| user.clone());
        let device = self.devices.get(index).filter(|device| device.life == life);
        let now = device.map(|device| self.device_now(device));
        let user = device.map_or_else(
            || witness.filter(|_| index == WITNESS),
            |device| Some(device.user.clone()),
        );
        let Some(user) = user else {
            return;
        };
        let mut buffer = FrameBuffer::new(PAGE_FRAME_BYTES_MAX);
        buffer.extend(frame);
        let Ok(Some(raw)) = buffer.next_frame() else {
            return self.broke(Err(Violation {
                rule: "frames",
                seen: "a server frame is cut".to_owned(),
            }));
        };
        self.watch(key, index, stream, &user, &raw);
        let Some(now) = now else {
            return;
        };
        if let Some(session) = self
            .devices
            .get_mut(index)
            .and_then(|device| device.session.as_mut())
        {
            session.handle_frame(local, Ok(raw), now);
        }
        self.pump_client(index);
    }

    /// What the oracle sees of a frame on its way to a client.
    fn watch(
        &mut self,
        key: LinkKey,
        index: usize,
        stream: StreamKey,
        user: &fireside_protocol::UserId,
        raw: &RawFrame,
    ) {
        let Ok(frame) = raw.server() else {
            return self.broke(Err(Violation {
                rule: "frames",
                seen: format!("a server frame of kind {} can not be read", raw.kind),
            }));
        };
        let (moment, late) = (self.moment(), index == WITNESS);
        match frame {
            ServerFrame::Welcome(_) => {
                let life = self.links.get(&key).map(|link| link.server_life);
                if let Some(device) = self.devices.get_mut(index) {
                    device.ticket_life = life;
                }
            }
            ServerFrame::Entry(entry) => {
                self.live(
                    key,
                    entry.conversation,
                    entry.sequence,
                    entry.sequence,
                    user,
                );
                self.record.on_entry(user, &entry, false, moment);
            }
            ServerFrame::Skip(skip) => {
                self.live(key, skip.conversation, skip.first, skip.last, user);
            }
            ServerFrame::Head(head) => {
                self.report.count("head");
                self.live.insert((key, head.conversation), None);
                self.owed.remove(&(key, head.conversation));
                if let Some(preview) = &head.preview {
                    self.record.on_entry(user, preview, true, moment);
                }
            }
            ServerFrame::Ack(ack) => self
                .record
                .on_answer(user, ack.nonce, Ok(ack), late, moment),
            ServerFrame::Refused(refused) => {
                if let Some(nonce) = refused.nonce
                    && !refused.code().retryable()
                {
                    self.record
                        .on_answer(user, nonce, Err(refused.code()), late, moment);
                }
            }
            ServerFrame::Receipt(receipt) => {
                self.record.on_receipt(user, &receipt, moment);
                let name = (key, receipt.conversation, receipt.user.clone());
                let now = (receipt.delivered, receipt.read);
                let before = self.receipts.insert(name, now).unwrap_or_default();
                // Of who tells nothing any more there is no read mark.
                let back = now.1 > 0 && now.1 < before.1 || !receipt.gone && now.0 < before.0;
                if back {
                    let seen = format!("{user} got {receipt:?} after {before:?}");
                    self.broke(Err(Violation {
                        rule: "receipts",
                        seen,
                    }));
                }
            }
            ServerFrame::Page(page) => {
                self.page(user, page.conversation, &page.items);
                self.page(user, page.conversation, &page.changes);
                if stream == 0 {
                    self.broke(Err(Violation {
                        rule: "frames",
                        seen: "a page came on the session stream".to_owned(),
                    }));
                }
            }
            ServerFrame::HeadsPage(page) => {
                for preview in page.heads.iter().filter_map(|head| head.preview.as_ref()) {
                    self.record.on_entry(user, preview, true, moment);
                }
            }
            ServerFrame::UserRecord(record) => {
                if record.kind == UserRecordKind::Rights {
                    self.report.count("rights changed");
                }
                self.record.on_record(user, &record, moment);
            }
            ServerFrame::UserLogPage(page) => {
                for record in &page.records {
                    self.record.on_record(user, record, moment);
                }
            }
            ServerFrame::TypingOf(typing) => {
                self.report.count("typing delivered");
                self.record.on_typing(user, &typing, moment);
            }
            _ => {}
        }
    }

    fn page(
        &mut self,
        user: &fireside_protocol::UserId,
        conversation: ConversationId,
        entries: &[Raw],
    ) {
        let moment = self.moment();
        for raw in entries {
            match decode::<Entry>(&raw.0) {
                Ok(entry) if entry.conversation == conversation => {
                    self.record.on_entry(user, &entry, false, moment);
                }
                other => {
                    let seen = format!("a page of {conversation} has {other:?}");
                    self.broke(Err(Violation {
                        rule: "frames",
                        seen,
                    }));
                }
            }
        }
    }

    /// Entries and skips of a live stream are dense between two heads.
    fn live(
        &mut self,
        key: LinkKey,
        id: ConversationId,
        first: u64,
        last: u64,
        user: &fireside_protocol::UserId,
    ) {
        let place = self.live.entry((key, id)).or_default();
        if let Some(before) = *place
            && first > before + 1
        {
            // A reader that was too slow: the head that says so may still be on its way.
            let seen = format!(
                "{user} got {first} of {id} live after {before} on link {key}, and neither a skip nor a head"
            );
            self.owed.insert((key, id), seen);
        }
        if first > last {
            let seen = format!("{user} got a skip of {id} from {first} to {last}");
            return self.broke(Err(Violation {
                rule: "dense",
                seen,
            }));
        }
        *place = Some(place.map_or(last, |before| before.max(last)));
    }

    pub(crate) fn client_timer(&mut self, index: usize, life: u32) {
        let Some(device) = self.devices.get(index) else {
            return;
        };
        if device.life != life || device.timer_at.is_none_or(|at| at > self.now) {
            return;
        }
        let now = self.device_now(device);
        if let Some(device) = self.devices.get_mut(index) {
            device.timer_at = None;
            if let Some(session) = device.session.as_mut() {
                session.handle_timeout(now);
            }
        }
        self.pump_client(index);
    }

    pub(crate) fn client_disk(&mut self, index: usize, life: u32, ticket: u64, op: StoreOp) {
        let Some(device) = self.devices.get(index) else {
            return;
        };
        if device.life != life || device.session.is_none() {
            return;
        }
        let now = self.device_now(device);
        if let Some(device) = self.devices.get_mut(index) {
            let (sends, gone) = match &op {
                StoreOp::Apply(transaction) => {
                    (sends(transaction), transaction.outbox_remove.clone())
                }
                _ => (Vec::new(), Vec::new()),
            };
            // A newer read marker, own setting or draft stands for an older one; nothing else leaves without an outcome.
            let lost = gone.into_iter().find(|nonce| {
                let kind = device.disk.outbox.get(nonce).map(|record| record.kind);
                let stood_for = |kind| matches!(kind, 19 | 128 | 131);
                kind.is_some_and(|kind| !stood_for(kind)) && !self.record.settled.contains(nonce)
            });
            if let Some(nonce) = lost
                && self.violation.is_none()
            {
                let seen = format!("{nonce} left {}'s outbox and has no outcome", device.user);
                self.violation = Some(Violation {
                    rule: "outbox",
                    seen,
                });
            }
            let load = matches!(op, StoreOp::Load);
            let result = device.disk.carry_out(op);
            if result.is_ok() {
                device.outboxed.extend(sends);
            } else {
                device.forgetful = true;
            }
            if load && result.is_err() {
                self.record.outbox_lost(index, device.texts_before);
            }
            if let Some(session) = device.session.as_mut() {
                session.handle_stored(ticket, result, now);
            }
        }
        // Between two writes is where a kill hurts most.
        if self.faults && self.rng.chance(3) {
            self.report.count("fault: client killed");
            self.kill_client(index);
            let away = self.rng.between(10, 300);
            self.schedule(away, What::ClientStart(index));
            return;
        }
        self.pump_client(index);
    }

    /// Takes everything a core gives.
    pub(crate) fn pump_client(&mut self, index: usize) {
        loop {
            let Some(device) = self.devices.get_mut(index) else {
                return;
            };
            let life = device.life;
            let Some(session) = device.session.as_mut() else {
                return;
            };
            if let Some(action) = session.poll_action() {
                match action {
                    Action::Connect { link, early } => self.connect(index, link, early),
                    Action::Close { link } => self.close_by_client(index, link),
                    Action::Rebind { .. } | Action::Stopped => {}
                }
                continue;
            }
            if let Some(transmit) = session.poll_transmit() {
                let key = device.links.get(&transmit.link).copied();
                if let Some(key) = key {
                    self.client_sends(key, transmit.lane, transmit.frame);
                }
                continue;
            }
            if let Some((ticket, op)) = session.poll_store() {
                device.disk_free_at = device.disk_free_at.max(self.now) + self.rng.below(4);
                let at = device.disk_free_at;
                self.schedule_at(at, What::ClientDisk(index, life, ticket, op));
                continue;
            }
            if self.now >= device.asleep_until {
                let classes = [
                    EventClass::Completion,
                    EventClass::View,
                    EventClass::Notice,
                    EventClass::Ephemeral,
                ];
                if let Some(event) = classes
                    .into_iter()
                    .find_map(|class| session.poll_event(class))
                {
                    self.game_gets(index, event);
                    continue;
                }
            }
            break;
        }
        let Some(device) = self.devices.get_mut(index) else {
            return;
        };
        let Some(session) = device.session.as_ref() else {
            return;
        };
        if let Some(at) = session.poll_timeout()
            && device.timer_at.is_none_or(|set| at < set || set < self.now)
        {
            let at = at.max(self.now);
            device.timer_at = Some(at);
            let life = device.life;
            self.schedule_at(at, What::ClientTimer(index, life));
        }
    }

    fn close_by_client(&mut self, index: usize, local: u64) {
        let key = self
            .devices
            .get_mut(index)
            .and_then(|device| device.links.remove(&local));
        let Some(key) = key else { return };
        if let Some(link) = self.links.get_mut(&key) {
            link.client_open = false;
            let at = link.arrival(self.now, 0, true, &mut self.rng);
            self.schedule_at(at, What::ServerLost(key));
        }
    }

    fn client_sends(&mut self, key: LinkKey, lane: Lane, frame: Bytes) {
        let Some(link) = self.links.get_mut(&key) else {
            return;
        };
        if !link.client_open {
            return;
        }
        let stream = match lane {
            Lane::Datagram => DATAGRAM,
            Lane::Page => {
                link.next_stream += 1;
                self.report.count("fault: streams reordered");
                link.next_stream
            }
            _ => 0,
        };
        if stream == DATAGRAM && self.rng.chance(50) {
            return self.report.count("fault: datagram lost");
        }
        let at = link.arrival(self.now, stream, true, &mut self.rng);
        self.schedule_at(at, What::ToServer(key, stream, frame));
    }

    /// What the game does with an event.
    fn game_gets(&mut self, index: usize, event: Event) {
        let Some(device) = self.devices.get_mut(index) else {
            return;
        };
        match event {
            Event::Completed { request, result } => {
                if !device.calls.remove(&request) {
                    let seen = format!("{} got a second answer to call {request}", device.user);
                    return self.broke(Err(Violation {
                        rule: "calls",
                        seen,
                    }));
                }
                match result {
                    Ok(Completion::Sent { .. }) => self.report.count("messages acknowledged"),
                    Ok(Completion::Created { conversation })
                        if !self.threads.contains(&conversation) =>
                    {
                        self.groups.insert(conversation);
                    }
                    _ => {}
                }
            }
            Event::State(state) => {
                device.connected = state == ConnectionState::Connected;
                let expired = matches!(
                    &state,
                    ConnectionState::Refused {
                        code: Code::TokenExpired,
                        ..
                    }
                );
                if expired {
                    self.give_token(index);
                }
            }
            Event::TokenExpiring { .. } => self.give_token(index),
            Event::Conversations { diffs, .. } => {
                let fits = diffs.iter().all(|diff| diff.apply(&mut device.list));
                if !fits {
                    let seen = format!("{}'s list does not fit its diffs", device.user);
                    self.broke(Err(Violation {
                        rule: "views",
                        seen,
                    }));
                }
            }
            Event::Timeline {
                conversation,
                diffs,
                ..
            } => {
                if !device.open.contains(&conversation) {
                    return;
                }
                let rows = device.timelines.entry(conversation).or_default();
                let fits = diffs.iter().all(|diff| diff.apply(rows));
                if !fits {
                    let seen = format!(
                        "{}'s timeline of {conversation} does not fit its diffs",
                        device.user
                    );
                    self.broke(Err(Violation {
                        rule: "views",
                        seen,
                    }));
                }
            }
            Event::Badge { unread } => device.badge = unread,
            Event::Friends(friends) => device.friends = friends.to_vec(),
            Event::Folders(folders) => device.folders = folders.to_vec(),
            Event::Invited { conversation, .. } => {
                device.invitations.insert(conversation);
            }
            _ => {}
        }
    }
}

/// Names of the sends that a transaction puts into the outbox.
fn sends(transaction: &Transaction) -> Vec<fireside_protocol::Nonce> {
    let records = transaction
        .outbox
        .iter()
        .filter(|record| record.kind == 16 && record.failed == 0);
    records.map(|record| record.nonce).collect()
}
