//! A place in a store's logs that a reader can keep, carry and come back to.

use std::fmt;
use std::str::FromStr;

use crate::{Position, StoreId};

/// How far a reader has come, or how far a writer wrote: one position per log of the store.
///
/// It is opaque: comparing checkpoints of different stores is an error, and so is one from before a restore that
/// lost what it points to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Checkpoint {
    store: StoreId,
    epoch: u32,
    /// The next position to read, one per log. The embedded log is one.
    next: Vec<Position>,
}

/// Most logs that one checkpoint may hold a place in.
const MAX_LOGS: usize = 4_096;

/// Text that is not a checkpoint, or two checkpoints that cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The text is not a checkpoint of this version.
    #[error("'{0}' is not a checkpoint: give one exactly as Factum printed it")]
    Malformed(String),
    /// The checkpoint belongs to another store.
    #[error("the checkpoint belongs to store {found}, this is store {expected}")]
    OtherStore {
        /// This store.
        expected: StoreId,
        /// The checkpoint's store.
        found: StoreId,
    },
    /// The checkpoint was taken before or after a restore that changed the store's history.
    #[error(
        "the checkpoint is of epoch {found}, the store is in epoch {expected}: it was restored in between"
    )]
    OtherEpoch {
        /// The store's epoch.
        expected: u32,
        /// The checkpoint's epoch.
        found: u32,
    },
}

impl Checkpoint {
    /// The place just before `next` in a store with one log.
    pub fn before(store: StoreId, epoch: u32, next: Position) -> Self {
        Self { store, epoch, next: vec![next] }
    }

    /// The next position to read, in a store with one log; `None` where the store has several.
    pub fn next_position(&self) -> Option<Position> {
        match self.next[..] {
            [next] => Some(next),
            _ => None,
        }
    }

    /// The place just before `next` in the same store and epoch.
    #[must_use]
    pub fn at(&self, next: Position) -> Self {
        Self::before(self.store, self.epoch, next)
    }

    /// The epoch of the store's history that this place belongs to.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The store that this is a place in.
    pub fn store(&self) -> StoreId {
        self.store
    }

    /// Whether this place is at or beyond `other`.
    ///
    /// # Errors
    /// `OtherStore` or `OtherEpoch` where the two cannot be compared.
    pub fn reaches(&self, other: &Checkpoint) -> Result<bool, CheckpointError> {
        other.check(self.store, self.epoch)?;
        Ok(self.next.len() == other.next.len()
            && self.next.iter().zip(&other.next).all(|(mine, theirs)| mine >= theirs))
    }

    /// Checks that this is a place in that store and epoch.
    ///
    /// # Errors
    /// `OtherStore` or `OtherEpoch` where it is not.
    pub fn check(&self, store: StoreId, epoch: u32) -> Result<(), CheckpointError> {
        if self.store != store {
            return Err(CheckpointError::OtherStore { expected: store, found: self.store });
        }
        if self.epoch != epoch {
            return Err(CheckpointError::OtherEpoch { expected: epoch, found: self.epoch });
        }
        Ok(())
    }
}

impl fmt::Display for Checkpoint {
    /// `1.<store>.<epoch>.<next>[,<next>...]`: version first, so that a later shape can be told apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}.{}.", self.store.0.simple(), self.epoch)?;
        for (i, next) in self.next.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{next}")?;
        }
        Ok(())
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;
    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let malformed = || CheckpointError::Malformed(text.chars().take(100).collect());
        let mut parts = text.split('.');
        let (Some("1"), Some(store), Some(epoch), Some(next), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed());
        };
        if next.split(',').count() > MAX_LOGS {
            return Err(malformed());
        }
        let next: Result<Vec<_>, _> = next.split(',').map(|n| n.parse().map(Position)).collect();
        Ok(Self {
            store: store.parse().map_err(|_| malformed())?,
            epoch: epoch.parse().map_err(|_| malformed())?,
            next: next.map_err(|_| malformed())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_stores_do_not_mix() {
        let here = StoreId::generate();
        let early = Checkpoint::before(here, 0, Position(3));
        let late = Checkpoint::before(here, 0, Position(9));
        assert_eq!(early.to_string().parse::<Checkpoint>().unwrap(), early);
        assert!(late.reaches(&early).unwrap());
        assert!(!early.reaches(&late).unwrap());
        assert!(late.reaches(&Checkpoint::before(StoreId::generate(), 0, Position(1))).is_err());
        assert!(late.reaches(&Checkpoint::before(here, 1, Position(1))).is_err());
        for bad in ["", "1", "2.x.0.1", "1.zz.0.1", "1.0.0.0.0"] {
            assert!(bad.parse::<Checkpoint>().is_err(), "{bad}");
        }
    }
}
