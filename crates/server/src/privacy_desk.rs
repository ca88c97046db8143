//! What the server asks of a vault: it knows none itself.

use factum_core::{BoxFuture, ErrorKind, RecordedEvent};
use serde_json::{Map, Value};

use crate::read_side::By;

/// What a server shows of persons and does for them. Who may ask is the server's business; what is answered holds no personal
/// values, but for [`reveal`](Self::reveal). A subject is named as the application names it, or `ref:HEX` as receipts do.
pub trait PrivacyDesk: Send + Sync + 'static {
    /// What is kept of a subject: keys, streams, read models, sinks, holds, erasures.
    ///
    /// # Errors
    /// Why that cannot be told.
    fn show<'a>(&'a self, subject: &'a str) -> Answer<'a, Map<String, Value>>;

    /// What an erasure would destroy, in numbers.
    ///
    /// # Errors
    /// Why that cannot be told; among that, that the subject must be kept.
    fn preview<'a>(&'a self, subject: &'a str) -> Answer<'a, Map<String, Value>>;

    /// Erases a subject. Asked for again, it goes on with the same erasure, or gives the receipt again.
    ///
    /// # Errors
    /// Why nothing was erased.
    fn erase<'a>(&'a self, subject: &'a str, by: By<'a>) -> Answer<'a, Erased>;

    /// Every erasure, in a line each.
    ///
    /// # Errors
    /// Why that cannot be told.
    fn receipts(&self) -> Answer<'_, Vec<Map<String, Value>>>;

    /// The signed receipt of an erasure.
    ///
    /// # Errors
    /// That there is none.
    fn receipt<'a>(&'a self, erasure: &'a str) -> Answer<'a, Value>;

    /// Whether a receipt is genuine, and what it says still true.
    ///
    /// # Errors
    /// That there is none, or why that cannot be told.
    fn verify<'a>(&'a self, erasure: &'a str) -> Answer<'a, Map<String, Value>>;

    /// The events with their personal values in clear, or as erased: for callers that may see them.
    fn reveal(&self, events: Vec<RecordedEvent>) -> BoxFuture<'_, Vec<RecordedEvent>>;
}

/// What a desk answers.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, DeskError>>;

/// What became of an erasure.
#[derive(Clone, Debug, PartialEq)]
pub enum Erased {
    /// Everything was reached: the signed receipt.
    Complete(Value),
    /// The keys are gone, and something was not reached yet. Asking again goes on.
    Incomplete {
        /// The erasure.
        erasure: String,
        /// What is missing.
        missing: Vec<String>,
    },
}

/// Why a desk did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct DeskError {
    /// What kind of answer this is.
    pub kind: ErrorKind,
    /// What was not done.
    pub what: String,
    /// Why.
    pub why: String,
    /// What to do, or nothing.
    pub next: String,
}
