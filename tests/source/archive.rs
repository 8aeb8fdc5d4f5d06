use super::*;
use flate2::{Compression, write::GzEncoder};
use fruitcore::{
    ErrorKind,
    host::source::{Body, SourceOptions, open},
};
use object_store::{ObjectStoreExt, memory::InMemory, path::Path};
use std::{io::Write, sync::Arc};

fn add(builder: &mut tar::Builder<Vec<u8>>, name: &str, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    builder.append_data(&mut header, name, content).unwrap();
}

/// Two pictures, a long name, a name twice, a link, a folder, a text, and one too large.
fn sample() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_size(0);
    header.set_cksum();
    builder.append_data(&mut header, "Apple/", &b""[..]).unwrap();
    add(&mut builder, "./Apple/1 a.jpg", b"first");
    add(&mut builder, "Apple/notes.txt", b"no picture");
    add(&mut builder, &format!("Pear/{}.jpg", "long".repeat(60)), &[7; 1500]);
    add(&mut builder, "Apple/1 a.jpg", b"again");
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder.append_link(&mut header, "Apple/link.jpg", "1 a.jpg").unwrap();
    add(&mut builder, "Pear/large.jpg", &vec![1; 200_000]);
    builder.append_pax_extensions([("path", "Quitte/é.jpg".as_bytes())]).unwrap();
    add(&mut builder, "ignored.jpg", b"");
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn options() -> SourceOptions {
    let mut options = SourceOptions::default();
    options.max_bytes = 100_000;
    options
}

/// What both kinds of source must give for [`sample`].
fn check(source: &dyn Source, prefix: &str) {
    let (found, errors) = apart(on_runtime(items(source)));
    let long = format!("{prefix}Pear/{}.jpg", "long".repeat(60));
    let expected = [format!("{prefix}Apple/1 a.jpg"), long, format!("{prefix}Quitte/é.jpg")];
    assert_eq!(paths(&found), expected);
    assert_eq!(found[0].label.as_deref(), Some("Apple"));
    assert_eq!(found[1].size, 1500);
    assert_eq!(on_runtime(source.fetch(&found[0])).unwrap(), b"first".as_slice());
    assert_eq!(on_runtime(source.fetch(&found[1])).unwrap(), vec![7; 1500]);
    assert_eq!(on_runtime(source.fetch(&found[2])).unwrap(), b"".as_slice());
    let kinds: Vec<_> = errors.iter().map(|e| (e.kind(), e.object().unwrap().to_owned())).collect();
    let expected = [
        (ErrorKind::InvalidArgument, format!("{prefix}Apple/1 a.jpg")),
        (ErrorKind::Unsupported, format!("{prefix}Apple/link.jpg")),
        (ErrorKind::Limit, format!("{prefix}Pear/large.jpg")),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(source.skipped(), 1);
}

#[test]
fn local_archives() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("a.tar"), sample()).unwrap();
    std::fs::create_dir(path("sub")).unwrap();
    std::fs::write(path("sub/b.TGZ"), gzip(&sample())).unwrap();
    check(&*open(&path("a.tar"), &options()).unwrap(), "");
    check(&*open(&path("sub/b.TGZ"), &options()).unwrap(), "");
    check(&*open(&path("sub"), &options()).unwrap(), "sub/b.TGZ/".trim_start_matches("sub/"));
    // Plain archives are read in place, packed ones along with the listing.
    let body =
        |name: &str| on_runtime(items(&*open(&path(name), &options()).unwrap())).swap_remove(0).unwrap().body;
    assert!(matches!(body("a.tar"), Body::FileRange(..)));
    assert!(matches!(body("sub/b.TGZ"), Body::Inline(_)));

    let mut closed = options();
    closed.archives = false;
    let source = open(folder.path().to_str().unwrap(), &closed).unwrap();
    assert!(on_runtime(items(&*source)).is_empty());
}

#[test]
fn stored_archives() {
    let store = Arc::new(InMemory::new());
    let mut options = options();
    options.store = Some(store.clone());
    on_runtime(async {
        store.put(&Path::from("x/a.tar"), sample().into()).await.unwrap();
        store.put(&Path::from("y/b.tar.gz"), gzip(&sample()).into()).await.unwrap();
    });
    check(&*open("memory:///x/a.tar", &options).unwrap(), "");
    check(&*open("memory:///x", &options).unwrap(), "a.tar/");
    check(&*open("memory:///y/b.tar.gz", &options).unwrap(), "");
}

#[test]
fn cut_and_damaged_archives() {
    let whole = sample();
    let packed = gzip(&whole);
    let mut flipped = whole.clone();
    flipped[600] ^= 1;
    let store = Arc::new(InMemory::new());
    let mut options = options();
    options.store = Some(store.clone());
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("header.tar", whole[..1024 + 512 + 200].to_vec()),
        ("content.tar", whole[..whole.len() / 2].to_vec()),
        ("flipped.tar", flipped),
        ("cut.tar.gz", packed[..packed.len() / 2].to_vec()),
        ("not.tar.gz", b"this is no gzip".to_vec()),
        ("not.tar", vec![b'x'; 1024]),
    ];
    for (name, bytes) in cases {
        std::fs::write(folder.path().join(name), &bytes).unwrap();
        on_runtime(store.put(&Path::from(name), bytes.into())).unwrap();
        let local = open(folder.path().join(name).to_str().unwrap(), &SourceOptions::default()).unwrap();
        let stored = open(&format!("memory:///{name}"), &options).unwrap();
        for source in [local, stored] {
            let last = on_runtime(items(&*source)).pop().unwrap().expect_err(name);
            assert_eq!(last.kind(), ErrorKind::Corrupt, "{name}: {last}");
            assert!(last.object().is_some_and(|o| o.ends_with(name)), "{last}");
        }
    }
}

/// A member under a name that builders refuse to write.
fn add_raw(builder: &mut tar::Builder<Vec<u8>>, name: &str, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_size(content.len() as u64);
    header.set_cksum();
    builder.append(&header, content).unwrap();
}

#[test]
fn names_with_dots_for_parts() {
    let mut builder = tar::Builder::new(Vec::new());
    for name in ["../out.jpg", "Apple/../../out.png", "../notes.txt", "Apple/./1.jpg", "/Apple//2.jpg"] {
        add_raw(&mut builder, name, b"x");
    }
    let bytes = builder.into_inner().unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.tar"), &bytes).unwrap();
    std::fs::write(folder.path().join("b.tgz"), gzip(&bytes)).unwrap();
    let store = Arc::new(InMemory::new());
    let mut options = options();
    options.store = Some(store.clone());
    on_runtime(store.put(&Path::from("a.tar"), bytes.into())).unwrap();
    let local = |name: &str| open(folder.path().join(name).to_str().unwrap(), &options).unwrap();
    for source in [local("a.tar"), local("b.tgz"), open("memory:///a.tar", &options).unwrap()] {
        let (found, errors) = apart(on_runtime(items(&*source)));
        assert_eq!(paths(&found), ["Apple/1.jpg", "Apple/2.jpg"]);
        let named: Vec<_> = errors.iter().map(|e| (e.kind(), e.object().unwrap())).collect();
        let refused = |name| (ErrorKind::InvalidArgument, name);
        assert_eq!(named, [refused("../out.jpg"), refused("Apple/../../out.png")]);
        assert!(errors[0].message().contains("pack it under another name"), "{}", errors[0]);
        assert_eq!(source.skipped(), 1);
    }
}

#[test]
fn an_archive_need_not_end_in_zeros() {
    let mut builder = tar::Builder::new(Vec::new());
    add(&mut builder, "1.jpg", b"one");
    let bytes = builder.into_inner().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar");
    std::fs::write(&path, &bytes[..1024]).unwrap();
    let source = open(path.to_str().unwrap(), &SourceOptions::default()).unwrap();
    assert_eq!(paths(&on_runtime(objects(&*source))), ["1.jpg"]);
}
