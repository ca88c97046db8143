//! `factum demo`, served: the bank goes on, one command after another, until somebody ends it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bank::demo::Living;
use bank::{Bank, BankError, TransferSaga};
use factum::DeclaredProjection;
use factum_core::{Checkpoint, Clock, EventStore, MemoryStore, Position, Read, Selector, SystemClock};
use factum_server::{Delivered, LocalConsumer, RunningServer};
use tokio::task::JoinHandle;

use super::{DemoArgs, Filled, business, stopped, temporary};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::record;
use crate::projections::{By, make};
use crate::serve::Signals;
use crate::serving::{Files, KnownHere, Parts, listen_locally};
use crate::store::Access;
use crate::vault::VaultArgs;

/// How often something happens in the bank.
const PACE: Duration = Duration::from_secs(1);
/// Who is told of transfers.
const LETTERS: (&str, &str) = ("$ce-transfer", "letters");

/// A projection with a mistake that a bank might make: a card is lost only once.
const LOST_CARDS: &str = r#"# A card is reported lost once. So they thought.
name = "lost_cards"
tables = """
create table lost_cards (account text primary key, reason text not null, since text not null)
"""

[on.AccountFrozen]
run = "insert into lost_cards (account, reason, since) values (:data.account, :data.reason, :occurred_at)"
"#;

/// Runs the command.
pub(super) async fn run(args: &DemoArgs, context: &Context) -> Result<(), Failure> {
    let mut signals = Signals::listen().map_err(|error| Failure::io("the demo did not start", &error))?;
    // Whatever is left when it ends goes with this.
    let place = Place::of(context)?;
    let demo = tokio::select! {
        () = signals.ended() => return Ok(()),
        demo = Demo::begin(args, context, &place) => demo?,
    };
    demo.announce(context, &place)?;
    tokio::select! {
        () = signals.ended() => {}
        () = demo.server.wait() => {}
    }
    demo.end().await;
    Ok(())
}

/// Where the bank is.
enum Place {
    /// In a directory that stays.
    Kept(PathBuf),
    /// In memory; keys and rows in a directory that goes.
    Gone(tempfile::TempDir),
}

impl Place {
    fn of(context: &Context) -> Result<Self, Failure> {
        context.needs_data()?;
        Ok(match context.data_if_given() {
            Some(data) => Place::Kept(data.to_owned()),
            None => Place::Gone(temporary()?),
        })
    }

    fn data(&self) -> PathBuf {
        match self {
            Place::Kept(data) => data.clone(),
            Place::Gone(dir) => dir.path().join("bank"),
        }
    }

    fn log(&self, context: &Context) -> Result<(Arc<dyn EventStore>, Option<Files>), Failure> {
        Ok(match self {
            Place::Kept(dir) => {
                let engine = context.engine(Access::Create)?;
                (Arc::new(engine.clone()), Some(Files { engine, dir: dir.clone() }))
            }
            Place::Gone(_) => (Arc::new(MemoryStore::new()), None),
        })
    }

    fn vault(&self, context: &Context) -> VaultArgs {
        match self {
            Place::Kept(_) => context.vault().clone(),
            // A store that will be gone takes no vault that stays.
            Place::Gone(_) => VaultArgs::default(),
        }
    }
}

/// A bank that is served.
struct Demo {
    server: RunningServer,
    accounts: u64,
    events: u64,
    forgotten: String,
    still: bool,
    work: Vec<JoinHandle<()>>,
}

impl Demo {
    async fn begin(args: &DemoArgs, context: &Context, place: &Place) -> Result<Self, Failure> {
        let (log, files) = place.log(context)?;
        let filled = business(args, Arc::clone(&log), &place.data(), &place.vault(context)).await?;
        let Filled { shown, sealing, read_models } = filled;
        let store: Arc<dyn EventStore> = Arc::new(sealing.clone());
        let run = SystemClock.now().unix_millis().to_string();
        let mut living = Living::new(Arc::clone(&store), run).map_err(|e| stopped(&e))?;
        living.morning().await.map_err(|e| stopped(&e))?;
        carry_out(living.bank()).await?;
        let lost_cards = DeclaredProjection::parse(LOST_CARDS).map_err(|e| stopped(&e))?;
        let by = By { actor: "demo".to_owned(), reason: "to see one that fails".to_owned() };
        make(&*read_models, &lost_cards, &origin(&*log).await?, &by)?;

        let vault = sealing.vault().clone();
        let domain = Arc::new(bank::domain().map_err(|e| stopped(&e))?);
        let parts = Parts::assemble(log, Some(vault), Some(read_models), Arc::new(KnownHere)).await?;
        let parts = parts.with_domain(domain).with_files(files);
        let server = listen_locally(&parts, args.listen.as_deref(), &args.console).await?;
        let letters = server.consumer(LETTERS.0, LETTERS.1).await.map_err(|e| stopped(&e))?;
        let mut work = vec![tokio::spawn(write_letters(letters))];
        if !args.still {
            work.push(tokio::spawn(run_transfers(Arc::clone(living.bank()))));
            work.push(tokio::spawn(go_on(living)));
        }
        Ok(Self {
            server,
            accounts: shown.summary.accounts,
            events: shown.summary.events,
            forgotten: shown.forgotten.customer.to_string(),
            still: args.still,
            work,
        })
    }

    /// At most six lines.
    fn announce(&self, context: &Context, place: &Place) -> Result<(), Failure> {
        let address = self.server.address();
        if context.wants_data() {
            context.out.one(&record([
                ("address", address.to_string().into()),
                ("console", format!("http://{address}/ui/").into()),
                ("api", format!("http://{address}/v1").into()),
                ("clients", format!("kurrentdb://{address}?tls=false").into()),
                ("forgotten", self.forgotten.as_str().into()),
            ]))?;
            return context.out.flush();
        }
        let pace = if self.still { "it stands still" } else { "a command every second" };
        let kept = match place {
            Place::Kept(data) => format!("It is kept in {}", data.display()),
            Place::Gone(_) => "Nothing of it is kept; --data DIR keeps it".to_owned(),
        };
        context.out.write(
            format!(
                "A bank with {} accounts and a month behind it, {} events of them; {pace}.\n  \
                 console  http://{address}/ui/\n  \
                 API      http://{address}/v1/streams\n  \
                 clients  kurrentdb://{address}?tls=false\n\
                 To see: projection lost_cards stands still, letters are parked, customer {} was forgotten.\n\
                 {kept}. Ctrl-C ends it.\n",
                self.accounts, self.events, self.forgotten,
            )
            .as_bytes(),
        )?;
        context.out.flush()
    }

    async fn end(self) {
        for work in &self.work {
            work.abort();
        }
        self.server.stop().await;
    }
}

/// Does what there is to do about transfers now.
async fn carry_out(bank: &Arc<Bank>) -> Result<(), Failure> {
    let mut runner = bank.transfer_runner(TransferSaga::default()).map_err(|e| stopped(&e))?;
    runner.run_until_idle().await.map_err(|e| stopped(&e))
}

async fn origin(log: &dyn EventStore) -> Result<Checkpoint, Failure> {
    let reader = log.read(Read::forwards(Selector::All).limit(1)).await?;
    Ok(reader.head().snapshot.at(Position::START))
}

/// Writes to customers about their transfers. Nobody can be told of one that failed: the printer is broken.
async fn write_letters(mut letters: LocalConsumer) {
    while let Some(delivered) = letters.next().await {
        match delivered.event.event_type() {
            "TransferFailed" => letters.park(&delivered, unprinted(&delivered)).await,
            _ => letters.done(&delivered).await,
        }
    }
}

fn unprinted(delivered: &Delivered) -> String {
    format!("the letter about {} was not printed: out of paper", delivered.event.stream())
}

async fn run_transfers(bank: Arc<Bank>) {
    if let Ok(mut runner) = bank.transfer_runner(TransferSaga::default()) {
        // It ends with the demo.
        let _ = runner.run(std::future::pending()).await;
    }
}

async fn go_on(mut living: Living) {
    let mut pace = tokio::time::interval(PACE);
    loop {
        pace.tick().await;
        // What fails once is of no more interest than what is refused: the next command comes.
        let _: Result<(), BankError> = living.step().await;
    }
}
