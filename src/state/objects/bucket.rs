//! Buckets of S3, of Google Cloud Storage, and of whatever speaks the protocol of either.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ClientOptions, ObjectStore, Result, RetryConfig, StaticCredentialProvider};

use crate::state::location::{Bucket, Service};

/// Connects to nothing yet: the first read does. Credentials and endpoint come from the environment, by
/// the names of each service's own tools (`AWS_…`, `GOOGLE_…`).
pub(super) fn open(bucket: &Bucket) -> Result<Arc<dyn ObjectStore>> {
    let prefix = Path::parse(&bucket.prefix)?;
    Ok(match bucket.service {
        Service::S3 => Arc::new(PrefixStore::new(s3(&bucket.name)?, prefix)),
        Service::Gcs => Arc::new(PrefixStore::new(gcs(&bucket.name)?, prefix)),
    })
}

/// Well within the time that a lock lasts: whoever can't reach the store for longer than that must learn
/// it before the lock is somebody else's.
fn retries() -> RetryConfig {
    RetryConfig {
        retry_timeout: Duration::from_secs(15),
        ..RetryConfig::default()
    }
}

fn s3(name: &str) -> Result<impl ObjectStore> {
    // An endpoint without TLS has been asked for in so many words; AWS's own tools don't ask twice either.
    let plain = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AWS_ENDPOINT_URL_S3"]
        .into_iter()
        .any(|name| is_plain(std::env::var(name)));
    AmazonS3Builder::from_env()
        .with_bucket_name(name)
        .with_allow_http(plain)
        .with_retry(retries())
        .build()
}

fn gcs(name: &str) -> Result<impl ObjectStore> {
    let mut builder = GoogleCloudStorageBuilder::from_env()
        .with_bucket_name(name)
        .with_retry(retries());
    // The variable that Google's own clients know for an emulator, which wants no credentials.
    if let Ok(emulator) = std::env::var("STORAGE_EMULATOR_HOST") {
        let url = if emulator.contains("://") {
            emulator
        } else {
            format!("http://{emulator}")
        };
        builder = builder
            .with_client_options(ClientOptions::new().with_allow_http(url.starts_with("http://")))
            .with_base_url(&url)
            // Not `with_skip_signature`, which writes don't heed.
            .with_credentials(Arc::new(StaticCredentialProvider::new(GcpCredential {
                bearer: "emulator".to_owned(),
            })));
    }
    builder.build()
}

fn is_plain(endpoint: Result<String, std::env::VarError>) -> bool {
    endpoint.is_ok_and(|endpoint| endpoint.starts_with("http://"))
}
