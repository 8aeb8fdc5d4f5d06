//! A small HTTP server on loopback that answers as it is told and remembers what it was asked.

extern crate alloc;

use alloc::sync::Arc;
use core::net::SocketAddr;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::thread;

/// The header lines of one request, in lower case.
pub(crate) type Request = Vec<String>;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers request `n` with the bytes `answer(request, n)` and closes the connection. The thread
    /// ends with the process.
    pub(crate) fn start(answer: impl Fn(&Request, usize) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let request = read_request(&stream);
                let n = {
                    let mut log = log.lock().unwrap();
                    log.push(request.clone());
                    log.len() - 1
                };
                let mut stream = stream;
                // A client that hangs up is part of the tests.
                let _ = stream.write_all(&answer(&request, n));
            }
        });
        Self { address, requests }
    }

    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The value of a header of request `n`.
    pub(crate) fn header(&self, n: usize, name: &str) -> Option<String> {
        let requests = self.requests.lock().unwrap();
        header(requests.get(n)?, name)
    }

    pub(crate) fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

pub(crate) fn header(request: &Request, name: &str) -> Option<String> {
    request.iter().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(": ")?.to_owned()))
}

/// First byte of a `range: bytes=100-` header.
pub(crate) fn range_start(request: &Request) -> Option<usize> {
    header(request, "range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
}

/// A whole answer.
pub(crate) fn ok(body: &[u8], headers: &str) -> Vec<u8> {
    respond("200 OK", &format!("content-length: {}\r\n{headers}", body.len()), body)
}

/// The rest of `body` from `start`.
pub(crate) fn partial(body: &[u8], start: usize, headers: &str) -> Vec<u8> {
    let n = body.len();
    let range =
        format!("content-range: bytes {start}-{}/{n}\r\ncontent-length: {}\r\n{headers}", n - 1, n - start);
    respond("206 Partial Content", &range, &body[start..])
}

pub(crate) fn respond(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}\r\n").as_bytes(), body].concat()
}

fn read_request(stream: &TcpStream) -> Request {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.take_while(|line| !line.is_empty()).map(|line| line.to_lowercase()).collect()
}
