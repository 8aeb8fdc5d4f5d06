//! Buckets and web servers as input and output, on loopback.

use super::{
    server::{Request, Response, Server},
    support::{Done, SMALL, Work, assert_close, command, files},
};
use fruitcore::host::sink::Content;
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

type Objects = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A bucket called `fruit` that lists, reads and writes as S3 does, for whoever names the key.
fn bucket(objects: &Objects) -> Server {
    let objects = objects.clone();
    Server::start(move |request| {
        let known = request.headers.get("authorization").is_some_and(|a| a.contains("Credential=key/"));
        if !known {
            return Response::new(403, "<Error><Code>InvalidAccessKeyId</Code></Error>");
        }
        // In a query `+` is a space.
        let target = match request.target.split_once('?') {
            Some((path, query)) => decoded(&format!("{path}?{}", query.replace('+', " "))),
            None => decoded(&request.target),
        };
        let Some(target) = target.strip_prefix("/fruit") else {
            return Response::new(404, "<Error><Code>NoSuchBucket</Code></Error>");
        };
        answer(request, target, &mut objects.lock().unwrap())
    })
}

fn answer(request: &Request, target: &str, objects: &mut BTreeMap<String, Vec<u8>>) -> Response {
    let etag = ("etag".to_owned(), "\"v\"".to_owned());
    match (request.method.as_str(), target.split_once('?')) {
        ("GET", Some((_, query))) => list(query, objects),
        ("PUT", None) => {
            objects.insert(target[1..].to_owned(), request.body.clone());
            Response { headers: vec![etag], ..Response::new(200, "") }
        }
        ("GET" | "HEAD", None) => match objects.get(&target[1..]) {
            Some(content) => {
                let date = ("last-modified".to_owned(), "Mon, 01 Jan 2024 00:00:00 GMT".to_owned());
                let mut response = Response::file(request, content);
                response.headers.push(date);
                response
            }
            None => Response::new(404, "<Error><Code>NoSuchKey</Code></Error>"),
        },
        _ => Response::new(501, ""),
    }
}

/// ListObjectsV2, all on one page.
fn list(query: &str, objects: &BTreeMap<String, Vec<u8>>) -> Response {
    let value = |name: &str| {
        let mut pairs = query.split('&').filter_map(|p| p.split_once('='));
        pairs.find_map(|(k, v)| (k == name).then_some(v)).unwrap_or_default()
    };
    let (prefix, delimiter) = (value("prefix"), value("delimiter"));
    let mut folders = std::collections::BTreeSet::new();
    let mut body = String::from("<ListBucketResult>");
    for (key, content) in objects.iter().filter(|(key, _)| key.starts_with(prefix)) {
        match key[prefix.len()..].split_once('/') {
            Some((folder, _)) if !delimiter.is_empty() => drop(folders.insert(folder)),
            _ => {
                let size = content.len();
                body += &format!(
                    "<Contents><Key>{key}</Key><Size>{size}</Size><ETag>\"v\"</ETag>\
                     <LastModified>2024-01-01T00:00:00.000Z</LastModified></Contents>"
                );
            }
        }
    }
    for folder in folders {
        body += &format!("<CommonPrefixes><Prefix>{prefix}{folder}/</Prefix></CommonPrefixes>");
    }
    Response::new(200, body + "</ListBucketResult>")
}

fn decoded(target: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = target;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(u8::from_str_radix(&after[..2], 16).unwrap());
        rest = &after[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).unwrap()
}

fn upload(objects: &Objects, folder: &Path, prefix: &str) {
    for kind in files(folder) {
        for file in files(&kind) {
            let name = file.strip_prefix(folder).unwrap().to_str().unwrap();
            objects.lock().unwrap().insert(format!("{prefix}/{name}"), fs::read(&file).unwrap());
        }
    }
}

fn run(server: &Server, key: &str, input: &str, output: &str, more: &[&str]) -> Done {
    let mut args = vec!["run", input, "--output", output, "--components", "3", "--part-size", "7", "--json"];
    args.extend(SMALL);
    args.extend(more);
    call(server, key, &args)
}

/// The program with the bucket's address and a key in the environment.
fn call(server: &Server, key: &str, args: &[&str]) -> Done {
    let mut command = command(args);
    for (name, value) in [
        ("AWS_ENDPOINT", server.url.as_str()),
        ("AWS_ACCESS_KEY_ID", key),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "eu-north-1"),
    ] {
        command.env(name, value);
    }
    Done::of(command.output().unwrap())
}

#[test]
fn a_bucket_is_input_and_output() {
    let work = Work::new(3, 6);
    let objects = Objects::default();
    upload(&objects, &work.path("pictures"), "set one");
    let server = bucket(&objects);
    let summary = run(&server, "key", "s3://fruit/set%20one", "s3://fruit/out", &[]).code(0).json();
    assert_eq!((&summary["images"], &summary["components"]), (&18.into(), &3.into()));
    let html =
        objects.lock().unwrap().get("out/report.html").map(|b| String::from_utf8_lossy(b).into_owned());
    let html = html.unwrap();
    assert!(html.contains("\"thumbs\":{") && html.contains("\"gazes\":{"), "pictures come from the bucket");
    assert!(objects.lock().unwrap().contains_key("out/figures/scree.png"));

    // What was written is what a folder gets, but for where the pictures came from.
    work.run("local", &["--components", "3", "--part-size", "7"]).code(0);
    for (name, content) in objects.lock().unwrap().iter().filter(|(name, _)| name.starts_with("out/")) {
        let file = work.path(&name.replacen("out", "remote", 1));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    for content in [Content::Features, Content::Components] {
        assert_close(&work.rows("local", content), &work.rows("remote", content), 1e-6);
    }
    assert!(work.path("remote/pipeline.safetensors").exists() && work.path("remote/summary.json").exists());

    // A part that got lost is done again, the others are not.
    objects.lock().unwrap().remove("out/features/part-00001.parquet").unwrap();
    let again = run(&server, "key", "s3://fruit/set%20one", "s3://fruit/out", &[]).code(0).json();
    assert_eq!((&again["images"], &again["images_this_start"]), (&18.into(), &7.into()));
}

#[test]
fn a_run_in_a_bucket_is_gone_on_with() {
    let work = Work::new(2, 8);
    let objects = Objects::default();
    upload(&objects, &work.path("pictures"), "set");
    let server = bucket(&objects);
    run(&server, "key", "s3://fruit/set", "s3://fruit/out", &["--no-report"]).code(0);
    let call = |args: &[&str]| call(&server, "key", args);
    let inspected = call(&["inspect", "s3://fruit/out", "--json"]).code(0).json();
    assert_eq!(inspected["summary"]["images"], 16);
    let artifact = call(&["inspect", "s3://fruit/out/pipeline.safetensors"]).code(0);
    assert!(artifact.out.starts_with("a fitted pipeline"), "{}", artifact.out);
    call(&["fit-classifier", "s3://fruit/out"]).code(0);
    let evaluated = call(&["evaluate", "s3://fruit/out", "--json"]).code(0).json();
    assert_eq!(evaluated["pictures"], 16);
    let pictures = work.arg("pictures");
    let predicted = call(&["predict", &pictures, "--model", "s3://fruit/out", "--csv"]).code(0);
    assert_eq!(predicted.out.lines().count(), 17);
    let placed = call(&["transform", &pictures, "--model", "s3://fruit/out/pipeline.safetensors"]).code(0);
    assert_eq!(placed.out.lines().count(), 17);

    // What isn't there is named.
    let missing = ["s3://fruit/none", "s3://fruit/none/pipeline.safetensors"];
    for model in missing {
        call(&["predict", &pictures, "--model", model]).code(1).says(&[model, "no such file"]);
        call(&["inspect", model]).code(1).says(&[model, "there is no"]);
    }
}

#[test]
fn buckets_that_are_not_there_or_closed() {
    let work = Work::new(1, 6);
    let objects = Objects::default();
    upload(&objects, &work.path("pictures"), "set");
    let server = bucket(&objects);
    let out = work.arg("out");
    run(&server, "key", "s3://vegetables/set", &out, &[]).code(1).says(&["vegetables", "bucket"]);
    run(&server, "wrong", "s3://fruit/set", &out, &[]).code(1).says(&["s3://fruit/set", "credentials"]);
    run(&server, "key", "s3://fruit/nothing", &out, &[]).code(1).says(&["nothing", "no pictures"]);
    let pictures = work.arg("pictures");
    run(&server, "wrong", &pictures, "s3://fruit/out", &[]).code(1).says(&["s3://fruit/out", "credentials"]);
    assert!(objects.lock().unwrap().keys().all(|key| key.starts_with("set/")));
}

#[test]
fn an_archive_on_a_web_server() {
    let work = Work::new(2, 6);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_dir_all("set", work.path("pictures")).unwrap();
    let archive = archive.into_inner().unwrap();
    let server = Server::start(move |request| match request.target.as_str() {
        "/fruit.tar" => Response::file(request, &archive),
        _ => Response::new(404, ""),
    });
    let summary =
        run(&server, "key", &format!("{}/fruit.tar", server.url), &work.arg("out"), &[]).code(0).json();
    assert_eq!((&summary["rows"], summary["classes"].as_object().unwrap().len()), (&12.into(), 2));
    assert!(fs::read_to_string(work.path("out/report.html")).unwrap().contains("\"thumbs\":{"));
    assert!(server.requests().iter().all(|r| r.method != "PUT"));
    let gone = run(&server, "key", &format!("{}/none.tar", server.url), &work.arg("other"), &[]);
    gone.code(1).says(&["none.tar"]);
}
