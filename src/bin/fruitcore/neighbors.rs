//! `fruitcore neighbors`: what looks most like a picture, or like each of several.

use crate::{
    args::{NeighborsArgs, SearchName},
    failure::Failure,
    network,
    text::{self, counted},
};
use fruitcore::{
    Error, ErrorKind, Stage,
    host::{
        driver::{Control, Driver, Limits, Wanted},
        neighbors::{Graph, Neighbors, nearest},
        rows::{Column, RowFiles, encode_columns},
        setup::Fitted,
        sink::{Content, Format, Table},
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
        part_size: 64,
        limit: None,
        strict: true,
        count_ahead: false,
    };
    let (mut pictures, mut queries) = (Vec::new(), Vec::new());
    driver.run(source, &Control::default(), &|_| Wanted::Compute, &mut |part| {
        if let Some(output) = part.output {
            let components = fitted.components(&output.table)?;
            pictures.extend_from_slice(components.paths());
            queries.extend_from_slice(components.values());
        }
        Ok(())
    })?;
    if pictures.is_empty() {
        let m = "no picture found; check the path";
        return Err(Error::new(ErrorKind::NotFound, Stage::Source, m).at(&args.picture).into());
    }
    let table = files.table()?;
    let k = (args.top as usize).min(table.len());
    let rows = Rows::new(table.values(), table.columns())?;
    let queries = Rows::new(&queries, fitted.projection()?.kept())?;
    let found = look(rows, queries, k, args.search)?;
    let list = List::new(&pictures, &table, &found);
    let format = args.format.format();
    list.write(&files, &format)?;
    if args.json {
        return text::print_json(&serde_json::json!({ "neighbors": list.json() }));
    }
    text::print(&text::table(&list.shown(pictures.len() > 1)))?;
    eprintln!("written: {}/neighbors.{}", files.store().describe(), format.extension());
    Ok(())
}

/// From so many rows and pictures on a graph is built sooner than every pair is looked at.
const ROWS: usize = 1_000_000;
const PICTURES: usize = 100_000;
/// Pictures that are looked for exactly as well, to tell what the graph misses.
const SAMPLE: usize = 200;

fn look(rows: Rows<'_>, queries: Rows<'_>, k: usize, how: SearchName) -> fruitcore::Result<Neighbors> {
    let large = rows.len() >= ROWS && queries.len() >= PICTURES;
    if how == SearchName::Exact || how == SearchName::Auto && !large {
        return nearest(rows, queries, k);
    }
    let found = Graph::new(rows)?.nearest(queries, k)?;
    let sample = queries.len().min(SAMPLE);
    eprintln!(
        "looked for by a graph over {}: {:.1} % of the nearest were found, on {}",
        counted(rows.len() as u64, "row", "rows"),
        100.0 * found.recall(rows, queries, sample)?,
        counted(sample as u64, "picture", "pictures"),
    );
    Ok(found)
}

/// One row for each neighbour of each picture, as columns.
#[derive(Default)]
struct List {
    pictures: Vec<String>,
    ranks: Vec<i32>,
    paths: Vec<String>,
    labels: Vec<Option<String>>,
    distances: Vec<f32>,
}

impl List {
    fn new(pictures: &[String], table: &Table, found: &Neighbors) -> Self {
        let mut list = Self::default();
        let k = found.k();
        let all = found.indices().iter().zip(found.distances());
        for (at, (i, distance)) in all.enumerate() {
            let i = *i as usize;
            list.pictures.push(pictures.get(at / k).cloned().unwrap_or_default());
            list.ranks.push((at % k) as i32 + 1);
            list.paths.push(table.paths().get(i).cloned().unwrap_or_default());
            list.labels.push(table.labels().get(i).cloned().flatten());
            list.distances.push(*distance);
        }
        list
    }

    fn write(&self, files: &RowFiles, format: &Format) -> fruitcore::Result<()> {
        let columns = [
            ("picture", Column::Text(&self.pictures)),
            ("rank", Column::Integers(&self.ranks)),
            ("path", Column::Text(&self.paths)),
            ("label", Column::OptionalText(&self.labels)),
            ("distance", Column::Reals(&self.distances)),
        ];
        let name = format!("neighbors.{}", format.extension());
        files.store().put(&name, &encode_columns(&columns, format)?)
    }

    fn json(&self) -> Vec<serde_json::Value> {
        let rest = self.paths.iter().zip(&self.labels).zip(&self.distances);
        let rows = self.pictures.iter().zip(&self.ranks).zip(rest);
        rows.map(|((picture, rank), ((path, label), distance))| {
            serde_json::json!({
                "picture": picture, "rank": rank, "path": path, "label": label, "distance": distance
            })
        })
        .collect()
    }

    fn shown(&self, several: bool) -> Vec<Vec<String>> {
        let rest = self.labels.iter().zip(&self.distances);
        let rows = self.pictures.iter().zip(&self.paths).zip(rest);
        rows.map(|((picture, path), (label, distance))| {
            let row = [format!("{distance:.4}"), label.clone().unwrap_or_default(), path.clone()];
            several.then(|| picture.clone()).into_iter().chain(row).collect()
        })
        .collect()
    }
}
