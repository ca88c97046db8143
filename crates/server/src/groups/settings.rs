//! What may be chosen about a group?

use std::time::Duration;

use super::progress::CheckpointRules;

/// Most events in one of the buffers of a group.
const MAX_BUFFER_EVENTS: u32 = 100_000;

/// Which consumer gets the next event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// The first one, until it holds as many as it may.
    DispatchToSingle,
    /// One after the other.
    RoundRobin,
    /// Events of one stream go to one consumer.
    Pinned,
    /// Events with one correlation id go to one consumer.
    PinnedByCorrelation,
}

impl Strategy {
    /// Every strategy.
    const ALL: [Strategy; 4] =
        [Strategy::DispatchToSingle, Strategy::RoundRobin, Strategy::Pinned, Strategy::PinnedByCorrelation];

    /// Its name, as clients write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Strategy::DispatchToSingle => "DispatchToSingle",
            Strategy::RoundRobin => "RoundRobin",
            Strategy::Pinned => "Pinned",
            Strategy::PinnedByCorrelation => "PinnedByCorrelation",
        }
    }

    /// The strategy of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strategy| strategy.name() == name)
    }

    /// Whether an event's key decides.
    pub(super) fn pins(self) -> bool {
        matches!(self, Strategy::Pinned | Strategy::PinnedByCorrelation)
    }
}

/// Whether a group measures how long its consumers take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExtraStatistics {
    /// How long answers take is measured too.
    Kept,
    /// Only counts are kept.
    Omitted,
}

/// What may be chosen about a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// What consumers see of links.
    pub(crate) links: crate::links::Links,
    /// Whether times are measured.
    pub(crate) extra_statistics: ExtraStatistics,
    /// How long a consumer may take to answer.
    pub(crate) message_timeout: Duration,
    /// How often an event is delivered again before it is parked.
    pub(crate) max_retry_count: u32,
    /// How long after the last checkpoint the next is due; zero: never because of time.
    pub(crate) checkpoint_after: Duration,
    /// Fewest handled events that are worth a checkpoint.
    pub(crate) min_checkpoint_count: u32,
    /// Most handled events without a checkpoint.
    pub(crate) max_checkpoint_count: u32,
    /// Most consumers; zero: as many as a server allows.
    pub(crate) max_subscriber_count: u32,
    /// Events kept in memory while the group is at the end of its source.
    pub(crate) live_buffer_size: u32,
    /// Events kept in memory while it is not.
    pub(crate) history_buffer_size: u32,
    /// Room for so many is waited for before more is read.
    pub(crate) read_batch_size: u32,
    /// Which consumer gets the next event.
    pub(crate) strategy: Strategy,
}

impl Default for Settings {
    /// What clients send where nothing is chosen.
    fn default() -> Self {
        Self {
            links: crate::links::Links::Show,
            extra_statistics: ExtraStatistics::Omitted,
            message_timeout: Duration::from_secs(30),
            max_retry_count: 10,
            checkpoint_after: Duration::from_secs(2),
            min_checkpoint_count: 10,
            max_checkpoint_count: 1_000,
            max_subscriber_count: 0,
            live_buffer_size: 500,
            history_buffer_size: 500,
            read_batch_size: 20,
            strategy: Strategy::RoundRobin,
        }
    }
}

impl Settings {
    /// Checks that they fit together.
    ///
    /// # Errors
    /// What is wrong, in a sentence for the one who asked.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (name, size) in [
            ("live", self.live_buffer_size),
            ("history", self.history_buffer_size),
            ("read", self.read_batch_size),
        ] {
            if size > MAX_BUFFER_EVENTS {
                return Err(format!(
                    "the {name} buffer is to hold {size} events, at most {MAX_BUFFER_EVENTS} are allowed"
                ));
            }
        }
        if self.read_batch_size == 0 {
            return Err("the read batch size is 0: nothing would be read".to_owned());
        }
        if self.read_batch_size >= self.history_buffer_size {
            return Err(format!(
                "the read batch size ({}) must be smaller than the history buffer size ({})",
                self.read_batch_size, self.history_buffer_size
            ));
        }
        Ok(())
    }

    /// When progress is written.
    pub(super) fn checkpoints(&self) -> CheckpointRules {
        CheckpointRules {
            after: Some(self.checkpoint_after).filter(|after| !after.is_zero()),
            min: u64::from(self.min_checkpoint_count),
            max: u64::from(self.max_checkpoint_count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_together_is_refused() {
        assert_eq!(Settings::default().check(), Ok(()));
        let refused = |settings: Settings| settings.check().expect_err("it is refused");
        assert!(refused(Settings { read_batch_size: 500, ..Settings::default() }).contains("smaller"));
        assert!(refused(Settings { read_batch_size: 0, ..Settings::default() }).contains("nothing"));
        let large = MAX_BUFFER_EVENTS + 1;
        assert!(refused(Settings { live_buffer_size: large, ..Settings::default() }).contains("live"));
    }

    #[test]
    fn a_strategy_has_one_name() {
        for strategy in Strategy::ALL {
            assert_eq!(Strategy::named(strategy.name()), Some(strategy));
        }
        assert_eq!(Strategy::named("Nobody"), None);
    }
}
