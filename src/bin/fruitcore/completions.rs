//! `fruitcore completions`.

use crate::{args::Cli, failure::Failure, text::print};
use clap::CommandFactory;
use clap_complete::Shell;

pub(crate) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "fruitcore", &mut script);
    print(&String::from_utf8_lossy(&script))
}
