//! The command line tool as its users meet it: arguments, files, messages and exit statuses.
#![cfg(feature = "cli")]
mod bad_input;
mod bucket;
mod classify;
mod cloud;
mod demo;
mod explore;
mod help;
mod interrupt;
mod kinds;
mod model;
mod precision;
mod profile;
mod real;
mod report;
mod run;
#[path = "../source/server.rs"]
mod server;
mod shards;
mod support;
mod train;
mod transform;
mod weights;
