//! Any text as the config of an annotation is taken or refused; what is taken makes policies that
//! the filter's own judgement takes too.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vcluster_netpol::vcluster::sources::{ConfigFile, Overrides};
use vcluster_netpol::filter::{Options, render};

fuzz_target!(|text: &str| {
    let options = Options {
        overrides: Overrides {
            files: vec![ConfigFile {
                name: "config.yaml".to_owned(),
                text: text.to_owned(),
            }],
            release: Some("a".to_owned()),
            ..Overrides::default()
        },
        ..Options::default()
    };
    let stream = b"---\nkind: ConfigMap\nmetadata:\n  name: b\n";
    if let Ok(output) = render(stream, &options) {
        let first = output.pieces.concat();
        let second = render(&first, &options).expect("what came out goes in");
        assert_eq!(first, second.pieces.concat());
    }
});
