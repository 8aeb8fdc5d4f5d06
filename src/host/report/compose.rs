//! Puts what is known of an output together as the page's data.

use super::{
    ReportInfo, ReportOptions, RowFiles, Step,
    classes::Classes,
    facts::{by_class, clusters, cross, facts, subtitle},
    figures,
    gallery::Ask,
    json::{Data, Rejects},
    known::Known,
    page::{base64_of, page},
    points::{Names, colours, components_plane, near, views},
    predictions,
};
use crate::{
    Result,
    host::{sample::sample, summary::count},
    pca::Rows,
};
use alloc::{format, string::String, string::ToString, vec::Vec};

pub(super) fn write(
    files: &RowFiles,
    options: &ReportOptions,
    known: Known,
    found: predictions::Found,
    progress: &mut (dyn FnMut(Step) + Send),
) -> Result<ReportInfo> {
    let Known { table, summary, clustering, map, rejects, mut notes } = known;
    let (n, d) = (table.len(), table.columns());
    let drawn = sample(n, options.points.max(1), 0);
    if drawn.len() < n {
        notes.push(format!(
            "{} of {} points are drawn, a random sample; all tables count all of them",
            count(drawn.len() as u64),
            count(n as u64)
        ));
    }
    let classes = Classes::of(&table);
    match classes.names.len() {
        0 => notes.push(String::from("no labels: nothing is coloured by class")),
        1 => notes.push(String::from("one class only: agreement of clusters and classes says nothing")),
        _ => {}
    }
    let cluster_of: Vec<Option<u32>> = clustering.clusters.iter().map(|c| u32::try_from(*c).ok()).collect();
    let cluster_names: Vec<String> = (0..clustering.summary.k).map(|c| c.to_string()).collect();
    notes.extend(found.note);
    let predicted = found.predictions.as_ref();

    progress(Step::Pictures);
    let ask = Ask {
        options,
        table: &table,
        summary: summary.as_ref(),
        classes: &classes,
        predictions: predicted,
        drawn: &drawn,
    };
    let pictures = ask.pictures()?;
    notes.extend(pictures.notes);

    progress(Step::Page);
    let plane = components_plane(files, &table)?;
    let ratios = summary.as_ref().map(|s| s.explained_variance_ratio.clone()).unwrap_or_default();
    let near = near(Rows::new(table.values(), d)?, &drawn, &pictures.tile, options.thumbnails)?;
    let matrix = (!classes.is_empty()).then(|| {
        let pairs = classes.of.iter().copied().zip(cluster_of.iter().copied());
        by_class(classes.owned(), &cluster_names, cross(pairs))
    });
    let confusions = found.classifier.as_ref().map(|c| &c.confusions[..]).unwrap_or_default();
    let shown = figures::Shown {
        plane: &plane,
        map: map.as_ref(),
        classes: &classes,
        clusters: (&cluster_names, &cluster_of),
        ratios: &ratios,
        cluster_matrix: matrix.as_ref(),
        confusion: confusions.first().map(|c| &c.matrix),
    };
    let (figures, left_out) = figures::write(files, &shown)?;
    notes.extend(left_out);
    notes.extend(map.iter().flat_map(|m| m.summary.notes.iter().cloned()));

    let names = Names::of(table.paths(), &drawn);
    let title = format!("fruitcore report: {}", files.target());
    let data = Data {
        title: title.clone(),
        subtitle: subtitle(summary.as_ref(), n, d),
        facts: facts(summary.as_ref(), n, d, classes.names.len()),
        classes: classes.owned(),
        rows: n,
        n: drawn.len(),
        dirs: names.dirs,
        dir: base64_of(&names.dir),
        files: names.files,
        views: views(&plane, map.as_ref(), &ratios, &drawn),
        colours: colours(&classes, (&cluster_names, &cluster_of), predicted, &drawn),
        thumbs: pictures.thumbs,
        near,
        scree: ratios,
        clusters: clusters(&clustering.summary, matrix),
        classifier: found.classifier,
        gallery: pictures.gallery,
        gazes: pictures.gazes,
        rejects: rejects.filter(|r| r.0 > 0).map(|(total, rows)| Rejects { total, rows }),
        timings: summary.as_ref().map(|s| s.seconds.clone().into_iter().collect()).unwrap_or_default(),
        options: summary.as_ref().map(|s| s.options.clone().into_iter().collect()).unwrap_or_default(),
        figures: figures.clone(),
        made: format!("fruitcore {}", env!("CARGO_PKG_VERSION")),
        notes: notes.clone(),
        counts: classes.counts,
    };
    let html = page(&title, &data)?;
    files.store().put(&options.file, html.as_bytes())?;
    Ok(ReportInfo {
        file: options.file.clone(),
        bytes: html.len(),
        rows: n,
        points: drawn.len(),
        thumbnails: pictures.thumbnails,
        gazes: data.gazes.as_ref().map_or(0, |g| g.items.len()),
        figures,
        notes,
    })
}
