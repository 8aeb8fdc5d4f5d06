//! Any bytes as a checkpoint of any format: an error, or tensors as long as their shapes say.
#![no_main]

use fruitcore::featurize::weights::{Checkpoint, WeightSource};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(checkpoint) = Checkpoint::from_bytes(bytes) {
        let found = checkpoint.inspect();
        let _ = found.to_string();
        for tensor in &found.tensors {
            let name = tensor.network_name.as_ref().unwrap_or(&tensor.name);
            if let Ok(values) = checkpoint.tensor(name, &tensor.shape) {
                assert_eq!(values.len(), tensor.shape.iter().product::<usize>());
            }
        }
    }
});
