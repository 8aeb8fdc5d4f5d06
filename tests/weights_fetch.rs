//! Fetching published weights, against a server on loopback.
#![cfg(feature = "http")]

#[path = "support/server.rs"]
mod server;

use core::ops::ControlFlow;
use fruitcore::host::weights::{Cache, Digest, Entry, Progress, Proof, find};
use fruitcore::{ErrorKind, Result};
use server::{Server, ok, partial, range_start, respond};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::path::PathBuf;

const ETAG: &str = "etag: \"one\"\r\n";

/// Something like a checkpoint: bytes that don't repeat.
fn body() -> Vec<u8> {
    (0..300_000u32).flat_map(|i| (i.wrapping_mul(2_654_435_761)).to_le_bytes()).collect()
}

fn sha256(bytes: &[u8]) -> &'static str {
    let hex: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    Box::leak(hex.into_boxed_str())
}

/// A published entry with the digest of `bytes`.
fn entry(bytes: &[u8]) -> &'static Entry {
    let mut entry = *find("mobilenet-v2-v1").unwrap();
    entry.digest = Digest::Sha256(sha256(bytes));
    Box::leak(Box::new(entry))
}

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

struct Place {
    folder: tempfile::TempDir,
    cache: Cache,
}

impl Place {
    fn new(base: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path()).with_mirror(base);
        Self { folder, cache }
    }

    fn fetch(&self, entry: &'static Entry) -> Result<PathBuf> {
        self.cache.fetch(entry, &mut go_on)
    }

    fn part(&self, entry: &Entry) -> PathBuf {
        self.folder.path().join("weights").join(format!("{}.part", entry.file_name()))
    }
}

#[test]
fn a_whole_file_is_fetched_once_and_verified_each_time() {
    let body = body();
    let entry = entry(&body);
    let server = Server::start({
        let body = body.clone();
        move |_, _| ok(&body, ETAG)
    });
    let place = Place::new(&server.base());
    let mut seen = Vec::new();
    let path = place
        .cache
        .fetch(entry, &mut |p| {
            seen.push((p.received, p.total));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(fs::read(&path).unwrap(), body);
    assert_eq!(path, place.cache.path(entry));
    assert_eq!(seen.last(), Some(&(body.len() as u64, Some(body.len() as u64))));
    assert!(seen.is_sorted());
    assert!(!place.part(entry).exists());
    assert_eq!(place.cache.verify(entry).unwrap().proof, Proof::Sha256);

    place.fetch(entry).unwrap();
    assert_eq!(server.count(), 1);
    // A file that was damaged afterwards is not used.
    let mut damaged = body;
    damaged[7] ^= 1;
    fs::write(&path, &damaged).unwrap();
    let error = place.fetch(entry).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Checksum);
    assert!(error.message().contains("delete"), "{error}");
}

#[test]
fn a_wrong_digest_leaves_nothing() {
    let server = Server::start(|_, _| ok(b"<html>please log in</html>", ""));
    let place = Place::new(&server.base());
    let entry = entry(&body());
    let error = place.fetch(entry).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Checksum, "{error}");
    assert!(!place.cache.path(entry).exists());
    assert!(!place.part(entry).exists());
}

#[test]
fn a_published_md5_is_compared_and_named_as_such() {
    let mut entry = *find("keras-resnet50-notop").unwrap();
    entry.digest = Digest::Md5("900150983cd24fb0d6963f7d28e17f72"); // RFC 1321: "abc"
    let entry: &'static Entry = Box::leak(Box::new(entry));
    let server = Server::start(|_, n| ok(if n == 0 { b"abd" } else { b"abc" }, ""));
    let place = Place::new(&server.base());
    assert_eq!(place.fetch(entry).unwrap_err().kind(), ErrorKind::Checksum);
    place.fetch(entry).unwrap();
    let verified = place.cache.verify(entry).unwrap();
    assert_eq!(verified.proof, Proof::Md5);
    assert!(verified.to_string().contains("MD5"), "{verified}");
}

#[test]
fn a_cut_connection_goes_on_where_it_ended() {
    let body = body();
    let entry = entry(&body);
    let half = body.len() / 2;
    let server = Server::start({
        let body = body.clone();
        move |request, n| match (n, range_start(request)) {
            (0, None) => {
                let mut cut = ok(&body, ETAG);
                cut.truncate(cut.len() - (body.len() - half));
                cut
            }
            (_, Some(start)) => partial(&body, start, ETAG),
            (_, None) => respond("500 Unexpected", "", b""),
        }
    });
    let place = Place::new(&server.base());
    assert_eq!(fs::read(place.fetch(entry).unwrap()).unwrap(), body);
    assert_eq!(server.count(), 2);
    let range = server.header(1, "range").unwrap();
    let start: usize = range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap();
    assert!(start > 0 && start <= half, "{range}");
    assert_eq!(server.header(1, "if-range").as_deref(), Some("\"one\""));
}

#[test]
fn what_arrived_before_giving_up_is_kept_for_the_next_run() {
    let body = body();
    let entry = entry(&body);
    let third = body.len() / 3;
    let server = Server::start({
        let body = body.clone();
        move |request, n| match range_start(request) {
            None => ok(&body, ETAG)[..third].to_vec(),
            Some(start) if n > 5 => partial(&body, start, ETAG),
            Some(_) => Vec::new(),
        }
    });
    let place = Place::new(&server.base());
    let error = place.fetch(entry).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    let kept = fs::metadata(place.part(entry)).unwrap().len();
    assert!(kept > 0);
    assert!(error.message().contains(&format!("{kept} bytes are kept")), "{error}");
    assert!(!place.cache.path(entry).exists());
    let mut first = None;
    let path = place
        .cache
        .fetch(entry, &mut |p| {
            first.get_or_insert(p.received);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(first, Some(kept));
    assert_eq!(fs::read(path).unwrap(), body);
}

#[test]
fn a_server_that_ignores_ranges_sends_it_all_again() {
    let body = body();
    let entry = entry(&body);
    let server = Server::start({
        let body = body.clone();
        move |_, n| {
            let whole = ok(&body, "");
            if n == 0 { whole[..whole.len() / 2].to_vec() } else { whole }
        }
    });
    let place = Place::new(&server.base());
    assert_eq!(fs::read(place.fetch(entry).unwrap()).unwrap(), body);
    assert!(server.header(1, "range").is_some());
}

#[test]
fn a_file_that_changed_meanwhile_is_fetched_from_the_start() {
    // The server has no validators and joins two different files: the digest finds it.
    let body = body();
    let entry = entry(&body);
    let server = Server::start({
        let body = body.clone();
        move |request, _| match range_start(request) {
            Some(start) => partial(&body, start, ""),
            None => ok(&body, ""),
        }
    });
    let place = Place::new(&server.base());
    fs::create_dir_all(place.part(entry).parent().unwrap()).unwrap();
    fs::write(place.part(entry), b"the beginning of an older file").unwrap();
    assert_eq!(fs::read(place.fetch(entry).unwrap()).unwrap(), body);
    assert_eq!(server.count(), 2);
    assert_eq!(server.header(1, "range"), None);
}

#[test]
fn a_part_that_is_already_whole_is_only_verified() {
    let body = body();
    let entry = entry(&body);
    let n = body.len();
    let server = Server::start(move |_, _| {
        respond(
            "416 Range Not Satisfiable",
            &format!("content-range: bytes */{n}\r\ncontent-length: 0\r\n"),
            b"",
        )
    });
    let place = Place::new(&server.base());
    fs::create_dir_all(place.part(entry).parent().unwrap()).unwrap();
    fs::write(place.part(entry), &body).unwrap();
    assert_eq!(fs::read(place.fetch(entry).unwrap()).unwrap(), body);
}

#[test]
fn answers_and_silence_become_errors_with_a_remedy() {
    let entry = entry(&body());
    for (status, kind) in
        [("404 Not Found", ErrorKind::NotFound), ("403 Forbidden", ErrorKind::PermissionDenied)]
    {
        let server = Server::start(move |_, _| respond(status, "content-length: 0\r\n", b""));
        let place = Place::new(&server.base());
        let error = place.fetch(entry).unwrap_err();
        assert_eq!((error.kind(), error.object()), (kind, Some(entry.name)), "{error}");
        assert!(error.message().contains(&place.cache.path(entry).display().to_string()), "{error}");
        assert_eq!(server.count(), 1);
    }
    // Nobody listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let place = Place::new(&format!("http://{free}"));
    let error = place.fetch(entry).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    for part in [place.cache.url(entry), place.cache.path(entry).display().to_string(), "put it at".into()] {
        assert!(error.message().contains(&part), "{error}");
    }
    // Put there by hand, it is taken without a network.
    let body = body();
    fs::create_dir_all(place.cache.path(entry).parent().unwrap()).unwrap();
    fs::write(place.cache.path(entry), &body).unwrap();
    place.fetch(entry).unwrap();
}

#[test]
fn stopping_keeps_what_arrived() {
    let body = body();
    let entry = entry(&body);
    let server = Server::start({
        let body = body.clone();
        move |request, _| match range_start(request) {
            Some(start) => partial(&body, start, ETAG),
            None => ok(&body, ETAG),
        }
    });
    let place = Place::new(&server.base());
    let stop = |p: Progress| if p.received > 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let error = place.cache.fetch(entry, &mut { stop }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert!(fs::metadata(place.part(entry)).unwrap().len() > 0);
    assert_eq!(fs::read(place.fetch(entry).unwrap()).unwrap(), body);
}

#[test]
fn without_a_published_digest_a_later_change_shows() {
    let entry = find("timm-resnet50-a1").unwrap();
    assert_eq!(entry.digest, Digest::Unknown);
    let server = Server::start(|_, _| ok(b"weights", ""));
    let place = Place::new(&server.base());
    let path = place.fetch(entry).unwrap();
    let verified = place.cache.verify(entry).unwrap();
    assert_eq!(verified.proof, Proof::Recorded);
    assert!(verified.to_string().contains("not verified"), "{verified}");
    fs::write(&path, b"others").unwrap();
    assert_eq!(place.fetch(entry).unwrap_err().kind(), ErrorKind::Checksum);
    // A file of no published name and digest is hashed, and called what it is.
    let other = place.folder.path().join("mine.pth");
    fs::write(&other, b"abc").unwrap();
    let verified = place.cache.verify_file(&other).unwrap();
    assert_eq!((verified.proof, verified.sha256.as_str()), (Proof::None, sha256(b"abc")));
    assert!(verified.to_string().contains("not verified"));
    // One with a published name and other bytes is an error.
    let posing = place.folder.path().join("resnet50-0676ba61.pth");
    fs::write(&posing, b"abc").unwrap();
    assert_eq!(place.cache.verify_file(&posing).unwrap_err().kind(), ErrorKind::Checksum);
    let absent = place.cache.verify(find("vgg16-v1").unwrap()).unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::NotFound);
}

#[test]
fn two_programs_at_once_fetch_it_once() {
    let body = body();
    let entry = entry(&body);
    let server = Server::start({
        let body = body.clone();
        move |_, _| {
            std::thread::sleep(core::time::Duration::from_millis(200));
            ok(&body, "")
        }
    });
    let place = Place::new(&server.base());
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..3).map(|_| scope.spawn(|| place.fetch(entry).unwrap())).collect();
        for run in runs {
            assert_eq!(fs::read(run.join().unwrap()).unwrap(), body);
        }
    });
    assert_eq!(server.count(), 1);
}
