//! What may an operator do with a projection?

use std::time::Duration;

use factum::Handle;
use factum_core::Position;
use factum_core::read_model::{
    CompareOptions, ProjectionName, Role, TableDifference, Version, VersionNumber,
};
use serde_json::{Map, Value};

use super::{By, ReadSide, ReadSideError, on_a_thread};
use crate::shown::fields;

/// How long another action is waited for.
const TURN: Duration = Duration::from_secs(5);
/// How long a version may take to catch up before it serves.
const CATCH_UP: Duration = Duration::from_secs(20);

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// It is not applied any more.
    Stop,
    /// It is applied again.
    Start,
    /// The event that it stands still at is tried again.
    Retry,
    /// That event is passed over.
    Skip(Position),
    /// New rows are made beside the old ones; from this declaration, or from the one that it has.
    Rebuild(Option<String>),
    /// The new rows serve.
    Promote,
    /// The former rows serve again.
    Rollback,
    /// The rows that do not serve go.
    Discard,
}

impl ReadSide {
    /// Does it, and says what became of it.
    ///
    /// # Errors
    /// Why it was not done.
    pub(crate) async fn act(
        &self,
        name: &ProjectionName,
        act: Act,
        by: By<'_>,
    ) -> Result<Map<String, Value>, ReadSideError> {
        let mut seen =
            tokio::time::timeout(TURN, self.acting.lock()).await.map_err(|_| ReadSideError::Busy)?;
        let versions = self.versions_of(name).await?;
        let done = self.do_it(name, &versions, act, by).await;
        // Also what failed half-way was done here.
        *seen = self.state().await?;
        done
    }

    async fn do_it(
        &self,
        name: &ProjectionName,
        versions: &[Version],
        act: Act,
        by: By<'_>,
    ) -> Result<Map<String, Value>, ReadSideError> {
        let serving = versions.iter().find(|version| version.role == Role::Serving);
        let serving = serving.ok_or_else(|| self.missing(name, "version that serves"))?;
        let running = self.running();
        if let Act::Rebuild(definition) = act {
            let version = self.known.build(&running, serving, definition.as_deref(), by).await?;
            return Ok(numbered(name, version.number));
        }
        let handle = running
            .handle(name)
            .map_err(|_| ReadSideError::Elsewhere { name: name.clone(), version: serving.number })?;
        let (actor, reason) = (by.actor.to_owned(), by.reason.to_owned());
        Ok(match act {
            Act::Rebuild(_) => unreachable!("it was done above"),
            Act::Stop => {
                on_a_thread(move || handle.stop(&actor, &reason)).await?;
                with(name, serving.number, "stopped", true.into())
            }
            Act::Start => {
                on_a_thread(move || handle.start(&actor, &reason)).await?;
                with(name, serving.number, "stopped", false.into())
            }
            Act::Retry => self.retry(&handle, versions, by).await?,
            Act::Skip(position) => {
                let fault = on_a_thread(move || handle.skip(position, &actor, &reason)).await?;
                let mut done = with(name, serving.number, "skipped", position.to_string().into());
                done.extend(fields([
                    ("event", fault.event.to_string().into()),
                    ("stream", fault.stream.into()),
                    ("type", fault.event_type.into()),
                ]));
                done
            }
            Act::Promote => {
                self.in_role(name, versions, Role::Building)?;
                numbered(name, handle.promote(CATCH_UP, by.actor, by.reason).await?)
            }
            Act::Rollback => {
                self.in_role(name, versions, Role::Previous)?;
                numbered(name, handle.rollback(CATCH_UP, by.actor, by.reason).await?)
            }
            Act::Discard => {
                self.in_role(name, versions, Role::Building)
                    .or_else(|_| self.in_role(name, versions, Role::Previous))?;
                let number = on_a_thread(move || handle.discard(&actor, &reason)).await?;
                with(name, number, "discarded", true.into())
            }
        })
    }

    /// Tries again, and keeps in the history that somebody wanted it.
    async fn retry(
        &self,
        handle: &Handle,
        versions: &[Version],
        by: By<'_>,
    ) -> Result<Map<String, Value>, ReadSideError> {
        let mut last = Map::new();
        for version in versions.iter().filter(|version| version.role != Role::Previous) {
            let (name, number) = (version.name.clone(), version.number);
            let action = factum_core::read_model::Action {
                name: name.clone(),
                version: number,
                what: "retried".to_owned(),
                actor: by.actor.to_owned(),
                reason: by.reason.to_owned(),
                at: self.clock.now(),
            };
            let faulted = self
                .blocking(move |read_models| {
                    let progress = read_models.progress(&name, number)?;
                    let faulted = progress.iter().any(|progress| progress.fault.is_some());
                    if faulted {
                        read_models.record(&action)?;
                    }
                    Ok::<_, factum_core::read_model::ReadModelError>(faulted)
                })
                .await?;
            if faulted {
                last = with(&version.name, number, "retried", true.into());
            }
        }
        if last.is_empty() {
            return Err(self.missing(handle.name(), "version that stands still"));
        }
        handle.retry();
        Ok(last)
    }

    /// How the rows in the making differ from those that serve, or those that served from those that do: which is the older,
    /// which the newer, and the tables.
    ///
    /// # Errors
    /// `Missing` where there are no two versions.
    pub(crate) async fn compare(
        &self,
        name: &ProjectionName,
        options: CompareOptions,
    ) -> Result<(VersionNumber, VersionNumber, Vec<TableDifference>), ReadSideError> {
        let versions = self.versions_of(name).await?;
        let now = self.in_role(name, &versions, Role::Serving)?;
        let building = self.in_role(name, &versions, Role::Building);
        let previous = self.in_role(name, &versions, Role::Previous);
        let (old, new) = match (building, previous) {
            (Ok(building), _) => (now, building),
            (Err(_), Ok(previous)) => (previous, now),
            (Err(_), Err(_)) => return Err(self.missing(name, "second version to compare with")),
        };
        let asked = name.clone();
        let tables =
            self.blocking(move |read_models| read_models.compare(&asked, (old, new), options)).await?;
        Ok((old, new, tables))
    }

    fn in_role(
        &self,
        name: &ProjectionName,
        versions: &[Version],
        role: Role,
    ) -> Result<VersionNumber, ReadSideError> {
        let found = versions.iter().find(|version| version.role == role);
        found.map(|version| version.number).ok_or_else(|| {
            self.missing(
                name,
                match role {
                    Role::Serving => "version that serves",
                    Role::Building => "version in the making",
                    Role::Previous => "version that served before",
                },
            )
        })
    }

    pub(super) fn missing(&self, name: &ProjectionName, what: &str) -> ReadSideError {
        ReadSideError::Missing { name: name.clone(), what: what.to_owned() }
    }
}

fn numbered(name: &ProjectionName, version: VersionNumber) -> Map<String, Value> {
    fields([("name", name.as_str().into()), ("version", version.to_string().into())])
}

fn with(name: &ProjectionName, version: VersionNumber, what: &str, value: Value) -> Map<String, Value> {
    let mut all = numbered(name, version);
    all.insert(what.to_owned(), value);
    all
}
