//! PostgreSQL as an event store: a row for each event, one INSERT for each append, `fsync` and `synchronous_commit` on.

use tokio_postgres::{Client, NoTls, Statement};

use super::{Answer, Connection, Server};

pub(super) struct Postgres {
    url: String,
}

/// Makes the table, and sees to it that the server syncs: one that is started for tests may not.
pub(super) async fn prepare(url: &str) -> Result<Postgres, String> {
    let server = Postgres { url: url.to_owned() };
    let client = server.client().await?;
    let statements = [
        "ALTER SYSTEM SET fsync = on",
        "ALTER SYSTEM SET synchronous_commit = on",
        "ALTER SYSTEM SET full_page_writes = on",
        "SELECT pg_reload_conf()",
        "DROP TABLE IF EXISTS rival_events",
        "CREATE TABLE rival_events (
            position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            stream text NOT NULL,
            revision bigint NOT NULL,
            type text NOT NULL,
            recorded_at timestamptz NOT NULL DEFAULT now(),
            data jsonb NOT NULL,
            UNIQUE (stream, revision)
        )",
    ];
    for statement in statements {
        client.batch_execute(statement).await.map_err(why)?;
    }
    // A new connection sees what the reload has changed.
    let client = server.client().await?;
    for setting in ["fsync", "synchronous_commit"] {
        let row = client.query_one(&format!("SHOW {setting}"), &[]).await.map_err(why)?;
        let value: String = row.get(0);
        if value != "on" {
            return Err(format!("postgresql: {setting} is {value}: what it appends is not safe"));
        }
    }
    Ok(server)
}

fn why(error: tokio_postgres::Error) -> String {
    format!("postgresql: {error}")
}

impl Postgres {
    async fn client(&self) -> Result<Client, String> {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.map_err(why)?;
        // It ends with the client, and a failure shows in the client's next call.
        tokio::spawn(connection);
        Ok(client)
    }
}

struct Inserter {
    client: Client,
    insert: Statement,
    stream: String,
    next: i64,
}

impl Server for Postgres {
    fn connect(&self, client: usize) -> Answer<'_, Box<dyn Connection>> {
        Box::pin(async move {
            let stream = format!("account-{client}");
            let client = self.client().await?;
            let insert = "INSERT INTO rival_events (stream, revision, type, data)
                SELECT $1, $2 + ordinal - 1, 'Deposited', data::jsonb
                FROM unnest($3::text[]) WITH ORDINALITY AS given (data, ordinal)";
            let insert = client.prepare(insert).await.map_err(why)?;
            // Scenarios go on where the one before them ended.
            let count = "SELECT count(*) FROM rival_events WHERE stream = $1";
            let next = client.query_one(count, &[&stream]).await.map_err(why)?.get(0);
            let inserter: Box<dyn Connection> = Box::new(Inserter { client, insert, stream, next });
            Ok(inserter)
        })
    }
}

impl Connection for Inserter {
    fn append<'a>(&'a mut self, events: &'a [Vec<u8>]) -> Answer<'a, ()> {
        Box::pin(async move {
            let texts = events.iter().map(|event| std::str::from_utf8(event));
            let texts: Vec<&str> = texts.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
            self.client.execute(&self.insert, &[&self.stream, &self.next, &texts]).await.map_err(why)?;
            self.next += events.len() as i64;
            Ok(())
        })
    }
}
