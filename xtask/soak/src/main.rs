//! `cargo xtask soak`: writers, subscribers and consumer groups against the real binary, which is killed every minute.
//!
//! At the end: nothing that was acknowledged is lost, every subscriber saw every event of every stream once and in order,
//! every group saw each at least once, and the memory of the server is told minute by minute.

mod groups;
mod node;
mod subscribers;
mod tally;
mod wire;
mod writers;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;

use crate::node::Node;
use crate::tally::Tally;

/// How long readers may take to come to the end once nothing is written any more.
const CATCH_UP: Duration = Duration::from_secs(120);
/// How often it is looked whether they have.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Keep a server busy, kill it, and count
#[derive(Parser, Debug)]
struct Arguments {
    /// The binary
    #[arg(long, default_value = "target/release/factum")]
    binary: PathBuf,
    /// How long, in seconds
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// How often the server is killed, in seconds
    #[arg(long, default_value_t = 60)]
    kill_every: u64,
    /// Connections in all
    #[arg(long, default_value_t = 200)]
    connections: usize,
    /// Subscriptions to the log
    #[arg(long, default_value_t = 50)]
    subscriptions: usize,
    /// Consumer groups
    #[arg(long, default_value_t = 20)]
    groups: usize,
    /// Appends of one writer in a second
    #[arg(long, default_value_t = 8)]
    rate: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("soak: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<bool, String> {
    let writers = arguments.connections.saturating_sub(arguments.subscriptions + arguments.groups).max(1);
    let mut node = Node::start(&arguments.binary).await?;
    let tally = Arc::new(Tally::new(writers, arguments.subscriptions, arguments.groups));
    let url = node.url();
    groups::create(&url, arguments.groups).await?;
    for number in 0..arguments.subscriptions {
        tokio::spawn(subscribers::follow(url.clone(), number, tally.clone()));
    }
    for number in 0..arguments.groups {
        tokio::spawn(groups::consume(url.clone(), number, tally.clone()));
    }
    let writing: Vec<_> = (0..writers)
        .map(|number| tokio::spawn(writers::write(url.clone(), number, arguments.rate, tally.clone())))
        .collect();
    let began = Instant::now();
    let whole = Duration::from_secs(arguments.seconds);
    while began.elapsed() < whole {
        let left = whole.saturating_sub(began.elapsed());
        tokio::time::sleep(left.min(Duration::from_secs(arguments.kill_every))).await;
        println!(
            "{:>4} s  {}  server {} MiB",
            began.elapsed().as_secs(),
            tally.progress(),
            node.resident_mib()
        );
        if began.elapsed() < whole {
            node.kill_and_restart().await?;
        }
    }
    tally.end_writing();
    for writer in writing {
        writer.await.map_err(|error| format!("a writer failed: {error}"))?;
    }
    let written = Instant::now();
    while !tally.all_caught_up() && written.elapsed() < CATCH_UP {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let (report, passed) = tally.report();
    println!("{report}");
    node.stop().await;
    Ok(passed)
}
