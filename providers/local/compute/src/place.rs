//! Validated paths and bodies of requests.

use std::collections::HashMap;

use axum::extract::{FromRequest, FromRequestParts, MatchedPath, Path, Request};
use axum::http::request::Parts;
use bytes::Bytes;
use hakube_local_resources::{ApiError, Key, Scope, catalog};
use serde::de::DeserializeOwned;

use crate::cloud::Cloud;

/// The scope in a path, and the resource's name if there is one.
#[derive(Debug)]
pub struct Place {
    /// The project, if it isn't the cloud's own.
    pub project: Option<String>,
    /// The scope; its zone or region exists.
    pub scope: Scope,
    name: Option<String>,
}

/// Resources that other projects than the cloud's own may have: shared networks.
const OF_OTHERS: [&str; 4] = ["firewalls", "networks", "operations", "subnetworks"];

impl Place {
    /// The key of the resource that the path names.
    pub fn key(&self) -> Result<Key, ApiError> {
        let name = self.name.as_deref().unwrap_or_default();
        Ok(Key::new(self.scope.clone(), name).of(self.project.as_deref()))
    }
}

impl FromRequestParts<Cloud> for Place {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, cloud: &Cloud) -> Result<Self, ApiError> {
        let Path(mut path) = Path::<HashMap<String, String>>::from_request_parts(parts, cloud)
            .await
            .map_err(|rejection| ApiError::refused(rejection.body_text()))?;
        let id = path.remove("project").unwrap_or_default();
        let project = cloud.store().read(|state| state.project_called(&id))?;
        if project.is_some() {
            served_of_others(parts)?;
        }
        let scope = match (path.remove("zone"), path.remove("region")) {
            (Some(zone), _) => {
                if !catalog::zones().any(|known| known == zone) {
                    return Err(ApiError::invalid("zone", zone, "Unknown zone."));
                }
                Scope::Zone(zone)
            }
            (None, Some(region)) => {
                if !catalog::regions().any(|known| known == region) {
                    return Err(ApiError::invalid("region", region, "Unknown region."));
                }
                Scope::Region(region)
            }
            (None, None) => Scope::Global,
        };
        let name = path.remove("name");
        Ok(Self {
            project,
            scope,
            name,
        })
    }
}

/// Rejects resources that aren't emulated in other projects.
fn served_of_others(parts: &Parts) -> Result<(), ApiError> {
    let route = parts.extensions.get::<MatchedPath>();
    let below = route.and_then(|route| route.as_str().split_once("/{project}"));
    let words: Vec<&str> = below.map_or("", |(_, below)| below).split('/').collect();
    let what = match *words.as_slice() {
        [_] => return Ok(()),
        [_, method] if method.contains("Xpn") => return Ok(()),
        [_, "global" | "aggregated", what, ..] | [_, "regions" | "zones", _, what, ..] => what,
        [_, what, ..] => what,
        [] => "",
    };
    if OF_OTHERS.contains(&what) {
        return Ok(());
    }
    Err(ApiError::not_emulated(format!(
        "{what} of another project than the cloud's own"
    )))
}

/// A JSON body. Unlike axum's own it ignores the content type, and its errors use Compute Engine's format.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Cloud> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, cloud: &Cloud) -> Result<Self, ApiError> {
        let bytes = Bytes::from_request(request, cloud)
            .await
            .map_err(|rejection| ApiError::refused(rejection.body_text()))?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| ApiError::refused(format!("Invalid JSON payload received. {error}")))
    }
}
