//! The states of an application: the log's `A_*` activities.

/// Where an application stands, by its last `A_*` activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// The customer has sent it.
    Submitted,
    /// The first automatic checks are through.
    PartlySubmitted,
    /// It may be accepted once it is complete.
    Preaccepted,
    /// It is complete and accepted for an offer.
    Accepted,
    /// Offers go out.
    Finalized,
    /// The loan is granted: approved, registered and activated, in whatever order the three are noted.
    Approved,
    /// See `Approved`.
    Registered,
    /// See `Approved`.
    Activated,
    /// The bank says no.
    Declined,
    /// The customer does not go on.
    Cancelled,
}

impl Status {
    /// Every status, in the order of an application's way.
    pub const ALL: [Status; 10] = [
        Status::Submitted,
        Status::PartlySubmitted,
        Status::Preaccepted,
        Status::Accepted,
        Status::Finalized,
        Status::Approved,
        Status::Registered,
        Status::Activated,
        Status::Declined,
        Status::Cancelled,
    ];

    /// The log's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Status::Submitted => "A_SUBMITTED",
            Status::PartlySubmitted => "A_PARTLYSUBMITTED",
            Status::Preaccepted => "A_PREACCEPTED",
            Status::Accepted => "A_ACCEPTED",
            Status::Finalized => "A_FINALIZED",
            Status::Approved => "A_APPROVED",
            Status::Registered => "A_REGISTERED",
            Status::Activated => "A_ACTIVATED",
            Status::Declined => "A_DECLINED",
            Status::Cancelled => "A_CANCELLED",
        }
    }

    /// Whether the loan is granted.
    pub fn is_granted(self) -> bool {
        matches!(self, Status::Approved | Status::Registered | Status::Activated)
    }

    /// Whether nothing of the application can change any more, but for offers that are closed and work that ends.
    pub fn is_over(self) -> bool {
        matches!(self, Status::Declined | Status::Cancelled)
    }
}
