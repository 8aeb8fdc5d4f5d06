//! Kill −9 at 50 random moments, then resume: the same rows, none lost or doubled, the same moments.
#![cfg(all(feature = "host", unix))]

mod run_support;

use run_support::*;
use std::{
    process::{Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

const OUTPUT: &str = "FRUITCORE_TEST_KILL_OUTPUT";
const KILLS: usize = 50;

fn source() -> Made {
    let mut source = Made::new(600);
    source.damaged = 61;
    source.delay = Duration::from_millis(4);
    source
}

/// The process that is killed: this test binary, started again.
#[test]
fn child() {
    let Ok(output) = std::env::var(OUTPUT) else { return };
    run_in(output.as_ref(), &source(), options()).unwrap();
}

fn start(output: &std::path::Path) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact"])
        .env(OUTPUT, output)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn killed_at_random_moments() {
    if std::env::var(OUTPUT).is_ok() {
        return;
    }
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    println!("seed {seed}");
    let mut rng = Rng(seed);
    let clean = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    assert!(start(clean.path()).wait().unwrap().success());
    let whole = begun.elapsed();
    let expected = snapshot(clean.path());
    assert_eq!(expected.len(), 12 * 3 + 9 + 1);

    let (mut kills, mut midway, mut outputs) = (0, 0, 0);
    while kills < KILLS {
        let folder = tempfile::tempdir().unwrap();
        outputs += 1;
        // The same output may be killed several times before it is done.
        loop {
            let mut child = start(folder.path());
            let moment = whole.mul_f32(rng.unit() * if kills % 2 == 0 { 1.0 } else { 0.5 });
            let deadline = Instant::now() + moment;
            let done = loop {
                if let Some(status) = child.try_wait().unwrap() {
                    assert!(status.success());
                    break true;
                }
                if Instant::now() >= deadline && kills < KILLS {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    break false;
                }
                std::thread::sleep(Duration::from_micros(500));
            };
            if done {
                break;
            }
            kills += 1;
            midway += usize::from(folder.path().join("features").exists());
        }
        assert_eq!(snapshot(folder.path()), expected, "seed {seed}, output {outputs}");
        let scratch = folder.path().join(".fruitcore/tmp/1-of-1");
        assert_eq!(std::fs::read_dir(scratch).unwrap().count(), 0, "seed {seed}: nothing is left over");
    }
    println!("{kills} kills in {outputs} outputs, {midway} after the first part was begun");
    assert!(midway > 0, "no kill hit the work itself");
}
