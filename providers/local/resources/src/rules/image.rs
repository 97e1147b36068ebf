//! References to images, and which of them a disk can have.

use crate::base::ApiError;
use crate::base::images::{IMAGES, Image, WINDOWS};
use crate::state::State;

/// The image that a reference (by name or family, of any project) resolves to.
pub fn find(state: &State, field: &str, text: &str) -> Result<Image, ApiError> {
    let path = text.find("projects/").map_or_else(
        || format!("projects/{}/{text}", state.project),
        |at| text[at..].to_owned(),
    );
    let parts: Vec<&str> = path.split('/').collect();
    let mut images = IMAGES.iter();
    let found = match *parts.as_slice() {
        // gcloud names families by their zonal view.
        ["projects", project, "zones", _, "imageFamilyViews", family]
        | ["projects", project, "global", "images", "family", family] => {
            let in_family = |image: &&Image| image.project == project && image.family == family;
            images.find(in_family).filter(|_| !family.is_empty())
        }
        ["projects", project, "global", "images", name] => {
            images.find(|image| image.project == project && image.name == name)
        }
        _ => return Err(ApiError::invalid(field, text, "The URL is malformed.")),
    };
    found.copied().ok_or_else(|| ApiError::missing(&path))
}

/// The image of a new disk: its URL, and its size in GB. Machines are processes of this host, so they can have no
/// other system and no other processor.
pub fn disk_image(state: &State, field: &str, text: &str) -> Result<(String, u64), ApiError> {
    let image = find(state, field, text)?;
    if image.project == WINDOWS {
        return Err(ApiError::not_emulated("machines with Windows"));
    }
    if image.architecture != "X86_64" {
        return Err(ApiError::not_emulated("machines with Arm processors"));
    }
    Ok((image_link(state, image), image.size))
}

/// The URL of an image.
pub fn image_link(state: &State, Image { project, name, .. }: Image) -> String {
    format!(
        "{}/compute/v1/projects/{project}/global/images/{name}",
        state.base
    )
}
