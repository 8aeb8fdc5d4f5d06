//! `fruitcore profile`: where a network's time goes on this machine.

use crate::{
    args::{ProfileArgs, WeightsArg},
    failure::Failure,
    network,
    text::{self, counted},
};
use fruitcore::{
    featurize::kernels::{Amx, Isa},
    host::profile::{Layer, Profile, ProfileOptions, profile as measure},
};

pub(crate) fn profile(args: &ProfileArgs) -> Result<(), Failure> {
    let weights = args.weights.as_ref().unwrap_or(&WeightsArg::Random(0));
    let builder = network::shape(network::begin(args.json), &args.shape);
    let resolved = network::weighted(builder, Some(weights), args.tap).resolve()?;
    let mut options = ProfileOptions::default();
    options.batch = usize::from(args.batch);
    options.repeats = usize::from(args.repeats);
    options.isa = args.isa.unwrap_or(Isa::best());
    options.precision = args.precision;
    let found = measure(&resolved.network().graph()?, &*resolved.weights()?, &options)?;
    if args.json {
        return text::print_json(&serde_json::json!({ "network": resolved.network(), "profile": found }));
    }
    text::print(&format!("{}\n{}", resolved.network(), human(&found)))
}

fn human(p: &Profile) -> String {
    let mut out = format!(
        "{} on one thread, {} in micro-batches of {}, median of {}\n",
        p.arithmetic,
        counted(p.batch as u64, "picture", "pictures"),
        p.micro_batch,
        counted(p.repeats as u64, "run", "runs"),
    );
    out.push_str(&format!(
        "peak {:.1} GFLOP/s (f32 multiply-adds on registers), memory {:.1} GB/s\n\n",
        p.peak / 1e9,
        p.bandwidth / 1e9
    ));
    let head = [
        "layer",
        "algorithm",
        "input",
        "output",
        "ms",
        "GFLOP/s",
        "of peak",
        "floor, FLOP ms",
        "floor, bytes ms",
    ];
    let mut rows = vec![head.map(String::from).to_vec()];
    rows.extend(p.layers.iter().chain([&p.total]).map(row));
    out.push_str(&text::table(&rows));
    let each = p.total.seconds / p.batch as f64;
    out.push_str(&format!(
        "\n{:.2} ms a picture, {:.1} pictures/s on one core\n",
        1e3 * each,
        1.0 / each.max(1e-9)
    ));
    if !p.precision.is_full() {
        out.extend(Amx::here().note().map(|note| format!("{note}\n")));
    }
    out
}

fn row(l: &Layer) -> Vec<String> {
    let shape = |[c, h, w]: [usize; 3]| format!("{c}x{h}x{w}");
    // Pooling and rearranging have no operations worth counting.
    let worked = |text: String| if l.operations > 0 { text } else { "–".to_owned() };
    vec![
        l.name.clone(),
        l.algorithm.clone(),
        shape(l.from),
        shape(l.to),
        format!("{:.3}", 1e3 * l.seconds),
        worked(format!("{:.1}", l.rate / 1e9)),
        worked(format!("{:.0} %", 100.0 * l.of_peak)),
        worked(format!("{:.3}", 1e3 * l.floor_operations)),
        format!("{:.3}", 1e3 * l.floor_bytes),
    ]
}
