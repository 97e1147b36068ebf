//! Built-in resources: regions, zones, machine and disk types.

/// Region, zones.
pub const REGIONS: &[(&str, &[&str])] = &[
    (
        "europe-west1",
        &["europe-west1-b", "europe-west1-c", "europe-west1-d"],
    ),
    (
        "europe-west4",
        &["europe-west4-a", "europe-west4-b", "europe-west4-c"],
    ),
    (
        "us-central1",
        &[
            "us-central1-a",
            "us-central1-b",
            "us-central1-c",
            "us-central1-f",
        ],
    ),
];

/// Name, CPUs, memory in MB.
pub const MACHINE_TYPES: &[(&str, u32, u32)] = &[
    ("e2-micro", 2, 1024),
    ("e2-small", 2, 2048),
    ("e2-medium", 2, 4096),
    ("e2-standard-2", 2, 8192),
    ("e2-standard-4", 4, 16384),
    ("e2-standard-8", 8, 32768),
    ("e2-standard-16", 16, 65536),
    ("e2-standard-32", 32, 131_072),
    ("n1-standard-1", 1, 3840),
    ("n1-standard-2", 2, 7680),
    ("n1-standard-4", 4, 15360),
    ("n1-standard-8", 8, 30720),
    ("n1-standard-16", 16, 61440),
    ("n1-standard-32", 32, 122_880),
];

/// The regions' names.
pub fn regions() -> impl Iterator<Item = &'static str> {
    REGIONS.iter().map(|(region, _)| *region)
}

/// The zones' names.
pub fn zones() -> impl Iterator<Item = &'static str> {
    REGIONS.iter().flat_map(|(_, zones)| zones.iter().copied())
}

/// CPUs and memory of a machine type.
pub fn machine_type(name: &str) -> Option<(u32, u32)> {
    let mut types = MACHINE_TYPES.iter();
    let known = types.find(|(known, _, _)| *known == name);
    known
        .map(|(_, cpus, memory)| (*cpus, *memory))
        .or_else(|| custom_type(name))
}

/// CPUs and memory of a custom machine type: `custom-CPUS-MB` for N1, `e2-custom-CPUS-MB`, or
/// `e2-custom-micro-MB`, with the limits of Compute Engine's documentation. `-ext` lifts N1's limit of memory.
fn custom_type(name: &str) -> Option<(u32, u32)> {
    let (sizes, is_e2) = match name.strip_prefix("e2-custom-") {
        Some(sizes) => (sizes, true),
        None => (
            name.strip_prefix("n1-")
                .unwrap_or(name)
                .strip_prefix("custom-")?,
            false,
        ),
    };
    let (sizes, is_extended) = match sizes.strip_suffix("-ext") {
        Some(sizes) => (sizes, true),
        None => (sizes, false),
    };
    let (cpus, memory) = sizes.split_once('-')?;
    let memory: u32 = memory.parse().ok()?;
    let shared = match cpus {
        "micro" => Some(1024..=2048),
        "small" => Some(2048..=4096),
        "medium" => Some(4096..=8192),
        _ => None,
    };
    if let Some(range) = shared {
        let fits = is_e2 && !is_extended && memory.is_multiple_of(256) && range.contains(&memory);
        return fits.then_some((2, memory));
    }
    let cpus: u32 = cpus.parse().ok().filter(|cpus| *cpus <= 96)?;
    let is_even = cpus.is_multiple_of(2);
    let (cpus_fit, least, most) = if is_e2 {
        let most = (cpus * 8192).min(131_072);
        (is_even && (2..=32).contains(&cpus), cpus * 512, most)
    } else {
        let most = if is_extended { 638_976 } else { cpus * 6656 };
        let fits = (cpus == 1 || is_even) && (1..=96).contains(&cpus);
        // 0.9 GB for each CPU.
        (fits, (cpus * 4608).div_ceil(5), most)
    };
    let fits = cpus_fit
        && !(is_e2 && is_extended)
        && memory.is_multiple_of(256)
        && (least..=most).contains(&memory);
    fits.then_some((cpus, memory))
}

/// IDs of built-in resources: stable, and the same in every cloud.
pub fn id_of(name: &str) -> String {
    // FNV-1a. Any fixed hash works; std's may change.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.max(1).to_string()
}

/// The default service account of machines. It has no credentials.
pub const DEFAULT_SERVICE_ACCOUNT: &str = "1-compute@developer.gserviceaccount.com";

/// The creation time of all built-in resources.
pub const CREATED: &str = "2014-05-30T18:35:16.413-07:00";

/// Disk types: name and default size in GB.
pub const DISK_TYPES: &[(&str, u32)] = &[
    ("pd-balanced", 100),
    ("pd-extreme", 1000),
    ("pd-ssd", 100),
    ("pd-standard", 500),
];

/// Whether a disk type exists.
pub fn is_disk_type(name: &str) -> bool {
    DISK_TYPES.iter().any(|(known, _)| *known == name)
}
