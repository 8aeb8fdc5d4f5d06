//! A bucket on loopback that speaks as Amazon's, Google's or Azure's do.

use super::{
    server::{Request, Response, Server},
    support::{Done, SMALL, command, files},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

/// Key and content.
type Objects = BTreeMap<String, Vec<u8>>;

#[derive(Clone, Copy)]
pub(super) enum Dialect {
    /// Requests signed with a key, for a region.
    Amazon,
    /// Requests with a token that the machine's metadata service gives out; every object has a generation.
    Google,
    /// Requests with a token; a container of an account.
    Azure,
}

/// Where Amazon's bucket lies.
const REGION: &str = "eu-north-1";

/// The bucket `fruit`, for whoever has the right key.
pub(super) struct Bucket {
    server: Server,
    dialect: Dialect,
    objects: Arc<Mutex<Objects>>,
}

impl Bucket {
    /// With the pictures of `folder` under `prefix`.
    pub(super) fn new(dialect: Dialect, folder: &Path, prefix: &str) -> Self {
        let mut objects = Objects::new();
        for file in files(folder).iter().flat_map(|kind| files(kind)) {
            let name = file.strip_prefix(folder).unwrap().to_str().unwrap();
            objects.insert(format!("{prefix}/{name}"), fs::read(&file).unwrap());
        }
        let objects = Arc::new(Mutex::new(objects));
        let held = objects.clone();
        let server = Server::start(move |request| dialect.respond(request, &mut held.lock().unwrap()));
        Self { server, dialect, objects }
    }

    pub(super) fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap()
    }

    /// What users write for `path` in the bucket.
    pub(super) fn url(&self, path: &str) -> String {
        match self.dialect {
            Dialect::Amazon => format!("s3://{path}"),
            Dialect::Google => format!("gs://{path}"),
            Dialect::Azure => format!("az://{path}"),
        }
    }

    pub(super) fn run(&self, key: &str, input: &str, output: &str, more: &[&str]) -> Done {
        let mut args = vec!["run", input, "--output", output];
        args.extend(["--components", "3", "--part-size", "7", "--json"]);
        args.extend(SMALL);
        args.extend(more);
        self.call(key, &args)
    }

    /// The program with the bucket's address and a key in the environment.
    pub(super) fn call(&self, key: &str, args: &[&str]) -> Done {
        self.call_with(key, args, &[])
    }

    /// With more in the environment, or something else.
    pub(super) fn call_with(&self, key: &str, args: &[&str], more: &[(&str, &str)]) -> Done {
        let url = self.server.url.as_str();
        let service = format!("{}/{key}", url.trim_start_matches("http://"));
        let environment = match self.dialect {
            Dialect::Amazon => vec![
                ("AWS_ENDPOINT", url),
                ("AWS_ACCESS_KEY_ID", key),
                ("AWS_SECRET_ACCESS_KEY", "secret"),
                ("AWS_REGION", REGION),
            ],
            // No file of credentials lies in an empty home; no other service is asked.
            Dialect::Google => vec![
                ("GOOGLE_BASE_URL", url),
                ("GCE_METADATA_HOST", &service),
                ("GCE_METADATA_IP", &service),
                ("HOME", "/nonexistent"),
            ],
            Dialect::Azure => vec![
                ("AZURE_STORAGE_ENDPOINT", url),
                ("AZURE_STORAGE_ACCOUNT_NAME", "orchard"),
                ("AZURE_STORAGE_TOKEN", key),
            ],
        };
        let mut command = command(args);
        command.envs(environment).envs(more.iter().copied());
        Done::of(command.output().unwrap())
    }
}

impl Dialect {
    fn respond(self, request: &Request, objects: &mut Objects) -> Response {
        if let (Self::Google, Some(response)) = (self, token(request)) {
            return response;
        }
        let error = |status, code: &str| Response::new(status, format!("<Error><Code>{code}</Code></Error>"));
        let (proof, status, refusal) = match self {
            Self::Amazon => ("Credential=key/", 403, "InvalidAccessKeyId"),
            Self::Google => ("Bearer key", 401, "AuthenticationRequired"),
            Self::Azure => ("Bearer key", 403, "AuthenticationFailed"),
        };
        let shown = request.headers.get("authorization").map_or("", String::as_str);
        if !shown.contains(proof) {
            return error(status, refusal);
        }
        if matches!(self, Self::Amazon) && !shown.contains(&format!("/{REGION}/s3/")) {
            return error(400, "AuthorizationHeaderMalformed");
        }
        // In a query `+` is a space.
        let target = match request.target.split_once('?') {
            Some((path, query)) => decoded(&format!("{path}?{}", query.replace('+', " "))),
            None => decoded(&request.target),
        };
        let Some(target) = target.strip_prefix("/fruit") else {
            let missing = if let Self::Azure = self { "ContainerNotFound" } else { "NoSuchBucket" };
            return error(404, missing);
        };
        let mut response = answer(self, request, target, objects);
        if let Self::Google = self {
            response.headers.push(("x-goog-generation".to_owned(), "1".to_owned()));
        }
        response
    }
}

/// Google's metadata service: the token is whatever the address begins with.
fn token(request: &Request) -> Option<Response> {
    let path = request.target.split_once('?').map_or(&*request.target, |(path, _)| path);
    let (key, rest) = path.trim_start_matches('/').split_once('/')?;
    let asked = rest == "computeMetadata/v1/instance/service-accounts/default/token";
    let flavour = request.headers.get("metadata-flavor").is_some_and(|f| f == "Google");
    let body = format!(r#"{{"access_token":"{key}","expires_in":3600,"token_type":"Bearer"}}"#);
    (asked && flavour).then(|| Response::new(200, body))
}

fn answer(dialect: Dialect, request: &Request, target: &str, objects: &mut Objects) -> Response {
    let etag = ("etag".to_owned(), "\"v\"".to_owned());
    match (request.method.as_str(), target.split_once('?')) {
        ("GET", Some((_, query))) => {
            let (objects, folders) = listed(query, objects);
            match dialect {
                Dialect::Azure => blobs(&objects, &folders),
                _ => contents(&objects, &folders),
            }
        }
        ("PUT", None) => {
            let kind = request.headers.get("x-ms-blob-type").map(String::as_str);
            assert_eq!(kind, matches!(dialect, Dialect::Azure).then_some("BlockBlob"));
            objects.insert(target[1..].to_owned(), request.body.clone());
            let date = ("last-modified".to_owned(), "Mon, 01 Jan 2024 00:00:00 GMT".to_owned());
            Response { headers: vec![etag, date], ..Response::new(201, "") }
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

/// Keys and sizes under a query's prefix, and the folders there if it asks for one level; all on one page.
fn listed<'a>(query: &str, objects: &'a Objects) -> (Vec<(&'a str, usize)>, BTreeSet<String>) {
    let value = |name: &str| {
        let mut pairs = query.split('&').filter_map(|p| p.split_once('='));
        pairs.find_map(|(k, v)| (k == name).then_some(v)).unwrap_or_default()
    };
    let (prefix, delimiter) = (value("prefix"), value("delimiter"));
    let (mut found, mut folders) = (Vec::new(), BTreeSet::new());
    for (key, content) in objects.iter().filter(|(key, _)| key.starts_with(prefix)) {
        match key[prefix.len()..].split_once('/') {
            Some((folder, _)) if !delimiter.is_empty() => drop(folders.insert(format!("{prefix}{folder}/"))),
            _ => found.push((key.as_str(), content.len())),
        }
    }
    (found, folders)
}

/// ListObjectsV2, which Google answers, too.
fn contents(objects: &[(&str, usize)], folders: &BTreeSet<String>) -> Response {
    let mut body = String::from("<ListBucketResult>");
    for (key, size) in objects {
        body += &format!(
            "<Contents><Key>{key}</Key><Size>{size}</Size><ETag>\"v\"</ETag>\
             <LastModified>2024-01-01T00:00:00.000Z</LastModified></Contents>"
        );
    }
    for folder in folders {
        body += &format!("<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>");
    }
    Response::new(200, body + "</ListBucketResult>")
}

/// Azure's List Blobs.
fn blobs(objects: &[(&str, usize)], folders: &BTreeSet<String>) -> Response {
    let mut body = String::from("<EnumerationResults><Blobs>");
    for (key, size) in objects {
        body += &format!(
            "<Blob><Name>{key}</Name><Properties><Last-Modified>Mon, 01 Jan 2024 00:00:00 GMT</Last-Modified>\
             <Content-Length>{size}</Content-Length><Content-Type>image/jpeg</Content-Type><Etag>v</Etag>\
             </Properties></Blob>"
        );
    }
    for folder in folders {
        body += &format!("<BlobPrefix><Name>{folder}</Name></BlobPrefix>");
    }
    Response::new(200, body + "</Blobs><NextMarker/></EnumerationResults>")
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
