//! Ctrl-C: finished parts stay, the same command goes on.
#![cfg(unix)]

use super::{
    server::{Response, Server},
    support::{Done, SMALL, Work, assert_close, command, files},
};
use fruitcore::host::sink::Content;
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Pictures that are served at once; the others wait until the gate is open.
const FREE: usize = 100;

/// A web server with a list of all pictures of `work`, and its gate.
fn gated(work: &Work) -> (Server, Arc<AtomicBool>) {
    let root = work.path("pictures");
    let pictures: Vec<String> = files(&root)
        .iter()
        .flat_map(|kind| files(kind))
        .map(|file| format!("/{}", file.strip_prefix(&root).unwrap().display()).replace(' ', "%20"))
        .collect();
    let gate = Arc::new(AtomicBool::new(false));
    let open = gate.clone();
    let server = Server::start(move |request| {
        if request.target == "/list.txt" {
            let list: String = pictures.iter().map(|p| format!("{}\n", &p[1..])).collect();
            return Response::file(request, list.replace("%20", " ").as_bytes());
        }
        let Some(index) = pictures.iter().position(|p| *p == request.target) else {
            return Response::new(404, "");
        };
        while index >= FREE && !open.load(Ordering::Acquire) {
            thread::sleep(Duration::from_millis(1));
        }
        let file = root.join(request.target[1..].replace("%20", " "));
        Response::file(request, &fs::read(file).unwrap())
    });
    (server, gate)
}

#[test]
fn an_interrupted_run_goes_on_where_it_was() {
    let work = Work::new(20, 10);
    let (server, gate) = gated(&work);
    let (input, out, whole) = (format!("{}/list.txt", server.url), work.arg("out"), work.arg("whole"));
    let arguments = |out: &str| {
        let mut all = vec!["run", &input, "--output", out, "--part-size", "4", "--components", "3", "--json"];
        all.extend(SMALL);
        command(&all)
    };
    let mut child = arguments(&out).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while !work.path("out/features/part-00001.parquet").exists() {
        assert!(begun.elapsed() < Duration::from_secs(300), "no part was finished");
        thread::sleep(Duration::from_millis(2));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    // It can't end before the gate opens: pictures of later parts are on their way.
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("stopping after the parts in flight") {
        assert!(errors.read_line(&mut said).unwrap() > 0, "{said}");
    }
    gate.store(true, Ordering::Release);
    errors.read_to_string(&mut said).unwrap();
    let mut stopped = Done::of(child.wait_with_output().unwrap());
    stopped.err = said;
    let stopped = stopped.code(130).says(&["start the same command again"]);
    assert_eq!(stopped.out, "");
    let parts = fs::read_dir(work.path("out/features")).unwrap().count();
    assert!((2..50).contains(&parts), "{parts} parts");

    let again = Done::of(arguments(&out).output().unwrap()).code(0).json();
    assert_eq!((&again["images"], &again["images_this_start"]), (&200.into(), &(200 - 4 * parts).into()));
    Done::of(arguments(&whole).output().unwrap()).code(0);
    let [a, b] = ["whole", "out"].map(|out| work.rows(out, Content::Components));
    assert_close(&a, &b, 1e-6);
}
