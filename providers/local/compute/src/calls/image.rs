//! Images, which projects of Google have.

use axum::extract::{Path, Query, State as Shared};
use axum::routing::get;
use axum::{Json, Router};
use hakube_local_resources::images::{IMAGES, Image, WINDOWS};
use hakube_local_resources::list::ListQuery;
use hakube_local_resources::rules::image::{find, image_link};
use hakube_local_resources::{State, catalog, list};
use serde_json::{Value, json};

use crate::calls::crud::Answer;
use crate::cloud::Cloud;

/// Get and list, of any project.
pub fn routes() -> Router<Cloud> {
    let project = "/compute/v1/projects/{project}";
    Router::new()
        .route(&format!("{project}/global/images"), get(list_images))
        .route(
            &format!("{project}/global/images/{{image}}"),
            get(get_image),
        )
        .route(
            &format!("{project}/global/images/family/{{family}}"),
            get(get_family),
        )
        .route(
            &format!("{project}/zones/{{zone}}/imageFamilyViews/{{family}}"),
            get(get_family_view),
        )
}

fn image_view(state: &State, image: Image) -> Value {
    let Image { name, family, .. } = image;
    let link = image_link(state, image);
    let mut features = vec!["UEFI_COMPATIBLE", "VIRTIO_SCSI_MULTIQUEUE", "GVNIC"];
    if image.project == WINDOWS {
        features.push("WINDOWS");
    }
    let features: Vec<Value> = features
        .iter()
        .map(|feature| json!({"type": feature}))
        .collect();
    let mut view = json!({
        "kind": "compute#image",
        "id": catalog::id_of(name),
        "name": name,
        "description": format!("Built-in image of the local cloud: {name}"),
        "status": "READY",
        "sourceType": "RAW",
        "rawDisk": {"containerType": "TAR", "source": ""},
        "archiveSizeBytes": "1",
        "diskSizeGb": image.size.to_string(),
        "architecture": image.architecture,
        "guestOsFeatures": features,
        "labelFingerprint": "42WmSpB8rSM=",
        "enableConfidentialCompute": false,
        "storageLocations": ["eu", "us"],
        "creationTimestamp": catalog::CREATED,
        "selfLink": link,
    });
    if !family.is_empty() {
        view["family"] = family.into();
    }
    view
}

/// The images of a project: Google's images are spread over several.
async fn list_images(
    Shared(cloud): Shared<Cloud>,
    Path(project): Path<String>,
    Query(query): Query<ListQuery>,
) -> Answer {
    cloud.store().read(|state| {
        let own = IMAGES.iter().filter(|image| image.project == project);
        let items = own.map(|image| (image.name.to_owned(), image_view(state, *image)));
        let page = list::page(items.collect(), &query)?;
        let self_link = format!("{}/compute/v1/projects/{project}/global/images", state.base);
        Ok(Json(
            page.into_answer("compute#imageList", self_link.into()),
        ))
    })
}

async fn get_image(
    Shared(cloud): Shared<Cloud>,
    Path((project, name)): Path<(String, String)>,
) -> Answer {
    find_image(&cloud, &format!("projects/{project}/global/images/{name}"))
}

async fn get_family(
    Shared(cloud): Shared<Cloud>,
    Path((project, family)): Path<(String, String)>,
) -> Answer {
    find_image(
        &cloud,
        &format!("projects/{project}/global/images/family/{family}"),
    )
}

/// An image family of any project, as seen from one zone.
async fn get_family_view(
    Shared(cloud): Shared<Cloud>,
    Path((project, _, family)): Path<(String, String, String)>,
) -> Answer {
    let path = format!("projects/{project}/global/images/family/{family}");
    find_image(&cloud, &path).map(|Json(image)| Json(json!({"image": image})))
}

fn find_image(cloud: &Cloud, path: &str) -> Answer {
    cloud.store().read(|state| {
        let image = find(state, "image", path)?;
        Ok(Json(image_view(state, image)))
    })
}
