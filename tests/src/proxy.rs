//! A bad network between clients and a server: a UDP proxy that loses, delays, reorders, doubles, falls silent and rebinds,
//! all of it changeable while it runs.
//!
//! Clients send to [`Proxy::address`]. Each client address gets a socket of its own towards the server, as behind a NAT.
//! Each direction is first in, first out, except for packets that are reordered on purpose.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::{
    net::UdpSocket,
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use crate::chance::Chance;

/// Packets under way at once; more are lost, as in a router whose queue is full.
const PACKETS_UNDER_WAY_MAX: usize = 65_536;
/// Client addresses known at once; packets of further ones are lost.
const CLIENTS_MAX: usize = 4_096;
/// Bytes of a datagram the proxy carries; QUIC's are under 1,500.
const PACKET_BYTES_MAX: usize = 2_048;

/// Of each socket; the system may give less.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// What happens to packets of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weather {
    /// Part of the packets that are lost, 0 to 1.
    pub loss: f64,
    /// Time every packet takes, in ms.
    pub delay_ms: f64,
    /// Part of the packets that take up to `reorder_ms` longer and so come after later ones, 0 to 1.
    pub reorder: f64,
    /// The most that a reordered packet takes longer, in ms.
    pub reorder_ms: f64,
    /// Part of the packets that arrive twice, 0 to 1.
    pub duplicate: f64,
    /// Nothing passes.
    pub silent: bool,
}

/// What passed in one direction so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Traffic {
    /// Packets that came in.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets that were lost on purpose (or because the queue was full).
    pub lost: u64,
    /// Packets that were held back so that later ones overtook them.
    pub reordered: u64,
    /// Packets that were sent twice.
    pub duplicated: u64,
}

#[derive(Default)]
struct Counters {
    packets: AtomicU64,
    bytes: AtomicU64,
    lost: AtomicU64,
    reordered: AtomicU64,
    duplicated: AtomicU64,
}

impl Counters {
    fn read(&self) -> Traffic {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            packets: get(&self.packets),
            bytes: get(&self.bytes),
            lost: get(&self.lost),
            reordered: get(&self.reordered),
            duplicated: get(&self.duplicated),
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Direction {
    Up,
    Down,
}

struct Shared {
    weather: Mutex<[Weather; 2]>,
    server: Mutex<SocketAddr>,
    traffic: [Counters; 2],
    rebinds: AtomicU64,
}

impl Shared {
    fn weather(&self) -> MutexGuard<'_, [Weather; 2]> {
        self.weather.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn server(&self) -> MutexGuard<'_, SocketAddr> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Order {
    Rebind,
    Stop,
}

/// A running proxy. Dropping it ends it; packets under way are lost.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    orders: mpsc::UnboundedSender<Order>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Proxy {
    /// Starts a proxy on a free local port, on a thread of its own, in calm weather.
    ///
    /// # Errors
    /// When no socket can be had.
    pub fn start(server: SocketAddr, seed: u64) -> io::Result<Self> {
        let front = bind()?;
        front.set_nonblocking(true)?;
        let address = front.local_addr()?;
        let shared = Arc::new(Shared {
            weather: Mutex::default(),
            server: Mutex::new(server),
            traffic: Default::default(),
            rebinds: AtomicU64::new(0),
        });
        let (orders, orders_in) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let carrier = (Arc::clone(&shared), Chance::new(seed));
        let thread = thread::Builder::new().name("proxy".into()).spawn(move || {
            runtime.block_on(async move {
                let (shared, chance) = carrier;
                match Carrier::new(front, shared, chance) {
                    Ok(carrier) => carrier.run(orders_in).await,
                    Err(error) => eprintln!("proxy: {error}"),
                }
            });
        })?;
        Ok(Self {
            address,
            shared,
            orders,
            thread: Some(thread),
        })
    }

    /// Where clients send to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The weather from clients to server, from now on.
    pub fn set_up(&self, weather: Weather) {
        self.shared.weather()[Direction::Up as usize] = weather;
    }

    /// The weather from server to clients, from now on.
    pub fn set_down(&self, weather: Weather) {
        self.shared.weather()[Direction::Down as usize] = weather;
    }

    /// The weather of both directions, from now on.
    pub fn set(&self, weather: Weather) {
        *self.shared.weather() = [weather; 2];
    }

    /// Another server from now on, for clients old and new.
    pub fn set_server(&self, server: SocketAddr) {
        *self.shared.server() = server;
    }

    /// Gives every client a new port towards the server. What comes to the old ports is lost, as with a NAT that forgot.
    /// Clients' own sockets notice nothing.
    pub fn rebind(&self) {
        // An error means the thread has ended; there is nothing to rebind then.
        drop(self.orders.send(Order::Rebind));
    }

    /// How many client addresses were given a new port so far.
    #[must_use]
    pub fn rebinds(&self) -> u64 {
        self.shared.rebinds.load(Ordering::Relaxed)
    }

    /// What came from clients so far.
    #[must_use]
    pub fn up(&self) -> Traffic {
        self.shared.traffic[Direction::Up as usize].read()
    }

    /// What came from the server so far.
    #[must_use]
    pub fn down(&self) -> Traffic {
        self.shared.traffic[Direction::Down as usize].read()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.orders.send(Order::Stop));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// A packet under way.
struct Packet {
    due: Instant,
    number: u64,
    direction: Direction,
    client: SocketAddr,
    bytes: Vec<u8>,
}

impl Packet {
    const fn key(&self) -> (Instant, u64) {
        (self.due, self.number)
    }
}

impl PartialEq for Packet {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Packet {}

impl PartialOrd for Packet {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Packet {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// A client's way to the server.
struct Path {
    socket: std::net::UdpSocket,
    reader: JoinHandle<()>,
}

impl Drop for Path {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

struct Carrier {
    front: UdpSocket,
    /// The same socket for sending: tokio would first have to learn that it can be written to.
    front_out: std::net::UdpSocket,
    shared: Arc<Shared>,
    chance: Chance,
    paths: HashMap<SocketAddr, Path>,
    under_way: BinaryHeap<Reverse<Packet>>,
    last_due: [Instant; 2],
    numbers: u64,
    from_server: mpsc::Sender<(SocketAddr, Vec<u8>)>,
    from_server_in: Option<mpsc::Receiver<(SocketAddr, Vec<u8>)>>,
}

impl Carrier {
    fn new(front: std::net::UdpSocket, shared: Arc<Shared>, chance: Chance) -> io::Result<Self> {
        let (from_server, from_server_in) = mpsc::channel(PACKETS_UNDER_WAY_MAX);
        Ok(Self {
            front_out: front.try_clone()?,
            front: UdpSocket::from_std(front)?,
            shared,
            chance,
            paths: HashMap::new(),
            under_way: BinaryHeap::new(),
            last_due: [Instant::now(); 2],
            numbers: 0,
            from_server,
            from_server_in: Some(from_server_in),
        })
    }

    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let Some(mut from_server) = self.from_server_in.take() else {
            return;
        };
        let mut buffer = vec![0; PACKET_BYTES_MAX];
        loop {
            let next = self.under_way.peek().map(|packet| packet.0.due);
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(Order::Rebind) => self.rebind(),
                    Some(Order::Stop) | None => return,
                },
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                    self.deliver();
                }
                Some((client, bytes)) = from_server.recv() => {
                    self.take(Direction::Down, client, bytes);
                }
                Ok((length, client)) = self.front.recv_from(&mut buffer) => {
                    if self.path(client) {
                        self.take(Direction::Up, client, buffer[..length].to_vec());
                    }
                }
            }
        }
    }

    /// Decides what becomes of a packet.
    fn take(&mut self, direction: Direction, client: SocketAddr, bytes: Vec<u8>) {
        let weather = self.shared.weather()[direction as usize];
        let shared = Arc::clone(&self.shared);
        let counters = &shared.traffic[direction as usize];
        counters.packets.fetch_add(1, Ordering::Relaxed);
        counters
            .bytes
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if weather.silent
            || self.chance.happens(weather.loss)
            || self.under_way.len() >= PACKETS_UNDER_WAY_MAX
        {
            counters.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let now = Instant::now();
        if weather.delay_ms <= 0.0 && weather.reorder <= 0.0 && weather.duplicate <= 0.0 {
            // A changed weather must not let later packets overtake those under way.
            if self.last_due[direction as usize] <= now {
                self.send(direction, client, &bytes);
                return;
            }
        }
        let mut due = now + milliseconds(weather.delay_ms);
        if self.chance.happens(weather.reorder) {
            counters.reordered.fetch_add(1, Ordering::Relaxed);
            let late = weather.reorder_ms * (self.chance.below(1_000) as f64 + 1.0) / 1_000.0;
            due += milliseconds(late);
        } else {
            let last = &mut self.last_due[direction as usize];
            due = due.max(*last);
            *last = due;
        }
        if self.chance.happens(weather.duplicate) {
            counters.duplicated.fetch_add(1, Ordering::Relaxed);
            let late = milliseconds(self.chance.below(20) as f64);
            self.push(due + late, direction, client, bytes.clone());
        }
        self.push(due, direction, client, bytes);
    }

    fn push(&mut self, due: Instant, direction: Direction, client: SocketAddr, bytes: Vec<u8>) {
        self.numbers += 1;
        let number = self.numbers;
        self.under_way.push(Reverse(Packet {
            due,
            number,
            direction,
            client,
            bytes,
        }));
    }

    fn deliver(&mut self) {
        let now = Instant::now();
        while self
            .under_way
            .peek()
            .is_some_and(|packet| packet.0.due <= now)
        {
            if let Some(Reverse(packet)) = self.under_way.pop() {
                self.send(packet.direction, packet.client, &packet.bytes);
            }
        }
    }

    /// A full socket buffer loses the packet, as networks do.
    fn send(&self, direction: Direction, client: SocketAddr, bytes: &[u8]) {
        let sent = match direction {
            Direction::Up => {
                let server = *self.shared.server();
                self.paths
                    .get(&client)
                    .is_some_and(|p| p.socket.send_to(bytes, server).is_ok())
            }
            Direction::Down => self.front_out.send_to(bytes, client).is_ok(),
        };
        if !sent {
            self.shared.traffic[direction as usize]
                .lost
                .fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether the client has a way to the server, made if it had none.
    fn path(&mut self, client: SocketAddr) -> bool {
        if self.paths.contains_key(&client) {
            return true;
        }
        if self.paths.len() >= CLIENTS_MAX {
            return false;
        }
        let Ok(path) = self.open(client) else {
            return false;
        };
        self.paths.insert(client, path);
        true
    }

    fn open(&self, client: SocketAddr) -> io::Result<Path> {
        let socket = bind()?;
        socket.set_nonblocking(true)?;
        let (from, into) = (
            UdpSocket::from_std(socket.try_clone()?)?,
            self.from_server.clone(),
        );
        let reader = tokio::spawn(async move {
            let mut buffer = vec![0; PACKET_BYTES_MAX];
            loop {
                // An error is the server's port being closed for the moment; the next packet may come through again.
                if let Ok((length, _)) = from.recv_from(&mut buffer).await
                    && into.try_send((client, buffer[..length].to_vec())).is_err()
                    && into.is_closed()
                {
                    return;
                }
            }
        });
        Ok(Path { socket, reader })
    }

    fn rebind(&mut self) {
        let clients: Vec<_> = self.paths.keys().copied().collect();
        for client in clients {
            if let Ok(path) = self.open(client) {
                self.paths.insert(client, path);
                self.shared.rebinds.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// A socket of this machine with room for a burst: on a busy machine the system would lose packets that no weather took.
fn bind() -> io::Result<std::net::UdpSocket> {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket2::SockRef::from(&socket).set_recv_buffer_size(SOCKET_BUFFER_BYTES)?;
    Ok(socket)
}

fn milliseconds(ms: f64) -> Duration {
    Duration::from_secs_f64(ms.max(0.0) / 1_000.0)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::{net::UdpSocket as Socket, time::Instant as Clock};

    use super::*;

    /// A server that answers each packet with the same bytes, and what it saw: the sender's port and the number inside.
    struct Echo {
        address: SocketAddr,
        seen: Arc<Mutex<Vec<(u16, u32)>>>,
    }

    impl Echo {
        fn start() -> Self {
            let socket = bind().unwrap();
            let address = socket.local_addr().unwrap();
            let seen: Arc<Mutex<Vec<_>>> = Arc::default();
            let list = Arc::clone(&seen);
            thread::spawn(move || {
                let mut buffer = [0; 64];
                while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    let number = u32::from_be_bytes(buffer[..4].try_into().unwrap());
                    list.lock().unwrap().push((from.port(), number));
                    let _ = socket.send_to(&buffer[..length], from);
                }
            });
            Self { address, seen }
        }
    }

    fn client(proxy: &Proxy) -> Socket {
        let socket = bind().unwrap();
        socket.connect(proxy.address()).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(2)))
            .unwrap();
        socket
    }

    /// Sends `count` numbered packets and gives the numbers of the answers until none comes for a while.
    fn exchange(socket: &Socket, count: u32, quiet: Duration) -> Vec<u32> {
        socket.set_read_timeout(Some(quiet)).unwrap();
        // Reads while it sends.
        let reader = socket.try_clone().unwrap();
        let answers = thread::spawn(move || {
            let (mut answers, mut buffer) = (Vec::new(), [0; 64]);
            while let Ok(length) = reader.recv(&mut buffer) {
                assert_eq!(length, 4);
                answers.push(u32::from_be_bytes(buffer[..4].try_into().unwrap()));
            }
            answers
        });
        for number in 0..count {
            socket.send(&number.to_be_bytes()).unwrap();
            if number % 64 == 63 {
                thread::sleep(Duration::from_millis(2));
            }
        }
        answers.join().unwrap()
    }

    #[test]
    fn calm_weather_carries_all_in_order() {
        let echo = Echo::start();
        let proxy = Proxy::start(echo.address, 1).unwrap();
        let answers = exchange(&client(&proxy), 200, Duration::from_millis(300));
        assert_eq!(answers, (0..200).collect::<Vec<_>>());
        assert_eq!(
            (proxy.up().packets, proxy.up().bytes, proxy.up().lost),
            (200, 800, 0)
        );
        assert_eq!(proxy.down().packets, 200);
    }

    #[test]
    fn delay_is_first_in_first_out_and_as_long_as_said() {
        let echo = Echo::start();
        let proxy = Proxy::start(echo.address, 2).unwrap();
        proxy.set(Weather {
            delay_ms: 50.0,
            ..Weather::default()
        });
        let socket = client(&proxy);
        let start = Clock::now();
        socket.send(&7_u32.to_be_bytes()).unwrap();
        socket.recv(&mut [0; 4]).unwrap();
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(100), "{took:?}");
        // In calm weather again, a packet waits for those before it.
        for number in 0..50_u32 {
            socket.send(&number.to_be_bytes()).unwrap();
        }
        proxy.set(Weather::default());
        let answers = exchange(&socket, 0, Duration::from_millis(300));
        assert_eq!(answers, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn loss_reordering_and_doubling_are_as_seeded() {
        let echo = Echo::start();
        let proxy = Proxy::start(echo.address, 3).unwrap();
        let socket = client(&proxy);
        proxy.set_up(Weather {
            loss: 0.2,
            ..Weather::default()
        });
        let answers = exchange(&socket, 1_000, Duration::from_millis(300));
        assert!((720..880).contains(&answers.len()), "{}", answers.len());
        assert!(answers.is_sorted());
        assert_eq!(answers.len() as u64 + proxy.up().lost, 1_000);

        proxy.set_up(Weather {
            reorder: 0.3,
            reorder_ms: 40.0,
            ..Weather::default()
        });
        let answers = exchange(&socket, 1_000, Duration::from_millis(300));
        assert_eq!(answers.len(), 1_000);
        assert!(!answers.is_sorted());
        assert!((200..400).contains(&proxy.up().reordered));

        proxy.set_up(Weather {
            duplicate: 0.5,
            ..Weather::default()
        });
        let answers = exchange(&socket, 1_000, Duration::from_millis(300));
        assert_eq!(answers.len() as u64, 1_000 + proxy.up().duplicated);
        assert!((400..600).contains(&proxy.up().duplicated));
    }

    #[test]
    fn silence_and_another_server() {
        let (one, two) = (Echo::start(), Echo::start());
        let proxy = Proxy::start(one.address, 4).unwrap();
        let socket = client(&proxy);
        proxy.set_down(Weather {
            silent: true,
            ..Weather::default()
        });
        assert!(exchange(&socket, 3, Duration::from_millis(200)).is_empty());
        assert_eq!(one.seen.lock().unwrap().len(), 3);
        proxy.set(Weather::default());
        proxy.set_server(two.address);
        assert_eq!(exchange(&socket, 3, Duration::from_millis(300)), [0, 1, 2]);
        assert_eq!(two.seen.lock().unwrap().len(), 3);
    }

    #[test]
    fn rebinding_changes_the_port_towards_the_server_only() {
        let echo = Echo::start();
        let proxy = Proxy::start(echo.address, 5).unwrap();
        let socket = client(&proxy);
        assert_eq!(exchange(&socket, 2, Duration::from_millis(200)), [0, 1]);
        proxy.rebind();
        let deadline = Clock::now() + Duration::from_secs(5);
        while proxy.rebinds() == 0 && Clock::now() < deadline {
            thread::yield_now();
        }
        assert_eq!(exchange(&socket, 2, Duration::from_millis(200)), [0, 1]);
        let seen = echo.seen.lock().unwrap();
        let ports: Vec<_> = seen.iter().map(|(port, _)| *port).collect();
        assert_eq!(ports.len(), 4);
        assert_eq!(ports[0], ports[1]);
        assert_ne!(ports[1], ports[2]);
        assert_eq!(ports[2], ports[3]);
    }
}
