//! When has a read model forgotten an erased subject?

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use factum_core::read_model::{Action, PersonalData, ReadModelError, ReadModels, Role, Version, Woken};
use factum_core::{Clock, EventStore, Position, Read, ReadFrom, Selector, SystemClock, Timestamp};
use factum_vault::{ErasureHandler, KeysDestroyed, Reach};

/// The read models of one database, as an erasure has to reach them.
///
/// Sealed rows are erased with their key. A projection that forgets has done so when its progress has passed the event which
/// says that the keys are destroyed. Rows that are to be rebuilt must have been made after that event. A version that is only
/// kept to go back to is discarded: nobody applies anything to it any more.
pub struct ForgettingReadModels {
    store: Arc<dyn EventStore>,
    read_models: Arc<dyn ReadModels>,
    patience: Duration,
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
        Self { store, read_models, patience }
    }
}

impl Forgetting<'_> {
    async fn forgotten(&self, told: Position) -> Result<String, String> {
        let Version { name, number, role, personal, .. } = self.version;
        match (personal, role) {
            (PersonalData::None | PersonalData::Sealed, _) => {
                Ok("its rows are sealed with the destroyed keys".to_owned())
            }
            (_, Role::Previous) => {
                self.discard("held personal data of an erased subject")?;
                Ok("discarded: it was only kept to go back to".to_owned())
            }
            (PersonalData::Forgotten, _) => {
                self.wait_until(told.next())?;
                self.all.read_models.purge(name, *number).map_err(|error| error.to_string())?;
                Ok(format!("its projection forgot at position {told}"))
            }
            (PersonalData::Rebuilt, _) => {
                let told_at = self.recorded_at(told).await?;
                if self.version.created_at >= told_at {
                    return Ok(format!("built after position {told}"));
                }
                if *role == Role::Building {
                    self.discard("read personal data of an erased subject")?;
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
        let (what, actor) = ("discarded".to_owned(), "factum privacy".to_owned());
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

    async fn recorded_at(&self, position: Position) -> Result<Timestamp, String> {
        let read = Read::forwards(Selector::All).from(ReadFrom::Position(position)).limit(1);
        let mut reader = self.all.store.read(read).await.map_err(|error| error.to_string())?;
        let page = reader.next_page().await.map_err(|error| error.to_string())?;
        let event = page.and_then(|page| page.events.into_iter().next());
        event
            .map(|event| event.recorded_at())
            .ok_or_else(|| format!("there is no event at position {position}"))
    }
}

impl ErasureHandler for ForgettingReadModels {
    fn forget<'a>(
        &'a self,
        _erased: &'a KeysDestroyed,
        told: Position,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Reach>, Vec<Reach>>> + Send + 'a>> {
        Box::pin(async move {
            let reach = |name, how| Reach { kind: "read model".to_owned(), name, how };
            // As they are now: one that was begun before the keys were destroyed is among them.
            let versions = match self.read_models.versions() {
                Ok(versions) => versions,
                Err(error) => return Err(vec![reach(self.read_models.describe(), error.to_string())]),
            };
            let (mut reached, mut missing) = (Vec::new(), Vec::new());
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
