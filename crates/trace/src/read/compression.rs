//! Is the capture compressed? gzip and zstd, by their first bytes.

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::io::{self, BufReader, Cursor, ErrorKind, Read};

/// Input buffer of the decompressors, bytes.
const BUFFER_BYTES: usize = 128 * 1024;

/// The decompressed stream, and whether it was compressed.
///
/// # Errors
/// What the reader says.
pub(super) fn open(mut reader: impl Read + Send + 'static) -> io::Result<(Box<dyn Read + Send>, bool)> {
    let mut magic = Vec::with_capacity(4);
    reader.by_ref().take(4).read_to_end(&mut magic)?;
    let gzip = magic.starts_with(&[0x1f, 0x8b]);
    let zstd = matches!(magic[..], [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18]);
    let whole = Cursor::new(magic).chain(reader);
    Ok(if gzip {
        (Box::new(MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, whole))), true)
    } else if zstd {
        (Box::new(Zstd::new(BufReader::with_capacity(BUFFER_BYTES, whole))), true)
    } else {
        (Box::new(whole), false)
    })
}

/// All frames of a zstd stream, one after the other.
///
/// The decoder keeps a window of up to some MiB back until the frame ends. When a frame is cut or damaged that window is given out
/// before the error is: it was decoded without complaint, and a capture cut in the middle is to be read up to there.
struct Zstd<R> {
    input: R,
    decoder: FrameDecoder,
    within_frame: bool,
    failed: Option<io::Error>,
}

/// An empty last block, and room for a checksum: what makes the decoder give out its window.
const END_OF_FRAME: [u8; 7] = [1, 0, 0, 0, 0, 0, 0];

impl<R: Read> Zstd<R> {
    fn new(input: R) -> Zstd<R> {
        Zstd { input, decoder: FrameDecoder::new(), within_frame: false, failed: None }
    }

    /// Begins the next frame; false at the end of the input.
    fn begin_frame(&mut self) -> io::Result<bool> {
        loop {
            let mut first = [0];
            match self.input.read(&mut first) {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            match self.decoder.reset(Cursor::new(first).chain(&mut self.input)) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let length = u64::from(length);
                    if io::copy(&mut self.input.by_ref().take(length), &mut io::sink())? < length {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(self.why(error)),
            }
        }
    }

    /// Damaged, or only cut? The decoder's own words do not tell.
    #[cold]
    fn why(&mut self, error: FrameDecoderError) -> io::Error {
        match self.input.read(&mut [0]) {
            Ok(0) => io::Error::new(ErrorKind::UnexpectedEof, "the zstd data end within a frame"),
            _ => io::Error::new(ErrorKind::InvalidData, format!("the zstd data are damaged: {error}")),
        }
    }

    fn end_frame(&mut self) -> io::Result<()> {
        self.within_frame = false;
        match (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum()) {
            (Some(stored), Some(calculated)) if stored != calculated => {
                Err(io::Error::new(ErrorKind::InvalidData, "the zstd frame's checksum does not match"))
            }
            _ => Ok(()),
        }
    }
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            if self.within_frame && self.decoder.can_collect() > 0 {
                return self.decoder.read(out);
            }
            if let Some(error) = self.failed.take() {
                self.within_frame = false;
                return Err(error);
            }
            if !self.within_frame {
                if !self.begin_frame()? {
                    return Ok(0);
                }
                self.within_frame = true;
            } else if self.decoder.is_finished() {
                self.end_frame()?;
            } else if let Err(error) =
                self.decoder.decode_blocks(&mut self.input, BlockDecodingStrategy::UptoBlocks(1))
            {
                self.failed = Some(self.why(error));
                if !self.decoder.is_finished() {
                    let end = self.decoder.decode_blocks(&END_OF_FRAME[..], BlockDecodingStrategy::All);
                    end.map_err(io::Error::other)?;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        compress_to_vec(bytes, CompressionLevel::Fastest)
    }

    /// What comes out, and whether an error ended it.
    fn decompressed(bytes: Vec<u8>) -> (Vec<u8>, bool) {
        let mut out = Vec::new();
        let failed = match open(Cursor::new(bytes)) {
            Ok((mut reader, _)) => reader.read_to_end(&mut out).is_err(),
            Err(_) => true,
        };
        (out, failed)
    }

    /// Bytes of which some compress well and some do not.
    fn text(length: usize) -> Vec<u8> {
        let mut state = 1u32;
        (0..length)
            .map(|n| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if n % 1000 < 500 { (n % 10) as u8 } else { (state >> 24) as u8 }
            })
            .collect()
    }

    #[test]
    fn members_and_frames_follow_each_other() {
        let text = text(300_000);
        let (first, second) = text.split_at(1000);
        let skippable = [0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9];
        let gzipped = [gzip(first), gzip(second)].concat();
        let zstandard = [&skippable[..], &zstd(first), &skippable, &zstd(second)].concat();
        for bytes in [gzipped, zstandard, text.clone()] {
            let (out, failed) = decompressed(bytes);
            assert!(!failed && out == text);
        }
    }

    #[test]
    fn a_cut_stream_gives_what_it_has_and_then_an_error() {
        let text = text(300_000);
        for (compressed, least) in [(gzip(&text), 100_000), (zstd(&text), 100_000)] {
            for cut in [5, compressed.len() / 2, compressed.len() - 20, compressed.len() - 1] {
                let (out, failed) = decompressed(compressed[..cut].to_vec());
                assert!(failed, "cut at {cut} of {}", compressed.len());
                assert!(text.starts_with(&out));
                assert!(out.len() >= least || cut < compressed.len() / 2, "{} at {cut}", out.len());
            }
        }
    }

    #[test]
    fn a_wrong_checksum_is_an_error() {
        for mut compressed in [gzip(b"hello"), zstd(b"hello")] {
            let n = compressed.len();
            let checksum = if compressed[0] == 0x1f { n - 8 } else { n - 4 };
            compressed[checksum] ^= 1;
            assert_eq!(decompressed(compressed), (b"hello".to_vec(), true));
        }
    }

    proptest! {
        #[test]
        fn damage_never_panics(at in 0usize..3000, flip in 1u8.., cut in 0usize..4000, zstandard in any::<bool>()) {
            let text = text(4000);
            let mut bytes = if zstandard { zstd(&text) } else { gzip(&text) };
            let n = bytes.len();
            bytes[at % n] ^= flip;
            bytes.truncate(cut.max(8));
            decompressed(bytes);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), zstandard in any::<bool>()) {
            let magic: &[u8] = if zstandard { &[0x28, 0xb5, 0x2f, 0xfd] } else { &[0x1f, 0x8b, 8, 0] };
            decompressed([magic, &bytes].concat());
        }
    }
}
