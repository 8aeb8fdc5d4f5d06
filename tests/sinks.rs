//! What sinks write reads back the same; what is damaged is refused without a panic.
#![cfg(feature = "host")]

use fruitcore::{
    ErrorKind,
    host::{
        run::{LocalStore, OutputStore, Shard, open_output},
        sink::{Content, CsvOptions, Format, Table},
    },
};
use proptest::prelude::*;

fn formats() -> Vec<Format> {
    let mut tabs = CsvOptions::default();
    tabs.separator = b'\t';
    vec![Format::Parquet, Format::Ipc, Format::Csv(CsvOptions::default()), Format::Csv(tabs)]
}

fn table(columns: usize, rows: &[(String, Option<String>, u32)]) -> Table {
    let mut table = Table::new(Content::Components, columns).unwrap();
    for (path, label, seed) in rows {
        let value = |i: u32| {
            let v = f32::from_bits(seed.wrapping_mul(2_654_435_761).wrapping_add(i.wrapping_mul(40_503_001)));
            if v.is_nan() { -0.0 } else { v }
        };
        let values: Vec<f32> = (0..columns as u32).map(value).collect();
        // A CSV can't tell an empty label from none.
        table.push(path.clone(), label.clone().filter(|l| !l.is_empty()), &values).unwrap();
    }
    table
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn reads_back_bit_for_bit(
        columns in 1usize..20,
        rows in prop::collection::vec((".*", prop::option::of(".*"), any::<u32>()), 1..40),
    ) {
        let table = table(columns, &rows);
        for format in formats() {
            let back = format.decode(Content::Components, format.encode(&table).unwrap().into()).unwrap();
            let bits = |t: &Table| t.values().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&back), bits(&table));
            prop_assert_eq!(back.paths(), table.paths());
            prop_assert_eq!(back.labels(), table.labels());
        }
    }
}

#[test]
fn no_rows() {
    let table = table(3, &[]);
    for format in formats() {
        let back = format.decode(Content::Components, format.encode(&table).unwrap().into()).unwrap();
        assert_eq!((back.len(), back.columns()), (0, 3), "{format:?}");
    }
}

#[test]
fn csv_is_what_the_documentation_says() {
    let mut table = Table::new(Content::Features, 3).unwrap();
    table.push("a/it's, \"so\"\n.jpg", Some("a"), &[0.1, 1e-20, -3.0]).unwrap();
    table.push("b.jpg", None::<String>, &[f32::MAX, 16_777_216.0, 0.0]).unwrap();
    let file = Format::Csv(CsvOptions::default()).encode(&table).unwrap();
    let text = String::from_utf8(file).unwrap();
    let expected = "label,path,feat_0,feat_1,feat_2\n\
        a,\"a/it's, \"\"so\"\"\n.jpg\",0.1,1e-20,-3.0\n\
        ,b.jpg,3.4028235e38,16777216.0,0.0\n";
    assert_eq!(text, expected);
    let mut bare = CsvOptions::default();
    (bare.separator, bare.header) = (b';', false);
    let text = String::from_utf8(Format::Csv(bare.clone()).encode(&table).unwrap()).unwrap();
    assert!(text.starts_with("a;\"a/it's, \"\"so\"\"\n.jpg\";0.1;1e-20;-3.0\n"), "{text}");
    for separator in [b'.', b'-', b'7', b'e', b'"', b'\n', 200] {
        bare.separator = separator;
        assert_eq!(bare.check().unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn damaged_files_are_refused() {
    let rows: Vec<_> = (0..20).map(|i| (format!("p{i}"), Some(format!("l{}", i % 3)), i)).collect();
    let whole = table(4, &rows);
    for format in formats() {
        let file = format.encode(&whole).unwrap();
        for end in 0..file.len() {
            let cut = format.decode(Content::Components, file[..end].to_vec().into());
            if let Ok(cut) = cut {
                // Text cut at a line or inside its last number is still text.
                assert!(matches!(format, Format::Csv(_)) && cut.len() <= 20, "{format:?} cut at {end}");
            }
        }
        let wrong = format.decode(Content::Features, file.into());
        assert!(matches!(format, Format::Csv(_)) || wrong.unwrap_err().kind() == ErrorKind::Corrupt);
        for junk in [&b""[..], b"junk", b"PAR1PAR1", b"ARROW1\0\0", b"label,path\na,b\n", b"\xff,\xff,1\n"] {
            assert!(format.decode(Content::Features, junk.to_vec().into()).is_err(), "{format:?} {junk:?}");
        }
    }
}

#[test]
fn tables_refuse_other_lengths() {
    assert_eq!(Table::new(Content::Features, 0).unwrap_err().kind(), ErrorKind::Shape);
    let mut table = Table::new(Content::Features, 2).unwrap();
    let error = table.push("apple.jpg", None::<String>, &[1.0]).unwrap_err();
    assert_eq!((error.kind(), error.object(), table.len()), (ErrorKind::Shape, Some("apple.jpg"), 0));
    table.push("apple.jpg", None::<String>, &[1.0, 2.0]).unwrap();
    assert!(table.with_values(Content::Components, 3, vec![0.0; 4]).is_err());
}

#[test]
fn local_output() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("new/out");
    let store = LocalStore::new(&root);
    assert_eq!(store.entries("").unwrap(), Vec::<String>::new());
    assert_eq!(store.get("a/b.bin").unwrap(), None);
    store.put("a/b.bin", b"one").unwrap();
    store.put("a/b.bin", b"three").unwrap();
    assert_eq!(store.get("a/b.bin").unwrap().as_deref(), Some(&b"three"[..]));
    assert_eq!(store.size("a/b.bin").unwrap(), Some(5));
    assert_eq!(store.entries("a").unwrap(), ["b.bin"]);
    assert!(store.entries("").unwrap().contains(&"a/".to_string()));
    store.remove("a/b.bin").unwrap();
    store.remove("a/b.bin").unwrap();
    assert_eq!(store.size("a/b.bin").unwrap(), None);
    // What a killed owner left goes with the next lock; another owner's stays.
    let tmp = root.join(".fruitcore/tmp");
    for owner in ["1-of-2", "2-of-2"] {
        std::fs::create_dir_all(tmp.join(owner)).unwrap();
        std::fs::write(tmp.join(owner).join("7"), b"half").unwrap();
    }
    let other = LocalStore::new(&root);
    let lock = other.lock("1-of-2").unwrap();
    assert!(!tmp.join("1-of-2/7").exists() && tmp.join("2-of-2/7").exists());
    assert_eq!(LocalStore::new(&root).lock("1-of-2").err().unwrap().kind(), ErrorKind::Mismatch);
    LocalStore::new(&root).lock("2-of-2").unwrap();
    drop(lock);
    LocalStore::new(&root).lock("1-of-2").unwrap();
    // A file where a folder should be.
    std::fs::write(folder.path().join("file"), b"").unwrap();
    assert!(LocalStore::new(folder.path().join("file")).put("x", b"").is_err());
}

/// `/dev/full` answers every write with "no space left on device".
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let scratch = folder.path().join(".fruitcore/tmp/full");
    let store = LocalStore::new(folder.path());
    let _lock = store.lock("full").unwrap();
    // The first temporary file is called 0.
    std::os::unix::fs::symlink("/dev/full", scratch.join("0")).unwrap();
    let error = store.put("part", &[1; 100]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("free some space"), "{error}");
    assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0);
    assert_eq!(store.get("part").unwrap(), None);
    store.put("part", &[1; 100]).unwrap();
}

#[test]
fn outputs_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    open_output(path).unwrap().put("a", b"1").unwrap();
    assert_eq!(open_output(&format!("file://{path}")).unwrap().size("a").unwrap(), Some(1));
    assert!(open_output("memory:///x").is_err(), "it would be gone at the end; use RemoteStore");
    let error = open_output("gopher://x/y").err().unwrap();
    assert_eq!((error.kind(), error.object()), (ErrorKind::InvalidArgument, Some("gopher://x/y")));
}

#[test]
fn shards_by_name() {
    let shard: Shard = "2/3".parse().unwrap();
    assert_eq!((shard.index, shard.count), (1, 3));
    assert_eq!(shard.manifest_name(), "manifest-2-of-3.json");
    assert_eq!((0..7).filter(|i| shard.takes(*i)).collect::<Vec<_>>(), [1, 4]);
    for bad in ["", "1", "0/2", "3/2", "1/0", "a/b", "1/2/3", "-1/2"] {
        assert_eq!(bad.parse::<Shard>().unwrap_err().kind(), ErrorKind::InvalidArgument, "{bad}");
    }
}
