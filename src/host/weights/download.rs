//! One file over HTTP into a `.part` file, resumed where an earlier attempt ended.

use super::cache::{Progress, with_suffix};
use super::{OnProgress, io};
use crate::{Error, ErrorKind, Result, Stage};
use alloc::{
    format,
    string::{String, ToString},
};
use core::time::Duration;
use reqwest::{Client, Response, StatusCode, header};
use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::PathBuf,
    thread,
};

/// Attempts without a single new byte before giving up.
const ATTEMPTS: u32 = 4;
/// Pause before the second attempt; doubled each time.
const PAUSE: Duration = Duration::from_millis(300);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest silence of a server.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Larger than any published file here.
const MAX_BYTES: u64 = 4 << 30;

/// A file to fetch.
pub(super) struct Download {
    pub(super) url: String,
    pub(super) part: PathBuf,
    pub(super) by_hand: String,
}

/// How one request ended.
enum Outcome {
    Whole,
    /// The connection broke; worth another attempt.
    Broken(String),
}

impl Download {
    /// Completes the `.part` file; whether it was begun by an earlier attempt.
    ///
    /// # Errors
    /// As [`Cache::fetch`](super::Cache::fetch), but for the digest.
    pub(super) fn run(&self, progress: OnProgress<'_>) -> Result<bool> {
        // The caller may be inside an async runtime, where blocking on another one panics.
        thread::scope(|scope| scope.spawn(|| self.run_here(progress)).join()).unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Network,
                Stage::Weights,
                format!("the download failed; {}", self.by_hand),
            ))
        })
    }

    /// Removes what has arrived.
    pub(super) fn forget(&self) {
        // Absent is what is wanted; any other trouble shows at the next write.
        let _ = fs::remove_file(&self.part);
        let _ = fs::remove_file(self.validator_path());
    }

    fn run_here(&self, progress: OnProgress<'_>) -> Result<bool> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| io(e, "threads"))?;
        runtime.block_on(async {
            let client = Client::builder()
                .user_agent(concat!("fruitcore/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_TIMEOUT)
                .read_timeout(READ_TIMEOUT)
                .build()
                .map_err(|e| self.failed(&cause(&e)))?;
            let resumed = self.received() > 0;
            let mut left = ATTEMPTS;
            loop {
                let before = self.received();
                match self.attempt(&client, progress).await? {
                    Outcome::Whole => return Ok(resumed),
                    Outcome::Broken(why) => {
                        left = if self.received() > before { ATTEMPTS } else { left - 1 };
                        if left == 0 {
                            return Err(self.failed(&why));
                        }
                        tokio::time::sleep(PAUSE * (1 << (ATTEMPTS - left))).await;
                    }
                }
            }
        })
    }

    async fn attempt(&self, client: &Client, progress: OnProgress<'_>) -> Result<Outcome> {
        let have = self.received();
        let mut request = client.get(&self.url);
        if have > 0 {
            request = request.header(header::RANGE, format!("bytes={have}-"));
            if let Ok(validator) = fs::read_to_string(self.validator_path()) {
                request = request.header(header::IF_RANGE, validator);
            }
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(e) if e.is_builder() => {
                let message = format!("{}: {}", self.url, cause(&e));
                return Err(Error::new(ErrorKind::InvalidArgument, Stage::Weights, message));
            }
            Err(e) => return Ok(Outcome::Broken(cause(&e))),
        };
        match response.status() {
            StatusCode::OK => self.receive(response, 0, progress).await,
            StatusCode::PARTIAL_CONTENT => match content_range(&response) {
                Some((start, _)) if start == have => self.receive(response, have, progress).await,
                _ => {
                    self.forget();
                    Ok(Outcome::Broken("the server sent another part than asked for".into()))
                }
            },
            StatusCode::RANGE_NOT_SATISFIABLE => {
                // Everything is here already, or what is here belongs to another file.
                if content_range(&response).is_some_and(|(_, total)| total == Some(have)) {
                    return Ok(Outcome::Whole);
                }
                self.forget();
                Ok(Outcome::Broken("the server's file is shorter than what was fetched".into()))
            }
            status => self.refused(status),
        }
    }

    fn refused(&self, status: StatusCode) -> Result<Outcome> {
        let kind = match status {
            StatusCode::NOT_FOUND | StatusCode::GONE => ErrorKind::NotFound,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                ErrorKind::PermissionDenied
            }
            s if s.is_server_error()
                || s == StatusCode::TOO_MANY_REQUESTS
                || s == StatusCode::REQUEST_TIMEOUT =>
            {
                return Ok(Outcome::Broken(format!("the server answered {status}")));
            }
            _ => ErrorKind::Network,
        };
        let message = format!("{} answered {status}; {}", self.url, self.by_hand);
        Err(Error::new(kind, Stage::Weights, message))
    }

    /// Writes a response's body behind the first `start` bytes.
    async fn receive(&self, mut response: Response, start: u64, progress: OnProgress<'_>) -> Result<Outcome> {
        let total = match response.status() {
            StatusCode::PARTIAL_CONTENT => content_range(&response).and_then(|(_, total)| total),
            _ => response.content_length(),
        };
        let disk =
            |e| io(e, "room in the cache folder; set FRUITCORE_CACHE").at(self.part.display().to_string());
        let mut file = if start > 0 {
            OpenOptions::new().append(true).open(&self.part).map_err(disk)?
        } else {
            self.remember_validator(&response);
            File::create(&self.part).map_err(disk)?
        };
        let mut received = start;
        loop {
            if progress(Progress::new(received, total)).is_break() {
                let message = format!("stopped after {received} bytes, which are kept; run again to go on");
                return Err(Error::new(ErrorKind::Interrupted, Stage::Weights, message));
            }
            match response.chunk().await {
                Ok(Some(bytes)) => {
                    file.write_all(&bytes).map_err(disk)?;
                    received += bytes.len() as u64;
                    if received > MAX_BYTES {
                        let message =
                            format!("{} sends more than {MAX_BYTES} bytes; check the address", self.url);
                        return Err(Error::new(ErrorKind::Limit, Stage::Weights, message));
                    }
                }
                Ok(None) => break,
                Err(e) => return Ok(Outcome::Broken(cause(&e))),
            }
        }
        file.sync_all().map_err(disk)?;
        match total {
            Some(total) if received < total => Ok(Outcome::Broken("the connection closed early".into())),
            _ => Ok(Outcome::Whole),
        }
    }

    fn received(&self) -> u64 {
        fs::metadata(&self.part).map_or(0, |m| m.len())
    }

    fn validator_path(&self) -> PathBuf {
        with_suffix(&self.part, ".validator")
    }

    /// Keeps what tells whether the server's file is still the same when the download goes on.
    fn remember_validator(&self, response: &Response) {
        let text = |name| response.headers().get(name).and_then(|v| v.to_str().ok());
        // A weak ETag doesn't promise the same bytes.
        let validator =
            text(header::ETAG).filter(|v| !v.starts_with("W/")).or_else(|| text(header::LAST_MODIFIED));
        // Without it a resumed file is still proved by its digest.
        let _ = match validator {
            Some(validator) => fs::write(self.validator_path(), validator),
            None => fs::remove_file(self.validator_path()),
        };
    }

    fn failed(&self, why: &str) -> Error {
        let kept = match self.received() {
            0 => String::new(),
            n => format!("{n} bytes are kept: run again to go on; or "),
        };
        let message = format!("can't fetch {}: {why}; {kept}{}", self.url, self.by_hand);
        Error::new(ErrorKind::Network, Stage::Weights, message)
    }
}

/// First byte and total of `Content-Range: bytes 100-199/200` (or `bytes */200`).
fn content_range(response: &Response) -> Option<(u64, Option<u64>)> {
    let text = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = text.strip_prefix("bytes")?.trim().split_once('/')?;
    let start = range.split('-').next()?.parse().unwrap_or(0);
    Some((start, total.parse().ok()))
}

/// The innermost cause: reqwest's own text only repeats the URL.
fn cause(e: &reqwest::Error) -> String {
    let mut inner: &dyn core::error::Error = e;
    while let Some(next) = inner.source() {
        inner = next;
    }
    inner.to_string()
}
