//! What happens now: figures once a second, and the heads of new events. Cheap, however many watch.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use factum_core::{EventStoreExt, RecordedEvent};
use factum_protocol::{Breaks, Payload};
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use super::accept::{Form, form};
use super::answer::{event_json, json, segment};
use super::ask::Ask;
use super::names;
use super::problem::Problem;
use super::route::{Api, Operation};
use crate::access::{Action, Hold};
use crate::groups::Groups;
use crate::metrics::Metrics;
use crate::shared::Shared;
use crate::source::Resolved;
use crate::stopping::Stopping;

const PART: &str = "Live figures";
/// How often figures are taken.
const EVERY: Duration = Duration::from_secs(1);
/// How often heads of new events are told, at most.
const HEADS_EVERY: Duration = Duration::from_millis(100);
/// Heads that are kept, and told at once.
const MAX_HEADS: usize = 20;
/// Share of appends that take no longer than the figure says, in thousandths.
const PERCENTILE: u64 = 990;

/// The routes.
pub(super) fn routes(api: Api) -> Api {
    api.get(
        "/v1/live",
        live,
        Operation::new("watchLive", PART, "Figures once a second, and the heads of new events, as they come")
            .answer(&[("text/event-stream", "LiveStream")]),
    )
    .get(
        "/v1/overview",
        overview,
        Operation::new("getOverview", PART, "The same figures once, and what is wrong")
            .answer(&[("application/json", "Overview")]),
    )
}

/// The last events of the log, as far as somebody may want to see them go by.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    /// A lock, since it is held for a look only.
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    /// Events that were pushed since the beginning.
    count: u64,
    heads: VecDeque<Arc<str>>,
}

impl Heads {
    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// New events.
    pub(super) fn push(&self, events: &[RecordedEvent]) {
        let shown = events.iter().filter(|event| crate::filter::shown_in_all(event));
        let shown: Vec<_> = shown.collect();
        let first = shown.len().saturating_sub(MAX_HEADS);
        let heads: Vec<Arc<str>> = shown[first..]
            .iter()
            .map(|event| {
                let plain = Resolved::plain((*event).clone());
                event_json(&plain, Payload::Left, Breaks::Flatten).into()
            })
            .collect();
        let mut last = self.last();
        last.count += u64::try_from(shown.len()).unwrap_or_default();
        last.heads.extend(heads);
        while last.heads.len() > MAX_HEADS {
            last.heads.pop_front();
        }
    }

    /// What came since `seen` events had come: the last of it, how many more there were, and the new count.
    fn since(&self, seen: u64) -> Option<(Vec<Arc<str>>, u64, u64)> {
        let last = self.last();
        let new = last.count.saturating_sub(seen);
        if new == 0 {
            return None;
        }
        let told = usize::try_from(new).unwrap_or(usize::MAX).min(last.heads.len());
        let heads = last.heads.iter().skip(last.heads.len() - told).cloned().collect();
        Some((heads, new.saturating_sub(u64::try_from(told).unwrap_or_default()), last.count))
    }

    fn count(&self) -> u64 {
        self.last().count
    }
}

/// Figures of one second.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stats {
    /// How many there were before, since the sampler runs: who misses some is told.
    #[serde(skip)]
    number: u64,
    time: String,
    position: Option<String>,
    streams: Option<u64>,
    events: u64,
    appends_per_second: u64,
    reads_per_second: u64,
    deliveries_per_second: u64,
    append_p99_millis: Option<f64>,
    subscriptions: u64,
    connections: u64,
}

/// Takes figures while somebody watches, and rests otherwise.
#[derive(Debug)]
pub(crate) struct Sampler {
    /// Whether it runs. A lock, so that the last watcher's going and the next one's coming are one after the other.
    runs: Mutex<bool>,
    stats: watch::Sender<Option<Arc<Stats>>>,
    /// The list of the projections, as JSON.
    projections: watch::Sender<Option<Arc<str>>>,
}

impl Default for Sampler {
    fn default() -> Self {
        let (stats, projections) = (watch::Sender::new(None), watch::Sender::new(None));
        Self { runs: Mutex::new(false), stats, projections }
    }
}

impl Sampler {
    fn runs(&self) -> MutexGuard<'_, bool> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rests if nobody watches. What was known is old by the time that somebody does.
    fn rests(&self) -> bool {
        let mut runs = self.runs();
        let rests = self.stats.receiver_count() == 0;
        if rests {
            *runs = false;
            self.stats.send_replace(None);
            self.projections.send_replace(None);
        }
        rests
    }
}

/// Counters at one moment.
struct Counts {
    appended: u64,
    read: u64,
    delivered: u64,
    append_buckets: Vec<u64>,
}

impl Counts {
    fn of(metrics: &Metrics) -> Self {
        Self {
            appended: metrics.appended_events.value(),
            read: metrics.read_events.value(),
            delivered: metrics.delivered_events.value(),
            append_buckets: metrics.appends.counts(),
        }
    }
}

fn begin(shared: &Arc<Shared>) -> watch::Receiver<Option<Arc<Stats>>> {
    names::begin(shared);
    let sampler = &shared.v1.sampler;
    let mut runs = sampler.runs();
    let watched = sampler.stats.subscribe();
    if !std::mem::replace(&mut *runs, true) {
        tokio::spawn(sample(shared.clone()));
    }
    watched
}

async fn sample(shared: Arc<Shared>) {
    let mut stopping = shared.stopping.clone();
    let mut before = Counts::of(&shared.ops.metrics);
    let mut number = 0;
    loop {
        let now = Counts::of(&shared.ops.metrics);
        let stats = Stats { number, ..take(&shared, &before, &now).await };
        number += 1;
        before = now;
        shared.v1.sampler.stats.send_replace(Some(Arc::new(stats)));
        tell_projections(&shared).await;
        if shared.v1.sampler.rests() {
            return;
        }
        tokio::select! {
            () = stopping.wait() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Tells how the projections are, where that has changed. A database that cannot be asked now has no news.
async fn tell_projections(shared: &Shared) {
    let Some(side) = &shared.ops.read_side else { return };
    // Nobody watches: the databases of read models are not asked for nothing.
    if shared.v1.sampler.projections.receiver_count() == 0 {
        return;
    }
    let Ok(lines) = side.lines().await else { return };
    let text: Option<Arc<str>> = serde_json::to_string(&lines).ok().map(Into::into);
    shared.v1.sampler.projections.send_if_modified(|known| {
        let changed = *known != text;
        *known = text;
        changed
    });
}

async fn take(shared: &Shared, before: &Counts, now: &Counts) -> Stats {
    // A store that cannot be read now has no figure, and the others are still true.
    let head = shared.store.head().await.ok().flatten().map(|event| event.position());
    let names = &shared.v1.names;
    let complete = names.progress().borrow().caught_up;
    let streams = complete.then(|| u64::try_from(names.look().len()).unwrap_or_default());
    let metrics = &shared.ops.metrics;
    Stats {
        number: 0,
        time: shared.options.clock.now().to_string(),
        position: head.map(|position| position.to_string()),
        streams,
        events: head.map_or(0, |position| position.0 + 1),
        appends_per_second: now.appended.saturating_sub(before.appended),
        reads_per_second: now.read.saturating_sub(before.read),
        deliveries_per_second: now.delivered.saturating_sub(before.delivered),
        append_p99_millis: metrics.appends.percentile_millis(&before.append_buckets, PERCENTILE),
        subscriptions: metrics.subscriptions.value(),
        connections: metrics.connections.value(),
    }
}

async fn live(ask: Ask) -> Result<Response, Problem> {
    ask.may(Action::Statistics).await?;
    form(&ask.headers, &[Form::EventStream])?;
    let mut stats = begin(&ask.shared);
    // What others have been told already is news to somebody who has just come.
    stats.mark_changed();
    let hold = ask.shared.access.hold(&ask.call);
    let sees_events = ask.may(Action::Read("$all")).await.is_ok();
    let seen = ask.shared.v1.names.heads.count();
    let stopping = ask.shared.stopping.clone();
    let mut projections = ask.shared.v1.sampler.projections.subscribe();
    projections.mark_changed();
    let watching =
        Watching { ask, stats, last: None, projections, stopping, hold, sees_events, seen, ended: false };
    let body = Body::from_stream(stream::unfold(watching, Watching::step));
    let headers = [(CONTENT_TYPE, Form::EventStream.media()), (CACHE_CONTROL, "no-store")];
    Ok((headers, [("x-accel-buffering", "no")], body).into_response())
}

struct Watching {
    ask: Ask,
    stats: watch::Receiver<Option<Arc<Stats>>>,
    /// The number of the last figures that were told.
    last: Option<u64>,
    projections: watch::Receiver<Option<Arc<str>>>,
    stopping: Stopping,
    hold: Hold,
    /// Whether the caller may read the log.
    sees_events: bool,
    /// Events that have gone by.
    seen: u64,
    ended: bool,
}

impl Watching {
    async fn step(mut self) -> Option<(Result<String, std::convert::Infallible>, Self)> {
        if self.ended {
            return None;
        }
        // What came with the last second goes out with it: a reader that is slow gets fewer, and none twice.
        let text = loop {
            tokio::select! {
                biased;
                () = self.stopping.wait() => {
                    self.ended = true;
                    break "event: end\ndata: {\"reason\":\"the server stops\"}\n\n".to_owned();
                }
                status = self.hold.lost(Action::Statistics) => {
                    self.ended = true;
                    let reason = Value::from(status.message());
                    break format!("event: end\ndata: {{\"reason\":{reason}}}\n\n");
                }
                changed = self.stats.changed() => {
                    if changed.is_err() {
                        return None;
                    }
                    let Some(stats) = self.stats.borrow_and_update().clone() else { continue };
                    break self.figures(&stats);
                }
                Ok(()) = self.projections.changed() => {
                    let Some(list) = self.projections.borrow_and_update().clone() else { continue };
                    break format!("event: projections\ndata: {{\"items\":{list}}}\n\n");
                }
                () = tokio::time::sleep(HEADS_EVERY), if self.sees_events => {
                    let Some((heads, skipped, count)) = self.ask.shared.v1.names.heads.since(self.seen) else {
                        continue;
                    };
                    // The right to the log may be gone, and that to the figures still there.
                    self.sees_events = self.ask.may(Action::Read("$all")).await.is_ok();
                    self.seen = count;
                    if !self.sees_events {
                        continue;
                    }
                    break format!(
                        "event: events\ndata: {{\"items\":[{}],\"skipped\":{skipped}}}\n\n",
                        heads.join(",")
                    );
                }
            }
        };
        Some((Ok(text), self))
    }

    /// The figures; before them, how many were not told because the reader was too slow for them.
    fn figures(&mut self, stats: &Stats) -> String {
        let missed = self.last.map_or(0, |last| stats.number.saturating_sub(last.saturating_add(1)));
        self.last = Some(stats.number);
        let mut text = String::new();
        if missed > 0 {
            text = format!("event: fellBehind\ndata: {{\"missed\":{missed}}}\n\n");
        }
        match serde_json::to_string(stats) {
            Ok(stats) => text + &format!("event: stats\ndata: {stats}\n\n"),
            Err(_) => text,
        }
    }
}

/// Something that somebody should look at.
#[derive(Serialize)]
pub(super) struct Wrong {
    pub(super) what: String,
    pub(super) url: String,
    pub(super) since: Option<String>,
}

#[derive(Serialize)]
struct Overview {
    #[serde(flatten)]
    stats: Stats,
    problems: Vec<Wrong>,
}

async fn overview(ask: Ask) -> Result<Response, Problem> {
    ask.may(Action::Statistics).await?;
    let mut stats = begin(&ask.shared);
    // The first one is taken at once.
    let stats = match stats.wait_for(Option::is_some).await {
        Ok(stats) => stats.as_deref().cloned().unwrap_or_default(),
        Err(_) => Stats::default(),
    };
    Ok(json(&Overview { stats, problems: problems(&ask).await }))
}

/// Projections that somebody should look at.
async fn of_projections(ask: &Ask) -> Vec<Wrong> {
    let Some(side) = &ask.shared.ops.read_side else { return Vec::new() };
    // A database that cannot be asked now says so on the projections' own page.
    let lines = side.lines().await.unwrap_or_default();
    let text = |line: &serde_json::Map<String, Value>, name: &str| {
        line.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let wrong = lines.iter().filter(|line| matches!(text(line, "status").as_str(), "faulted" | "stalled"));
    wrong
        .map(|line| {
            let (name, status) = (text(line, "name"), text(line, "status"));
            Wrong {
                what: format!("the projection '{name}' is {status}: {}", text(line, "why")),
                url: format!("/ui/projections/{}", segment(&name)),
                since: line.get("since").and_then(Value::as_str).map(str::to_owned),
            }
        })
        .collect()
}

/// What somebody should look at.
async fn problems(ask: &Ask) -> Vec<Wrong> {
    let mut problems = of_projections(ask).await;
    problems.extend(super::trouble::of_machine(ask).await);
    if ask.may(Action::SeeGroups).await.is_err() {
        return problems;
    }
    // Groups that cannot be asked now are no news here: their own page says so.
    for info in Groups::of(&ask.shared).list().await.unwrap_or_default() {
        let key = &info.config.key;
        let named = format!("the group '{}' on '{}'", key.group(), key.source_name());
        let url = format!("/ui/subscriptions/{}/{}", segment(key.source_name()), segment(key.group()));
        if let Some((_, why)) = info.status.split_once(": ") {
            problems.push(Wrong {
                what: format!("{named} does not move: {why}"),
                url: url.clone(),
                since: None,
            });
        }
        if info.parked > 0 {
            problems.push(Wrong {
                what: format!("{named} has {} parked messages", info.parked),
                url,
                since: None,
            });
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared() -> (Arc<Shared>, watch::Sender<bool>) {
        let (groups, _unstarted) = crate::groups::channel();
        let (stop, stopping) = Stopping::channel();
        let store = Arc::new(factum_core::MemoryStore::new());
        (Arc::new(Shared::of_test(store, groups, stopping)), stop)
    }

    #[tokio::test(start_paused = true)]
    async fn the_sampler_rests_while_nobody_watches() {
        let (shared, _stop) = shared();
        let runs = || *shared.v1.sampler.runs();
        let (mut one, other) = (begin(&shared), begin(&shared));
        assert!(one.wait_for(Option::is_some).await.is_ok() && runs());
        drop(one);
        tokio::time::sleep(3 * EVERY).await;
        assert!(runs(), "somebody watches");
        drop(other);
        while runs() {
            tokio::time::sleep(EVERY).await;
        }
        assert!(shared.v1.sampler.stats.borrow().is_none());
        // Whoever comes then gets new figures.
        let mut again = begin(&shared);
        let stats = again.wait_for(Option::is_some).await.expect("it runs").clone();
        assert_eq!(stats.expect("figures").number, 0);
        assert!(runs());
    }

    #[tokio::test]
    async fn a_watcher_that_is_too_slow_is_told_what_it_missed() {
        let (shared, _stop) = shared();
        let sampler = &shared.v1.sampler;
        let tell = |number| sampler.stats.send_replace(Some(Arc::new(Stats { number, ..Stats::default() })));
        let ask = Ask::of_test(&shared);
        let mut watching = Watching {
            hold: shared.access.hold(&ask.call),
            stats: sampler.stats.subscribe(),
            last: None,
            projections: sampler.projections.subscribe(),
            stopping: shared.stopping.clone(),
            sees_events: false,
            seen: 0,
            ended: false,
            ask,
        };
        let mut told = Vec::new();
        for numbers in [&[7][..], &[8], &[9, 10, 11], &[12]] {
            for number in numbers {
                tell(*number);
            }
            let Some((Ok(text), next)) = watching.step().await else { panic!("it goes on") };
            watching = next;
            told.push(text.split("event: stats").next().unwrap_or_default().to_owned());
        }
        assert_eq!(told, ["", "", "event: fellBehind\ndata: {\"missed\":2}\n\n", ""]);
    }

    #[test]
    fn heads_are_the_last_ones_and_the_others_are_counted() {
        let heads = Heads::default();
        assert!(heads.since(0).is_none());
        {
            let mut last = heads.last();
            last.count = 30;
            last.heads = (0..20).map(|n| n.to_string().into()).collect();
        }
        let (told, skipped, count) = heads.since(0).expect("new ones");
        assert_eq!((told.len(), skipped, count), (20, 10, 30));
        let (told, skipped, _) = heads.since(28).expect("new ones");
        assert_eq!((told.len(), &*told[1], skipped), (2, "19", 0));
    }
}
