//! Signals that end a program, during a training: the first lets the step end and a checkpoint be written, the second
//! ends it at once. Elsewhere the first does.

use signal_hook::consts::TERM_SIGNALS;
use signal_hook::flag;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What has been heard.
pub struct Signals {
    /// Whether the next signal ends the program.
    at_once: Arc<AtomicBool>,
    /// The last one's number; 0: none yet.
    heard: Arc<AtomicUsize>,
}

impl Signals {
    /// Listens to SIGINT, SIGTERM and SIGQUIT, on Unix to SIGHUP, too, which from now on wait for [`Self::heard`].
    ///
    /// # Errors
    /// What the system says.
    pub fn listen() -> io::Result<Self> {
        let (at_once, heard) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        #[cfg(unix)]
        let hangup = Some(signal_hook::consts::SIGHUP);
        #[cfg(not(unix))]
        let hangup = None;
        for signal in TERM_SIGNALS.iter().copied().chain(hangup) {
            // In this order: the one that sets the flag does not see it.
            flag::register_conditional_shutdown(signal, 128 + signal, at_once.clone())?;
            flag::register(signal, at_once.clone())?;
            flag::register_usize(signal, heard.clone(), signal as usize)?;
        }
        Ok(Signals { at_once, heard })
    }

    /// The signal that was heard, if there was one.
    pub fn heard(&self) -> Option<u8> {
        u8::try_from(self.heard.load(Ordering::Relaxed)).ok().filter(|signal| *signal > 0)
    }
}

impl Drop for Signals {
    /// What comes later ends the program.
    fn drop(&mut self) {
        self.at_once.store(true, Ordering::Relaxed);
    }
}
