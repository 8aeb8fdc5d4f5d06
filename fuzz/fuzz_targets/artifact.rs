//! Any bytes as a pipeline artifact: an error or a file that says the same twice.
#![no_main]

use fruitcore::{featurize::weights::WeightSource, pipeline::PipelineFile};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(file) = PipelineFile::from_bytes(bytes) {
        let projection = file.projection();
        assert_eq!(projection.components().len(), projection.kept() * projection.columns());
        let _ = (file.to_string(), file.names());
    }
});
