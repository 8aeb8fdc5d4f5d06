//! Reading rows back: a run's parts, and tables that other programs wrote.
#![cfg(feature = "host")]

use fruitcore::{
    ErrorKind,
    host::{
        rows::RowFiles,
        sink::{Content, Format, Table},
    },
};
use std::{fs, path::Path};

const D: usize = 4;

/// As `tests/golden/rows/make_rows.py` computes it.
fn expected() -> Vec<f32> {
    let value = |i: usize, j: usize| ((i * 7 + j * 3) % 11) as f32 / 4.0 - 1.0;
    (0..6).flat_map(|i| (0..D).map(move |j| value(i, j))).collect()
}

fn golden(name: &str) -> Table {
    let file = Path::new("tests/golden/rows").join(name);
    RowFiles::open(&file.display().to_string(), Content::Components).unwrap().table().unwrap()
}

#[test]
fn tables_of_other_programs() {
    for name in
        ["array_double.parquet", "vector_udt.parquet", "f0_fn.parquet", "semicolons.csv", "vectors.csv"]
    {
        let table = golden(name);
        assert_eq!(table.columns(), D, "{name}");
        assert_eq!(table.values(), expected(), "{name}");
        let (path, label) = (table.paths()[3].as_str(), table.labels()[3].as_deref());
        match name {
            "semicolons.csv" => assert_eq!((path, label), ("row-3", None)),
            "f0_fn.parquet" => assert_eq!((path, label), ("file:/data/apple 3.jpg", None)),
            _ => {
                assert_eq!((path, label), ("file:/data/apple 3.jpg", Some("apple")), "{name}");
                assert_eq!(table.labels()[2], None, "{name}");
            }
        }
    }
}

#[test]
fn own_parts_of_every_format_in_order() {
    for format in [Format::Parquet, Format::Csv(Default::default()), Format::Ipc] {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("components")).unwrap();
        for part in 0..3 {
            let mut table = Table::new(Content::Components, 2).unwrap();
            for i in 0..5 {
                let n = part * 5 + i;
                table.push(format!("{n:02}.jpg"), (n % 2 == 0).then_some("even"), &[n as f32, -0.5]).unwrap();
            }
            let name = format!("components/part-{part:05}.{}", format.extension());
            fs::write(folder.path().join(name), format.encode(&table).unwrap()).unwrap();
        }
        let rows = RowFiles::open(&folder.path().display().to_string(), Content::Components).unwrap();
        let mut chunks = 0;
        rows.read(&mut |_| {
            chunks += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(chunks, 3);
        let table = rows.table().unwrap();
        assert_eq!(table.len(), 15);
        assert_eq!(table.values()[2 * 13], 13.0);
        assert_eq!((table.paths()[14].as_str(), table.labels()[14].as_deref()), ("14.jpg", Some("even")));
    }
}

#[test]
fn csv_dialects() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.csv");
    let read = |text: &str| {
        fs::write(&file, text).unwrap();
        RowFiles::open(&file.display().to_string(), Content::Components).unwrap().table()
    };
    // Decimal commas, a byte order mark, Windows line ends, no header.
    let table = read("\u{feff}a/1.jpg;apple;0,5;1\r\na/2.jpg;pear;-2;1e-3\r\n").unwrap();
    assert_eq!(table.values(), [0.5, 1.0, -2.0, 0.001]);
    assert_eq!((table.paths()[1].as_str(), table.labels()[1].as_deref()), ("a/2.jpg", Some("pear")));
    // Quoted names with the separator and line breaks inside; a header of unusual names.
    let table = read("photo,sorte,x1,x2\n\"a,\nb.jpg\",\"Gala; red\",1,2\n").unwrap();
    assert_eq!((table.paths()[0].as_str(), table.labels()[0].as_deref()), ("a,\nb.jpg", Some("Gala; red")));
    assert_eq!(read("x0\tx1\n1\t2\n").unwrap().values(), [1.0, 2.0]);
    // As pandas writes arrays: NumPy's print, over several lines; long ones with the middle left out.
    let printed = "path,label,features,reduced_features\n\
                   s3a://b/data/Kiwi/1_100.jpg,Kiwi,[0.2 0.  ... 0.4],\"[ -2.08   5.8e+00\n   0.2 ]\"\n\
                   s3a://b/data/Lime/7_100.jpg,Lime,[0.1 0.  ... 0. ],\"[1. 2.\n 3.]\"\n";
    let table = read(printed).unwrap();
    assert_eq!(table.values(), [-2.08, 5.8, 0.2, 1.0, 2.0, 3.0]);
    assert_eq!(table.paths()[1], "s3a://b/data/Lime/7_100.jpg");
    assert_eq!(table.labels()[1].as_deref(), Some("Lime"));
    for (text, kind, says) in [
        ("a,pc_0,pc_1\nx.jpg,1,two\n", ErrorKind::Corrupt, "line 2"),
        ("path,pc_0,pc_1\nx.jpg,1,NaN\n", ErrorKind::NonFinite, "x.jpg"),
        ("path,pc_0,pc_1\nx.jpg,1\n", ErrorKind::Corrupt, "CSV"),
        ("path,label\nx.jpg,apple\n", ErrorKind::Corrupt, "no column of numbers"),
        ("path,features\nx.jpg,[0.1 ... 0.2]\n", ErrorKind::Corrupt, "printed with \"...\""),
        ("path,pc_0,pc_1\n", ErrorKind::Insufficient, "no rows"),
        ("", ErrorKind::Insufficient, "no rows"),
    ] {
        let e = read(text).unwrap_err();
        assert_eq!(e.kind(), kind, "{text:?}: {e}");
        assert!(e.to_string().contains(says), "{e}");
    }
}

#[test]
fn rows_longer_than_a_buffer_keep_every_column() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wide.csv");
    let read = |text: &str| {
        fs::write(&file, text).unwrap();
        RowFiles::open(&file.display().to_string(), Content::Features).unwrap().table()
    };
    // A header that fits, rows that don't; names that don't either; no names; numbers in one cell.
    let value = |i: usize, j: usize| (i * 7 + j) as f32 / 4.0;
    for (columns, stem) in [(4096, "f"), (4096, "a_feature_of_the_network_"), (4096, ""), (6000, "cell")] {
        let expected: Vec<f32> = (0..3).flat_map(|i| (0..columns).map(move |j| value(i, j))).collect();
        let row = |i: usize, between: &str| {
            (0..columns).map(|j| format!("{:.14}", value(i, j))).collect::<Vec<_>>().join(between)
        };
        let mut text = match stem {
            "" => String::new(),
            "cell" => String::from("path,features\n"),
            _ => {
                let names: Vec<_> = (0..columns).map(|j| format!("{stem}{j}")).collect();
                format!("path,{}\n", names.join(","))
            }
        };
        for i in 0..3 {
            text += &match stem {
                "cell" => format!("a/{i}.jpg,\"[{}]\"\n", row(i, ", ")),
                _ => format!("a/{i}.jpg,{}\n", row(i, ",")),
            };
        }
        let table = read(&text).unwrap();
        assert_eq!((table.columns(), table.len()), (columns, 3), "{stem:?}");
        assert_eq!(table.values(), expected, "{stem:?}");
        assert_eq!(table.paths()[2], "a/2.jpg");
    }
}

#[test]
fn nothing_to_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display().to_string();
    let open = |p: &str| RowFiles::open(p, Content::Components).map(|_| ()).unwrap_err();
    assert_eq!(open(&at).kind(), ErrorKind::NotFound);
    assert_eq!(open(&format!("{at}/none")).kind(), ErrorKind::NotFound);
    fs::write(folder.path().join("manifest-1-of-2.json"), "{}").unwrap();
    assert_eq!(open(&at).kind(), ErrorKind::Insufficient);
    let file = folder.path().join("picture.csv");
    fs::write(&file, b"\xFF\xD8\xFF\0\0\0").unwrap();
    let e = RowFiles::open(&file.display().to_string(), Content::Components).unwrap().table().unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported);
}
