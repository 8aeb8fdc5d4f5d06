//! Any bytes as the state of either principal component analysis: an error or a state that can be used.
#![no_main]

use fruitcore::pca::{CovariancePca, IncrementalPca, Keep, SketchPca};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(state) = CovariancePca::from_bytes(bytes) {
        exercise(&state, state.columns());
    }
    if let Ok(state) = SketchPca::from_bytes(bytes) {
        exercise(&state, state.columns());
    }
});

fn exercise<P: IncrementalPca>(state: &P, columns: usize) {
    let mut again = P::from_bytes(&state.to_bytes()).expect("what was written can be read");
    assert_eq!(state.count(), again.count());
    let _ = again.merge(state);
    if columns <= 64 {
        let _ = again.fit(Keep::Variance(0.9));
    }
}
