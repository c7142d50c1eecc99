use super::*;

#[test]
fn frames_survive_the_stream() {
    let mut stream = Vec::new();
    send(&mut stream, &FromAgent::StepStarted { index: 3 }).unwrap();
    send_log(&mut stream, b"\xff\x00line\n").unwrap();
    let mut reader = stream.as_slice();
    let first: Option<Frame<FromAgent>> = receive(&mut reader).unwrap();
    assert_eq!(
        first,
        Some(Frame::Message(FromAgent::StepStarted { index: 3 }))
    );
    let second: Option<Frame<FromAgent>> = receive(&mut reader).unwrap();
    assert_eq!(second, Some(Frame::Log(b"\xff\x00line\n".to_vec())));
    assert_eq!(receive::<FromAgent>(&mut reader).unwrap(), None);
}

#[test]
fn what_is_typed_is_no_message() {
    let mut stream = Vec::new();
    let size = Size {
        rows: 50,
        columns: 132,
    };
    send_terminal(&mut stream, b"\x03{}").unwrap();
    send(&mut stream, &ToAgent::Resized { size }).unwrap();
    let mut reader = stream.as_slice();
    let first: Option<Frame<ToAgent>> = receive(&mut reader).unwrap();
    assert_eq!(first, Some(Frame::Terminal(b"\x03{}".to_vec())));
    let second: Option<Frame<ToAgent>> = receive(&mut reader).unwrap();
    assert_eq!(second, Some(Frame::Message(ToAgent::Resized { size })));
}

#[test]
fn frames_can_arrive_in_any_pieces() {
    let mut stream = Vec::new();
    send_log(&mut stream, b"one").unwrap();
    send(&mut stream, &FromAgent::Finished).unwrap();
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    for byte in stream {
        decoder.push(&[byte]);
        while let Some(frame) = decoder.next_frame::<FromAgent>().unwrap() {
            frames.push(frame);
        }
    }
    assert_eq!(
        frames,
        [
            Frame::Log(b"one".to_vec()),
            Frame::Message(FromAgent::Finished)
        ]
    );
    assert!(decoder.is_empty());
    decoder.push(b"\xff\xff\xff\xff\x00");
    assert!(decoder.next_frame::<FromAgent>().is_err());
}

#[test]
fn garbage_and_cut_frames_are_errors() {
    for bytes in [
        &b"\xff\xff\xff\xff\x00"[..],
        &b"\x01\x00\x00\x00\x07x"[..],
        &b"\x02\x00\x00\x00\x00{"[..],
        &b"\x01\x00"[..],
    ] {
        assert!(receive::<FromAgent>(&mut &*bytes).is_err());
    }
}
