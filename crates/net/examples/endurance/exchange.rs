//! Do many connections each carry a question and an answer, and end as they should: half-closed by either end, or reset by
//! either? The same code at both ends, whichever stack is below.

use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::task::JoinSet;

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A connection of either stack.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Ends it by a RST (SO_LINGER of zero).
    fn reset(self) -> std::io::Result<()>;
}

impl Stream for tokio::net::TcpStream {
    fn reset(self) -> std::io::Result<()> {
        self.set_zero_linger()
    }
}

impl Stream for narrows_net::TcpStream {
    fn reset(self) -> std::io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }
}

/// Who opens connections.
pub trait Client {
    type Stream: Stream;
    fn open(&self, to: SocketAddr) -> impl Future<Output = std::io::Result<Self::Stream>> + Send + 'static;
}

/// The kernel of the calling thread's network.
pub struct Kernel;

impl Client for Kernel {
    type Stream = tokio::net::TcpStream;
    fn open(&self, to: SocketAddr) -> impl Future<Output = std::io::Result<Self::Stream>> + Send + 'static {
        tokio::net::TcpStream::connect(to)
    }
}

impl Client for narrows_net::Host {
    type Stream = narrows_net::TcpStream;
    fn open(&self, to: SocketAddr) -> impl Future<Output = std::io::Result<Self::Stream>> + Send + 'static {
        let host = self.clone();
        async move { host.connect(to).await }
    }
}

/// Who waits for connections.
pub trait Server {
    type Stream: Stream;
    async fn take(&self) -> std::io::Result<Self::Stream>;
}

impl Server for tokio::net::TcpListener {
    type Stream = tokio::net::TcpStream;
    async fn take(&self) -> std::io::Result<Self::Stream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

impl Server for narrows_net::TcpListener {
    type Stream = narrows_net::TcpStream;
    async fn take(&self) -> std::io::Result<Self::Stream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The client closes its direction after the question, and reads the answer.
    ClientCloses,
    /// The server closes its direction after the answer, and reads what the client still says.
    ServerCloses,
    ClientResets,
    ServerResets,
}

const ENDINGS: [(Ending, char); 4] = [
    (Ending::ClientCloses, 'c'),
    (Ending::ServerCloses, 's'),
    (Ending::ClientResets, 'r'),
    (Ending::ServerResets, 'R'),
];

/// How many connections, and how they end.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    pub one_by_one: usize,
    pub at_once: usize,
    /// All end so; where it is not said, each way is another one's.
    pub ending: Option<Ending>,
}

impl Counts {
    fn ending(&self, number: usize) -> (Ending, char) {
        let given = ENDINGS.into_iter().find(|(ending, _)| Some(*ending) == self.ending);
        given.unwrap_or(ENDINGS[number % ENDINGS.len()])
    }
}

/// How long those one after the other took, and those at once.
pub type Times = [Duration; 2];

/// Opens connections one after the other, then many at once, each to another of `to`, and has an exchange on each.
pub async fn ask(client: &impl Client, to: &[SocketAddr], counts: Counts) -> Result<Times, Failure> {
    let address = |number: usize| to[number / ENDINGS.len() % to.len()];
    let begin = Instant::now();
    for number in 0..counts.one_by_one {
        let stream = client.open(address(number)).await?;
        question(stream, number, counts.ending(number)).await?;
    }
    let one_by_one = begin.elapsed();
    let begin = Instant::now();
    let mut opening = JoinSet::new();
    for number in 0..counts.at_once {
        opening.spawn(client.open(address(number)));
    }
    let streams = all(opening).await?;
    let mut asking = JoinSet::new();
    for (number, stream) in streams.into_iter().enumerate() {
        asking.spawn(question(stream?, number, counts.ending(number)));
    }
    all(asking).await?.into_iter().collect::<Result<(), Failure>>()?;
    Ok([one_by_one, begin.elapsed()])
}

/// Takes so many connections and answers on each.
pub async fn answer(server: &impl Server, counts: Counts) -> Result<(), Failure> {
    let mut answering = JoinSet::new();
    for _ in 0..counts.one_by_one + counts.at_once {
        answering.spawn(reply(server.take().await?));
        // Those that have ended keep no memory.
        while let Some(ended) = answering.try_join_next() {
            ended??;
        }
    }
    all(answering).await?.into_iter().collect()
}

async fn all<T: 'static>(mut tasks: JoinSet<T>) -> Result<Vec<T>, Failure> {
    let mut results = Vec::with_capacity(tasks.len());
    while let Some(result) = tasks.join_next().await {
        results.push(result?);
    }
    Ok(results)
}

/// The client's end of a connection: asks, with a question that says how it will end.
async fn question(
    mut stream: impl Stream,
    number: usize,
    (ending, sign): (Ending, char),
) -> Result<(), Failure> {
    let text = format!("{sign}{number}\n");
    stream.write_all(text.as_bytes()).await?;
    let ended = ask_and_end(stream, ending, &text).await;
    ended.map_err(|error| format!("client's end of {number}, {ending:?}: {error}").into())
}

async fn ask_and_end(mut stream: impl Stream, ending: Ending, text: &str) -> Result<(), Failure> {
    match ending {
        Ending::ClientCloses => {
            stream.shutdown().await?;
            expect(&mut stream, text).await
        }
        Ending::ServerCloses => {
            expect(&mut stream, text).await?;
            stream.write_all(text.as_bytes()).await?;
            Ok(stream.shutdown().await?)
        }
        Ending::ClientResets => {
            let mut line = vec![0; text.len()];
            stream.read_exact(&mut line).await?;
            Ok(stream.reset()?)
        }
        Ending::ServerResets => await_reset(stream).await,
    }
}

/// The server's end of a connection.
async fn reply(stream: impl Stream) -> Result<(), Failure> {
    let mut stream = BufReader::with_capacity(64, stream);
    let mut text = String::new();
    stream.read_line(&mut text).await?;
    let sign = text.chars().next();
    let Some((ending, _)) = ENDINGS.into_iter().find(|(_, known)| Some(*known) == sign) else {
        return Err(format!("`{text}` is no question").into());
    };
    let ended = reply_and_end(stream, ending, &text).await;
    ended.map_err(|error| format!("server's end of {}, {ending:?}: {error}", text.trim_end()).into())
}

async fn reply_and_end(
    mut stream: BufReader<impl Stream>,
    ending: Ending,
    text: &str,
) -> Result<(), Failure> {
    match ending {
        Ending::ClientCloses => {
            expect(&mut stream, "").await?;
            stream.write_all(text.as_bytes()).await?;
            Ok(stream.shutdown().await?)
        }
        Ending::ServerCloses => {
            stream.write_all(text.as_bytes()).await?;
            stream.shutdown().await?;
            expect(&mut stream, text).await
        }
        Ending::ClientResets => {
            stream.write_all(text.as_bytes()).await?;
            await_reset(stream.into_inner()).await
        }
        Ending::ServerResets => Ok(stream.into_inner().reset()?),
    }
}

/// Reads to the end of the stream: exactly that has to come.
async fn expect(stream: &mut (impl AsyncRead + Unpin), text: &str) -> Result<(), Failure> {
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await?;
    if rest == text { Ok(()) } else { Err(format!("`{rest}` instead of `{text}`").into()) }
}

/// How long is waited for a RST before something is written, and how often: a RST can be lost, and the next one is an answer.
const ASK_AGAIN: Duration = Duration::from_millis(20);
const TIMES: usize = 1_000;

/// The other end resets the connection, and nothing else.
async fn await_reset(mut stream: impl Stream) -> Result<(), Failure> {
    for _ in 0..TIMES {
        let read = tokio::time::timeout(ASK_AGAIN, stream.read(&mut [0; 8])).await;
        let outcome = match read {
            Ok(Ok(length)) => return Err(format!("{length} bytes instead of a reset").into()),
            Ok(Err(error)) => Err(error),
            Err(_) => stream.write_all(b".").await,
        };
        match outcome {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(format!("{error} instead of a reset").into()),
        }
    }
    Err(format!("no reset in {TIMES} times {ASK_AGAIN:?}").into())
}
