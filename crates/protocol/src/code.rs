//! Error codes: one table for the wire, REST, C, C#, Blueprint and the docs.

macro_rules! codes {
    ($($(#[$doc:meta])* $number:literal $name:ident $key:literal $retryable:literal $text:literal;)*) => {
        /// Why something was refused. Numbers are stable and never used again.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* #[doc = $text] $name,)*
            /// A code this build does not know; treated as refused for good.
            Unknown(u16),
        }

        impl Code {
            /// All known codes, ascending.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The number on the wire.
            #[must_use]
            pub const fn number(self) -> u16 {
                match self { $(Self::$name => $number,)* Self::Unknown(number) => number }
            }

            /// The code of a number from the wire.
            #[must_use]
            pub const fn from_number(number: u16) -> Self {
                match number { $($number => Self::$name,)* other => Self::Unknown(other) }
            }

            /// The stable name, `snake_case`.
            #[must_use]
            pub const fn key(self) -> &'static str {
                match self { $(Self::$name => $key,)* Self::Unknown(_) => "unknown" }
            }

            /// What was wrong and what to do, in one sentence.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* Self::Unknown(_) => "unknown code; update the client" }
            }

            /// Whether the same request may succeed later without being changed.
            #[must_use]
            pub const fn retryable(self) -> bool {
                match self { $(Self::$name => $retryable,)* Self::Unknown(_) => false }
            }
        }
    };
}

codes! {
    // 1xx: the frame
    100 BadFrame "bad_frame" false "the bytes are not a frame of this protocol; the connection ends";
    101 FrameTooLarge "frame_too_large" false "the frame is over the limit of its stream; send less at once";
    102 BadBody "bad_body" false "the body does not fit its kind; a field is missing, doubled or of the wrong type";
    103 UnknownRequest "unknown_request" false "this server does not know the request; update the server or do without";
    104 VersionUnsupported "version_unsupported" false "no common protocol version; update the older side";
    105 NotLoggedIn "not_logged_in" false "the first frame must be hello or resume";
    106 NotInEarlyData "not_in_early_data" true "only resume and reads may be early data; send it again after the handshake";
    107 TooManyRequests "too_many_requests" true "too many requests wait for an answer; wait for some";
    // 2xx: who
    200 TokenInvalid "token_invalid" false "the token is malformed or its signature does not fit any key; ask the game's backend for another";
    201 TokenExpired "token_expired" false "the token has expired; ask the game's backend for another";
    202 TokenNotYetValid "token_not_yet_valid" true "the token is not valid yet; check the clocks";
    203 TokenRevoked "token_revoked" false "the token was issued before the user's tokens were revoked; log in again";
    204 TokenOtherUser "token_other_user" false "the new token belongs to another user; log out first";
    205 Banned "banned" false "the user is banned from this server until the given time";
    206 DeviceReplaced "device_replaced" false "another device of the user took this one's place";
    207 ResumeUnknown "resume_unknown" true "the server does not know this resume secret; log in with the token";
    208 SessionRevoked "session_revoked" false "this device was signed out";
    // 3xx: may they
    300 NotFound "not_found" false "no such conversation or message, or you may not see it";
    301 Forbidden "forbidden" false "your role does not allow this";
    302 Conflict "conflict" false "the message was changed meanwhile; look at it again";
    303 WindowClosed "window_closed" false "too late to edit or recall this message";
    304 NotMember "not_member" false "the named user is not a member";
    305 AlreadyMember "already_member" false "the user is a member already";
    306 NotInvited "not_invited" false "this conversation is joined by invitation only";
    307 AlreadyExists "already_exists" false "it exists already";
    308 OwnerMustTransfer "owner_must_transfer" false "the owner must hand over the conversation first";
    309 Frozen "frozen" false "only admins and the owner write here now";
    310 NotAsked "not_asked" false "the named user does not ask to come in (any more)";
    311 Muted "muted" false "you may not write here until the given time";
    312 Barred "barred" false "the user is banned from this conversation until the given time";
    313 LinkInvalid "link_invalid" false "there is no such link (any more)";
    320 NoFriendRequest "no_friend_request" false "the named user does not ask to be your friend (any more)";
    321 TooManyReports "too_many_reports" false "too many reports in a day; those that came are looked at";
    330 PollClosed "poll_closed" false "the poll is closed; no vote counts any more";
    331 MessageOver "message_over" false "the time at which the message was to end had passed when it came; nothing was sent";
    332 LifetimeInvalid "lifetime_invalid" false "a message ends within 366 days; what a conversation's messages live is 5 s to 366 days, or 0";
    333 NotForwardable "not_forwardable" false "this can not be forwarded: it is gone, it ends, or it only means something where it was said";
    // 4xx: the content
    400 TextEmpty "text_empty" false "the text is empty";
    401 TextTooLong "text_too_long" false "the text is over 4,000 characters or 16 KiB";
    402 NameInvalid "name_invalid" false "the name is empty, over 64 characters, or has control characters";
    403 ContentTooLarge "content_too_large" false "the content is over 20 KiB";
    404 ContentInvalid "content_invalid" false "the content does not fit its kind";
    405 KindUnsupported "kind_unsupported" false "this server does not take this kind of message";
    406 UserInvalid "user_invalid" false "a user id is 1 to 64 bytes without control characters";
    407 TooManyMembers "too_many_members" false "the conversation is full";
    408 TooManyNamed "too_many_named" false "too many users are named in one request";
    409 Rejected "rejected" false "moderation did not let the message pass";
    410 ArgumentInvalid "argument_invalid" false "an argument is outside its range";
    411 LimitReached "limit_reached" false "a limit of this account is reached; remove something first";
    // 5xx: not now
    500 RateLimited "rate_limited" true "too fast; try again after the given time";
    501 Overloaded "overloaded" true "the server has too much to do; try again after the given time";
    502 StorageFull "storage_full" true "the server's disk is full; nothing was stored";
    503 StorageUnavailable "storage_unavailable" true "the server's store does not answer; nothing was stored";
    504 RetryInOrder "retry_in_order" true "the message before this one has no outcome yet; send both again in order";
    505 Draining "draining" true "the server is going down; connect again";
    506 Held "held" true "the message waits for a moderator";
    507 SlowMode "slow_mode" true "members of this conversation write at intervals; try again after the given time";
    // 6xx: made by the client
    600 Offline "offline" true "there is no connection and this can not wait for one";
    601 Busy "busy" true "too many calls are pending; try again when some are done";
    602 OutboxFull "outbox_full" true "the outbox is full; wait until some messages are sent";
    603 Expired "expired" false "the message could not be sent for 7 days";
    604 Cancelled "cancelled" false "the client was shut down or the call was taken back";
    605 TimedOut "timed_out" true "the server did not answer in time";
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.text(), self.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique_and_ascending() {
        assert!(Code::ALL.windows(2).all(|w| w[0].number() < w[1].number()));
        for code in Code::ALL {
            assert_eq!(Code::from_number(code.number()), *code);
        }
    }
}
