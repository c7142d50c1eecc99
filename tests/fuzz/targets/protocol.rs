//! What an appliance may send, in pieces of any size: the decoder and the
//! reader that blocks find the same frames, whatever the bytes are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safedib::protocol::{receive, Decoder, Frame, FromAgent, ToAgent};

/// The frames up to the first error or the end of the bytes.
fn decoded(data: &[u8], piece: usize) -> Vec<Frame<FromAgent>> {
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    for bytes in data.chunks(piece) {
        decoder.push(bytes);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return frames,
            }
        }
    }
    frames
}

fuzz_target!(|data: &[u8]| {
    let Some((piece, stream)) = data.split_first() else {
        return;
    };
    let mut reader = stream;
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = receive::<FromAgent>(&mut reader) {
        frames.push(frame);
    }
    assert_eq!(decoded(stream, usize::from(*piece) + 1), frames);
    let _ = receive::<ToAgent>(&mut &*stream);
});
