//! The server over loopback: this binary serves in a process of its own, and its processor time and memory are its own too.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use factum_core::{
    Append, EventStore, ExpectedRevision, Read, Selector, Subscribe, Subscription, SubscriptionMessage,
};
use factum_engine::{Engine, Options};
use factum_protocol::remote::{ConnectionString, RemoteStore};
use tokio::runtime::Runtime;

use super::account::{event, stream};
use super::report::percentiles;
use super::{BenchResult, Report, Row};

/// Events that are stored before the log is read.
const STORED: usize = 1_000_000;
/// Events in one large append.
const BATCH: usize = 1_000;
/// Subscriptions that have nothing to do.
const IDLE: usize = 1_000;
/// How long idle subscriptions are watched.
const IDLE_FOR: Duration = Duration::from_secs(3);
/// Clock ticks of `/proc` in a second, on every Linux that Factum runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// The server's process.
struct Served {
    child: Child,
    url: String,
}

impl Served {
    fn start(data: &Path) -> BenchResult<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", "--insecure", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().ok_or("the server has no stderr")?;
        let mut lines = BufReader::new(stderr).lines();
        let url = loop {
            let line = lines.next().ok_or("the server ended before it listened")??;
            if let Some(url) = line.split_whitespace().find(|word| word.starts_with("kurrentdb://")) {
                break url.to_owned();
            }
        };
        // What it says later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, url })
    }

    /// Processor time that it has used.
    fn cpu(&self) -> BenchResult<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name, in parentheses, may have spaces: count from behind it. User and system time are the 12th and 13th.
        let rest = stat.rsplit_once(')').ok_or("no process status")?.1;
        let ticks: f64 = rest.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<f64>().ok()).sum();
        Ok(Duration::from_secs_f64(ticks / TICKS_PER_SECOND))
    }

    /// Memory that it holds, in MiB.
    fn resident(&self) -> BenchResult<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no resident size")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // A server that is gone already has nothing to be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn run(scratch: &Path, report: &mut Report) -> BenchResult<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let embedded: Arc<dyn EventStore> = Arc::new(Engine::open(scratch.join("embedded"), Options::default())?);
    let served = Served::start(&scratch.join("served"))?;
    for (clients, connections, target) in [(1, 1, ""), (16, 16, ""), (64, 64, "0.5 x"), (64, 1, "0.5 x")] {
        singles(&runtime, &served, &embedded, (clients, connections), report, target)?;
    }
    drop(embedded);
    batches(&runtime, &served, report)?;
    reads(&runtime, &served, report)?;
    idle(&runtime, &served, report)
}

fn connect(runtime: &Runtime, served: &Served) -> BenchResult<Arc<dyn EventStore>> {
    let to = ConnectionString::parse(&served.url)?;
    Ok(Arc::new(runtime.block_on(RemoteStore::connect(to))?))
}

/// A client and what it appends.
type Client = (Arc<dyn EventStore>, Vec<Append>);

/// What one side of a comparison came to.
struct Run {
    times: Vec<Duration>,
    wall: Duration,
}

impl Run {
    fn rate(&self, events_each: usize) -> f64 {
        (self.times.len() * events_each) as f64 / self.wall.as_secs_f64()
    }
}

/// Lets each store append what is its own work, all at once.
fn append_all(runtime: &Runtime, work: Vec<Client>) -> BenchResult<Run> {
    let start = Instant::now();
    let clients: Vec<_> = work
        .into_iter()
        .map(|(store, appends)| {
            runtime.spawn(async move {
                let mut times = Vec::with_capacity(appends.len());
                for append in appends {
                    let start = Instant::now();
                    store.append(append).await?;
                    times.push(start.elapsed());
                }
                BenchResult::Ok(times)
            })
        })
        .collect();
    let mut times = Vec::new();
    for client in clients {
        times.extend(runtime.block_on(client)??);
    }
    Ok(Run { times, wall: start.elapsed() })
}

fn work(stores: &[Arc<dyn EventStore>], appends: usize, events: usize) -> BenchResult<Vec<Client>> {
    let one = |(client, store): (usize, &Arc<dyn EventStore>)| {
        let name = stream(client as u64)?;
        let appends = (0..appends).map(|n| {
            let events: BenchResult<Vec<_>> = (0..events).map(|k| event((n * events + k) as u64)).collect();
            Ok(Append::to(name.clone(), ExpectedRevision::Any, events?))
        });
        Ok((store.clone(), appends.collect::<BenchResult<Vec<_>>>()?))
    };
    stores.iter().enumerate().map(one).collect()
}

fn singles(
    runtime: &Runtime,
    served: &Served,
    embedded: &Arc<dyn EventStore>,
    (clients, connections): (usize, usize),
    report: &mut Report,
    target: &'static str,
) -> BenchResult<()> {
    const ROUNDS: usize = 4;
    let appends = if clients == 1 { 2_000 } else { 32_000 / clients / ROUNDS };
    let connected = (0..connections).map(|_| connect(runtime, served)).collect::<BenchResult<Vec<_>>>()?;
    let remote: Vec<_> = connected.iter().cycle().take(clients).cloned().collect();
    let local: Vec<_> = (0..clients).map(|_| embedded.clone()).collect();
    let mut over_wire = Run { times: Vec::new(), wall: Duration::ZERO };
    let mut in_process = Run { times: Vec::new(), wall: Duration::ZERO };
    let cpu = served.cpu()?;
    // They take turns, so that both see the disk in the same moods.
    for _ in 0..ROUNDS {
        for (stores, total) in [(&remote, &mut over_wire), (&local, &mut in_process)] {
            let run = append_all(runtime, work(stores, appends, 1)?)?;
            total.times.extend(run.times);
            total.wall += run.wall;
        }
    }
    let busy = (served.cpu()? - cpu).as_secs_f64() / over_wire.wall.as_secs_f64();
    report.row(&Row {
        what: format!(
            "remote append: {clients} client(s) on {connections} connection(s), 1 event each, server on {busy:.2} cores"
        ),
        value: over_wire.rate(1),
        unit: "events/s",
        limit: Some(("the same in one process".to_owned(), in_process.rate(1))),
        target,
        latency: percentiles(&mut over_wire.times),
    })
}

fn batches(runtime: &Runtime, served: &Served, report: &mut Report) -> BenchResult<()> {
    const CLIENTS: usize = 2;
    let stores = (0..CLIENTS).map(|_| connect(runtime, served)).collect::<BenchResult<Vec<_>>>()?;
    let cpu = served.cpu()?;
    let mut run = append_all(runtime, work(&stores, STORED / BATCH / CLIENTS, BATCH)?)?;
    let busy = (served.cpu()? - cpu).as_secs_f64() / run.wall.as_secs_f64();
    report.row(&Row {
        what: format!("remote append: batches of {BATCH}, {CLIENTS} clients, server on {busy:.2} cores"),
        value: run.rate(BATCH),
        unit: "events/s",
        limit: None,
        target: "300,000",
        latency: percentiles(&mut run.times),
    })
}

fn reads(runtime: &Runtime, served: &Served, report: &mut Report) -> BenchResult<()> {
    let store = connect(runtime, served)?;
    let cpu = served.cpu()?;
    let start = Instant::now();
    let events = runtime.block_on(async {
        let mut reader = store.read(Read::forwards(Selector::All)).await?;
        let mut events = 0_u64;
        while let Some(page) = reader.next_page().await? {
            events += page.events.len() as u64;
        }
        BenchResult::Ok(events)
    })?;
    let wall = start.elapsed();
    let busy = (served.cpu()? - cpu).as_secs_f64() / wall.as_secs_f64();
    report.row(&Row {
        what: format!("remote read of the log: {events} events, server on {busy:.2} cores"),
        value: events as f64 / wall.as_secs_f64(),
        unit: "events/s",
        limit: None,
        target: "700,000 on at most 1.5 cores",
        latency: None,
    })
}

/// Subscriptions that are caught up, and wait.
fn idle(runtime: &Runtime, served: &Served, report: &mut Report) -> BenchResult<()> {
    let store = connect(runtime, served)?;
    let before = served.resident()?;
    let mut held: Vec<Box<dyn Subscription>> = Vec::with_capacity(IDLE);
    for number in 0..IDLE {
        let name = stream(1_000_000 + number as u64)?;
        let subscription = runtime.block_on(async {
            let mut subscription = store.subscribe(Subscribe::to(Selector::Stream(name))).await?;
            while !matches!(subscription.next().await?, SubscriptionMessage::CaughtUp(_)) {}
            BenchResult::Ok(subscription)
        })?;
        held.push(subscription);
    }
    let grown = served.resident()? - before;
    let cpu = served.cpu()?;
    std::thread::sleep(IDLE_FOR);
    let busy = (served.cpu()? - cpu).as_secs_f64() / IDLE_FOR.as_secs_f64();
    report.row(&Row {
        what: format!("{IDLE} idle subscriptions: memory of the server"),
        value: grown,
        unit: "MiB",
        limit: None,
        target: "< 50 MiB",
        latency: None,
    })?;
    report.row(&Row {
        what: format!("{IDLE} idle subscriptions: cores of the server"),
        value: busy,
        unit: "cores",
        limit: None,
        target: "none",
        latency: None,
    })
}
