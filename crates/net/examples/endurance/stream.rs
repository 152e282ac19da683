//! Has every byte of a long stream arrived, in its place? One end writes it, the other compares.

use super::exchange::{Failure, Stream};
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Bytes of a block; its first eight say which block it is, so that one in the wrong place is noticed.
const BLOCK: usize = 65_536;

/// So many whole blocks are about that many bytes.
pub fn blocks_of(bytes: f64) -> u64 {
    (bytes / BLOCK as f64) as u64
}

/// The stream's block number `number`.
fn block(number: u64) -> Vec<u8> {
    let mut block: Vec<u8> =
        (0..BLOCK as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    block[..8].copy_from_slice(&number.to_be_bytes());
    block
}

/// Writes so many blocks, closes that direction, and waits for the other end's word that all have come.
pub async fn send(mut stream: impl Stream, blocks: u64) -> Result<(), Failure> {
    let mut block = block(0);
    for number in 0..blocks {
        block[..8].copy_from_slice(&number.to_be_bytes());
        stream.write_all(&block).await?;
    }
    stream.shutdown().await?;
    let mut word = Vec::new();
    stream.read_to_end(&mut word).await?;
    if word == b"!" { Ok(()) } else { Err(format!("{word:?} instead of the word that all have come").into()) }
}

/// Reads so many blocks and compares each byte; Gb/s.
pub async fn receive(mut stream: impl Stream, blocks: u64) -> Result<f64, Failure> {
    let begin = Instant::now();
    let (mut expected, mut bytes, mut buffer) = (block(0), 0, vec![0; 1 << 18]);
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            break;
        }
        let mut data = &buffer[..length];
        while !data.is_empty() {
            let at = bytes as usize % BLOCK;
            expected[..8].copy_from_slice(&(bytes / BLOCK as u64).to_be_bytes());
            let (piece, rest) = data.split_at(data.len().min(BLOCK - at));
            if *piece != expected[at..at + piece.len()] {
                return Err(format!("another byte than was sent, at {bytes} or after").into());
            }
            bytes += piece.len() as u64;
            data = rest;
        }
    }
    if bytes != blocks * BLOCK as u64 {
        return Err(format!("{bytes} bytes of {}", blocks * BLOCK as u64).into());
    }
    let seconds = begin.elapsed().as_secs_f64();
    stream.write_all(b"!").await?;
    Ok(bytes as f64 * 8e-9 / seconds)
}
