//! The state store's objects. Each access may be the process's last.

use super::api::Process;
use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt as _, stream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::fmt;
use std::sync::Arc;

/// Objects in memory, accessed by a process.
pub struct WatchedStore {
    process: Arc<Process>,
    objects: Arc<InMemory>,
}

impl WatchedStore {
    /// These objects, accessed by this process.
    pub fn new(process: Arc<Process>, objects: Arc<InMemory>) -> Self {
        Self { process, objects }
    }

    async fn watched<T>(&self, what: String, access: impl Future<Output = T>) -> T {
        let number = self.process.enter(&what).await;
        let answer = access.await;
        self.process.leave(number).await;
        answer
    }
}

impl fmt::Debug for WatchedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WatchedStore")
    }
}

impl fmt::Display for WatchedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory, watched")
    }
}

#[async_trait]
impl ObjectStore for WatchedStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        self.watched(
            format!("store: put {location}"),
            self.objects.put_opts(location, payload, opts),
        )
        .await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.objects.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.watched(
            format!("store: get {location}"),
            self.objects.get_opts(location, options),
        )
        .await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let (process, objects) = (Arc::clone(&self.process), Arc::clone(&self.objects));
        let delete = move |location: Result<Path>| {
            let store = Self::new(Arc::clone(&process), Arc::clone(&objects));
            async move {
                let location = location?;
                store
                    .watched(
                        format!("store: delete {location}"),
                        store.objects.delete(&location),
                    )
                    .await?;
                Ok(location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let store = Self::new(Arc::clone(&self.process), Arc::clone(&self.objects));
        let prefix = prefix.cloned();
        let listed = async move {
            let all = store.objects.list(prefix.as_ref()).collect::<Vec<_>>();
            stream::iter(store.watched("store: list".to_owned(), all).await)
        };
        stream::once(listed).flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.watched(
            "store: list".to_owned(),
            self.objects.list_with_delimiter(prefix),
        )
        .await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.watched(
            format!("store: copy {from}"),
            self.objects.copy_opts(from, to, options),
        )
        .await
    }
}
