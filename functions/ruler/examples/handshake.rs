//! How many milliseconds the first request of the ruler's HTTP client takes, and how many its
//! second, both over a new connection: the TLS figure of `make bench`.
//!
//! Its arguments are the URL of a server and a file with a certificate to trust.

use std::time::Instant;

use backends::http::{HttpOptions, client};
use lambda_runtime::Error;

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(certificate)) = (arguments.next(), arguments.next()) else {
        return Err("usage: handshake URL CERTIFICATE".into());
    };
    let http = client(&HttpOptions {
        extra_ca: Some(std::fs::read(certificate)?),
        ..HttpOptions::default()
    })?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(requests(&http, &url))
}

#[expect(clippy::print_stdout, reason = "the numbers are what this is for")]
async fn requests(http: &reqwest::Client, url: &str) -> Result<(), Error> {
    for _ in 0..2 {
        let began = Instant::now();
        let answer = http.get(url).send().await?.error_for_status()?;
        answer.bytes().await?;
        println!("{}", began.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(())
}
