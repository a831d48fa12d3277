//! The documents of any bytes join up to the bytes, and no body leaves its document.

#![no_main]

use libfuzzer_sys::fuzz_target;
use manifest::documents;

fuzz_target!(|stream: &[u8]| {
    let mut at = 0;
    for document in documents::split(stream) {
        assert_eq!(document.span.start, at);
        assert!(document.span.end > at);
        assert!(document.span.start <= document.body.start);
        assert!(document.body.end <= document.span.end);
        at = document.span.end;
    }
    assert_eq!(at, stream.len());
});
