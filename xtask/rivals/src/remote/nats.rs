//! NATS JetStream on files, `sync_interval: always`: one stream of the log's kind, a subject for each client.
//!
//! JetStream has no append of several messages: a batch is published message by message and then acknowledged, which is
//! less than Factum's batch promises.

use std::path::Path;
use std::process::Command;

use async_nats::jetstream::{self, stream::StorageType};
use futures_util::future::try_join_all;

use super::process::{Process, free_address};
use super::{Answer, Connection, Server};

pub(super) struct Nats(Process);

pub(super) async fn start(binary: &Path, directory: &Path) -> Result<Nats, String> {
    let address = free_address()?;
    let config = directory.join("nats.conf");
    let text = format!(
        "listen: \"{address}\"\njetstream {{\n  store_dir: \"{}\"\n  sync_interval: always\n}}\n",
        directory.display()
    );
    std::fs::write(&config, text).map_err(|error| format!("nats: {error}"))?;
    let mut command = Command::new(binary);
    command.arg("--config").arg(config);
    let server = Nats(Process::start(command, address)?);
    let context = jetstream::new(server.client().await?);
    let stream = jetstream::stream::Config {
        name: "events".to_owned(),
        subjects: vec!["account.*".to_owned()],
        storage: StorageType::File,
        ..Default::default()
    };
    context.create_stream(stream).await.map_err(|error| format!("nats: {error}"))?;
    Ok(server)
}

impl Nats {
    async fn client(&self) -> Result<async_nats::Client, String> {
        async_nats::connect(self.0.address.to_string()).await.map_err(|error| format!("nats: {error}"))
    }
}

struct Publisher {
    context: jetstream::Context,
    subject: String,
}

impl Server for Nats {
    fn connect(&self, client: usize) -> Answer<'_, Box<dyn Connection>> {
        Box::pin(async move {
            let context = jetstream::new(self.client().await?);
            let publisher: Box<dyn Connection> =
                Box::new(Publisher { context, subject: format!("account.{client}") });
            Ok(publisher)
        })
    }
}

impl Connection for Publisher {
    fn append<'a>(&'a mut self, events: &'a [Vec<u8>]) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut published = Vec::with_capacity(events.len());
            for event in events {
                let publishing = self.context.publish(self.subject.clone(), event.clone().into());
                published.push(publishing.await.map_err(|error| format!("nats: {error}"))?);
            }
            let acknowledged = published.into_iter().map(IntoFuture::into_future);
            try_join_all(acknowledged).await.map(drop).map_err(|error| format!("nats: {error}"))
        })
    }
}
