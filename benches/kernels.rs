//! Each network's plan on each instruction set of this processor and in each precision, one picture on
//! one thread, then
//! where the time goes: the fastest of twenty runs of each layer.
//!
//! `cargo bench --bench kernels`
use core::time::Duration;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use fruitcore::featurize::Precision;
use fruitcore::featurize::kernels::{Isa, Plan, PlanOptions};
use fruitcore::featurize::network::{NetworkKind, NetworkSpec};
use fruitcore::featurize::weights::RandomWeights;
use std::time::Instant;

fn plan(kind: NetworkKind, isa: Isa, precision: Precision) -> Plan {
    let graph = NetworkSpec::new(kind).graph().expect("a network");
    let mut options = PlanOptions::default();
    options.isa = isa;
    options.precision = precision;
    options.micro_batch = 1;
    Plan::new(&graph, &RandomWeights::new(&graph, 1), &options).expect("a plan")
}

fn networks(c: &mut Criterion) {
    let mut group = c.benchmark_group("plan");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    for &kind in NetworkKind::ALL {
        let supported = Isa::ALL.into_iter().filter(|isa| isa.is_supported());
        let reduced = Precision::CPU.iter().filter(|p| !p.is_full()).map(|&p| (Isa::best(), p));
        for (isa, precision) in supported.map(|isa| (isa, Precision::F32)).chain(reduced) {
            let plan = plan(kind, isa, precision);
            let mut workspace = plan.workspace().expect("memory");
            let input = vec![0.5; plan.input_shape().iter().product()];
            let mut features = vec![0.0; plan.feature_len()];
            group.bench_function(BenchmarkId::new(kind.name(), plan.arithmetic()), |b| {
                b.iter(|| plan.run(&mut workspace, &input, &mut features).expect("features"));
            });
        }
    }
    group.finish();
}

fn layers(_: &mut Criterion) {
    for &kind in NetworkKind::ALL {
        let plan = plan(kind, Isa::best(), Precision::F32);
        let mut workspace = plan.workspace().expect("memory");
        let input = vec![0.5; plan.input_shape().iter().product()];
        let mut features = vec![0.0; plan.feature_len()];
        let start = Instant::now();
        let mut profile =
            || plan.profile(&mut workspace, &input, &mut features, || start.elapsed().as_secs_f64());
        let mut best = profile().expect("a profile");
        for _ in 1..20 {
            for (best, layer) in best.iter_mut().zip(profile().expect("a profile")) {
                best.time = best.time.min(layer.time);
            }
        }
        println!("\n{} on {}", kind.name(), plan.isa().name());
        for l in best {
            let (ms, rate) = (l.time * 1e3, l.operations as f64 / l.time / 1e9);
            println!(
                "{:28} {:10} {:?} -> {:?} {ms:7.3} ms {rate:6.1} GFLOP/s",
                l.name, l.algorithm, l.from, l.to
            );
        }
    }
}

criterion_group!(benches, networks, layers);
criterion_main!(benches);
