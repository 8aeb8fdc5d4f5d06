use super::{
    server::{Request, Response, Server},
    *,
};
use fruitcore::{
    ErrorKind,
    host::source::{SourceOptions, open},
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

fn options() -> SourceOptions {
    let mut options = SourceOptions::default();
    options.retry.pause = Duration::from_millis(1);
    options.retry.attempts = 3;
    options.retry.timeout = Duration::from_secs(5);
    options
}

fn tar() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for n in 1..=3u8 {
        let mut header = tar::Header::new_gnu();
        header.set_size(40_000);
        header.set_cksum();
        tar.append_data(&mut header, format!("Apple/{n}.jpg"), &[n; 40_000][..]).unwrap();
    }
    tar.into_inner().unwrap()
}

#[test]
fn web_servers_serve_lists_archives_and_pictures() {
    let archive = tar();
    let server = Server::start(move |request| match (request.method.as_str(), request.target.as_str()) {
        ("PROPFIND", _) => Response::new(405, ""),
        (_, "/set/urls.txt") => Response::file(request, b"Apple/a%20b.jpg\nPear/2.jpg\nnone.jpg\n"),
        (_, "/set/Apple/a%2520b.jpg") => Response::file(request, b"apple"),
        (_, "/set/Pear/2.jpg") => Response::file(request, b"pear"),
        (_, "/closed.jpg") => Response::new(403, ""),
        (_, "/a.tar") => {
            let mut response = Response::file(request, &archive);
            // The first answer breaks off in the middle.
            response.cut = (response.status == 200).then_some(50_000);
            response
        }
        _ => Response::new(404, ""),
    });
    let at = |path: &str| open(&format!("{}/{path}", server.url), &options()).unwrap();
    on_runtime(async {
        let list = at("set/urls.txt");
        let found = objects(&*list).await;
        assert_eq!(paths(&found), ["Apple/a%20b.jpg", "Pear/2.jpg", "none.jpg"]);
        assert_eq!(found[0].label.as_deref(), Some("Apple"));
        assert_eq!(list.fetch(&found[0]).await.unwrap(), b"apple".as_slice());
        assert_eq!(list.fetch(&found[1]).await.unwrap(), b"pear".as_slice());
        assert_eq!(list.fetch(&found[2]).await.unwrap_err().kind(), ErrorKind::NotFound);

        let archive = at("a.tar");
        let found = objects(&*archive).await;
        assert_eq!(paths(&found), ["Apple/1.jpg", "Apple/2.jpg", "Apple/3.jpg"]);
        assert_eq!(archive.fetch(&found[2]).await.unwrap(), [3; 40_000].as_slice());

        let one = at("set/Pear/2.jpg");
        let found = objects(&*one).await;
        assert_eq!((paths(&found), found[0].size), (vec!["2.jpg"], 4));

        let closed = items(&*at("closed.jpg")).await.pop().unwrap().unwrap_err();
        assert_eq!(closed.kind(), ErrorKind::PermissionDenied);
        let folder = items(&*at("set/")).await.pop().unwrap().unwrap_err();
        assert_eq!(folder.kind(), ErrorKind::Unsupported, "{folder}");
        assert!(folder.message().contains("WebDAV"), "{folder}");
    });
    assert!(server.requests().iter().any(|r| r.headers.contains_key("range")), "resumed, not begun anew");
    let signed = open(&format!("{}/a.jpg?sig=1", server.url), &options()).err().unwrap();
    assert_eq!(signed.kind(), ErrorKind::InvalidArgument);
    assert!(!signed.to_string().contains("sig=1"), "queries may hold secrets: {signed}");
}

/// Lists and serves `files` as S3 does, two keys a page.
fn s3(request: &Request, files: &BTreeMap<&str, &str>) -> Response {
    let target = request.target.trim_start_matches("/bucket").trim_start_matches('/');
    let Some(query) = target.strip_prefix('?') else {
        return match files.get(target.replace("%20", " ").as_str()) {
            Some(content) => Response::file(request, content.as_bytes()),
            None => Response::new(404, "<Error><Code>NoSuchKey</Code></Error>"),
        };
    };
    let pair = |name: &str| {
        query
            .split('&')
            .find_map(|p| p.split_once('=').filter(|(k, _)| *k == name).map(|(_, v)| v.replace("%2F", "/")))
    };
    let prefix = pair("prefix").unwrap_or_default();
    let after = pair("continuation-token").and_then(|t| t.parse::<usize>().ok()).unwrap_or(0);
    let keys: Vec<_> = files.keys().filter(|k| k.starts_with(&prefix)).collect();
    let contents: String = keys
        .iter()
        .skip(after)
        .take(2)
        .map(|k| {
            format!(
                "<Contents><Key>{k}</Key><Size>{}</Size><ETag>\"{k}\"</ETag>\
                 <LastModified>2024-01-01T00:00:00.000Z</LastModified></Contents>",
                files[**k].len()
            )
        })
        .collect();
    let next = if after + 2 < keys.len() {
        format!("<NextContinuationToken>{}</NextContinuationToken>", after + 2)
    } else {
        String::new()
    };
    Response::new(200, format!("<ListBucketResult>{contents}{next}</ListBucketResult>"))
}

fn s3_options(server: &Server) -> SourceOptions {
    let mut options = options();
    for (key, value) in [
        ("aws_endpoint", server.url.as_str()),
        ("aws_access_key_id", "key"),
        ("aws_secret_access_key", "secret"),
        ("aws_region", "eu-north-1"),
    ] {
        options.store_options.push((key.into(), value.into()));
    }
    options
}

#[test]
fn s3_buckets_list_page_by_page_and_in_order() {
    let files: BTreeMap<_, _> =
        ["set/a b/1.jpg", "set/a/1.jpg", "set/a/2.png", "set/a/x.txt", "set/b/1.jpg", "z.jpg"]
            .map(|f| (f, f))
            .into();
    let failing = Arc::new(AtomicUsize::new(1));
    let fails = failing.clone();
    let server = Server::start(move |request| {
        // A server that is busy once.
        if fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
            return Response::new(503, "<Error><Code>SlowDown</Code></Error>");
        }
        s3(request, &files)
    });
    on_runtime(async {
        let source = open("s3://bucket/set", &s3_options(&server)).unwrap();
        let found = objects(&*source).await;
        assert_eq!(paths(&found), ["a b/1.jpg", "a/1.jpg", "a/2.png", "b/1.jpg"]);
        assert_eq!((found[0].label.as_deref(), source.skipped()), (Some("a b"), 1));
        assert_eq!(source.fetch(&found[0]).await.unwrap(), b"set/a b/1.jpg".as_slice());
        // A listing asks for a page only when it is needed.
        let before = server.requests().len();
        let _first = source.list().next().await.unwrap().unwrap();
        assert!(server.requests().len() - before <= 2, "{:?}", server.requests());
    });
}

#[test]
fn s3_failures_say_what_to_do() {
    let error = |code: &str| format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
    let cases = [
        (404, error("NoSuchBucket"), ErrorKind::NotFound, "bucket doesn't exist"),
        (403, error("AccessDenied"), ErrorKind::PermissionDenied, "AWS_ACCESS_KEY_ID"),
        (403, error("InvalidAccessKeyId"), ErrorKind::PermissionDenied, "not valid"),
        (403, error("SignatureDoesNotMatch"), ErrorKind::PermissionDenied, "not valid"),
        (400, error("AuthorizationHeaderMalformed"), ErrorKind::InvalidArgument, "AWS_REGION"),
        (301, error("PermanentRedirect"), ErrorKind::InvalidArgument, "AWS_REGION"),
        (500, error("InternalError"), ErrorKind::Network, "try again later"),
    ];
    for (status, body, kind, says) in cases {
        let server = Server::start(move |_| Response::new(status, body.clone()));
        let source = open("s3://bucket/set", &s3_options(&server)).unwrap();
        let error = on_runtime(items(&*source)).pop().unwrap().unwrap_err();
        assert_eq!(error.kind(), kind, "{status}: {error:?}");
        assert!(error.message().contains(says), "{error}");
        assert_eq!(error.object(), Some("s3://bucket/set"));
    }
    // Nobody listens there.
    let mut options = options();
    for (key, value) in [("aws_endpoint", "http://127.0.0.1:9"), ("aws_skip_signature", "true")] {
        options.store_options.push((key.into(), value.into()));
    }
    let error = on_runtime(items(&*open("s3://bucket/set", &options).unwrap())).pop().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network, "{error:?}");
    options.store_options.push(("aws_regoin".into(), "x".into()));
    let error = open("s3://bucket/set", &options).err().unwrap();
    assert!(error.message().contains("aws_regoin"), "{error}");
}
