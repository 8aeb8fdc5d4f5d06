//! `fruitcore precision`: what a reduced precision gives and costs.

use crate::{
    args::PrecisionArgs,
    failure::Failure,
    network, progress, stages,
    text::{self, counted},
};
use fruitcore::{
    featurize::kernels::Amx,
    host::{
        driver::Control,
        precision::{Compare, Comparison, Effect},
        setup::Fitted,
    },
};
use std::path::Path;

pub(crate) fn precision(args: &PrecisionArgs) -> Result<(), Failure> {
    let mut compare = Compare::default();
    if !args.precisions.is_empty() {
        compare.precisions = args.precisions.iter().copied().filter(|p| !p.is_full()).collect();
    }
    compare.components = usize::from(args.components);
    compare.source = args.source.options();
    compare.limit = args.source.limit.unwrap_or(compare.limit);
    compare.limits = stages::limits(&args.work, compare.limits);
    let shape = &args.shape;
    let given = args.weights.is_some() || args.tap.is_some() || shape.network.is_some();
    let given = given || shape.variant.is_some() || shape.width.is_some() || shape.input_size.is_some();
    let control = Control::default();
    let input = &args.source.input;
    compare.count_ahead = progress::count_ahead(input, args.quiet);
    let found = progress::watch(&control, args.quiet, || {
        if given {
            let setup = |precision| {
                let builder = network::shape(network::begin(args.json), shape).precision(precision);
                network::weighted(builder, args.weights.as_ref(), args.tap).build()
            };
            return compare.network(input, &setup, &control);
        }
        let model = Fitted::open(args.model.as_deref().unwrap_or(Path::new("bundled")))?;
        compare.fitted(input, &model, &control)
    });
    let found = found.map_err(|e| progress::explain(e, &control, false))?;
    if args.json {
        return text::print_json(&found);
    }
    text::print(&human(&found))
}

fn human(c: &Comparison) -> String {
    let mut out = format!("{}\n{}", c.network, counted(c.pictures, "picture", "pictures"));
    if c.rejected > 0 {
        out.push_str(&format!(", {} rejected", c.rejected));
    }
    out.push_str("\n\n");
    let mut head: Vec<String> =
        ["precision", "by", "ms a picture", "speed", "feature error", "worst picture"]
            .map(String::from)
            .to_vec();
    if c.components > 0 {
        head.push(format!("angle of {} components", c.components));
    }
    let Some(full) = c.effects.first() else { return out };
    head.extend(full.agreement.keys().map(|name| format!("{name}: same class")));
    head.extend(full.accuracy.keys().map(|name| format!("{name}: right")));
    let mut rows = vec![head];
    rows.extend(c.effects.iter().map(|e| row(e, full, c.components > 0)));
    out.push_str(&text::table(&rows));
    out.push_str(
        "\nms of one core in the network with all workers busy; errors relative to f32; angle in rad\n",
    );
    out.extend(Amx::here().note().map(|note| format!("{note}\n")));
    out
}

fn row(e: &Effect, full: &Effect, angle: bool) -> Vec<String> {
    // Nothing to tell of f32 beside itself.
    let beside = |text: String| if e.precision == full.precision { "–".to_owned() } else { text };
    let percent = |share: &f64| format!("{:.1} %", 100.0 * share);
    let mut row = vec![
        e.precision.to_string(),
        e.arithmetic.clone(),
        format!("{:.2}", 1e3 * e.seconds),
        format!("{:.2}x", full.seconds / e.seconds.max(1e-12)),
        beside(format!("{:.1e}", e.error)),
        beside(format!("{:.1e}", e.worst_error)),
    ];
    if angle {
        row.push(beside(e.angle.map_or_else(|| "–".to_owned(), |a| format!("{a:.4}"))));
    }
    row.extend(e.agreement.values().map(|share| beside(percent(share))));
    row.extend(e.accuracy.values().map(percent));
    row
}
