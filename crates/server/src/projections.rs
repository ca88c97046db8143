//! Which projections are there? Those that the store's indexes stand for, and no others.

/// A projection that KurrentDB brings along. Here each is an index of the store: always there, never behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SystemProjection {
    /// `$streams`.
    Streams,
    /// `$category-...`.
    StreamByCategory,
    /// `$ce-...`.
    ByCategory,
    /// `$et-...`.
    ByEventType,
    /// `$bc-...`.
    ByCorrelationId,
}

impl SystemProjection {
    /// All of them.
    pub(crate) const ALL: [SystemProjection; 5] = [
        SystemProjection::Streams,
        SystemProjection::StreamByCategory,
        SystemProjection::ByCategory,
        SystemProjection::ByEventType,
        SystemProjection::ByCorrelationId,
    ];

    /// What clients call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            SystemProjection::Streams => "$streams",
            SystemProjection::StreamByCategory => "$stream_by_category",
            SystemProjection::ByCategory => "$by_category",
            SystemProjection::ByEventType => "$by_event_type",
            SystemProjection::ByCorrelationId => "$by_correlation_id",
        }
    }

    /// How it is set up: what KurrentDB calls its query.
    pub(crate) fn query(self) -> &'static str {
        match self {
            SystemProjection::Streams | SystemProjection::ByEventType => "",
            SystemProjection::StreamByCategory | SystemProjection::ByCategory => "first\n-",
            SystemProjection::ByCorrelationId => "{\"correlationIdProperty\":\"$correlationId\"}",
        }
    }

    /// The one with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|projection| projection.name() == name)
    }
}
