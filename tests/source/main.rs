//! Sources: listing order, names, labels, archives, stores, and what goes wrong with each.
#![cfg(feature = "host")]
mod archive;
#[cfg(all(feature = "http", feature = "aws"))]
mod cloud;
mod local;
#[cfg(all(feature = "http", feature = "aws"))]
mod server;
mod store;

use fruitcore::{
    Error, Result,
    host::source::{Object, Source},
};
use futures::StreamExt;

/// Runs `work` on a runtime, as the driver does.
fn on_runtime<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}

/// Everything a source lists, in order.
async fn items(source: &dyn Source) -> Vec<Result<Object>> {
    source.list().collect().await
}

/// The objects of a source that lists without errors.
async fn objects(source: &dyn Source) -> Vec<Object> {
    items(source).await.into_iter().collect::<Result<_>>().unwrap()
}

fn paths(objects: &[Object]) -> Vec<&str> {
    objects.iter().map(|o| o.path.as_str()).collect()
}

/// Objects and errors apart.
fn apart(items: Vec<Result<Object>>) -> (Vec<Object>, Vec<Error>) {
    let (good, bad): (Vec<_>, Vec<_>) = items.into_iter().partition(Result::is_ok);
    (good.into_iter().map(Result::unwrap).collect(), bad.into_iter().map(Result::unwrap_err).collect())
}
