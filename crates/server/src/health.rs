//! What the gateway counts, for logs and proofs.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        #[derive(Debug, Default)]
        pub(crate) struct Counts {
            $(pub(crate) $name: AtomicU64,)*
        }

        /// What the gateway counted since the server started.
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        pub struct GatewayCounters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counts {
            pub(crate) fn read(&self) -> GatewayCounters {
                GatewayCounters { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counts! {
    /// Connections accepted.
    accepted,
    /// Connections now.
    connections,
    /// Handshakes now.
    handshakes,
    /// Clients asked to show that their address is theirs.
    retried,
    /// Connections refused because there are too many, or the server goes down.
    refused,
    /// Log-ins taken.
    log_ins,
    /// Of them with a resume secret.
    resumed,
    /// Of them in early data.
    early,
    /// Log-ins refused.
    log_ins_refused,
    /// Connections ended for bytes that are not frames.
    bad_frames,
    /// Links whose page found no room in the queue of those that are to be read.
    previews_dropped,
    /// Links whose page was known, or known not to be read.
    previews_known,
    /// Pages read for links.
    previews_read,
    /// Pages that could not be read, or are not to be.
    previews_failed,
}

/// One more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// One less.
pub(crate) fn uncount(counter: &AtomicU64) {
    counter.fetch_sub(1, Ordering::Relaxed);
}
