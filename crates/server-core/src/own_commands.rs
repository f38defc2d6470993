//! Commands about what belongs to a person: checked here, decided with the store, told to the user's sessions.

use bytes::Bytes;
use fireside_protocol::{
    ClientFrame, Code, FolderId, FriendAction, Now, UserId,
    frames::UserRecordKind,
    personal::SetFolder,
    text::{Count, normalise_name},
};

use crate::{
    answers::BUSY_RETRY_MS,
    appended::{STORE_RETRY_MS, answer_of},
    job::{Job, Pending, command_of},
    node::Node,
    own::{OwnChange, SetOwn, friend_of},
    storage::{Op, Reply, StoreError},
};

/// What a frame changes of what belongs to a user; `None`: it is another kind of frame.
pub(crate) fn own_change(me: &UserId, frame: &ClientFrame) -> Option<Result<OwnChange, Code>> {
    Some(match frame {
        ClientFrame::SetPersonal(frame) => frame.change.check().map(|()| OwnChange::Personal {
            conversation: frame.conversation,
            change: frame.change.clone(),
        }),
        ClientFrame::ReadAll(_) => Ok(OwnChange::ReadAll),
        ClientFrame::SetFolder(frame) => folder(frame),
        ClientFrame::SetDraft(frame) => frame.check(Count::GRAPHEMES).map(|()| OwnChange::Draft {
            conversation: frame.conversation,
            // What came is a slice of a whole read of the stream.
            content: Bytes::copy_from_slice(&frame.content),
            reply_to: frame.reply_to,
        }),
        ClientFrame::Friend(frame) => {
            if frame.user == *me || matches!(frame.action, FriendAction::Unknown(_)) {
                return Some(Err(Code::ArgumentInvalid));
            }
            Ok(OwnChange::Friend {
                other: frame.user.clone(),
                action: frame.action,
            })
        }
        ClientFrame::SetProfile(frame) => frame.change().map(|change| OwnChange::Profile {
            change: Box::new(change),
        }),
        ClientFrame::SetReceipts(frame) => Ok(OwnChange::Receipts { on: frame.on }),
        _ => return None,
    })
}

fn folder(frame: &SetFolder) -> Result<OwnChange, Code> {
    if frame.folder == FolderId::default() {
        return Err(Code::ArgumentInvalid);
    }
    let name = match frame.name.as_str() {
        "" => String::new(),
        name => normalise_name(name).map_err(|error| error.code())?,
    };
    Ok(OwnChange::Folder {
        folder: frame.folder,
        name,
        order: frame.order,
    })
}

impl Node {
    /// Hands a change to the store, which decides it.
    pub(crate) fn set_own(&mut self, change: Result<OwnChange, Code>, job: Box<Job>, now: Now) {
        let change = match change {
            Ok(change) => change,
            Err(code) => return self.give_up(job, code, 0),
        };
        if let Some(command) = command_of(&job, now) {
            let set = Box::new(SetOwn { command, change });
            self.submit(Op::SetOwn(set), Pending::Own(job), now);
        }
    }

    /// A change was decided.
    pub(crate) fn own_set(&mut self, job: Box<Job>, result: Result<Reply, StoreError>, now: Now) {
        match result {
            Ok(Reply::OwnSet(set)) => {
                for mark in &set.marks {
                    if let Some(conversation) = self.conversations.key(mark.conversation) {
                        self.marker_moved(conversation, mark, now);
                        self.conversations.release(conversation);
                    }
                }
                for (user, record) in &set.records {
                    if record.kind == UserRecordKind::Receipts
                        && !self.config.breaks.receipts_off_ignored
                    {
                        self.tells_receipts(user, record.gone, now);
                    }
                }
                for (user, record) in &set.records {
                    if let (UserRecordKind::Friend, Some(other)) = (record.kind, &record.user) {
                        let on = friend_of(record).is_some();
                        self.presence_friend(user, other, on, now);
                    }
                }
                self.send_records(&set.records);
                if let Some(nonce) = job.nonce() {
                    self.finish(&job, answer_of(nonce, set.outcome));
                }
            }
            Ok(_) => self.give_up(job, Code::StorageUnavailable, BUSY_RETRY_MS),
            Err(error) => {
                self.counters.store_errors += 1;
                self.give_up(job, error.code(), STORE_RETRY_MS);
            }
        }
    }
}
