//! Streams as Python writes them, and damaged ones.

use super::*;
use alloc::vec;

#[test]
fn calls_are_kept_as_data() {
    // cos\nsystem\n(S'rm -rf /'\ntR.
    let evil = b"cos\nsystem\n(S'rm -rf /'\ntR.";
    let pickle = Pickle::parse(evil).unwrap();
    let (function, arguments) = pickle.call(pickle.root).unwrap();
    assert_eq!(function, ("os", "system"));
    assert_eq!(pickle.str(arguments[0]), Some("rm -rf /"));
    assert_eq!(pickle.length, evil.len());
}

#[test]
fn integers_of_every_width() {
    let cases: [(&[u8], i64); 7] = [
        (b"K\xff.", 255),
        (b"M\x00\x01.", 256),
        (b"J\xff\xff\xff\xff.", -1),
        (b"\x8a\x01\xfe.", -2),
        (b"\x8a\x00.", 0),
        (b"I42\n.", 42),
        (b"L7L\n.", 7),
    ];
    for (bytes, expected) in cases {
        let p = Pickle::parse(bytes).unwrap();
        assert!(matches!(p.node(p.root), Node::Int(v) if *v == expected), "{bytes:?}");
    }
}

#[test]
fn containers_change_after_they_were_remembered() {
    // d = {}; memo 0; d['a'] = d
    let p = Pickle::parse(b"}q\x00U\x01ah\x00s.").unwrap();
    let items = p.items(p.root).unwrap();
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].1, p.root);
    // Python 2's OrderedDict([['k', 1]])
    let p = Pickle::parse(b"ccollections\nOrderedDict\n(]]U\x01kaK\x01aatR.").unwrap();
    let items = p.items(p.root).unwrap();
    assert_eq!(items.len(), 1);
    assert_eq!((p.str(items[0].0), p.index(items[0].1)), (Some("k"), Some(1)));
}

#[test]
fn bombs_end_at_the_limit() {
    let mut bomb = vec![b'N'];
    bomb.resize(LIMIT + 10, b'2');
    let kind = Pickle::parse(&bomb).err().unwrap().kind();
    assert!(matches!(kind, ErrorKind::Limit | ErrorKind::Corrupt));
    for declared in
        [&b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff."[..], b"X\xff\xff\xff\xff.", b"\x8b\xff\xff\xff\x7f."]
    {
        assert_eq!(Pickle::parse(declared).err().unwrap().kind(), ErrorKind::Corrupt);
    }
}
