//! Does a read model forget who was erased, and is nothing called forgotten before it is?

use std::path::Path;

use factum::{DeclaredProjection, ForgettingReadModels, Personal, Projection, ProjectionError, Revealed};
use factum_core::read_model::{PersonalData, ProjectionName};
use factum_core::{EventType, NewEvent, SystemClock};
use factum_vault::{
    Cell, EraseError, ErasureId, ErasureRequest, KEYS_DESTROYED_TYPE, KeyVault, LocalKeyFile, MemoryKeyStore,
    OpenedCell, PRIVACY_STREAM, SealingStore, SignedReceipt, Subject, VaultOptions,
};

use super::*;

/// Appears in no other text.
const MARK: &str = "Xanthippe-7f3a";

#[derive(Clone, Debug, PartialEq, Event)]
enum Customer {
    Registered {
        id: String,
        #[personal(subject = "id")]
        name: Personal<String>,
    },
}

struct Shop {
    log: Arc<dyn EventStore>,
    vault: KeyVault,
    world: World,
}

impl Shop {
    async fn new() -> Self {
        let log: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
        let directory = tempfile::tempdir().unwrap();
        let kek = LocalKeyFile::create(directory.path().join("kek"), Arc::new(SystemClock)).unwrap();
        let options = VaultOptions::new(Box::new(MemoryKeyStore::new()), Box::new(kek));
        let (vault, _) = KeyVault::open(options, &*log).await.unwrap();
        // The key file is needed for as long as the vault is open.
        let _ = directory.keep();
        let world = World::over(Arc::new(SealingStore::new(Arc::clone(&log), vault.clone()))).await;
        Self { log, vault, world }
    }

    async fn register(&self, id: &str, name: &str) -> Checkpoint {
        let event = Customer::Registered { id: id.to_owned(), name: Personal::new(name.to_owned()) };
        self.world.append(&format!("customer-{id}"), &[event]).await
    }

    fn request(&self, id: &str) -> ErasureRequest {
        ErasureRequest::everything(self.vault.subject_ref(&Subject::new(id).unwrap()), "art. 17", "dpo")
    }

    async fn erase(&self, request: &ErasureRequest) -> Result<SignedReceipt, EraseError> {
        let patience = Duration::from_secs(20);
        let models = ForgettingReadModels::new(self.log.clone(), self.world.read_models.clone(), patience);
        self.vault.erase(&*self.log, request, &[&models]).await
    }

    /// Whether the mark is in any byte of any file of the read models.
    fn is_marked(&self) -> bool {
        holds(self.world.dir.path(), MARK.as_bytes())
    }
}

fn holds(path: &Path, mark: &[u8]) -> bool {
    if path.is_dir() {
        return std::fs::read_dir(path).unwrap().any(|entry| holds(&entry.unwrap().path(), mark));
    }
    std::fs::read(path).unwrap().windows(mark.len()).any(|window| window == mark)
}

const CUSTOMERS: &str = "create table customers (id text primary key, subject text not null, name text)";

fn clear() -> TypedProjection<Customer> {
    let projection = TypedProjection::<Customer>::new("customers", CUSTOMERS, |event, _, model| {
        let Customer::Registered { id, name } = event;
        let subject = name.subject().map(|subject| subject.to_string());
        let name = name.value()?.cloned();
        let values = [("id", id.into()), ("subject", subject.into()), ("name", name.into())];
        model.execute("insert into customers values (:id, :subject, :name)", &values)?;
        Ok(())
    });
    projection.unwrap().forgets(|erased, model| {
        let subject = erased.subject.to_string();
        model.execute(
            "update customers set name = null where subject = :subject",
            &[("subject", subject.into())],
        )?;
        Ok(())
    })
}

fn names(handle: &Handle) -> Vec<Option<String>> {
    let (rows, _) = handle.query("select name from customers order by id", &[]).unwrap();
    rows.rows.iter().map(|row| row[0].as_text().map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clear_rows_are_forgotten_in_every_byte_of_every_file() {
    let shop = Shop::new().await;
    let handle = shop.world.projections.start(clear()).await.unwrap();
    shop.register("a", MARK).await;
    let token = shop.register("b", "Bob").await;
    ready(&handle, &token).await;
    assert_eq!(names(&handle), [Some(MARK.to_owned()), Some("Bob".to_owned())]);
    assert!(shop.is_marked(), "the search finds what is there");
    let receipt = shop.erase(&shop.request("a")).await.unwrap();
    assert_eq!(names(&handle), [None, Some("Bob".to_owned())]);
    assert!(!shop.is_marked());
    let reached = receipt.receipt.reached.iter().find(|reach| reach.kind == "read model").unwrap();
    assert!(reached.name.contains("customers") && reached.how.contains("forgot"), "{reached}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_is_incomplete_while_the_projection_does_not_run() {
    let shop = Shop::new().await;
    let handle = shop.world.projections.start(clear()).await.unwrap();
    let token = shop.register("a", MARK).await;
    ready(&handle, &token).await;
    drop(handle);
    let Shop { log, vault, world } = shop;
    let request = ErasureRequest::everything(vault.subject_ref(&Subject::new("a").unwrap()), "r", "a");
    let World { store, read_models, projections, dir } = world;
    drop(projections);
    let models = ForgettingReadModels::new(log.clone(), read_models.clone(), Duration::ZERO);
    let error = vault.erase(&*log, &request, &[&models]).await.unwrap_err();
    assert!(error.to_string().contains("let it run"), "{error}");
    // It comes to it when it runs again, and then the erasure is complete.
    let projections = Projections::open(Arc::clone(&store), Arc::clone(&read_models)).await.unwrap();
    let shop = Shop { log, vault, world: World { store, read_models, projections, dir } };
    let handle = shop.world.projections.start(clear()).await.unwrap();
    shop.erase(&request).await.unwrap();
    assert_eq!(names(&handle), [None]);
    assert!(!shop.is_marked());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_word_of_an_erasure_forgets_nothing() {
    let shop = Shop::new().await;
    let handle = shop.world.projections.start(clear()).await.unwrap();
    let token = shop.register("a", MARK).await;
    ready(&handle, &token).await;
    let forged = |subject| {
        let data = serde_json::json!({ "erasure": ErasureId::generate().to_string(), "subject": subject,
            "purpose": null, "keys": [] });
        NewEvent::json(EventType::new(KEYS_DESTROYED_TYPE).unwrap(), data.to_string())
    };
    let events = vec![forged(shop.request("a").subject.to_string())];
    let stream = StreamName::new(PRIVACY_STREAM).unwrap();
    shop.log.append_to(stream, ExpectedRevision::Any, events).await.unwrap();
    let token = shop.register("b", "Bob").await;
    ready(&handle, &token).await;
    assert_eq!(names(&handle), [Some(MARK.to_owned()), Some("Bob".to_owned())]);
    shop.erase(&shop.request("a")).await.unwrap();
    assert_eq!(names(&handle), [None, Some("Bob".to_owned())], "the vault's own word is heard");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_partition_forgets() {
    let shop = Shop::new().await;
    let partitioned = clear().declared(|definition| definition.partitioned_by_stream(4));
    let handle = shop.world.projections.start(partitioned).await.unwrap();
    for n in 0..16 {
        let event = Customer::Registered {
            id: format!("a{n}"),
            name: Personal::of(Subject::new(format!("a{n}")).unwrap(), MARK.to_owned()),
        };
        shop.world.append(&format!("customer-{n}"), &[event]).await;
    }
    for n in 0..16 {
        shop.erase(&shop.request(&format!("a{n}"))).await.unwrap();
    }
    assert!(names(&handle).iter().all(Option::is_none));
    assert!(!shop.is_marked());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sealed_rows_are_erased_with_their_key() {
    let shop = Shop::new().await;
    let vault = shop.vault.clone();
    let sealing = TypedProjection::<Customer>::new("customers", CUSTOMERS, move |event, _, model| {
        let Customer::Registered { id, name } = event;
        let Some(subject) = name.subject() else { return Ok(()) };
        let cell = Cell { table: "customers", row: id, column: "name" };
        let stored = match name.read()? {
            Revealed::Value(name) => {
                let json = format!("{name:?}");
                let owner = factum_vault::KeyOwner::of(subject);
                Some(factum_core::block_on(vault.seal_cell(&owner, &cell, &json))?)
            }
            Revealed::Erased(_) => None,
        };
        let values = [("id", id.into()), ("subject", subject.to_string().into()), ("name", stored.into())];
        model.execute("insert into customers values (:id, :subject, :name)", &values)?;
        Ok(())
    });
    let sealing = sealing.unwrap().declared(|definition| definition.personal_data(PersonalData::Sealed));
    let handle = shop.world.projections.start(sealing).await.unwrap();
    let token = shop.register("a", MARK).await;
    ready(&handle, &token).await;
    assert!(!shop.is_marked(), "sealed from the beginning");
    let cell = Cell { table: "customers", row: "a", column: "name" };
    let stored = names(&handle).remove(0).unwrap();
    assert!(matches!(shop.vault.open_cell(&cell, &stored).await, Ok(OpenedCell::Value(_))));
    let request = shop.request("a");
    shop.erase(&request).await.unwrap();
    assert_eq!(shop.vault.open_cell(&cell, &stored).await, Ok(OpenedCell::Erased(request.erasure)));
}

fn rebuilt() -> TypedProjection<Customer> {
    let projection = TypedProjection::<Customer>::new("customers", CUSTOMERS, |event, _, model| {
        let Customer::Registered { id, name } = event;
        let values = [("id", id.into()), ("subject", "s".into()), ("name", name.value()?.cloned().into())];
        model.execute("insert into customers values (:id, :subject, :name)", &values)?;
        Ok(())
    });
    projection.unwrap().declared(|definition| definition.personal_data(PersonalData::Rebuilt))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_rebuilt_keep_an_erasure_open_until_they_are() {
    let shop = Shop::new().await;
    let handle = shop.world.projections.start(rebuilt()).await.unwrap();
    let token = shop.register("a", MARK).await;
    ready(&handle, &token).await;
    let request = shop.request("a");
    let error = shop.erase(&request).await.unwrap_err();
    assert!(error.to_string().contains("rebuild"), "{error}");
    let handle = shop.world.projections.rebuild(rebuilt()).await.unwrap();
    handle.promote(LONG, "dpo", "erasure").await.unwrap();
    shop.erase(&request).await.unwrap();
    assert_eq!(names(&handle), [None]);
    assert!(!shop.is_marked(), "the version before is discarded with its file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_rebuilds_rows_itself_where_it_may() {
    let shop = Shop::new().await;
    let World { store, read_models, .. } = &shop.world;
    let projections = Projections::open(Arc::clone(store), Arc::clone(read_models)).await.unwrap();
    let projections = Arc::new(projections);
    let handle = projections.start(rebuilt()).await.unwrap();
    let token = shop.register("a", MARK).await;
    ready(&handle, &token).await;
    let token = shop.register("b", "Bob").await;
    ready(&handle, &token).await;
    assert!(shop.is_marked(), "the search finds what is there");
    let models = ForgettingReadModels::new(shop.log.clone(), read_models.clone(), LONG)
        .rebuilding(Arc::clone(&projections), rebuilt());
    // One that was being built when the keys were destroyed is given up.
    let building = projections.rebuild(rebuilt()).await.unwrap();
    drop(building);
    let receipt = shop.vault.erase(&*shop.log, &shop.request("a"), &[&models]).await.unwrap();
    let how = |name: &str| {
        let reach = receipt.receipt.reached.iter().find(|reach| reach.name == name);
        reach.unwrap_or_else(|| panic!("{name}: {receipt:?}")).how.clone()
    };
    assert!(how("customers v1").contains("discarded") && how("customers v3").contains("built after"));
    assert_eq!(names(&handle), [None, Some("Bob".to_owned())], "who has a handle asks the new rows");
    assert!(!shop.is_marked());
    // Later events go to them, and the next erasure builds again.
    let token = shop.register("c", "Charles").await;
    ready(&handle, &token).await;
    shop.vault.erase(&*shop.log, &shop.request("b"), &[&models]).await.unwrap();
    assert_eq!(names(&handle), [None, None, Some("Charles".to_owned())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_projection_of_personal_data_that_cannot_forget_is_not_started() {
    let shop = Shop::new().await;
    let careless = || TypedProjection::<Customer>::new("customers", CUSTOMERS, |_, _, _| Ok(())).unwrap();
    let refused = shop.world.projections.start(careless()).await.err().unwrap();
    assert!(matches!(refused, ProjectionError::PersonalData { .. }), "{refused}");
    let deaf = clear().declared(|_| {
        let category = factum_core::Selector::Category(factum_core::Category::new("customer").unwrap());
        let definition = factum::Definition::new("customers", category, CUSTOMERS).unwrap();
        definition.personal_data(PersonalData::Forgotten)
    });
    let refused = shop.world.projections.start(deaf).await.err().unwrap();
    assert!(matches!(refused, ProjectionError::CannotBeTold { .. }), "{refused}");
    assert!(shop.world.read_models.versions().unwrap().is_empty(), "nothing was made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_way_to_forget_is_no_compatible_change() {
    let shop = Shop::new().await;
    shop.world.projections.start(clear()).await.unwrap();
    let sealed = clear().declared(|definition| definition.personal_data(PersonalData::Sealed));
    let refused = shop.world.projections.accept(&sealed, "dpo", "the same").unwrap_err();
    assert!(matches!(refused, ProjectionError::OtherPersonalData { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declared_projection_forgets_with_statements_of_its_own() {
    for text in [
        "name = \"customers\"\ntables = \"create table customers (id text primary key, subject text, name text)\"\n\
         [parameters]\nwho = [\"data\", \"name\", \"$subject\"]\n\
         [on.Registered]\nrun = \"insert into customers values (:data.id, :who, :data.name)\"\n\
         [on.\"$keysDestroyed\"]\nrun = \"update customers set name = null where subject = :data.subject\"\n",
    ] {
        let shop = Shop::new().await;
        let declared = DeclaredProjection::parse(text).unwrap();
        assert_eq!(declared.definition().personal(), PersonalData::Forgotten);
        let handle = shop.world.projections.start(declared).await.unwrap();
        shop.register("b", "Bob").await;
        let token = shop.register("a", MARK).await;
        ready(&handle, &token).await;
        assert_eq!(names(&handle), [Some(MARK.to_owned()), Some("Bob".to_owned())]);
        shop.erase(&shop.request("a")).await.unwrap();
        assert_eq!(names(&handle), [None, Some("Bob".to_owned())]);
        assert!(!shop.is_marked());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declared_projection_that_does_not_forget_stops_at_personal_data() {
    let shop = Shop::new().await;
    let text = "name = \"customers\"\ntables = \"create table customers (id text primary key, name text)\"\n\
                [on.Registered]\nrun = \"insert into customers values (:data.id, :data.name)\"\n";
    let handle = shop.world.projections.start(DeclaredProjection::parse(text).unwrap()).await.unwrap();
    shop.register("a", MARK).await;
    until(&handle, |all| matches!(all[0].status, factum::Status::Faulted)).await;
    let faults = shop
        .world
        .read_models
        .progress(&ProjectionName::new("customers").unwrap(), handle.status().await.unwrap()[0].version);
    let fault = faults.unwrap().remove(0).fault.unwrap();
    assert!(fault.attempts[0].error.contains("$keysDestroyed"), "{:?}", fault.attempts);
    assert!(!shop.is_marked(), "an error does not repeat the value");
}

/// As where a projection is wrapped by another one that does not pass it on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_projection_that_only_says_that_it_forgets_keeps_the_erasure_open() {
    let shop = Shop::new().await;
    let silent = TypedProjection::<Customer>::new("customers", CUSTOMERS, |event, _, model| {
        let Customer::Registered { id, name } = event;
        let values = [("id", id.into()), ("subject", "s".into()), ("name", name.value()?.cloned().into())];
        model.execute("insert into customers values (:id, :subject, :name)", &values)?;
        Ok(())
    });
    let silent = silent.unwrap().declared(|definition| definition.personal_data(PersonalData::Forgotten));
    let handle = shop.world.projections.start(silent).await.unwrap();
    let token = shop.register("a", MARK).await;
    ready(&handle, &token).await;
    let models = ForgettingReadModels::new(shop.log.clone(), shop.world.read_models.clone(), Duration::ZERO);
    shop.vault.erase(&*shop.log, &shop.request("a"), &[&models]).await.unwrap_err();
    until(&handle, |all| matches!(all[0].status, factum::Status::Faulted)).await;
    assert_eq!(names(&handle), [Some(MARK.to_owned())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_projection_of_the_whole_log_without_personal_data_passes_an_erasure_by() {
    let shop = Shop::new().await;
    let counts = TypedProjection::<Till>::new(
        "counts",
        "create table counts (n bigint primary key)",
        |_, _, model| {
            model.execute("insert into counts select count(*) from counts", &[])?;
            Ok(())
        },
    );
    let counts = counts.unwrap().declared(|_| {
        let all = factum_core::Selector::All;
        factum::Definition::new("counts", all, "create table counts (n bigint primary key)").unwrap()
    });
    let handle = shop.world.projections.start(counts).await.unwrap();
    shop.register("a", MARK).await;
    shop.erase(&shop.request("a")).await.unwrap();
    let token = shop.world.pay("7", 1).await;
    ready(&handle, &token).await;
}
