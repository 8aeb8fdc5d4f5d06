use super::*;
use fruitcore::{
    ErrorKind, Stage,
    host::source::{LabelRule, SourceOptions, nothing_found, open},
};
use std::{fs, path::Path};

fn folder(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    folder
}

fn source(path: &Path, options: &SourceOptions) -> Box<dyn Source> {
    open(path.to_str().unwrap(), options).unwrap()
}

#[test]
fn order_is_that_of_whole_paths() {
    // `a b/` and `a-/` come before `a/`, since space and `-` are smaller than `/`.
    let files =
        ["b.jpg", "a/2.jpg", "a/10.jpg", "a/1.jpg", "a b/1.jpg", "a-/1.jpg", "a.jpg", "Z/1.png", "é/1.jpg"];
    let folder = folder(&files);
    let mut sorted = files;
    sorted.sort_unstable();
    let source = source(folder.path(), &SourceOptions::default());
    let found = on_runtime(objects(&*source));
    assert_eq!(paths(&found), sorted);
    // Again, and without a runtime.
    assert_eq!(paths(&futures::executor::block_on(objects(&*source))), sorted);
    for object in &found {
        assert_eq!(on_runtime(source.fetch(object)).unwrap(), object.path.as_bytes());
        assert_eq!(object.size, object.path.len() as u64);
        assert!(object.version.is_some());
    }
}

#[test]
fn labels_filters_and_the_count_of_the_rest() {
    let folder = folder(&[
        "train/Apple/1.jpg",
        "train/Apple/1.txt",
        "train/Pear/1.JPEG",
        "train/Pear/.DS_Store",
        "train/.hidden/1.jpg",
        "top.png",
    ]);
    let mut options = SourceOptions::default();
    let plain = source(folder.path(), &options);
    let found = on_runtime(objects(&*plain));
    let labels: Vec<_> = found.iter().map(|o| o.label.as_deref()).collect();
    assert_eq!(paths(&found), ["top.png", "train/Apple/1.jpg", "train/Pear/1.JPEG"]);
    assert_eq!(labels, [None, Some("Apple"), Some("Pear")]);
    assert_eq!(plain.skipped(), 2, "1.txt and .DS_Store");

    options.labels = "segment:0".parse().unwrap();
    options.include = vec!["train/**".into()];
    options.exclude = vec!["Pear".into()];
    let found = on_runtime(objects(&*source(folder.path(), &options)));
    assert_eq!(paths(&found), ["train/Apple/1.jpg", "train/Apple/1.txt"]);
    assert!(found.iter().all(|o| o.label.as_deref() == Some("train")));

    options.hidden = true;
    options.labels = LabelRule::None;
    let found = on_runtime(objects(&*source(folder.path(), &options)));
    assert_eq!(paths(&found)[0], "train/.hidden/1.jpg");
}

#[test]
fn a_table_gives_labels() {
    let folder = folder(&["a, b/\"1\".jpg", "c.jpg"]);
    fs::write(folder.path().join("labels.csv"), "path,label\n\"a, b/\"\"1\"\".jpg\",\"Pear, green\"\n")
        .unwrap();
    let mut options = SourceOptions::default();
    options.labels = LabelRule::csv(folder.path().join("labels.csv")).unwrap();
    let found = on_runtime(objects(&*source(folder.path(), &options)));
    let labels: Vec<_> = found.iter().map(|o| o.label.as_deref()).collect();
    assert_eq!(labels, [Some("Pear, green"), None]);
    assert_eq!(LabelRule::csv("/no/such/table.csv").unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn names_stay_exact() {
    let names = [
        "a b.jpg",
        "\"quoted\" 'twice'.jpg",
        "line\nbreak.jpg",
        "back\\slash.jpg",
        "100%25.jpg",
        "#?&*[].jpg",
    ];
    let folder = folder(&names);
    let source = source(folder.path(), &SourceOptions::default());
    let found = on_runtime(objects(&*source));
    let mut sorted = names;
    sorted.sort_unstable();
    assert_eq!(paths(&found), sorted);
    for object in &found {
        assert_eq!(on_runtime(source.fetch(object)).unwrap(), object.path.as_bytes());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_utf8_are_unique_and_readable() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let folder = folder(&[r"\xe4pfel/1.jpg"]);
    let odd = folder.path().join(OsStr::from_bytes(b"\xe4pfel"));
    fs::create_dir(&odd).unwrap();
    fs::write(odd.join("1.jpg"), b"odd").unwrap();
    let source = source(folder.path(), &SourceOptions::default());
    let found = on_runtime(objects(&*source));
    assert_eq!(paths(&found), [r"\x5cxe4pfel/1.jpg", r"\xe4pfel/1.jpg"]);
    assert_eq!(found[1].label.as_deref(), Some(r"\xe4pfel"));
    assert_eq!(on_runtime(source.fetch(&found[1])).unwrap(), b"odd".as_slice());
}

#[test]
fn one_picture_and_two_of_one_name() {
    let folder = folder(&["a/1.jpg", "b/1.jpg"]);
    let all = source(folder.path(), &SourceOptions::default());
    assert_eq!(paths(&on_runtime(objects(&*all))), ["a/1.jpg", "b/1.jpg"]);
    let one = source(&folder.path().join("a/1.jpg"), &SourceOptions::default());
    let found = on_runtime(objects(&*one));
    assert_eq!((paths(&found), found[0].label.as_deref()), (vec!["1.jpg"], None));
    assert_eq!(on_runtime(one.fetch(&found[0])).unwrap(), b"a/1.jpg".as_slice());
    let url = format!("file://{}", folder.path().display());
    assert_eq!(on_runtime(objects(&*open(&url, &SourceOptions::default()).unwrap())).len(), 2);
}

#[test]
fn what_a_run_wrote_is_not_entered() {
    let folder = folder(&["a/1.jpg", "out/.fruitcore/1-of-1.lock", "out/figures/scree.png", "out/1.jpg"]);
    let found = |path: &Path| {
        let source = source(path, &SourceOptions::default());
        on_runtime(objects(&*source)).into_iter().map(|o| o.path).collect::<Vec<_>>()
    };
    assert_eq!(found(folder.path()), ["a/1.jpg"]);
    // Unless it is asked for.
    assert_eq!(found(&folder.path().join("out")), ["1.jpg", "figures/scree.png"]);
}

#[test]
fn two_listings_at_once_count_for_themselves() {
    let folder = folder(&["a/1.jpg", "a/1.txt", "b/2.heic", "b/3.jpg"]);
    let source = source(folder.path(), &SourceOptions::default());
    let (all, one) = on_runtime(async {
        let (mut first, second) = (source.list(), source.list());
        let one = first.next().await;
        (second.count().await, one)
    });
    assert!(all == 2 && one.is_some_and(|o| o.is_ok()));
    assert_eq!(source.skipped(), 2);
}

#[test]
fn nothing_to_find() {
    let empty = folder(&[]);
    let source = source(empty.path(), &SourceOptions::default());
    assert!(on_runtime(items(&*source)).is_empty());
    let error = nothing_found(&source.describe(), source.skipped());
    assert_eq!(error.kind(), ErrorKind::Insufficient);
    let missing = open("/no/such/folder", &SourceOptions::default()).err().unwrap();
    assert_eq!((missing.kind(), missing.stage()), (ErrorKind::NotFound, Stage::Source));
    assert_eq!(missing.object(), Some("/no/such/folder"));
}

#[test]
fn sizes_and_changes_after_listing() {
    let folder = folder(&["gone.jpg", "grown.jpg"]);
    let mut options = SourceOptions::default();
    options.max_bytes = 100;
    let source = source(folder.path(), &options);
    let found = on_runtime(objects(&*source));
    fs::remove_file(folder.path().join("gone.jpg")).unwrap();
    fs::write(folder.path().join("grown.jpg"), [0; 101]).unwrap();
    let gone = on_runtime(source.fetch(&found[0])).unwrap_err();
    assert_eq!((gone.kind(), gone.object()), (ErrorKind::NotFound, Some("gone.jpg")));
    let grown = on_runtime(source.fetch(&found[1])).unwrap_err();
    assert_eq!((grown.kind(), grown.object()), (ErrorKind::Limit, Some("grown.jpg")));
}

#[cfg(unix)]
#[test]
fn links_are_followed_but_not_in_circles() {
    use std::os::unix::fs::symlink;
    let folder = folder(&["a/1.jpg", "other/2.jpg"]);
    let root = folder.path();
    symlink("../other", root.join("a/linked")).unwrap();
    symlink("../a", root.join("other/up")).unwrap();
    symlink(".", root.join("self")).unwrap();
    symlink("1.jpg", root.join("a/link.jpg")).unwrap();
    symlink("nowhere.jpg", root.join("a/broken.jpg")).unwrap();
    symlink("nowhere", root.join("a/broken-other")).unwrap();
    let source = source(root, &SourceOptions::default());
    let (found, errors) = apart(on_runtime(items(&*source)));
    let expected =
        ["a/1.jpg", "a/link.jpg", "a/linked/2.jpg", "other/2.jpg", "other/up/1.jpg", "other/up/link.jpg"];
    assert_eq!(paths(&found), expected);
    let at: Vec<_> = errors.iter().map(|e| (e.kind(), e.object().unwrap())).collect();
    assert_eq!(
        at,
        [
            (ErrorKind::NotFound, "a/broken.jpg"),
            (ErrorKind::InvalidArgument, "a/linked/up"),
            (ErrorKind::NotFound, "other/up/broken.jpg"),
            (ErrorKind::InvalidArgument, "other/up/linked"),
            (ErrorKind::InvalidArgument, "self"),
        ]
    );
}

#[cfg(unix)]
#[test]
fn without_permission_the_rest_is_listed() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder(&["a/1.jpg", "closed/1.jpg", "file.jpg"]);
    let close = |name: &str, mode| {
        fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    close("closed", 0o000);
    close("file.jpg", 0o000);
    let source = source(folder.path(), &SourceOptions::default());
    let (found, errors) = apart(on_runtime(items(&*source)));
    if fs::read_dir(folder.path().join("closed")).is_ok() {
        println!("this user may read everything: refusal not tested");
        assert_eq!(found.len(), 3);
    } else {
        assert_eq!(paths(&found), ["a/1.jpg", "file.jpg"]);
        assert_eq!((errors[0].kind(), errors[0].object()), (ErrorKind::PermissionDenied, Some("closed")));
        let refused = on_runtime(source.fetch(&found[1])).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    }
    close("closed", 0o700);
}

#[cfg(unix)]
#[test]
fn pipes_are_passed_over() {
    let folder = folder(&["a.jpg"]);
    let pipe = std::process::Command::new("mkfifo").arg(folder.path().join("pipe.jpg")).status();
    if !pipe.is_ok_and(|s| s.success()) {
        println!("no mkfifo: pipes not tested");
        return;
    }
    let source = source(folder.path(), &SourceOptions::default());
    assert_eq!(paths(&on_runtime(objects(&*source))), ["a.jpg"]);
    assert_eq!(source.skipped(), 1);
}

#[test]
fn lists_name_pictures() {
    let folder = folder(&["set/Apple/1.jpg", "set/Pear/no ending", "elsewhere/3.jpg"]);
    let elsewhere = folder.path().join("elsewhere/3.jpg");
    let url = format!("file://{}", elsewhere.display());
    let text = format!("\u{feff}Apple/1.jpg\r\n\nPear/no ending\n{url}\nApple/1.jpg\nmissing.jpg");
    fs::write(folder.path().join("set/list.txt"), text).unwrap();
    let source = source(&folder.path().join("set/list.txt"), &SourceOptions::default());
    let (found, errors) = apart(on_runtime(items(&*source)));
    assert_eq!(paths(&found), ["Apple/1.jpg", "Pear/no ending", &url, "missing.jpg"]);
    assert_eq!(found[1].label.as_deref(), Some("Pear"));
    assert_eq!((errors.len(), errors[0].object()), (1, Some("Apple/1.jpg")));
    assert_eq!(on_runtime(source.fetch(&found[0])).unwrap(), b"set/Apple/1.jpg".as_slice());
    assert_eq!(on_runtime(source.fetch(&found[2])).unwrap(), b"elsewhere/3.jpg".as_slice());
    assert_eq!(on_runtime(source.fetch(&found[3])).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn nonsense_is_named() {
    let kind = |input: &str| open(input, &SourceOptions::default()).err().map(|e| e.kind());
    assert_eq!(kind("ftp://host/x"), Some(ErrorKind::InvalidArgument));
    assert_eq!(kind("memory://x"), Some(ErrorKind::InvalidArgument));
    assert_eq!(kind("http://"), Some(ErrorKind::InvalidArgument));
    assert_eq!(kind("no:such:file"), Some(ErrorKind::NotFound));
    assert_eq!(kind(""), Some(ErrorKind::NotFound));
}
