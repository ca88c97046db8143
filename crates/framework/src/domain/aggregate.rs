//! How are an aggregate's events folded by somebody who does not know its types?

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use factum_core::{Category, RecordedEvent};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::__private::write_json;
use crate::codec::describe;
use crate::personal_data::scope;
use crate::replay::Replayed;
use crate::{Decider, DecodeError};

/// The fold of one kind of aggregate: made of a decider, for callers that do not know its types.
pub trait AggregateFold: Send + Sync {
    /// Its name, such as `Account`.
    fn name(&self) -> &str;

    /// The category of its streams.
    fn category(&self) -> &Category;

    /// The state before any event.
    fn begin(&self) -> Box<dyn FoldState>;
}

/// A state on its way through events.
pub trait FoldState: Send + Sync {
    /// What the application makes of the event. It takes time in proportion to the state's size.
    ///
    /// # Errors
    /// Why it makes nothing of it. The state is then as before.
    fn apply(&mut self, event: &RecordedEvent) -> Result<(), FoldError>;

    /// The state as JSON, without any personal value.
    ///
    /// # Errors
    /// `NoJson` where serde cannot write it.
    fn json(&self) -> Result<Box<RawValue>, FoldError>;

    /// A second state like this one.
    fn copy(&self) -> Box<dyn FoldState>;
}

/// Why an application makes nothing of an event, or nobody can see its state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// It cannot be read as one of the aggregate's events.
    #[error(transparent)]
    Event(#[from] DecodeError),
    /// The application's code panicked.
    #[error("the application's code panicked: {why}")]
    Panicked {
        /// What it said.
        why: String,
    },
    /// The state has no JSON form.
    #[error("the state has no JSON form: {why}")]
    NoJson {
        /// serde's reason.
        why: String,
    },
}

/// The fold of a decider.
pub(super) struct DeciderFold<D> {
    name: String,
    category: Category,
    decider: Arc<D>,
}

impl<D> DeciderFold<D> {
    pub(super) fn new(name: &str, category: Category, decider: D) -> Self {
        Self { name: name.to_owned(), category, decider: Arc::new(decider) }
    }
}

impl<D> AggregateFold for DeciderFold<D>
where
    D: Decider + Send + Sync + 'static,
    D::State: Serialize + Clone + Send + Sync + 'static,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn category(&self) -> &Category {
        &self.category
    }

    fn begin(&self) -> Box<dyn FoldState> {
        let replayed = Replayed::new(self.decider.initial_state());
        Box::new(Folded { decider: Arc::clone(&self.decider), replayed })
    }
}

struct Folded<D: Decider> {
    decider: Arc<D>,
    replayed: Replayed<D::State>,
}

impl<D> FoldState for Folded<D>
where
    D: Decider + Send + Sync + 'static,
    D::State: Serialize + Clone + Send + Sync + 'static,
{
    fn apply(&mut self, event: &RecordedEvent) -> Result<(), FoldError> {
        // A copy, since code that panics may leave half a change behind.
        let mut next = self.replayed.clone();
        let done = catch_unwind(AssertUnwindSafe(|| next.apply(&*self.decider, event)));
        done.map_err(|panic| FoldError::Panicked { why: said(&*panic) })??;
        self.replayed = next;
        Ok(())
    }

    fn json(&self) -> Result<Box<RawValue>, FoldError> {
        let written = catch_unwind(AssertUnwindSafe(|| scope::show(|| write_json(&self.replayed.state))));
        let written = written.map_err(|panic| FoldError::Panicked { why: said(&*panic) })?;
        let no_json = |error| FoldError::NoJson { why: describe(&error) };
        serde_json::from_slice(&written.map_err(no_json)?).map_err(no_json)
    }

    fn copy(&self) -> Box<dyn FoldState> {
        Box::new(Self { decider: Arc::clone(&self.decider), replayed: self.replayed.clone() })
    }
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a text").to_owned()
}
