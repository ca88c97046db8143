//! `factum privacy erase`: forgets a person.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use factum::{ForgettingReadModels, Handle};
use factum_core::read_model::{PersonalData, ReadModels, Role, Version};
use factum_core::{Clock, EventStore, SystemClock, Timestamp};
use factum_vault::{
    EraseError, Erasure, ErasureHandler, ErasureId, ErasureRequest, Extent, Hold, Ledger, Preview, Purpose,
    Reach, SealingStore, SignedReceipt, SubjectRef, VaultError,
};

use super::{Opened, SubjectArgs, open};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::moment::duration;
use crate::output::record;
use crate::projections::{Applying, known};
use crate::read_models::ReadModelsArgs;

const EXAMPLES: &str = "EXAMPLES:
  What would go, and then that it goes:
    factum privacy erase customer-17 --reason 'request 2026-118' --dry-run
    factum privacy erase customer-17 --reason 'request 2026-118'
  In a script; and going on with one that was incomplete:
    factum privacy erase customer-17 --reason 'request 2026-118' --confirm customer-17
    factum privacy erase ref:1f0c9a7be2d4566f8a3b1c2d3e4f5061 \\
      --erasure 0191e2c4-5b1f-7c3e-9d2a-0f6c1b7e4a90";

/// How long a look at whether another process has let go of its keys may wait.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Forget a person: destroy its keys, let every read model forget, write the receipt
///
/// The log is not changed: what was sealed for the person cannot be read any more. Nothing is called done before everything is
/// reached: else the command ends with 7 and says what is missing. Asked for again, it goes on with the same erasure.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct EraseArgs {
    #[command(flatten)]
    subject: SubjectArgs,
    /// Why: a code or a reference. Everybody can read it for ever: no personal data
    #[arg(long, value_name = "TEXT", required_unless_present = "erasure")]
    reason: Option<String>,
    /// Who does it
    #[arg(long, value_name = "NAME", env = "USER", hide_env = true, default_value = "operator")]
    actor: String,
    /// Go on with this erasure
    #[arg(long, value_name = "ID")]
    erasure: Option<ErasureId>,
    /// Repeat the subject here instead of being asked
    #[arg(long, value_name = "SUBJECT")]
    confirm: Option<String>,
    /// Show what would be destroyed and exit with 8
    #[arg(long, conflicts_with = "confirm")]
    dry_run: bool,
    /// How long to wait for read models and other processes: 60s, 5m
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "60s")]
    wait: Duration,
    /// Build read models anew whose rows are only forgotten by that, and let the new rows serve
    #[arg(long)]
    rebuild: bool,
    #[command(flatten)]
    read_models: ReadModelsArgs,
}

/// What is done about rows that are only forgotten by building them anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    /// They keep the erasure open.
    Left,
    /// They are built.
    Rebuilt,
}

/// Runs the command.
pub(super) async fn run(args: &EraseArgs, context: &Context) -> Result<(), Failure> {
    let opened = open(context).await?;
    let request = request_of(args, &opened, context).await?;
    let preview = opened.vault.preview(&*opened.log, request.subject, request.purpose.as_ref()).await?;
    let read_models = args.read_models.open_if_there(context)?;
    let holding = match &read_models {
        Some(read_models) => holding(&**read_models)?,
        None => Vec::new(),
    };
    let to_rebuild: Vec<&Version> = holding.iter().filter(|version| is_rebuilt(version)).collect();
    let mut what = loses(&request, &preview, holding.len());
    if !args.rebuild && !to_rebuild.is_empty() {
        let names: Vec<&str> = to_rebuild.iter().map(|version| version.name.as_str()).collect();
        what.push_str(&format!(
            "; not reached until it is rebuilt: {}; --rebuild does it now",
            names.join(", ")
        ));
    }
    if args.dry_run {
        context.out.one(&record([
            ("subject", request.subject.to_string().into()),
            ("purpose", request.purpose.as_ref().map(ToString::to_string).into()),
            ("keys", preview.keys.len().into()),
            ("events", preview.events.into()),
            ("streams", preview.streams.len().into()),
            ("readModels", holding.len().into()),
            ("toRebuild", to_rebuild.iter().map(|version| version.name.as_str()).collect::<Vec<_>>().into()),
        ]))?;
        context.out.flush()?;
        return Err(context.dry_run(&what));
    }
    if args.erasure.is_none() {
        context.confirm_subject(&what, &args.subject.person.subject, args.confirm.as_deref())?;
    }
    let rows = if args.rebuild { Rows::Rebuilt } else { Rows::Left };
    let receipt = erase(&opened, &request, read_models, (args.wait, rows), context).await?;
    report(context, &receipt)
}

async fn request_of(args: &EraseArgs, opened: &Opened, context: &Context) -> Result<ErasureRequest, Failure> {
    let subject = args.subject.subject_ref(&opened.vault)?;
    let purpose = args.subject.purpose()?;
    let ledger = Ledger::read(&*opened.log).await?;
    let Some(erasure) = args.erasure else {
        if let Some(request) = begun(&ledger, subject, purpose.as_ref())? {
            context.say(&format!("goes on with erasure {}, which is not complete", request.erasure));
            return Ok(request);
        }
        let reason = args.reason.clone().unwrap_or_default();
        let request = ErasureRequest::everything(subject, reason, args.actor.as_str());
        return Ok(ErasureRequest { purpose, ..request });
    };
    let line = ledger.find(erasure).ok_or_else(|| {
        let next = "`factum privacy receipts` lists them; leave --erasure out to begin one";
        Failure::not_found(format!("there is no erasure {erasure}"), "the log does not know it", next)
    })?;
    if line.fence.subject != subject {
        let why = format!("it is of ref:{}", line.fence.subject);
        return Err(Failure::usage(format!("erasure {erasure} is of another subject"), why, ""));
    }
    Ok(request_for(line))
}

/// The request of an erasure that was asked for and is not complete. A subject that must be kept is said to be so before anybody
/// is asked to confirm; the vault looks again.
pub(super) fn begun(
    ledger: &Ledger,
    subject: SubjectRef,
    purpose: Option<&Purpose>,
) -> Result<Option<ErasureRequest>, Failure> {
    if let Some(pending) = ledger.pending(subject, purpose) {
        return Ok(Some(request_for(pending)));
    }
    match ledger.hold_of(subject).cloned() {
        Some(Hold { reason, actor, since, .. }) => {
            Err(VaultError::Held { subject, reason, actor, since }.into())
        }
        None => Ok(None),
    }
}

/// The request that began this erasure.
fn request_for(line: &Erasure) -> ErasureRequest {
    ErasureRequest {
        erasure: line.fence.erasure,
        subject: line.fence.subject,
        purpose: line.fence.purpose.clone(),
        extent: line.fence.extent,
        reason: line.reason.clone(),
        actor: line.actor.clone(),
    }
}

/// Versions of read models with personal data.
pub(super) fn holding(read_models: &dyn ReadModels) -> Result<Vec<Version>, Failure> {
    let mut versions = read_models.versions()?;
    versions.retain(|version| version.personal != PersonalData::None);
    Ok(versions)
}

/// Whether rows that are asked for now are only forgotten by building them anew.
pub(super) fn is_rebuilt(version: &Version) -> bool {
    version.personal == PersonalData::Rebuilt && version.role == Role::Serving
}

/// What a person is asked to agree to.
fn loses(request: &ErasureRequest, preview: &Preview, holding: usize) -> String {
    let of = match (&request.purpose, request.extent) {
        (Some(purpose), _) => format!("what is kept for '{purpose}' of subject ref:{}", request.subject),
        (None, Extent::Everything | Extent::UpTo(_)) => {
            format!("everything of subject ref:{}", request.subject)
        }
    };
    format!(
        "{of}: destroys {} keys for ever; {} events in {} streams, and {holding} read models, can have its data",
        preview.keys.len(),
        preview.events,
        preview.streams.len()
    )
}

/// Erases, and waits for who is behind. Projections that this program knows are applied meanwhile.
pub(super) async fn erase(
    opened: &Opened,
    request: &ErasureRequest,
    read_models: Option<Arc<dyn ReadModels>>,
    (patience, rows): (Duration, Rows),
    context: &Context,
) -> Result<SignedReceipt, Failure> {
    let until = SystemClock.now().saturating_add(patience);
    let applying = match &read_models {
        Some(read_models) => Some(apply(opened, read_models).await?),
        None => None,
    };
    let handlers = || {
        let (Some(read_models), Some((applying, _))) = (&read_models, &applying) else { return Ok(None) };
        let forgetting =
            ForgettingReadModels::new(Arc::clone(&opened.log), Arc::clone(read_models), patience);
        Ok(Some(match rows {
            Rows::Left => forgetting,
            Rows::Rebuilt => rebuilding(forgetting, applying, &**read_models)?,
        }))
    };
    let mut waiting = |missing: &[Reach]| {
        let missing: Vec<String> = missing.iter().map(Reach::to_string).collect();
        context.say(&format!("waiting: {}", missing.join("; ")));
    };
    let receipt = erase_until(opened, request, until, &handlers, &mut waiting).await;
    receipt.map_err(|error| error.failure(request))
}

/// Why nothing was erased, or not everything.
pub(super) enum NotErased {
    /// Who has to forget cannot be told.
    Handlers(Failure),
    /// The vault says so.
    Erase(EraseError),
}

impl NotErased {
    /// What it means for a person.
    pub(super) fn failure(self, request: &ErasureRequest) -> Failure {
        match self {
            NotErased::Handlers(failure) => failure,
            NotErased::Erase(error) => failure(error, request),
        }
    }
}

/// Erases, and waits for who is behind, until then. Each look asks anew who has to forget; `waiting` is told once whom it waits
/// for.
pub(super) async fn erase_until(
    opened: &Opened,
    request: &ErasureRequest,
    until: Timestamp,
    handlers: &(dyn Fn() -> Result<Option<ForgettingReadModels>, Failure> + Sync),
    waiting: &mut (dyn FnMut(&[Reach]) + Send),
) -> Result<SignedReceipt, NotErased> {
    let mut told = false;
    loop {
        let forgetting = handlers().map_err(NotErased::Handlers)?;
        let handlers: Vec<&dyn ErasureHandler> =
            forgetting.iter().map(|forgetting| forgetting as &dyn ErasureHandler).collect();
        match opened.vault.erase(&*opened.log, request, &handlers).await {
            Ok(receipt) => return Ok(receipt),
            Err(EraseError::Incomplete { missing, again_at: Some(again_at), .. })
                if SystemClock.now() < until.min(again_at.saturating_add(LOOK_EVERY)) =>
            {
                // Each look finds the same ones, or fewer.
                if !std::mem::replace(&mut told, true) {
                    waiting(&missing);
                }
                wait_for(again_at, until).await;
            }
            Err(error) => return Err(NotErased::Erase(error)),
        }
    }
}

/// With every read model that has to be built anew and that this program can build.
fn rebuilding(
    mut forgetting: ForgettingReadModels,
    applying: &Applying,
    read_models: &dyn ReadModels,
) -> Result<ForgettingReadModels, Failure> {
    for version in read_models.versions()?.iter().filter(|version| is_rebuilt(version)) {
        if let Some(projection) = known(version)? {
            forgetting = forgetting.rebuilding(Arc::clone(&applying.projections), projection);
        }
    }
    Ok(forgetting)
}

async fn wait_for(again_at: Timestamp, until: Timestamp) {
    let left = again_at.min(until).0.saturating_sub(SystemClock.now().0).max(0);
    let left = Duration::from_nanos(u64::try_from(left).unwrap_or_default().saturating_mul(100));
    tokio::time::sleep(left.min(LOOK_EVERY)).await;
}

/// The projections that this program can apply, while the erasure goes on.
async fn apply(
    opened: &Opened,
    read_models: &Arc<dyn ReadModels>,
) -> Result<(Applying, Vec<Handle>), Failure> {
    let store: Arc<dyn EventStore> =
        Arc::new(SealingStore::new(Arc::clone(&opened.log), opened.vault.clone()));
    let applying = Applying::over(store, Arc::clone(read_models)).await?;
    let mut handles = Vec::new();
    for version in read_models.versions()? {
        let applied =
            version.role != Role::Previous && !version.stopped && version.personal != PersonalData::None;
        if applied && known(&version)?.is_some() {
            handles.push(applying.start(&version).await?);
        }
    }
    Ok((applying, handles))
}

pub(super) fn failure(error: EraseError, request: &ErasureRequest) -> Failure {
    match error {
        EraseError::Vault(error) => error.into(),
        EraseError::Incomplete { erasure, missing, .. } => Failure::new(
            (Exit::Unavailable, "erasure-incomplete"),
            format!("erasure {erasure} is incomplete; the keys are destroyed"),
            missing.iter().map(Reach::to_string).collect::<Vec<_>>().join("; "),
            format!("go on with it: factum privacy erase ref:{} --erasure {erasure}", request.subject),
        ),
    }
}

pub(super) fn report(context: &Context, receipt: &SignedReceipt) -> Result<(), Failure> {
    let r = &receipt.receipt;
    let places = |reached: &[Reach]| -> serde_json::Value {
        reached.iter().map(ToString::to_string).collect::<Vec<_>>().into()
    };
    context.out.one(&record([
        ("erasure", r.erasure.to_string().into()),
        ("subject", r.subject.to_string().into()),
        ("purpose", r.purpose.as_ref().map(ToString::to_string).into()),
        ("keysDestroyed", r.keys.len().into()),
        ("completed", r.completed_at.to_string().into()),
        ("horizon", r.horizon.map(|horizon| horizon.to_string()).into()),
        ("reached", places(&r.reached)),
        ("notReached", places(&r.not_reached)),
    ]))?;
    context.out.flush()
}
