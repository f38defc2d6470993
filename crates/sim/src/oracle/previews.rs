//! The model's own rules on previews of links: which message has one, of which link, and that it takes a number and nothing else.

use fireside_protocol::{ConversationId, EntryKind, Sequence};

use super::{Log, Oracle};
use crate::violation::{Violation, ensure, some};

/// What the pages of this world have for a title. A page that is read again says the same.
#[must_use]
pub fn title(link: &str) -> String {
    format!("what {link} says")
}

/// The first link of a text as this world writes them: a word that begins so.
pub(super) fn link(text: Option<&str>) -> Option<&str> {
    text?.split(' ').find(|word| word.starts_with("https://"))
}

impl Oracle<'_> {
    /// Takes in a number that added a preview; `false`: it is none.
    pub(super) fn take_preview(
        &self,
        id: ConversationId,
        log: &mut Log,
        n: Sequence,
    ) -> Result<bool, Violation> {
        let Some((target, at)) = self.record.previews.get(&(id, n)) else {
            return Ok(false);
        };
        let item = log.items.get_mut(target);
        let item = some!(
            item,
            "rights",
            "{n} of {id} is a preview of {target}, which is not there"
        );
        let now = &mut item.now;
        let link = link(now.text.as_deref()).map(str::to_owned);
        let link = link.filter(|_| now.kind == EntryKind::Message);
        let link = some!(link, "rights", "{n} of {id} is a preview of {now:?}");
        let title = title(&link);
        let preview = Some((link, title));
        ensure!(
            now.marks.preview != preview,
            "once",
            "{n} of {id} adds again what {now:?} has"
        );
        now.marks.preview = preview;
        now.rev = n;
        item.states.insert(n, now.clone());
        log.numbers.insert(n, (*at, Some(*target)));
        log.quiet.insert(n);
        Ok(true)
    }
}
