//! Any bytes as a pipeline artifact or a trained model: an error or a file that says the same twice.
#![no_main]

use fruitcore::{featurize::weights::WeightSource, model::ModelFile, pipeline::PipelineFile};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(file) = PipelineFile::from_bytes(bytes) {
        let projection = file.projection();
        assert_eq!(projection.components().len(), projection.kept() * projection.columns());
        let _ = (file.to_string(), file.names());
    }
    if let Ok(file) = ModelFile::from_bytes(bytes) {
        assert!(ModelFile::is_model(bytes));
        let columns = file.network().feature_len().expect("a network that was checked");
        if let Ok(heads) = file.heads() {
            assert!(heads.iter().all(|head| head.columns() == columns));
        }
    }
});
