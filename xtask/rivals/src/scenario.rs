//! What is measured, and how are its figures made?

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// A store to measure.
pub(crate) trait Rival: Sync {
    /// Appends `events` to the client's own stream, which must be where the client left it, and returns when they are
    /// safe.
    fn append(&self, client: &mut Client, events: &[Vec<u8>]) -> Result<(), String>;
}

/// One client: it owns a stream and knows where that stream ends.
pub(crate) struct Client {
    pub(crate) stream: String,
    /// Events appended so far: the stream's next revision.
    pub(crate) next: u64,
    /// What the store answered last, where its conditions need it.
    pub(crate) last_position: Option<u64>,
}

/// One row of the table.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    clients: usize,
    batch: usize,
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "1 client, 1 event", clients: 1, batch: 1 },
    Scenario { name: "64 clients, 1 event", clients: 64, batch: 1 },
    Scenario { name: "1 client, batches of 1000", clients: 1, batch: 1_000 },
];

/// Bytes of JSON in each event.
const EVENT_BYTES: usize = 256;

/// What came out.
pub(crate) struct Measured {
    pub(crate) events: u64,
    pub(crate) seconds: f64,
    /// Microseconds of each append, sorted.
    pub(crate) latencies: Vec<u64>,
}

impl Scenario {
    /// Appends for so long and measures each append.
    pub(crate) fn measure(&self, rival: &dyn Rival, duration: Duration) -> Result<Measured, String> {
        let events: Vec<Vec<u8>> = (0..self.batch).map(event).collect();
        let latencies = Mutex::new(Vec::new());
        let started = Instant::now();
        thread::scope(|scope| {
            let workers: Vec<_> = (0..self.clients)
                .map(|number| {
                    let (events, latencies) = (&events, &latencies);
                    scope.spawn(move || {
                        let stream = format!("account-{number}");
                        let mut client = Client { stream, next: 0, last_position: None };
                        let mut own = Vec::new();
                        while started.elapsed() < duration {
                            let before = Instant::now();
                            rival.append(&mut client, events)?;
                            own.push(before.elapsed().as_micros() as u64);
                            client.next += events.len() as u64;
                        }
                        latencies.lock().map_err(|_| "a client panicked")?.extend(own);
                        Ok::<(), String>(())
                    })
                })
                .collect();
            workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a client panicked")?)
        })?;
        let seconds = started.elapsed().as_secs_f64();
        let mut latencies = latencies.into_inner().map_err(|_| "a client panicked")?;
        latencies.sort_unstable();
        Ok(Measured { events: (latencies.len() * self.batch) as u64, seconds, latencies })
    }
}

/// JSON of the size that is measured.
pub(crate) fn event(number: usize) -> Vec<u8> {
    let mut text = format!("{{\"amount\":{number},\"currency\":\"EUR\",\"note\":\"");
    let closing = "\"}";
    text.extend(std::iter::repeat_n('x', EVENT_BYTES - text.len() - closing.len()));
    text.push_str(closing);
    text.into_bytes()
}

impl Measured {
    fn percentile(&self, percent: usize) -> u64 {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get(last * percent / 100).copied().unwrap_or(0)
    }

    /// One JSON object on one line.
    pub(crate) fn json(&self, system: &str, scenario: &str) -> String {
        format!(
            "{{\"system\":\"{system}\",\"scenario\":\"{scenario}\",\"events\":{},\"seconds\":{:.3},\"events_per_s\":{:.0},\"p50_us\":{},\"p99_us\":{}}}",
            self.events,
            self.seconds,
            self.events as f64 / self.seconds,
            self.percentile(50),
            self.percentile(99),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{EVENT_BYTES, Measured, event};

    #[test]
    fn events_have_the_size_that_is_named() {
        assert!([0, 7, 999].iter().all(|number| event(*number).len() == EVENT_BYTES));
    }

    #[test]
    fn the_line_has_every_figure() {
        let measured = Measured { events: 200, seconds: 2.0, latencies: (1..=100).collect() };
        assert_eq!(
            measured.json("x", "y"),
            r#"{"system":"x","scenario":"y","events":200,"seconds":2.000,"events_per_s":100,"p50_us":50,"p99_us":99}"#
        );
    }
}
