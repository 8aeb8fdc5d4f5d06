use super::*;
use fruitcore::{
    ErrorKind,
    host::source::{SourceOptions, open},
};
use futures::stream::{self, BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    memory::InMemory,
    path::Path,
    throttle::{ThrottleConfig, ThrottledStore},
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

const FILES: [&str; 6] =
    ["set/a b/1.jpg", "set/a-/1.jpg", "set/a/1.jpg", "set/a/notes.txt", "set/b.png", "other/1.jpg"];

fn filled() -> InMemory {
    let store = InMemory::new();
    for file in FILES {
        on_runtime(store.put(&Path::from(file), file.as_bytes().to_vec().into())).unwrap();
    }
    store
}

fn options(store: impl ObjectStore) -> SourceOptions {
    let mut options = SourceOptions::default();
    options.store = Some(Arc::new(store));
    options.retry.pause = Duration::from_millis(1);
    options.retry.attempts = 3;
    options.retry.timeout = Duration::from_millis(300);
    options
}

#[test]
fn a_store_lists_as_a_folder_does() {
    let source = open("memory:///set", &options(filled())).unwrap();
    let found = on_runtime(objects(&*source));
    assert_eq!(paths(&found), ["a b/1.jpg", "a-/1.jpg", "a/1.jpg", "b.png"]);
    assert_eq!((found[0].label.as_deref(), found[3].label.as_deref()), (Some("a b"), None));
    assert_eq!(source.skipped(), 1);
    for object in &found {
        assert_eq!(on_runtime(source.fetch(object)).unwrap(), format!("set/{}", object.path));
        assert!(object.version.is_some());
    }
    let one = open("memory:///set/b.png", &options(filled())).unwrap();
    assert_eq!(paths(&on_runtime(objects(&*one))), ["b.png"]);
    let missing = open("memory:///set/c.png", &options(filled())).unwrap();
    let error = on_runtime(items(&*missing)).pop().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let nothing = open("memory:///nothing/", &options(filled())).unwrap();
    assert!(on_runtime(items(&*nothing)).is_empty());
}

#[test]
fn a_list_in_a_store() {
    let store = filled();
    on_runtime(store.put(&Path::from("set/list.txt"), "b.png\n./a/1.jpg\nnone.jpg\n".into())).unwrap();
    let source = open("memory:///set/list.txt", &options(store)).unwrap();
    let found = on_runtime(objects(&*source));
    assert_eq!(paths(&found), ["b.png", "./a/1.jpg", "none.jpg"]);
    assert_eq!(on_runtime(source.fetch(&found[1])).unwrap(), b"set/a/1.jpg".as_slice());
    assert_eq!(on_runtime(source.fetch(&found[2])).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn slow_stores_finish_and_stuck_ones_time_out() {
    let wait = |ms| {
        let wait = Duration::from_millis(ms);
        ThrottleConfig {
            wait_get_per_call: wait,
            wait_list_with_delimiter_per_call: wait,
            ..Default::default()
        }
    };
    let slow = open("memory:///set", &options(ThrottledStore::new(filled(), wait(20)))).unwrap();
    let found = on_runtime(objects(&*slow));
    assert_eq!(on_runtime(slow.fetch(&found[0])).unwrap(), b"set/a b/1.jpg".as_slice());
    let stuck = open("memory:///set", &options(ThrottledStore::new(filled(), wait(60_000)))).unwrap();
    let error = on_runtime(stuck.fetch(&found[0])).unwrap_err();
    assert_eq!((error.kind(), error.object()), (ErrorKind::Network, Some("a b/1.jpg")));
    assert_eq!(on_runtime(items(&*stuck)).pop().unwrap().unwrap_err().kind(), ErrorKind::Network);
}

#[test]
fn failures_are_retried_as_often_as_asked() {
    for (failures, works) in [(0, true), (2, true), (3, false)] {
        for cut in [false, true] {
            let source = open("memory:///set", &options(Flaky::new(filled(), 0, cut))).unwrap();
            let found = on_runtime(objects(&*source));
            let source = open("memory:///set", &options(Flaky::new(filled(), failures, cut))).unwrap();
            let got = on_runtime(source.fetch(&found[2]));
            assert_eq!(got.is_ok(), works, "{failures} failures, cut {cut}");
            if let Err(e) = got {
                assert_eq!((e.kind(), e.object()), (ErrorKind::Network, Some("a/1.jpg")));
            }
        }
    }
    // An archive goes on where it broke off.
    let mut tar = tar::Builder::new(Vec::new());
    for name in ["1.jpg", "2.jpg"] {
        let mut header = tar::Header::new_gnu();
        header.set_size(3000);
        header.set_cksum();
        tar.append_data(&mut header, name, &[name.as_bytes()[0]; 3000][..]).unwrap();
    }
    let store = filled();
    on_runtime(store.put(&Path::from("a.tar"), tar.into_inner().unwrap().into())).unwrap();
    let source = open("memory:///a.tar", &options(Flaky::new(store, 2, true))).unwrap();
    let found = on_runtime(objects(&*source));
    assert_eq!(paths(&found), ["1.jpg", "2.jpg"]);
    assert_eq!(on_runtime(source.fetch(&found[1])).unwrap(), [b'2'; 3000].as_slice());
}

#[test]
fn too_large_objects_are_not_read() {
    let mut options = options(filled());
    options.max_bytes = 8;
    let source = open("memory:///set", &options).unwrap();
    let found = on_runtime(objects(&*source));
    let error = on_runtime(source.fetch(&found[0])).unwrap_err();
    assert_eq!((error.kind(), error.object()), (ErrorKind::Limit, Some("a b/1.jpg")));
}

/// Fails the first reads: outright, or by cutting the body in half.
#[derive(Debug)]
struct Flaky {
    inner: InMemory,
    failures: AtomicUsize,
    cut: bool,
}

impl Flaky {
    fn new(inner: InMemory, failures: usize, cut: bool) -> Self {
        Self { inner, failures: AtomicUsize::new(failures), cut }
    }
}

impl fmt::Display for Flaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flaky({})", self.inner)
    }
}

fn broken() -> object_store::Error {
    object_store::Error::Generic { store: "flaky", source: "connection reset".into() }
}

#[async_trait::async_trait]
impl ObjectStore for Flaky {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        let head = options.head;
        let got = self.inner.get_opts(location, options).await?;
        let fails = !head
            && self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
        if !fails {
            return Ok(got);
        }
        if !self.cut {
            return Err(broken());
        }
        let (meta, range) = (got.meta.clone(), got.range.clone());
        let bytes = got.bytes().await?;
        let half = bytes.slice(..bytes.len() / 2);
        let payload = GetResultPayload::Stream(stream::iter([Ok(half), Err(broken())]).boxed());
        Ok(GetResult { payload, meta, range, attributes: Default::default(), extensions: Default::default() })
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn put_opts(
        &self,
        at: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.inner.put_opts(at, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, options).await
    }

    fn delete_stream(
        &self,
        at: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(at)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
