//! Buckets on a signed-request S3 server: what a folder holds, a bucket lists, in the same order.

use fruitcore::{
    ErrorKind, Result,
    host::source::{Object, Source, SourceOptions, open},
};
use futures::StreamExt;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use std::{fs, path::Path, time::Duration};

const FILES: [&str; 7] = [
    "set/Apple Braeburn/1.jpg",
    "set/Apple Braeburn/10.jpg",
    "set/Apple Braeburn/2.jpg",
    "set/Apple/1.jpg",
    "set/Apple/notes.txt",
    "set/Äpfel/it's \"one\" + 100%.png",
    "top.jpg",
];

/// A folder with a bucket of these files, each holding its name.
fn fruits() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for file in FILES {
        let path = root.path().join("fruits").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    root
}

/// Serves the folders of `root` as buckets until the runtime ends; to anybody, or to who has the key.
async fn serve(root: &Path, signed: bool) -> String {
    let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root).unwrap());
    if signed {
        service.set_auth(SimpleAuth::from_single("key", "secret"));
    }
    let service = service.build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                let connection = Builder::new(TokioExecutor::new());
                let _ = connection.serve_connection(TokioIo::new(socket), service).await;
            });
        }
    });
    url
}

fn options(url: &str, key: &str, secret: &str) -> SourceOptions {
    let mut options = SourceOptions::default();
    options.retry.pause = Duration::from_millis(5);
    options.retry.attempts = 2;
    for (name, value) in [
        ("aws_endpoint", url),
        ("aws_access_key_id", key),
        ("aws_secret_access_key", secret),
        ("aws_region", "us-east-1"),
    ] {
        options.store_options.push((name.into(), value.into()));
    }
    options
}

async fn items(source: &dyn Source) -> Vec<Result<Object>> {
    source.list().collect().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_read_as_a_folder_is() {
    let root = fruits();
    let url = serve(root.path(), true).await;
    let bucket = open("s3://fruits/set", &options(&url, "key", "secret")).unwrap();
    let listed: Vec<_> = items(&*bucket).await.into_iter().map(Result::unwrap).collect();
    let local = root.path().join("fruits/set");
    let folder = open(local.to_str().unwrap(), &SourceOptions::default()).unwrap();
    let expected: Vec<_> = items(&*folder).await.into_iter().map(Result::unwrap).collect();
    let facts = |o: &Object| (o.path.clone(), o.label.clone(), o.size);
    assert_eq!(listed.iter().map(facts).collect::<Vec<_>>(), expected.iter().map(facts).collect::<Vec<_>>());
    assert_eq!(listed.len(), 5);
    assert_eq!((bucket.skipped(), folder.skipped()), (1, 1));
    for object in &listed {
        let bytes = bucket.fetch(object).await.unwrap();
        assert_eq!(bytes, format!("set/{}", object.path));
    }
    fs::remove_file(local.join("Apple/1.jpg")).unwrap();
    let gone = listed.iter().find(|o| o.path == "Apple/1.jpg").unwrap();
    assert_eq!(bucket.fetch(gone).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_buckets_and_credentials_are_named() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("fruits")).unwrap();
    let url = serve(root.path(), true).await;
    let cases = [
        ("s3://nuts/set", "key", "secret", ErrorKind::NotFound, "bucket"),
        ("s3://fruits", "nobody", "secret", ErrorKind::PermissionDenied, "AWS_ACCESS_KEY_ID"),
        ("s3://fruits", "key", "wrong", ErrorKind::PermissionDenied, "AWS_SECRET_ACCESS_KEY"),
    ];
    for (input, key, secret, kind, says) in cases {
        let source = open(input, &options(&url, key, secret)).unwrap();
        let error = items(&*source).await.pop().unwrap().unwrap_err();
        assert_eq!(error.kind(), kind, "{input}: {error:?}");
        assert!(error.message().contains(says), "{error}");
    }
    let empty = open("s3://fruits", &options(&url, "key", "secret")).unwrap();
    assert!(items(&*empty).await.is_empty());
}

/// Google's buckets speak the same XML dialect for listing and reading, which is what a source does.
#[tokio::test(flavor = "multi_thread")]
async fn a_public_google_bucket_is_read() {
    let root = fruits();
    let url = serve(root.path(), false).await;
    let mut options = SourceOptions::default();
    options.retry.attempts = 2;
    for (name, value) in [("google_base_url", url.as_str()), ("google_skip_signature", "true")] {
        options.store_options.push((name.into(), value.into()));
    }
    let bucket = open("gs://fruits/set", &options).unwrap();
    let listed: Vec<_> = items(&*bucket).await.into_iter().map(Result::unwrap).collect();
    let paths: Vec<_> = listed.iter().map(|o| o.path.as_str()).collect();
    let expected = ["Apple Braeburn/1.jpg", "Apple Braeburn/10.jpg", "Apple Braeburn/2.jpg", "Apple/1.jpg"];
    assert_eq!(paths[..4], expected);
    for object in &listed {
        assert_eq!(bucket.fetch(object).await.unwrap(), format!("set/{}", object.path));
    }
    let missing = open("gs://nuts/set", &options).unwrap();
    assert_eq!(items(&*missing).await.pop().unwrap().unwrap_err().kind(), ErrorKind::NotFound);
}
