//! A small HTTP/1.1 server on loopback that answers as a test tells it to.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

#[derive(Clone, Debug)]
#[allow(dead_code, reason = "not every test looks at everything")]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query, as sent.
    pub(crate) target: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

#[derive(Default)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Sends only so many bytes of the body and hangs up.
    pub(crate) cut: Option<usize>,
}

impl Response {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into(), ..Self::default() }
    }

    /// A file with an ETag, whole or the range asked for.
    pub(crate) fn file(request: &Request, content: &[u8]) -> Self {
        let etag = ("etag".to_owned(), "\"v1\"".to_owned());
        let start = request
            .headers
            .get("range")
            .and_then(|r| r.strip_prefix("bytes=")?.split('-').next()?.parse::<usize>().ok());
        match start {
            Some(start) => {
                let range = format!("bytes {start}-{}/{}", content.len() - 1, content.len());
                let headers = vec![etag, ("content-range".to_owned(), range)];
                Self { status: 206, headers, body: content[start..].to_vec(), cut: None }
            }
            None => Self { status: 200, headers: vec![etag], body: content.to_vec(), cut: None },
        }
    }
}

pub(crate) struct Server {
    pub(crate) url: String,
    log: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(crate) fn start(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let log: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (answer, seen) = (Arc::new(answer), log.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answer, seen) = (answer.clone(), seen.clone());
                std::thread::spawn(move || serve(stream, &*answer, &seen));
            }
        });
        Self { url, log }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }
}

/// One request a connection keeps this simple.
fn serve(
    mut stream: TcpStream,
    answer: &dyn Fn(&Request) -> Response,
    seen: &Mutex<Vec<Request>>,
) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((key, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(key.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let request = Request { method, target, headers, body };
    let response = answer(&request);
    seen.lock().ok()?.push(request.clone());
    let mut head = format!("HTTP/1.1 {} X\r\nconnection: close\r\n", response.status);
    head += &format!("content-length: {}\r\n", response.body.len());
    for (key, value) in &response.headers {
        head += &format!("{key}: {value}\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).ok()?;
    if request.method != "HEAD" {
        stream.write_all(&response.body[..response.cut.unwrap_or(response.body.len())]).ok()?;
    }
    stream.flush().ok()
}
