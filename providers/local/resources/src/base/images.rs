//! The images of Google's projects that machines can be created from.

/// An image of Google's.
#[derive(Clone, Copy)]
pub struct Image {
    /// The project that has it.
    pub project: &'static str,
    /// Empty for an image that is not in a family any more.
    pub family: &'static str,
    /// Its name.
    pub name: &'static str,
    /// In GB: the least size of a disk.
    pub size: u64,
    /// `X86_64` or `ARM64`.
    pub architecture: &'static str,
}

const fn image(project: &'static str, family: &'static str, name: &'static str) -> Image {
    Image {
        project,
        family,
        name,
        size: 10,
        architecture: "X86_64",
    }
}

const fn arm(image: Image) -> Image {
    Image {
        architecture: "ARM64",
        ..image
    }
}

/// The project with images of Windows.
pub const WINDOWS: &str = "windows-cloud";

const fn windows(family: &'static str, name: &'static str) -> Image {
    Image {
        size: 32,
        ..image(WINDOWS, family, name)
    }
}

const DEBIAN: &str = "debian-cloud";
const UBUNTU: &str = "ubuntu-os-cloud";
const COS: &str = "cos-cloud";

/// The images: of each family the newest, and those that versions of kube-up name.
pub const IMAGES: &[Image] = &[
    image(DEBIAN, "debian-11", "debian-11-bullseye-v20260609"),
    image(DEBIAN, "debian-12", "debian-12-bookworm-v20260610"),
    arm(image(
        DEBIAN,
        "debian-12-arm64",
        "debian-12-bookworm-arm64-v20260610",
    )),
    image(DEBIAN, "debian-13", "debian-13-trixie-v20260610"),
    arm(image(
        DEBIAN,
        "debian-13-arm64",
        "debian-13-trixie-arm64-v20260610",
    )),
    image(UBUNTU, "ubuntu-2204-lts", "ubuntu-2204-jammy-v20260605"),
    arm(image(
        UBUNTU,
        "ubuntu-2204-lts-arm64",
        "ubuntu-2204-jammy-arm64-v20260605",
    )),
    image(
        UBUNTU,
        "ubuntu-2404-lts-amd64",
        "ubuntu-2404-noble-amd64-v20260606",
    ),
    arm(image(
        UBUNTU,
        "ubuntu-2404-lts-arm64",
        "ubuntu-2404-noble-arm64-v20260606",
    )),
    image(COS, "cos-stable", "cos-stable-121-18867-0-1"),
    image(COS, "cos-beta", "cos-beta-125-19216-0-1"),
    image(COS, "cos-dev", "cos-dev-129-19400-0-0"),
    arm(image(
        COS,
        "cos-arm64-stable",
        "cos-arm64-stable-121-18867-0-1",
    )),
    image(COS, "cos-97-lts", "cos-97-16919-450-36"),
    image(COS, "cos-101-lts", "cos-101-17162-528-36"),
    image(COS, "cos-105-lts", "cos-105-17412-495-73"),
    image(COS, "cos-109-lts", "cos-109-17800-519-41"),
    image(COS, "cos-113-lts", "cos-113-18244-448-39"),
    image(COS, "cos-117-lts", "cos-117-18613-339-66"),
    image(COS, "cos-121-lts", "cos-121-18867-199-38"),
    image(COS, "cos-125-lts", "cos-125-19216-104-25"),
    arm(image(
        COS,
        "cos-arm64-117-lts",
        "cos-arm64-117-18613-339-66",
    )),
    arm(image(
        COS,
        "cos-arm64-121-lts",
        "cos-arm64-121-18867-199-38",
    )),
    image(COS, "", "cos-stable-59-9460-64-0"),
    image(COS, "", "cos-stable-63-10032-71-0"),
    image(COS, "", "cos-stable-65-10323-64-0"),
    image(COS, "", "cos-beta-73-11647-64-0"),
    windows("", "windows-server-1909-dc-core-v20210413"),
    windows("", "windows-server-2004-dc-core-v20210914"),
    windows("", "windows-server-20h2-dc-core-v20210914"),
    windows("", "windows-server-2019-dc-core-v20210914"),
    windows("", "windows-server-2022-dc-core-v20220513"),
    windows("windows-2019-core", "windows-server-2019-dc-core-v20260610"),
    windows("windows-2022-core", "windows-server-2022-dc-core-v20260610"),
];
