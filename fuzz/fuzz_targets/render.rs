//! Any bytes are filtered or refused, and what was filtered stays as it is the second time.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vcluster_netpol::filter::{Options, render};

fuzz_target!(|stream: &[u8]| {
    let options = Options::default();
    if let Ok(output) = render(stream, &options) {
        let first = output.pieces.concat();
        let second = render(&first, &options).expect("what came out goes in");
        assert_eq!(first, second.pieces.concat());
    }
});
