//! Ctrl-C: finished parts stay, the same command goes on.
#![cfg(unix)]

use super::support::{Done, SMALL, Work, command};
use fruitcore::host::sink::Content;
use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

#[test]
fn an_interrupted_run_goes_on_where_it_was() {
    let work = Work::new(20, 10);
    let (input, out) = (work.arg("pictures"), work.arg("out"));
    let mut args =
        vec!["run", &input, "--output", &out, "--part-size", "4", "--workers", "1", "--batch", "1"];
    args.extend(SMALL);
    args.extend(["--components", "3", "--json"]);
    let child = command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // As soon as a part is there, so that some are and some are not.
    let begun = Instant::now();
    while !work.path("out/features/part-00001.parquet").exists() && begun.elapsed() < Duration::from_secs(60)
    {
        thread::sleep(Duration::from_millis(2));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let stopped = Done::of(child.wait_with_output().unwrap());
    if stopped.code == 0 {
        // The machine was faster than the signal; nothing to go on with.
        return;
    }
    let stopped = stopped.code(130).says(&["start the same command again"]);
    assert_eq!(stopped.out, "");
    let parts = std::fs::read_dir(work.path("out/features")).unwrap().count();
    assert!((1..50).contains(&parts), "{parts} parts");

    let again = work
        .run("out", &["--part-size", "4", "--workers", "1", "--batch", "1", "--components", "3", "--json"])
        .code(0)
        .json();
    assert_eq!(again["images"], 200);
    let done_now = again["images_this_start"].as_u64().unwrap();
    assert!(done_now > 0 && done_now <= 200 - 4 * 2, "{done_now} pictures were done again");
    work.run("whole", &["--part-size", "4", "--components", "3"]).code(0);
    super::support::assert_close(
        &work.rows("whole", Content::Components),
        &work.rows("out", Content::Components),
        1e-5,
    );
}
