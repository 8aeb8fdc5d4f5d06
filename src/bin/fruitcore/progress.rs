//! The live line: what is being done, how fast, how much is left; and Ctrl-C.

use crate::{failure::Failure, text};
use core::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use fruitcore::{
    Error, ErrorKind, Stage,
    host::driver::{Control, Phase, Progress},
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    collections::VecDeque,
    io::IsTerminal,
    sync::{Mutex, OnceLock},
    thread,
    time::Instant,
};

/// How often the line changes on a terminal, and how often a line is written elsewhere.
const TICK: Duration = Duration::from_millis(150);
const LOG: Duration = Duration::from_secs(15);
/// Speed is measured over this much of the past.
const WINDOW: Duration = Duration::from_secs(20);

/// Runs `work` while its progress is shown and Ctrl-C stops it in good order.
pub(crate) fn watch<T>(
    control: &Control,
    quiet: bool,
    work: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    stop_on_ctrl_c(control);
    if quiet {
        return work();
    }
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| show(control, &done));
        // Also when `work` panics the line must end, or the scope would wait for ever.
        let _end = EndOnDrop(&done);
        work()
    })
}

struct EndOnDrop<'a>(&'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// The first Ctrl-C (or SIGTERM) asks the run to stop, the second ends the process.
pub(crate) fn stop_on_ctrl_c(control: &Control) {
    static CURRENT: OnceLock<Mutex<Control>> = OnceLock::new();
    let first = CURRENT.get().is_none();
    let current = CURRENT.get_or_init(|| Mutex::new(control.clone()));
    *current.lock().unwrap_or_else(|e| e.into_inner()) = control.clone();
    if !first {
        return;
    }
    // Without a handler Ctrl-C ends the process at once; finished parts are safe all the same.
    let _ = ctrlc::set_handler(move || {
        let control = current.lock().unwrap_or_else(|e| e.into_inner());
        if control.is_cancelled() {
            std::process::exit(130);
        }
        control.cancel();
        eprintln!("\nstopping after the parts in flight; press Ctrl-C again to stop at once");
    });
}

/// Whether to count the pictures beside the work, for the time left: not where that would mean
/// reading an archive twice.
pub(crate) fn count_ahead(input: &str, quiet: bool) -> bool {
    let name = input.to_ascii_lowercase();
    !quiet && ![".tar", ".tar.gz", ".tgz"].iter().any(|ending| name.ends_with(ending))
}

fn show(control: &Control, done: &AtomicBool) {
    let terminal = std::io::stderr().is_terminal();
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
        bar.set_style(style);
    }
    let mut speed = Speed::default();
    let mut written = Instant::now();
    while !done.load(Ordering::Acquire) {
        thread::sleep(TICK);
        let line = speed.line(&control.progress());
        if terminal {
            bar.set_message(line);
            bar.tick();
        } else if written.elapsed() >= LOG {
            eprintln!("{line}");
            written = Instant::now();
        }
    }
    bar.finish_and_clear();
}

/// Counters of the last seconds.
#[derive(Default)]
struct Speed(VecDeque<(Instant, u64)>);

impl Speed {
    fn line(&mut self, p: &Progress) -> String {
        match p.phase {
            Phase::Start if p.images == 0 => "starting".to_owned(),
            // The driver alone, without a run around it, knows no phases.
            Phase::Start | Phase::Features => self.features(p),
            Phase::Fit => "fitting principal components".to_owned(),
            Phase::Components => format!("projecting: {}", text::counted(p.parts, "part", "parts")),
            _ => "finishing".to_owned(),
        }
    }

    fn features(&mut self, p: &Progress) -> String {
        let rate = self.per_second(p.images);
        let seen = p.images + p.skipped;
        let mut line = match p.total {
            Some(total) => format!("{}/{} pictures", text::count(seen), text::count(total.max(seen))),
            None => text::counted(seen, "picture", "pictures"),
        };
        if let Some(rate) = rate {
            line.push_str(&format!(" · {rate:.0}/s"));
        }
        line.push_str(&format!(" · {} rejected", text::count(p.rejected)));
        if p.skipped > 0 {
            line.push_str(&format!(" · {} already there", text::count(p.skipped)));
        }
        if let (Some(rate), Some(total)) = (rate.filter(|r| *r > 0.0), p.total) {
            let left = total.saturating_sub(seen) as f64 / rate;
            line.push_str(&format!(" · {} left", text::duration(Duration::from_secs_f64(left.min(1e9)))));
        }
        line
    }

    fn per_second(&mut self, images: u64) -> Option<f64> {
        let now = Instant::now();
        // Another pass has begun.
        if self.0.back().is_some_and(|(_, last)| images < *last) {
            self.0.clear();
        }
        self.0.push_back((now, images));
        while self.0.len() > 2 && self.0.front().is_some_and(|(t, _)| now - *t > WINDOW) {
            self.0.pop_front();
        }
        let (then, before) = *self.0.front()?;
        let seconds = (now - then).as_secs_f64();
        (seconds > 0.5).then(|| images.saturating_sub(before) as f64 / seconds)
    }
}

/// An interrupted run, with how to go on.
pub(crate) fn explain(error: Error, control: &Control, strict: bool) -> Failure {
    if error.kind() != ErrorKind::Interrupted
        && strict
        && control.progress().rejected > 0
        && is_about_a_picture(&error)
    {
        return Failure::strict(error);
    }
    error.into()
}

fn is_about_a_picture(error: &Error) -> bool {
    error.object().is_some()
        && matches!(
            error.stage(),
            Stage::Source | Stage::Decode | Stage::Preprocess | Stage::Featurize | Stage::Sink
        )
}
