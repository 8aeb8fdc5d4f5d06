//! Kill −9 at 50 random moments, then resume: the same rows, none lost or doubled, the same moments and artifact.
#![cfg(all(feature = "host", unix))]

mod run_support;

use fruitcore::host::run::{ARTIFACT, Artifact, RunOptions};
use run_support::*;
use std::{
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

const OUTPUT: &str = "FRUITCORE_TEST_KILL_OUTPUT";
const KILLS: usize = 50;
/// Of these, so many at least must hit a run that has features and isn't done.
const MIDWAY: usize = 25;

fn source() -> Made {
    let mut source = Made::new(600);
    source.damaged = 61;
    source.delay = Duration::from_millis(4);
    source
}

/// With an artifact that tells every bit of the fit.
fn with_artifact() -> RunOptions {
    let mut options = options();
    options.artifact = Some(Arc::new(|fitted: &Artifact<'_>| {
        let text = format!("{:?} {:?} {:?}", fitted.config, fitted.classes, fitted.projection);
        Ok(text.into_bytes())
    }));
    options
}

/// All that must be the same, however often a run was killed.
fn results(output: &Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut files = snapshot(output);
    files.insert(ARTIFACT.into(), std::fs::read(output.join(ARTIFACT)).unwrap());
    files
}

/// The process that is killed: this test binary, started again.
#[test]
fn child() {
    let Ok(output) = std::env::var(OUTPUT) else { return };
    run_in(output.as_ref(), &source(), with_artifact()).unwrap();
}

fn start(output: &Path) -> std::process::Child {
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
    let expected = results(clean.path());
    assert_eq!(expected.len(), 12 * 3 + 9 + 2);

    let (mut kills, mut midway, mut outputs) = (0, 0, 0);
    while kills < KILLS {
        let folder = tempfile::tempdir().unwrap();
        outputs += 1;
        // The same output may be killed several times before it is done.
        loop {
            let mut child = start(folder.path());
            let begun = || folder.path().join("features").exists();
            // One of five at any moment, its start included; the others once there are features.
            let anywhere = kills % 5 == 0;
            let moment = whole.mul_f32(rng.unit() * if kills % 2 == 0 { 0.7 } else { 0.3 });
            let mut deadline = anywhere.then(|| Instant::now() + moment);
            let done = loop {
                if let Some(status) = child.try_wait().unwrap() {
                    assert!(status.success());
                    break true;
                }
                if deadline.is_none() && begun() {
                    deadline = Some(Instant::now() + moment);
                }
                if deadline.is_some_and(|deadline| Instant::now() >= deadline) && kills < KILLS {
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
            midway += usize::from(begun());
        }
        assert_eq!(results(folder.path()), expected, "seed {seed}, output {outputs}");
        let scratch = folder.path().join(".fruitcore/tmp/1-of-1");
        assert_eq!(std::fs::read_dir(scratch).unwrap().count(), 0, "seed {seed}: nothing is left over");
    }
    println!("{kills} kills in {outputs} outputs, {midway} after the first part was begun");
    assert!(midway >= MIDWAY, "only {midway} of {kills} kills hit the work itself");
}
