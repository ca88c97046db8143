//! When has a read model forgotten an erased subject?

use std::sync::Arc;
use std::time::Duration;

use factum_core::read_model::{
    Action, PersonalData, ProjectionName, ReadModelError, ReadModels, Role, Version, Woken,
};
use factum_core::{BoxFuture, Clock, EventStore, Position, Read, ReadFrom, Selector, SystemClock, Timestamp};
use factum_vault::{ErasureHandler, KeysDestroyed, Reach, Reached};

use super::Projection;
use super::projections::{ProjectionError, Projections};

/// The read models of one database, as an erasure has to reach them.
///
/// Sealed rows are erased with their key. A projection that forgets has done so when its progress has passed the event which
/// says that the keys are destroyed. Rows that are to be rebuilt must have been made after that event; [`rebuilding`] makes them. A version that is only
/// kept to go back to is discarded: nobody applies anything to it any more.
///
/// [`rebuilding`]: Self::rebuilding
pub struct ForgettingReadModels {
    store: Arc<dyn EventStore>,
    read_models: Arc<dyn ReadModels>,
    patience: Duration,
    rebuilders: Vec<Rebuilder>,
}

type Replaced = BoxFuture<'static, Result<(), ProjectionError>>;

/// Builds the rows of one projection anew and lets them serve.
struct Rebuilder {
    name: ProjectionName,
    replace: Box<dyn Fn(Timestamp, Duration) -> Replaced + Send + Sync>,
}

/// One version with personal data.
struct Forgetting<'a> {
    all: &'a ForgettingReadModels,
    version: &'a Version,
}

impl ForgettingReadModels {
    /// Those of this database. Each erasure waits for at most `patience` until a projection has come far enough, in whichever
    /// process it runs. `store` is the log.
    pub fn new(store: Arc<dyn EventStore>, read_models: Arc<dyn ReadModels>, patience: Duration) -> Self {
        Self { store, read_models, patience, rebuilders: Vec::new() }
    }

    /// And where rows of this projection are to be rebuilt ([`PersonalData::Rebuilt`]), do it: each erasure builds a version beside
    /// the one that serves, from the beginning of the log, lets it serve, and discards the former. `projections` is over the same
    /// database, and over the store that opens personal data.
    #[must_use]
    pub fn rebuilding<P: Projection>(mut self, projections: Arc<Projections>, projection: P) -> Self {
        let projection = Arc::new(projection);
        let name = projection.definition().name().clone();
        let replace = move |before, patience| -> Replaced {
            let (projections, projection) = (Arc::clone(&projections), Arc::clone(&projection));
            Box::pin(async move { projections.replace(projection, before, patience, (ACTOR, HELD)).await })
        };
        self.rebuilders.push(Rebuilder { name, replace: Box::new(replace) });
        self
    }

    fn versions(&self) -> Result<Vec<Version>, Vec<Reach>> {
        self.read_models
            .versions()
            .map_err(|error| vec![reach(self.read_models.describe(), error.to_string())])
    }

    /// Builds anew what has to be, and says what could not be.
    async fn rebuild(&self, told: Position) -> Result<Vec<Reach>, Vec<Reach>> {
        let mut missing = Vec::new();
        for rebuilder in &self.rebuilders {
            let versions = self.versions()?;
            let serves = |v: &&Version| v.name == rebuilder.name && v.role == Role::Serving;
            let Some(serving) = versions.iter().find(serves) else { continue };
            let name = || format!("{} {}", serving.name, serving.number);
            let told_at = recorded_at(&*self.store, told).await.map_err(|why| vec![reach(name(), why)])?;
            if serving.personal != PersonalData::Rebuilt || serving.created_at >= told_at {
                continue;
            }
            if let Err(error) = (rebuilder.replace)(told_at, self.patience).await {
                missing.push(reach(name(), format!("it was not rebuilt: {error}")));
            }
        }
        Ok(missing)
    }
}

/// Who discards and rebuilds.
const ACTOR: &str = "factum privacy";
/// Why what served is replaced.
const HELD: &str = "held personal data of an erased subject";
/// Why what was being built is given up.
const READ: &str = "read personal data of an erased subject";

fn reach(name: String, how: String) -> Reach {
    Reach { kind: "read model".to_owned(), name, how }
}

async fn recorded_at(store: &dyn EventStore, position: Position) -> Result<Timestamp, String> {
    let read = Read::forwards(Selector::All).from(ReadFrom::Position(position)).limit(1);
    let mut reader = store.read(read).await.map_err(|error| error.to_string())?;
    let page = reader.next_page().await.map_err(|error| error.to_string())?;
    let event = page.and_then(|page| page.events.into_iter().next());
    event.map(|event| event.recorded_at()).ok_or_else(|| format!("there is no event at position {position}"))
}

impl Forgetting<'_> {
    async fn forgotten(&self, told: Position) -> Result<String, String> {
        let Version { name, number, role, personal, .. } = self.version;
        match (personal, role) {
            (PersonalData::None | PersonalData::Sealed, _) => {
                Ok("its rows are sealed with the destroyed keys".to_owned())
            }
            (_, Role::Previous) => {
                self.discard(HELD)?;
                Ok("discarded: it was only kept to go back to".to_owned())
            }
            (PersonalData::Forgotten, _) => {
                self.wait_until(told.next())?;
                self.all.read_models.purge(name, *number).map_err(|error| error.to_string())?;
                Ok(format!("its projection forgot at position {told}"))
            }
            (PersonalData::Rebuilt, _) => {
                let told_at = recorded_at(&*self.all.store, told).await?;
                if self.version.created_at >= told_at {
                    return Ok(format!("built after position {told}"));
                }
                if *role == Role::Building {
                    self.discard(READ)?;
                    return Ok("discarded: it was being built when the keys were destroyed; build it again"
                        .to_owned());
                }
                Err(format!(
                    "rebuild it and promote the new version (factum projections rebuild {name}), then ask again"
                ))
            }
        }
    }

    fn discard(&self, why: &str) -> Result<(), String> {
        let Version { name, number, .. } = self.version;
        let failed = |error: ReadModelError| error.to_string();
        match self.all.read_models.discard(name, *number) {
            // Somebody else did.
            Ok(()) | Err(ReadModelError::UnknownVersion { .. }) => {}
            Err(error) => return Err(failed(error)),
        }
        let (name, version, at) = (name.clone(), *number, SystemClock.now());
        let (what, actor) = ("discarded".to_owned(), ACTOR.to_owned());
        let action = Action { name, version, what, actor, reason: why.to_owned(), at };
        self.all.read_models.record(&action).map_err(failed)
    }

    fn wait_until(&self, wanted: Position) -> Result<(), String> {
        let Version { name, number, .. } = self.version;
        let failed = |error: ReadModelError| error.to_string();
        let mut watch = self.all.read_models.watch(name, *number).map_err(failed)?;
        let mut left = self.all.patience;
        loop {
            let progress = self.all.read_models.progress(name, *number).map_err(failed)?;
            let applied = progress.iter().filter_map(|progress| progress.applied.next_position()).min();
            if applied.is_some_and(|applied| applied >= wanted) {
                return Ok(());
            }
            if left.is_zero() {
                let applied = applied.unwrap_or_default();
                return Err(format!(
                    "its projection has come to position {applied}, it forgets at {wanted}: let it run"
                ));
            }
            // A long wait in steps: what is committed between two looks is seen by the next.
            let step = left.min(Duration::from_millis(100));
            if watch.wait(step).map_err(failed)? == Woken::TimedOut {
                left -= step;
            }
        }
    }
}

impl ErasureHandler for ForgettingReadModels {
    fn forget<'a>(&'a self, _erased: &'a KeysDestroyed, told: Position) -> BoxFuture<'a, Reached> {
        Box::pin(async move {
            let mut missing = self.rebuild(told).await?;
            // As they are now: one that was begun before the keys were destroyed is among them.
            let versions = self.versions()?;
            let mut reached = Vec::new();
            for version in versions.iter().filter(|version| version.personal != PersonalData::None) {
                let name = format!("{} {}", version.name, version.number);
                match (Forgetting { all: self, version }).forgotten(told).await {
                    Ok(how) => reached.push(reach(name, how)),
                    Err(how) => missing.push(reach(name, how)),
                }
            }
            if missing.is_empty() { Ok(reached) } else { Err(missing) }
        })
    }
}
