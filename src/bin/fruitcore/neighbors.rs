//! `fruitcore neighbors`: what looks most like a picture.

use crate::{args::NeighborsArgs, failure::Failure, network, text};
use fruitcore::{
    Error, ErrorKind, Stage,
    host::{
        driver::{Control, Driver, Limits, Wanted},
        neighbors::nearest,
        rows::RowFiles,
        setup::Fitted,
        sink::Content,
        source::{self, Source, SourceOptions},
    },
    pca::Rows,
};
use std::sync::Arc;

pub(crate) fn neighbors(args: &NeighborsArgs) -> Result<(), Failure> {
    let fitted = Fitted::open(&args.target)?;
    let files = RowFiles::open(&args.target.display().to_string(), Content::Components)?;
    let setup = fitted.setup(args.weights.as_ref(), network::device(args.device)?)?;
    let source: Arc<dyn Source> = Arc::from(source::open(&args.picture, &SourceOptions::default())?);
    let driver = Driver {
        stages: setup.stages(),
        limits: Limits::default(),
        part_size: 16,
        limit: Some(1),
        strict: true,
        count_ahead: false,
    };
    let mut query = Vec::new();
    driver.run(source, &Control::default(), &|_| Wanted::Compute, &mut |part| {
        if let Some(output) = part.output {
            query.extend_from_slice(fitted.components(&output.table)?.values());
        }
        Ok(())
    })?;
    if query.is_empty() {
        let m = "no picture found; check the path";
        return Err(Error::new(ErrorKind::NotFound, Stage::Source, m).at(&args.picture).into());
    }
    let table = files.table()?;
    let k = (args.top as usize).min(table.len());
    let rows = Rows::new(table.values(), table.columns())?;
    let found = nearest(rows, Rows::new(&query, fitted.projection()?.kept())?, k)?;
    let list = found.indices().iter().zip(found.distances()).take(k).map(|(i, d)| {
        let i = *i as usize;
        (table.paths().get(i).cloned().unwrap_or_default(), table.labels().get(i).cloned().flatten(), *d)
    });
    if args.json {
        let list: Vec<_> = list
            .map(|(path, label, distance)| serde_json::json!({ "path": path, "label": label, "distance": distance }))
            .collect();
        return text::print_json(&serde_json::json!({ "picture": args.picture, "neighbors": list }));
    }
    let rows: Vec<_> =
        list.map(|(path, label, d)| vec![format!("{d:.4}"), label.unwrap_or_default(), path]).collect();
    text::print(&text::table(&rows))
}
