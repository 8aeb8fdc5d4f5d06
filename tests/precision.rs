//! What bf16 and int8 make of the model in the box, on the pictures that `fruitcore demo` renders: features within 2e-2
//! of `f32`, 50 components within 0.05 rad, the same answers.
#![cfg(all(feature = "bundled", feature = "host", feature = "flex"))]

use fruitcore::featurize::Precision;
use fruitcore::host::{demo::Fruits, driver::Control, precision::Compare, setup::Fitted};

#[test]
fn features_components_and_answers_stay() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = Fruits::new(42).write(folder.path(), 0..10).unwrap();
    let model = Fitted::open("bundled").unwrap();
    let found =
        Compare::default().fitted(&folder.path().to_string_lossy(), &model, &Control::default()).unwrap();
    assert_eq!((found.pictures, found.rejected, found.components), (pictures, 0, 50));
    let precisions: Vec<_> = found.effects.iter().map(|effect| effect.precision).collect();
    assert_eq!(precisions, [Precision::F32, Precision::Bf16, Precision::Int8]);
    for effect in &found.effects[1..] {
        let (by, angle) = (&effect.arithmetic, effect.angle.unwrap());
        let (error, worst) = (effect.error, effect.worst_error);
        println!(
            "{by}: error {error:.1e}, worst {worst:.1e}, angle {angle:.3}, same answers {:?}",
            effect.agreement
        );
        // Something was rounded, and not by much.
        assert!((1e-4..=2e-2).contains(&error) && worst <= 2e-2, "{by}: error {error:e}, worst {worst:e}");
        assert!((1e-4..=0.05).contains(&angle), "{by}: {angle} rad");
        assert_eq!(effect.agreement.len(), 2);
        for (head, same) in &effect.agreement {
            assert!(*same >= 0.97, "{by}: {same} of the answers of {head}");
        }
    }
}
