//! What one thread sends and another takes: a list with a lock and a condition. For what nobody in a hurry waits for; a channel of a
//! library has several kinds in each, and takes ten times the code.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError,
        mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError},
    },
    time::{Duration, Instant},
};

/// The sending side. Its end is told to the receiving one. What is sent is bounded by who sends.
pub(crate) struct Sender<T>(Arc<Shared<T>>);

/// The receiving side: takes what was sent, in its order.
#[derive(Debug)]
pub struct Receiver<T>(Arc<Shared<T>>);

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    came: Condvar,
}

#[derive(Debug)]
struct State<T> {
    sent: VecDeque<T>,
    /// There is a sender.
    open: bool,
    /// There is a receiver.
    wanted: bool,
}

/// Both sides.
pub(crate) fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            sent: VecDeque::new(),
            open: true,
            wanted: true,
        }),
        came: Condvar::new(),
    });
    (Sender(shared.clone()), Receiver(shared))
}

impl<T> Shared<T> {
    /// Nothing is left half done by a panic: what is done with the lock held can not.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same without a call into the kernel that could put a game's thread to sleep: whoever has it is done at once.
    fn lock_awake(&self) -> MutexGuard<'_, State<T>> {
        loop {
            match self.state.try_lock() {
                Ok(state) => return state,
                Err(TryLockError::Poisoned(error)) => return error.into_inner(),
                Err(TryLockError::WouldBlock) => std::thread::yield_now(),
            }
        }
    }
}

impl<T> Sender<T> {
    /// Sends. If there is no receiver any more, it is given back.
    pub(crate) fn send(&self, value: T) -> Result<(), SendError<T>> {
        let mut state = self.0.lock();
        if !state.wanted {
            return Err(SendError(value));
        }
        state.sent.push_back(value);
        drop(state);
        self.0.came.notify_one();
        Ok(())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.lock().open = false;
        self.0.came.notify_one();
    }
}

impl<T> Receiver<T> {
    /// Takes the next if it is there. Never waits: while the sender is at it, nothing is there yet.
    ///
    /// # Errors
    /// Nothing is there; or nothing is there and the sender is gone.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        match self.0.state.try_lock() {
            Ok(mut state) => next(&mut state).unwrap_or(Err(TryRecvError::Empty)),
            Err(_) => Err(TryRecvError::Empty),
        }
    }

    /// Waits for the next.
    ///
    /// # Errors
    /// The sender is gone.
    pub(crate) fn recv(&self) -> Result<T, RecvError> {
        let mut state = self.0.lock();
        loop {
            if let Some(next) = next(&mut state) {
                return next.map_err(|_| RecvError);
            }
            state = (self.0.came.wait(state)).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for the next for so long. For tools and tests, not for a game's thread.
    ///
    /// # Errors
    /// Nothing came in time, or the sender is gone.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        let deadline = Instant::now() + timeout;
        let mut state = self.0.lock();
        loop {
            if let Some(next) = next(&mut state) {
                return next.map_err(|_| RecvTimeoutError::Disconnected);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(RecvTimeoutError::Timeout);
            }
            let waited = self.0.came.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // On the game's thread.
        let mut state = self.0.lock_awake();
        state.wanted = false;
        let left = std::mem::take(&mut state.sent);
        drop(state);
        // Without the lock: the end of a value may do anything.
        drop(left);
    }
}

fn next<T>(state: &mut State<T>) -> Option<Result<T, TryRecvError>> {
    match state.sent.pop_front() {
        Some(value) => Some(Ok(value)),
        None if state.open => None,
        None => Some(Err(TryRecvError::Disconnected)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn what_is_sent_comes_in_order_and_then_the_end() {
        let (sender, receiver) = channel();
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        let thread = std::thread::spawn(move || (0..100).try_for_each(|n| sender.send(n)));
        for expected in 0..50 {
            assert_eq!(receiver.recv(), Ok(expected));
        }
        for expected in 50..100 {
            assert_eq!(receiver.recv_timeout(SOON), Ok(expected));
        }
        assert_eq!(receiver.recv(), Err(RecvError));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
        assert_eq!(
            receiver.recv_timeout(SOON),
            Err(RecvTimeoutError::Disconnected)
        );
        assert!(matches!(thread.join(), Ok(Ok(()))));
    }

    #[test]
    fn nothing_in_time_is_said_and_nobody_to_send_to_too() {
        let (sender, receiver) = channel();
        let timeout = receiver.recv_timeout(Duration::from_millis(1));
        assert_eq!(timeout, Err(RecvTimeoutError::Timeout));
        let kept = Arc::new(());
        assert!(sender.send(kept.clone()).is_ok());
        drop(receiver);
        assert_eq!(
            Arc::strong_count(&kept),
            1,
            "what nobody takes is let go at once"
        );
        assert!(sender.send(kept).is_err());
    }
}
