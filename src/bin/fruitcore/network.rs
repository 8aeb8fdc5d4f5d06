//! From options to the library's setup: a network with its weights, its preprocessing and its device.

use crate::{
    args::{DeviceArg, InputSize, NetworkArgs, PlaceArgs, ShapeArgs, WeightsArg},
    failure::Failure,
    weights,
};
use burn::tensor::Device;
use core::ops::ControlFlow;
use fruitcore::featurize::network::Tap;
use fruitcore::host::{
    setup::{RecipeFrom, Setup, SetupBuilder},
    weights::{Entry, Progress},
};
use indicatif::ProgressBar;

/// What `run` is asked for.
pub(crate) fn setup(args: &NetworkArgs, quiet: bool) -> Result<Setup, Failure> {
    let builder = place(shape(begin(quiet), &args.shape), &args.place)?.precision(args.precision);
    Ok(weighted(builder, args.weights.as_ref(), args.tap).build()?)
}

/// A builder with the weights and the tap that were asked for.
pub(crate) fn weighted<'a>(
    mut builder: SetupBuilder<'a>,
    weights: Option<&WeightsArg>,
    tap: Option<Tap>,
) -> SetupBuilder<'a> {
    if let Some(weights) = weights {
        builder = builder.weights(weights.clone());
    }
    match tap {
        Some(tap) => builder.tap(tap),
        None => builder,
    }
}

/// A builder with the network that was asked for.
pub(crate) fn shape<'a>(mut builder: SetupBuilder<'a>, args: &ShapeArgs) -> SetupBuilder<'a> {
    if let Some(kind) = args.network {
        builder = builder.network(kind);
    }
    if let Some(variant) = args.variant {
        builder = builder.variant(variant);
    }
    if let Some(width) = args.width {
        builder = builder.width(width);
    }
    match args.input_size {
        Some(InputSize([h, w])) => builder.input(h, w),
        None => builder,
    }
}

/// A builder with the preprocessing and the device that were asked for.
pub(crate) fn place<'a>(builder: SetupBuilder<'a>, args: &PlaceArgs) -> Result<SetupBuilder<'a>, Failure> {
    let builder = builder.device(device(args.device)?);
    Ok(match args.recipe.as_deref() {
        Some(recipe) => builder.recipe(RecipeFrom::from(recipe)),
        None => builder,
    })
}

/// A builder that shows a bar while it fetches.
pub(crate) fn begin<'a>(quiet: bool) -> SetupBuilder<'a> {
    let mut bar = None;
    Setup::builder().on_fetch(move |entry, progress| {
        if !quiet {
            tell(&mut bar, entry, progress);
        }
        ControlFlow::Continue(())
    })
}

fn tell(bar: &mut Option<ProgressBar>, entry: &Entry, progress: Progress) {
    let bar = bar.get_or_insert_with(|| {
        eprintln!("fetching {}\n  {}", entry.name, entry.licence);
        weights::download_bar(progress.total)
    });
    bar.set_position(progress.received);
    if progress.total == Some(progress.received) {
        bar.finish_and_clear();
    }
}

#[allow(deprecated, reason = "kept working for those who already use it")]
pub(crate) fn device(device: DeviceArg) -> Result<Device, Failure> {
    match device {
        DeviceArg::Flex => Ok(Device::flex()),
        #[cfg(feature = "ndarray")]
        DeviceArg::Ndarray => Ok(Device::ndarray()),
        #[cfg(feature = "wgpu")]
        DeviceArg::Wgpu => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        #[allow(unreachable_patterns)]
        DeviceArg::Ndarray | DeviceArg::Wgpu => {
            let name = if device == DeviceArg::Wgpu { "wgpu" } else { "ndarray" };
            Err(Failure::usage(format!(
                "this build has no device {name}; install fruitcore with --features cli,{name}, or use --device flex"
            )))
        }
    }
}
