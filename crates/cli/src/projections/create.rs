//! `factum projections create` and `edit`: a declaration becomes a read model, or takes the place of another one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use factum::{DeclaredProjection, Projection, UnknownType};
use factum_core::read_model::{Action, ReadModels, Role, Version};
use factum_core::{Checkpoint, Clock, SystemClock};

use super::By;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::record;
use crate::read_models::{ReadModelsArgs, Want, in_role, numbered, serving, versions_of};
use crate::store::Access;

const CREATE_EXAMPLES: &str = "EXAMPLES:
  factum projections create balances.toml --dry-run
  factum projections create balances.toml
  factum projections create returns.sql --allow-unknown-types";

const EDIT_EXAMPLES: &str = "EXAMPLES:
  factum projections edit balances.toml
  factum projections edit balances.toml --compatible --reason 'only a comment'";

/// Make a read model from a declaration
///
/// The file is TOML or SQL; docs/projections.md says how it is written. All of it is checked before anything is made:
/// its keys, its event types against the log, its statements against the database. Then
/// `factum projections run --until-caught-up` applies the log to it.
#[derive(Args, Debug)]
#[command(after_help = CREATE_EXAMPLES)]
pub(super) struct CreateArgs {
    /// The declaration
    file: PathBuf,
    /// Check everything, make nothing; exits with 8 if something would be made
    #[arg(long)]
    dry_run: bool,
    /// Take event types that have never happened
    #[arg(long)]
    allow_unknown_types: bool,
    #[command(flatten)]
    by: By,
}

/// Give a projection a changed declaration
///
/// Rows that were made from another declaration are not mixed with new ones: a change is refused unless the file is
/// rebuilt, or declared --compatible, which says that it would have made the very same rows.
#[derive(Args, Debug)]
#[command(after_help = EDIT_EXAMPLES)]
pub(super) struct EditArgs {
    /// The declaration
    file: PathBuf,
    /// The rows are the same as those that this declaration would have made
    #[arg(long, requires = "reason")]
    compatible: bool,
    /// Check everything, change nothing; exits with 8 if something would change
    #[arg(long)]
    dry_run: bool,
    /// Take event types that have never happened
    #[arg(long)]
    allow_unknown_types: bool,
    #[command(flatten)]
    by: By,
}

/// A declaration that is right in itself, and where its log begins.
pub(super) struct Declared {
    pub(super) projection: DeclaredProjection,
    pub(super) origin: Checkpoint,
}

impl Declared {
    /// Reads a file and checks it against the log: it may name types only that have happened.
    pub(super) async fn read(
        file: &Path,
        allow_unknown_types: bool,
        context: &Context,
    ) -> Result<Self, Failure> {
        let shown = file.display();
        let text = std::fs::read(file).map_err(|e| Failure::io(format!("'{shown}' cannot be read"), &e))?;
        let text = String::from_utf8(text).map_err(|e| {
            Failure::usage(format!("'{shown}' is no declaration"), format!("it is not UTF-8: {e}"), "")
        })?;
        let projection = DeclaredProjection::parse(&text).map_err(|e| {
            Failure::usage(
                format!("'{shown}' is no declaration; nothing was made"),
                e.to_string(),
                "docs/projections.md shows how one is written",
            )
        })?;
        let engine =
            match context.open_unless_locked(Access::Existing)? {
                Some(engine) => engine,
                None if allow_unknown_types => {
                    let origin = context.origin()?;
                    return Ok(Self { projection, origin });
                }
                // A running process holds the log; it may be done soon.
                None => context.open_waiting(Access::Existing).await.map_err(|failure| {
                    failure.because(
                    "another process has the log open, so that the event types cannot be looked up in it",
                ).advise("wait until it is done, or give --allow-unknown-types to take them as they are")
                })?,
            };
        if !allow_unknown_types && let Some(unknown) = projection.unknown_types(&engine).await?.first() {
            return Err(unknown_type(unknown));
        }
        let origin = context.origin()?;
        Ok(Self { projection, origin })
    }

    /// Has the database try every statement, in a copy that vanishes.
    pub(super) fn check(&self, read_models: &dyn ReadModels) -> Result<(), Failure> {
        Ok(self.projection.check(read_models, &self.origin, SystemClock.now())?)
    }
}

/// Makes a version of this projection.
pub(crate) fn make(
    read_models: &dyn ReadModels,
    projection: &impl Projection,
    origin: &Checkpoint,
    by: &By,
) -> Result<Version, Failure> {
    let definition = projection.definition();
    let version = read_models.create(&definition.new_version(origin, SystemClock.now()))?;
    note(read_models, &version, "created", by)?;
    Ok(version)
}

/// Keeps in the history what was done.
pub(super) fn note(
    read_models: &dyn ReadModels,
    version: &Version,
    what: &str,
    by: &By,
) -> Result<(), Failure> {
    Ok(read_models.record(&Action {
        name: version.name.clone(),
        version: version.number,
        what: what.to_owned(),
        actor: by.actor.clone(),
        reason: by.reason.clone(),
        at: SystemClock.now(),
    })?)
}

fn unknown_type(unknown: &UnknownType) -> Failure {
    let meant = unknown.nearest.as_ref().map(|nearest| format!("; did you mean '{nearest}'?"));
    let known = if unknown.known.is_empty() { "none".to_owned() } else { unknown.known.join(", ") };
    Failure::new(
        (Exit::Usage, "unknown-event-type"),
        format!("no event has the type '{}'; nothing was made", unknown.event_type),
        format!("line {}{}; the log has {known}", unknown.line, meant.unwrap_or_default()),
        "mend the name, or give --allow-unknown-types for a type that has not happened yet",
    )
}

/// Runs `projections create`.
pub(super) async fn create(
    args: &CreateArgs,
    place: &ReadModelsArgs,
    context: &Context,
) -> Result<(), Failure> {
    let declared = Declared::read(&args.file, args.allow_unknown_types, context).await?;
    let trial = place.open_to_try(context)?;
    declared.check(&*trial.read_models)?;
    let definition = declared.projection.definition();
    let name = definition.name();
    let there = trial.read_models.versions()?.into_iter().find(|version| version.name == *name);
    if let Some(version) = there {
        return already(context, &version, &definition.fingerprint());
    }
    drop(trial);
    if args.dry_run {
        return Err(context.dry_run(&format!("makes the projection '{name}'")));
    }
    let read_models = place.open(context, Want::Create)?;
    let version = make(&*read_models, &declared.projection, &declared.origin, &args.by)?;
    context.say("`factum projections run --until-caught-up` applies the log to it");
    report(context, &version)
}

fn already(context: &Context, version: &Version, fingerprint: &str) -> Result<(), Failure> {
    let name = &version.name;
    if version.fingerprint == fingerprint {
        context.say(&format!("'{name}' is there already, from the same declaration: nothing was done"));
        return report(context, version);
    }
    Err(Failure::new(
        (Exit::Precondition, "already-exists"),
        format!("there is a projection '{name}' already; nothing was made"),
        "it was made from another declaration",
        format!("`factum projections rebuild {name} FILE` builds new rows beside the old ones"),
    ))
}

pub(super) fn report(context: &Context, version: &Version) -> Result<(), Failure> {
    context.out.one(&record([
        ("name", version.name.as_str().into()),
        ("version", numbered(version.number)),
        ("role", version.role.as_str().into()),
        ("partitions", version.partitions.into()),
    ]))?;
    context.out.flush()
}

/// Runs `projections edit`.
pub(super) async fn edit(args: &EditArgs, place: &ReadModelsArgs, context: &Context) -> Result<(), Failure> {
    let declared = Declared::read(&args.file, args.allow_unknown_types, context).await?;
    let read_models: Arc<dyn ReadModels> = place.open(context, Want::Existing)?;
    declared.check(&*read_models)?;
    let definition = declared.projection.definition();
    let (name, fingerprint) = (definition.name(), definition.fingerprint());
    let versions = versions_of(&*read_models, name)?;
    let now = serving(&versions)?;
    if now.fingerprint == fingerprint {
        context.say(&format!("'{name}' is declared so already: nothing was done"));
        return report(context, now);
    }
    if !args.compatible {
        let building = in_role(&versions, Role::Building).is_some_and(|new| new.fingerprint == fingerprint);
        let next = if building {
            format!("it is being built: `factum projections promote {name}` lets it serve")
        } else {
            format!(
                "`factum projections rebuild {name} {}` builds new rows beside the old ones; \
                 --compatible --reason TEXT says that the rows are the same",
                args.file.display()
            )
        };
        return Err(Failure::new(
            (Exit::Precondition, "projection-changed"),
            format!("'{name}' was not changed"),
            format!("the rows of {} were made from another declaration", now.number),
            next,
        ));
    }
    if definition.tables() != tables_of(now)? || definition.partitions() != now.partitions {
        return Err(Failure::new(
            (Exit::Precondition, "projection-changed"),
            format!("'{name}' was not changed"),
            "the tables or the partitions are other ones, so the rows cannot be the same",
            format!("`factum projections rebuild {name} {}`", args.file.display()),
        ));
    }
    if args.dry_run {
        return Err(context.dry_run(&format!("takes the declaration for {} of '{name}'", now.number)));
    }
    read_models.accept(name, now.number, &fingerprint, definition.declaration())?;
    note(&*read_models, now, "accepted", &args.by)?;
    report(context, now)
}

fn tables_of(version: &Version) -> Result<String, Failure> {
    let known = super::known(version)?.ok_or_else(|| super::known::unknown(version))?;
    Ok(known.definition().tables().to_owned())
}
