//! How long work shows on a terminal that it moves.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::context::Context;

/// How often the bar is drawn, in times per second.
const DRAWS_PER_SECOND: u8 = 10;

/// A bar on stderr; nothing at all where stderr is no terminal or nobody wants one.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar over bytes of input, with speed and time left. A length of 0 is not known.
    pub(crate) fn bytes(context: &Context, length: u64) -> Self {
        let shape = "{msg:9} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        Self::new(context, length, shape, "{msg:9} {spinner} {bytes} {bytes_per_sec}")
    }

    /// A bar over things that are counted, with speed and time left. A length of 0 is not known.
    pub(crate) fn count(context: &Context, length: u64) -> Self {
        Self::new(
            context,
            length,
            "{msg:9} {bar:30} {human_pos}/{human_len} {per_sec} {eta}",
            "{msg:9} {spinner} {human_pos} {per_sec}",
        )
    }

    fn new(context: &Context, length: u64, with_length: &str, without: &str) -> Self {
        if !context.shows_progress() {
            return Self(ProgressBar::hidden());
        }
        let (bar, shape) = if length == 0 {
            (ProgressBar::new_spinner(), without)
        } else {
            (ProgressBar::new(length), with_length)
        };
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND));
        if let Ok(style) = ProgressStyle::with_template(shape) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// Shows that this much is done.
    pub(crate) fn at(&self, done: u64) {
        self.0.set_position(done);
    }

    /// Shows that this much of so much is done.
    pub(crate) fn of(&self, done: u64, all: u64) {
        self.0.set_length(all);
        self.0.set_position(done);
    }

    /// Shows what is being done.
    pub(crate) fn says(&self, what: &'static str) {
        self.0.set_message(what);
    }

    /// Starts over with another length.
    pub(crate) fn restart(&self, length: u64) {
        self.0.set_length(length);
        self.0.reset();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
