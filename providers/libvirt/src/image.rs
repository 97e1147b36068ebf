//! Base images: from a file or URL, verified before use, and stored once in each host's pool.

use crate::Libvirt;
use crate::config::Patience;
use crate::host::Host;
use crate::hypervisor::{Format, VolumeSeen};
use crate::volumes::{self, Volume};
use futures::StreamExt;
use hakube_provider::{Attempt, ErrorKind, MachineSpec, Result};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use tempfile::NamedTempFile;
use tokio::sync::Mutex;

/// An image that was read completely and whose checksum is known.
pub(crate) struct Image {
    file: Place,
    pub(crate) sum: String,
    pub(crate) length: u64,
    pub(crate) format: Format,
    /// The virtual size of its disk, in bytes.
    pub(crate) capacity: u64,
}

enum Place {
    /// The operator's file, with its modification time when it was read.
    Own(PathBuf, SystemTime),
    /// A downloaded file, deleted when this is dropped.
    Downloaded(NamedTempFile),
}

impl Image {
    fn path(&self) -> &Path {
        match &self.file {
            Place::Own(path, _) => path,
            Place::Downloaded(file) => file.path(),
        }
    }

    /// Whether the file hasn't changed since it was read.
    fn is_unchanged(&self) -> bool {
        let Place::Own(path, changed) = &self.file else {
            return true;
        };
        path.metadata().is_ok_and(|now| {
            now.len() == self.length && now.modified().is_ok_and(|now| now == *changed)
        })
    }
}

/// The images that this process has read. Reading a large one takes a while.
pub(crate) struct Images {
    known: Mutex<BTreeMap<String, Arc<Image>>>,
    patience: Patience,
}

impl Images {
    /// Creates an empty cache. A server that sends nothing times out after `patience.call`.
    pub(crate) fn new(patience: Patience) -> Self {
        Self {
            known: Mutex::default(),
            patience,
        }
    }

    /// The image of this source, with the wanted checksum if there is one.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it can't be read or has a different checksum;
    /// [`ErrorKind::Transient`] if its server fails.
    pub(crate) async fn get(&self, source: &str, wanted: Option<&str>) -> Result<Arc<Image>> {
        let attempt = Attempt::new("read", format!("image {source}"));
        let mut known = self.known.lock().await;
        let image = match known.get(source).filter(|image| image.is_unchanged()) {
            Some(image) => Arc::clone(image),
            None => {
                let image = Arc::new(read(&attempt, source, self.patience).await?);
                known.insert(source.to_owned(), Arc::clone(&image));
                image
            }
        };
        match wanted.filter(|wanted| *wanted != image.sum) {
            None => Ok(image),
            Some(wanted) => {
                let message = format!("its SHA-256 is {}, expected {wanted}", image.sum);
                let error = attempt.error(ErrorKind::Invalid, message);
                Err(error.with_hint("download it again, or correct the expected checksum"))
            }
        }
    }
}

async fn read(attempt: &Attempt, source: &str, patience: Patience) -> Result<Image> {
    let unreadable = |error: io::Error| {
        attempt
            .error(ErrorKind::Invalid, error.to_string())
            .with_hint(
                "the image must be a file on the machine that runs hakube, or an http or https URL",
            )
    };
    let file = if source.starts_with("http://") || source.starts_with("https://") {
        Place::Downloaded(download(attempt, source, patience).await?)
    } else {
        let path = PathBuf::from(source.strip_prefix("file://").unwrap_or(source));
        let changed = path.metadata().and_then(|seen| seen.modified());
        Place::Own(path, changed.map_err(unreadable)?)
    };
    let looked = tokio::task::spawn_blocking(move || look(file)).await;
    match looked {
        Ok(image) => image.map_err(unreadable),
        Err(stopped) => Err(attempt.error(ErrorKind::Fatal, stopped.to_string())),
    }
}

/// Reads the file once, for its checksum, format and size.
fn look(place: Place) -> io::Result<Image> {
    let path = match &place {
        Place::Own(path, _) => path,
        Place::Downloaded(file) => file.path(),
    };
    let mut file = File::open(path)?;
    let mut head = Vec::new();
    Read::by_ref(&mut file).take(32).read_to_end(&mut head)?;
    file.seek(SeekFrom::Start(0))?;
    let mut sum = Sha256::new();
    let length = io::copy(&mut file, &mut sum)?;
    let (format, capacity) = match qcow2_capacity(&head) {
        Some(capacity) => (Format::Qcow2, capacity),
        None => (Format::Raw, length),
    };
    Ok(Image {
        file: place,
        sum: hexadecimal(&sum.finalize()),
        length,
        format,
        capacity,
    })
}

/// A qcow2 file's virtual size; `None` if it isn't a qcow2 file.
///
/// Source: <https://www.qemu.org/docs/master/interop/qcow2.html>
fn qcow2_capacity(head: &[u8]) -> Option<u64> {
    head.starts_with(b"QFI\xfb")
        .then(|| head.get(24..32)?.try_into().ok().map(u64::from_be_bytes))?
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn download(attempt: &Attempt, url: &str, patience: Patience) -> Result<NamedTempFile> {
    let later = |error: reqwest::Error| attempt.error(ErrorKind::TRANSIENT, error.to_string());
    let disk = |error: io::Error| {
        attempt
            .error(
                ErrorKind::NoCapacity,
                format!("can't store the download on this machine: {error}"),
            )
            .with_hint("set TMPDIR to a directory with enough space")
    };
    // Otherwise the client panics.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        return Err(attempt.error(
            ErrorKind::Fatal,
            "no rustls crypto provider is installed in this process",
        ));
    }
    let client = reqwest::Client::builder()
        .connect_timeout(patience.connect)
        .read_timeout(patience.call)
        .build()
        .map_err(|error| attempt.error(ErrorKind::Fatal, error.to_string()))?;
    let answer = client.get(url).send().await.map_err(later)?;
    if !answer.status().is_success() {
        let kind = match answer.status().is_server_error() {
            true => ErrorKind::TRANSIENT,
            false => ErrorKind::Invalid,
        };
        return Err(attempt.error(
            kind,
            format!("its server responded with {}", answer.status()),
        ));
    }
    let mut file = NamedTempFile::new().map_err(disk)?;
    let mut pieces = answer.bytes_stream();
    while let Some(piece) = pieces.next().await {
        file.write_all(&piece.map_err(later)?).map_err(disk)?;
    }
    file.flush().map_err(disk)?;
    Ok(file)
}

impl Libvirt {
    /// Ensures that a machine's image is in the host's pool. Returns its volume and checksum.
    ///
    /// A second volume, created last, records that the image is complete. An image without it,
    /// after a crash, isn't used.
    pub(crate) async fn image_on(
        &self,
        host: &Host,
        spec: &MachineSpec,
    ) -> Result<(VolumeSeen, String)> {
        let attempt = Attempt::new(
            "upload",
            format!("image {} to {}", spec.image, host.first_zone()),
        );
        // One upload per host at a time, so two machines don't upload the same image twice.
        let _alone = host.uploading.lock().await;
        if let Some(sum) = &spec.image_sha256
            && let Some(there) = self
                .verified_image(host, &attempt, &spec.cluster, sum)
                .await?
        {
            return Ok((there, sum.clone()));
        }
        let wanted = spec.image_sha256.as_deref();
        let image = self.images.get(&spec.image, wanted).await?;
        let sum = image.sum.clone();
        let there = self.verified_image(host, &attempt, &spec.cluster, &sum);
        if let Some(there) = there.await? {
            return Ok((there, sum));
        }
        self.upload_image(host, &attempt, &spec.cluster, &image)
            .await?;
        let there = self.verified_image(host, &attempt, &spec.cluster, &sum);
        match there.await? {
            Some(there) => Ok((there, sum)),
            None => Err(attempt.error(
                ErrorKind::TRANSIENT,
                "it disappeared right after the upload",
            )),
        }
    }

    /// The image with this checksum, if it is complete.
    pub(crate) async fn verified_image(
        &self,
        host: &Host,
        attempt: &Attempt,
        cluster: &str,
        sum: &str,
    ) -> Result<Option<VolumeSeen>> {
        let verified = Volume::Verified(sum.to_owned()).name(cluster);
        let name = Volume::Image(sum.to_owned()).name(cluster);
        match self.volume_on(host, attempt, &verified).await? {
            Some(_) => self.volume_on(host, attempt, &name).await,
            None => Ok(None),
        }
    }

    async fn upload_image(
        &self,
        host: &Host,
        attempt: &Attempt,
        cluster: &str,
        image: &Arc<Image>,
    ) -> Result<()> {
        let verified = Volume::Verified(image.sum.clone()).name(cluster);
        let name = Volume::Image(image.sum.clone()).name(cluster);
        self.delete_volume(host, attempt, &verified).await?;
        let empty = volumes::empty(&name, image.format, image.capacity);
        self.remade(host, attempt, &name, &empty).await?;
        let mut file = File::open(image.path())
            .map_err(|error| attempt.error(ErrorKind::Invalid, error.to_string()))?;
        let (pool, length) = (self.config.pool.clone(), image.length);
        host.move_bytes(length, attempt, move |hypervisor| {
            hypervisor.upload(&pool, &name, &mut file, length)
        })
        .await?;
        // The operator's file may have changed while it was read.
        if !image.is_unchanged() {
            return Err(attempt.error(ErrorKind::Conflict, "it changed during the upload"));
        }
        let marker = volumes::empty(&verified, Format::Raw, 512);
        self.create_volume(host, attempt, &marker).await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use std::time::Duration;
    use wiremock::matchers::{method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    fn file(bytes: &[u8]) -> NamedTempFile {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[tokio::test]
    async fn an_image_is_identified_by_its_checksum() {
        let file = file(b"debian");
        let source = file.path().to_str().unwrap();
        let images = Images::new(Patience::default());
        let image = images.get(source, None).await.unwrap();
        assert_eq!((image.format, image.capacity), (Format::Raw, 6));
        assert!(images.get(source, Some(&image.sum)).await.is_ok());
        let refused = images.get(source, Some(&"0".repeat(64))).await;
        let refused = refused.err().unwrap();
        assert_eq!(refused.kind, ErrorKind::Invalid);
        assert!(refused.message.contains(&image.sum), "{refused}");
    }

    #[tokio::test]
    async fn a_replaced_image_is_read_again() {
        let file = file(b"debian");
        let source = file.path().to_str().unwrap().to_owned();
        let images = Images::new(Patience::default());
        let before = images.get(&source, None).await.unwrap();
        std::fs::write(file.path(), b"debian 13").unwrap();
        let after = images.get(&source, None).await.unwrap();
        assert_ne!(before.sum, after.sum);
    }

    #[tokio::test]
    async fn a_missing_image_is_named() {
        let refused = Images::new(Patience::default())
            .get("/no/such/image", None)
            .await;
        let refused = refused.err().unwrap();
        assert_eq!(refused.kind, ErrorKind::Invalid);
        assert!(refused.to_string().contains("/no/such/image"), "{refused}");
    }

    #[tokio::test]
    async fn client_and_server_errors_of_a_download_differ_in_kind() {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let server = MockServer::start().await;
        for (file, answer) in [
            (
                "/image",
                ResponseTemplate::new(200).set_body_bytes(b"debian"),
            ),
            ("/down", ResponseTemplate::new(503)),
        ] {
            let mock = Mock::given(method("GET")).and(path(file));
            mock.respond_with(answer).mount(&server).await;
        }
        let images = Images::new(Patience::default());
        let get = async |file: &str| images.get(&format!("{}{file}", server.uri()), None).await;
        let image = get("/image").await.unwrap();
        assert_eq!(std::fs::read(image.path()).unwrap(), b"debian");
        assert_eq!(image.length, 6);
        let refused = get("/none").await.err().unwrap();
        assert_eq!(refused.kind, ErrorKind::Invalid, "{refused}");
        let down = get("/down").await.err().unwrap();
        assert!(down.is_transient(), "{down}");
        // An image is downloaded only once.
        get("/image").await.unwrap();
        let requests = server.received_requests().await.unwrap();
        let downloads = requests
            .iter()
            .filter(|request| request.url.path() == "/image");
        assert_eq!(downloads.count(), 1);
    }

    #[tokio::test]
    async fn a_silent_server_times_out() {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        // Connections are accepted by the kernel, but nothing reads from them.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let images = Images::new(Patience {
            call: Duration::from_millis(20),
            ..Patience::default()
        });
        let source = format!("http://{}/image", silent.local_addr().unwrap());
        let refused = images.get(&source, None).await.err().unwrap();
        assert!(refused.is_transient(), "{refused}");
    }

    #[test]
    fn the_size_of_a_qcow2_disk_is_read_from_its_header() {
        let mut head = b"QFI\xfb\0\0\0\x03".to_vec();
        head.extend([0; 16]);
        head.extend((20_u64 << 30).to_be_bytes());
        assert_eq!(qcow2_capacity(&head), Some(20 << 30));
        assert_eq!(qcow2_capacity(b"QFI\xfb"), None);
        assert_eq!(qcow2_capacity(&[0; 32]), None);
    }
}
