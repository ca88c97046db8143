//! How is a process manager tested without a store? Given events, when an input comes, then these effects follow.

use std::fmt::Debug;

use super::{Effect, ProcessInput, ProcessManager};

/// A test of `process`, whose `instance` has taken these inputs: events, or any [`ProcessInput`].
///
/// What the process would have done then does not matter: replay calls only `evolve`.
pub fn given_process<P: ProcessManager>(
    process: P,
    instance: &str,
    past: impl IntoIterator<Item = impl Into<ProcessInput<P::Event>>>,
) -> GivenProcess<P> {
    let mut state = process.initial_state(instance);
    for input in past {
        process.evolve(&mut state, &input.into());
    }
    GivenProcess { process, state }
}

impl<E: crate::Event> From<E> for ProcessInput<E> {
    fn from(event: E) -> Self {
        ProcessInput::Event(event)
    }
}

/// A test whose past is set.
#[must_use = "say what comes with `when`"]
pub struct GivenProcess<P: ProcessManager> {
    process: P,
    state: P::State,
}

impl<P: ProcessManager> GivenProcess<P> {
    /// And then this came too.
    pub fn and(mut self, input: impl Into<ProcessInput<P::Event>>) -> Self {
        self.process.evolve(&mut self.state, &input.into());
        self
    }

    /// Now this comes.
    pub fn when(mut self, input: impl Into<ProcessInput<P::Event>>) -> WhenProcess<P> {
        let input = input.into();
        self.process.evolve(&mut self.state, &input);
        let effects = self.process.react(&self.state, &input);
        WhenProcess { state: self.state, effects }
    }

    /// The state that the past has come to.
    pub fn state(&self) -> &P::State {
        &self.state
    }
}

/// A test whose input has come.
#[must_use = "say what is expected with `then`"]
pub struct WhenProcess<P: ProcessManager> {
    state: P::State,
    effects: Vec<Effect<P::Command>>,
}

impl<P: ProcessManager> WhenProcess<P>
where
    P::Command: Debug + PartialEq,
{
    /// Exactly these effects follow, in this order.
    ///
    /// # Panics
    /// Where they do not.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = Effect<P::Command>>) {
        let expected: Vec<_> = expected.into_iter().collect();
        assert_eq!(self.effects, expected, "the effects differ");
    }

    /// Nothing follows.
    ///
    /// # Panics
    /// Where something does.
    #[track_caller]
    pub fn then_nothing(self) {
        assert_eq!(self.effects, [], "nothing was to follow");
    }

    /// The state after the input, for a closer look.
    pub fn then_state(self, look: impl FnOnce(&P::State)) {
        look(&self.state);
    }
}
