//! Persistent disks. Nothing is written to them: a machine's files live in its directory.

use axum::Router;
use axum::routing::post;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::catalog;
use super::crud::{self, Begun, begins};
use super::disk_type;
use super::error::ApiError;
use super::instance::Instance;
use super::labels::{self, Labelled, Labels};
use super::link;
use super::place::Body;
use super::resource::{Managed, Meta, Target, resource};
use super::scope::Key;
use crate::cloud::Cloud;
use crate::operation::{Request, Work};
use crate::store::{Phase, State};

/// A zonal disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Disk {
    #[serde(flatten)]
    pub(crate) meta: Meta,
    /// In GB, an int64 as a string.
    #[serde(default, deserialize_with = "number_or_string")]
    size_gb: Option<String>,
    /// URL of the type.
    #[serde(default, rename = "type")]
    disk_type: String,
    /// URL of the image that it was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source_image: Option<String>,
    #[serde(flatten)]
    labels: Labels,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

const USUAL_SIZE_GB: u64 = 500;
const IMAGE_SIZE_GB: u64 = 10;

/// int64 goes over the wire as a string; clients that send a number are understood.
fn number_or_string<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(match Option::<Value>::deserialize(from)? {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(other) => Some(other.to_string()),
    })
}

resource!(Disk, disks, complete = status_and_users);

fn status_and_users(disk: &Disk, state: &State, view: &mut Map<String, Value>) {
    let key = link::key_of(&disk.meta.self_link);
    let record = key.as_ref().and_then(|key| state.disks.get(key));
    let status = match record.map(|record| record.phase) {
        Some(Phase::Creating) => "CREATING",
        Some(Phase::Deleting) => "DELETING",
        Some(Phase::Ready) | None => "READY",
    };
    view.insert("status".into(), status.into());
    if let Some((_, user)) = key.as_ref().and_then(|key| attached_to(state, key)) {
        view.insert("users".into(), vec![user.meta.self_link.clone()].into());
    }
}

/// The instance that has this disk.
pub fn attached_to<'a>(state: &'a State, disk: &'a Key) -> Option<(&'a Key, &'a Instance)> {
    // An instance is where its disks are.
    state.instances.within(&disk.scope).find(|(_, instance)| {
        let mut sources = instance
            .disks
            .iter()
            .filter_map(|disk| disk.source.as_deref());
        sources.any(|source| {
            link::last(source) == disk.name && link::key_of(source).as_ref() == Some(disk)
        })
    })
}

impl Disk {
    /// Its size in GB.
    pub fn gigabytes(&self) -> f64 {
        let size = self.size_gb.as_deref();
        size.and_then(|size| size.parse().ok()).unwrap_or_default()
    }

    /// Whether it counts as solid state: all but the slowest type do.
    pub fn is_ssd(&self) -> bool {
        link::last(&self.disk_type) != "pd-standard"
    }

    /// A disk that an instance asks for in `initializeParams`.
    pub fn from_params(params: super::instance::InitializeParams) -> Self {
        Self {
            meta: Meta {
                description: params.description,
                ..Meta::default()
            },
            size_gb: params.disk_size_gb.map(|size| match size {
                Value::String(text) => text,
                other => other.to_string(),
            }),
            disk_type: params.disk_type.unwrap_or_default(),
            source_image: params.source_image,
            labels: Labels::new(params.labels),
            rest: Map::new(),
        }
    }
}

impl Labelled for Disk {
    fn labels_mut(&mut self) -> &mut Labels {
        &mut self.labels
    }
}

impl Managed for Disk {
    fn prepare(&mut self, state: &mut State, key: &Key) -> Result<(), ApiError> {
        self.labels.prepare()?;
        if let Some(image) = &self.source_image {
            self.source_image = Some(catalog::image_link(state, "resource.sourceImage", image)?);
        }
        let usual = if self.source_image.is_some() {
            IMAGE_SIZE_GB
        } else {
            USUAL_SIZE_GB
        };
        let size = self.size_gb.take().unwrap_or_else(|| usual.to_string());
        match size.parse::<u64>() {
            Ok(0) | Err(_) => {
                let why = "Must be a positive whole number of GB.";
                return Err(ApiError::invalid("resource.sizeGb", size, why));
            }
            Ok(gigabytes) if self.source_image.is_some() && gigabytes < IMAGE_SIZE_GB => {
                let why = format!(
                    "Requested disk size cannot be smaller than the image size ({IMAGE_SIZE_GB} GB)"
                );
                return Err(ApiError::invalid("resource.sizeGb", size, why));
            }
            Ok(_) => self.size_gb = Some(size),
        }
        let kind = match link::last(&self.disk_type) {
            "" => "pd-standard",
            known if disk_type::is_known(known) => known,
            _ => {
                let path = link::below_project(&self.disk_type);
                return Err(ApiError::missing(&format!(
                    "projects/{}/{path}",
                    state.project
                )));
            }
        };
        self.disk_type = state.url(format_args!("{}/diskTypes/{kind}", key.scope));
        Ok(())
    }

    fn user(&self, state: &State, key: &Key) -> Option<String> {
        attached_to(state, key).map(|(instance, _)| state.path_of::<Instance>(instance))
    }
}

/// The routes of disks.
pub fn routes() -> Router<Cloud> {
    crud::routes::<Disk>()
        .merge(crud::aggregated::<Disk>())
        .merge(labels::routes::<Disk>())
        .route(
            &format!("{}/resize", crud::one::<Disk>()),
            post(begins(resize)),
        )
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resize {
    #[serde(default, deserialize_with = "number_or_string")]
    size_gb: Option<String>,
}

fn resize(state: &mut State, key: &Key, Body(wanted): Body<Resize>) -> Begun {
    let disk = state.ready_mut::<Disk>(key)?;
    let wanted = wanted.size_gb.unwrap_or_default();
    let size = |text: &str| text.parse::<u64>().ok();
    if size(&wanted) <= disk.size_gb.as_deref().and_then(size) {
        let why = "The new size must be larger than the current size.";
        return Err(ApiError::invalid("sizeGb", wanted, why));
    }
    disk.size_gb = Some(wanted);
    Ok(Request::new(
        "resizeDisk",
        Target::of::<Disk>(key),
        Work::Update,
    ))
}
