//! Figures about the server, at once and then again and again.

use std::sync::Arc;
use std::time::Duration;

use factum_protocol::wire::v1::monitoring::{StatsReq, StatsResp, monitoring_server};
use futures_util::stream;
use tonic::{Request, Response, Status};

use super::Answers;
use crate::access::Action;
use crate::call::Call;
use crate::shared::Shared;
use crate::stats::{Stats, UsedBefore};
use crate::status;

/// The shortest time between two answers.
const SHORTEST_PERIOD: Duration = Duration::from_millis(100);
/// The longest: a client that asks for more has made a mistake, and still wants to see something.
const LONGEST_PERIOD: Duration = Duration::from_secs(24 * 60 * 60);
/// Where a client names none.
const USUAL_PERIOD: Duration = Duration::from_secs(10);

/// `event_store.client.monitoring.Monitoring`.
pub(crate) struct Monitoring {
    shared: Arc<Shared>,
}

impl Monitoring {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

/// How long to wait between two answers.
fn period(asked_millis: u64) -> Duration {
    match asked_millis {
        0 => USUAL_PERIOD,
        millis => Duration::from_millis(millis).clamp(SHORTEST_PERIOD, LONGEST_PERIOD),
    }
}

/// What is known between two answers: nothing was answered yet, or what was used by then.
#[derive(Clone, Copy)]
enum Told {
    Nothing,
    Once(UsedBefore),
}

#[tonic::async_trait]
impl monitoring_server::Monitoring for Monitoring {
    type StatsStream = Answers<StatsResp>;

    async fn stats(&self, request: Request<StatsReq>) -> Result<Response<Self::StatsStream>, Status> {
        let call = Call::of(&request);
        self.shared.access.check(&call.caller, Action::Statistics).await?;
        let period = period(request.into_inner().refresh_time_period_in_ms);
        let shared = self.shared.clone();
        let answers = stream::try_unfold(Told::Nothing, move |told| {
            let shared = shared.clone();
            async move {
                let before = match told {
                    Told::Nothing => UsedBefore::START,
                    Told::Once(before) => {
                        let mut stopping = shared.stopping.clone();
                        tokio::select! {
                            biased;
                            () = stopping.wait() => return Err(status::stopping()),
                            () = tokio::time::sleep(period) => before,
                        }
                    }
                };
                let stats = Stats::of(&shared, before);
                let answer = StatsResp { stats: stats.flat.into_iter().collect() };
                Ok(Some((answer, Told::Once(stats.used))))
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_neither_a_flood_nor_for_ever() {
        assert_eq!(period(0), USUAL_PERIOD);
        assert_eq!(period(1), SHORTEST_PERIOD);
        assert_eq!(period(2_500), Duration::from_millis(2_500));
        assert_eq!(period(u64::MAX), LONGEST_PERIOD);
    }
}
