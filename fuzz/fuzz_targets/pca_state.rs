//! Any bytes as the state of a principal component analysis: an error or a state that can be used.
#![no_main]

use fruitcore::pca::{CovariancePca, IncrementalPca, Keep};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(mut state) = CovariancePca::from_bytes(bytes) {
        let again = CovariancePca::from_bytes(&state.to_bytes()).expect("what was written can be read");
        assert_eq!(state.count(), again.count());
        let _ = state.merge(&again);
        if state.columns() <= 64 {
            let _ = state.fit(Keep::Variance(0.9));
        }
    }
});
