//! Runs a day in the shop, sells the last pieces of an article to many buyers at once, and shows what became of orders.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};
use factum::{CommandMetadata, ProjectionError, Projections, Waited};
use factum_core::read_model::{ReadModelError, ReadModels, Value};
use factum_core::{ErrorKind, EventStore, Read, Selector};
use factum_engine::{Create, Engine, Options};
use factum_postgres::PostgresReadModels;
use factum_sqlite::SqliteReadModels;
use orders::{
    ArticleId, Card, Catalogue, Country, Currency, Line, Money, OrderCommand, OrderId, OrderStatus, Shop,
    ShopError, StockCommand, StockRefusal, demo, order_summary,
};
use serde::Serialize;

/// How long `ls` waits for the read model to hold the whole log.
const PATIENCE: Duration = Duration::from_secs(600);

/// A shop, event-sourced
#[derive(Parser)]
#[command(name = "orders", after_help = EXAMPLES)]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
EXAMPLES:
  orders day --data ./shop
  orders ls --data ./shop
  orders ls --data ./shop --read-models postgres://me:secret@localhost/shop
  orders race --data ./shop
  orders race --buyers 64 --pieces 20 --data ./shop
  orders show 1 --data ./shop";

#[derive(Subcommand)]
enum Verb {
    /// Let orders come in and check them out: one JSON object
    Day {
        /// How many orders
        #[arg(long, default_value_t = 50)]
        orders: u32,
        /// Directory of the store
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Print the read model of orders: one JSON object per row
    Ls {
        /// Only those that are open, submitted, completed or cancelled
        #[arg(long)]
        status: Option<String>,
        /// Directory of the store
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// Where the read model is: a directory (SQLite), or postgres://... [default: read-models in the store's directory]
        #[arg(long, value_name = "DIR|URL")]
        read_models: Option<String>,
    },
    /// Let many buyers reserve the last mugs at the same moment: one JSON object
    Race {
        /// How many buyers, each with an order of one mug
        #[arg(long, default_value_t = 16)]
        buyers: u32,
        /// How many mugs come in before they begin
        #[arg(long, default_value_t = 5)]
        pieces: u32,
        /// Directory of the store
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Print one order with its payment and its shipment: one JSON object
    Show {
        /// The order's number
        order: String,
        /// Directory of the store
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
}

/// What went wrong, in words, and of which kind.
struct Failure {
    kind: ErrorKind,
    what: String,
}

impl Failure {
    fn new(kind: ErrorKind, what: &impl ToString) -> Self {
        Self { kind, what: what.to_string() }
    }
}

impl<R: std::error::Error + 'static> From<ShopError<R>> for Failure {
    fn from(error: ShopError<R>) -> Self {
        Failure::new(error.kind(), &error)
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(&Failure::new(ErrorKind::Unavailable, &error)),
    };
    match runtime.block_on(run(args.verb)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure),
    }
}

/// The exit codes are those of `factum`.
fn report(failure: &Failure) -> ExitCode {
    eprintln!("orders: {}", failure.what);
    ExitCode::from(match failure.kind {
        ErrorKind::Invalid => 2,
        ErrorKind::NotFound | ErrorKind::Deleted => 5,
        ErrorKind::Conflict => 6,
        ErrorKind::Unavailable => 7,
        _ => 1,
    })
}

async fn run(verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Day { orders, data } => {
            let day = demo::day(&Arc::new(open(&data, Create::IfMissing)?), orders).await;
            print(&day.map_err(|error| Failure::new(error.kind(), &error))?)
        }
        Verb::Ls { status, data, read_models } => list(status, &data, read_models).await,
        Verb::Race { buyers, pieces, data } => race(buyers, pieces, open(&data, Create::IfMissing)?).await,
        Verb::Show { order, data } => show(&OrderId::new(order), open(&data, Create::Never)?).await,
    }
}

fn open_store(data: &Path, create: Create) -> Result<Arc<dyn EventStore>, Failure> {
    let options = Options { create, ..Options::default() };
    let engine = Engine::open(data, options).map_err(|error| Failure::new(error.kind(), &error))?;
    Ok(Arc::new(engine))
}

fn open(data: &Path, create: Create) -> Result<Shop, Failure> {
    Shop::new(&open_store(data, create)?, Catalogue::sample())
        .map_err(|error| Failure::new(ErrorKind::SchemaViolation, &error))
}

fn print(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(|error| Failure::new(ErrorKind::Invalid, &error))?;
    // A reader that has gone away wants no more: that is no failure.
    let _ = writeln!(std::io::stdout(), "{text}");
    Ok(())
}

/// Brings the read model up to the end of the log, and prints its rows.
async fn list(status: Option<String>, data: &Path, place: Option<String>) -> Result<(), Failure> {
    let store = open_store(data, Create::Never)?;
    let failed = |error: ReadModelError| Failure::new(error.kind(), &error);
    let read_models: Arc<dyn ReadModels> = match place {
        Some(url) if url.starts_with("postgres") && url.contains("://") => {
            Arc::new(PostgresReadModels::open(&url).map_err(failed)?)
        }
        place => {
            let directory = place.map_or_else(|| data.join("read-models"), PathBuf::from);
            Arc::new(SqliteReadModels::open(directory).map_err(failed)?)
        }
    };
    let failed = |error: ProjectionError| Failure::new(error.kind(), &error);
    let log = Read::forwards(Selector::All).limit(1);
    let reader = store.read(log).await.map_err(|error| Failure::new(error.kind(), &error))?;
    let end = reader.head().snapshot.clone();
    let projections = Projections::open(store, read_models).await.map_err(|error| failed(error.into()))?;
    let projection = order_summary().map_err(|error| Failure::new(ErrorKind::SchemaViolation, &error))?;
    let handle = projections.start(projection).await.map_err(failed)?;
    let waited = handle.wait(&end, PATIENCE).await;
    match waited.map_err(|error| Failure::new(ErrorKind::Conflict, &error))? {
        Waited::Ready { .. } => {}
        other => {
            return Err(Failure::new(
                ErrorKind::Unavailable,
                &format!("the rows are not there yet: {other:?}"),
            ));
        }
    }
    // PostgreSQL wants to be told what a parameter is that may be missing.
    let query = "select * from order_summary
                 where cast(:status as text) is null or status = cast(:status as text) order by order_number";
    let (rows, _) = handle.query(query, &[("status", status.into())]).map_err(failed)?;
    for row in rows.rows {
        let cells = rows.columns.iter().zip(&row).map(|(column, cell)| (column.clone(), json(cell)));
        print(&cells.collect::<serde_json::Map<_, _>>())?;
    }
    Ok(())
}

fn json(cell: &Value<'_>) -> serde_json::Value {
    match cell {
        Value::Null => serde_json::Value::Null,
        Value::Integer(number) => (*number).into(),
        other => other.to_string().into(),
    }
}

/// What the race came to.
#[derive(Serialize)]
struct Raced {
    buyers: u32,
    reserved: u32,
    out_of_stock: u32,
    decided_again: u32,
    left: i64,
}

/// Orders are numbered from 1, so that a second race in the same store finds its orders submitted and its mugs put
/// aside: nothing happens twice.
async fn race(buyers: u32, pieces: u32, shop: Shop) -> Result<(), Failure> {
    let (shop, mug) = (Arc::new(shop), ArticleId::new("mug"));
    let came_in = StockCommand::Receive(Line { article: mug.clone(), pieces });
    shop.stock(came_in, &CommandMetadata::new().actor("warehouse").command_id("race/delivery")).await?;
    let tasks: Vec<_> = (1..=buyers)
        .map(|buyer| {
            let (shop, mug) = (Arc::clone(&shop), mug.clone());
            tokio::spawn(async move { buy(&shop, &OrderId::new(buyer.to_string()), mug).await })
        })
        .collect();
    let mut raced = Raced { buyers, reserved: 0, out_of_stock: 0, decided_again: 0, left: 0 };
    for task in tasks {
        match task.await.map_err(|error| Failure::new(ErrorKind::Unavailable, &error))?? {
            Some(attempts) => {
                raced.reserved += 1;
                raced.decided_again += attempts - 1;
            }
            None => raced.out_of_stock += 1,
        }
    }
    raced.left = shop.available(&mug).await?;
    print(&raced)
}

/// How often it was decided until a mug was put aside; `None` where there was none left.
async fn buy(shop: &Shop, order: &OrderId, mug: ArticleId) -> Result<Option<u32>, Failure> {
    let card = Card { last_four: format!("{order:0>4}"), limit: Money::new(50_000, Currency::EUR) };
    let steps = [
        OrderCommand::Create { customer: format!("buyer {order}"), currency: Currency::EUR },
        OrderCommand::AddItem(Line { article: mug.clone(), pieces: 1 }),
        OrderCommand::Submit { card, country: Country::NL },
    ];
    for (step, command) in steps.into_iter().enumerate() {
        let asked = CommandMetadata::new().actor("buyer").command_id(format!("race/{order}/{step}"));
        shop.order(order, command, &asked).await?;
    }
    let reserve =
        StockCommand::Reserve { order: order.clone(), lines: vec![Line { article: mug, pieces: 1 }] };
    let asked = CommandMetadata::new().actor("buyer").command_id(format!("race/{order}/reserve"));
    match shop.stock(reserve, &asked).await {
        Ok(outcome) => Ok(Some(outcome.attempts())),
        Err(ShopError::Refused(StockRefusal::OutOfStock { .. })) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn show(order: &OrderId, shop: Shop) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Shown<'a> {
        order: &'a OrderId,
        #[serde(flatten)]
        state: &'a orders::Order,
        total: Option<Money>,
        payment: orders::Payment,
        shipment: orders::Shipment,
    }
    let state = shop.order_now(order).await?.state;
    if state.status == OrderStatus::NotCreated {
        let what = format!("there is no order {order}: check the number and --data");
        return Err(Failure::new(ErrorKind::NotFound, &what));
    }
    let (payment, shipment) = (shop.payment_now(order).await?, shop.shipment_now(order).await?);
    print(&Shown { order, state: &state, total: state.total(), payment, shipment })
}
