//! May personal data be written here, and whose is it if nothing else says so?
//!
//! serde hands nothing down to the values that it writes, so this goes by thread. Whoever writes an event or a snapshot opens a
//! scope; outside of one, a personal value refuses to be written.

use std::cell::RefCell;

use factum_vault::{InvalidName, Subject};

/// What is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writing {
    /// An event: marks say whose a value is.
    Event,
    /// A state, or a record of ours: values stay with whom they belong to.
    Copy,
    /// A state, for somebody to look at: no value is written, whoever looks.
    Shown,
    /// The inside of a personal value, which is sealed as a whole.
    Inside,
}

/// A subject as a field gave it: only an error once a value needs it.
pub(crate) type Named = Result<Subject, InvalidName>;

#[derive(Clone)]
struct Scope {
    writing: Writing,
    subject: Option<Named>,
}

thread_local! {
    static SCOPE: RefCell<Option<Scope>> = const { RefCell::new(None) };
}

/// Puts the scope before back, however its own ends.
struct Restore(Option<Scope>);

impl Drop for Restore {
    fn drop(&mut self) {
        let before = self.0.take();
        SCOPE.with(|scope| *scope.borrow_mut() = before);
    }
}

fn within<R>(scope: Scope, write: impl FnOnce() -> R) -> R {
    let _restore = Restore(SCOPE.with(|current| current.borrow_mut().replace(scope)));
    write()
}

/// Writes an event, whose values belong to `subject` unless they say otherwise.
pub(crate) fn event<R>(subject: Option<Named>, write: impl FnOnce() -> R) -> R {
    within(Scope { writing: Writing::Event, subject }, write)
}

/// Writes a state or a record.
pub(crate) fn copy<R>(write: impl FnOnce() -> R) -> R {
    within(Scope { writing: Writing::Copy, subject: None }, write)
}

/// Writes a state to be looked at.
pub(crate) fn show<R>(write: impl FnOnce() -> R) -> R {
    within(Scope { writing: Writing::Shown, subject: None }, write)
}

/// Writes the inside of a personal value.
pub(crate) fn inside<R>(write: impl FnOnce() -> R) -> R {
    within(Scope { writing: Writing::Inside, subject: None }, write)
}

/// Writes a struct whose values belong to `subject` unless they say otherwise. Opens no scope where there is none.
pub(crate) fn part<R>(subject: Named, write: impl FnOnce() -> R) -> R {
    match current() {
        Some((writing, _)) => within(Scope { writing, subject: Some(subject) }, write),
        None => write(),
    }
}

/// What is being written, and whose it is unless something else says so.
pub(crate) fn current() -> Option<(Writing, Option<Named>)> {
    SCOPE.with(|scope| scope.borrow().as_ref().map(|scope| (scope.writing, scope.subject.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_nest_and_end_also_in_a_panic() {
        let ada = Subject::new("ada");
        assert!(current().is_none());
        assert!(part(ada.clone(), current).is_none());
        event(Some(ada.clone()), || {
            inside(|| assert_eq!(current(), Some((Writing::Inside, None))));
            let panicked = std::panic::catch_unwind(|| copy(|| panic!("on purpose")));
            assert!(panicked.is_err());
            assert_eq!(current(), Some((Writing::Event, Some(ada.clone()))));
        });
        assert!(current().is_none());
    }
}
