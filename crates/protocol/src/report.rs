//! Reports: what a user asks moderators to look at.

use crate::{
    Code, ConversationId, Nonce, UserId,
    ids::Sequence,
    limits::{REPORT_TEXT_BYTES_MAX, REPORT_TEXT_GRAPHEMES_MAX},
    open_enum, record,
    text::Count,
};

open_enum! {
    /// Why something is reported.
    ReportReason {
        /// Advertising, or the same over and over.
        1 Spam,
        /// Insults and threats.
        2 Harassment,
        /// Hatred of people for what they are.
        3 Hate,
        /// Sexual content or approaches.
        4 Sexual,
        /// Violence, or a call for it.
        5 Violence,
        /// Somebody may hurt themselves.
        6 SelfHarm,
        /// Cheating or fraud.
        7 Cheating,
        /// Anything else: the text says it.
        8 Other,
    }
}

record! {
    /// Reports a message, or a user. What the user sees around it is kept as evidence.
    Report {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// Where. Must be there for a message; with a user, where it was.
        opt "c" conversation: Option<ConversationId>,
        /// The message's number; 0: a user is reported.
        opt "n" sequence: Sequence,
        /// Whom; not used for a message, whose author it is.
        opt "u" user: Option<UserId>,
        /// Why.
        req "re" reason: ReportReason,
        /// In the user's own words.
        opt "tx" text: String,
    }
}

impl Report {
    /// Checks what it names and its text.
    ///
    /// # Errors
    /// `argument_invalid`, `text_too_long`.
    pub fn check(&self, count: Count) -> Result<(), Code> {
        let names = match self.sequence {
            0 => self.user.is_some(),
            _ => self.conversation.is_some(),
        };
        if !names || matches!(self.reason, ReportReason::Unknown(_)) {
            return Err(Code::ArgumentInvalid);
        }
        let long = self.text.len() > REPORT_TEXT_BYTES_MAX
            || count.over(&self.text, REPORT_TEXT_GRAPHEMES_MAX);
        if long {
            return Err(Code::TextTooLong);
        }
        if self.text.chars().any(|c| c.is_control() && c != '\n') {
            return Err(Code::ContentInvalid);
        }
        Ok(())
    }
}
