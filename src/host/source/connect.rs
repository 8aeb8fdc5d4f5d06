//! From a URL to the store behind it, with settings from options and environment.

use super::{SourceOptions, errors};
use crate::{ErrorKind, Result};
use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
};
use object_store::{ObjectStore, path::Path};
use url::Url;

/// Which service a URL names; decides the listing order and the advice in messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "each comes with a feature")]
pub(crate) enum Service {
    S3,
    Google,
    Azure,
    Http,
    /// A store handed in by the program.
    Given,
}

/// A store, the location in it, and what it is.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) service: Service,
    /// Whether the store's plain listing is in byte order of the keys.
    pub(super) ordered: bool,
}

impl Connection {
    /// A store whose order isn't known.
    pub(super) fn given(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, service: Service::Given, ordered: false }
    }
}

/// Opens the store of `url`.
pub(super) fn connect(url: &Url, options: &SourceOptions) -> Result<(Connection, Path)> {
    let bad = |why: String| errors::new(ErrorKind::InvalidArgument, why).at(public(url));
    if url.query().is_some() {
        return Err(bad("URLs with a query (signed URLs) are not read; use the store's own scheme".into()));
    }
    if let Some(store) = &options.store {
        let path = Path::from_url_path(url.path()).map_err(|e| bad(format!("{e}")).because(e))?;
        return Ok((Connection::given(store.clone()), path));
    }
    if url.scheme() == "memory" {
        return Err(bad("memory:// reads a store of this program; put it into SourceOptions::store".into()));
    }
    let (scheme, path) = object_store::ObjectStoreScheme::parse(url).map_err(|e| {
        bad(format!("is no URL of a known kind ({e}); use s3://, gs://, az://, http://, https:// or file://"))
    })?;
    let (store, service) = build(&scheme, url, options)?;
    // Directory buckets of S3 Express list in an order of their own.
    let ordered = match service {
        Service::S3 => !url.host_str().is_some_and(|bucket| bucket.contains("--x-s3")),
        Service::Google | Service::Azure => true,
        Service::Http | Service::Given => false,
    };
    Ok((Connection { store, service, ordered }, path))
}

/// The URL as far as messages may show it.
pub(super) fn public(url: &Url) -> String {
    let mut url = url.clone();
    // Schemes without authority have neither, so a refusal is fine.
    let _ = url.set_password(None);
    url.set_query(None);
    url.to_string()
}

#[cfg(any(feature = "aws", feature = "gcp", feature = "azure", feature = "http"))]
mod cloud {
    use super::*;
    use object_store::{BackoffConfig, ClientOptions, RetryConfig};

    /// Settings of one service: environment variables first, then the options, keys in lower case.
    #[cfg(any(feature = "aws", feature = "gcp", feature = "azure"))]
    pub(super) fn settings(prefix: &str, options: &SourceOptions) -> alloc::vec::Vec<(String, String)> {
        let environment = std::env::vars_os().filter_map(|(key, value)| {
            let (key, value) = (key.into_string().ok()?, value.into_string().ok()?);
            (!prefix.is_empty() && key.starts_with(prefix)).then(|| (key.to_ascii_lowercase(), value))
        });
        let given =
            options.store_options.iter().map(|(key, value)| (key.to_ascii_lowercase(), value.clone()));
        environment.chain(given).collect()
    }

    pub(super) fn retry(options: &SourceOptions) -> RetryConfig {
        let retry = options.retry;
        let attempts = u32::try_from(retry.attempts).unwrap_or(u32::MAX);
        RetryConfig {
            backoff: BackoffConfig {
                init_backoff: retry.pause,
                max_backoff: retry.max_pause.max(retry.pause),
                base: 2.0,
            },
            max_retries: retry.attempts.saturating_sub(1),
            retry_timeout: retry.timeout.saturating_mul(attempts),
        }
    }

    pub(super) fn client(options: &SourceOptions) -> ClientOptions {
        let timeout = options.retry.timeout;
        ClientOptions::new()
            .with_timeout(timeout)
            .with_connect_timeout(timeout.min(core::time::Duration::from_secs(10)))
    }

    /// A plain-http endpoint is allowed where the user names one.
    #[cfg(any(feature = "aws", feature = "gcp", feature = "azure"))]
    pub(super) fn plain_endpoint(settings: &[(String, String)]) -> bool {
        let names_it = |key: &str| key.contains("endpoint") || key.contains("base_url");
        settings.iter().any(|(key, value)| names_it(key) && value.starts_with("http://"))
    }
}

/// Applies the settings a builder knows and refuses the options it doesn't; unknown environment
/// variables are none of its business.
#[cfg(any(feature = "aws", feature = "gcp", feature = "azure"))]
macro_rules! configured {
    ($builder:expr, $settings:expr, $url:expr, $options:expr) => {{
        let mut builder = $builder.with_url($url.to_string());
        for (key, value) in &$settings {
            match key.parse() {
                Ok(known) => builder = builder.with_config(known, value),
                Err(_) if $options.store_options.iter().any(|(given, _)| given.eq_ignore_ascii_case(key)) => {
                    return Err(errors::new(
                        ErrorKind::InvalidArgument,
                        format!("`{key}` is no setting of this store; see the object_store documentation"),
                    )
                    .at(public($url)));
                }
                Err(_) => {}
            }
        }
        builder.with_retry(cloud::retry($options))
    }};
}

#[allow(unused_variables, reason = "which are used depends on the features")]
fn build(
    scheme: &object_store::ObjectStoreScheme,
    url: &Url,
    options: &SourceOptions,
) -> Result<(Arc<dyn ObjectStore>, Service)> {
    match scheme {
        #[cfg(feature = "aws")]
        object_store::ObjectStoreScheme::AmazonS3 => {
            let settings = cloud::settings("AWS_", options);
            let client = cloud::client(options).with_allow_http(cloud::plain_endpoint(&settings));
            let builder = object_store::aws::AmazonS3Builder::new().with_client_options(client);
            let store = configured!(builder, settings, url, options).build();
            let store = store.map_err(|e| errors::store(e, Service::S3).at(public(url)))?;
            Ok((Arc::new(store), Service::S3))
        }
        #[cfg(feature = "gcp")]
        object_store::ObjectStoreScheme::GoogleCloudStorage => {
            let settings = cloud::settings("GOOGLE_", options);
            let client = cloud::client(options).with_allow_http(cloud::plain_endpoint(&settings));
            let builder = object_store::gcp::GoogleCloudStorageBuilder::new().with_client_options(client);
            let store = configured!(builder, settings, url, options).build();
            let store = store.map_err(|e| errors::store(e, Service::Google).at(public(url)))?;
            Ok((Arc::new(store), Service::Google))
        }
        #[cfg(feature = "azure")]
        object_store::ObjectStoreScheme::MicrosoftAzure => {
            let settings = cloud::settings("AZURE_", options);
            let client = cloud::client(options).with_allow_http(cloud::plain_endpoint(&settings));
            let builder = object_store::azure::MicrosoftAzureBuilder::new().with_client_options(client);
            let store = configured!(builder, settings, url, options).build();
            let store = store.map_err(|e| errors::store(e, Service::Azure).at(public(url)))?;
            Ok((Arc::new(store), Service::Azure))
        }
        #[cfg(feature = "http")]
        object_store::ObjectStoreScheme::Http => {
            let client = cloud::client(options).with_allow_http(url.scheme() == "http");
            let mut origin = url.clone();
            origin.set_path("/");
            let store = object_store::http::HttpBuilder::new()
                .with_url(origin.to_string())
                .with_client_options(client)
                .with_retry(cloud::retry(options))
                .build();
            let store = store.map_err(|e| errors::store(e, Service::Http).at(public(url)))?;
            Ok((Arc::new(store), Service::Http))
        }
        _ => Err(errors::new(
            ErrorKind::Unsupported,
            "this build has no support for such URLs; enable the feature aws, gcp, azure or http",
        )
        .at(public(url))),
    }
}
