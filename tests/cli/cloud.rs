//! Buckets and web servers as input and output, on loopback.

use super::{
    bucket::{Bucket, Dialect},
    server::{Response, Server},
    support::{Done, SMALL, Work, assert_close, command},
};
use fruitcore::host::sink::Content;
use std::fs;

fn is_input_and_output(dialect: Dialect) {
    let work = Work::new(3, 6);
    let bucket = Bucket::new(dialect, &work.path("pictures"), "set one");
    let (set, out) = (bucket.url("fruit/set%20one"), bucket.url("fruit/out"));
    let summary = bucket.run("key", &set, &out, &[]).code(0).json();
    assert_eq!((&summary["images"], &summary["components"]), (&18.into(), &3.into()));
    let html = bucket.objects().get("out/report.html").map(|b| String::from_utf8_lossy(b).into_owned());
    let html = html.unwrap();
    assert!(html.contains("\"thumbs\":{") && html.contains("\"gazes\":{"), "pictures come from the bucket");
    assert!(bucket.objects().contains_key("out/figures/scree.png"));

    // What was written is what a folder gets, but for where the pictures came from.
    work.run("local", &["--components", "3", "--part-size", "7"]).code(0);
    for (name, content) in bucket.objects().iter().filter(|(name, _)| name.starts_with("out/")) {
        let file = work.path(&name.replacen("out", "remote", 1));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    for content in [Content::Features, Content::Components] {
        assert_close(&work.rows("local", content), &work.rows("remote", content), 1e-6);
    }
    assert!(work.path("remote/pipeline.safetensors").exists() && work.path("remote/summary.json").exists());

    // A part that got lost is done again, the others are not.
    bucket.objects().remove("out/features/part-00001.parquet").unwrap();
    let again = bucket.run("key", &set, &out, &[]).code(0).json();
    assert_eq!((&again["images"], &again["images_this_start"]), (&18.into(), &7.into()));
}

#[test]
fn a_bucket_of_amazon_is_input_and_output() {
    is_input_and_output(Dialect::Amazon);
}

#[test]
fn a_bucket_of_google_is_input_and_output() {
    is_input_and_output(Dialect::Google);
}

#[test]
fn a_container_of_azure_is_input_and_output() {
    is_input_and_output(Dialect::Azure);
}

fn is_gone_on_with(dialect: Dialect) {
    let work = Work::new(2, 8);
    let bucket = Bucket::new(dialect, &work.path("pictures"), "set");
    let out = bucket.url("fruit/out");
    bucket.run("key", &bucket.url("fruit/set"), &out, &["--no-report"]).code(0);
    let call = |args: &[&str]| bucket.call("key", args);
    let inspected = call(&["inspect", &out, "--json"]).code(0).json();
    assert_eq!(inspected["summary"]["images"], 16);
    let file = bucket.url("fruit/out/pipeline.safetensors");
    let artifact = call(&["inspect", &file]).code(0);
    assert!(artifact.out.starts_with("a fitted pipeline"), "{}", artifact.out);
    call(&["fit-classifier", &out]).code(0);
    let evaluated = call(&["evaluate", &out, "--json"]).code(0).json();
    assert_eq!(evaluated["pictures"], 16);
    let pictures = work.arg("pictures");
    let predicted = call(&["predict", &pictures, "--model", &out, "--csv"]).code(0);
    assert_eq!(predicted.out.lines().count(), 17);
    let placed = call(&["transform", &pictures, "--model", &file]).code(0);
    assert_eq!(placed.out.lines().count(), 17);

    // What isn't there is named.
    for missing in ["fruit/none", "fruit/none/pipeline.safetensors"] {
        let model = &*bucket.url(missing);
        call(&["predict", &pictures, "--model", model]).code(1).says(&[model, "no such file"]);
        call(&["inspect", model]).code(1).says(&[model, "there is no"]);
    }
}

#[test]
fn a_run_in_a_bucket_of_amazon_is_gone_on_with() {
    is_gone_on_with(Dialect::Amazon);
}

#[test]
fn a_run_in_a_bucket_of_google_is_gone_on_with() {
    is_gone_on_with(Dialect::Google);
}

#[test]
fn a_run_in_a_container_of_azure_is_gone_on_with() {
    is_gone_on_with(Dialect::Azure);
}

/// A report's figures are pictures, too.
#[test]
fn an_output_inside_the_input_is_none_of_its_pictures() {
    let work = Work::new(2, 6);
    let bucket = Bucket::new(Dialect::Amazon, &work.path("pictures"), "set one");
    let (set, out) = (bucket.url("fruit/set%20one"), bucket.url("fruit/set%20one/out put"));
    bucket.run("key", &set, &out, &[]).code(0);
    assert!(bucket.objects().contains_key("set one/out put/figures/scree.png"));
    let again = bucket.run("key", &set, &out, &[]).code(0).json();
    assert_eq!((&again["images"], &again["images_this_start"]), (&12.into(), &0.into()));
    bucket.run("key", &set, &set, &[]).code(2).says(&["the output is the input"]);
}

fn is_not_there_or_closed(dialect: Dialect, advice: &str) {
    let work = Work::new(1, 6);
    let bucket = Bucket::new(dialect, &work.path("pictures"), "set");
    let (out, set, into) = (work.arg("out"), bucket.url("fruit/set"), bucket.url("fruit/out"));
    bucket.run("key", &bucket.url("vegetables/set"), &out, &[]).code(1).says(&["vegetables", "bucket"]);
    bucket.run("wrong", &set, &out, &[]).code(1).says(&[&set, "credentials", advice]);
    bucket.run("key", &bucket.url("fruit/nothing"), &out, &[]).code(1).says(&["nothing", "no pictures"]);
    bucket.run("wrong", &work.arg("pictures"), &into, &[]).code(1).says(&[&into, "credentials", advice]);
    assert!(bucket.objects().keys().all(|key| key.starts_with("set/")));
}

#[test]
fn buckets_of_amazon_that_are_not_there_or_closed() {
    is_not_there_or_closed(Dialect::Amazon, "AWS_ACCESS_KEY_ID");
}

#[test]
fn buckets_of_google_that_are_not_there_or_closed() {
    is_not_there_or_closed(Dialect::Google, "GOOGLE_");
}

#[test]
fn containers_of_azure_that_are_not_there_or_closed() {
    is_not_there_or_closed(Dialect::Azure, "AZURE_STORAGE_ACCOUNT_KEY");
}

#[test]
fn an_account_that_nobody_named() {
    let work = Work::new(1, 6);
    let (pictures, out) = (work.arg("pictures"), work.arg("out"));
    for (input, output) in [("az://fruit/set", &*out), (&*pictures, "az://fruit/out")] {
        let mut args = vec!["run", input, "--output", output];
        args.extend(SMALL);
        let mut command = command(&args);
        command.env_remove("AZURE_STORAGE_ACCOUNT_NAME");
        let done = Done::of(command.output().unwrap()).code(1);
        assert!(!done.err.contains("try again later"), "{}", done.err);
        done.says(&["az://fruit/", "credentials are missing", "AZURE_STORAGE_ACCOUNT_NAME"]);
    }
}

#[test]
fn a_bucket_in_another_region() {
    let work = Work::new(1, 6);
    let bucket = Bucket::new(Dialect::Amazon, &work.path("pictures"), "set");
    let (pictures, out, set, into) =
        (work.arg("pictures"), work.arg("out"), bucket.url("fruit/set"), bucket.url("fruit/out"));
    for (input, output, named) in [(&set, &out, &set), (&pictures, &into, &into)] {
        let mut args = vec!["run", input, "--output", output];
        args.extend(SMALL);
        let elsewhere = [("AWS_REGION", "us-east-1")];
        bucket.call_with("key", &args, &elsewhere).code(1).says(&[named, "another region", "AWS_REGION"]);
    }
    assert!(bucket.objects().keys().all(|key| key.starts_with("set/")));
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
    let run = |name: &str, output: &str| {
        let (input, output) = (format!("{}/{name}", server.url), work.arg(output));
        let mut args = vec!["run", &*input, "--output", &*output, "--components", "3", "--json"];
        args.extend(SMALL);
        Done::of(command(&args).output().unwrap())
    };
    let summary = run("fruit.tar", "out").code(0).json();
    assert_eq!((&summary["rows"], summary["classes"].as_object().unwrap().len()), (&12.into(), 2));
    assert!(fs::read_to_string(work.path("out/report.html")).unwrap().contains("\"thumbs\":{"));
    assert!(server.requests().iter().all(|r| r.method != "PUT"));
    run("none.tar", "other").code(1).says(&["none.tar"]);
}
