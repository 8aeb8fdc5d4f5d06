//! `run --shard` and `merge`.

use super::support::{Work, assert_close, fruitcore};
use fruitcore::host::sink::Content;

#[test]
fn shards_merged_are_one_run() {
    let work = Work::new(5, 6);
    std::fs::write(work.path("pictures/notes.txt"), "").unwrap();
    let options = ["--components", "4", "--part-size", "4"];
    work.run("whole", &options).code(0);
    for (shard, out) in [("1/2", "one"), ("2/2", "two")] {
        let mut more = options.to_vec();
        more.extend(["--shard", shard]);
        work.run(out, &more).code(0).says(&["merge"]);
    }
    let (one, two, merged) = (work.arg("one"), work.arg("two"), work.arg("merged"));
    let missing = fruitcore(&["merge", &one, "--output", &merged]).code(1);
    missing.says(&["2/2", "missing"]);
    let done = fruitcore(&["merge", &one, &two, "--output", &merged, "--json"]).code(0);
    let summary = done.json();
    assert_eq!(
        (&summary["images"], &summary["rows"], &summary["components"]),
        (&30.into(), &30.into(), &4.into())
    );
    assert_eq!(summary["skipped"], 1);
    assert_close(&work.rows("whole", Content::Components), &work.rows("merged", Content::Components), 1e-6);
    let inspect = fruitcore(&["inspect", &merged]).code(0);
    assert!(inspect.out.contains("merged run"), "{}", inspect.out);
}

#[test]
fn merging_what_does_not_belong_together_is_refused() {
    let work = Work::new(2, 6);
    work.run("one", &["--shard", "1/2", "--part-size", "4"]).code(0);
    work.run("other", &["--shard", "2/2", "--part-size", "4", "--recipe", "keras-tf"]).code(0);
    let (one, other, out) = (work.arg("one"), work.arg("other"), work.arg("out"));
    fruitcore(&["merge", &one, &other, "-o", &out]).code(1).says(&["recipe"]);
    fruitcore(&["merge", &work.arg("pictures"), "-o", &out]).code(1).says(&["manifest"]);
}
