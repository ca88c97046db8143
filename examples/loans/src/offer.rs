//! The states of an application's offer: the log's `O_*` activities.
//!
//! The log numbers no offers. It need not: an application has one at a time, and a new one replaces the one before.

/// Where an application's offer stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OfferState {
    /// There was none yet.
    #[default]
    None,
    /// One was chosen.
    Selected,
    /// One was chosen while another was out: that one is to be cancelled first.
    Replacing,
    /// It is written.
    Created,
    /// The customer has it.
    Sent,
    /// The customer has answered.
    SentBack,
    /// It holds.
    Accepted,
    /// It was withdrawn; another may be chosen.
    Cancelled,
    /// The bank withdrew it for good.
    Declined,
}

/// A step that an offer takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OfferStep {
    /// `O_SELECTED`
    Select,
    /// `O_CREATED`
    Create,
    /// `O_SENT`
    Send,
    /// `O_SENT_BACK`
    SendBack,
    /// `O_ACCEPTED`
    Accept,
    /// `O_CANCELLED`
    Cancel,
    /// `O_DECLINED`
    Decline,
}

impl OfferStep {
    /// The log's name for it.
    pub fn name(self) -> &'static str {
        match self {
            OfferStep::Select => "O_SELECTED",
            OfferStep::Create => "O_CREATED",
            OfferStep::Send => "O_SENT",
            OfferStep::SendBack => "O_SENT_BACK",
            OfferStep::Accept => "O_ACCEPTED",
            OfferStep::Cancel => "O_CANCELLED",
            OfferStep::Decline => "O_DECLINED",
        }
    }
}

impl OfferState {
    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            OfferState::None => "none",
            OfferState::Selected => "selected",
            OfferState::Replacing => "replacing",
            OfferState::Created => "created",
            OfferState::Sent => "sent",
            OfferState::SentBack => "sent back",
            OfferState::Accepted => "accepted",
            OfferState::Cancelled => "cancelled",
            OfferState::Declined => "declined",
        }
    }

    /// Whether the customer has it, answered or not.
    pub fn is_out(self) -> bool {
        matches!(self, OfferState::Sent | OfferState::SentBack)
    }

    /// The state after `step`; `None` where it cannot be taken.
    pub fn after(self, step: OfferStep) -> Option<OfferState> {
        match (self, step) {
            (OfferState::None | OfferState::Cancelled, OfferStep::Select) => Some(OfferState::Selected),
            (_, OfferStep::Select) if self.is_out() => Some(OfferState::Replacing),
            (OfferState::Replacing, OfferStep::Cancel) => Some(OfferState::Selected),
            (OfferState::Selected, OfferStep::Create) => Some(OfferState::Created),
            (OfferState::Created, OfferStep::Send) => Some(OfferState::Sent),
            (OfferState::Sent, OfferStep::SendBack) => Some(OfferState::SentBack),
            (_, OfferStep::Accept) if self.is_out() => Some(OfferState::Accepted),
            (_, OfferStep::Cancel) if self.is_out() => Some(OfferState::Cancelled),
            (_, OfferStep::Decline) if self.is_out() => Some(OfferState::Declined),
            _ => None,
        }
    }
}
