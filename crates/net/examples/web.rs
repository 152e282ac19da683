//! A web service on narrows' own stack, for curl and browsers on this machine; on a bad line, if you like.
//!
//!     cargo build --release -p narrows-net --example web
//!     sudo target/release/examples/web                # perfect
//!     sudo target/release/examples/web 150 0.02       # 150 ms each way, 2 % loss
//!
//! Then open http://10.7.0.2/ or run `curl http://10.7.0.2/`. Ctrl-C ends it and takes the device away.

use axum::Router;
use axum::response::Html;
use axum::response::sse::{Event, Sse};
use axum::routing::get;
use futures_util::stream;
use narrows_net::lab::Link;
use narrows_net::tun::TunOptions;
use std::convert::Infallible;
use std::time::Duration;

const PAGE: &str = "<!doctype html><title>narrows</title><h1>Served by narrows' own TCP</h1>\
    <p>The server has been counting seconds: <b id=n>…</b></p>\
    <script>new EventSource('/seconds').onmessage = e => n.textContent = e.data</script>\n";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut options = TunOptions::new().name("narrows0").kernel("10.7.0.1/24").address("10.7.0.2");
    let mut arguments = std::env::args().skip(1);
    if let Some(delay) = arguments.next() {
        let loss = arguments.next().map_or(Ok(0.0), |loss| loss.parse())?;
        options = options.link(Link::new().delay(Duration::from_millis(delay.parse()?)).loss(loss));
    }
    let host = options.open()?.host()?;
    let service = Router::new().route("/", get(|| async { Html(PAGE) })).route("/seconds", get(seconds));
    println!("http://{}/", host.ip());
    tokio::select! {
        ended = axum::serve(host.listen(80)?, service).into_future() => ended?,
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(())
}

async fn seconds() -> Sse<impl stream::Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream::unfold(0, |second| async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some((Ok(Event::default().data(second.to_string())), second + 1))
    }))
}
