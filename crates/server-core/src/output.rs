//! What the node wants done, until it is polled.

use std::collections::VecDeque;

use bytes::Bytes;
use fireside_protocol::{Code, DeviceId, Lane, ServerFrame, UserId};

use crate::{
    node::{Origin, Published, SessionKey, Transmit},
    previews::PreviewRequest,
    session::Session,
    storage::{Op, Ticket},
};

/// Queues that the driver empties after every call.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) transmits: VecDeque<Transmit>,
    pub(crate) ops: VecDeque<(Ticket, Op)>,
    pub(crate) published: VecDeque<Published>,
    pub(crate) disconnects: VecDeque<(SessionKey, Code)>,
    pub(crate) revoked: VecDeque<(UserId, DeviceId)>,
    pub(crate) previews: VecDeque<PreviewRequest>,
}

impl Output {
    /// Queues a frame whatever room there is.
    pub(crate) fn push(
        &mut self,
        key: SessionKey,
        session: &Session,
        lane: Lane,
        stream: u64,
        last: bool,
        frame: Bytes,
    ) {
        session.outbound.add(frame.len());
        self.transmits.push_back(Transmit {
            session: key,
            lane,
            stream,
            last,
            frame,
        });
    }

    /// Queues a frame that nobody asked for, if there is room. What is lost is asked for again by the client.
    pub(crate) fn push_live(&mut self, key: SessionKey, session: &Session, frame: &Bytes) -> bool {
        let room = session.outbound.has_room_live(frame.len());
        if room {
            self.push(key, session, Lane::Chat, 0, false, frame.clone());
        }
        room
    }

    /// Queues an answer; `false` if there is no room.
    pub(crate) fn answer(
        &mut self,
        key: SessionKey,
        session: &Session,
        origin: Origin,
        frame: &ServerFrame,
    ) -> bool {
        let bytes = frame.encode(origin.request);
        if !session.outbound.has_room_answer(bytes.len()) {
            return false;
        }
        let on_page = origin.stream != 0;
        let lane = if on_page { Lane::Page } else { frame.lane() };
        // Whatever answers a request on the session stream goes there.
        let lane = if !on_page && lane == Lane::Page {
            Lane::Chat
        } else {
            lane
        };
        self.push(key, session, lane, origin.stream, on_page, bytes);
        true
    }
}
