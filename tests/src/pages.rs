//! A web server of the tests' own: pages for links to lead to.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Whoever asks has sent it by then.
const ASKED_WITHIN: Duration = Duration::from_secs(10);

/// Answers `/NAME` with a page of that title, until it is dropped.
#[derive(Debug)]
pub struct PageServer {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl PageServer {
    /// Listens on a free port of this machine.
    ///
    /// # Errors
    /// What the system says.
    pub fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let ended = Arc::new(AtomicBool::new(false));
        let stop = ended.clone();
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::Acquire) {
                if let Ok((stream, _)) = listener.accept() {
                    // One that goes in the middle is nobody's trouble.
                    drop(answer(&stream));
                }
            }
        });
        Ok(Self {
            address,
            ended,
            thread: Some(thread),
        })
    }

    /// The address of a page.
    #[must_use]
    pub fn link(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }
}

impl Drop for PageServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        // It waits for somebody.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn answer(mut stream: &TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(ASKED_WITHIN))?;
    let mut lines = BufReader::new(stream).lines();
    let asked = lines.next().transpose()?.unwrap_or_default();
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let name = asked.split(' ').nth(1).unwrap_or_default();
    let name = name.trim_start_matches('/');
    let page = format!(
        "<html><head><title>{name}</title><meta name=description content='about {name}'>\
         <meta property=og:site_name content='The hall'><meta property=og:image content='/{name}.png'></head></html>"
    );
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
        page.len()
    )
}
