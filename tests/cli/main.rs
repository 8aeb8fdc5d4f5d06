//! The command line tool as its users meet it: arguments, files, messages and exit statuses.
#![cfg(feature = "cli")]
mod bad_input;
mod demo;
mod help;
mod interrupt;
mod real;
mod run;
mod shards;
mod support;
mod transform;
mod weights;
