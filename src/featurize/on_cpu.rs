//! A [`Plan`] behind a featurizer: on the caller's thread, by a team, or divided among threads.

use super::SliceFeaturizer;
use super::kernels::{Plan, Shared};
#[cfg(feature = "std")]
use super::teams::Teams;
use crate::Result;
#[cfg(feature = "rayon")]
use crate::under_way::UnderWay;

/// A plan, with what is kept between its calls.
pub(super) struct OnCpu {
    shared: Shared,
    #[cfg(feature = "std")]
    teams: Teams,
    /// Calls that share rayon's threads.
    #[cfg(feature = "rayon")]
    parallel: Option<UnderWay>,
}

impl OnCpu {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            shared: Shared::new(plan),
            #[cfg(feature = "std")]
            teams: Teams::default(),
            #[cfg(feature = "rayon")]
            parallel: None,
        }
    }

    /// From now on calls that name no number of threads use rayon's.
    #[cfg(feature = "rayon")]
    pub(super) fn parallel(&mut self) {
        self.parallel = Some(UnderWay::default());
    }

    pub(super) fn plan(&self) -> &Plan {
        self.shared.plan()
    }

    /// Frees what waits for the next call: workspaces, and threads with theirs.
    pub(super) fn release(&self) {
        self.shared.release();
        #[cfg(feature = "std")]
        self.teams.release();
    }

    /// As many threads as a call that names none may use.
    pub(super) fn threads(&self) -> usize {
        #[cfg(feature = "rayon")]
        if self.parallel.is_some() {
            return rayon::current_num_threads();
        }
        1
    }

    /// Features by as many threads as there are for this call.
    pub(super) fn run(&self, pictures: &[f32], features: &mut [f32]) -> Result<()> {
        #[cfg(feature = "rayon")]
        if let Some(calls) = &self.parallel {
            let _call = calls.begin();
            return self.featurize_into(pictures, features, (self.threads() / calls.count()).max(1));
        }
        self.shared.run(pictures, features)
    }

    #[cfg(feature = "rayon")]
    fn divided(&self, pictures: &[f32], features: &mut [f32], share: usize) -> Result<()> {
        use rayon::prelude::*;
        let plan = self.plan();
        let share = share.clamp(1, plan.micro_batch());
        pictures
            .par_chunks(share * plan.input_shape().iter().product::<usize>().max(1))
            .zip(features.par_chunks_mut(share * plan.feature_len()))
            .try_for_each(|(pictures, features)| self.shared.run(pictures, features))
    }
}

impl SliceFeaturizer for OnCpu {
    fn micro_batch(&self) -> usize {
        self.plan().micro_batch()
    }

    fn featurize_into(&self, pictures: &[f32], features: &mut [f32], threads: usize) -> Result<()> {
        #[cfg(feature = "std")]
        if threads > 1 && !pictures.is_empty() {
            let n = self.plan().count(pictures, features)?;
            if 2 * n <= threads
                && let Some(done) = self.teams.run(threads, self.plan(), pictures, features)
            {
                return done;
            }
            // In a pool of one thread, shares would only be smaller.
            #[cfg(feature = "rayon")]
            if rayon::current_num_threads() > 1 {
                return self.divided(pictures, features, n.div_ceil(threads));
            }
        }
        let _ = threads;
        self.shared.run(pictures, features)
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::super::kernels::PlanOptions;
    use super::super::network::{NetworkKind, NetworkSpec};
    use super::super::weights::RandomWeights;
    use super::*;
    use alloc::{vec, vec::Vec};

    const PICTURE: usize = 3 * 32 * 32;

    fn network() -> OnCpu {
        let graph = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(32, 32).graph().unwrap();
        OnCpu::new(Plan::new(&graph, &RandomWeights::new(&graph, 3), &PlanOptions::default()).unwrap())
    }

    fn pictures(n: usize) -> Vec<f32> {
        (0..n * PICTURE).map(|i| (i * 31 % 255) as f32 / 128.0 - 1.0).collect()
    }

    #[test]
    fn threads_change_no_bit() {
        let network = network();
        let input = pictures(9);
        let mut expected = vec![0.0; 9 * 1280];
        network.run(&input, &mut expected).unwrap();
        for threads in [1, 2, 3, 5] {
            for n in [1, 2, 9] {
                let mut found = vec![0.0; n * 1280];
                network.featurize_into(&input[..n * PICTURE], &mut found, threads).unwrap();
                assert_eq!(found, expected[..n * 1280], "{n} pictures by {threads}");
            }
        }
        // Teams of 2, 3 and 5, one call at a time.
        assert_eq!(network.teams.idle(), [5]);
        network.release();
        assert!(network.teams.idle().is_empty());
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused_by_any_number_of_threads() {
        let network = network();
        for threads in [1, 2, 64] {
            let e = network.featurize_into(&pictures(1), &mut [0.0; 7], threads).unwrap_err();
            assert_eq!(e.kind(), crate::ErrorKind::Shape);
        }
    }

    #[cfg(feature = "rayon")]
    #[test]
    fn calls_that_name_no_threads_share_those_of_rayon() {
        let mut network = network();
        network.parallel();
        let (input, mut expected) = (pictures(5), vec![0.0; 5 * 1280]);
        network.shared.run(&input, &mut expected).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
        for n in [1, 2, 5] {
            let mut found = vec![0.0; n * 1280];
            pool.install(|| network.run(&input[..n * PICTURE], &mut found)).unwrap();
            assert_eq!(found, expected[..n * 1280]);
        }
        assert_eq!(network.teams.idle(), [4]);
        // Beside another call, half of them are left.
        let other = network.parallel.as_ref().unwrap().begin();
        pool.install(|| network.run(&input[..PICTURE], &mut vec![0.0; 1280])).unwrap();
        assert_eq!(network.teams.idle(), [2]);
        drop(other);
    }
}
