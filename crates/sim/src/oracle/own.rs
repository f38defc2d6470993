//! What the model says of what belongs to a person: from the acknowledged commands and the records that came over the wire.

use std::collections::{BTreeMap, BTreeSet};

use fireside_client_core::view::PersonalRow;
use fireside_protocol::{
    ConversationId, EntryKind, FolderId, FriendAction, FriendState, NotificationLevel, Personal,
    RecordKey, Sequence, TextContent, UserId, decode,
    frames::{UserRecord, UserRecordKind},
    personal::Draft,
};

use super::Oracle;
use crate::{
    record::{Acked, Act, Look, Moment},
    violation::{Check, ensure},
};

/// A line of a device's list, as far as it belongs to its user.
#[derive(Clone, Debug)]
pub struct OwnLine {
    /// Where.
    pub id: ConversationId,
    /// The user is a member.
    pub member: bool,
    /// Unread messages.
    pub unread: u32,
    /// What is shown of the user's own settings.
    pub personal: PersonalRow,
    /// The draft.
    pub draft: Option<String>,
    /// The last message that the device has.
    pub last_message: Sequence,
}

/// What a device shows of what belongs to its user, at rest.
#[derive(Debug)]
pub struct OwnShown<'a> {
    /// Whose.
    pub user: &'a UserId,
    /// Which device.
    pub index: usize,
    /// The total of unread messages that its game was told.
    pub badge: u64,
    /// The list.
    pub lines: Vec<OwnLine>,
    /// Friends and who might become one.
    pub friends: BTreeMap<UserId, FriendState>,
    /// Names of folders.
    pub folders: BTreeMap<FolderId, String>,
}

impl Oracle<'_> {
    /// Reading all reads at least what was known to be there before. For the logs, once they are written.
    pub(super) fn read_all(&mut self, places: &BTreeMap<(ConversationId, Sequence), Acked<'_>>) {
        let all = self.record.acked().map(|acked| acked.by);
        for by in all.filter(|by| by.act == Act::ReadAll) {
            for (id, log) in &mut self.logs {
                let numbers = places.range((*id, 0)..=(*id, Sequence::MAX));
                let before = |entry: &Acked<'_>| entry.moment < by.given;
                let sure = numbers.clone().filter(|(_, entry)| before(entry));
                let sure = sure.map(|((_, n), _)| *n).max().unwrap_or(0);
                let answered = by
                    .answer
                    .as_ref()
                    .map_or(Moment::MAX, |(moment, _)| *moment);
                let near = numbers
                    .filter(|((_, n), entry)| *n > sure && entry.by.given <= answered)
                    .map(|((_, n), _)| *n);
                let here = log.members.get(&by.user).map(|(_, all)| all);
                let inside = |all: &Vec<(Sequence, Sequence)>| {
                    all.iter()
                        .any(|(from, until)| *from <= sure && sure <= *until)
                };
                // Whose membership began later may have read nothing.
                let was_here = log.direct || here.is_some_and(inside);
                let joined = numbers_of_joins(places, *id, &by.user)
                    .any(|join| join.moment < by.given && join.sequence <= sure);
                // With history from before, who came back sees what they were out for, and had not read it; who was on the way out may
                // have been gone.
                let until = near.clone().max().unwrap_or(sure);
                let moves = log.items.iter().map(|(n, item)| (*n, &item.now));
                let moves: Vec<_> = moves
                    .filter(|(n, it)| *n <= until && it.member.as_ref() == Some(&by.user))
                    .collect();
                // Who is banned goes, and the end of a ban lets nobody in.
                let leaves = |it: &Look| {
                    matches!(
                        it.kind,
                        EntryKind::Left | EntryKind::Removed | EntryKind::Banned
                    )
                };
                let last = moves.iter().rfind(|(n, _)| *n <= sure);
                let out = last.is_some_and(|(_, it)| leaves(it))
                    || moves.iter().any(|(n, it)| *n > sure && leaves(it));
                if was_here && !out && (joined || log.direct) && sure > 0 {
                    let read = log.read.entry(by.user.clone()).or_default();
                    *read = (*read).max(sure);
                }
                let perhaps = log.perhaps.entry(by.user.clone()).or_default();
                perhaps.push(sure);
                perhaps.extend(near);
            }
        }
    }

    /// Everything that a device shows of it.
    pub fn check_own(&self, device: &OwnShown<'_>) -> Check {
        let who = format!("{} (device {})", device.user, device.index);
        let mut badge = 0;
        for line in &device.lines {
            self.check_personal(&who, device.user, line)?;
            self.check_draft(&who, device.user, line)?;
            let quiet = line.personal.muted || line.personal.archived || !line.member;
            let counts = u64::from(line.unread).max(u64::from(line.personal.marked_unread));
            badge += if quiet { 0 } else { counts };
        }
        let has = device.badge;
        ensure!(has == badge, "own", "{who} counts {has}, not {badge}");
        let of_kind = |kind| self.record.newest_of(device.user, kind);
        let folders: BTreeMap<_, _> = of_kind(UserRecordKind::Folder)
            .filter_map(|record| Some((record.folder?, record.name.clone())))
            .collect();
        let has = &device.folders;
        ensure!(*has == folders, "own", "{who} has {has:?}, not {folders:?}");
        let friends: BTreeMap<_, _> = of_kind(UserRecordKind::Friend)
            .filter_map(|record| Some((record.user.clone()?, state_of(record))))
            .collect();
        let has = &device.friends;
        ensure!(*has == friends, "own", "{who} has {has:?}, not {friends:?}");
        Ok(())
    }

    /// A line shows what the newest record says, and that is what the last commands said.
    fn check_personal(&self, who: &str, user: &UserId, line: &OwnLine) -> Check {
        let key = RecordKey::of_conversation(UserRecordKind::Personal, line.id);
        let newest = self.record.newest(user, &key);
        let said: Personal = newest
            .and_then(|record| decode(&record.body).ok())
            .unwrap_or(Personal::NOTHING);
        let for_ever = said.muted_until == Some(u64::MAX);
        let back = line.last_message > said.archived_to && !for_ever;
        let due = PersonalRow {
            pinned: said.pinned == Some(true),
            archived: said.archived == Some(true) && !back,
            // At rest all other mutes have ended.
            muted: for_ever,
            muted_until: said.muted_until.unwrap_or(0),
            level: said.level.unwrap_or(NotificationLevel::All),
            marked_unread: said.marked_unread == Some(true),
            folder: said.folder,
        };
        let mut has = line.personal;
        if !line.member {
            // What the last message was is not known any more.
            has.archived = due.archived;
        }
        let what = format!("{who} in {}", line.id);
        let last = line.last_message;
        ensure!(
            has == due,
            "own",
            "{what} shows {has:?}, not {due:?} of {said:?} with message {last}"
        );
        let set = |of: &dyn Fn(&Personal) -> Option<u64>| -> BTreeSet<u64> {
            let changes = self.own_acts(user, line.id).filter_map(|acked| {
                let Act::Personal(change) = &acked.by.act else {
                    return None;
                };
                Some((acked, of(change)?))
            });
            let changes: Vec<_> = changes.collect();
            let mut last = last_of(&changes);
            if last.is_empty() {
                last.insert(0);
            }
            last
        };
        let flag = |on: Option<bool>| on.map(u64::from);
        let pinned = set(&|change| flag(change.pinned));
        let archived = set(&|change| flag(change.archived));
        let muted = set(&|change| change.muted_until);
        let said_of = [
            (u64::from(due.pinned), pinned, "pinned"),
            (flag(said.archived).unwrap_or(0), archived, "archived"),
            (due.muted_until, muted, "muted"),
        ];
        for (has, may, field) in said_of {
            ensure!(
                may.contains(&has),
                "own",
                "{what} {field} is {has}, may be {may:?}"
            );
        }
        let marked = set(&|change| flag(change.marked_unread));
        let mut acts = self.own_acts(user, line.id);
        let reads = acts.any(|acked| matches!(acked.by.act, Act::Read(_) | Act::ReadAll));
        // A marker that was refused may have moved before its user left, and its answer was lost.
        let mut all = self.record.commands.values();
        let reads = reads
            || all.any(|by| {
                let here = by.user == *user && by.place == line.id;
                here && matches!((&by.act, &by.answer), (Act::Read(_), Some((_, Err(_)))))
            });
        let has = u64::from(due.marked_unread);
        let may = marked.contains(&has) || has == 0 && reads;
        ensure!(may, "own", "{what} is marked {has}, may be {marked:?}");
        Ok(())
    }

    /// A draft is the last one said, and no later message took it away.
    fn check_draft(&self, who: &str, user: &UserId, line: &OwnLine) -> Check {
        let key = RecordKey::of_conversation(UserRecordKind::Draft, line.id);
        let newest = self.record.newest(user, &key);
        let said: Option<Draft> = newest.and_then(|record| decode(&record.body).ok());
        let text = said.as_ref().map(|said| {
            decode::<TextContent>(&said.content).map_or_else(|_| String::new(), |it| it.text)
        });
        let (has, what) = (&line.draft, format!("{who} in {}", line.id));
        ensure!(
            *has == text,
            "own",
            "{what} has the draft {has:?}, not {text:?}"
        );
        let drafts = self
            .own_acts(user, line.id)
            .filter_map(|acked| match &acked.by.act {
                Act::Draft(text) => Some((acked, text.clone())),
                _ => None,
            });
        let drafts: Vec<_> = drafts.collect();
        let last = last_of(&drafts);
        let sends = || {
            let acts = self.own_acts(user, line.id);
            acts.filter(|acked| matches!(acked.by.act, Act::Say(..)))
        };
        let Some(said) = said else {
            let sent = sends().next().is_some();
            let none = last.is_empty() || last.contains("") || sent;
            ensure!(none, "own", "{what} has no draft, of {last:?}");
            return Ok(());
        };
        let text = text.unwrap_or_default();
        ensure!(
            last.contains(&text),
            "own",
            "{what} has {text:?}, of {last:?}"
        );
        let set = drafts
            .iter()
            .find(|(acked, _)| acked.by.frame.nonce() == Some(said.nonce));
        let set = set.map_or(Moment::MAX, |(acked, _)| acked.moment);
        let mut later =
            sends().filter(|send| send.by.frame.nonce() > Some(said.nonce) && set < send.by.given);
        let sent = later.next();
        ensure!(
            sent.is_none(),
            "own",
            "{what} has the draft {text:?} after {sent:?}"
        );
        Ok(())
    }

    /// Friends are friends of each other, and nothing passed a block.
    pub fn check_friends(&self) -> Check {
        for (user, record, moment) in &self.record.friends_told {
            let Some(other) = record.user.as_ref().filter(|_| !record.gone) else {
                continue;
            };
            if state_of(record) != FriendState::Asks {
                continue;
            }
            let mut asked = self.friend_acts(other, user).filter(|acked| {
                matches!(acked.by.act, Act::Friend(_, FriendAction::Request))
                    && acked.by.given <= *moment
                    && self.closed(other, user, acked.span()) != Some(true)
            });
            ensure!(
                asked.next().is_some(),
                "own",
                "{user} is asked by {other}, who may not: {record:?}"
            );
        }
        let friends = |acked: &Acked<'_>| match &acked.by.act {
            Act::Friend(other, _) => Some((acked.by.user.clone(), other.clone())),
            _ => None,
        };
        let pairs: BTreeSet<(UserId, UserId)> = (self.record.acked())
            .filter_map(|acked| friends(&acked))
            .map(|(one, other)| {
                if one < other {
                    (one, other)
                } else {
                    (other, one)
                }
            })
            .collect();
        for (one, other) in &pairs {
            self.check_pair(one, other)?;
        }
        Ok(())
    }

    /// Nobody is told of a mark that was only made while its user told nothing.
    pub fn check_marks(&self) -> Check {
        for ((user, of, id, read), moment) in &self.record.marks_told {
            let off = |span| {
                self.during(span, |command| match &command.act {
                    Act::Receipts(on) if command.user == *of => Some(!*on),
                    _ => None,
                })
            };
            let mut reads = self.record.commands.values().filter(|by| {
                let reaches = match &by.act {
                    Act::Read(n) => by.place == *id && n >= read,
                    Act::ReadAll => true,
                    _ => false,
                };
                by.user == *of && by.given <= *moment && reaches
            });
            let told = reads.any(|by| off((by.given, *moment)) != Some(true));
            ensure!(
                told,
                "receipts",
                "{user} is told that {of}, who tells nothing, has read {id} to {read}"
            );
        }
        Ok(())
    }

    fn check_pair(&self, one: &UserId, other: &UserId) -> Check {
        let blocked = self.rights.iter().any(|acked| match &acked.by.act {
            Act::Block(of, _) => {
                let pair = [&acked.by.user, of];
                pair == [one, other] || pair == [other, one]
            }
            _ => false,
        });
        if blocked {
            return Ok(());
        }
        let held = |who: &UserId, with: &UserId| {
            let key = RecordKey::of_user(UserRecordKind::Friend, with.clone());
            let newest = self.record.newest(who, &key);
            newest.map_or(0, |record| state_of(record).number())
        };
        let has = (held(one, other), held(other, one));
        let fits = matches!(has, (0, 0) | (1, 2) | (2, 1) | (3, 3));
        ensure!(fits, "own", "{one} and {other} stand as {has:?}");
        let mut acts: Vec<Acked<'_>> = (self.friend_acts(one, other))
            .chain(self.friend_acts(other, one))
            .collect();
        acts.sort_by_key(|acked| acked.by.given);
        let mut pairs = acts.iter().zip(acts.iter().skip(1));
        if pairs.any(|(before, after)| after.by.given <= before.moment) {
            // Two at once: either order is right.
            return Ok(());
        }
        let due = acts.iter().fold((0, 0), |(mine, theirs), acked| {
            let first = acked.by.user == *one;
            let (me, them) = if first {
                (mine, theirs)
            } else {
                (theirs, mine)
            };
            let (me, them) = match &acked.by.act {
                Act::Friend(_, FriendAction::Request) if me == 3 => (me, them),
                Act::Friend(_, FriendAction::Request) if me == 2 || them == 1 => (3, 3),
                Act::Friend(_, FriendAction::Request) => (1, 2),
                Act::Friend(_, FriendAction::Accept) => (3, 3),
                _ => (0, 0),
            };
            if first { (me, them) } else { (them, me) }
        });
        ensure!(
            has == due,
            "own",
            "{one} and {other} stand as {has:?}, not {due:?} after {acts:?}"
        );
        Ok(())
    }

    /// Whether a user ever told nothing of how far they have read.
    pub(super) fn told_nothing(&self, user: &UserId) -> bool {
        let mut acts = self.rights.iter();
        acts.any(|acked| acked.by.user == *user && acked.by.act == Act::Receipts(false))
    }

    /// Acknowledged commands of a user about a conversation, or about all.
    fn own_acts<'s>(
        &'s self,
        user: &'s UserId,
        id: ConversationId,
    ) -> impl Iterator<Item = Acked<'s>> {
        self.record.acked().filter(move |acked| {
            acked.by.user == *user && (acked.by.place == id || acked.by.act == Act::ReadAll)
        })
    }

    fn friend_acts<'s>(
        &'s self,
        user: &'s UserId,
        other: &'s UserId,
    ) -> impl Iterator<Item = Acked<'s>> {
        self.record.acked().filter(move |acked| {
            acked.by.user == *user && matches!(&acked.by.act, Act::Friend(with, _) if with == other)
        })
    }
}

/// Entries that let a user in, of a log.
fn numbers_of_joins<'p, 'a>(
    places: &'p BTreeMap<(ConversationId, Sequence), Acked<'a>>,
    id: ConversationId,
    user: &'p UserId,
) -> impl Iterator<Item = &'p Acked<'a>> {
    let numbers = places.range((id, 0)..=(id, Sequence::MAX));
    numbers.map(|(_, acked)| acked).filter(move |acked| {
        acked.by.user == *user && matches!(acked.by.act, Act::Join | Act::Create(..))
    })
}

/// What those said that may have been carried out last.
fn last_of<T: Clone + Ord>(said: &[(Acked<'_>, T)]) -> BTreeSet<T> {
    let newest = said.iter().map(|(acked, _)| acked.by.given).max();
    let newest = newest.unwrap_or(0);
    let last = said.iter().filter(|(acked, _)| acked.moment >= newest);
    last.map(|(_, value)| value.clone()).collect()
}

fn state_of(record: &UserRecord) -> FriendState {
    FriendState::from_number(u16::try_from(record.value).unwrap_or(u16::MAX))
}
