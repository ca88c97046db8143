//! The loan book, served: its log, its read models, and its vault.

use std::sync::Arc;

use factum::{DefinitionError, Domain, Projection, ProjectionError, Projections};
use factum_cli::{Files, KnownHere, Served, serve_locally};
use factum_core::read_model::{ReadModels, Version};
use factum_core::{BoxFuture, ErrorKind, EventStore};
use factum_server::{By, KnownProjections, ReadSideError};
use factum_vault::SealingStore;
use loans::{CATEGORY, LoanDecider, decision_times, funnel, workload};

use crate::Failure;

/// Serves it until somebody ends it.
pub(crate) async fn serve(
    log: Arc<dyn EventStore>,
    files: Files,
    sealing: Option<SealingStore>,
    read_models: Arc<dyn ReadModels>,
    listen: Option<String>,
) -> Result<(), Failure> {
    let store = match &sealing {
        Some(sealing) => Arc::new(sealing.clone()) as Arc<dyn EventStore>,
        None => Arc::clone(&log),
    };
    make(store, Arc::clone(&read_models), sealing.is_some()).await?;
    let known = Arc::new(KnownLoans);
    let domain = Domain::new().aggregate("Application", CATEGORY, LoanDecider);
    let domain = domain.map_err(|error| Failure::new(ErrorKind::SchemaViolation, &error))?;
    let domain = Some(Arc::new(domain));
    let files = Some(files);
    let served = Served { log, files, sealing, read_models: Some(read_models), known, domain, listen };
    let began = |address| {
        eprintln!(
            "the loan book is at http://{address}/ui/ and kurrentdb://{address}?tls=false; Ctrl-C ends it"
        );
    };
    Ok(serve_locally(served, began).await?)
}

/// Makes those of the read models that are not there yet.
async fn make(
    store: Arc<dyn EventStore>,
    read_models: Arc<dyn ReadModels>,
    with_names: bool,
) -> Result<(), Failure> {
    let declared = |error: DefinitionError| Failure::new(ErrorKind::SchemaViolation, &error);
    let failed = |error: ProjectionError| Failure::new(error.kind(), &error);
    let opened = Projections::open(store, read_models).await;
    let projections = opened.map_err(|error| Failure::new(error.kind(), &error))?;
    projections.start(funnel().map_err(declared)?).await.map_err(failed)?;
    projections.start(decision_times().map_err(declared)?).await.map_err(failed)?;
    if with_names {
        projections.start(workload().map_err(declared)?).await.map_err(failed)?;
    }
    Ok(())
}

/// The loan book's projections, and those whose declaration is kept with them.
struct KnownLoans;

impl KnownProjections for KnownLoans {
    fn start<'a>(
        &'a self,
        projections: &'a Projections,
        version: &'a Version,
    ) -> BoxFuture<'a, Result<(), ReadSideError>> {
        Box::pin(async move {
            match version.name.as_str() {
                _ if !version.definition.is_empty() => KnownHere.start(projections, version).await,
                "funnel" => start(projections, version, funnel()).await,
                "decision_times" => start(projections, version, decision_times()).await,
                "workload" => start(projections, version, workload()).await,
                _ => KnownHere.start(projections, version).await,
            }
        })
    }

    fn build<'a>(
        &'a self,
        projections: &'a Projections,
        serving: &'a Version,
        definition: Option<&'a str>,
        by: By<'a>,
    ) -> BoxFuture<'a, Result<Version, ReadSideError>> {
        Box::pin(async move {
            match (definition, serving.name.as_str()) {
                (None, "funnel") => build(projections, funnel(), by).await,
                (None, "decision_times") => build(projections, decision_times(), by).await,
                (None, "workload") => build(projections, workload(), by).await,
                _ => KnownHere.build(projections, serving, definition, by).await,
            }
        })
    }
}

async fn start<P: Projection>(
    projections: &Projections,
    version: &Version,
    projection: Result<P, DefinitionError>,
) -> Result<(), ReadSideError> {
    projections.start_version(version.number, mine(projection)?).await?;
    Ok(())
}

async fn build<P: Projection>(
    projections: &Projections,
    projection: Result<P, DefinitionError>,
    by: By<'_>,
) -> Result<Version, ReadSideError> {
    Ok(projections.build(mine(projection)?, by.actor, by.reason).await?)
}

fn mine<P>(projection: Result<P, DefinitionError>) -> Result<P, ReadSideError> {
    projection.map_err(|error| ReadSideError::Declaration(error.to_string()))
}
