//! Householder's reflectors.

/// Replaces `x` by `[·, v₁, …]` of the reflector that takes it to `[beta, 0, …]`; returns `beta` and
/// half the square of `v`. `x` is zero instead if the reflector is the identity.
pub(super) fn reflector(x: &mut [f64]) -> (f64, f64) {
    let Some((head, tail)) = x.split_first_mut() else { return (0.0, f64::INFINITY) };
    let mut tail_norm = libm::sqrt(squares(1.0, tail));
    if !(1e-140..1e140).contains(&tail_norm) {
        let largest = tail.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        if largest < f64::MIN_POSITIVE {
            let beta = *head;
            x.fill(0.0);
            return (beta, f64::INFINITY);
        }
        tail_norm = largest * libm::sqrt(squares(1.0 / largest, tail));
    }
    let beta = -libm::copysign(libm::hypot(*head, tail_norm), *head);
    let by = 1.0 / (*head - beta);
    tail.iter_mut().for_each(|v| *v *= by);
    let ratio = tail_norm * by;
    (beta, 0.5 * (1.0 + ratio * ratio))
}

/// The sum of `(x · by)²`, in lanes that don't wait for each other.
fn squares(by: f64, x: &[f64]) -> f64 {
    let mut lanes = [0.0; 16];
    let (whole, rest) = x.as_chunks::<16>();
    let mut add = |x: &[f64]| lanes.iter_mut().zip(x).for_each(|(lane, x)| *lane += (x * by) * (x * by));
    whole.iter().for_each(|x| add(x));
    add(rest);
    lanes.iter().sum()
}
