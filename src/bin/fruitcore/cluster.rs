//! `fruitcore cluster`.

use crate::{
    args::{ClusterArgs, Clusters},
    failure::Failure,
    text,
};
use fruitcore::host::{
    cluster::{ClusterOptions, Clustering, Count},
    rows::RowFiles,
    sink::Content,
};

pub(crate) fn cluster(args: &ClusterArgs) -> Result<(), Failure> {
    let files = RowFiles::open(&args.target, Content::Components)?;
    let count = match args.k {
        Clusters::Fixed(k) => Count::Fixed(k),
        Clusters::Auto => Count::Auto { most: usize::from(args.most) },
    };
    let mut options = ClusterOptions::new(count);
    options.seed = args.seed;
    options.restarts = usize::from(args.restarts);
    options.mini_batch = args.mini_batch;
    let made = Clustering::of(&files, &options)?;
    let format = args.format.format();
    made.write(&files, &format)?;
    let s = &made.summary;
    if args.report.json {
        text::print_json(s)?;
    }
    if !args.report.quiet {
        let mut rows = vec![
            ("rows", text::count(s.rows as u64)),
            ("clusters", s.k.to_string()),
            ("inertia", format!("{:.6e}", s.inertia)),
        ];
        rows.extend(s.measures().map(|(name, value)| (name, format!("{value:.4}"))));
        let rows: Vec<_> = rows.into_iter().map(|(k, v)| vec![k.to_owned(), v]).collect();
        eprint!("{}", text::table(&rows));
        for t in &s.tried {
            let bar = "█".repeat((40.0 * t.silhouette.clamp(0.0, 1.0)) as usize);
            eprintln!("  k = {:<4} silhouette {:>7.4}  {bar}", t.k, t.silhouette);
        }
        for note in &s.notes {
            eprintln!("note: {note}");
        }
        eprintln!("written: {}/clusters.{}, clusters.json", files.store().describe(), format.extension());
    }
    Ok(())
}
