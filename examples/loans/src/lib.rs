//! A real loan book as typed aggregates: the log of the BPI Challenge 2012, folded and checked by a decider.
//!
//! Start with [`LoanEvent`], the facts that an imported log holds, and [`LoanDecider`], the rules that the real
//! history obeys. [`Application`] is what one application's events come to, [`summarize`] what all of them do.
//! [`funnel`], [`decision_times`] and [`workload`] are read models of it. Who did something is personal: only [`workload`] opens it.
//!
//! **Invariant:** every event of the real log is one that the decider would decide. The test over the log proves it.

mod activity;
mod application;
mod audit;
mod decider;
mod deviation;
mod event;
mod offer;
mod read_models;
mod rules;
mod status;
mod summary;
mod work;

pub use activity::{Activity, Lifecycle, RESOURCE, Registration};
pub use application::{Application, ApplicationView};
pub use audit::{Audit, Refusal, audit};
pub use decider::{LoanCommand, LoanDecider, Rejection, command_behind};
pub use deviation::{Deviation, deviation};
pub use event::{LoanEvent, Step};
pub use offer::{OfferState, OfferStep};
pub use read_models::{DecisionEvent, ERASED, FunnelEvent, NOBODY, Noted, decision_times, funnel, workload};
pub use status::Status;
pub use summary::{LoanError, Summary, summarize};
pub use work::{WorkItem, WorkState};

/// The category of the imported streams: `loan-{application number}`.
pub const CATEGORY: &str = "loan";
