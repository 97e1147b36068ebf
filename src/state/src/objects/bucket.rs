//! Buckets of S3, Google Cloud Storage, and compatible services.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    ClientConfigKey, ClientOptions, ObjectStore, Result, RetryConfig, StaticCredentialProvider,
};

use super::Sizes;
use hakube_settings::{Bucket, Service};

/// Opens a bucket without connecting: the first read does. Credentials and endpoint come from the
/// environment, with the names of each service's own tools (`AWS_…`, `GOOGLE_…`).
pub(super) fn open(bucket: &Bucket, sizes: Sizes) -> Result<Arc<dyn ObjectStore>> {
    let prefix = Path::parse(&bucket.prefix)?;
    Ok(match bucket.service {
        Service::S3 => Arc::new(PrefixStore::new(s3(&bucket.name, sizes)?, prefix)),
        Service::Gcs => Arc::new(PrefixStore::new(gcs(&bucket.name, sizes)?, prefix)),
    })
}

/// How long a request takes, with its retries.
fn retries(sizes: Sizes) -> RetryConfig {
    let retry_timeout = match sizes {
        // Well within the lock's duration: a process that can't reach the store for longer must find out
        // before another process takes the lock.
        Sizes::Documents => Duration::from_secs(15),
        Sizes::Snapshots => Duration::from_secs(3600),
    };
    RetryConfig {
        retry_timeout,
        ..RetryConfig::default()
    }
}

/// The timeout of one request. A snapshot is one object of up to some gigabytes.
fn timeout(sizes: Sizes) -> &'static str {
    match sizes {
        Sizes::Documents => "30s",
        Sizes::Snapshots => "1h",
    }
}

fn s3(name: &str, sizes: Sizes) -> Result<impl ObjectStore> {
    // A plain-HTTP endpoint was configured explicitly; AWS's own tools accept it too.
    let plain = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AWS_ENDPOINT_URL_S3"]
        .into_iter()
        .any(|name| is_plain(std::env::var(name)));
    AmazonS3Builder::from_env()
        .with_bucket_name(name)
        .with_allow_http(plain)
        .with_config(
            AmazonS3ConfigKey::Client(ClientConfigKey::Timeout),
            timeout(sizes),
        )
        .with_retry(retries(sizes))
        .build()
}

fn gcs(name: &str, sizes: Sizes) -> Result<impl ObjectStore> {
    let mut builder = GoogleCloudStorageBuilder::from_env()
        .with_bucket_name(name)
        .with_retry(retries(sizes));
    // The variable that Google's clients use for an emulator, which needs no credentials.
    if let Ok(emulator) = std::env::var("STORAGE_EMULATOR_HOST") {
        let url = if emulator.contains("://") {
            emulator
        } else {
            format!("http://{emulator}")
        };
        builder = builder
            .with_client_options(ClientOptions::new().with_allow_http(url.starts_with("http://")))
            .with_base_url(&url)
            // Not `with_skip_signature`, which writes ignore.
            .with_credentials(Arc::new(StaticCredentialProvider::new(GcpCredential {
                bearer: "emulator".to_owned(),
            })));
    }
    let key = GoogleConfigKey::Client(ClientConfigKey::Timeout);
    builder.with_config(key, timeout(sizes)).build()
}

fn is_plain(endpoint: Result<String, std::env::VarError>) -> bool {
    endpoint.is_ok_and(|endpoint| endpoint.starts_with("http://"))
}
