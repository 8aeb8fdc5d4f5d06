//! The end of a run, for people.

use crate::text::{self, count, counted, duration};
use fruitcore::host::{run::OutputStore, summary::Summary};

/// Rejects named in the summary; the rest is in `rejects.csv`.
const REJECTS_SHOWN: usize = 5;

/// Several aligned lines: what came in, what came out, how long it took, where it lies.
pub(crate) fn human(summary: &Summary, store: &dyn OutputStore) -> String {
    let out = store.describe();
    let mut rows = Vec::new();
    let mut row = |name: &str, text: String| rows.push(vec![format!("  {name}"), text]);
    let labelled: u64 = summary.classes.values().sum();
    let classes = match summary.classes.len() as u64 {
        0 => "no labels".to_owned(),
        n if labelled < summary.rows => {
            format!("{}, {} without a label", counted(n, "class", "classes"), count(summary.rows - labelled))
        }
        n => counted(n, "class", "classes"),
    };
    row("pictures", format!("{} · {} rejected · {classes}", count(summary.images), count(summary.rejected)));
    if summary.skipped > 0 {
        let files = counted(summary.skipped, "file", "files");
        row("skipped", format!("{files} that are no pictures by name, or that the filter leaves out"));
    }
    row(
        "features",
        format!(
            "{} for each of {}",
            count(summary.feature_length as u64),
            counted(summary.rows, "picture", "pictures")
        ),
    );
    if summary.components > 0 {
        let leading = summary.explained_variance_ratio.iter().take(5).map(|r| format!("{:.1}", 100.0 * r));
        row(
            "components",
            format!(
                "{} explain {:.1} % of the variance (the first: {} %)",
                summary.components,
                100.0 * summary.explained_variance_ratio_total,
                leading.collect::<Vec<_>>().join(", ")
            ),
        );
    }
    let mut time = duration(text::seconds(summary.elapsed));
    if summary.images_this_start > 0 {
        time.push_str(&format!(" · {:.0} pictures/s", summary.images_per_second));
    }
    if summary.images_this_start < summary.images {
        let there = summary.images - summary.images_this_start;
        time.push_str(&format!(" · {} were done already", count(there)));
    }
    if let Some(peak) = summary.peak_memory {
        time.push_str(&format!(" · at most {} of memory", text::bytes(peak)));
    }
    row("time", time);
    let stages: Vec<String> = summary
        .seconds
        .iter()
        .filter(|(_, s)| **s >= 0.05)
        .map(|(stage, s)| format!("{stage} {s:.1}"))
        .collect();
    if !stages.is_empty() {
        row("seconds", format!("{} (summed over workers)", stages.join(", ")));
    }
    row("output", out.clone());
    let mut text = text::table(&rows);
    text.push_str(&rejects(summary, store, &out));
    text
}

/// Where and why pictures fell out, with the first ones by name.
fn rejects(summary: &Summary, store: &dyn OutputStore, out: &str) -> String {
    if summary.rejected == 0 {
        return String::new();
    }
    let stages: Vec<String> =
        summary.rejected_by_stage.iter().map(|(stage, n)| format!("{} in {stage}", count(*n))).collect();
    let mut text = format!("\nrejected: {}\n", stages.join(", "));
    // The summary stands without them, so a file that can't be read isn't worth an error.
    let file = store.get("rejects.csv").ok().flatten();
    let mut shown = 0;
    if let Some(file) = &file {
        for record in csv::Reader::from_reader(&file[..]).records().flatten().take(REJECTS_SHOWN) {
            let field = |i: usize| record.get(i).unwrap_or_default().escape_debug().to_string();
            text.push_str(&format!("  {}: {}: {}\n", field(0), field(1), field(2)));
            shown += 1;
        }
    }
    if summary.rejected > shown {
        text.push_str(&format!("  … all {} in {out}/rejects.csv\n", count(summary.rejected)));
    }
    text
}
