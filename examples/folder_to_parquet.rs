//! A folder of labelled pictures to features, components and a summary.
//!
//! ```sh
//! cargo run --release --features host --example folder_to_parquet -- PICTURES OUTPUT
//! ```
//!
//! Without arguments it renders its own pictures into a temporary folder. The network has random
//! weights here; `"imagenet"`, `"bundled"` or a checkpoint's path give features worth keeping.

use fruitcore::{
    Result,
    host::{demo::Fruits, driver::Control, setup::Setup},
    pca::Keep,
};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let scratch = std::env::temp_dir().join(format!("fruitcore-example-{}", std::process::id()));
    let own = |name: &str| scratch.join(name).to_string_lossy().into_owned();
    let input = match arguments.next() {
        Some(input) => input,
        None => {
            Fruits::new(7).write(&scratch.join("pictures"), 0..6)?;
            own("pictures")
        }
    };
    let output = arguments.next().unwrap_or_else(|| own("features"));

    let setup = Setup::builder().weights("random:7").width(0.35).recipe("keras-tf").input(96, 96).build()?;
    let mut options = setup.options()?;
    options.keep = Some(Keep::Variance(0.95));
    let run = setup.run(&input, &output)?.options(options);
    println!("{}", run.start(&Control::default())?);
    println!("in {output}");
    let _ = std::fs::remove_dir_all(scratch);
    Ok(())
}
