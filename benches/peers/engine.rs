//! This crate's side of `benches/peers/run.py`: runs a network as often as it is asked on standard
//! input, so that the script can alternate between engines.
//!
//! `peer_engine NETWORK WEIGHTS.safetensors INPUT.f32 FEATURES.f32 THREADS PRECISION [ISA]`: writes the features once,
//! then answers each line with the seconds one run over all pictures took, and `probe` with what the machine can do now.

#[path = "asked.rs"]
mod asked;
#[path = "probe.rs"]
mod probe;

use asked::Failure;
use fruitcore::featurize::kernels::{Isa, Plan, PlanOptions, Team, Workspace};
use fruitcore::featurize::network::{NetworkKind, NetworkSpec};
use fruitcore::featurize::weights::Checkpoint;
use std::{env, fs, sync::Mutex, thread, time::Instant};

/// Threads take one micro-batch after the other, as those of `NetworkFeaturizer::parallel` and of the driver do,
/// or all of them compute a single picture.
fn run(
    plan: &Plan,
    workspaces: &mut [Workspace],
    team: &mut Team,
    input: &[f32],
    features: &mut [f32],
) -> fruitcore::Result<()> {
    let picture: usize = plan.input_shape().iter().product();
    let n = input.len() / picture;
    if 2 * n <= team.threads() {
        return team.run(plan, input, features);
    }
    let share = n.div_ceil(workspaces.len()).min(plan.micro_batch());
    let work = Mutex::new(input.chunks(share * picture).zip(features.chunks_mut(share * plan.feature_len())));
    let take = || work.lock().expect("no panic").next();
    let serve = |workspace: &mut Workspace| -> fruitcore::Result<()> {
        while let Some((input, features)) = take() {
            plan.run(workspace, input, features)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let Some((own, others)) = workspaces.split_first_mut() else { return Ok(()) };
        let others: Vec<_> = others.iter_mut().map(|workspace| scope.spawn(|| serve(workspace))).collect();
        serve(own)?;
        others.into_iter().try_for_each(|t| t.join().expect("no panic"))
    })
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [network, weights, input, features, threads, precision, isa @ ..] = &args[..] else {
        return Err("usage: peer_engine NETWORK WEIGHTS INPUT FEATURES THREADS PRECISION [ISA]".into());
    };
    let kind: NetworkKind = network.parse()?;
    let start = Instant::now();
    let weights = Checkpoint::from_bytes(fs::read(weights)?)?;
    let mut options = PlanOptions::default();
    options.precision = precision.parse()?;
    for name in isa {
        let known = Isa::ALL.into_iter().find(|isa| isa.name() == name);
        options.isa = known.ok_or_else(|| format!("no instruction set {name:?}"))?;
    }
    let input = asked::floats(input)?;
    let graph = NetworkSpec::new(kind).graph()?;
    let n = input.len() / graph.input_shape().iter().product::<usize>();
    // A plan for what it will be given.
    options.micro_batch = options.micro_batch.min(n.max(1));
    let plan = Plan::new(&graph, &weights, &options)?;
    drop(weights);
    let threads: usize = threads.parse()?;
    let mut workspaces = (0..threads.max(1)).map(|_| plan.workspace()).collect::<Result<Vec<_>, _>>()?;
    let mut team = Team::new(threads.max(1))?;
    let mut out = vec![0.0; n * plan.feature_len()];
    eprintln!(
        "{network}: {}, loaded in {:.2} s, weights {} MB, workspace {} MB a thread",
        plan.arithmetic(),
        start.elapsed().as_secs_f64(),
        plan.weight_bytes() >> 20,
        plan.workspace_bytes() >> 20,
    );
    run(&plan, &mut workspaces, &mut team, &input, &mut out)?;
    fs::write(features, asked::bytes(&out, f32::to_le_bytes))?;
    asked::answers(|words| {
        if words == ["probe"] {
            return Ok(probe::rate(threads.max(1))?.to_string());
        }
        let start = Instant::now();
        run(&plan, &mut workspaces, &mut team, &input, &mut out)?;
        Ok(format!("{:.6}", start.elapsed().as_secs_f64()))
    })
}
