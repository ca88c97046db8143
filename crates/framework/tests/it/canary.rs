//! A marked value through typed code on a disk: events, a snapshot, clear rows, a cache. Its person is erased, and then it is
//! looked for in every byte of every file, and asked for in every way.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use factum::{
    Cache, CommandMetadata, Context, Decider, Event, Executor, ForgettingReadModels, Handle, Lookup, Outcome,
    Personal, PersonalFields, Projection, Projections, RetryPolicy, Revealed, SnapshotWrite, Snapshots,
    TypedProjection, Waited,
};
use factum_core::read_model::ReadModels;
use factum_core::{Checkpoint, EventStore, StreamName, SystemClock};
use factum_engine::{Engine, Options};
use factum_sqlite::{SqliteKeyStore, SqliteReadModels};
use factum_vault::{
    ErasureHandler, ErasureRequest, KeyVault, LocalKeyFile, SealingStore, Subject, VaultOptions,
};

const ERASED: &str = "mkvqhtrsjpnugilo";
const STAYS: &str = "wprgxuzkyvotmhqs";
/// Long enough for a slow machine; nothing waits for it to pass.
const LONG: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, PartialEq, Event)]
#[personal(subject = "id")]
enum GuestEvent {
    Arrived {
        id: String,
        #[personal]
        name: Personal<String>,
        #[personal(external)]
        note: Personal<Vec<String>>,
        #[personal(fallback = "somebody")]
        companion: Option<Personal<String>>,
    },
}

#[derive(Debug, Default, PartialEq, PersonalFields)]
struct Guest {
    #[personal]
    name: Option<Personal<String>>,
    #[personal]
    note: Option<Personal<Vec<String>>>,
    visits: u64,
}

struct Desk;

impl Decider for Desk {
    type State = Guest;
    type Command = (String, String);
    type Event = GuestEvent;
    type Rejection = ();

    fn initial_state(&self) -> Guest {
        Guest::default()
    }

    fn evolve(&self, guest: &mut Guest, event: &GuestEvent) {
        let GuestEvent::Arrived { name, note, .. } = event;
        (guest.name, guest.note) = (Some(name.clone()), Some(note.clone()));
        guest.visits += 1;
    }

    fn decide(&self, _: &Guest, (id, name): &Self::Command, _: &Context) -> Result<Vec<GuestEvent>, ()> {
        Ok(vec![GuestEvent::Arrived {
            id: id.clone(),
            name: Personal::new(name.clone()),
            note: Personal::new(vec![format!("{name} likes tea"); 40]),
            companion: Some(Personal::new(format!("a friend of {name}"))),
        }])
    }
}

const TABLES: &str = "create table guests (id text primary key, subject text not null, name text);
                      create index by_name on guests (name)";

/// Says nothing of what changes when it forgets: nobody may have to think of it.
fn guests() -> impl Projection {
    let projection = TypedProjection::<GuestEvent>::new("guests", TABLES, |event, _, model| {
        let GuestEvent::Arrived { id, name, .. } = event;
        let Some(subject) = name.subject() else { return Ok(()) };
        let values = [
            ("id", id.into()),
            ("subject", subject.to_string().into()),
            ("name", name.value()?.cloned().into()),
        ];
        model.execute(
            "insert into guests values (:id, :subject, :name) on conflict (id) do update set name = excluded.name",
            &values,
        )?;
        model.changed(format!("guest:{id}"));
        Ok(())
    });
    projection.unwrap().forgets(|erased, model| {
        let subject = [("subject", erased.subject.to_string().into())];
        model.execute("update guests set name = null where subject = :subject", &subject)?;
        Ok(())
    })
}

/// The files below a directory that hold the mark.
fn holding(path: &Path, mark: &str) -> Vec<String> {
    if path.is_dir() {
        let entries = std::fs::read_dir(path).unwrap();
        return entries.flat_map(|entry| holding(&entry.unwrap().path(), mark)).collect();
    }
    let bytes = std::fs::read(path).unwrap();
    // A piece gives it away too: databases store texts in pieces.
    let found = mark.as_bytes().windows(8).any(|piece| bytes.windows(8).any(|window| window == piece));
    if found { vec![path.display().to_string()] } else { Vec::new() }
}

fn stream(id: &str) -> StreamName {
    StreamName::new(format!("guest-{id}")).unwrap()
}

async fn arrive(desk: &Executor<Desk>, id: &str, name: &str) -> Checkpoint {
    let command = (id.to_owned(), name.to_owned());
    match desk.execute(&stream(id), &command, &CommandMetadata::new()).await.unwrap() {
        Outcome::Applied(applied) => {
            assert!(matches!(applied.snapshot, SnapshotWrite::Written(_)), "{:?}", applied.snapshot);
            applied.token
        }
        other => panic!("{other:?}"),
    }
}

fn name_of(handle: &Handle, id: &str) -> (Option<String>, Checkpoint) {
    let (rows, applied) =
        handle.query("select name from guests where id = :id", &[("id", id.into())]).unwrap();
    (rows.rows[0][0].as_text().map(str::to_owned), applied.applied)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_value_of_typed_code_is_in_no_byte_and_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path().join("log"), Options::default()).unwrap();
    let log: Arc<dyn EventStore> = Arc::new(engine.clone());
    let kek = LocalKeyFile::create(dir.path().join("kek"), Arc::new(SystemClock)).unwrap();
    let keys = SqliteKeyStore::create(dir.path().join("vault")).unwrap();
    let (vault, _) = KeyVault::open(VaultOptions::new(Box::new(keys), Box::new(kek)), &*log).await.unwrap();
    let store: Arc<dyn EventStore> = Arc::new(SealingStore::new(Arc::clone(&log), vault.clone()));
    let desk =
        || Executor::new(Arc::clone(&store), Desk, RetryPolicy::NEVER).with_snapshots(Snapshots::every(1));
    let read_models: Arc<dyn ReadModels> =
        Arc::new(SqliteReadModels::open(dir.path().join("read-models")).unwrap());
    let projections = Projections::open(Arc::clone(&store), Arc::clone(&read_models)).await.unwrap();
    let handle = projections.start(guests()).await.unwrap();
    let cache = Cache::<String, Option<String>>::new(100);
    let mut changes = handle.changes();

    arrive(&desk(), "b", STAYS).await;
    arrive(&desk(), "a", "somebody else").await;
    let token = arrive(&desk(), "a", ERASED).await;
    assert!(matches!(handle.wait(&token, LONG).await.unwrap(), Waited::Ready { .. }));
    for id in ["a", "b"] {
        let Lookup::Miss(load) = cache.get(&id.to_owned(), None) else { panic!("nothing was kept yet") };
        let (name, applied) = name_of(&handle, id);
        load.keep(name, [format!("guest:{id}")], &applied);
    }
    while let Some(change) = changes.try_next() {
        cache.changed(&change);
    }
    for id in ["a", "b"] {
        if let Lookup::Miss(load) = cache.get(&id.to_owned(), None) {
            let (name, applied) = name_of(&handle, id);
            load.keep(name, [format!("guest:{id}")], &applied);
        }
    }
    let clear = holding(dir.path(), ERASED);
    assert!(!clear.is_empty() && clear.iter().all(|file| file.contains("read-models")), "{clear:?}");
    let state = desk().load(&stream("a")).await.unwrap().state;
    assert_eq!(state.name.as_ref().unwrap().value(), Ok(Some(&ERASED.to_owned())));
    assert!(!format!("{state:?} {vault:?}").contains(ERASED), "no debug output shows it");

    let request =
        ErasureRequest::everything(vault.subject_ref(&Subject::new("a").unwrap()), "art. 17", "dpo");
    let models = ForgettingReadModels::new(Arc::clone(&log), Arc::clone(&read_models), LONG);
    let handlers: Vec<&dyn ErasureHandler> = vec![&models];
    let receipt = vault.erase(&*log, &request, &handlers).await.unwrap();
    assert_eq!(receipt.receipt.keys.len(), 1);
    assert_eq!(holding(dir.path(), ERASED), Vec::<String>::new());

    // Whoever serves from a cache hears of it as of any change.
    let (name, applied) = name_of(&handle, "a");
    assert_eq!(name, None);
    assert!(matches!(cache.get(&"a".to_owned(), None), Lookup::Hit(Some(_))), "nobody told it yet");
    loop {
        let change = changes.next().await.unwrap();
        cache.changed(&change);
        if change.position() >= applied.next_position().unwrap() {
            break;
        }
    }
    assert!(matches!(cache.get(&"a".to_owned(), None), Lookup::Miss(_)), "the cache was not told");

    // The snapshot is there, and what it says of the person is that it is erased.
    let loaded = desk().load(&stream("a")).await.unwrap();
    let erased =
        |value: Revealed<&String>| matches!(value, Revealed::Erased(gone) if gone.erasure == request.erasure);
    assert!(erased(loaded.state.name.as_ref().unwrap().read().unwrap()));
    assert_eq!(loaded.state.visits, 2);
    let other = desk().load(&stream("b")).await.unwrap().state;
    assert_eq!(other.name.unwrap().value(), Ok(Some(&STAYS.to_owned())));
    assert_eq!(name_of(&handle, "b").0.as_deref(), Some(STAYS));

    // Nothing comes back when everything is built anew, and nothing of it is in a file then either.
    let rebuilt = projections.rebuild(guests()).await.unwrap();
    rebuilt.promote(LONG, "dpo", "a test").await.unwrap();
    assert_eq!(name_of(&rebuilt, "a").0, None);
    assert_eq!(name_of(&rebuilt, "b").0.as_deref(), Some(STAYS));
    drop((handle, rebuilt, projections, read_models, models));
    drop((store, vault));
    engine.close();
    assert_eq!(holding(dir.path(), ERASED), Vec::<String>::new());
    assert!(!holding(dir.path(), STAYS).is_empty());
}
