//! The projections that this program can apply, for its server.

use factum::{DeclaredProjection, Projection, Projections};
use factum_core::BoxFuture;
use factum_core::read_model::Version;
use factum_server::{By, KnownProjections, ReadSideError};

use crate::projections::{Known, known};

/// Those whose declaration is kept with them, and the bank's.
#[derive(Clone, Copy, Debug, Default)]
pub struct KnownHere;

impl KnownProjections for KnownHere {
    fn start<'a>(
        &'a self,
        projections: &'a Projections,
        version: &'a Version,
    ) -> BoxFuture<'a, Result<(), ReadSideError>> {
        Box::pin(async move {
            projections.start_version(version.number, of_version(version)?).await?;
            Ok(())
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
            let projection = match definition {
                Some(text) => declared(text, serving)?,
                None => of_version(serving)?,
            };
            Ok(projections.build(projection, by.actor, by.reason).await?)
        })
    }
}

fn of_version(version: &Version) -> Result<Known, ReadSideError> {
    let found = known(version).map_err(|failure| ReadSideError::Declaration(failure.why().to_owned()))?;
    let (name, version) = (version.name.clone(), version.number);
    found.ok_or(ReadSideError::Elsewhere { name, version })
}

fn declared(text: &str, serving: &Version) -> Result<Known, ReadSideError> {
    let refused = |why: String| ReadSideError::Declaration(why);
    let projection = DeclaredProjection::parse(text).map_err(|error| refused(error.to_string()))?;
    let name = projection.definition().name();
    if *name != serving.name {
        return Err(refused(format!("the declaration is of '{name}', not of '{}'", serving.name)));
    }
    Ok(Known::Declared(Box::new(projection)))
}
